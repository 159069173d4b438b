"""Mentions by REST: what is carried, who may mention all, and what the list of conversations tells of it."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from chatproject import container
from messaging.domain import ids
from messaging.domain.ids import ConversationId
from messaging.domain.messages import ConversationType, Role
from messaging.ports import NewConversation
from tests.api.conftest import Person, problem

pytestmark = pytest.mark.django_db
Route = Callable[[], None]


def newest(person: Person, conversation: str) -> Any:
    return person.get(f"conversations/{conversation}/messages").json()["results"][0]


def is_mentioned(person: Person) -> bool:
    return bool(person.get("conversations").json()["results"][0]["mentioned"])


def test_a_mention_is_carried_and_told_until_it_is_read(ann: Person, bob: Person, cat: Person, route: Route) -> None:
    group = ann.group(bob, cat)
    ann.say(group, "@bob and all", mentions=[bob.ref, "all", bob.ref])
    route()
    said = newest(cat, group)
    assert said["mentions"] == [bob.ref, "all"]
    assert (is_mentioned(bob), is_mentioned(cat), is_mentioned(ann)) == (True, True, False)
    bob.put(f"conversations/{group}/read", {"server_id": said["server_id"]})
    container.conversation_store().mark_read([(bob.id, *ids.parse_server_id(said["server_id"]))])
    assert not is_mentioned(bob)


def test_an_edit_brings_mentions_of_its_own(ann: Person, bob: Person, cat: Person, route: Route) -> None:
    group = ann.group(bob, cat)
    server_id = ann.say(group, "@bob", mentions=[bob.ref]).json()["server_id"]
    route()
    body = {"msg_id": str(uuid4()), "body": "@cat", "mentions": [cat.ref]}
    assert ann.patch(f"messages/{server_id}", body).status_code == 200
    route()
    assert newest(bob, group)["mentions"] == [cat.ref]
    assert (is_mentioned(bob), is_mentioned(cat)) == (False, True)
    assert ann.delete(f"messages/{server_id}").status_code == 204
    route()
    assert newest(bob, group)["mentions"] == []
    assert not is_mentioned(cat)


def test_who_is_no_member_is_not_mentioned(ann: Person, bob: Person, cat: Person, route: Route) -> None:
    group = ann.group(bob)
    assert ann.say(group, "@cat @bob", mentions=[cat.ref, bob.ref]).status_code == 201
    route()
    assert newest(bob, group)["mentions"] == [bob.ref]


def test_what_no_mention_can_be_is_refused(ann: Person, bob: Person, route: Route) -> None:
    group, dm = ann.group(bob), ann.dm(bob)
    problem(ann.say(group, mentions=["bob"]), 400, "invalid")
    problem(ann.say(group, mentions=[bob.ref] * 51), 413, "too_large")
    problem(ann.say(group, mentions="all"), 400, "invalid")
    problem(ann.say(dm, mentions=["all"]), 400, "invalid")
    assert ann.say(dm, mentions=[bob.ref] * 50).status_code == 201


def test_all_of_a_large_group_are_for_its_admins_to_mention(
    ann: Person, bob: Person, cat: Person, route: Route
) -> None:
    store = container.conversation_store()
    people = (ann.id, bob.id, cat.id)
    new = NewConversation(ConversationId(ids.new_random_id()), ConversationType.GROUP_LARGE, ann.id, people, "Large")
    conversation = store.create(new)[0].id
    group = ids.conversation_ref(conversation)
    store.set_role(cat.id, conversation, Role.ADMIN)
    problem(bob.say(group, mentions=["all"]), 403, "forbidden")
    server_id = bob.say(group, "hello").json()["server_id"]
    route()
    body = {"msg_id": str(uuid4()), "body": "hello all", "mentions": ["all"]}
    problem(bob.patch(f"messages/{server_id}", body), 403, "forbidden")
    sent = cat.say(group, mentions=["all"], msg_id=(msg_id := str(uuid4())))
    assert sent.status_code == 201
    route()
    assert newest(bob, group)["mentions"] == ["all"]
    store.set_role(cat.id, conversation, Role.MEMBER)
    again = cat.say(group, mentions=["all"], msg_id=msg_id)
    assert (again.status_code, again.json()["server_id"]) == (200, sent.json()["server_id"])
