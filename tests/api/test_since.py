"""A place in a conversation by its time."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest

from chatproject import container
from messaging.domain.ids import ConversationId, first_id_at, parse_conversation, server_id
from messaging.domain.messages import StoredMessage
from tests.api.conftest import Person, problem

pytestmark = pytest.mark.django_db

MARCH = datetime(2026, 3, 1, tzinfo=UTC)


def said_at(person: Person, conversation: ConversationId, at: datetime, text: str) -> str:
    """Store what somebody said at a moment; return its id."""
    number = first_id_at(int(at.timestamp() * 1000))
    container.message_store().upsert([StoredMessage(conversation, number, person.id, uuid4().bytes, text)])
    return server_id(conversation, number)


def since(person: Person, conversation: str, at: datetime | str) -> Any:
    return person.get(f"conversations/{conversation}/since", at=at if isinstance(at, str) else at.isoformat())


def test_the_first_message_at_or_after_a_moment(ann: Person, bob: Person) -> None:
    dm = ann.dm(bob)
    days = [said_at(ann, parse_conversation(dm), MARCH + timedelta(days=day), f"day {day}") for day in (0, 2, 40)]
    for day, found in ((-700, 0), (0, 0), (1, 1), (2, 1), (3, 2), (40, 2)):
        answer = since(bob, dm, MARCH + timedelta(days=day)).json()
        assert answer["server_id"] == days[found], day
        assert answer == bob.get(f"messages/{days[found]}").json()
    problem(since(bob, dm, MARCH + timedelta(days=41)), 404, "not_found")
    # A zone is a part of it: a day begins earlier in the east.
    east = datetime(2026, 3, 3, 1, tzinfo=timezone(timedelta(hours=2)))
    assert since(bob, dm, east).json()["server_id"] == days[1]


def test_what_a_member_may_not_see_is_not_found(ann: Person, bob: Person, cat: Person) -> None:
    group = ann.group(bob)
    conversation = parse_conversation(group)
    for day in range(3):
        said_at(ann, conversation, MARCH + timedelta(days=day), "x")
    problem(since(cat, group, MARCH), 404, "not_found")
    container.conversation_store().expire(conversation, first_id_at(int((MARCH.timestamp() + 86_400) * 1000)))
    assert since(bob, group, MARCH).json()["ts"] == int((MARCH.timestamp() + 2 * 86_400) * 1000)


@pytest.mark.parametrize("at", ["", "x", "2026-03-01", "2026-03-01T00:00:00", "5", "2026-13-01T00:00:00Z"])
def test_a_moment_has_its_zone(ann: Person, bob: Person, at: str) -> None:
    problem(since(ann, ann.dm(bob), at), 400, "invalid")


@pytest.mark.parametrize(
    "at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]
)
def test_the_ends_of_time_are_answered(ann: Person, bob: Person, at: str) -> None:
    assert since(ann, ann.dm(bob), at).status_code in (400, 404)
