"""Where traces go: to CHAT_OTLP_ENDPOINT, where there is one (docs/decisions/0027)."""

from collections.abc import Callable
from typing import Final

from django.conf import settings

from messaging import tracing

_EXPORT_TIMEOUT_S: Final = 5


def start(instance: str) -> Callable[[], None]:
    """Trace from here on, as ``instance``, and return what sends the rest and ends it; that blocks meanwhile.

    Without CHAT_OTLP_ENDPOINT nothing is traced.

    Raises:
        SystemExit: what it takes is not installed.
    """
    endpoint = settings.ENV["CHAT_OTLP_ENDPOINT"]
    if not endpoint:
        return lambda: None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
    except ModuleNotFoundError as error:
        raise SystemExit(
            f"CHAT_OTLP_ENDPOINT needs {error.name}; pip install --require-hashes -r requirements-otlp.txt"
        ) from None
    provider = TracerProvider(
        sampler=ParentBasedTraceIdRatio(settings.ENV["CHAT_TRACE_RATIO"]),
        resource=Resource({"service.name": "chat", "service.instance.id": instance}),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=_EXPORT_TIMEOUT_S)
    # In a thread of its own, from a bounded queue: spans are dropped where the collector is away.
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracing.use(provider.get_tracer("chat"))

    def end() -> None:
        tracing.use(None)
        provider.shutdown()

    return end
