"""One process of clients. It does what the conductor tells it (``scenarios.py``) and keeps the record of what came.

Clients behave as docs/protocol.md asks: they answer ``delivered``, send their heartbeat, and ask with ``sync`` where
``prev`` shows a gap.
"""

import asyncio
import gc
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Final
from uuid import uuid4

import uvloop

from bench.record import NOT_OURS, Received, Record, Sent, chain_of
from bench.stack import Address
from bench.wire import Frame, Wire, encode

#: Sockets that one source address opens to one gateway; Linux has 28,000 ports for them by default.
_PORTS_PER_SOURCE: Final = 20_000
_CONNECT_TIMEOUT_S: Final = 60.0
_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Setup:
    """What a generator has to know. Client ``i`` is account ``i``; this process has ``i % generators == generator``."""

    generator: int
    generators: int
    tokens: Sequence[str]
    addresses: Sequence[Address]
    #: Message ``n`` is written by ``writers[n % len(writers)]``: (client, conversation).
    writers: Sequence[tuple[int, str]]
    body_bytes: int
    receipts: bool


@dataclass(frozen=True, slots=True)
class Connect:
    """Open these clients' sockets, ``at_once`` at a time; answered with the ns from each call to its ``ready``.

    ``sync``: state the marks after ``ready``, and count until ``synced``; ``since`` (ns) is then where the time begins.
    """

    clients: Sequence[int]
    at_once: int
    sync: bool = False
    since: int | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """Cut these clients' connections as a lost network does."""

    clients: Sequence[int]


@dataclass(frozen=True, slots=True)
class Send:
    """Write messages ``first`` to ``first + count - 1``, at times fixed beforehand: the n-th at ``start`` + n / rate.

    Open loop: a slow answer delays no later message, and what is written late is counted from when it was due.
    """

    first: int
    count: int
    per_s: float
    start: int


@dataclass(frozen=True, slots=True)
class Progress:
    """Answered with the counts so far: (sends answered, deliveries without repeats)."""


@dataclass(frozen=True, slots=True)
class SyncAll:
    """Let every client state its marks, as with its heartbeat; what was missed then comes."""


@dataclass(frozen=True, slots=True)
class Collect:
    """Answered with the record, and the number of connections that ended by themselves."""


Command = Connect | Cut | Send | Progress | SyncAll | Collect


class GeneratorFailed(Exception):
    """A command could not be carried out: a client was not greeted, for one."""


@dataclass(slots=True, eq=False)
class Client:
    """One device: its socket and what it holds."""

    number: int
    wire: Wire | None = None
    #: Indices of the messages it holds, and the newest of each chain of a conversation.
    held: set[int] = field(default_factory=set)
    marks: dict[str, dict[int, str]] = field(default_factory=dict)
    #: Conversations with a gap -> the marks before it, until a backfill fills it.
    gaps: dict[str, dict[int, str]] = field(default_factory=dict)
    ready: "asyncio.Future[int] | None" = None
    synced: "asyncio.Future[int] | None" = None
    is_cut: bool = False


class Generator:
    """The clients of this process."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._clients = {
            number: Client(number)
            for number in range(len(setup.tokens))
            if number % setup.generators == setup.generator
        }
        self._record = Record()
        self._backfills = 0
        self._held = 0
        self._disconnects = 0
        self._heartbeat_s = 30.0
        self._padding = " " + "x" * setup.body_bytes

    # --- connecting -------------------------------------------------------------------------------

    async def connect(self, command: Connect) -> list[int]:
        """Return each of its clients' ns to ``ready`` (or ``synced``). Raises GeneratorFailed."""
        free = asyncio.Semaphore(command.at_once)
        mine = [self._clients[number] for number in command.clients if number in self._clients]

        async def one(client: Client) -> int:
            async with free:
                return await self._open(client, sync=command.sync, since=command.since)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(client)) for client in mine]
        return [task.result() for task in tasks]

    async def _open(self, client: Client, *, sync: bool, since: int | None) -> int:
        loop = asyncio.get_running_loop()
        setup = self._setup
        address = setup.addresses[client.number % len(setup.addresses)]
        started = since or time.monotonic_ns()
        ready = client.ready = loop.create_future()
        synced = client.synced = loop.create_future()
        client.is_cut = False
        wire = client.wire = Wire(
            host=f"{address.host}:{address.port}",
            token=setup.tokens[client.number],
            on_frame=lambda frame, at: self._on_frame(client, frame, at),
            on_close=lambda error: self._on_close(client, error),
        )
        source = client.number // len(setup.addresses) // _PORTS_PER_SOURCE
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                await loop.create_connection(
                    lambda: wire,
                    address.host,
                    address.port,
                    # The kernel's choice as long as it has ports to choose from.
                    local_addr=(f"127.0.0.{1 + source}", 0) if source else None,
                )
                at: int = await ready
                if sync:
                    wire.write(encode(op="sync", marks=self._marks(client)))
                    at = await synced
        except (OSError, TimeoutError) as error:
            raise GeneratorFailed(f"client {client.number} was not greeted: {error!r}") from error
        return at - started

    def _on_close(self, client: Client, error: Exception | None) -> None:
        for waiting in (client.ready, client.synced):
            if waiting is not None and not waiting.done():
                waiting.set_exception(ConnectionError(f"closed: {error}"))
                # Whether anybody waits depends on the command.
                waiting.exception()
        if not client.is_cut:
            self._disconnects += 1
        client.wire = None

    def cut(self, command: Cut) -> None:
        """Cut the connections."""
        for number in command.clients:
            client = self._clients.get(number)
            if client is not None and client.wire is not None:
                client.is_cut = True
                client.wire.abort()

    # --- frames -----------------------------------------------------------------------------------

    def _on_frame(self, client: Client, frame: Frame, at: int) -> None:
        match frame.op:
            case "msg":
                self._on_live(client, frame, at)
            case "ack":
                self._record.acked[_number_of(frame.msg_id)] = at
            case "error":
                if frame.msg_id is not None:
                    self._record.refused[_number_of(frame.msg_id)] = frame.code
            case "backfill":
                self._on_backfill(client, frame, at)
            case "ready":
                self._heartbeat_s = frame.heartbeat_s
                if client.ready is not None and not client.ready.done():
                    client.ready.set_result(at)
            case "synced":
                if client.synced is not None and not client.synced.done():
                    client.synced.set_result(at)

    def _take(self, client: Client, frame: Frame, at: int, batch: int) -> bool:
        """Note a delivery; return whether the client did not hold the message."""
        record = self._record
        index = record.index_of(frame.server_id)
        if index is None:
            number = int(frame.body.partition(" ")[0]) if frame.kind == "text" else NOT_OURS
            index = record.add(Received(frame.server_id, frame.prev, frame.conv, number, frame.ts))
        record.deliver(device=client.number, message=index, at=at, batch=batch)
        if index in client.held:
            return False
        client.held.add(index)
        self._held += 1
        return True

    def _holds(self, client: Client, server_id: str) -> bool:
        return self._record.index_of(server_id) in client.held

    def _on_live(self, client: Client, frame: Frame, at: int) -> None:
        if not self._take(client, frame, at, 0):
            return
        marks = client.marks.setdefault(frame.conv, {})
        is_new_gap = frame.prev is not None and frame.conv not in client.gaps and not self._holds(client, frame.prev)
        if is_new_gap:
            client.gaps[frame.conv] = dict(marks)
        marks[chain_of(frame.server_id)] = frame.server_id
        if is_new_gap:
            self._write(client, encode(op="sync", marks=self._marks(client)))
        if frame.msg_id is None and self._setup.receipts:
            receipt = encode(op="delivered", server_id=frame.server_id)
            if frame.spread_ms:
                # Not all at once, as docs/protocol.md asks.
                wait_s = random.uniform(0, frame.spread_ms / 1000)
                asyncio.get_running_loop().call_later(wait_s, self._write, client, receipt)
            else:
                self._write(client, receipt)

    def _on_backfill(self, client: Client, frame: Frame, at: int) -> None:
        self._backfills += 1
        theirs = None
        for message in frame.messages:
            if self._take(client, message, at, self._backfills) and message.msg_id is None:
                theirs = message.server_id
        client.marks.setdefault(frame.conv, {}).update({chain_of(it): it for it in (frame.mark or "").split(",") if it})
        client.gaps.pop(frame.conv, None)
        if theirs is not None and self._setup.receipts:
            # A receipt covers what came before it.
            self._write(client, encode(op="delivered", server_id=theirs))

    @staticmethod
    def _marks(client: Client) -> dict[str, str]:
        marks = {**client.marks, **client.gaps}
        return {conv: ",".join(of_chain.values()) for conv, of_chain in marks.items() if of_chain}

    @staticmethod
    def _write(client: Client, data: bytes) -> bool:
        return client.wire is not None and client.wire.write(data)

    # --- sending ----------------------------------------------------------------------------------

    async def send(self, command: Send) -> None:
        """Write this process's share of the messages, each when it is due."""
        writers = self._setup.writers
        record = self._record
        for offset in range(command.count):
            number = command.first + offset
            sender, conv = writers[number % len(writers)]
            client = self._clients.get(sender)
            if client is None:
                continue
            due = command.start + round(offset * _NS / command.per_s)
            ahead = due - time.monotonic_ns()
            if ahead > 0:
                await asyncio.sleep(ahead / _NS)
            data = encode(op="send", msg_id=_msg_id(number), conv=conv, body=f"{number}{self._padding}")
            record.sent[number] = Sent(sender, conv, due, time.monotonic_ns())
            self._write(client, data)

    async def beat(self) -> None:
        """Let every client ping and state its marks once in each heartbeat interval, evenly, until cancelled."""
        ping = encode(op="ping")
        while True:
            started = time.monotonic()
            clients = list(self._clients.values())
            for done, client in enumerate(clients, 1):
                ahead = started + self._heartbeat_s * done / len(clients) - time.monotonic()
                if ahead > 0:
                    await asyncio.sleep(ahead)
                self._write(client, ping)
                if client.marks:
                    self._write(client, encode(op="sync", marks=self._marks(client)))

    def sync_all(self) -> None:
        """Let every client state its marks now."""
        for client in self._clients.values():
            self._write(client, encode(op="sync", marks=self._marks(client)))

    def progress(self) -> tuple[int, int]:
        """Return (sends answered, deliveries without repeats)."""
        return len(self._record.acked) + len(self._record.refused), self._held

    def collect(self) -> tuple[Record, int]:
        """Return the record, and how many connections ended by themselves."""
        return self._record, self._disconnects

    async def perform(self, command: Command) -> Any:
        """Carry out one command and return its answer."""
        match command:
            case Connect():
                return await self.connect(command)
            case Cut():
                return self.cut(command)
            case Send():
                return await self.send(command)
            case Progress():
                return self.progress()
            case SyncAll():
                return self.sync_all()
            case Collect():
                return self.collect()


def _msg_id(number: int) -> str:
    """Return a random UUID whose last 48 bits are the message's number."""
    return f"{str(uuid4())[:24]}{number:012x}"


def _number_of(msg_id: str | None) -> int:
    return int((msg_id or "")[-12:], 16)


def work(pipe: Connection, setup: Setup) -> None:
    """Obey commands until the pipe closes: the target of a generator's process."""
    _let_the_server_finish()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_obey(pipe, Generator(setup)))


def _let_the_server_finish() -> None:
    """Let no frame that arrives take the processor from whoever is writing the next one, as on a machine of its own.

    2,500 writes to one process on the same core are 2,500 switches otherwise. What it reads is noted the later
    for it.
    """
    if hasattr(os, "SCHED_BATCH") and os.sched_getscheduler(0) == os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


async def _obey(pipe: Connection, generator: Generator) -> None:
    # Nothing here makes cycles, and a collection over millions of records would be taken for the server's delay.
    gc.disable()
    loop = asyncio.get_running_loop()
    beating = loop.create_task(generator.beat())
    try:
        while True:
            try:
                command = await loop.run_in_executor(None, pipe.recv)
            except EOFError:
                return
            try:
                answer = await generator.perform(command)
            except* Exception as group:
                answer = GeneratorFailed("; ".join(repr(error) for error in group.exceptions[:3]))
            pipe.send(answer)
    finally:
        beating.cancel()
