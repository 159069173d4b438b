"""What one person may see of another."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from accounts.models import Block
from accounts.services.people import update_profile
from messaging.domain import ids
from messaging.services.presence import save_last_seen
from tests.api.conftest import Person, problem

pytestmark = pytest.mark.django_db
Route = Callable[[], None]


def seen(viewer: Person, of: Person) -> dict[str, object]:
    answer = viewer.get(f"users/{of.ref}/profile")
    assert answer.status_code == 200
    return dict(answer.json())


def test_a_profile_has_what_its_owner_says_and_what_both_are_in(
    ann: Person, bob: Person, cat: Person, route: Route
) -> None:
    update_profile(user=bob.user, about="Mostly outdoors", display_name="Bob B")
    old, both = ann.group(bob, cat), bob.group(ann)
    bob.group(cat)
    ann.group(cat)
    ann.dm(bob)
    left = ann.group(bob)
    assert bob.delete(f"conversations/{left}/members/{bob.ref}").status_code == 204
    route()
    found = seen(ann, bob)
    assert (found["display_name"], found["about"]) == ("Bob B", "Mostly outdoors")
    assert {one["id"] for one in found["groups"]} == {old, both}  # type: ignore[attr-defined]
    # Strangers have nothing in common, and may write to each other all the same.
    assert seen(cat, ann)["groups"] != []
    assert "email" not in found


def test_when_somebody_was_here_is_told_to_who_may_know(ann: Person, bob: Person, cat: Person, route: Route) -> None:
    ann.dm(bob)
    route()
    at = datetime(2026, 3, 1, tzinfo=UTC)
    save_last_seen([ids.UserId(bob.user.pk)], int(at.timestamp() * 1000))
    assert seen(ann, bob)["presence"] == {"state": "offline", "last_seen": int(at.timestamp() * 1000)}
    assert seen(cat, bob)["presence"] is None
    update_profile(user=ann.user, presence="nobody")
    assert seen(ann, bob)["presence"] is None


@pytest.mark.parametrize("blocker", ["ann", "bob"])
def test_across_a_block_there_are_only_names(ann: Person, bob: Person, route: Route, blocker: str) -> None:
    group = ann.group(bob)
    route()
    update_profile(user=bob.user, about="Mostly outdoors")
    owner, target = (ann, bob) if blocker == "ann" else (bob, ann)
    Block.objects.create(owner=owner.user, target=target.user)
    found = seen(ann, bob)
    assert (found["about"], found["presence"]) == ("", None)
    assert [one["id"] for one in found["groups"]] == [group]  # type: ignore[attr-defined]


def test_who_is_not_there_has_no_profile(ann: Person) -> None:
    for ref in (ids.user_ref(5), "u_nonsense", "u_"):
        problem(ann.get(f"users/{ref}/profile"), 404, "not_found")
