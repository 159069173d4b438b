"""The only reader of the log's partitions: stores, then fans out, then commits (design section 1, step 2)."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import msgspec
from opentelemetry.trace import Span
from prometheus_client import Counter, Gauge, Histogram

from messaging import tracing
from messaging.domain import events, frames
from messaging.domain.authors import Authors
from messaging.domain.heat import Heat, hotter
from messaging.domain.ids import ConversationId, UserId, conversation_ref, sub_of
from messaging.domain.limits import Limits
from messaging.endings import end
from messaging.ports import (
    TOPIC_HOT,
    TOPIC_MESSAGES,
    TOPIC_RECEIPTS,
    ConnectionRegistry,
    ConversationStore,
    LogReader,
    MessageLog,
    MessageStore,
    PodBus,
    PositionUnknown,
    Record,
)
from messaging.router.apply import DEFAULT_LIMITS, Applied, Applier
from messaging.router.handover import Handover, Left
from messaging.router.receipts import ReceiptApplier
from messaging.services.dead_letters import dead_record, place_of
from messaging.services.fanout import fan_out, tell_pods_of
from messaging.services.hook_events import noticed
from messaging.services.hot import members_of
from messaging.services.push_intents import ReadMarks, unreached
from messaging.threads import DatabaseThreads

logger = logging.getLogger(__name__)

POLL = Histogram(
    "chat_router_poll_records", "Records per poll.", ["topic"], buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500)
)
FAILURES = Counter("chat_router_failures_total", "Polls that failed and were tried again.", ["topic"])
MESSAGE_BATCHES = Histogram(
    "chat_batches_per_poll", "Pod batches sent for one poll of messages.", buckets=(0, 1, 2, 5, 10, 50, 200)
)
POISON = Counter(
    "chat_router_poison_total", "Records that could not be read and went to the dead-letter topic.", ["topic"]
)
HOT = Gauge(
    "chat_hot_conversations",
    "Conversations that are spread over sub-partitions, as this router has read it within a minute.",
)
SPREAD = Counter("chat_hot_conversations_spread_total", "Times a conversation was spread further for its rate.")
HELD = Gauge("chat_router_held", "1 while the router cannot store and holds its place in the log.", ["topic"])

GROUP = "router"
_MAX_RECORDS = 500
_COUNT_EVERY_S: Final = 60.0
#: A bot that begins to listen is told what happens from so much later on.
_BOTS_EVERY_S: Final = 5.0
#: Of hot conversations at once: between two such polls the others have their turn.
_MAX_HOT_RECORDS = 200
_POLL_TIMEOUT_S = 1.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 5.0


@dataclass(frozen=True, slots=True)
class Pace:
    """The least time from one poll to the next, and from one commit to the next (s); 0: none.

    Records that come meanwhile share the next poll; the first one after a quiet moment does not wait. A router that
    dies repeats what it has not committed, to the same effect.
    """

    messages_s: float = 0.0
    hot_s: float = 0.0
    receipts_s: float = 0.0
    commits_s: float = 0.0


_TRACED: Final = (frames.Msg, frames.EditEvent, frames.DeleteEvent, frames.ReactEvent, frames.PinEvent)


def _trace(deliveries: list[events.Deliver], *, began: float, polled: int) -> list[Span]:
    """Return the spans, not ended yet, of what is traced of messages and changes; what is delivered belongs to them."""
    spans: list[Span] = []
    for index, event in enumerate(deliveries):
        if not event.trace or not isinstance(event.frame, _TRACED):
            continue
        about: dict[str, str | int | float] = {"chat.server_id": event.frame.server_id, "chat.poll_records": polled}
        ago_s = time.monotonic() - began
        name = "router.message" if isinstance(event.frame, frames.Msg) else "router.change"
        span = tracing.begin(name, parent=event.trace, ago_s=ago_s, attributes=about)
        if span is not None:
            spans.append(span)
            deliveries[index] = msgspec.structs.replace(event, trace=tracing.carried(span))
    return spans


async def _nothing() -> None:
    """Nothing has to be done."""


class Router:
    """Reads messages, those of hot conversations, and receipts, each in its own loop: these never delay the others."""

    def __init__(
        self,
        *,
        log: MessageLog,
        messages: MessageStore,
        conversations: ConversationStore,
        registry: ConnectionRegistry,
        bus: PodBus,
        database: DatabaseThreads,
        limits: Limits = DEFAULT_LIMITS,
        pace: Pace = Pace(),
        hot_rate: float = 0.0,
        hot_k: int = 8,
        previews: bool = False,
        listening: Callable[[], frozenset[UserId]] = frozenset,
    ) -> None:
        """``hot_rate``: messages/s of one chain at which its conversation is spread; 0: never. ``hot_k``: how far.

        ``previews``: whether jobs look at what is behind links. ``listening``: asks which bots want to be told what
        happens; it is asked again and again, and may block.
        """
        self._previews = previews
        self._log = log
        self._conversations = conversations
        self._heat = Heat(per_s=hot_rate)
        self._hot_k = hot_k
        self._listening = listening
        self._bots: frozenset[UserId] = frozenset()
        self._pace = pace
        self._registry = registry
        self._bus = bus
        self._database = database
        self._authors = Authors()
        self._applier = Applier(messages=messages, conversations=conversations, limits=limits)
        self._hot = Applier(messages=messages, conversations=conversations, limits=limits, sees_changes=False)
        self._receipts = ReceiptApplier(messages=messages, conversations=conversations, authors=self._authors)
        self._reads = ReadMarks(log)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Open the log and start reading; idempotent."""
        if self._tasks:
            return
        await self._log.start()
        loop = asyncio.get_running_loop()
        handover, hot_handover = Handover(self._log), Handover(self._log)
        self._tasks = [
            loop.create_task(
                self._run(
                    TOPIC_MESSAGES,
                    partial(self._on_messages, self._applier, handover),
                    before_commit=handover.settled,
                    every_s=self._pace.messages_s,
                    on_moved=self._applier.forget,
                ),
                name="router-messages",
            ),
            loop.create_task(
                self._run(
                    TOPIC_HOT,
                    partial(self._on_messages, self._hot, hot_handover),
                    before_commit=hot_handover.settled,
                    every_s=self._pace.hot_s,
                    on_moved=self._hot.forget,
                    max_records=_MAX_HOT_RECORDS,
                ),
                name="router-hot",
            ),
            loop.create_task(
                self._run(TOPIC_RECEIPTS, self._on_receipts, every_s=self._pace.receipts_s), name="router-receipts"
            ),
            loop.create_task(handover.run(), name="router-handover"),
            loop.create_task(hot_handover.run(), name="router-hot-handover"),
            loop.create_task(self._reads.run(), name="router-reads"),
            loop.create_task(self._count_hot(), name="router-count"),
            loop.create_task(self._look_for_bots(), name="router-bots"),
        ]

    async def stop(self) -> None:
        """Stop reading. What was not committed is read again, to the same effect."""
        await end(self._tasks)
        self._tasks = []

    async def _run(
        self,
        topic: str,
        handle: Callable[[list[Record]], Awaitable[None]],
        *,
        every_s: float,
        on_moved: Callable[[], None] = lambda: None,
        max_records: int = _MAX_RECORDS,
        before_commit: Callable[[], Awaitable[None]] = _nothing,
    ) -> None:
        """Read a topic for ever. A failed poll is tried again, in place, until it succeeds: order is kept.

        ``on_moved`` is called before the records of partitions that have come from another reader are handled,
        ``before_commit`` before the place of what was handled is committed.
        """
        reader = self._log.reader(topic, group=GROUP)
        generation = reader.generation
        loop = asyncio.get_running_loop()
        next_poll_at = next_commit_at = loop.time()
        is_committed = True
        try:
            while True:
                if not is_committed and next_commit_at <= loop.time():
                    await before_commit()
                    await self._commit(topic, reader)
                    is_committed, next_commit_at = True, loop.time() + self._pace.commits_s
                await asyncio.sleep(next_poll_at - loop.time())
                timeout_s = _POLL_TIMEOUT_S if is_committed else max(0.0, next_commit_at - loop.time())
                try:
                    records = await reader.poll(max_records=max_records, timeout_s=timeout_s)
                except Exception:
                    logger.exception("reading %s failed", topic)
                    await asyncio.sleep(_FIRST_WAIT_S)
                    continue
                if reader.generation != generation:
                    generation = reader.generation
                    on_moved()
                if records:
                    next_poll_at = loop.time() + every_s
                    POLL.labels(topic).observe(len(records))
                    await self._until_done(topic, handle, records)
                    is_committed = False
        finally:
            await reader.close()

    async def _until_done(
        self, topic: str, handle: Callable[[list[Record]], Awaitable[None]], records: list[Record]
    ) -> None:
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                await handle(records)
            except Exception:
                FAILURES.labels(topic).inc()
                HELD.labels(topic).set(1)
                logger.exception("a poll of %d records of %s failed; again in %.1f s", len(records), topic, wait_s)
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
            else:
                HELD.labels(topic).set(0)
                return

    async def _commit(self, topic: str, reader: LogReader) -> None:
        try:
            await reader.commit()
        except Exception:
            # Not lost: the next commit covers it, and a restart before that repeats idempotent work.
            logger.exception("committing %s failed", topic)

    async def _on_messages(self, applier: Applier, handover: Handover, records: list[Record]) -> None:
        began = time.monotonic()
        applied = await self._database.run(applier.apply, records)
        self._authors.remember(applied.authors)
        await self._bury(applied)
        spans = _trace(applied.deliveries, began=began, polled=len(records)) if tracing.is_on() else []
        try:
            done = await fan_out(applied.deliveries, registry=self._registry, bus=self._bus)
        finally:
            for span in spans:
                span.end()
        MESSAGE_BATCHES.observe(done.batches)
        away = list(unreached(applied.pushes, done.connected))
        linked = applied.linked if self._previews else ()
        told = noticed(applied.deliveries, self._bots)
        await handover.give(Left(away, list(applied.changed), list(applied.touched), linked, told))
        for conversation, message, _ in applied.authors:
            if self._heat.note(conversation, message):
                await self._spread(conversation, sub_of(message))

    async def _spread(self, conversation: ConversationId, sub: int) -> None:
        """Spread a conversation further, and tell the pods. Where that fails, its rate asks for it again."""

        def spread() -> list[UserId] | None:
            found = self._conversations.get([conversation]).get(conversation)
            if found is None or (k := hotter(found.hot_k, sub=sub, first_k=self._hot_k)) == found.hot_k:
                return None
            self._conversations.set_hot(conversation, k)
            logger.warning("%s is hot: spread over %d sub-partitions now", conversation_ref(conversation), k)
            return members_of(self._conversations, conversation)

        try:
            members = await self._database.run(spread)
        except Exception:
            # Its messages are stored and delivered; that is not to be done again for this.
            logger.exception("%s is hot, and could not be spread", conversation_ref(conversation))
            return
        if members is not None:
            SPREAD.inc()
            told = events.InvalidateConversation(conversation)
            await tell_pods_of(members, told, registry=self._registry, bus=self._bus)

    async def _count_hot(self) -> None:
        """Tell again and again how many conversations are spread, by whomever."""
        while True:
            try:
                HOT.set(len(await self._database.run(self._conversations.spread)))
            except Exception:
                logger.warning("it cannot be told how many conversations are spread", exc_info=True)
            await asyncio.sleep(_COUNT_EVERY_S)

    async def _look_for_bots(self) -> None:
        """Keep in mind which bots are to be told; while they cannot be looked up, those that were known."""
        while True:
            try:
                self._bots = await self._database.run(self._listening)
            except Exception:
                logger.warning("it cannot be told which bots listen", exc_info=True)
            await asyncio.sleep(_BOTS_EVERY_S)

    async def _on_receipts(self, records: list[Record]) -> None:
        applied = await self._database.run(self._receipts.apply, records)
        await self._bury(applied)
        await fan_out(applied.deliveries, registry=self._registry, bus=self._bus)
        self._reads.add(applied.reads)

    async def _bury(self, applied: Applied) -> None:
        """Put what nobody can read into the dead-letter topic, once however often it comes: it stops nobody there."""
        for record, reason in applied.poison:
            try:
                place = await self._log.append(dead_record(record, reason))
            except PositionUnknown:
                continue
            if place.duplicate:
                continue
            POISON.labels(record.topic).inc()
            logger.error("the record at %s went to the dead-letter topic: %s", place_of(record), reason)
