"""Traces of some messages and changes, from the gateway by the log and the router to the pods (docs/decisions/0027).

::

    gateway.send                 a frame was read … its ack is queued        (rest.send over REST)
    ├── log.append               … the record is durable
    └── router.message           a poll has the record … its batches are out
        └── pod.deliver          a pod has the batch … the message is on its sockets; one for each pod

Of an edit, a deletion or a reaction the spans are ``gateway.change``, ``rest.change`` and ``router.change``.

The context travels in the record and in the batches (``trace`` of ``MessageSent``, ``MessageChanged`` and ``Deliver``),
and only for what is sampled: the others, and everything while tracing is off, cost a comparison.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)

#: What travels: trace id and span id, big-endian. Whoever has it was sampled.
_TRACE_BYTES: Final = 16
_BYTES: Final = _TRACE_BYTES + 8
_ROOT: Final = Context()

_tracer: Tracer | None = None


def use(tracer: Tracer | None) -> None:
    """Trace with ``tracer`` from here on; None turns tracing off."""
    global _tracer
    _tracer = tracer


def is_on() -> bool:
    """Return whether anything is traced in this process."""
    return _tracer is not None


def begin(
    name: str, *, parent: bytes = b"", ago_s: float = 0.0, attributes: Mapping[str, str | int | float] | None = None
) -> Span | None:
    """Return a span that began ``ago_s`` seconds ago; None where tracing is off or the trace is not sampled.

    ``parent``: what ``carried`` gave, here or elsewhere; empty begins a trace. Whoever begins a span ends it.
    """
    if _tracer is None:
        return None
    span = _tracer.start_span(
        name,
        context=_context(parent),
        attributes=attributes,
        start_time=time.time_ns() - int(ago_s * 1e9) if ago_s else None,
    )
    return span if span.is_recording() else None


def carried(span: Span | None) -> bytes:
    """Return what makes another process's span a child of this one; empty for None."""
    if span is None:
        return b""
    context = span.get_span_context()
    return context.trace_id.to_bytes(_TRACE_BYTES, "big") + context.span_id.to_bytes(_BYTES - _TRACE_BYTES, "big")


def _context(parent: bytes) -> Context:
    # An explicit one, also where it is empty: nothing that some library has begun in this task is a parent of ours.
    if len(parent) != _BYTES:
        return _ROOT
    context = SpanContext(
        int.from_bytes(parent[:_TRACE_BYTES], "big"),
        int.from_bytes(parent[_TRACE_BYTES:], "big"),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
    return set_span_in_context(NonRecordingSpan(context), _ROOT)


def end_with(future: "asyncio.Future[Any]", name: str, span: Span) -> None:
    """End ``span``, and a child of it called ``name``, once ``future`` is done; one that failed is marked."""
    child = begin(name, parent=carried(span))

    def done(future: "asyncio.Future[Any]") -> None:
        for each in (child, span):
            if each is not None:
                if future.cancelled() or future.exception() is not None:
                    each.set_status(StatusCode.ERROR)
                each.end()

    future.add_done_callback(done)
