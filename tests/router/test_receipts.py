"""Receipts: stored, and told to those whom they concern."""

from typing import Any, Literal

import msgspec
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chatproject import container
from messaging.domain import events, frames, ids
from messaging.domain.authors import Authors
from messaging.domain.events import Receipt, ReceiptBatch
from messaging.domain.ids import ConversationId, DeviceId, MessageId, UserId
from messaging.domain.messages import Role
from messaging.ports import TOPIC_RECEIPTS, Record
from messaging.router.apply import Applied
from messaging.router.receipts import ReceiptApplier
from tests.router.conftest import START_MS, Apply, Talk, id_of

pytestmark = pytest.mark.django_db

PHONE = DeviceId(77)


class Receipts:
    """The receipts' side of a router that has just started."""

    def __init__(self) -> None:
        self._applier = ReceiptApplier(
            messages=container.message_store(), conversations=container.conversation_store(), authors=Authors()
        )
        self._offset = 0

    def record(self, payload: bytes) -> Record:
        self._offset += 1
        return Record(TOPIC_RECEIPTS, 0, self._offset, START_MS, b"pod", payload)

    def apply(self, *receipts: Receipt) -> list[events.Deliver]:
        return self._applier.apply([self.record(events.encode(ReceiptBatch(list(receipts))))]).deliveries

    def apply_records(self, *records: Record) -> Applied:
        return self._applier.apply(records)


def receipt(
    kind: Literal["delivered", "read"], talk: Talk, message: MessageId, user: UserId, at_ms: int = 1_000
) -> Receipt:
    return Receipt(kind, talk.id, message, user, PHONE, at_ms)


def delivered_rows(talk: Talk) -> set[tuple[int, int, int]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT message_id, user_id, delivered_at_ms FROM receipts WHERE conversation_id = %s", [talk.id]
        )
        return {(row[0], row[1], row[2]) for row in cursor.fetchall()}


def read_mark(talk: Talk, user: UserId) -> int:
    place = container.conversation_store().membership(user, talk.id)
    assert place is not None
    return place.last_read_id


@pytest.fixture
def receipts(db: None) -> Receipts:
    return Receipts()


def test_a_delivery_is_stored_and_told_to_the_author_alone(apply: Apply, receipts: Receipts, group: Talk) -> None:
    ann, bob, _ = group.people
    record = group.said(ann)
    apply(record)
    [told] = receipts.apply(receipt("delivered", group, id_of(record), bob, 5_000))
    assert told.users == [ann]
    assert told.ephemeral
    assert told.frame == frames.DeliveredEvent(ids.server_id(group.id, id_of(record)), ids.user_ref(bob), 5_000)
    assert delivered_rows(group) == {(id_of(record), bob, 5_000)}


def test_the_authors_own_devices_deliver_nothing(apply: Apply, receipts: Receipts, group: Talk) -> None:
    ann = group.people[0]
    record = group.said(ann)
    apply(record)
    assert receipts.apply(receipt("delivered", group, id_of(record), ann)) == []
    assert delivered_rows(group) == set()


def test_a_reading_is_stored_and_told_to_all(apply: Apply, receipts: Receipts, group: Talk) -> None:
    ann, bob, cat = group.people
    record = group.said(ann)
    apply(record)
    [told] = receipts.apply(receipt("read", group, id_of(record), bob, 5_000))
    assert set(told.users) == {ann, bob, cat}
    assert told.ephemeral
    assert told.frame == frames.ReadEvent(ids.server_id(group.id, id_of(record)), ids.user_ref(bob), 5_000)
    assert read_mark(group, bob) == id_of(record)
    assert read_mark(group, cat) == 0


def test_of_many_readings_the_newest_counts(apply: Apply, receipts: Receipts, group: Talk) -> None:
    ann, bob, _ = group.people
    records = [group.said(ann) for _ in range(3)]
    apply(*records)
    order = [records[0], records[2], records[1]]
    told = receipts.apply(*(receipt("read", group, id_of(record), bob) for record in order))
    assert [event.frame for event in told] == [
        frames.ReadEvent(ids.server_id(group.id, id_of(records[2])), ids.user_ref(bob), 1_000)
    ]
    receipts.apply(receipt("read", group, id_of(records[0]), bob))
    assert read_mark(group, bob) == id_of(records[2]), "never back"


def test_a_receipt_for_what_does_not_exist_has_no_effect(apply: Apply, receipts: Receipts, group: Talk) -> None:
    bob = group.people[1]
    future = MessageId(ids.MAX_ID)
    nowhere = Receipt("read", ConversationId(5), MessageId(5), bob, PHONE, 1)
    assert receipts.apply(
        receipt("read", group, future, bob), receipt("delivered", group, future, bob), nowhere
    ) == []  # fmt: skip
    assert delivered_rows(group) == set()
    assert read_mark(group, bob) == 0, "a mark in the future would hide what comes"


def test_who_left_is_told_nothing_and_tells_nothing(apply: Apply, receipts: Receipts, group: Talk) -> None:
    ann, bob, cat = group.people
    record = group.said(ann)
    apply(record, group.changed(ann, "member_left", ann))
    assert receipts.apply(receipt("delivered", group, id_of(record), bob)) == [], "the author is gone"
    [told] = receipts.apply(receipt("read", group, id_of(record), bob))
    assert set(told.users) == {bob, cat}
    assert receipts.apply(
        receipt("read", group, id_of(record), ann), receipt("delivered", group, id_of(record), UserId(5))
    ) == []  # fmt: skip


def test_an_author_that_the_pod_names_is_not_looked_up(receipts: Receipts, group: Talk) -> None:
    """The router of the receipt need not be that of the message: this one does not know it, nor does the store."""
    ann, bob, _ = group.people
    message = MessageId(7)
    unknown = receipt("delivered", group, message, bob)
    assert receipts.apply(unknown) == []
    [told] = receipts.apply(msgspec.structs.replace(unknown, author=ann))
    assert told.users == [ann]
    assert delivered_rows(group) == {(message, bob, 1_000)}


def test_deliveries_go_by_who_was_a_member_a_moment_ago(
    apply: Apply, receipts: Receipts, group: Talk, make_user: Any
) -> None:
    """But who has joined since is one, and readings go by who is one now."""
    ann, bob, cat = group.people
    record = group.said(ann)
    apply(record)
    known = msgspec.structs.replace(receipt("delivered", group, id_of(record), bob), author=ann)
    assert len(receipts.apply(known)) == 1
    with CaptureQueriesContext(connection) as queries:
        assert len(receipts.apply(known)) == 1
    assert not [query for query in queries if "conversation" in query["sql"] and "receipts" not in query["sql"]]
    eve = UserId(make_user("eve").pk)
    apply(group.changed(ann, "member_added", eve), group.changed(ann, "member_removed", cat))
    assert len(receipts.apply(receipt("delivered", group, id_of(record), eve))) == 1
    [told] = receipts.apply(receipt("read", group, id_of(record), bob))
    assert set(told.users) == {ann, bob, eve}


def test_a_large_group_hears_no_receipts_but_the_readers_own_devices_do(
    apply: Apply, receipts: Receipts, group: Talk
) -> None:
    ann, bob, _ = group.people
    strangers = [UserId(number) for number in range(1, 101)]
    container.conversation_store().add_members(
        group.id, strangers, role=Role.MEMBER, limit=5_000, at=id_of(group.said(ann))
    )
    record = group.said(ann)
    apply(record)
    assert receipts.apply(receipt("delivered", group, id_of(record), bob)) == []
    assert delivered_rows(group) == set(), "nor is it kept"
    [told] = receipts.apply(receipt("read", group, id_of(record), bob))
    assert told.users == [bob]


def test_reading_the_same_receipts_again_changes_nothing(apply: Apply, receipts: Receipts, group: Talk) -> None:
    ann, bob, cat = group.people
    record = group.said(ann)
    apply(record)
    batch = [receipt("delivered", group, id_of(record), user) for user in (bob, cat)]
    batch.append(receipt("read", group, id_of(record), bob))
    first = receipts.apply(*batch)
    stored = delivered_rows(group), read_mark(group, bob)
    again = Receipts().apply(*batch)
    assert (delivered_rows(group), read_mark(group, bob)) == stored
    assert [(set(event.users), event.frame) for event in again] == [(set(event.users), event.frame) for event in first]


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"\x91\x91\x96\xa4rea\xff"])
def test_poison_is_put_aside(apply: Apply, receipts: Receipts, group: Talk, payload: bytes) -> None:
    ann, bob, _ = group.people
    record = group.said(ann)
    apply(record)
    good: Any = events.encode(ReceiptBatch([receipt("read", group, id_of(record), bob)]))
    bad = receipts.record(payload)
    applied = receipts.apply_records(bad, receipts.record(good))
    assert [record for record, _ in applied.poison] == [bad]
    assert len(applied.deliveries) == 1
