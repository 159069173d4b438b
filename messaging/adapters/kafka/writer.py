"""The thread that appends: takes what the event loops hand it, asks Redis, produces, and has the outcome told.

::

    event loops ──put──▶ writer thread ──send──▶ kafka-python's thread ──▶ broker
         ▲                 │  ▲   ▲                   │
         └────outcomes─────┘  │   └────outcomes───────┘
         └────────────────────┼───────────────────────┘
                          connector thread, until there is a producer
"""

import asyncio
import logging
import queue
import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, replace
from typing import Any, Final

from kafka import KafkaProducer
from kafka.errors import MessageSizeTooLargeError
from prometheus_client import Counter, Gauge, Histogram

from messaging.adapters.kafka.clients import ProducerClient, abandon, build
from messaging.adapters.kafka.positions import Key, Positions
from messaging.adapters.kafka.settings import MAX_RECORD_BYTES, OVERHEAD_BYTES, KafkaSettings
from messaging.adapters.kafka.topics import Topics, Unfit
from messaging.adapters.log_metrics import DEDUPE_HITS
from messaging.ports import (
    TOPIC_HOT,
    TOPIC_MESSAGES,
    LogUnavailable,
    NewRecord,
    Position,
    PositionUnknown,
    RecordTooLarge,
)

logger = logging.getLogger(__name__)

APPEND = Histogram(
    "chat_log_append_seconds",
    "From an append to its outcome.",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 4),
)
WAITING = Gauge("chat_log_waiting", "Appends that Kafka has not decided.")
FAILED = Counter("chat_log_failed_total", "Appends that failed, by what went wrong.", ["reason"])
REPLACED = Counter("chat_log_producers_replaced_total", "Times the producer was given up for a new one.")
CLOCK_SKEW = Gauge(
    "chat_log_clock_skew_seconds",
    "This machine's clock minus the time at which the log took the last message, by topic and partition.",
    ["topic", "partition"],
)

#: The topics whose records are messages: each partition has a leader, and each leader a clock, from which ids are made.
_MESSAGES: Final = frozenset({TOPIC_MESSAGES, TOPIC_HOT})
#: Below the 5 s that a sender waits (messaging/services/send.py): there is time for one more try.
_DEADLINE_S: Final = 4.0
#: A producer that decides nothing for so long is given up. Until then it keeps records whose senders were told after
#: ``_DEADLINE_S`` that the outcome is unknown: their next tries wait for that one record, so a stall makes no copies.
_PATIENCE_S: Final = 30.0
_MAX_WAITING: Final = 20_000
_MAX_WAITING_BYTES: Final = 64 * 1024 * 1024
_MAX_ROUND: Final = 1_000
_MAX_DOUBTFUL: Final = 20_000
_TICK_S: Final = 0.25
#: The least time from one round to the next: what comes meanwhile shares a question to Redis and a request to Kafka.
#: The first append after a quiet moment does not wait; see docs/performance.md.
_ROUND_S: Final = 0.02
_CLOSE_S: Final = 10.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 2.0

Outcome = Position | Exception


class _Mailbox:
    """Outcomes on their way to one event loop, which is woken once for as many as there are."""

    __slots__ = ("_loop", "_outcomes", "_woken")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._outcomes: deque[tuple[asyncio.Future[Position], Outcome]] = deque()
        self._woken = False

    def belongs_to(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Return whether this is the mailbox of ``loop``."""
        return self._loop is loop

    def post(self, future: "asyncio.Future[Position]", outcome: Outcome) -> None:
        """Tell the loop; from any thread."""
        self._outcomes.append((future, outcome))
        if self._woken:
            return
        self._woken = True
        try:
            self._loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:
            # The loop is gone, and with it whoever waited; the records stand.
            logger.debug("nobody waits for a position any more")

    def _deliver(self) -> None:
        # First, so that what is posted from here on wakes the loop again.
        self._woken = False
        while self._outcomes:
            future, outcome = self._outcomes.popleft()
            if future.done():
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)


class _Append:
    """One record and whoever waits for its outcome."""

    __slots__ = ("_future", "_mailbox", "began", "followers", "key", "record", "settled", "size", "topic")

    def __init__(self, topic: str, record: NewRecord, mailbox: _Mailbox, future: "asyncio.Future[Position]") -> None:
        #: The topic's name in Kafka.
        self.topic = topic
        self.record = record
        self.size = len(record.payload) + len(record.key)
        self.key: Key | None = None if record.dedup_key is None else (record.topic, record.dedup_key)
        self.began = time.monotonic()
        #: Whoever waits knows the outcome; Kafka may still be at it.
        self.settled = False
        #: Later appends of the same key, which take this one's outcome.
        self.followers: list[_Append] = []
        self._mailbox = mailbox
        self._future = future

    def settle(self, outcome: Outcome) -> None:
        """Tell whoever waits, once; from any thread."""
        if not self.settled:
            self.settled = True
            APPEND.observe(time.monotonic() - self.began)
            self._mailbox.post(self._future, outcome)


@dataclass(frozen=True, slots=True)
class _Decided:
    """Kafka is done with a record."""

    append: _Append
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class _Connected:
    """There is a producer."""

    producer: KafkaProducer


@dataclass(frozen=True, slots=True)
class _Broken:
    """This producer is of no use any more."""

    producer: KafkaProducer


class _Stop:
    """Finish what there is, and end."""


class Writer:
    """Appends records in the order of ``put``. Bounded: past ``_MAX_WAITING`` records or bytes an append fails at once.

    Used once: after ``close`` it stays closed.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._topics = {topic.name: settings.topic(topic.name) for topic in settings.topics}
        self._positions = (
            Positions(settings.redis_url, prefix=settings.prefix, ttl=settings.dedupe_cache)
            if settings.redis_url
            else None
        )
        self._local = threading.local()
        self._inbox: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        #: Held for moments only: for what event loops and threads share.
        self._lock = threading.Lock()
        self._count = self._bytes = 0
        self._ended = False
        #: Set after the first attempt to connect, whatever its outcome.
        self.attempted = threading.Event()
        #: Why there is no producer.
        self.problem: LogUnavailable | None = LogUnavailable("the log is being opened")
        #: Kafka answered, and what it said rules the log out until somebody mends it.
        self.unfit = False
        #: There was a producer once.
        self.opened = False
        self._closing = threading.Event()
        # The rest belongs to the writer thread.
        self._producer: KafkaProducer | None = None
        #: When it last decided something, or had nothing to decide.
        self._heard = 0.0
        self._next_round = 0.0
        self._held: deque[_Append] = deque()
        self._unsettled: deque[_Append] = deque()
        self._inflight: dict[Key, _Append] = {}
        self._doubtful: OrderedDict[Key, None] = OrderedDict()
        self._keep: list[tuple[Key, Position]] = []
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)

    def start(self) -> None:
        """Start the threads."""
        self._thread.start()
        self._connect()

    def put(self, record: NewRecord, loop: asyncio.AbstractEventLoop, future: "asyncio.Future[Position]") -> None:
        """Take one record; ``future`` gets its outcome. Called on ``loop``; never blocks."""
        mailbox: _Mailbox | None = getattr(self._local, "mailbox", None)
        if mailbox is None or not mailbox.belongs_to(loop):
            mailbox = self._local.mailbox = _Mailbox(loop)
        append = _Append(self._topics[record.topic], record, mailbox, future)
        with self._lock:
            full = self._count >= _MAX_WAITING or self._bytes + append.size > _MAX_WAITING_BYTES
            if not full and not self._ended:
                self._count += 1
                self._bytes += append.size
                self._inbox.put(append)
                return
        FAILED.labels("full" if full else "closed").inc()
        future.set_exception(LogUnavailable("too many records wait for the log" if full else "the log is closed"))

    def close(self) -> None:
        """Finish what was taken, within 10 s, and end; blocks."""
        self._closing.set()
        self._inbox.put(_Stop())
        self._thread.join(_CLOSE_S + 5.0)

    # --- writer thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        ends_at = float("inf")
        while (self._count and time.monotonic() < ends_at) or ends_at == float("inf"):
            fresh: list[_Append] = []
            for item in self._take():
                match item:
                    case _Append():
                        self._unsettled.append(item)
                        if not self._follow(item):
                            fresh.append(item)
                    case _Decided():
                        self._heard = time.monotonic()
                        if isinstance(item.outcome, LogUnavailable):
                            self._doubt(item.append)
                        self._finish(item.append, item.outcome)
                    case _Connected():
                        self._heard = time.monotonic()
                        self._producer = item.producer
                    case _Broken():
                        self._replace(item.producer)
                    case _Stop():
                        ends_at = time.monotonic() + _CLOSE_S
            self._expire()
            self._held.extend(fresh)
            self._watch()
            if self._producer is not None:
                self._produce()
            WAITING.set(self._count)
        self._end()

    def _take(self) -> "list[_Item]":
        """Return what has come, after a moment at the latest."""
        taken: list[_Item] = []
        try:
            taken.append(self._inbox.get(timeout=_TICK_S))
            time.sleep(max(0.0, self._next_round - time.monotonic()))
            self._next_round = time.monotonic() + _ROUND_S
            while len(taken) < _MAX_ROUND:
                taken.append(self._inbox.get_nowait())
        except queue.Empty:
            pass
        return taken

    def _follow(self, append: _Append) -> bool:
        """Return whether a record with the same key is on its way, whose outcome ``append`` then takes."""
        if append.key is None:
            return False
        first = self._inflight.setdefault(append.key, append)
        if first is append:
            return False
        first.followers.append(append)
        return True

    def _expire(self) -> None:
        """Tell those who have waited long enough. What Kafka has of theirs stays with Kafka."""
        overdue = time.monotonic() - _DEADLINE_S
        while self._unsettled and (self._unsettled[0].settled or self._unsettled[0].began <= overdue):
            append = self._unsettled.popleft()
            if not append.settled:
                FAILED.labels("late").inc()
                append.settle(self.problem or LogUnavailable("Kafka has not taken the record in time"))
        while self._held and self._held[0].settled:
            self._finish(self._held.popleft(), LogUnavailable("never sent"))

    def _watch(self) -> None:
        """Give the producer up where it has decided nothing for too long."""
        if self._count == len(self._held):
            self._heard = time.monotonic()
        elif self._producer is not None and time.monotonic() - self._heard > _PATIENCE_S:
            logger.error("the producer has decided nothing for %.0f s", _PATIENCE_S)
            self._replace(self._producer)

    def _produce(self) -> None:
        """Send what is held, but for what Redis knows, and tell Redis what has landed since."""
        fresh = list(self._held)
        self._held.clear()
        known: dict[Key, Position] = {}
        if self._positions is not None:
            keep, self._keep = self._keep, []
            known = self._positions.exchange(keep, [append.key for append in fresh if append.key is not None])
        for append in fresh:
            place = None if append.key is None else known.get(append.key)
            if place is not None:
                self._finish(append, place)
            elif self._producer is None:
                self._held.append(append)
            else:
                self._send(self._producer, append)

    def _send(self, producer: KafkaProducer, append: _Append) -> None:
        try:
            sent = producer.send(append.topic, append.record.payload, append.record.key)
        except MessageSizeTooLargeError as error:
            self._finish(append, RecordTooLarge(str(error)))
        except Exception as error:
            # A topic that is not there any more, or a producer that has ended: begin anew, with the checks.
            logger.exception("a record could not be handed to kafka-python")
            FAILED.labels(type(error).__name__).inc()
            self._finish(append, LogUnavailable(str(error)))
            self._replace(producer)
        else:
            sent.add_callback(self._landed, append)
            sent.add_errback(self._failed, producer, append)

    def _finish(self, append: _Append, outcome: Outcome) -> None:
        """Tell whoever does not know yet, and forget the record: nothing more will become of it."""
        append.settle(outcome)
        DEDUPE_HITS.labels("log").inc(len(append.followers))
        for follower in append.followers:
            follower.settle(replace(outcome, duplicate=True) if isinstance(outcome, Position) else outcome)
        key = append.key
        if key is not None:
            if self._inflight.get(key) is append:
                del self._inflight[key]
            if isinstance(outcome, Position) and not outcome.duplicate:
                self._remember(key, outcome)
        with self._lock:
            self._count -= 1 + len(append.followers)
            self._bytes -= append.size + sum(follower.size for follower in append.followers)

    def _remember(self, key: Key, place: Position) -> None:
        """Keep the position for Redis, unless an earlier record with this key may be in the log as well.

        Which of the two counts, only the router can tell then, and Redis must not say something else.
        """
        if key in self._doubtful:
            del self._doubtful[key]
        elif self._positions is not None:
            self._keep.append((key, place))

    def _doubt(self, append: _Append) -> None:
        if append.key is not None:
            self._doubtful[append.key] = None
            if len(self._doubtful) > _MAX_DOUBTFUL:
                self._doubtful.popitem(last=False)

    def _replace(self, producer: KafkaProducer) -> None:
        """Give a producer up and look for a new one; what it had not delivered fails as unknown."""
        if self._producer is producer:
            self._producer = None
            self.problem = LogUnavailable("the log is being opened again")
            REPLACED.inc()
            self._connect(producer)

    def _end(self) -> None:
        if self._positions is not None:
            self._positions.exchange(self._keep, [])
            self._positions.close()
        left = [] if self._producer is None else [self._producer]
        with self._lock:
            self._ended = True
            while not self._inbox.empty():
                item = self._inbox.get()
                if isinstance(item, _Connected):
                    left.append(item.producer)
                elif isinstance(item, _Append):
                    item.settle(LogUnavailable("the log is closed"))
        for append in self._unsettled:
            append.settle(LogUnavailable("the log is closed"))
        for producer in left:
            abandon(producer)

    # --- kafka-python's thread ------------------------------------------------------------------------

    def _landed(self, append: _Append, metadata: Any) -> None:
        outcome = outcome_of(metadata.partition, metadata.offset, metadata.timestamp)
        if isinstance(outcome, Position) and append.record.topic in _MESSAGES:
            CLOCK_SKEW.labels(append.record.topic, outcome.partition).set(time.time() - outcome.ts_ms / 1000)
        append.settle(outcome)
        self._inbox.put(_Decided(append, outcome))

    def _failed(self, producer: KafkaProducer, append: _Append, error: Exception) -> None:
        FAILED.labels(type(error).__name__).inc()
        outcome = (RecordTooLarge if isinstance(error, MessageSizeTooLargeError) else LogUnavailable)(str(error))
        append.settle(outcome)
        self._inbox.put(_Decided(append, outcome))
        # An idempotent producer that could not deliver delivers nothing from then on, whatever the reason was.
        self._inbox.put(_Broken(producer))

    # --- connector thread -----------------------------------------------------------------------------

    def _connect(self, old: KafkaProducer | None = None) -> None:
        threading.Thread(target=self._until_connected, args=(old,), name="log-connector", daemon=True).start()

    def _until_connected(self, old: KafkaProducer | None) -> None:
        if old is not None:
            abandon(old)
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                producer = self._open()
            except LogUnavailable as error:
                self.unfit, self.problem = isinstance(error, Unfit), error
            except Exception as error:
                self.unfit, self.problem = False, LogUnavailable(f"the log could not be opened: {error}")
            else:
                self.unfit, self.problem, self.opened = False, None, True
                self._hand_over(producer)
                self.attempted.set()
                return
            logger.error("%s; again in %.1f s", self.problem, pause_s)
            self.attempted.set()
            if self._closing.wait(pause_s):
                return
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _open(self) -> KafkaProducer:
        """Return a producer, if the topics are as they must be."""
        with Topics(self._settings) as topics:
            topics.require_fit()
        producer: KafkaProducer = build(
            KafkaProducer,
            client=ProducerClient,
            **self._settings.client(
                acks="all",
                enable_idempotence=True,
                max_in_flight_requests_per_connection=5,
                # Long: one that gives a batch up loses its id and never asks for another (seen in 3.0.12).
                delivery_timeout_ms=120_000,
                request_timeout_ms=2_000,
                retry_backoff_ms=100,
                max_block_ms=500,
                # Records of several partitions share a request: 5.7 instead of 7.2 s of CPU for 10,000 at 500/s.
                linger_ms=2,
                batch_size=128 * 1024,
                max_request_size=MAX_RECORD_BYTES + OVERHEAD_BYTES,
                allow_auto_create_topics=False,
                # Nobody would read them.
                metrics_enabled=False,
            ),
        )
        try:
            # So that no send has to ask for them.
            for topic in self._topics.values():
                producer.partitions_for(topic)
        except BaseException:
            abandon(producer)
            raise
        return producer

    def _hand_over(self, producer: KafkaProducer) -> None:
        with self._lock:
            if not self._ended:
                self._inbox.put(_Connected(producer))
                return
        abandon(producer)


_Item = _Append | _Decided | _Connected | _Broken | _Stop


def outcome_of(partition: int, offset: int, ts_ms: int) -> Outcome:
    """Return what a produce response says. One without an offset is a batch that the broker had taken before."""
    if offset < 0:
        FAILED.labels("position unknown").inc()
        return PositionUnknown("Kafka has the record and does not say where")
    return Position(partition, offset, ts_ms)
