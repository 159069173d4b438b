"""Who was not reached: one intent a message for those without a connection, and the marks of what was read."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from chatproject import container
from messaging.domain import events
from messaging.domain.events import MessageChanged, PushChanged, PushIntent, PushRead, ReadMark, Receipt, ReceiptBatch
from messaging.domain.ids import ConversationId, DeviceId, MessageId, UserId
from messaging.ports import TOPIC_MESSAGES, TOPIC_PUSH, TOPIC_RECEIPTS, LogReader, NewRecord
from messaging.services import push_intents
from messaging.services.push_intents import ReadMarks, unreached
from tests.router.conftest import Apply, Talk, id_of
from tests.router.test_router import POD, bodies, say, start_router

__all__ = ["start_router"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def reader() -> AsyncIterator[LogReader]:
    await container.message_log().start()
    yield container.message_log().reader(TOPIC_PUSH, group="test")
    await container.message_log().close()


async def next_event(reader: LogReader) -> Any:
    async with asyncio.timeout(10):
        while not (records := await reader.poll(max_records=1, timeout_s=1)):
            pass
    return events.decode_push(records[0].payload)


async def test_those_without_a_connection_are_told_of_once_for_each_message(
    start_router: Callable[[], Any], group: Talk, reader: LogReader
) -> None:
    ann, bob, cat = group.people
    await container.registry().register(POD, [(bob, "1")])
    await start_router()
    await say(group, ann, "one")
    await say(group, bob, "two")
    first, second = await next_event(reader), await next_event(reader)
    rows = await sync_to_async(group.stored)()
    assert first == PushIntent(group.id, rows[0].message_id, ann, users=[cat])
    assert second == PushIntent(group.id, rows[1].message_id, bob, users=sorted([ann, cat]))


async def test_where_all_are_connected_nobody_is_told_of(
    start_router: Callable[[], Any], group: Talk, reader: LogReader
) -> None:
    ann, bob, cat = group.people
    await container.registry().register(POD, [(ann, "1"), (bob, "2"), (cat, "3")])
    await start_router()
    await say(group, ann, "one")
    assert await bodies(1) == ["one"]
    await container.registry().unregister(POD, [(cat, "3")])
    await say(group, ann, "two")
    intent = await next_event(reader)
    rows = await sync_to_async(group.stored)()
    assert intent == PushIntent(group.id, rows[1].message_id, ann, users=[cat])


def test_a_large_group_is_pages_of_people() -> None:
    people = [UserId(number) for number in range(1, 5_001)]
    intent = PushIntent(ConversationId(1), MessageId(2), UserId(9_999), users=people[::-1])
    pages = list(unreached([intent], frozenset(people[:500])))
    assert [len(page.users) for page in pages] == [1_000] * 4 + [500]
    assert [user for page in pages for user in page.users] == people[500:]
    assert list(unreached([intent], frozenset(people))) == []


def test_changes_and_later_copies_push_nothing(apply: Apply, group: Talk) -> None:
    ann, bob, _ = group.people
    said = group.said(ann)
    again = group.record(said.payload)
    renamed = group.changed(ann, "renamed", name="New")
    applied = apply(said, again, renamed, group.said(bob))
    assert applied.pushes[0].message == id_of(said)
    assert [intent.sender for intent in applied.pushes] == [ann, bob]


async def test_an_edit_and_a_deletion_are_told_of_and_a_reaction_is_not(
    start_router: Callable[[], Any], group: Talk, reader: LogReader
) -> None:
    ann, bob, cat = group.people
    await container.registry().register(POD, [(ann, "1"), (bob, "2"), (cat, "3")])
    await start_router()
    for text in ("one", "two"):
        await say(group, ann, text)
    assert await bodies(2) == ["one", "two"]
    one, two = [row.message_id for row in await sync_to_async(group.stored)()]
    changes = [
        MessageChanged(bob, b"r" * 16, one, "react", emoji="👍", on=True),
        MessageChanged(ann, b"e" * 16, two, "edit", "three"),
        MessageChanged(ann, b"d" * 16, one, "delete"),
    ]
    for change in changes:
        await container.message_log().append(
            NewRecord(TOPIC_MESSAGES, group.id.to_bytes(8, "big"), events.encode(change))
        )
    assert [await next_event(reader) for _ in range(2)] == [PushChanged(group.id, two), PushChanged(group.id, one)]


async def test_who_has_read_is_told_of_with_the_device(
    start_router: Callable[[], Any], group: Talk, reader: LogReader
) -> None:
    ann, bob, cat = group.people
    await container.registry().register(POD, [(ann, "1"), (bob, "2"), (cat, "3")])
    await start_router()
    for text in ("one", "two"):
        await say(group, ann, text)
    assert await bodies(2) == ["one", "two"]
    rows = await sync_to_async(group.stored)()
    reads = [Receipt("read", group.id, row.message_id, bob, DeviceId(5), 1) for row in rows]
    reads.append(Receipt("delivered", group.id, rows[0].message_id, cat, DeviceId(6), 1))
    await container.message_log().append(NewRecord(TOPIC_RECEIPTS, b"pod", events.encode(ReceiptBatch(reads))))
    assert await next_event(reader) == PushRead([ReadMark(bob, group.id, rows[1].message_id, DeviceId(5))])


async def test_of_too_many_marks_the_oldest_are_dropped(monkeypatch: Any, reader: LogReader) -> None:
    monkeypatch.setattr(push_intents, "_MAX_MARKS", 2)
    marks = ReadMarks(container.message_log(), every_s=0)
    added = [ReadMark(UserId(user), ConversationId(1), MessageId(1), DeviceId(0)) for user in (1, 2, 3)]
    marks.add(added)
    running = asyncio.create_task(marks.run())
    assert await next_event(reader) == PushRead(added[1:])
    running.cancel()
