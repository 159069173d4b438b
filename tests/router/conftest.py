"""Records as the log would give them, and the stores that the router writes to."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest

from chatproject import container
from messaging.domain import events, ids
from messaging.domain.events import ChangeKind, ConversationChanged, MessageSent
from messaging.domain.ids import ConversationId, MessageId, UserId
from messaging.domain.messages import Conversation, StoredMessage
from messaging.ports import TOPIC_MESSAGES, Record
from messaging.router.apply import Applied, Applier

#: A moment of 2027; later records are a second apart.
START_MS = 1_800_000_000_000


class Talk:
    """One conversation, and the records that are written about it."""

    _next_offset = 0

    def __init__(self, conversation: Conversation, *people: Any) -> None:
        self.id = conversation.id
        self.people = [UserId(person.pk) for person in people]

    def record(
        self, payload: bytes, *, key: bytes | None = None, ts_ms: int | None = None, topic: str = TOPIC_MESSAGES
    ) -> Record:
        """Return the record at the next place of the log, which all talks of a test share."""
        offset = Talk._next_offset
        Talk._next_offset += 1
        key = self.id.to_bytes(8, "big") if key is None else key
        return Record(topic, 0, offset, START_MS + 1_000 * offset if ts_ms is None else ts_ms, key, payload)

    def said(self, sender: UserId, body: str = "hello", *, msg_id: UUID | None = None, **more: Any) -> Record:
        return self.record(events.encode(MessageSent(sender, (msg_id or uuid4()).bytes, body, **more)))

    def changed(self, actor: UserId, change: ChangeKind, *users: UserId, **more: Any) -> Record:
        return self.record(events.encode(ConversationChanged(actor, change, uuid4().bytes, list(users), **more)))

    def stored(self) -> list[StoredMessage]:
        """What the store holds, oldest first."""
        return container.message_store().oldest_after(self.id, after=MessageId(0), limit=1_000)


def id_of(record: Record) -> MessageId:
    _, sub = ids.parse_record_key(record.key)
    return ids.message_id_at(ts_ms=record.ts_ms, sub=sub, offset=record.offset)


def ref_of(talk: Talk, record: Record) -> str:
    return ids.server_id(talk.id, id_of(record))


def frames_for(applied: Applied, user: UserId) -> list[Any]:
    """Return the frames that a user's sockets get, in their order."""
    return [
        event.own if event.own is not None and event.author == user else event.frame
        for event in applied.deliveries
        if user in event.users
    ]


Apply = Callable[..., Applied]


@pytest.fixture
def restart(db: None) -> Callable[[], Apply]:
    """Return a function that gives the ``apply`` of a router which has just started: it remembers nothing."""

    def start() -> Apply:
        applier = Applier(messages=container.message_store(), conversations=container.conversation_store())

        def apply(*records: Record) -> Applied:
            return applier.apply(records)

        return apply

    return start


@pytest.fixture
def apply(restart: Callable[[], Apply]) -> Apply:
    return restart()


@pytest.fixture
def group(make_user: Any, make_group: Any) -> Talk:
    """Ann's group with Bob and Cat."""
    people = [make_user(name) for name in ("ann", "bob", "cat")]
    return Talk(make_group(*people), *people)


@pytest.fixture
def dm(make_user: Any, make_dm: Any) -> Talk:
    people = [make_user(name) for name in ("dan", "eve")]
    return Talk(make_dm(*people), *people)


def everybody(conversation: ConversationId) -> frozenset[UserId]:
    members = container.conversation_store().get([conversation])[conversation].members
    assert members is not None
    return members


def ended(talk: Talk, users: Sequence[UserId], record: Record) -> None:
    """End memberships as the service does: right after its record is in the log, before the router reads it."""
    for user in users:
        container.conversation_store().end_membership(user, talk.id, at=id_of(record))
