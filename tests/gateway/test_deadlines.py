"""A device that was written a message and does not say so in time is offline for it: the topic ``push`` hears of it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chatproject import container
from messaging.domain import events, ids
from messaging.domain.events import PushIntent
from messaging.domain.frames import Event, Msg
from messaging.domain.ids import ConversationId, DeviceId, MessageId, UserId
from messaging.gateway.deadlines import Deadlines
from messaging.ports import TOPIC_PUSH, LogReader, LogUnavailable, MessageLog
from tests.gateway.conftest import Server, conv_ref

TALK, ANN, BOB, CAT = ConversationId(7), UserId(1), UserId(2), UserId(3)
PHONE, TABLET, LAPTOP = DeviceId(11), DeviceId(12), DeviceId(13)


class Time:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def message(number: int, **more: Any) -> Msg:
    """Return a message of Ann's as the router gives it."""
    return Msg(ids.server_id(TALK, number), ids.conversation_ref(TALK), ids.user_ref(ANN), ts=1, **more)


def key(number: int) -> tuple[ConversationId, MessageId]:
    return TALK, MessageId(number)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def log() -> AsyncIterator[MessageLog]:
    log = container.message_log()
    await log.start()
    yield log
    await log.close()


@pytest.fixture
def deadlines(log: MessageLog, time: Time) -> Deadlines:
    return Deadlines(log, deadline_s=10, now=time)


@pytest.fixture
def reader(log: MessageLog) -> LogReader:
    return log.reader(TOPIC_PUSH, group="test")


async def told(reader: LogReader) -> list[Any]:
    """What was appended since, at once."""
    return [events.decode_push(record.payload) for record in await reader.poll(max_records=100, timeout_s=0)]


async def test_it_knows_what_went_to_a_large_group(deadlines: Any) -> None:
    deadlines.wrote(message(5), {PHONE: BOB})
    deadlines.wrote(message(6, spread_ms=2_000), {PHONE: BOB})
    assert [deadlines.in_large_group(key(number)) for number in (5, 6, 7)] == [False, True, False]
    deadlines.delivered(key(6), PHONE)
    assert not deadlines.in_large_group(key(6))


async def test_who_does_not_answer_in_time_is_told_of_once(deadlines: Any, time: Time, reader: LogReader) -> None:
    deadlines.wrote(message(5), {PHONE: BOB, TABLET: BOB, LAPTOP: CAT})
    deadlines.delivered(key(5), TABLET)
    time.now += 9
    await deadlines.tick()
    assert await told(reader) == []
    time.now += 2
    await deadlines.tick()
    # Bob's tablet has it, so it is about his phone alone; of Cat nothing is heard.
    assert await told(reader) == [PushIntent(*key(5), ANN, users=[CAT], devices=[PHONE])]
    time.now += 30
    await deadlines.tick()
    assert await told(reader) == []


async def test_who_answers_is_not_told_of(deadlines: Deadlines, time: Time, reader: LogReader) -> None:
    deadlines.wrote(message(5), {PHONE: BOB})
    deadlines.wrote(message(6), {PHONE: BOB})
    deadlines.delivered(key(5), PHONE)
    deadlines.delivered(key(5), PHONE)
    deadlines.delivered(key(99), PHONE)
    deadlines.delivered(key(6), LAPTOP)
    time.now += 11
    await deadlines.tick()
    assert await told(reader) == [PushIntent(*key(6), ANN, users=[BOB])]


async def test_a_message_that_was_read_on_another_device_needs_no_push(
    deadlines: Deadlines, time: Time, reader: LogReader
) -> None:
    deadlines.wrote(message(5), {PHONE: BOB, TABLET: BOB, LAPTOP: CAT})
    deadlines.read(key(5), BOB)
    time.now += 11
    await deadlines.tick()
    assert await told(reader) == [PushIntent(*key(5), ANN, users=[CAT])]


async def test_what_is_no_message_of_a_person_is_not_watched(deadlines: Any, time: Time, reader: LogReader) -> None:
    deadlines.wrote(message(5, kind="event", event=Event("created")), {PHONE: BOB})
    deadlines.wrote(message(6), {})
    time.now += 11
    await deadlines.tick()
    assert await told(reader) == []


async def test_a_message_that_is_written_again_has_one_deadline(
    deadlines: Deadlines, time: Time, reader: LogReader
) -> None:
    deadlines.wrote(message(5), {PHONE: BOB})
    deadlines.wrote(message(5), {PHONE: BOB, LAPTOP: CAT})
    time.now += 11
    await deadlines.tick()
    assert await told(reader) == [PushIntent(*key(5), ANN, users=[BOB, CAT])]


async def test_past_its_bounds_it_watches_no_more(log: MessageLog, time: Time, reader: LogReader) -> None:
    few = Deadlines(log, deadline_s=10, now=time, max_devices=2, max_messages=3)
    few.wrote(message(5), {PHONE: BOB, LAPTOP: CAT})
    few.wrote(message(6), {PHONE: BOB})
    few.delivered(key(5), PHONE)
    few.wrote(message(7), {PHONE: BOB})
    few.delivered(key(7), PHONE)
    few.wrote(message(8), {PHONE: BOB})
    # Three messages are under way, though one was answered: its place on the wheel is taken for ten seconds.
    few.delivered(key(5), LAPTOP)
    few.wrote(message(9), {PHONE: BOB})
    time.now += 11
    await few.tick()
    assert await told(reader) == [PushIntent(*key(8), ANN, users=[BOB])]
    few.wrote(message(10), {PHONE: BOB, LAPTOP: CAT})
    time.now += 11
    await few.tick()
    assert await told(reader) == [PushIntent(*key(10), ANN, users=[BOB, CAT])]


async def test_a_log_that_is_out_gets_them_later(
    deadlines: Deadlines, time: Time, reader: LogReader, log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadlines.wrote(message(5), {PHONE: BOB})
    time.now += 11
    with monkeypatch.context() as out:
        # The disk is full, say.
        out.setattr(log, "_enqueue", lambda work, loop, future: future.set_exception(LogUnavailable("out")) or future)
        await deadlines.tick()
    assert await told(reader) == []
    await deadlines.tick()
    assert await told(reader) == [PushIntent(*key(5), ANN, users=[BOB])]


async def test_a_pod_that_ends_gives_up_on_all_at_once(deadlines: Deadlines, reader: LogReader) -> None:
    deadlines.wrote(message(5), {PHONE: BOB})
    await deadlines.flush()
    assert await told(reader) == [PushIntent(*key(5), ANN, users=[BOB])]


@pytest.mark.django_db(transaction=True)
async def test_a_socket_that_is_silent_is_told_of_and_one_that_answers_is_not(
    start_server: Any, limits: Any, make_user: Any, make_group: Any
) -> None:
    limits(delivery_deadline_s=1)
    server: Server = await start_server()
    ann, bob, cat = make_user("ann"), make_user("bob"), make_user("cat")
    group = make_group(ann, bob, cat)
    mine, silent, awake = [await server.sign_in(user) for user in (ann, bob, cat)]
    await mine.say(conv_ref(group))
    await awake.send("delivered", server_id=(await awake.expect("msg"))["server_id"])
    await silent.expect("msg")
    reader = container.message_log().reader(TOPIC_PUSH, group="test")
    async with asyncio.timeout(10):
        while not (records := await reader.poll(max_records=10, timeout_s=1)):
            pass
    [intent] = [events.decode_push(record.payload) for record in records]
    assert isinstance(intent, PushIntent)
    assert (intent.conversation, intent.sender, intent.users, intent.devices) == (group.id, ann.pk, [bob.pk], [])
