"""One message makes one connected trace, and only a message that is sampled carries anything."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

from accounts.models import User
from chatproject import container
from messaging import tracing
from messaging.domain import events
from messaging.ports import TOPIC_MESSAGES
from tests.conftest import eventually
from tests.gateway.conftest import Server, conv_ref

pytestmark = pytest.mark.django_db(transaction=True)

Start = Callable[[float], InMemorySpanExporter]


@pytest.fixture
def trace() -> Iterator[Start]:
    """Return ``trace(ratio)``, which returns where the spans of so many messages will be."""

    def start(ratio: float) -> InMemorySpanExporter:
        exporter = InMemorySpanExporter()
        provider = TracerProvider(sampler=ParentBasedTraceIdRatio(ratio), shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        tracing.use(provider.get_tracer("tests"))
        return exporter

    yield start
    tracing.use(None)


async def spans_of(exporter: InMemorySpanExporter, *names: str) -> dict[str, ReadableSpan]:
    """Return the spans once there is one of each name, and no other."""
    await eventually(lambda: len(exporter.get_finished_spans()) == len(names))
    found = {span.name: span for span in exporter.get_finished_spans()}
    assert set(found) == set(names)
    return found


async def last_payload() -> events.LogEvent:
    """Return what the log's last message says."""
    reader = container.message_log().reader(TOPIC_MESSAGES, group=f"look-{uuid4()}")
    records = await reader.poll(max_records=100, timeout_s=5)
    await reader.close()
    return events.decode_log_event(records[-1].payload)


async def test_one_message_is_one_trace(
    server: Server, make_user: Callable[..., User], make_dm: Callable[..., Any], trace: Start
) -> None:
    ann_user, bob_user = make_user("ann"), make_user("bob")
    conv = conv_ref(make_dm(ann_user, bob_user))
    ann, bob = await server.sign_in(ann_user), await server.sign_in(bob_user)
    exporter = trace(1.0)
    ack = await ann.say(conv, "a secret")
    await bob.expect("msg", server_id=ack["server_id"])
    spans = await spans_of(exporter, "gateway.send", "log.append", "router.message", "pod.deliver")
    assert len({span.context.trace_id for span in spans.values()}) == 1
    parents = {name: span.parent and span.parent.span_id for name, span in spans.items()}
    send, message = spans["gateway.send"].context.span_id, spans["router.message"].context.span_id
    assert parents == {"gateway.send": None, "log.append": send, "router.message": send, "pod.deliver": message}
    assert spans["router.message"].attributes == {"chat.server_id": ack["server_id"], "chat.poll_records": 1}
    assert spans["pod.deliver"].attributes == {"chat.sockets": 2}
    assert "a secret" not in "".join(span.to_json() for span in spans.values())
    for before, after in (("gateway.send", "router.message"), ("router.message", "pod.deliver")):
        first, second = spans[before].start_time, spans[after].start_time
        assert first is not None
        assert second is not None
        assert first <= second


async def test_a_message_over_rest_is_one_trace_too(
    server: Server, make_user: Callable[..., User], make_dm: Callable[..., Any], trace: Start
) -> None:
    ann_user, bob_user = make_user("ann"), make_user("bob")
    conv = conv_ref(make_dm(ann_user, bob_user))
    bob = await server.sign_in(bob_user)
    http = server.http(server.token(ann_user))
    exporter = trace(1.0)
    answer = await http.post(f"/v1/conversations/{conv}/messages", json={"msg_id": str(uuid4()), "body": "hello"})
    assert answer.status_code == 201
    await bob.expect("msg")
    spans = await spans_of(exporter, "rest.send", "router.message", "pod.deliver")
    assert len({span.context.trace_id for span in spans.values()}) == 1


async def test_a_change_is_one_trace_too(
    server: Server, make_user: Callable[..., User], make_dm: Callable[..., Any], trace: Start
) -> None:
    ann_user, bob_user = make_user("ann"), make_user("bob")
    conv = conv_ref(make_dm(ann_user, bob_user))
    ann, bob = await server.sign_in(ann_user), await server.sign_in(bob_user)
    ack = await ann.say(conv, "hello")
    await bob.expect("msg")
    exporter = trace(1.0)
    await ann.send("edit", msg_id=str(uuid4()), server_id=ack["server_id"], body="a secret")
    edit = await bob.expect("edit")
    spans = await spans_of(exporter, "gateway.change", "log.append", "router.change", "pod.deliver")
    assert len({span.context.trace_id for span in spans.values()}) == 1
    parents = {name: span.parent and span.parent.span_id for name, span in spans.items()}
    change, applied = spans["gateway.change"].context.span_id, spans["router.change"].context.span_id
    assert parents == {"gateway.change": None, "log.append": change, "router.change": change, "pod.deliver": applied}
    assert spans["router.change"].attributes == {"chat.server_id": edit["server_id"], "chat.poll_records": 1}
    assert "a secret" not in "".join(span.to_json() for span in spans.values())

    exporter.clear()
    http = server.http(server.token(bob_user))
    answer = await http.put(f"/v1/messages/{ack['server_id']}/reactions/👍", json={})
    assert answer.status_code == 204
    await ann.expect("react")
    spans = await spans_of(exporter, "rest.change", "router.change", "pod.deliver")
    assert len({span.context.trace_id for span in spans.values()}) == 1


@pytest.mark.parametrize("ratio", [None, 0.0])
async def test_what_is_not_traced_carries_nothing(
    server: Server,
    make_user: Callable[..., User],
    make_dm: Callable[..., Any],
    trace: Start,
    ratio: float | None,
) -> None:
    ann_user = make_user("ann")
    conv = conv_ref(make_dm(ann_user, make_user("bob")))
    ann = await server.sign_in(ann_user)
    exporter = None if ratio is None else trace(ratio)
    ack = await ann.say(conv)
    await ann.expect("msg", server_id=ack["server_id"])
    sent = await last_payload()
    assert isinstance(sent, events.MessageSent)
    assert sent.trace == b""
    assert exporter is None or not exporter.get_finished_spans()
