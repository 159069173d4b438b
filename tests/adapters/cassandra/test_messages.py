"""What is particular to messages in Cassandra: buckets, crashes between rows, time to live, marks of time."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from messaging.adapters.cassandra import schema
from messaging.adapters.cassandra.connection import EngineSession
from messaging.adapters.cassandra.conversations import CassandraConversationStore
from messaging.adapters.cassandra.layout import pack_dedupe_key, written_us
from messaging.adapters.cassandra.messages import CassandraMessageStore
from messaging.adapters.cassandra.session import CassandraSession
from messaging.domain.ids import ConversationId, DeviceId, MessageId, UserId, in_sub, new_random_id
from messaging.domain.messages import (
    ConversationType,
    DedupeKey,
    MessageChangeKind,
    StoredChange,
    StoredMessage,
    StoredReceipt,
    Unread,
)
from messaging.ports import NewConversation, StoreUnavailable
from tests.adapters.cassandra.conftest import BUCKET_IDS, DAY_IDS, text

ANN, BOB = UserId(11), UserId(22)


def numbers(found: list[StoredMessage]) -> list[int]:
    return [m.message_id for m in found]


def test_reading_walks_the_buckets_that_have_messages(messages: CassandraMessageStore) -> None:
    conversation = ConversationId(5)
    # Three messages each in buckets 0, 1, 7 and 300, and one in each of forty more.
    stored = [bucket * BUCKET_IDS + n for bucket in (0, 1, 7, 300) for n in (1, 2, 3)]
    stored += [(400 + bucket) * BUCKET_IDS for bucket in range(40)]
    messages.upsert([text(conversation, n) for n in stored])
    assert numbers(messages.newest(conversation, limit=1_000)) == stored[::-1]
    assert numbers(messages.newest(conversation, limit=45)) == stored[::-1][:45]
    assert numbers(messages.newest(conversation, before=MessageId(stored[7]), limit=4)) == stored[3:7][::-1]
    assert numbers(messages.newest(conversation, upto=MessageId(stored[8] + 9), limit=3)) == stored[6:9][::-1]
    assert (
        numbers(messages.newest(conversation, after=MessageId(stored[4]), upto=MessageId(stored[9]), limit=99))
        == (stored[5:10][::-1])
    )
    assert numbers(messages.oldest_after(conversation, after=MessageId(stored[1]), limit=6)) == stored[2:8]
    assert numbers(messages.oldest_after(conversation, after=MessageId(0), limit=1_000)) == stored
    assert (
        numbers(messages.oldest_after(conversation, after=MessageId(stored[8]), upto=MessageId(stored[10]), limit=9))
        == (stored[9:11])
    )
    assert messages.newest(conversation, before=MessageId(1), limit=5) == []


def test_more_buckets_than_one_page_of_the_index(messages: CassandraMessageStore) -> None:
    conversation = ConversationId(5)
    stored = [bucket * BUCKET_IDS for bucket in range(1, 150)]
    messages.upsert([text(conversation, n) for n in stored])
    assert numbers(messages.newest(conversation, limit=140)) == stored[::-1][:140]
    assert numbers(messages.oldest_after(conversation, after=MessageId(1), limit=140)) == stored[:140]


def test_unread_is_counted_across_buckets_and_past_ones_own(messages: CassandraMessageStore) -> None:
    conversation = ConversationId(5)
    spread = [text(conversation, bucket * BUCKET_IDS, BOB) for bucket in range(1, 20)]
    # More of one's own than a page holds.
    own = [text(conversation, 20 * BUCKET_IDS + n, ANN) for n in range(150)]
    messages.upsert([*spread, *own])
    assert messages.count_unread(ANN, {conversation: MessageId(0)}, cap=100) == {conversation: Unread(19)}
    assert messages.count_unread(ANN, {conversation: MessageId(10 * BUCKET_IDS)}, cap=100) == {conversation: Unread(9)}
    assert messages.count_unread(ANN, {conversation: MessageId(0)}, cap=5) == {conversation: Unread(5)}
    assert messages.count_unread(BOB, {conversation: MessageId(0)}, cap=100) == {conversation: Unread(100)}


def test_dedupe_rows_live_seven_days(cassandra: CassandraSession, messages: CassandraMessageStore) -> None:
    message = text(5, 9, prev_id=MessageId(8))
    messages.upsert([message])
    key = pack_dedupe_key(DedupeKey(message.conversation_id, message.sender_id, message.client_msg_id))
    [(seconds,)] = cassandra.rows("SELECT TTL(message_id) FROM {ks}.message_dedupe WHERE dedupe_key = ?", (key,))
    assert 7 * 86_400 - 120 < seconds <= 7 * 86_400


def test_what_is_absent_is_not_written(
    cassandra: CassandraSession, cassandra_engine: EngineSession, messages: CassandraMessageStore
) -> None:
    """A null would be a tombstone: read past for ten days. The server counts them."""
    conversations = CassandraConversationStore(cassandra, max_inline=100)
    talk = Talk(conversations, messages)
    talk.again(messages)
    messages.save_receipts([StoredReceipt(talk.id, talk.first.message_id, BOB, DeviceId(1), 1_000)])
    held = talk.first.message_id
    conversations.keep_marks(BOB, DeviceId(1), {talk.id: {0: held, 3: in_sub(held, 3)}})
    pin = StoredChange(talk.id, MessageId(held + 9), held, ANN, uuid4().bytes, MessageChangeKind.PIN, on=True)
    messages.upsert([], changes=[pin])
    conversations.set_hot(talk.id, 2)
    for table in schema.TABLES:
        reading = cassandra_engine().execute(f"SELECT * FROM {cassandra.keyspace}.{table.name}", trace=True)
        steps = [event.description for event in reading.get_query_trace(max_wait_sec=30).events]
        [counted] = [step for step in steps if "tombstone" in step]
        live, tombstones = map(int, re.findall(r"\d+", counted))
        assert (live > 0, tombstones) == (table.name != "dm_pairs", 0), (table.name, counted)


def test_a_record_read_again_does_not_undo_an_edit(
    cassandra: CassandraSession, messages: CassandraMessageStore
) -> None:
    message = text(5, 9 * DAY_IDS)
    messages.upsert([message])
    edit = (
        "UPDATE {ks}.messages USING TIMESTAMP ? SET body = ?"
        " WHERE conversation_id = ? AND bucket = ? AND message_id = ?"
    )
    cassandra.write([(edit, (written_us(message.message_id) + 1, b"edited", 5, 0, message.message_id))])
    # Its dedupe row has expired meanwhile, so that nothing but the times of the writes stands between.
    cassandra.define(f"TRUNCATE {cassandra.keyspace}.message_dedupe")
    messages.upsert([message])
    assert [m.body for m in messages.newest(message.conversation_id, limit=2)] == ["edited"]


def test_the_first_receipt_of_a_device_stands(cassandra: CassandraSession, messages: CassandraMessageStore) -> None:
    at = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp() * 1000)
    first = StoredReceipt(ConversationId(5), MessageId(9), BOB, DeviceId(1), at)
    messages.save_receipts([first])
    messages.save_receipts([replace(first, delivered_at_ms=at + 60_000)])
    earlier = replace(first, device_id=DeviceId(2), delivered_at_ms=at - 5)
    messages.save_receipts([replace(earlier, delivered_at_ms=at), earlier])
    rows = cassandra.rows(
        "SELECT device_id, delivered_at FROM {ks}.receipts WHERE conversation_id = ? AND message_id = ?", (5, 9)
    )
    assert {device: round(moment.replace(tzinfo=UTC).timestamp() * 1000) for device, moment in rows} == {
        1: at,
        2: at - 5,
    }


# --- crashes ------------------------------------------------------------------------------------


class Talk:
    """A conversation of Ann and Bob, and a poll of messages and changes that opens a day and a bucket in it."""

    def __init__(self, conversations: CassandraConversationStore, messages: CassandraMessageStore) -> None:
        new = NewConversation(ConversationId(new_random_id()), ConversationType.GROUP_SMALL, ANN, (ANN, BOB))
        self.id = conversations.create(new)[0].id
        self.first = text(self.id, 800 * DAY_IDS)
        messages.upsert([self.first])
        prev, self.poll = self.first.message_id, []
        for n in range(3):
            self.poll.append(text(self.id, 900 * DAY_IDS + n, BOB, prev_id=prev))
            prev = self.poll[-1].message_id
        self.changes = []
        for n, (target, what) in enumerate(
            [
                (self.first.message_id, {"kind": MessageChangeKind.EDIT, "body": "edited"}),
                (self.poll[0].message_id, {"kind": MessageChangeKind.REACT, "emoji": "👍", "on": True, "count": 1}),
                (self.poll[1].message_id, {"kind": MessageChangeKind.DELETE}),
            ]
        ):
            number = MessageId(900 * DAY_IDS + 3 + n)
            self.changes.append(StoredChange(self.id, number, target, ANN, uuid4().bytes, prev_id=prev, **what))  # type: ignore[arg-type]
            prev = number

    def again(self, messages: CassandraMessageStore) -> None:
        """Store the poll as the router does when it reads it again: with the ``prev`` that is known by then."""
        placed = messages.find_placed(self.keys)
        rows = []
        for m in self.poll:
            at = placed.get(DedupeKey(m.conversation_id, m.sender_id, m.client_msg_id))
            assert at is None or at.message_id == m.message_id
            rows.append(replace(m, prev_id=m.prev_id if at is None else at.prev_id))
        changes = []
        for c in self.changes:
            at = placed.get(DedupeKey(c.conversation_id, c.actor_id, c.client_msg_id))
            assert at is None or at.message_id == c.change_id
            changes.append(replace(c, prev_id=c.prev_id if at is None else at.prev_id))
        messages.upsert(rows, changes=changes, placed=placed)

    @property
    def keys(self) -> list[DedupeKey]:
        of_messages = [DedupeKey(m.conversation_id, m.sender_id, m.client_msg_id) for m in self.poll]
        return [*of_messages, *(DedupeKey(c.conversation_id, c.actor_id, c.client_msg_id) for c in self.changes)]

    def found(self, messages: CassandraMessageStore, conversations: CassandraConversationStore) -> dict[str, Any]:
        """All that anybody can find of the poll."""
        newest = messages.newest(self.id, limit=9)
        return {
            "messages": [(m.message_id, m.text, m.prev_id, m.edit_id, m.delete_id) for m in newest],
            "changes": [(c.change_id, c.kind, c.body, c.prev_id) for c in messages.newest_changes(self.id, limit=9)],
            "reactions": [
                tally
                for tallies in messages.reactions([(self.id, m.message_id) for m in newest], viewer=ANN).values()
                for tally in tallies
            ],
            "placed": sorted((at.message_id, at.prev_id) for at in messages.find_placed(self.keys).values()),
            "last": conversations.get([self.id])[self.id].last_message_id,
            "last row": dict(conversations.get([self.id])[self.id].mark),
            "active": conversations.active_since(ANN, MessageId(850 * DAY_IDS), limit=99).count(self.id),
            "unread": messages.count_unread(ANN, {self.id: self.first.message_id}, cap=9)[self.id].count,
        }


@pytest.mark.parametrize("applied", [False, True], ids=["before", "after"])
def test_a_crash_at_any_request_is_made_good_by_repeating(
    applied: bool,
    messages: CassandraMessageStore,
    conversations: CassandraConversationStore,
    breaking: Callable[..., Any],
) -> None:
    whole = Talk(conversations, messages)
    counting, driver = breaking(1_000)
    whole.again(CassandraMessageStore(counting))
    wanted = whole.found(messages, conversations)
    assert len(wanted["messages"]) == 4
    assert (wanted["active"], wanted["unread"], len(wanted["placed"])) == (1, 3, 6)
    assert (len(wanted["changes"]), len(wanted["reactions"])) == (3, 1)
    assert driver.requests >= 17
    for after in range(1, driver.requests + 1):
        talk = Talk(conversations, messages)
        session, _ = breaking(after, applied=applied)
        with pytest.raises(StoreUnavailable):
            talk.again(CassandraMessageStore(session))
        meanwhile = talk.found(messages, conversations)
        # What is said to be the last message is there, and so are all before it.
        if meanwhile["last"] != talk.first.message_id:
            assert len(meanwhile["messages"]) == 4
        talk.again(messages)
        assert talk.found(messages, conversations) == wanted, f"after request {after}"
