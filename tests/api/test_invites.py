"""Links into groups by REST: made, used, used up, revoked; and people who have to be let in."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from messaging.domain.errors import Conflict
from messaging.domain.ids import UserId, parse_conversation
from messaging.domain.messages import Role
from messaging.invites import services
from messaging.invites.models import Invite, JoinRequest
from messaging.services import conversations
from tests.api.conftest import Person, problem

pytestmark = pytest.mark.django_db
Route = Callable[[], None]


def invite(person: Person, group: str, **what: Any) -> str:
    answer = person.post(f"conversations/{group}/invites", what)
    assert answer.status_code == 201, answer.json()
    return str(answer.json()["token"])


def join(person: Person, token: str) -> Any:
    return person.post(f"invites/{token}", None)


def asking(person: Person, group: str) -> list[str]:
    return [one["id"] for one in person.get(f"conversations/{group}/requests").json()["results"]]


def decide(person: Person, group: str, whom: Person, *, accept: bool) -> Any:
    return person.post(f"conversations/{group}/requests/{whom.ref}", {"accept": accept})


@pytest.fixture
def group(ann: Person, bob: Person) -> str:
    return ann.group(bob, name="Hikers")


def test_who_has_the_link_comes_in_and_sees_what_is_said_from_then_on(
    ann: Person, cat: Person, group: str, route: Route
) -> None:
    ann.say(group, "before")
    route()
    token = invite(ann, group)
    preview = cat.get(f"invites/{token}").json()
    assert (preview["name"], preview["members_count"], preview["standing"]) == ("Hikers", 2, "none")
    problem(cat.get(f"conversations/{group}"), 404, "not_found")
    assert join(cat, token).json() == {"conversation": group, "status": "joined"}
    route()
    ann.say(group, "after")
    route()
    assert cat.texts(group) == ["after"]
    [event] = [one for one in cat.get(f"conversations/{group}/messages").json()["results"] if one["kind"] == "event"]
    assert (event["from"], event["event"]["type"], event["event"]["users"]) == (cat.ref, "member_added", [cat.ref])
    assert cat.get(f"invites/{token}").json()["standing"] == "member"
    # Once more is no second use.
    assert join(cat, token).json()["status"] == "joined"
    assert Invite.objects.get(pk=token).uses == 1


def test_the_last_use_is_had_once(ann: Person, cat: Person, person: Callable[..., Person], group: str) -> None:
    token = invite(ann, group, max_uses=1)
    assert join(cat, token).status_code == 200
    dan = person("dan")
    problem(join(dan, token), 404, "not_found")
    problem(dan.get(f"invites/{token}"), 404, "not_found")
    assert ann.get(f"conversations/{group}/invites").json()["results"] == []
    # Who is in is told so all the same.
    assert join(cat, token).json()["status"] == "joined"


def test_a_link_ends_by_its_time_or_by_hand(ann: Person, cat: Person, group: str) -> None:
    over, revoked, good = (invite(ann, group, expires_in_s=3600) for _ in range(3))
    Invite.objects.filter(pk=over).update(expires_at=timezone.now() - timedelta(seconds=1))
    for _ in range(2):
        assert ann.delete(f"conversations/{group}/invites/{revoked}").status_code == 204
    for token in (over, revoked, "nonsense", "a%00b"):
        problem(join(cat, token), 404, "not_found")
    [listed] = ann.get(f"conversations/{group}/invites").json()["results"]
    assert (listed["token"], listed["path"], listed["uses"]) == (good, f"/join/{good}", 0)


def test_only_the_owner_and_admins_manage(ann: Person, bob: Person, cat: Person, group: str) -> None:
    token = invite(ann, group)
    other = bob.group(cat)
    for person, status, code in ((bob, 403, "forbidden"), (cat, 404, "not_found")):
        problem(person.post(f"conversations/{group}/invites", {}), status, code)
        problem(person.get(f"conversations/{group}/invites"), status, code)
        problem(person.delete(f"conversations/{group}/invites/{token}"), status, code)
        problem(person.get(f"conversations/{group}/requests"), status, code)
        problem(decide(person, group, cat, accept=True), status, code)
    # A link of one group is not there in another.
    problem(bob.delete(f"conversations/{other}/invites/{token}"), 404, "not_found")
    assert join(cat, token).json()["status"] == "joined"
    conversations.set_role(actor=ann.id, conversation_id=parse_conversation(group), user=bob.id, role=Role.ADMIN)
    invite(bob, group)


def test_who_has_to_be_let_in_asks_first(ann: Person, cat: Person, group: str, route: Route) -> None:
    token = invite(ann, group, approval=True, max_uses=1)
    for _ in range(2):
        assert join(cat, token).json() == {"conversation": group, "status": "requested"}
    problem(cat.get(f"conversations/{group}"), 404, "not_found")
    assert cat.get(f"invites/{token}").status_code == 404, "its one use is taken"
    assert asking(ann, group) == [cat.ref]
    assert decide(ann, group, cat, accept=True).status_code == 204
    route()
    assert cat.get(f"conversations/{group}").status_code == 200
    assert asking(ann, group) == []
    problem(decide(ann, group, cat, accept=True), 404, "not_found")


def test_who_is_declined_gives_the_use_back_and_may_ask_again_after_a_day(ann: Person, cat: Person, group: str) -> None:
    token = invite(ann, group, approval=True, max_uses=1)
    join(cat, token)
    assert decide(ann, group, cat, accept=False).status_code == 204
    assert Invite.objects.get(pk=token).uses == 0
    assert asking(ann, group) == []
    problem(join(cat, token), 409, "conflict")
    JoinRequest.objects.update(declined_at=timezone.now() - timedelta(days=2))
    assert join(cat, token).json()["status"] == "requested"
    assert asking(ann, group) == [cat.ref]


def test_who_was_removed_does_not_come_back_by_a_link(ann: Person, bob: Person, group: str, route: Route) -> None:
    token = invite(ann, group)
    ann.delete(f"conversations/{group}/members/{bob.ref}")
    route()
    assert bob.get(f"invites/{token}").json()["approval"] is True
    assert join(bob, token).json()["status"] == "requested"
    problem(bob.get(f"conversations/{group}"), 404, "not_found")
    decide(ann, group, bob, accept=True)
    assert bob.get(f"conversations/{group}").status_code == 200


def test_a_full_group_takes_nobody_and_the_use_is_given_back(
    ann: Person, cat: Person, group: str, settings: Any
) -> None:
    token = invite(ann, group)
    settings.LIMITS = replace(settings.LIMITS, max_members=2)
    problem(join(cat, token), 400, "too_many_members")
    assert Invite.objects.get(pk=token).uses == 0


def test_what_one_may_ask_for_is_bounded(ann: Person, bob: Person, group: str, settings: Any) -> None:
    for what in ({"expires_in_s": 59}, {"expires_in_s": 400 * 86_400}, {"max_uses": 0}, {"max_uses": 5_001}):
        problem(ann.post(f"conversations/{group}/invites", what), 400, "invalid")
    problem(ann.post(f"conversations/{ann.dm(bob)}/invites", {}), 409, "conflict")
    settings.LIMITS = replace(settings.LIMITS, max_invites=1, max_join_requests=1)
    token = invite(ann, group, approval=True)
    problem(ann.post(f"conversations/{group}/invites", {}), 409, "conflict")
    services.join(user=UserId(501), token=token)
    with pytest.raises(Conflict):
        services.join(user=UserId(502), token=token)


def test_the_page_behind_a_link_asks_who_one_is_first(ann: Person, group: str) -> None:
    token = invite(ann, group)
    anonymous = Client().get(f"/join/{token}")
    assert anonymous.status_code == 302
    assert anonymous["Location"].endswith(f"?next=/join/{token}")
    browser = Client()
    browser.force_login(ann.user)
    assert browser.get(f"/join/{token}")["Location"] == f"/#join={token}"
