"""What a pod counts of its sockets, and what it counts of a message on its way."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY

from accounts.models import User
from tests.conftest import eventually
from tests.gateway.conftest import Server, conv_ref

pytestmark = pytest.mark.django_db(transaction=True)


class Numbers:
    """How much a sample has grown since this was made."""

    def __init__(self) -> None:
        self._before = {
            (it.name, *it.labels.items()): it.value for family in REGISTRY.collect() for it in family.samples
        }

    def grown(self, name: str, **labels: str) -> float:
        now = REGISTRY.get_sample_value(name, labels) or 0.0
        return now - self._before.get((name, *labels.items()), 0.0)


def connections(state: str) -> float | None:
    return REGISTRY.get_sample_value("chat_connections", {"state": state})


async def test_connections_are_counted_by_state(server: Server, make_user: Callable[..., User]) -> None:
    numbers = Numbers()
    nobody = await server.connect()
    ann = await server.sign_in(make_user("ann"))
    assert (connections("anonymous"), connections("open")) == (1, 1)
    stranger = await server.connect(additional_headers={"Authorization": "Bearer wrong"})
    assert await stranger.close_code() == 4401
    assert numbers.grown("chat_auth_failures_total", door="socket") == 1
    assert numbers.grown("chat_connections_closed_total", code="4401") == 1
    await nobody.connection.close()
    await ann.connection.close()
    await eventually(lambda: (connections("anonymous"), connections("open")) == (0, 0))


async def test_a_message_is_counted_on_its_way(
    server: Server, make_user: Callable[..., User], make_dm: Callable[..., Any]
) -> None:
    ann_user, bob_user = make_user("ann"), make_user("bob")
    conv = conv_ref(make_dm(ann_user, bob_user))
    ann = await server.sign_in(ann_user)
    phone, tablet = await server.sign_in(bob_user), await server.sign_in(bob_user)
    numbers = Numbers()
    msg_id = str(uuid4())
    first = await ann.say(conv, msg_id=msg_id)
    for client in (ann, phone, tablet):
        await client.expect("msg", server_id=first["server_id"])
    assert (await ann.say(conv, msg_id=msg_id))["server_id"] == first["server_id"]
    assert numbers.grown("chat_log_dedupe_hits_total", by="log") == 1
    # One pod, so one batch, whose one message went to three sockets in one go.
    assert numbers.grown("chat_batches_per_message_sum") == 1
    assert numbers.grown("chat_send_to_deliver_seconds_count") == 1
    assert numbers.grown("chat_messages_delivered_total") == 3
    assert numbers.grown("chat_send_to_ack_seconds_count") == 2
    lag = {"topic": "messages", "group": "router", "partition": "0"}
    await eventually(lambda: REGISTRY.get_sample_value("chat_log_lag_seconds", lag) == 0)
    assert REGISTRY.get_sample_value("chat_log_lag_records", lag) == 0


async def test_what_is_refused_and_dropped_is_counted(
    start_server: Callable[[], Awaitable[Server]],
    limits: Callable[..., None],
    make_user: Callable[..., User],
    make_dm: Callable[..., Any],
) -> None:
    limits(send_rate_per_s=0.1, send_burst=1)
    server = await start_server()
    ann_user = make_user("ann")
    conv = conv_ref(make_dm(ann_user, make_user("bob")))
    ann = await server.sign_in(ann_user)
    numbers = Numbers()
    await ann.say(conv)
    await ann.send("send", msg_id=str(uuid4()), conv=conv, body="too soon")
    await ann.refusal("rate_limited")
    assert numbers.grown("chat_frames_refused_total", code="rate_limited") == 1
    await ann.send("typing", conv=conv)
    await ann.send("typing", conv=conv)
    await ann.quiet()
    assert numbers.grown("chat_typing_dropped_total", reason="rate") == 1


async def test_what_a_resume_costs_is_counted(
    start_server: Callable[[], Awaitable[Server]],
    limits: Callable[..., None],
    make_user: Callable[..., User],
    make_dm: Callable[..., Any],
) -> None:
    limits(max_backfill=2)
    server = await start_server()
    ann_user = make_user("ann")
    conv = conv_ref(make_dm(ann_user, make_user("bob")))
    ann = await server.sign_in(ann_user)
    sent = [(await ann.say(conv))["server_id"] for _ in range(4)]
    await ann.expect("msg", server_id=sent[-1])
    numbers = Numbers()
    await ann.send("sync", marks={conv: sent[0]})
    assert (await ann.expect("backfill"))["more"]
    await ann.expect("synced")
    assert numbers.grown("chat_sync_backfills_sum") == 1
    assert numbers.grown("chat_backfill_messages_sum") == 2
    assert numbers.grown("chat_backfills_truncated_total") == 1
