"""Edits, deletions, reactions and forwarding by REST."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from chatproject import container
from messaging.domain import ids
from messaging.domain.ids import MessageId
from tests.api.conftest import Person, problem

pytestmark = pytest.mark.django_db
Route = Callable[[], None]


def edit(person: Person, server_id: str, body: str, msg_id: str | None = None) -> Any:
    return person.patch(f"messages/{server_id}", {"msg_id": msg_id or str(uuid4()), "body": body})


def react(person: Person, server_id: str, emoji: str = "👍", *, on: bool = True) -> Any:
    path = f"messages/{server_id}/reactions/{quote(emoji)}"
    return person.put(path, None) if on else person.delete(path)


def shown(person: Person, server_id: str) -> Any:
    return person.get(f"messages/{server_id}").json()


def changes(conversation: str) -> int:
    found = container.message_store().newest_changes(ids.parse_conversation(conversation), limit=100)
    return len(found)


@pytest.fixture
def dm(ann: Person, bob: Person) -> str:
    return ann.dm(bob)


@pytest.fixture
def said(ann: Person, dm: str, route: Route) -> str:
    server_id = str(ann.say(dm, "helo").json()["server_id"])
    route()
    return server_id


def test_an_edit_shows_everywhere(ann: Person, bob: Person, dm: str, said: str, route: Route) -> None:
    msg_id = str(uuid4())
    first = edit(ann, said, "hello", msg_id)
    route()
    again = edit(ann, said, "hello", msg_id)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json()
    assert first.json()["msg_id"] == msg_id
    page = bob.get(f"conversations/{dm}/messages").json()
    row = page["results"][0]
    assert (row["server_id"], row["body"], row["edited_at"]) == (said, "hello", first.json()["ts"])
    assert page["mark"] == first.json()["server_id"]
    assert shown(bob, said) == row
    [conversation] = bob.get("conversations").json()["results"]
    assert conversation["last_message"] == row | {"reactions": []}
    assert conversation["unread_count"] == 1


def test_a_deletion_leaves_a_place(ann: Person, bob: Person, dm: str, said: str, route: Route) -> None:
    react(bob, said)
    route()
    for _ in range(2):
        assert ann.delete(f"messages/{said}").status_code == 204
        route()
    assert changes(dm) == 2
    row = shown(bob, said)
    assert (row["deleted"], row["body"], row["media"], row["reactions"], row["edited_at"]) == (True, "", [], [], None)
    assert bob.get("conversations").json()["results"][0]["last_message"]["deleted"] is True
    assert bob.get("conversations").json()["results"][0]["unread_count"] == 1
    problem(edit(ann, said, "back"), 409, "conflict")
    problem(react(bob, said), 409, "conflict")


def test_deleting_twice_at_once_is_one_deletion(ann: Person, dm: str, said: str, route: Route) -> None:
    assert {ann.delete(f"messages/{said}").status_code for _ in range(2)} == {204}
    route()
    assert changes(dm) == 1


def test_reactions_are_set_and_taken_back(ann: Person, bob: Person, dm: str, said: str, route: Route) -> None:
    for person, emoji in ((ann, "👍"), (bob, "👍"), (bob, "3️⃣")):
        assert react(person, said, emoji).status_code == 204
        route()
    assert react(bob, said).status_code == 204, "what is so already costs no record"
    route()
    assert changes(dm) == 3
    assert shown(ann, said)["reactions"] == [
        {"emoji": "👍", "count": 2, "mine": True, "users": [ann.ref, bob.ref]},
        {"emoji": "3️⃣", "count": 1, "mine": False, "users": [bob.ref]},
    ]
    for _ in range(2):
        assert react(bob, said, on=False).status_code == 204
        route()
    assert changes(dm) == 4
    assert [it["count"] for it in shown(ann, said)["reactions"]] == [1, 1]
    problem(react(ann, said, "x"), 400, "invalid")


def test_who_may_what(ann: Person, bob: Person, cat: Person, dm: str, said: str) -> None:
    problem(edit(bob, said, "x"), 403, "forbidden")
    problem(bob.delete(f"messages/{said}"), 403, "forbidden")
    for path in (said, ids.server_id(9, 9), "m_x"):
        problem(cat.get(f"messages/{path}"), 404, "not_found")
        problem(edit(cat, path, "x"), 404, "not_found")
        problem(cat.delete(f"messages/{path}"), 404, "not_found")
        problem(react(cat, path), 404, "not_found")
    problem(edit(ann, said, " "), 400, "invalid")
    problem(edit(ann, said, "x", "no uuid"), 400, "invalid")
    problem(ann.delete(f"messages/{said}?msg_id=x"), 400, "invalid")


def test_a_block_stops_edits_and_reactions_but_not_deletions(ann: Person, bob: Person, said: str, route: Route) -> None:
    assert bob.put(f"blocks/{ann.ref}", None).status_code in (200, 201, 204)
    problem(edit(ann, said, "x"), 403, "blocked")
    problem(react(ann, said), 403, "blocked")
    assert ann.delete(f"messages/{said}").status_code == 204
    route()
    assert shown(ann, said)["deleted"] is True


def test_the_mark_of_a_page_is_the_newest_row_that_one_may_see(
    ann: Person, bob: Person, cat: Person, route: Route
) -> None:
    group = ann.group(bob)
    said = ann.say(group).json()["server_id"]
    route()
    edit(ann, said, "x")
    route()
    ann.post(f"conversations/{group}/members", {"members": [cat.ref]})
    page = cat.get(f"conversations/{group}/messages").json()
    assert (page["results"], page["mark"]) == ([], None)
    route()
    page = cat.get(f"conversations/{group}/messages").json()
    assert page["mark"] == page["results"][0]["server_id"]


def test_a_message_is_forwarded(ann: Person, bob: Person, cat: Person, said: str, route: Route) -> None:
    dm = ann.dm(cat)
    sent = ann.say(dm, "helo", forwarded_from=said)
    assert sent.status_code == 201
    route()
    assert shown(cat, sent.json()["server_id"])["forwarded"] is True
    assert said not in str(shown(cat, sent.json()["server_id"]))
    problem(cat.say(dm, "x", forwarded_from=said), 404, "not_found")
    problem(ann.say(dm, "x", forwarded_from="x"), 400, "invalid")
    ann.delete(f"messages/{said}")
    route()
    problem(ann.say(dm, "x", forwarded_from=said), 409, "conflict")


def test_what_was_first_written_is_kept_and_not_shown(
    ann: Person, bob: Person, dm: str, said: str, route: Route
) -> None:
    edit(ann, said, "hello")
    route()
    conversation, message = ids.parse_server_id(said)
    row = container.message_store().get([(conversation, MessageId(message))])[conversation, MessageId(message)]
    assert row.body == "helo"
    pages = [bob.get(f"conversations/{dm}/messages").json(), bob.get("conversations").json(), shown(bob, said)]
    assert "helo'" not in str(pages)
