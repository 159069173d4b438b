"""The moderators' rules at the socket: a refused text gets an error, a flagged one an ack and a case."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from messaging.domain import ids
from messaging.moderation.models import Case, FilterRule, SendLimit
from tests.conftest import eventually
from tests.gateway.conftest import Server
from tests.gateway.test_sign_out import do

pytestmark = pytest.mark.django_db(transaction=True)


async def test_a_rule_refuses_or_flags_what_a_socket_sends(server: Server, make_user: Any, make_dm: Any) -> None:
    ann, bob = make_user("ann"), make_user("bob")
    conv = ids.conversation_ref(make_dm(ann, bob).id)
    for outcome, word in (("refuse", "potato"), ("flag", "carrot")):
        rule = {"name": word, "kind": "words", "config": word, "outcome": outcome}
        await do(lambda rule=rule: FilterRule.objects.create(**rule))
    socket = await server.connect(additional_headers={"Authorization": f"Bearer {server.token(ann)}"})
    await socket.expect("ready")
    first, second = "6c1f3b52-6a80-4d0c-9df3-0f5a3d9d1c11", "6c1f3b52-6a80-4d0c-9df3-0f5a3d9d1c12"
    await socket.send("send", msg_id=first, conv=conv, body="A potato")
    refused = await socket.refusal("not_accepted")
    assert refused["msg_id"] == first
    await socket.send("send", msg_id=second, conv=conv, body="A carrot")
    ack = await socket.expect("ack")
    await eventually(lambda: do(Case.objects.exists))
    case = await do(Case.objects.get)
    assert (case.subject, case.accused_id) == (ack["server_id"], ann.pk)


async def test_who_is_limited_is_told_when_to_send_the_next(server: Server, make_user: Any, make_dm: Any) -> None:
    ann, bob = make_user("ann"), make_user("bob")
    conv = ids.conversation_ref(make_dm(ann, bob).id)
    until = timezone.now() + timedelta(days=1)
    limit = {"user": ann, "interval_s": 60, "conversations_per_day": 1, "until": until}
    await do(lambda: SendLimit.objects.create(**limit))
    sockets = [
        await server.connect(additional_headers={"Authorization": f"Bearer {server.token(who)}"}) for who in (ann, bob)
    ]
    for socket in sockets:
        await socket.expect("ready")
    for number, socket in enumerate([*sockets, sockets[1]]):
        await socket.send("send", msg_id=f"6c1f3b52-6a80-4d0c-9df3-0f5a3d9d1c2{number}", conv=conv, body="hello")
        await socket.expect("ack")
    await sockets[0].send("send", msg_id="6c1f3b52-6a80-4d0c-9df3-0f5a3d9d1c29", conv=conv, body="hello")
    refused = await sockets[0].refusal("rate_limited")
    assert 50 < refused["retry_after"] <= 60
