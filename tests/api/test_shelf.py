"""Where one keeps a conversation, by REST: put away, on top, marked as unread."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from chatproject import container
from messaging.domain.ids import parse_server_id
from tests.api.conftest import Person, problem

pytestmark = pytest.mark.django_db
Route = Callable[[], None]


def shelve(person: Person, conversation: str, **where: Any) -> Any:
    return person.patch(f"conversations/{conversation}/shelf", where)


def kept(person: Person, conversation: str) -> tuple[bool, bool, bool]:
    it = person.get(f"conversations/{conversation}").json()
    [listed] = [one for one in person.get("conversations").json()["results"] if one["id"] == conversation]
    assert listed == it
    return it["archived"], it["pinned"], it["marked_unread"]


def test_what_is_put_away_comes_back_with_the_next_message(ann: Person, bob: Person, route: Route) -> None:
    dm = ann.dm(bob)
    ann.say(dm)
    route()
    answer = shelve(ann, dm, archived=True)
    assert (answer.status_code, answer.json()["archived"]) == (200, True)
    assert (kept(ann, dm), kept(bob, dm)) == ((True, False, False), (False, False, False))
    bob.say(dm)
    route()
    assert kept(ann, dm)[0] is False
    shelve(ann, dm, archived=True)
    assert shelve(ann, dm, archived=False).json()["archived"] is False


def test_what_is_put_away_and_muted_stays_away(ann: Person, bob: Person, route: Route) -> None:
    dm = ann.dm(bob)
    until = timezone.now() + timedelta(hours=1)
    ann.put(f"conversations/{dm}/mute", {"until": until.isoformat()})
    shelve(ann, dm, archived=True)
    bob.say(dm)
    route()
    assert kept(ann, dm)[0] is True
    ann.put(f"conversations/{dm}/mute", {"until": None})
    assert kept(ann, dm)[0] is False


def test_marked_as_unread_until_something_newer_is_read(ann: Person, bob: Person, route: Route) -> None:
    dm = ann.dm(bob)
    said = bob.say(dm).json()["server_id"]
    route()
    ann.put(f"conversations/{dm}/read", {"server_id": said})
    route()
    assert shelve(ann, dm, marked_unread=True).json()["marked_unread"] is True
    newer = bob.say(dm).json()["server_id"]
    route()
    assert kept(ann, dm)[2] is True
    container.conversation_store().mark_read([(ann.id, *parse_server_id(newer))])
    assert kept(ann, dm)[2] is False
    shelve(ann, dm, marked_unread=True)
    assert shelve(ann, dm, marked_unread=False).json()["marked_unread"] is False


def test_pinned_ones_are_listed_alone(ann: Person, bob: Person, cat: Person) -> None:
    first, second = ann.dm(bob), ann.dm(cat)
    shelve(ann, first, pinned=True)
    assert [one["id"] for one in ann.get("conversations", pinned="true").json()["results"]] == [first]
    assert len(ann.get("conversations", pinned="false").json()["results"]) == 2
    problem(ann.get("conversations", pinned="yes"), 400, "invalid")
    assert kept(ann, second) == (False, False, False)


def test_so_many_may_be_pinned(ann: Person, bob: Person, settings: Any) -> None:
    settings.LIMITS = replace(settings.LIMITS, max_pinned_conversations=1)
    first, second = ann.group(bob), ann.group(bob)
    assert shelve(ann, first, pinned=True).status_code == 200
    assert shelve(ann, first, pinned=True).status_code == 200
    problem(shelve(ann, second, pinned=True), 409, "conflict")
    shelve(ann, first, pinned=False)
    assert shelve(ann, second, pinned=True).status_code == 200


def test_only_members_have_a_shelf_there(ann: Person, bob: Person, cat: Person) -> None:
    problem(shelve(cat, ann.dm(bob), pinned=True), 404, "not_found")
    problem(shelve(cat, "c_nonsense", pinned=True), 404, "not_found")
    problem(shelve(ann, ann.dm(bob), pinned="perhaps"), 400, "invalid")
