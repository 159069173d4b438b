"""A record that nobody can read goes aside with its reason, and what comes after it goes on."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from chatproject import container, runtime
from messaging.domain import events
from messaging.domain.ids import UserId
from messaging.ports import TOPIC_DEAD, TOPIC_MESSAGES, TOPIC_RECEIPTS, MessageLog, NewRecord, Record
from messaging.services.send import message_record, validate_send
from tests.conftest import outside_the_loop

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.logs_errors]


@pytest.fixture
async def log(transactional_db: None) -> AsyncIterator[MessageLog]:
    """The log, with a router that reads it."""
    await runtime.start(frozenset({runtime.ROUTER}))
    yield container.message_log()
    await runtime.stop()


async def buried(log: MessageLog, count: int) -> list[tuple[Record, events.DeadRecord]]:
    """Return the first ``count`` dead letters."""
    reader = log.reader(TOPIC_DEAD, group="tests")
    found: list[Record] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            found += await reader.poll(max_records=10, timeout_s=5)
    await reader.close()
    return [(record, msgspec.msgpack.decode(record.payload, type=events.DeadRecord)) for record in found]


async def test_a_message_behind_a_poison_record_is_stored(log: MessageLog, make_user: Any, make_dm: Any) -> None:
    ann, bob = make_user(), make_user()
    conversation = make_dm(ann, bob)
    key = conversation.id.to_bytes(8, "big")
    poison = await log.append(NewRecord(TOPIC_MESSAGES, key, b"\xc1 not MessagePack"))
    message = validate_send(
        sender=UserId(ann.pk),
        conversation=conversation.id,
        msg_id="00000000-0000-4000-8000-000000000001",
        body="after it",
        media=[],
        reply_to=None,
        limits=container.limits(),
    )
    await log.append(message_record(message))

    ((record, dead),) = await buried(log, 1)
    assert (dead.topic, dead.partition, dead.offset) == (TOPIC_MESSAGES, poison.partition, poison.offset)
    assert (record.key, dead.payload) == (key, b"\xc1 not MessagePack")
    assert "malformed" in dead.reason
    async with asyncio.timeout(10):
        # The router's commit is nobody's event.
        while await log.lag(TOPIC_MESSAGES, group="router"):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    newest = outside_the_loop(lambda: container.message_store().newest(conversation.id, limit=10))
    assert [row.body for row in newest] == ["after it"]


async def test_receipts_that_cannot_be_read_go_aside_too(log: MessageLog) -> None:
    first = await log.append(NewRecord(TOPIC_RECEIPTS, b"pod", b"\xc1"))
    second = await log.append(NewRecord(TOPIC_RECEIPTS, b"pod", msgspec.msgpack.encode(["nonsense"])))
    letters = await buried(log, 2)
    assert [(dead.topic, dead.offset) for _, dead in letters] == [
        (TOPIC_RECEIPTS, first.offset),
        (TOPIC_RECEIPTS, second.offset),
    ]
    assert all(dead.reason for _, dead in letters)


async def test_a_large_one_is_cut_so_that_it_fits(log: MessageLog) -> None:
    await log.append(NewRecord(TOPIC_MESSAGES, bytes(8), b"\xc1" + bytes(1024 * 1024 - 100)))
    ((_, dead),) = await buried(log, 1)
    assert 100_000 < len(dead.payload) < 1024 * 1024 - 100


async def test_what_is_read_again_is_buried_once(log: MessageLog) -> None:
    poison = await log.append(NewRecord(TOPIC_MESSAGES, bytes(8), b"\xc1"))
    ((record, _),) = await buried(log, 1)
    where = f"{TOPIC_MESSAGES}/{poison.partition}/{poison.offset}".encode()
    again = await log.append(NewRecord(TOPIC_DEAD, record.key, record.payload, where))
    assert (again.offset, again.duplicate) == (record.offset, True)
