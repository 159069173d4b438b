"""The moderators' rules at the socket: a refused text gets an error, a flagged one an ack and a case."""

from typing import Any

import pytest

from messaging.domain import ids
from messaging.moderation.models import Case, FilterRule
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
