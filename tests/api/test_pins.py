"""Pinned messages by REST."""

from collections.abc import Callable
from typing import Any

import pytest

from chatproject import container
from messaging.domain import ids
from messaging.domain.ids import MessageId
from tests.api.conftest import Person, problem

pytestmark = pytest.mark.django_db
Route = Callable[[], None]


def pin(person: Person, server_id: str, *, on: bool = True) -> Any:
    path = f"messages/{server_id}/pin"
    return person.put(path, None) if on else person.delete(path)


def pinned(person: Person, conversation: str) -> list[str]:
    found = person.get(f"conversations/{conversation}/pins").json()["results"]
    return [one["message"]["server_id"] for one in found]


def test_what_is_pinned_is_listed_as_it_is_now(ann: Person, bob: Person, route: Route) -> None:
    dm = ann.dm(bob)
    said = [str(ann.say(dm, text).json()["server_id"]) for text in ("first", "second")]
    route()
    for person, message in zip((bob, ann), said, strict=True):
        assert pin(person, message).status_code == 204
    route()
    found = ann.get(f"conversations/{dm}/pins").json()["results"]
    assert [(one["message"]["body"], one["by"]) for one in found] == [("second", ann.ref), ("first", bob.ref)]
    assert found[0]["message"] == ann.get(f"messages/{said[1]}").json()
    assert pinned(bob, dm) == said[::-1]
    for _ in range(2):
        assert pin(ann, said[0], on=False).status_code == 204
        route()
    assert pinned(bob, dm) == [said[1]]
    ann.delete(f"messages/{said[1]}")
    route()
    assert pinned(bob, dm) == []


def test_pinning_what_is_pinned_costs_no_record(ann: Person, bob: Person, route: Route) -> None:
    dm = ann.dm(bob)
    said = str(ann.say(dm).json()["server_id"])
    for _ in range(2):
        route()
        assert pin(ann, said).status_code == 204
    route()
    assert len(container.message_store().newest_changes(ids.parse_conversation(dm), limit=10)) == 1


def test_in_a_group_its_members_only_see_pins(ann: Person, bob: Person, cat: Person, route: Route) -> None:
    group = ann.group(bob)
    said = str(bob.say(group).json()["server_id"])
    route()
    problem(pin(bob, said), 403, "forbidden")
    problem(pin(cat, said), 404, "not_found")
    problem(cat.get(f"conversations/{group}/pins"), 404, "not_found")
    assert pin(ann, said).status_code == 204
    route()
    assert pinned(bob, group) == [said]
    problem(pin(bob, said, on=False), 403, "forbidden")


def test_who_came_later_does_not_see_what_was_pinned_before(
    ann: Person, bob: Person, cat: Person, route: Route
) -> None:
    group = ann.group(bob)
    early = str(ann.say(group).json()["server_id"])
    route()
    ann.post(f"conversations/{group}/members", {"members": [cat.ref]})
    late = str(ann.say(group).json()["server_id"])
    route()
    for message in (late, early):
        pin(ann, message)
    route()
    assert (pinned(ann, group), pinned(cat, group)) == ([early, late], [late])


def test_a_message_that_is_not_there_cannot_be_pinned(ann: Person, bob: Person, route: Route) -> None:
    dm = ann.dm(bob)
    ann.say(dm)
    route()
    problem(pin(ann, ids.server_id(ids.parse_conversation(dm), MessageId(1))), 404, "not_found")
    problem(pin(ann, "m_nonsense"), 404, "not_found")
