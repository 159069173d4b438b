"""What tracing costs on the way of a message while it is off, unsampled, or sampled: ``python -m bench.tracing``.

Each row is what one message pays for in one process, in nanoseconds: the best of several rounds, less the empty loop.
"""

import time
from collections.abc import Callable
from typing import Final
from uuid import uuid4

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

from messaging import tracing
from messaging.domain import events
from messaging.domain.frames import Msg
from messaging.domain.ids import UserId

_CALLS: Final = 100_000
_ROUNDS: Final = 5


def measure(work: Callable[[], object]) -> float:
    """Return the nanoseconds of one call."""

    def best(work: Callable[[], object]) -> float:
        rounds = []
        for _ in range(_ROUNDS):
            began = time.perf_counter_ns()
            for _ in range(_CALLS):
                work()
            rounds.append((time.perf_counter_ns() - began) / _CALLS)
        return min(rounds)

    return best(work) - best(lambda: None)


def gateway() -> bytes:
    """Do what a send does."""
    span = tracing.begin("gateway.send", ago_s=0.001) if tracing.is_on() else None
    trace = tracing.carried(span)
    if span is not None:
        span.end()
    return trace


def record(trace: bytes) -> Callable[[], object]:
    """Return what writes a record and reads it again."""
    sent = events.MessageSent(UserId(1), uuid4().bytes, "x" * 64, trace=trace)
    return lambda: events.decode_log_event(events.encode(sent))


def pod(trace: bytes) -> Callable[[], object]:
    """Return what a pod does with one delivery."""
    event = events.Deliver([UserId(1)], Msg("m_x", "c_x", "u_x", ts=1), trace=trace)

    def deliver() -> None:
        span = tracing.begin("pod.deliver", parent=event.trace) if event.trace else None
        if span is not None:
            span.end()

    return deliver


def main() -> None:
    """Print the table."""
    print(f"{'':12}{'gateway':>10}{'record':>10}{'pod':>10}   ns/message")
    for name, ratio in (("off", None), ("unsampled", 0.0), ("sampled", 1.0)):
        if ratio is not None:
            provider = TracerProvider(sampler=ParentBasedTraceIdRatio(ratio), shutdown_on_exit=False)
            tracing.use(provider.get_tracer("bench"))
        trace = gateway()
        costs = [measure(work) for work in (gateway, record(trace), pod(trace))]
        print(f"{name:12}" + "".join(f"{cost:10.0f}" for cost in costs))


if __name__ == "__main__":
    main()
