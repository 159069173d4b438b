"""The figures of a run, as a table and as JSON. What each means is in docs/performance.md."""

import math
from collections.abc import Sequence

import msgspec

from bench.machine import Machine

_NS_PER_MS = 1e6


class Spread(msgspec.Struct, frozen=True):
    """How a time is spread, in milliseconds."""

    p50: float
    p99: float
    p99_9: float
    max: float


class Cpu(msgspec.Struct, frozen=True):
    """Processor time of one process while messages ran, without the warm-up. ``share``: of one core."""

    seconds: float
    share: float
    #: By the messages that were due meanwhile; None where none were.
    ms_per_message: float | None = None


class Report(msgspec.Struct):
    """One run. A figure that a scenario does not have is None."""

    scenario: str
    stack: str
    started: str
    parameters: dict[str, int | float | bool | str]
    machine: Machine
    connections: int
    connects_per_s: float
    ready_ms: Spread | None
    rss_kib_per_connection: float
    sent: int
    acked: int
    refused: dict[str, int]
    unanswered: int
    delivered: int
    lost: int
    missing_deliveries: int
    duplicates: int
    repeats: int
    out_of_order: int
    by_backfill: int
    disconnects: int
    #: From the first intended time to the last ack, without the warm-up, and the acked messages in it per second.
    seconds: float | None
    msgs_per_s: float | None
    #: The same up to the last delivery: lower where the router cannot keep up.
    delivered_msgs_per_s: float | None
    deliver_ms: Spread | None
    deliver_from_write_ms: Spread | None
    to_all_ms: Spread | None
    ack_ms: Spread | None
    ack_from_write_ms: Spread | None
    pacing_ms: Spread | None
    resume_ms: Spread | None
    cpu: dict[str, Cpu]
    #: Rows of the server's ``/metrics`` that counted or timed something meanwhile: what was added during the run.
    metrics: dict[str, float]

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, doubled or out of order."""
        return not (self.lost or self.duplicates or self.out_of_order)


def percentile(ordered: Sequence[int], share: float) -> int:
    """Return the nearest-rank percentile of ascending values: the smallest that at least ``share`` of them do not pass.

    Raises:
        ValueError: there are no values.
    """
    if not ordered:
        raise ValueError("no values")
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spread(values_ns: Sequence[int]) -> Spread | None:
    """Return how times in nanoseconds are spread, in milliseconds; None where there are none."""
    if not values_ns:
        return None
    ordered = sorted(values_ns)
    p50, p99, p99_9 = (percentile(ordered, share) for share in (0.5, 0.99, 0.999))
    return Spread(*(round(value / _NS_PER_MS, 3) for value in (p50, p99, p99_9, ordered[-1])))


def table(report: Report) -> str:
    """Return the report as lines to read."""
    rows: list[tuple[str, str]] = [
        ("scenario", f"{report.scenario} on {report.stack}, {report.started}"),
        ("parameters", ", ".join(f"{name}={value}" for name, value in report.parameters.items())),
        (
            "machine",
            f"{report.machine.cores} cores, {report.machine.cpu}, {report.machine.memory_mib} MiB,"
            f" {report.machine.system}, Python {report.machine.python}",
        ),
        ("load average", f"{report.machine.load_before} before, {report.machine.load_after} after"),
        (
            "connections",
            f"{report.connections}, {report.connects_per_s:,.0f}/s, {report.rss_kib_per_connection:.1f} KiB each,"
            f" {report.disconnects} lost",
        ),
    ]
    if report.msgs_per_s is not None:
        rows.append(
            (
                "rate",
                f"{report.msgs_per_s:,.1f} messages/s acked over {report.seconds:.1f} s,"
                f" {report.delivered_msgs_per_s:,.1f}/s until delivered",
            )
        )
    if report.sent:
        refused = sum(report.refused.values())
        rows += [
            (
                "messages",
                f"{report.sent:,} sent, {report.acked:,} acked, {refused:,} refused, {report.unanswered:,} unanswered",
            ),
            (
                "deliveries",
                f"{report.delivered:,}, {report.by_backfill:,} by backfill, {report.repeats:,} repeats dropped",
            ),
            (
                "faults",
                f"{report.lost:,} lost, {report.duplicates:,} duplicates, {report.out_of_order:,} out of order",
            ),
        ]
    for name, title in _SPREADS.items():
        value: Spread | None = getattr(report, name)
        if value is not None:
            rows.append(
                (title, f"p50 {value.p50:.1f}  p99 {value.p99:.1f}  p99.9 {value.p99_9:.1f}  max {value.max:.1f}")
            )
    for name, used in report.cpu.items():
        each = "" if used.ms_per_message is None else f", {used.ms_per_message:.2f} ms a message"
        rows.append((f"cpu {name}", f"{used.seconds:.1f} s, {used.share:.0%} of a core{each}"))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in rows)


_SPREADS = {
    "ready_ms": "ms to ready",
    "deliver_ms": "ms to deliver",
    "deliver_from_write_ms": "  from write",
    "to_all_ms": "ms to all members",
    "ack_ms": "ms to ack",
    "ack_from_write_ms": "  from write",
    "pacing_ms": "ms behind schedule",
    "resume_ms": "ms to resume",
}
