"""Conversations over REST: create, list, show, rename, mute."""

import threading
from collections.abc import Callable
from uuid import uuid4

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from accounts.models import Block
from chatproject import container
from messaging.domain import ids
from tests.api.conftest import Person, problem

pytestmark = pytest.mark.django_db
Route = Callable[[], None]


def test_a_dm_is_created_once(ann: Person, bob: Person) -> None:
    first = ann.post("conversations", {"type": "dm", "members": [bob.ref]})
    assert first.status_code == 201
    again = bob.post("conversations", {"type": "dm", "members": [ann.ref, bob.ref]})
    assert again.status_code == 200
    assert again.json()["id"] == first.json()["id"]
    body = first.json()
    assert body["type"] == "dm"
    assert body["peer"]["username"] == "bob"
    assert again.json()["peer"]["id"] == ann.ref
    assert {member["id"] for member in body["members"]} == {ann.ref, bob.ref}
    assert (body["members_count"], body["unread_count"], body["muted_until"]) == (2, 0, None)


def test_a_conversation_is_encrypted_from_its_creation_or_never(ann: Person, bob: Person, cat: Person) -> None:
    wanted = {"type": "dm", "members": [bob.ref], "encrypted": True}
    first = ann.post("conversations", wanted)
    assert (first.status_code, first.json()["encrypted"]) == (201, True)
    path = f"conversations/{first.json()['id']}"
    assert bob.get(path).json()["encrypted"] is True
    again = bob.post("conversations", {"type": "dm", "members": [ann.ref]})
    assert (again.status_code, again.json()["encrypted"]) == (200, True), "whoever asks for less is told"
    ann.dm(cat)
    problem(cat.post("conversations", {**wanted, "members": [ann.ref]}), 409, "conflict")
    group = {"type": "group", "members": [bob.ref], "name": "Tea"}
    sealed = ann.post("conversations", {**group, "encrypted": True}).json()
    assert (sealed["encrypted"], ann.post("conversations", group).json()["encrypted"]) == (True, False)
    renamed = ann.patch(f"conversations/{sealed['id']}", {"name": "Coffee", "encrypted": False})
    assert (renamed.json()["name"], renamed.json()["encrypted"]) == ("Coffee", True)


@pytest.mark.django_db(transaction=True)
def test_a_dm_is_created_once_also_under_a_race(ann: Person, bob: Person) -> None:
    answers: list[tuple[int, str]] = []
    start = threading.Barrier(4)

    def create(one: Person, other: Person) -> None:
        start.wait()
        try:
            response = Person(one.user).post("conversations", {"type": "dm", "members": [other.ref]})
            answers.append((response.status_code, response.json()["id"]))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=create, args=pair) for pair in [(ann, bob), (bob, ann)] * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(status for status, _ in answers) == [200, 200, 200, 201]
    assert len({conversation for _, conversation in answers}) == 1


def test_a_group_shows_names_and_roles(ann: Person, bob: Person) -> None:
    response = ann.post("conversations", {"type": "group", "members": [bob.ref], "name": " Tea "})
    assert response.status_code == 201
    body = response.json()
    assert (body["type"], body["name"], body["role"], body["peer"]) == ("group", "Tea", "owner", None)
    assert {(m["username"], m["display_name"], m["role"], m["last_read"]) for m in body["members"]} == {
        ("ann", "Ann Arbor", "owner", None),
        ("bob", "Bob Brook", "member", None),
    }
    assert bob.get(f"conversations/{body['id']}").json()["role"] == "member"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "type"),
        ({"type": "party", "members": []}, "type"),
        ({"type": "group"}, "members"),
        ({"type": "group", "members": "u_x"}, "members"),
        ({"type": "group", "members": ["u_x"]}, "members"),
        ({"type": "group", "members": [5]}, "members"),
        ({"type": "group", "members": [], "name": 5}, "name"),
        ({"type": "group", "members": [], "name": None}, "name"),
        ([], None),
        ("text", None),
        (5, None),
    ],
)
def test_a_malformed_conversation_is_refused(ann: Person, body: object, field: str | None) -> None:
    refusal = problem(ann.post("conversations", body), 400, "invalid")
    if field is not None:
        assert field in refusal["errors"]


@pytest.mark.parametrize("name", ["x" * 121, "two\nlines", "nul\x00"])
def test_a_bad_name_is_refused(ann: Person, name: str) -> None:
    problem(ann.post("conversations", {"type": "group", "members": [], "name": name}), 400, "invalid")


def test_a_dm_is_with_one_other(ann: Person, bob: Person, cat: Person) -> None:
    problem(ann.post("conversations", {"type": "dm", "members": []}), 400, "invalid")
    problem(ann.post("conversations", {"type": "dm", "members": [ann.ref]}), 400, "invalid")
    problem(ann.post("conversations", {"type": "dm", "members": [bob.ref, cat.ref]}), 400, "invalid")
    problem(ann.post("conversations", {"type": "dm", "members": [bob.ref], "name": "us"}), 400, "invalid")


def test_nobody_is_created_by_an_unknown_id(ann: Person) -> None:
    problem(ann.post("conversations", {"type": "dm", "members": [ids.user_ref(5)]}), 404, "not_found")


@pytest.mark.parametrize("blocker", ["ann", "bob"])
def test_a_block_stands_in_the_way(ann: Person, bob: Person, blocker: str) -> None:
    owner, target = (ann, bob) if blocker == "ann" else (bob, ann)
    Block.objects.create(owner=owner.user, target=target.user)
    problem(ann.post("conversations", {"type": "dm", "members": [bob.ref]}), 403, "blocked")
    problem(ann.post("conversations", {"type": "group", "members": [bob.ref]}), 403, "blocked")


def test_five_thousand_and_one_members_are_refused(ann: Person, bob: Person) -> None:
    users = [ids.user_ref(number) for number in range(1, 5_001)]
    refusal = problem(ann.post("conversations", {"type": "group", "members": users}), 400, "too_many_members")
    assert "5000" in refusal["detail"]
    group = ann.group(bob)
    problem(
        ann.post(f"conversations/{group}/members", {"members": [*users, ids.user_ref(5_001)]}), 400, "too_many_members"
    )


def test_the_list_is_newest_first_and_pages(ann: Person, bob: Person, route: Route) -> None:
    groups = [ann.group(bob, name=str(number)) for number in range(5)]
    for index in (2, 0, 4):
        ann.say(groups[index])
        route()
    names, cursor = [], None
    while True:
        page = ann.get("conversations", limit=2, **({"cursor": cursor} if cursor else {})).json()
        names += [conversation["name"] for conversation in page["results"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert sorted(names) == ["0", "1", "2", "3", "4"]
    assert names[:3] == ["4", "0", "2"]


def test_the_list_costs_the_same_for_any_length(ann: Person, bob: Person, route: Route) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            ann.get("conversations")
        return len(captured)

    ann.say(ann.group(bob))
    route()
    few = queries()
    for _ in range(5):
        ann.say(ann.group(bob))
    route()
    assert queries() == few


def test_the_list_takes_its_own_cursors_only(ann: Person, bob: Person) -> None:
    for _ in range(2):
        ann.group(bob)
    cursor = ann.get("conversations", limit=1).json()["next"]
    assert ann.get("conversations", cursor=cursor).status_code == 200
    problem(bob.get("conversations", cursor=cursor), 400, "invalid")
    problem(ann.get("conversations", cursor=cursor[:-1] + "~"), 400, "invalid")
    problem(ann.get("conversations", cursor="ü"), 400, "invalid")
    for limit in ("0", "201", "x", "-1", "²"):
        problem(ann.get("conversations", limit=limit), 400, "invalid")


def test_unread_counts_equal_a_recount(ann: Person, bob: Person, route: Route) -> None:
    group = ann.group(bob)
    for number in range(7):
        (bob if number % 3 else ann).say(group, str(number))
    route()

    def unread() -> tuple[int, int]:
        listed = ann.get("conversations").json()["results"][0]["unread_count"]
        return listed, ann.get(f"conversations/{group}").json()["unread_count"]

    assert unread() == (4, 4)
    newest_first = ann.get(f"conversations/{group}/messages").json()["results"]
    ann.put(f"conversations/{group}/read", {"server_id": newest_first[2]["server_id"]})
    recount = sum(message["from"] == bob.ref for message in newest_first[:2])
    assert unread() == (recount, recount)
    ann.put(f"conversations/{group}/read", {"server_id": newest_first[0]["server_id"]})
    assert unread() == (0, 0)


def test_unread_counts_stop_at_a_hundred(ann: Person, bob: Person, route: Route) -> None:
    group = ann.group(bob)
    for number in range(103):
        bob.say(group, str(number))
    route()
    assert ann.get(f"conversations/{group}").json()["unread_count"] == 100


def test_the_last_message_is_shown_as_in_history(ann: Person, bob: Person, route: Route) -> None:
    group = ann.group(bob)
    ann.say(group, "newest")
    route()
    last = ann.get("conversations").json()["results"][0]["last_message"]
    assert last == ann.get(f"conversations/{group}/messages").json()["results"][0]
    assert last["body"] == "newest"


def test_owner_and_admin_rename(ann: Person, bob: Person, cat: Person, route: Route) -> None:
    group = ann.group(bob, cat)
    assert ann.patch(f"conversations/{group}", {"name": "Coffee"}).json()["name"] == "Coffee"
    problem(cat.patch(f"conversations/{group}", {"name": "Mine"}), 403, "forbidden")
    ann.patch(f"conversations/{group}/members/{bob.ref}", {"role": "admin"})
    assert bob.patch(f"conversations/{group}", {"name": "Cocoa"}).json()["name"] == "Cocoa"
    route()
    newest = cat.get(f"conversations/{group}/messages").json()["results"][0]
    assert (newest["kind"], newest["event"]["type"], newest["event"]["name"]) == ("event", "renamed", "Cocoa")


def test_mute_is_ones_own(ann: Person, bob: Person) -> None:
    group = ann.group(bob)
    answer = ann.put(f"conversations/{group}/mute", {"until": "2030-01-02T03:04:05Z"})
    assert answer.json() == {"muted_until": "2030-01-02T03:04:05Z"}
    assert ann.get(f"conversations/{group}").json()["muted_until"] == "2030-01-02T03:04:05Z"
    assert bob.get(f"conversations/{group}").json()["muted_until"] is None
    assert ann.put(f"conversations/{group}/mute", {"until": None}).json() == {"muted_until": None}
    for until in (5, "soon", {}):
        problem(ann.put(f"conversations/{group}/mute", {"until": until}), 400, "invalid")
    problem(ann.put(f"conversations/{group}/mute", {}), 400, "invalid")


def test_those_who_manage_a_group_have_its_messages_expire(ann: Person, bob: Person, cat: Person, route: Route) -> None:
    group, day = ann.group(bob, cat), 86_400
    ann.patch(f"conversations/{group}/members/{bob.ref}", {"role": "admin"})
    problem(cat.put(f"conversations/{group}/timer", {"timer_s": day}), 403, "forbidden")
    for timer_s in (day - 1, 3_651 * day, 0, -day, "soon", True):
        problem(ann.put(f"conversations/{group}/timer", {"timer_s": timer_s}), 400, "invalid")
    assert bob.put(f"conversations/{group}/timer", {"timer_s": day}).json()["timer_s"] == day
    assert cat.get(f"conversations/{group}").json()["timer_s"] == day
    # Once more is no news.
    assert ann.put(f"conversations/{group}/timer", {"timer_s": day}).status_code == 200
    assert ann.put(f"conversations/{group}/timer", {"timer_s": None}).json()["timer_s"] is None
    route()
    told = [it["event"] for it in cat.get(f"conversations/{group}/messages").json()["results"] if it["kind"] == "event"]
    assert [it["timer_s"] for it in told if it["type"] == "timer_set"] == [None, day]


def test_both_of_a_dm_set_its_timer(ann: Person, bob: Person) -> None:
    dm = ann.dm(bob)
    for person, timer_s in ((ann, 86_400), (bob, 7 * 86_400)):
        assert person.put(f"conversations/{dm}/timer", {"timer_s": timer_s}).json()["timer_s"] == timer_s


def test_what_is_over_its_time_is_not_shown(ann: Person, bob: Person, route: Route) -> None:
    dm = ann.dm(bob)
    said = [ann.say(dm, text).json()["server_id"] for text in ("old", "new")]
    route()
    conversation, old = ids.parse_server_id(said[0])
    container.conversation_store().expire(conversation, old)
    assert bob.texts(dm) == ["new"]
    body = bob.get(f"conversations/{dm}").json()
    assert body["unread_count"] == 1
    new, horizon = (ids.parse_server_id(ref)[1] for ref in (said[1], body["expired_before"]))
    assert old < horizon <= new
    problem(bob.get(f"messages/{said[0]}"), 404, "not_found")
    problem(ann.patch(f"messages/{said[0]}", {"msg_id": str(uuid4()), "body": "x"}), 404, "not_found")
    problem(bob.put(f"messages/{said[0]}/reactions/👍", None), 404, "not_found")
    problem(bob.put(f"conversations/{dm}/read", {"server_id": said[0]}), 404, "not_found")


def test_malformed_ids_are_absent_ones(ann: Person) -> None:
    for ref in ("x", "c_", "c_AAAAAAAAAAAA", "u_AAAAAAAAAAU", "c_%00", "ü"):
        problem(ann.get(f"conversations/{ref}"), 404, "not_found")


def test_a_large_group_shows_no_members_inline(ann: Person, bob: Person) -> None:
    group = ann.group(bob)
    conversation = ids.parse_conversation(group)
    others = [ids.UserId(number) for number in range(1, 100)]
    container.conversation_store().add_members(
        conversation,
        others,
        role=container.conversation_store().members(conversation, limit=2)[0].role,
        limit=5_000,
        at=ids.MessageId(1),
    )
    body = ann.get(f"conversations/{group}").json()
    assert (body["members"], body["members_count"], body["type"]) == (None, 101, "group")
