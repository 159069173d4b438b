"""Membership over REST: who may add, remove, promote, and leave."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync

from accounts.models import Block
from accounts.services.people import update_profile
from chatproject import container
from messaging.domain import ids
from messaging.domain.events import ConversationChanged
from messaging.domain.messages import Role
from messaging.selectors import inbox
from messaging.selectors.access import visible_presence
from messaging.services.send import append_change
from tests.api.conftest import Person, problem

pytestmark = pytest.mark.django_db
Route = Callable[[], None]


@pytest.fixture
def dan(person: Callable[..., Person]) -> Person:
    return person("dan")


def roles(reader: Person, group: str) -> dict[str, str]:
    return {m["username"]: m["role"] for m in reader.get(f"conversations/{group}/members").json()["results"]}


def promote(owner: Person, group: str, other: Person, role: str = "admin") -> None:
    assert owner.patch(f"conversations/{group}/members/{other.ref}", {"role": role}).json()["role"] == role


def test_members_come_in_pages_with_cursors_of_their_own(ann: Person, bob: Person, cat: Person) -> None:
    group, other = ann.group(bob, cat), ann.group(bob, cat)
    seen, cursor = [], None
    while True:
        page = ann.get(f"conversations/{group}/members", limit=1, **({"cursor": cursor} if cursor else {})).json()
        seen += [member["username"] for member in page["results"]]
        if page["next"] is None:
            break
        cursor = page["next"]
        problem(ann.get(f"conversations/{other}/members", cursor=cursor), 400, "invalid")
    assert sorted(seen) == ["ann", "bob", "cat"]


def test_members_are_found_by_the_beginning_of_a_name(
    ann: Person, bob: Person, cat: Person, dan: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "_LOOK", 1)
    group = ann.group(bob, cat)
    bob.user.display_name = "Robert van Daal"
    bob.user.save()

    def found(query: str, **more: str) -> list[str]:
        page = ann.get(f"conversations/{group}/members", q=query, **more).json()
        assert page["next"] is None
        return [member["username"] for member in page["results"]]

    assert (found("bo"), found("@BO"), found("rob"), found("daa"), found("an")) == (["bob"],) * 4 + (["ann"],)
    assert found("da") == ["bob"], "and not Dan, who is no member"
    assert found("nobody") == []
    assert len(found(" ")) == 3, "nothing is asked for: all of them"
    for one in (bob, cat):
        one.user.display_name = "Robin"
        one.user.save()
    assert len(found("Robin", limit="1")) == 1
    assert sorted(found("Robin")) == ["bob", "cat"]
    problem(ann.get(f"conversations/{group}/members", q="x" * 81), 400, "invalid")
    problem(dan.get(f"conversations/{group}/members", q="bo"), 404, "not_found")


def test_owner_and_admin_add(ann: Person, bob: Person, cat: Person, dan: Person, route: Route) -> None:
    group = ann.group(bob)
    problem(bob.post(f"conversations/{group}/members", {"members": [cat.ref]}), 403, "forbidden")
    assert ann.post(f"conversations/{group}/members", {"members": [bob.ref, cat.ref]}).json() == {"added": [cat.ref]}
    promote(ann, group, bob)
    assert bob.post(f"conversations/{group}/members", {"members": [dan.ref]}).status_code == 200
    assert roles(dan, group) == {"ann": "owner", "bob": "admin", "cat": "member", "dan": "member"}
    route()
    events = [m["event"]["type"] for m in ann.get(f"conversations/{group}/messages").json()["results"] if "event" in m]
    assert events == ["member_added", "role_changed", "member_added", "created"]


@pytest.mark.parametrize("members", [[], "x", [5], ["x"], None])
def test_malformed_members_are_refused(ann: Person, bob: Person, members: object) -> None:
    problem(ann.post(f"conversations/{ann.group(bob)}/members", {"members": members}), 400, "invalid")


def test_strangers_to_the_system_and_blocked_people_are_not_added(ann: Person, bob: Person, cat: Person) -> None:
    group = ann.group(bob)
    problem(ann.post(f"conversations/{group}/members", {"members": [cat.ref, ids.user_ref(5)]}), 404, "not_found")
    Block.objects.create(owner=cat.user, target=ann.user)
    problem(ann.post(f"conversations/{group}/members", {"members": [cat.ref]}), 403, "blocked")
    assert roles(ann, group) == {"ann": "owner", "bob": "member"}


def test_who_may_remove_whom(ann: Person, bob: Person, cat: Person, dan: Person) -> None:
    group = ann.group(bob, cat, dan)
    path = f"conversations/{group}/members"
    problem(dan.delete(f"{path}/{cat.ref}"), 403, "forbidden")
    promote(ann, group, bob)
    promote(ann, group, cat)
    problem(bob.delete(f"{path}/{ann.ref}"), 403, "forbidden")
    problem(bob.delete(f"{path}/{cat.ref}"), 403, "forbidden")
    assert bob.delete(f"{path}/{dan.ref}").status_code == 204
    assert ann.delete(f"{path}/{cat.ref}").status_code == 204
    problem(ann.delete(f"{path}/{cat.ref}"), 404, "not_found")
    problem(ann.delete(f"{path}/x"), 404, "not_found")
    assert roles(ann, group) == {"ann": "owner", "bob": "admin"}


def test_only_the_owner_gives_roles(ann: Person, bob: Person, cat: Person) -> None:
    group = ann.group(bob, cat)
    promote(ann, group, bob)
    path = f"conversations/{group}/members"
    problem(bob.patch(f"{path}/{cat.ref}", {"role": "admin"}), 403, "forbidden")
    problem(ann.patch(f"{path}/{ann.ref}", {"role": "member"}), 409, "conflict")
    problem(ann.patch(f"{path}/{ids.user_ref(5)}", {"role": "admin"}), 404, "not_found")
    for wrong in ("king", 5, None):
        problem(ann.patch(f"{path}/{bob.ref}", {"role": wrong}), 400, "invalid")
    promote(ann, group, cat, "owner")
    assert roles(ann, group) == {"ann": "admin", "bob": "admin", "cat": "owner"}
    problem(ann.patch(f"{path}/{bob.ref}", {"role": "member"}), 403, "forbidden")


def test_when_the_owner_leaves_the_oldest_admin_takes_over(ann: Person, bob: Person, cat: Person, dan: Person) -> None:
    group = ann.group(bob, cat)
    ann.post(f"conversations/{group}/members", {"members": [dan.ref]})
    promote(ann, group, dan)
    assert ann.delete(f"conversations/{group}/members/{ann.ref}").status_code == 204
    assert roles(bob, group)["dan"] == "owner"
    assert dan.delete(f"conversations/{group}/members/{dan.ref}").status_code == 204
    heir, other = (bob, cat) if bob.id < cat.id else (cat, bob)
    assert roles(bob, group) == {heir.user.username: "owner", other.user.username: "member"}


def test_the_last_one_may_leave(ann: Person) -> None:
    group = ann.group()
    assert ann.delete(f"conversations/{group}/members/{ann.ref}").status_code == 204
    problem(ann.get(f"conversations/{group}"), 404, "not_found")


def test_who_left_sees_nothing_that_came_after(ann: Person, bob: Person, route: Route) -> None:
    group = ann.group(bob)
    bob.delete(f"conversations/{group}/members/{bob.ref}")
    ann.say(group, "secret")
    route()
    problem(bob.get(f"conversations/{group}/messages"), 404, "not_found")
    place = container.conversation_store().membership(bob.id, ids.parse_conversation(group))
    assert place is not None
    assert place.left_id is not None
    newest = container.message_store().newest(ids.parse_conversation(group), upto=place.left_id, limit=1)
    assert newest[0].kind == "event"


def test_what_somebody_said_before_leaving_is_kept(ann: Person, bob: Person, route: Route) -> None:
    group = ann.group(bob)
    bob.say(group, "last words")
    # The departure is stored before the router has come to the message.
    bob.delete(f"conversations/{group}/members/{bob.ref}")
    route()
    assert ann.texts(group) == ["last words"]


def test_who_joins_sees_nothing_that_was_said_before(ann: Person, bob: Person, route: Route) -> None:
    group = ann.group()
    ann.say(group, "before")
    # So is the joining.
    ann.post(f"conversations/{group}/members", {"members": [bob.ref]})
    ann.say(group, "after")
    route()
    assert bob.texts(group) == ["after"]
    results = bob.get(f"conversations/{group}/messages").json()["results"]
    assert [message["kind"] for message in results] == ["text", "event"], "and the joining itself"
    assert bob.get(f"conversations/{group}").json()["unread_count"] == 1


def test_a_dm_is_nobodys_to_change(ann: Person, bob: Person, cat: Person) -> None:
    dm = ann.dm(bob)
    problem(ann.post(f"conversations/{dm}/members", {"members": [cat.ref]}), 409, "conflict")
    problem(ann.delete(f"conversations/{dm}/members/{bob.ref}"), 409, "conflict")
    problem(ann.delete(f"conversations/{dm}/members/{ann.ref}"), 409, "conflict")
    problem(ann.patch(f"conversations/{dm}/members/{bob.ref}", {"role": "admin"}), 409, "conflict")
    problem(ann.patch(f"conversations/{dm}", {"name": "us"}), 409, "conflict")


def fill(group: str, count: int) -> None:
    """Give a group of two ``count`` members."""
    users = [ids.UserId(number) for number in range(1, count - 1)]
    container.conversation_store().add_members(
        ids.parse_conversation(group), users, role=Role.MEMBER, limit=count, at=ids.MessageId(1)
    )


def write_joining(group: str, actor: Person, user: Person) -> None:
    """Put a joining into the log, and nowhere else: as if the server had died right after."""
    change = ConversationChanged(actor.id, "member_added", uuid4().bytes, [user.id])
    async_to_sync(append_change)(log=container.message_log(), conversation=ids.parse_conversation(group), change=change)


def test_the_limit_holds_when_members_are_added(ann: Person, bob: Person, cat: Person) -> None:
    group = ann.group(bob)
    fill(group, 5_000)
    problem(ann.post(f"conversations/{group}/members", {"members": [cat.ref]}), 400, "too_many_members")
    assert ann.get(f"conversations/{group}").json()["members_count"] == 5_000


def test_a_joining_that_only_reached_the_log_takes_effect(ann: Person, bob: Person, cat: Person, route: Route) -> None:
    group = ann.group(bob)
    write_joining(group, ann, cat)
    ann.say(group, "welcome")
    route()
    assert cat.texts(group) == ["welcome"]
    assert ann.post(f"conversations/{group}/members", {"members": [cat.ref]}).json() == {"added": []}


def test_who_was_a_moment_too_late_to_be_added_is_not_in_the_history(
    ann: Person, bob: Person, cat: Person, route: Route
) -> None:
    group = ann.group(bob)
    fill(group, 5_000)
    write_joining(group, ann, cat)
    route()
    problem(cat.get(f"conversations/{group}"), 404, "not_found")
    assert [it["event"]["type"] for it in ann.get(f"conversations/{group}/messages").json()["results"]] == ["created"]


def test_presence_is_seen_by_who_may(ann: Person, bob: Person, cat: Person, dan: Person) -> None:
    ann.group(bob, cat)
    assert visible_presence(ann.id, [bob.id, cat.id, dan.id, ann.id]) == {bob.id, cat.id}
    Block.objects.create(owner=bob.user, target=ann.user)
    cat.user.share_presence = False
    cat.user.save()
    assert visible_presence(ann.id, [bob.id, cat.id, dan.id]) == set()


_CHOICES = ("everyone", "contacts", "nobody")


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("theirs", _CHOICES)
@pytest.mark.parametrize("own", _CHOICES)
def test_presence_is_seen_as_it_is_shown(ann: Person, bob: Person, own: str, theirs: str, known: bool) -> None:
    """Each lets the other: known people unless one hides, strangers where both show it to everyone."""
    if known:
        ann.group(bob)
    for one, choice in ((ann, own), (bob, theirs)):
        update_profile(user=one.user, presence=choice)
    seen = "nobody" not in (own, theirs) if known else {own, theirs} == {"everyone"}
    assert visible_presence(ann.id, [bob.id]) == ({bob.id} if seen else set())
    assert visible_presence(bob.id, [ann.id]) == ({ann.id} if seen else set())
