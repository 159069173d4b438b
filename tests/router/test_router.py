"""The router's loops on the real log: effects, then the commit; poison put aside; a store that is away waited for."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from prometheus_client import REGISTRY

from chatproject import container
from messaging.domain import events, frames, ids
from messaging.domain.events import MessageSent
from messaging.domain.ids import UserId
from messaging.ports import TOPIC_HOT, TOPIC_MESSAGES, NewRecord, Record
from messaging.router.apply import Applier
from messaging.router.router import GROUP, Pace, Router
from messaging.services.send import Outgoing, message_record
from messaging.threads import DatabaseThreads
from tests.conftest import eventually
from tests.router.conftest import Talk

pytestmark = pytest.mark.django_db(transaction=True)

POD, OTHER_POD = "pod-1", "pod-2"
_NO_PACE = Pace()


@pytest.fixture
async def start_router() -> AsyncIterator[Callable[[], Any]]:
    """Return a function that starts a router; call what it returns to stop it."""
    stops = []

    async def start(pace: Pace = _NO_PACE) -> Callable[[], Any]:
        database = DatabaseThreads(size=2)
        router = Router(
            log=container.message_log(),
            messages=container.message_store(),
            conversations=container.conversation_store(),
            registry=container.registry(),
            bus=container.pod_bus(),
            database=database,
            pace=pace,
        )
        await router.start()

        async def stop() -> None:
            await router.stop()
            await asyncio.to_thread(database.close)

        stops.append(stop)
        return stop

    yield start
    for stop in stops:
        await stop()
    await container.message_log().close()


def _new(talk: Talk, payload: bytes) -> NewRecord:
    return NewRecord(TOPIC_MESSAGES, talk.id.to_bytes(8, "big"), payload)


async def say(talk: Talk, sender: UserId, body: str, msg_id: UUID | None = None) -> None:
    await container.message_log().append(
        _new(talk, events.encode(MessageSent(sender, (msg_id or uuid4()).bytes, body)))
    )


async def batch(pod: str = POD) -> list[events.PodEvent]:
    async with asyncio.timeout(10):
        return events.decode_batch(await container.pod_bus().receive(pod)).events


async def bodies(count: int, pod: str = POD) -> list[str]:
    """Return the texts of the next ``count`` messages that reach a pod."""
    found: list[str] = []
    while len(found) < count:
        for event in await batch(pod):
            assert isinstance(event, events.Deliver)
            if isinstance(event.frame, frames.Msg):
                found.append(event.frame.body)
    return found


async def connected(talk: Talk, pod: str = POD) -> None:
    await container.registry().register(pod, [(user, f"{pod}-{user}") for user in talk.people])


async def test_a_poll_is_one_batch_for_each_pod_in_the_order_of_the_log(start_router: Any, group: Talk) -> None:
    ann, bob, cat = group.people
    await container.registry().register(POD, [(ann, "1"), (ann, "2"), (bob, "3")])
    await container.registry().register(OTHER_POD, [(bob, "4")])
    await container.message_log().start()
    for number in range(20):
        await say(group, ann, str(number))
    await start_router()
    here, there = await batch(POD), await batch(OTHER_POD)
    for found, users in ((here, {ann, bob}), (there, {bob})):
        assert [event.frame.body for event in found] == [str(number) for number in range(20)]
        assert all(set(event.users) == users for event in found)
    assert cat not in {user for event in here + there for user in event.users}, "nobody is told who is nowhere"


async def test_what_comes_within_the_pace_shares_the_next_poll(start_router: Any, group: Talk) -> None:
    ann = group.people[0]
    await connected(group)
    await start_router(Pace(messages_s=1.0))
    loop = asyncio.get_running_loop()
    began = loop.time()
    await say(group, ann, "at once")
    assert [event.frame.body for event in await batch()] == ["at once"]
    assert loop.time() - began < 0.9
    for number in range(5):
        await say(group, ann, str(number))
    assert [event.frame.body for event in await batch()] == ["0", "1", "2", "3", "4"]


async def test_a_backlog_of_a_hot_conversation_holds_up_no_other(start_router: Any, group: Talk, dm: Talk) -> None:
    dan, eve = dm.people
    await container.registry().register(POD, [(eve, "1")])
    log = container.message_log()
    await log.start()
    hot = [Outgoing(group.people[n % 3], group.id, uuid4().bytes, str(n), [], None) for n in range(3_000)]
    await asyncio.gather(*(log.append(message_record(message, hot_k=8)) for message in hot))
    await say(dm, dan, "hello")
    await start_router()
    assert await bodies(1) == ["hello"]
    # In one partition with it, it would have had its turn after all of them.
    assert await log.lag(TOPIC_HOT, group=GROUP) > 0


async def _committed() -> bool:
    return await container.message_log().lag(TOPIC_MESSAGES, group=GROUP) == 0


async def test_polls_share_a_commit_which_comes_also_when_nothing_else_does(start_router: Any, group: Talk) -> None:
    ann = group.people[0]
    await connected(group)
    await start_router(Pace(commits_s=2.0))
    await say(group, ann, "one")
    assert await bodies(1) == ["one"]
    await eventually(_committed)
    for body in ("two", "three"):
        await say(group, ann, body)
        assert await bodies(1) == [body]
    assert await container.message_log().lag(TOPIC_MESSAGES, group=GROUP) == 2
    await eventually(_committed)


async def test_a_router_goes_on_where_the_last_one_committed(start_router: Any, group: Talk) -> None:
    ann = group.people[0]
    await connected(group)
    stop = await start_router()
    await say(group, ann, "one")
    assert await bodies(1) == ["one"]
    await eventually(_committed)
    await stop()
    await say(group, ann, "two")
    await start_router()
    assert await bodies(1) == ["two"]


async def test_what_was_not_committed_is_read_again_to_the_same_effect(start_router: Any, group: Talk) -> None:
    """As after a kill between the effects and the commit."""
    ann = group.people[0]
    await connected(group)
    log = container.message_log()
    await log.start()
    await say(group, ann, "one")
    await say(group, ann, "two")
    reader = log.reader(TOPIC_MESSAGES, group=GROUP)
    records: list[Record] = await reader.poll(max_records=10, timeout_s=5)
    await reader.close()
    applier = Applier(messages=container.message_store(), conversations=container.conversation_store())
    killed = await sync_to_async(applier.apply)(records)
    await start_router()
    again = await batch()
    assert [event.frame for event in again] == [event.frame for event in killed.deliveries]
    rows = await sync_to_async(group.stored)()
    assert [row.body for row in rows] == ["one", "two"]
    assert [frame.prev for frame in (event.frame for event in again)] == [
        None,
        ids.server_id(group.id, rows[0].message_id),
    ]


def _rename(old: str, new: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {old} RENAME TO {new}")


def _failures() -> float:
    return REGISTRY.get_sample_value("chat_router_failures_total", {"topic": TOPIC_MESSAGES}) or 0.0


@pytest.mark.logs_errors
async def test_while_the_store_is_away_the_router_holds_its_place(start_router: Any, group: Talk) -> None:
    ann = group.people[0]
    await connected(group)
    await start_router()
    await say(group, ann, "one")
    assert await bodies(1) == ["one"]
    before = _failures()
    await sync_to_async(_rename)("messages", "messages_away")
    try:
        await say(group, ann, "two")
        await say(group, ann, "three")
        await eventually(lambda: _failures() > before)
        assert REGISTRY.get_sample_value("chat_router_held", {"topic": TOPIC_MESSAGES}) == 1
    finally:
        await sync_to_async(_rename)("messages_away", "messages")
    assert await bodies(2) == ["two", "three"]
    rows = await sync_to_async(group.stored)()
    assert [row.prev_id for row in rows] == [None, rows[0].message_id, rows[1].message_id]
    assert REGISTRY.get_sample_value("chat_router_held", {"topic": TOPIC_MESSAGES}) == 0
