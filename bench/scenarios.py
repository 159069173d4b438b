"""The scenarios: what is prepared, what the clients then do, and what of it is reported (docs/performance.md)."""

import multiprocessing
import time
from argparse import Namespace
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPConnection
from itertools import cycle
from multiprocessing.connection import Connection
from typing import Any, Final

import psutil

from bench.generator import Collect, Command, Connect, Cut, GeneratorFailed, Progress, Send, Setup, SyncAll, work
from bench.machine import describe, load
from bench.record import Record, check
from bench.report import Cpu, Report, spread
from bench.stack import STACKS, Stack

#: Memory settles, and the last greeting is done with, before it is read.
_SETTLE_S: Final = 2.0
#: How long nothing may arrive before what is missing is asked for, and then counted as lost.
_PATIENCE_S: Final = 10.0
_LEAD_NS: Final = 200_000_000
_NS: Final = 1_000_000_000
#: Far above any command's own timeouts.
_ANSWER_TIMEOUT_S: Final = 900.0


@dataclass(frozen=True, slots=True)
class Layout:
    """Who there is: conversations by their members' numbers, and who writes where, in turn."""

    accounts: int
    conversations: Sequence[Sequence[int]] = ()
    #: (account, index of the conversation)
    writers: Sequence[tuple[int, int]] = ()
    #: Index of a conversation -> over how many sub-partitions it is spread.
    hot: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Options:
    """What all scenarios take."""

    generators: int
    at_once: int
    body_bytes: int
    receipts: bool


@dataclass(slots=True)
class Outcome:
    """What a scenario says of its run."""

    #: Messages that are checked but not timed.
    untimed: Container[int] = range(0)
    #: Whether the messages came in one stretch, so that a rate means something.
    has_rate: bool = False
    #: ns from the return of all to each client's ``synced``.
    resume: list[int] = field(default_factory=list)
    cpu: dict[str, Cpu] = field(default_factory=dict)


class Run:
    """One run: a prepared and started stack, and its generators."""

    def __init__(self, stack: Stack, layout: Layout, options: Options) -> None:
        self._stack = stack
        self._layout = layout
        self._options = options
        self._pipes: list[Connection] = []
        self._workers: list[multiprocessing.process.BaseProcess] = []
        self._conversations: list[str] = []
        self.ready: list[int] = []
        self.connect_s = 0.0
        self.rss_per_connection = 0.0
        self.metrics: dict[str, float] = {}

    # --- life -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Prepare the stores, start the stack and the generators. Raises StackFailed."""
        layout, options, stack = self._layout, self._options, self._stack
        made = stack.prepare(
            {
                "accounts": layout.accounts,
                "conversations": list(map(list, layout.conversations)),
                "hot": dict(layout.hot),
            }
        )
        self._conversations = made["conversations"]
        stack.start()
        context = multiprocessing.get_context("spawn")
        for number in range(options.generators):
            setup = Setup(
                generator=number,
                generators=options.generators,
                tokens=made["tokens"],
                addresses=stack.addresses,
                writers=[(account, self._conversations[conv]) for account, conv in layout.writers],
                body_bytes=options.body_bytes,
                receipts=options.receipts,
            )
            ours, theirs = context.Pipe()
            worker = context.Process(target=work, args=(theirs, setup), daemon=True)
            worker.start()
            theirs.close()
            self._pipes.append(ours)
            self._workers.append(worker)

    def stop(self) -> None:
        """End the generators, then the stack."""
        for pipe in self._pipes:
            pipe.close()
        for worker in self._workers:
            worker.join(timeout=10.0)
            if worker.is_alive():
                worker.kill()
        self._stack.stop()

    def ask(self, command: Command) -> list[Any]:
        """Have every generator carry a command out; return their answers. Raises GeneratorFailed."""
        name = type(command).__name__
        answers = []
        try:
            for pipe in self._pipes:
                pipe.send(command)
            for pipe in self._pipes:
                if not pipe.poll(_ANSWER_TIMEOUT_S):
                    raise GeneratorFailed(f"no answer to {name}")
                answers.append(pipe.recv())
        except (EOFError, ConnectionError):
            raise GeneratorFailed(f"a generator died before it answered {name}") from None
        for answer in answers:
            if isinstance(answer, GeneratorFailed):
                raise answer
        return answers

    # --- steps of scenarios -------------------------------------------------------------------------

    def connect_all(self) -> None:
        """Open everybody's socket, and note rate, times and memory."""
        clients = range(self._layout.accounts)
        # Once they answer, the generators have started, which is no part of what is measured.
        self.ask(Progress())
        before = self._gateways_rss()
        started = time.monotonic()
        answers = self.ask(Connect(clients, at_once=max(1, self._options.at_once // self._options.generators)))
        self.connect_s = time.monotonic() - started
        self.ready = [ns for answer in answers for ns in answer]
        time.sleep(_SETTLE_S)
        self.rss_per_connection = (self._gateways_rss() - before) / len(clients)

    def _gateways_rss(self) -> int:
        gateways = [process for process in self._stack.processes if process.is_gateway]
        return sum(int(psutil.Process(process.pid).memory_info().rss) for process in gateways)

    def send(self, *, first: int, count: int, per_s: float) -> None:
        """Have messages written; return when the last one is."""
        self.ask(Send(first, count, per_s, time.monotonic_ns() + _LEAD_NS))

    def settle(self, *, sent: int, deliveries: int) -> None:
        """Wait until that many sends are answered and that many deliveries made.

        Where nothing comes for a while, clients state their marks, as they would with the next heartbeat; where
        nothing comes after that, what is missing is lost.
        """
        for may_ask in (True, False):
            last, since = (-1, -1), time.monotonic()
            while time.monotonic() - since < _PATIENCE_S:
                answers = self.ask(Progress())
                now = (sum(a for a, _ in answers), sum(d for _, d in answers))
                if now[0] >= sent and now[1] >= deliveries:
                    return
                if now != last:
                    last, since = now, time.monotonic()
                time.sleep(0.1)
            if may_ask:
                self.ask(SyncAll())

    @contextmanager
    def cpu(self, into: dict[str, Cpu], *, after_s: float = 0.0, messages: int = 0) -> Iterator[None]:
        """Note the processor time of every process, and what the server's metrics counted, over the block.

        But for its first ``after_s``; ``messages`` are due in the rest.
        """
        processes = {process.name: psutil.Process(process.pid) for process in self._stack.processes}
        processes |= {f"generator {number}": psutil.Process(w.pid) for number, w in enumerate(self._workers)}

        def look() -> tuple[float, dict[str, float], dict[str, float]]:
            metrics = self._scrape()
            return time.monotonic(), {name: sum(it.cpu_times()[:2]) for name, it in processes.items()}, metrics

        def look_later() -> tuple[float, dict[str, float], dict[str, float]]:
            time.sleep(after_s)
            return look()

        with ThreadPoolExecutor(1) as aside:
            looking = aside.submit(look_later)
            if not after_s:
                looking.result()
            yield
            began, used, metrics = looking.result()
        ended, used_now, metrics_now = look()
        for name in processes:
            seconds = used_now[name] - used[name]
            each = round(seconds * 1000 / messages, 3) if messages else None
            into[name] = Cpu(round(seconds, 2), round(seconds / (ended - began), 3), each)
        self.metrics = {
            name: round(value - metrics.get(name, 0.0), 6)
            for name, value in metrics_now.items()
            if value != metrics.get(name, 0.0)
        }

    def _scrape(self) -> dict[str, float]:
        """Return the sums and counts of the gateways' own metrics, added up."""
        found: dict[str, float] = {}
        for address in self._stack.addresses:
            connection = HTTPConnection(address.host, address.port, timeout=10.0)
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
            connection.close()
            for line in text.splitlines():
                name, _, value = line.rpartition(" ")
                if line.startswith("chat_") and "_bucket" not in name and "_created" not in name:
                    found[name] = found.get(name, 0.0) + float(value)
        return found

    def collect(self) -> tuple[list[Record], int, Mapping[str, Sequence[int]]]:
        """Return the records, the connections that ended by themselves, and every conversation's devices."""
        answers = self.ask(Collect())
        members = dict(zip(self._conversations, self._layout.conversations, strict=True))
        return [record for record, _ in answers], sum(ended for _, ended in answers), members


def _stretch(run: Run, outcome: Outcome, *, rate: float, seconds: float, warmup_s: float, readers: int) -> None:
    """One stretch of messages at a steady rate, the warm-up first; each goes to ``readers`` devices."""
    warmup = round(warmup_s * rate)
    count = warmup + round(seconds * rate)
    outcome.untimed, outcome.has_rate = range(warmup), True
    with run.cpu(outcome.cpu, after_s=warmup_s, messages=count - warmup):
        run.send(first=0, count=count, per_s=rate)
    run.settle(sent=count, deliveries=count * readers)


def _play_connect(run: Run, args: Namespace, outcome: Outcome) -> None:
    with run.cpu(outcome.cpu):
        time.sleep(args.seconds)


def _dm_layout(args: Namespace) -> Layout:
    pairs = [(2 * pair, 2 * pair + 1) for pair in range(args.pairs)]
    writers = [(members[side], pair) for side in (0, 1) for pair, members in enumerate(pairs)]
    return Layout(2 * args.pairs, pairs, writers)


def _play_dm(run: Run, args: Namespace, outcome: Outcome) -> None:
    _stretch(run, outcome, rate=args.rate, seconds=args.seconds, warmup_s=args.warmup, readers=2)


def _group_layout(args: Namespace) -> Layout:
    writers = min(args.writers, args.members)
    step = args.members // writers
    return Layout(args.members, [range(args.members)], [(writer * step, 0) for writer in range(writers)])


def _play_group(run: Run, args: Namespace, outcome: Outcome) -> None:
    _stretch(run, outcome, rate=args.rate, seconds=args.seconds, warmup_s=args.warmup, readers=args.members)


def _hot_layout(args: Namespace) -> Layout:
    """Pairs, and after them a group in which everybody writes: of all messages its share is evenly among the others."""
    pairs = _dm_layout(args)
    group = range(pairs.accounts, pairs.accounts + args.members)
    total = args.rate + args.hot_rate
    ordinary, hot = cycle(pairs.writers), cycle((writer, args.pairs) for writer in group)
    writers = [
        next(hot if is_of_group(number, args) else ordinary)
        for number in range(round(len(pairs.writers) * total / args.rate))
    ]
    return Layout(
        pairs.accounts + args.members,
        [*pairs.conversations, group],
        writers,
        {args.pairs: args.k} if args.k > 1 else {},
    )


def is_of_group(number: int, args: Namespace) -> bool:
    """Return whether a message is the group's, by its place among the writers."""
    share = args.hot_rate / (args.rate + args.hot_rate)
    return int((number + 1) * share) > int(number * share)


def _play_hot(run: Run, args: Namespace, outcome: Outcome) -> None:
    """Everybody at once; what the pairs write is timed."""
    total = args.rate + args.hot_rate
    warmup, count = round(args.warmup * total), round((args.warmup + args.seconds) * total)
    length = round(2 * args.pairs * total / args.rate)
    hot = {number for number in range(count) if is_of_group(number % length, args)}
    outcome.untimed, outcome.has_rate = frozenset(range(warmup)) | hot, True
    with run.cpu(outcome.cpu, after_s=args.warmup, messages=count - warmup):
        run.send(first=0, count=count, per_s=total)
    run.settle(sent=count, deliveries=2 * (count - len(hot)) + args.members * len(hot))


def _resume_layout(args: Namespace) -> Layout:
    size = args.group_size
    groups = [range(start, start + size) for start in range(0, args.clients - size + 1, size)]
    return Layout(len(groups) * size, groups, [(group[0], index) for index, group in enumerate(groups)])


def _play_resume(run: Run, args: Namespace, outcome: Outcome) -> None:
    """A message to everybody; the cut; what is missed; the return of all at once; a message to everybody."""
    groups = args.clients // args.group_size
    clients = groups * args.group_size
    away = [client for client in range(clients) if client % args.group_size]
    missed = groups * args.missed
    outcome.untimed = range(groups, groups + missed)
    run.send(first=0, count=groups, per_s=args.rate)
    run.settle(sent=groups, deliveries=clients)
    run.ask(Cut(away))
    run.send(first=groups, count=missed, per_s=args.rate)
    # The writers' own copies: these messages are stored.
    run.settle(sent=groups + missed, deliveries=clients + missed)
    with run.cpu(outcome.cpu):
        now = time.monotonic_ns()
        answers = run.ask(Connect(away, at_once=len(away), sync=True, since=now))
        outcome.resume = [ns for answer in answers for ns in answer]
    run.send(first=groups + missed, count=groups, per_s=args.rate)
    run.settle(sent=2 * groups + missed, deliveries=(2 + args.missed) * clients)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One thing to measure. ``arguments``: name, default and help; the default's type is the argument's.

    None: a float, which the stack gives.
    """

    help: str
    arguments: Sequence[tuple[str, int | float | None, str]]
    layout: Callable[[Namespace], Layout]
    play: Callable[[Run, Namespace, Outcome], None]


_WARMUP: Final = "seconds of messages before those that are timed; None: " + ", ".join(
    f"{stack.warmup_s:g} on {name}" for name, stack in STACKS.items()
)

SCENARIOS: Final = {
    "connect": Scenario(
        "many authenticated sockets that say nothing but their heartbeat",
        [("connections", 10_000, "how many"), ("seconds", 30.0, "how long they stay")],
        lambda args: Layout(args.connections),
        _play_connect,
    ),
    "dm": Scenario(
        "pairs who write to each other",
        [
            ("pairs", 500, "how many"),
            ("rate", 1500.0, "messages a second of all together"),
            ("seconds", 60.0, "how long"),
            ("warmup", None, _WARMUP),
        ],
        _dm_layout,
        _play_dm,
    ),
    "group": Scenario(
        "one group, everybody online",
        [
            ("members", 1_000, "how many"),
            ("writers", 50, "how many of them write, in turn"),
            ("rate", 5.0, "messages a second of all together"),
            ("seconds", 60.0, "how long"),
            ("warmup", None, _WARMUP),
        ],
        _group_layout,
        _play_group,
    ),
    "hot": Scenario(
        "pairs who write to each other, and beside them one group that is written to very fast; the pairs are timed",
        [
            ("pairs", 200, "how many"),
            ("rate", 200.0, "messages a second of all pairs together"),
            ("members", 20, "of the group; all of them write, in turn"),
            ("hot_rate", 200.0, "messages a second of the group"),
            ("k", 8, "sub-partitions that the group is spread over; 1: it is not"),
            ("seconds", 30.0, "how long"),
            ("warmup", None, _WARMUP),
        ],
        _hot_layout,
        _play_hot,
    ),
    "resume": Scenario(
        "clients who lose their connections, miss messages, and come back all at once",
        [
            ("clients", 1_000, "how many, in groups"),
            ("group_size", 10, "members of a group; the first of each stays and writes"),
            ("missed", 20, "messages that each misses (a backfill holds 200)"),
            ("rate", 500.0, "messages a second of all together"),
        ],
        _resume_layout,
        _play_resume,
    ),
}


def execute(name: str, args: Namespace, stack: Stack) -> Report:
    """Run a scenario on a stack and return its report; the stack is gone afterwards.

    Raises:
        StackFailed, GeneratorFailed: there is nothing to report.
    """
    scenario = SCENARIOS[name]
    layout = scenario.layout(args)
    outcome = Outcome()
    started = datetime.now(UTC)
    load_before = load()
    run = Run(stack, layout, Options(args.generators, args.at_once, args.body_bytes, args.receipts))
    try:
        run.start()
        run.connect_all()
        scenario.play(run, args, outcome)
        records, disconnects, members = run.collect()
        load_after = load()
    finally:
        run.stop()
    verdict = check(records, members=members, untimed=outcome.untimed)
    timed = len(verdict.ack_due)
    has_rate = outcome.has_rate and timed > 0
    return Report(
        scenario=name,
        stack=stack.name,
        started=started.isoformat(timespec="seconds"),
        parameters={key: value for key, value in vars(args).items() if key in _reported(scenario)},
        machine=describe(load_before=load_before, load_after=load_after),
        connections=layout.accounts,
        connects_per_s=round(layout.accounts / run.connect_s, 1),
        ready_ms=spread(run.ready),
        rss_kib_per_connection=round(run.rss_per_connection / 1024, 2),
        sent=verdict.sent,
        acked=verdict.acked,
        refused=verdict.refused,
        unanswered=verdict.unanswered,
        delivered=verdict.delivered,
        lost=verdict.lost,
        missing_deliveries=verdict.missing,
        duplicates=verdict.duplicates,
        repeats=verdict.repeats,
        out_of_order=verdict.out_of_order,
        by_backfill=verdict.by_backfill,
        disconnects=disconnects,
        seconds=round(verdict.window / _NS, 3) if has_rate else None,
        msgs_per_s=round(timed * _NS / verdict.window, 1) if has_rate else None,
        delivered_msgs_per_s=round(timed * _NS / verdict.delivery_window, 1) if has_rate else None,
        deliver_ms=spread(verdict.deliver_due),
        deliver_from_write_ms=spread(verdict.deliver_sent),
        to_all_ms=spread(verdict.to_all_due),
        ack_ms=spread(verdict.ack_due),
        ack_from_write_ms=spread(verdict.ack_sent),
        pacing_ms=spread(verdict.pacing),
        resume_ms=spread(outcome.resume),
        cpu=outcome.cpu,
        metrics=run.metrics,
    )


def _reported(scenario: Scenario) -> list[str]:
    return [*(name for name, _, _ in scenario.arguments), "generators", "at_once", "body_bytes", "receipts"]
