"""Spans reach the collector that CHAT_OTLP_ENDPOINT names; without it nothing is traced."""

import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from chatproject import traces
from messaging import tracing


@pytest.fixture
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """Return the address of a collector, and what it is sent: path and body."""
    got: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", got
        server.shutdown()
        thread.join()


def change(settings: Any, **variables: Any) -> None:
    settings.ENV = replace(settings.ENV, values={**settings.ENV.values, **variables})


def test_spans_reach_the_collector(settings: Any, collector: tuple[str, list[tuple[str, bytes]]]) -> None:
    address, got = collector
    change(settings, CHAT_OTLP_ENDPOINT=address, CHAT_TRACE_RATIO=1.0)
    end = traces.start("pod-7")
    span = tracing.begin("gateway.send")
    assert span is not None
    span.end()
    end()
    ((path, body),) = got
    assert path == "/v1/traces"
    (sent,) = ExportTraceServiceRequest.FromString(body).resource_spans
    assert {it.key: it.value.string_value for it in sent.resource.attributes}["service.instance.id"] == "pod-7"
    assert sent.scope_spans[0].spans[0].name == "gateway.send"
    assert not tracing.is_on()


def test_without_an_endpoint_nothing_is_traced() -> None:
    traces.start("pod-7")()
    assert not tracing.is_on()
    assert tracing.begin("gateway.send") is None
    assert tracing.carried(None) == b""


def test_what_is_missing_is_named(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    change(settings, CHAT_OTLP_ENDPOINT="http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SystemExit, match=r"CHAT_OTLP_ENDPOINT needs opentelemetry.sdk.trace; pip install"):
        traces.start("pod-7")


@pytest.mark.parametrize("context", [b"", b"short", b"x" * 25])
def test_a_context_that_is_none_begins_a_trace(
    settings: Any, collector: tuple[str, list[tuple[str, bytes]]], context: bytes
) -> None:
    change(settings, CHAT_OTLP_ENDPOINT=collector[0], CHAT_TRACE_RATIO=1.0)
    end = traces.start("pod-7")
    span = tracing.begin("pod.deliver", parent=context)
    assert span is not None
    span.end()
    end()
    (sent,) = ExportTraceServiceRequest.FromString(collector[1][0][1]).resource_spans
    assert sent.scope_spans[0].spans[0].parent_span_id == b""
