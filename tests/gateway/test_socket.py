"""The socket as a client meets it: real server, real adapters, a real client (design sections 5 and 6)."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client as Browser
from django.utils import timezone
from prometheus_client import REGISTRY
from websockets.exceptions import ConnectionClosed, InvalidStatus

from accounts.models import Block, User
from accounts.services.devices import revoke_device
from chatproject import container, runtime
from messaging.domain import events, ids
from messaging.domain.messages import StoredMessage
from messaging.ports import TOPIC_RECEIPTS
from messaging.protocol import chat_pb2
from messaging.services.conversations import add_members, remove_member
from tests.conftest import eventually, forget_adapters, outside_the_loop
from tests.gateway.conftest import Client, Server, conv_ref
from tests.protocol.test_codec import NASTY_JSON, NASTY_PROTOBUF

pytestmark = pytest.mark.django_db(transaction=True)

MakeUser = Callable[..., User]
Make = Callable[..., Any]
Start = Callable[[], Awaitable[Server]]


class Pair:
    """Two people with a DM, both connected."""

    def __init__(self, ann: Client, bob: Client, conv: str, users: tuple[User, User]) -> None:
        self.ann, self.bob, self.conv = ann, bob, conv
        self.ann_user, self.bob_user = users
        self.ann_ref, self.bob_ref = (ids.user_ref(user.pk) for user in users)


@pytest.fixture
async def pair(server: Server, make_user: MakeUser, make_dm: Make) -> Pair:
    users = make_user("ann"), make_user("bob")
    conv = conv_ref(make_dm(*users))
    return Pair(await server.sign_in(users[0]), await server.sign_in(users[1]), conv, users)


# --- opening --------------------------------------------------------------------------------------


async def test_a_token_opens_by_header_by_subprotocol_and_by_frame(server: Server, make_user: MakeUser) -> None:
    user = make_user("ann")
    token = server.token(user)
    by_header = await server.connect(additional_headers={"Authorization": f"Bearer {token}"})
    by_subprotocol = await server.connect(subprotocols=["chat.v1.json", f"bearer.{token}"])
    by_frame = await server.connect()
    await by_frame.send("auth", token=token)
    for client in (by_header, by_subprotocol, by_frame):
        ready = await client.expect("ready")
        assert ready["user"] == ids.user_ref(user.pk)
        assert ready["limits"]["max_body_bytes"] == settings.LIMITS.max_body_bytes
    assert by_subprotocol.connection.subprotocol == "chat.v1.json"


async def test_a_session_opens_for_our_own_pages_only(server: Server, make_user: MakeUser) -> None:
    user = make_user("ann")
    browser = Browser()
    await asyncio.to_thread(browser.force_login, user)
    cookie = f"{settings.SESSION_COOKIE_NAME}={browser.cookies[settings.SESSION_COOKIE_NAME].value}"
    ours = {"Cookie": cookie, "Origin": f"http://127.0.0.1:{server.port}"}
    client = await server.connect(additional_headers=ours)
    assert (await client.expect("ready"))["user"] == ids.user_ref(user.pk)
    for origin in ("https://evil.example", f"http://127.0.0.1.evil.example:{server.port}", "null"):
        with pytest.raises(InvalidStatus) as refusal:
            await server.connect(additional_headers={"Cookie": cookie, "Origin": origin})
        assert refusal.value.response.status_code == 403


async def test_a_further_origin_may_be_named_and_a_token_needs_none(
    server: Server, make_user: MakeUser, settings: Any
) -> None:
    user, other = make_user("ann"), make_user("bob")
    browser = Browser()
    await asyncio.to_thread(browser.force_login, user)
    cookie = f"{settings.SESSION_COOKIE_NAME}={browser.cookies[settings.SESSION_COOKIE_NAME].value}"
    foreign = {"Cookie": cookie, "Origin": "https://app.example"}
    # The cookie is not what lets this page in.
    token = server.token(other)
    by_token = await server.connect(subprotocols=["chat.v1.json", f"bearer.{token}"], additional_headers=foreign)
    assert (await by_token.expect("ready"))["user"] == ids.user_ref(other.pk)
    with pytest.raises(InvalidStatus):
        await server.connect(additional_headers=foreign)
    settings.ALLOWED_ORIGINS = ["https://app.example"]
    by_cookie = await server.connect(additional_headers=foreign)
    assert (await by_cookie.expect("ready"))["user"] == ids.user_ref(user.pk)


def _rename_table(old: str, new: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {old} RENAME TO {new}")


@pytest.mark.logs_errors
@pytest.mark.parametrize("how", ["header", "frame", "cookie"])
async def test_while_credentials_cannot_be_looked_up_the_client_is_told_to_come_back(
    server: Server, make_user: MakeUser, how: str
) -> None:
    user = make_user("ann")
    token = server.token(user)
    browser = Browser()
    await asyncio.to_thread(browser.force_login, user)
    headers = {
        "header": {"Authorization": f"Bearer {token}"},
        "cookie": {"Cookie": f"{settings.SESSION_COOKIE_NAME}={browser.cookies[settings.SESSION_COOKIE_NAME].value}"},
        "frame": {},
    }[how]
    await asyncio.to_thread(outside_the_loop, lambda: _rename_table("accounts_device", "away"))
    try:
        client = await server.connect(additional_headers=headers)
        if how == "frame":
            await client.send("auth", token=token)
        assert (await client.refusal("unavailable"))["retry_after"] > 0
        assert await client.close_code() == 1013
    finally:
        await asyncio.to_thread(outside_the_loop, lambda: _rename_table("away", "accounts_device"))
    back = await server.connect(additional_headers={"Authorization": f"Bearer {token}"})
    await back.expect("ready")


@pytest.mark.parametrize("kind", ["unknown", "expired", "revoked", "inactive"])
async def test_a_token_that_is_not_valid_is_told_so_and_closed(server: Server, make_user: MakeUser, kind: str) -> None:
    now = timezone.now()
    fields = {"expired": {"expires_at": now - timedelta(seconds=1)}, "revoked": {"revoked_at": now}}.get(kind, {})
    token = server.token(make_user("ann", is_active=kind != "inactive"), **fields)
    client = await server.connect(subprotocols=["chat.v1.json", f"bearer.{'x' if kind == 'unknown' else token}"])
    await client.refusal("unauthenticated")
    assert await client.close_code() == 4401


@pytest.mark.slow
async def test_nobody_may_do_nothing_and_not_stay(start_server: Start, limits: Callable[..., None]) -> None:
    limits(auth_timeout_s=1)
    client = await (await start_server()).connect()
    await client.send("ping")
    await client.refusal("unauthenticated")
    assert await client.close_code() == 4401


@pytest.mark.slow
async def test_a_silent_socket_is_closed(start_server: Start, limits: Callable[..., None], make_user: MakeUser) -> None:
    limits(idle_timeout_s=1, auth_timeout_s=1)
    client = await (await start_server()).sign_in(make_user("ann"))
    assert await client.close_code() == 4450


async def test_other_paths_are_no_sockets(server: Server) -> None:
    server.address = server.address.replace("/ws", "/elsewhere")
    with pytest.raises(InvalidStatus):
        await server.connect()


# --- messages -------------------------------------------------------------------------------------


async def test_a_message_is_acked_and_reaches_both(pair: Pair) -> None:
    ack = await pair.ann.say(pair.conv, "first")
    mine = await pair.ann.expect("msg", server_id=ack["server_id"])
    theirs = await pair.bob.expect("msg", server_id=ack["server_id"])
    assert mine["msg_id"] == ack["msg_id"]
    assert "msg_id" not in theirs
    assert (theirs["body"], theirs["from"], theirs["conv"], theirs["ts"]) == (
        "first",
        pair.ann_ref,
        pair.conv,
        ack["ts"],
    )
    second = await pair.bob.say(pair.conv, "second")
    assert (await pair.ann.expect("msg", server_id=second["server_id"]))["prev"] == ack["server_id"]


async def test_many_in_flight_keep_their_order_and_their_chain(pair: Pair, server: Server) -> None:
    sent = [str(uuid4()) for _ in range(50)]
    for msg_id in sent:
        await pair.ann.send("send", msg_id=msg_id, conv=pair.conv, body=msg_id)
    acks = [(await pair.ann.expect("ack", msg_id=msg_id))["server_id"] for msg_id in sent]
    got = [await pair.bob.expect("msg") for _ in sent]
    assert [frame["body"] for frame in got] == sent
    assert [frame["server_id"] for frame in got] == acks
    assert [frame["prev"] for frame in got[1:]] == acks[:-1]


async def test_questions_are_answered_one_after_the_other(pair: Pair) -> None:
    """The pong after a sync comes when its answer is whole: who shares a socket knows by it whose answer it was."""
    first = await pair.bob.say(pair.conv, "first")
    second = await pair.bob.say(pair.conv, "second")
    await pair.ann.expect("msg", server_id=second["server_id"])
    marks = (first["server_id"], second["server_id"], first["server_id"], "not a mark")
    for mark in marks:
        await pair.ann.send("sync", marks={pair.conv: mark})
        await pair.ann.send("ping")
    pair.ann.passed.clear()
    answers = []
    for _ in marks:
        while (frame := await pair.ann.next())["op"] != "pong":
            answers.append(frame["op"])
        answers.append("pong")
    lacking = ["backfill", "synced", "pong"]
    assert answers == [*lacking, "synced", "pong", *lacking, "error", "pong"]


async def test_a_resend_makes_no_second_message(pair: Pair, server: Server) -> None:
    msg_id = str(uuid4())
    first = await pair.ann.say(pair.conv, "once", msg_id)
    at_once = await pair.ann.say(pair.conv, "once", msg_id)
    other_socket = await (await server.sign_in(pair.ann_user)).say(pair.conv, "once", msg_id)
    await pair.ann.connection.close()
    after = await (await server.sign_in(pair.ann_user)).say(pair.conv, "once", msg_id)
    assert {ack["server_id"] for ack in (first, at_once, other_socket, after)} == {first["server_id"]}
    assert {ack["ts"] for ack in (first, at_once, other_socket, after)} == {first["ts"]}
    marker = await pair.bob.say(pair.conv, "marker")
    await pair.bob.expect("msg", server_id=first["server_id"])
    assert (await pair.bob.expect("msg"))["server_id"] == marker["server_id"]


async def _said(conv: str) -> list[str]:
    """What the store holds of a conversation, oldest first."""
    conversation = ids.parse_conversation(conv)
    rows = await asyncio.to_thread(
        outside_the_loop,
        lambda: container.message_store().oldest_after(conversation, after=ids.MessageId(0), limit=1_000),
    )
    return [row.body for row in rows if row.kind == "text"]


@pytest.mark.parametrize("first_by", ["socket", "rest"])
async def test_a_resend_by_the_other_door_makes_no_second_message(pair: Pair, server: Server, first_by: str) -> None:
    http = server.http(server.token(pair.ann_user))
    msg_id = str(uuid4())

    async def by_socket() -> tuple[str, int]:
        ack = await pair.ann.say(pair.conv, "once", msg_id)
        return ack["server_id"], ack["ts"]

    async def by_rest() -> tuple[str, int]:
        answer = await http.post(f"/v1/conversations/{pair.conv}/messages", json={"msg_id": msg_id, "body": "once"})
        assert answer.status_code == (201 if first_by == "rest" else 200)
        return answer.json()["server_id"], answer.json()["ts"]

    if first_by == "socket":
        first, again = await by_socket(), await by_rest()
    else:
        first, again = await by_rest(), await by_socket()
    assert again == first
    await pair.bob.expect("msg", server_id=first[0])
    await pair.ann.say(pair.conv, "marker")
    marker = await pair.bob.expect("msg")
    assert (marker["body"], marker["prev"]) == ("marker", first[0])
    assert await _said(pair.conv) == ["once", "marker"]


async def test_a_resend_after_a_restart_of_the_server_makes_no_second_message(
    pair: Pair, server: Server, start_server: Start
) -> None:
    msg_id, lost = str(uuid4()), str(uuid4())
    first = await pair.ann.say(pair.conv, "once", msg_id)
    # The server ends before this one's ack is read, as it may.
    await pair.ann.send("send", msg_id=lost, conv=pair.conv, body="acked or not")
    await server.stop()
    forget_adapters()
    again = await start_server()
    ann = await again.sign_in(pair.ann_user)
    assert (await ann.say(pair.conv, "once", msg_id))["server_id"] == first["server_id"]
    resent = await ann.say(pair.conv, "acked or not", lost)
    assert (await ann.say(pair.conv, "acked or not", lost))["server_id"] == resent["server_id"]
    answer = await again.http(again.token(pair.ann_user)).post(
        f"/v1/conversations/{pair.conv}/messages", json={"msg_id": msg_id, "body": "once"}
    )
    assert (answer.status_code, answer.json()["server_id"]) == (200, first["server_id"])
    marker = await ann.say(pair.conv, "marker")
    assert (await ann.expect("msg", server_id=marker["server_id"]))["prev"] == resent["server_id"]
    assert await _said(pair.conv) == ["once", "acked or not", "marker"]


async def test_every_device_of_both_gets_it(pair: Pair, server: Server) -> None:
    tablet = await server.sign_in(pair.ann_user)
    phone = await server.sign_in(pair.bob_user)
    ack = await pair.ann.say(pair.conv)
    assert (await tablet.expect("msg", server_id=ack["server_id"]))["msg_id"] == ack["msg_id"]
    await phone.expect("msg", server_id=ack["server_id"])


async def test_receipts_travel_to_the_author_and_to_the_readers_other_devices(pair: Pair, server: Server) -> None:
    phone = await server.sign_in(pair.bob_user)
    ack = await pair.ann.say(pair.conv)
    await pair.bob.expect("msg", server_id=ack["server_id"])
    await pair.bob.send("delivered", server_id=ack["server_id"])
    assert (await pair.ann.expect("delivered", server_id=ack["server_id"]))["user"] == pair.bob_ref
    await pair.bob.send("read", server_id=ack["server_id"])
    assert (await pair.ann.expect("read", server_id=ack["server_id"]))["user"] == pair.bob_ref
    await phone.expect("read", server_id=ack["server_id"], user=pair.bob_ref)


async def test_a_receipt_in_the_log_names_the_author_of_what_was_delivered(pair: Pair) -> None:
    ack = await pair.ann.say(pair.conv)
    await pair.bob.expect("msg", server_id=ack["server_id"])
    reader = container.message_log().reader(TOPIC_RECEIPTS, group="a test")
    try:
        await pair.bob.send("delivered", server_id=ack["server_id"])
        records = await reader.poll(max_records=10, timeout_s=10)
    finally:
        await reader.close()
    [receipt] = [receipt for record in records for receipt in events.decode_receipts(record.payload).receipts]
    assert receipt.author == pair.ann_user.pk


async def test_that_a_large_group_has_a_message_is_not_logged(
    start_server: Start, limits: Callable[..., None], make_user: MakeUser, make_group: Make
) -> None:
    limits(max_group_small=2)
    server = await start_server()
    users = [make_user(name) for name in ("ann", "bob", "cat")]
    conv = conv_ref(make_group(*users))
    ann, bob, cat = [await server.sign_in(user) for user in users]
    ack = await ann.say(conv)
    for client in (bob, cat):
        await client.expect("msg", server_id=ack["server_id"])
    pod = await runtime.pod()
    reader = container.message_log().reader(TOPIC_RECEIPTS, group="a test")
    try:
        await bob.send("delivered", server_id=ack["server_id"])
        await cat.send("delivered", server_id=ack["server_id"])
        await eventually(lambda: not pod.deadlines._written)
        await bob.send("read", server_id=ack["server_id"])
        records = await reader.poll(max_records=10, timeout_s=10)
    finally:
        await reader.close()
    receipts = [receipt for record in records for receipt in events.decode_receipts(record.payload).receipts]
    assert [(receipt.kind, receipt.user) for receipt in receipts] == [("read", users[1].pk)]


async def test_protobuf_speaks_with_json(pair: Pair, server: Server, make_user: MakeUser) -> None:
    token = server.token(pair.ann_user)
    client = await server.connect(subprotocols=["chat.v1.protobuf", f"bearer.{token}"])
    assert client.connection.subprotocol == "chat.v1.protobuf"

    async def receive() -> chat_pb2.ServerFrame:
        async with asyncio.timeout(5):
            data = await client.connection.recv()
        assert isinstance(data, bytes)
        return chat_pb2.ServerFrame.FromString(data)

    assert (await receive()).ready.user == pair.ann_ref
    frame = chat_pb2.ClientFrame()
    frame.send.msg_id, frame.send.conv, frame.send.body = str(uuid4()), pair.conv, "binär"
    await client.connection.send(frame.SerializeToString())
    ack = (await receive()).ack
    assert ack.msg_id == frame.send.msg_id
    assert (await pair.bob.expect("msg", server_id=ack.server_id))["body"] == "binär"
    mine = (await receive()).msg
    assert (mine.server_id, getattr(mine, "from"), mine.msg_id) == (ack.server_id, pair.ann_ref, ack.msg_id)
    await client.connection.send(b"\xff\xff")
    assert (await receive()).error.code == "bad_frame"


# --- ephemeral ------------------------------------------------------------------------------------


async def test_typing_is_shown_to_the_other_at_most_once_a_second(pair: Pair) -> None:
    for _ in range(5):
        await pair.ann.send("typing", conv=pair.conv)
    await pair.bob.expect("typing", conv=pair.conv, user=pair.ann_ref)
    ack = await pair.ann.say(pair.conv)
    await pair.bob.expect("msg", server_id=ack["server_id"])
    assert [frame for frame in await pair.bob.quiet() if frame["op"] == "typing"] == []
    assert [frame for frame in await pair.ann.quiet() if frame["op"] == "typing"] == []


@pytest.mark.slow
async def test_presence_comes_and_goes_with_grace(
    start_server: Start, limits: Callable[..., None], make_user: MakeUser, make_dm: Make
) -> None:
    limits(presence_grace_s=1)
    server = await start_server()
    ann, bob, stranger = make_user("ann"), make_user("bob"), make_user("eve")
    hidden = make_user("hid", share_presence=False)
    for other in (bob, hidden):
        make_dm(ann, other)
    watcher = await server.sign_in(ann)
    refs = {user.username: ids.user_ref(user.pk) for user in (bob, stranger, hidden)}
    await server.sign_in(stranger)
    await server.sign_in(hidden)
    await watcher.send("presence", users=list(refs.values()))
    for ref in refs.values():
        state = await watcher.expect("presence", user=ref)
        assert (state["state"], state.get("last_seen")) == ("offline", None)
    socket = await server.sign_in(bob)
    assert (await watcher.expect("presence", user=refs["bob"]))["state"] == "online"
    await socket.connection.close()
    assert await watcher.quiet() == [], "within the grace nothing is said"
    gone = await watcher.expect("presence", user=refs["bob"])
    assert gone["state"] == "offline"
    assert gone["last_seen"] > 0


async def test_who_leaves_several_times_at_once_is_offline_all_the_same(
    start_server: Start, limits: Callable[..., None], make_user: MakeUser, make_dm: Make
) -> None:
    limits(presence_grace_s=1)
    server = await start_server()
    ann, bob = make_user("ann"), make_user("bob")
    make_dm(ann, bob)
    watcher, ref = await server.sign_in(ann), ids.user_ref(bob.pk)
    await watcher.send("presence", users=[ref])
    await watcher.expect("presence", user=ref, state="offline")
    for _ in range(3):
        await (await server.sign_in(bob)).connection.close()
    await watcher.expect("presence", user=ref, state="online")
    await watcher.expect("presence", user=ref, state="offline")
    assert await watcher.quiet() == []


# --- rights ---------------------------------------------------------------------------------------


async def test_a_stranger_gets_nothing_by_any_op(pair: Pair, server: Server, make_user: MakeUser) -> None:
    ack = await pair.ann.say(pair.conv, "private")
    eve = await server.sign_in(make_user("eve"))
    for op, fields in (
        ("send", {"msg_id": str(uuid4()), "conv": pair.conv, "body": "hi"}),
        ("typing", {"conv": pair.conv}),
        ("delivered", {"server_id": ack["server_id"]}),
        ("read", {"server_id": ack["server_id"]}),
    ):
        await eve.send(op, **fields)
        refusal = await eve.refusal("not_found")
        unknown = json.loads(json.dumps(fields).replace(pair.conv, ids.conversation_ref(99)))
        unknown = {**unknown, **({"server_id": ids.server_id(99, 99)} if "server_id" in unknown else {})}
        await eve.send(op, **unknown)
        assert (await eve.refusal("not_found"))["detail"] == refusal["detail"], "absent and forbidden look alike"
    await eve.send("sync", marks={pair.conv: ids.server_id(ids.parse_conversation(pair.conv), 1)})
    assert (await eve.expect("synced"))["convs"] == 0
    assert [frame for frame in await eve.quiet() if frame["op"] in {"msg", "backfill"}] == []
    assert [frame["op"] for frame in await pair.bob.quiet() if frame["op"] != "msg"] == []


async def test_a_former_member_gets_nothing_by_any_op_and_nothing_unasked(
    server: Server, make_user: MakeUser, make_group: Make
) -> None:
    users = [make_user(name) for name in ("ann", "bob", "cat")]
    group = make_group(*users)
    conv = conv_ref(group)
    ann, bob, cat = [await server.sign_in(user) for user in users]
    own = await cat.say(conv, "mine")
    before = await ann.say(conv, "before")
    for client in (ann, bob, cat):
        await client.expect("msg", server_id=before["server_id"])
    await asyncio.to_thread(
        outside_the_loop, lambda: remove_member(actor=users[2].pk, conversation_id=group.id, user=users[2].pk)
    )
    await cat.expect("conv", conv=conv, change="removed")
    for client in (ann, bob, cat):
        await client.expect("msg", kind="event")

    for op, fields in (
        ("send", {"msg_id": str(uuid4()), "conv": conv, "body": "hi"}),
        ("typing", {"conv": conv}),
        ("delivered", {"server_id": before["server_id"]}),
        ("read", {"server_id": before["server_id"]}),
    ):
        await cat.send(op, **fields)
        await cat.refusal("not_found")
    # What the others do, and tell each other, is not told to who left: not even of the own old message.
    await ann.send("typing", conv=conv)
    await bob.expect("typing", conv=conv)
    after = await ann.say(conv, "after")
    await bob.expect("msg", server_id=after["server_id"])
    for message in (own, before, after):
        await bob.send("delivered", server_id=message["server_id"])
    await bob.send("read", server_id=after["server_id"])
    await ann.expect("delivered", server_id=after["server_id"])
    await ann.expect("read", server_id=after["server_id"])
    await cat.send("sync", marks={conv: before["server_id"]})
    await cat.expect("synced")
    told = [*cat.passed, *await cat.quiet()]
    assert [frame for frame in told if frame["op"] not in ("conv", "msg", "backfill")] == []
    assert "after" not in json.dumps(told)


async def test_someone_who_was_removed_sees_nothing_that_came_after(
    server: Server, make_user: MakeUser, make_group: Make
) -> None:
    ann, bob = make_user("ann"), make_user("bob")
    group = make_group(ann, bob)
    conv = conv_ref(group)
    a, b = await server.sign_in(ann), await server.sign_in(bob)
    before = await a.say(conv, "before")
    await b.expect("msg", server_id=before["server_id"])
    await asyncio.to_thread(
        outside_the_loop, lambda: remove_member(actor=ann.pk, conversation_id=group.id, user=bob.pk)
    )
    assert (await b.expect("conv", conv=conv))["change"] == "removed"
    after = await a.say(conv, "after")
    await a.expect("msg", server_id=after["server_id"])
    await b.send("send", msg_id=str(uuid4()), conv=conv, body="still here?")
    await b.refusal("not_found")
    await b.send("sync", marks={conv: before["server_id"]})
    await b.expect("synced")
    assert "after" not in json.dumps([*b.passed, *await b.quiet()])


async def test_a_new_member_is_told_and_writes_at_once(server: Server, make_user: MakeUser, make_group: Make) -> None:
    ann, bob, cat = make_user("ann"), make_user("bob"), make_user("cat")
    group = make_group(ann, bob)
    conv = conv_ref(group)
    a, c = await server.sign_in(ann), await server.sign_in(cat)
    await c.send("send", msg_id=str(uuid4()), conv=conv, body="too early")
    await c.refusal("not_found")
    await asyncio.to_thread(
        outside_the_loop, lambda: add_members(actor=ann.pk, conversation_id=group.id, users=[cat.pk])
    )
    assert (await c.expect("conv", conv=conv))["change"] == "members"
    event = await c.expect("msg", conv=conv)
    assert (event["kind"], event["event"]["type"], event["event"]["users"]) == (
        "event",
        "member_added",
        [ids.user_ref(cat.pk)],
    )
    ack = await c.say(conv, "thanks")
    assert (await a.expect("msg", server_id=ack["server_id"]))["body"] == "thanks"


async def test_a_block_stops_messages_both_ways(pair: Pair) -> None:
    outside_the_loop(lambda: Block.objects.create(owner=pair.bob_user, target=pair.ann_user))
    for client in (pair.ann, pair.bob):
        await client.send("send", msg_id=str(uuid4()), conv=pair.conv, body="hi")
        await client.refusal("blocked")


async def test_a_revoked_device_is_closed_within_a_second(pair: Pair, server: Server) -> None:
    token = server.token(pair.ann_user)
    phone = await server.connect(additional_headers={"Authorization": f"Bearer {token}"})
    ready = await phone.expect("ready")
    device = ids.parse_device(ready["device"])
    async with asyncio.timeout(1):
        await asyncio.to_thread(outside_the_loop, lambda: revoke_device(user=pair.ann_user, device_id=device))
        assert await phone.close_code() == 4401
    assert (await pair.ann.say(pair.conv))["op"] == "ack", "the other device stays"


# --- bad input ------------------------------------------------------------------------------------


BAD_FRAMES: list[tuple[str | bytes, str]] = [
    ("{", "bad_frame"),
    ("[]", "bad_frame"),
    ('"text"', "bad_frame"),
    ("null", "bad_frame"),
    ("[" * 100_000, "bad_frame"),
    ('{"op":5}', "bad_frame"),
    ('{"op":"dance"}', "unknown_op"),
    ('{"op":"send"}', "bad_frame"),
    ('{"op":"send","msg_id":5,"conv":"c_x"}', "bad_frame"),
    ('{"op":"send","msg_id":"no uuid","conv":"CONV","body":"x"}', "invalid"),
    ('{"op":"send","msg_id":"UUID","conv":"c_x","body":"x"}', "invalid"),
    ('{"op":"send","msg_id":"UUID","conv":"u_x","body":"x"}', "invalid"),
    ('{"op":"send","msg_id":"UUID","conv":"CONV"}', "invalid"),
    ('{"op":"send","msg_id":"UUID","conv":"CONV","body":"  "}', "invalid"),
    ('{"op":"send","msg_id":"UUID","conv":"CONV","body":"\\u0000"}', "invalid"),
    ('{"op":"send","msg_id":"UUID","conv":"CONV","body":"x","media":["a"%s]}' % (',"a"' * 10), "too_large"),
    ('{"op":"send","msg_id":"UUID","conv":"CONV","media":["f_x"]}', "invalid"),
    ('{"op":"send","msg_id":"UUID","conv":"CONV","media":["f_AAAAAAAAAAU"]}', "not_found"),
    ('{"op":"send","msg_id":"UUID","conv":"CONV","body":"x","reply_to":"m_x"}', "invalid"),
    ('{"op":"send","msg_id":"UUID","conv":"CONV","body":"x","reply_to":"OTHER"}', "invalid"),
    ('{"op":"send","msg_id":"UUID","conv":"CONV","body":"BIG"}', "too_large"),
    ('{"op":"send","msg_id":"UUID","conv":"CONV","body":"HUGE"}', "too_large"),
    ('{"op":"ping","x":"HUGE"}', "too_large"),
    ('{"op":"read","server_id":"m_"}', "invalid"),
    ('{"op":"delivered","server_id":"c_AAAAAAAAAAE"}', "invalid"),
    ('{"op":"sync","marks":{"c_x":"m_x"}}', "invalid"),
    ('{"op":"sync","marks":{"CONV":"OTHER"}}', "invalid"),
    ('{"op":"sync","marks":[]}', "bad_frame"),
    ('{"op":"presence","users":["c_x"]}', "invalid"),
    ('{"op":"auth","token":"again"}', "invalid"),
    (b"\xff\xfe", "bad_frame"),
]  # fmt: skip


async def test_a_bad_frame_is_answered_and_the_socket_stays(pair: Pair) -> None:
    for frame, code in BAD_FRAMES:
        if isinstance(frame, str):
            frame = frame.replace("UUID", str(uuid4())).replace("CONV", pair.conv).replace("OTHER", ids.server_id(9, 9))
            frame = frame.replace("BIG", "x" * 70_000).replace("HUGE", "x" * 200_000)
        await pair.ann.connection.send(frame)
        refusal = await pair.ann.next()
        assert (refusal["op"], refusal.get("code")) == ("error", code), frame[:200]
        assert refusal["detail"]
    assert (await pair.ann.say(pair.conv))["op"] == "ack"


@pytest.mark.parametrize("codec", ["json", "protobuf"])
async def test_the_codecs_nasty_frames_are_answered_and_the_socket_stays(
    pair: Pair, server: Server, codec: str
) -> None:
    token = server.token(pair.ann_user)
    client = await server.connect(subprotocols=[f"chat.v1.{codec}", f"bearer.{token}"])
    await client.connection.recv()
    for name, (data, outcome) in (NASTY_JSON if codec == "json" else NASTY_PROTOBUF).items():
        await client.connection.send(data)
        async with asyncio.timeout(5):
            answer = await client.connection.recv()
        if isinstance(answer, str):
            op = json.loads(answer)["op"]
        else:
            op = chat_pb2.ServerFrame.FromString(answer).WhichOneof("op")
        assert op == ("pong" if outcome == "ping" else "error"), name


@pytest.mark.slow
async def test_a_frame_of_ten_megabytes_violates_the_protocol(pair: Pair) -> None:
    with contextlib.suppress(ConnectionClosed):
        await pair.ann.connection.send("x" * 10_000_000)
    assert await pair.ann.close_code() == 1009
    assert (await pair.bob.say(pair.conv))["op"] == "ack"


async def test_a_text_that_is_not_utf_8_violates_the_protocol(pair: Pair) -> None:
    await pair.ann.connection.send(b'{"op":"ping","x":"\xff"}', text=True)
    assert await pair.ann.close_code() == 1007
    assert (await pair.bob.say(pair.conv))["op"] == "ack"


async def test_a_text_in_fragments_is_one_frame(pair: Pair) -> None:
    text = json.dumps({"op": "typing", "conv": pair.conv, "x": "é👋"}, ensure_ascii=False).encode()
    # Cut inside a character.
    cut = text.index("é".encode()) + 1
    await pair.ann.connection.send([text[:cut], text[cut:]], text=True)
    await pair.bob.expect("typing", conv=pair.conv)


async def test_sending_too_fast_is_refused_with_a_time(
    start_server: Start, limits: Callable[..., None], make_user: MakeUser, make_dm: Make
) -> None:
    limits(send_rate_per_s=2.0, send_burst=3)
    server = await start_server()
    ann = make_user("ann")
    conv = conv_ref(make_dm(ann, make_user("bob")))
    client = await server.sign_in(ann)
    # None waits for the one before: on a slow machine there would be room for another by then.
    msg_ids = [str(uuid4()) for _ in range(4)]
    for msg_id in msg_ids:
        await client.send("send", msg_id=msg_id, conv=conv, body="x")
    refusal = await client.refusal("rate_limited")
    assert refusal["msg_id"] == msg_ids[-1]
    assert 0 < refusal["retry_after"] <= 0.5


async def test_syncing_too_fast_is_refused_and_the_next_in_time_brings_all(
    start_server: Start, limits: Callable[..., None], make_user: MakeUser, make_dm: Make
) -> None:
    limits(sync_rate_per_s=2.0, sync_burst=2)
    server = await start_server()
    ann, bob = make_user("ann"), make_user("bob")
    conv = conv_ref(make_dm(ann, bob))
    writer, reader = await server.sign_in(ann), await server.sign_in(bob)
    first, second = [(await writer.say(conv))["server_id"] for _ in range(2)]
    await reader.expect("msg", server_id=second)
    # None waits for the one before: on a slow machine there would be room for another by then.
    for _ in range(3):
        await reader.send("sync", marks={conv: first})
    for _ in range(2):
        await reader.expect("synced")
    refusal = await reader.refusal("rate_limited")
    assert 0 < refusal["retry_after"] <= 0.5
    reader.passed.clear()
    # It waits as it was told, is still connected, and so is whoever comes back.
    await asyncio.sleep(refusal["retry_after"])
    await reader.send("sync", marks={conv: first})
    assert [it["server_id"] for it in (await reader.expect("backfill", conv=conv))["messages"]][-1] == second
    back = await server.sign_in(bob)
    await back.send("sync", marks={conv: first})
    await back.expect("synced")


async def test_subscribing_too_fast_is_refused_and_the_last_subscription_stays(
    start_server: Start, limits: Callable[..., None], make_user: MakeUser, make_dm: Make
) -> None:
    limits(presence_rate_per_s=0.1, presence_burst=1)
    server = await start_server()
    ann, bob = make_user("ann"), make_user("bob")
    make_dm(ann, bob)
    client = await server.sign_in(ann)
    ref = ids.user_ref(bob.pk)
    await client.send("presence", users=[ref])
    await client.expect("presence", user=ref, state="offline")
    await client.send("presence", users=[])
    assert 0 < (await client.refusal("rate_limited"))["retry_after"] <= 10
    await server.sign_in(bob)
    await client.expect("presence", user=ref, state="online")


@pytest.mark.slow
async def test_a_reader_that_does_not_read_is_cut_off_and_comes_back_by_a_sync(
    start_server: Start, limits: Callable[..., None], make_user: MakeUser, make_dm: Make
) -> None:
    limits(max_outbox_bytes=200_000, send_rate_per_s=10_000.0, send_burst=10_000)
    server = await start_server()
    ann, bob = make_user("ann"), make_user("bob")
    conv = conv_ref(make_dm(ann, bob))
    fast = await server.sign_in(ann)
    slow = await server.sign_in(bob)
    slow.connection.transport.pause_reading()
    before = REGISTRY.get_sample_value("chat_connections_too_slow_total")
    sent = []
    while REGISTRY.get_sample_value("chat_connections_too_slow_total") == before:
        ack = await fast.say(conv, "x" * 60_000)
        await fast.expect("msg", server_id=ack["server_id"])
        sent.append(ack["server_id"])
        assert len(sent) < 600, "the slow socket is let go at some time"
    # It reads again: what was written before, in order and without a hole, and then why it ends.
    slow.connection.transport.resume_reading()
    assert await slow.close_code() == 1013
    got = []
    with contextlib.suppress(ConnectionClosed):
        while True:
            got.append((await slow.next())["server_id"])
    assert got == sent[: len(got)]
    assert len(got) < len(sent)
    back = await server.sign_in(bob)
    await back.send("sync", marks={conv: got[-1]})
    missing = await back.expect("backfill", conv=conv)
    assert missing["messages"][-1]["server_id"] == sent[-1]
    assert (await fast.say(conv, "still here"))["op"] == "ack"


@pytest.mark.slow
async def test_a_reader_that_never_reads_again_is_dropped(
    start_server: Start, limits: Callable[..., None], make_user: MakeUser, make_dm: Make
) -> None:
    limits(max_outbox_bytes=200_000, send_rate_per_s=10_000.0, send_burst=10_000)
    server = await start_server()
    ann, bob = make_user("ann"), make_user("bob")
    conv = conv_ref(make_dm(ann, bob))
    fast = await server.sign_in(ann)
    dead = await server.sign_in(bob)
    dead.connection.transport.pause_reading()

    async def gone() -> bool:
        return await container.registry().lookup([ids.UserId(bob.pk)]) == {}

    for _ in range(600):
        ack = await fast.say(conv, "x" * 60_000)
        await fast.expect("msg", server_id=ack["server_id"])
        if await gone():
            break
    assert await gone()
    assert (await fast.say(conv, "still here"))["op"] == "ack"
    dead.connection.transport.abort()


# --- resume ---------------------------------------------------------------------------------------


async def test_a_device_that_was_away_gets_what_it_missed(pair: Pair, server: Server, make_dm: Make) -> None:
    seen = await pair.ann.say(pair.conv, "seen")
    await pair.bob.expect("msg", server_id=seen["server_id"])
    await pair.bob.connection.close()
    missed = [(await pair.ann.say(pair.conv, f"missed {n}"))["server_id"] for n in range(5)]
    await pair.ann.expect("msg", server_id=missed[-1])
    back = await server.sign_in(pair.bob_user)
    await back.send("sync", marks={pair.conv: seen["server_id"]})
    backfill = await back.expect("backfill", conv=pair.conv)
    got = [message["server_id"] for message in backfill["messages"]]
    assert got == [seen["server_id"], *missed], "the replay begins before the mark"
    assert not backfill.get("more")
    assert (await back.expect("synced"))["convs"] == 1
    await back.send("sync", marks={pair.conv: missed[-1]})
    assert (await back.expect("synced"))["convs"] == 0


@pytest.mark.slow
async def test_a_long_absence_gives_the_newest_and_says_that_there_is_more(
    start_server: Start, limits: Callable[..., None], make_user: MakeUser, make_dm: Make
) -> None:
    limits(send_rate_per_s=10_000.0, send_burst=10_000)
    server = await start_server()
    ann, bob = make_user("ann"), make_user("bob")
    conv = conv_ref(make_dm(ann, bob))
    client = await server.sign_in(ann)
    sent = [(await client.say(conv, str(n)))["server_id"] for n in range(205)]
    await client.expect("msg", server_id=sent[-1])
    back = await server.sign_in(bob)
    await back.send("sync", marks={conv: sent[0]})
    backfill = await back.expect("backfill", conv=conv)
    assert [message["server_id"] for message in backfill["messages"]] == sent[-200:]
    assert backfill["more"]


async def test_a_conversation_that_is_new_to_the_device_is_in_the_sync(
    pair: Pair, server: Server, make_user: MakeUser, make_dm: Make
) -> None:
    mark = await pair.ann.say(pair.conv, "old")
    await pair.bob.expect("msg", server_id=mark["server_id"])
    await pair.bob.connection.close()
    cat = make_user("cat")
    fresh = conv_ref(make_dm(cat, pair.bob_user))
    sender = await server.sign_in(cat)
    ack = await sender.say(fresh, "hello, we have not met")
    await sender.expect("msg", server_id=ack["server_id"])
    back = await server.sign_in(pair.bob_user)
    await back.send("sync", marks={pair.conv: mark["server_id"]})
    backfill = await back.expect("backfill", conv=fresh)
    assert [message["server_id"] for message in backfill["messages"]] == [ack["server_id"]]


async def test_a_backfill_of_long_messages_is_cut_and_not_the_socket(pair: Pair, server: Server) -> None:
    first = await pair.ann.say(pair.conv, "first")
    await pair.bob.expect("msg", server_id=first["server_id"])
    conversation, mark = ids.parse_server_id(first["server_id"])
    texts = [f"{number:02}" + "\x01" * 60_000 for number in range(30)]
    rows = [
        StoredMessage(conversation, ids.MessageId(mark + 1 + n), pair.ann_user.pk, uuid4().bytes, text)
        for n, text in enumerate(texts)
    ]
    await asyncio.to_thread(outside_the_loop, lambda: container.message_store().upsert(rows))
    await pair.bob.send("sync", marks={pair.conv: first["server_id"]})
    backfill = await pair.bob.expect("backfill", conv=pair.conv)
    assert [message["body"] for message in backfill["messages"]] == texts[-2:]
    assert backfill["more"]
    assert (await pair.bob.expect("synced"))["convs"] == 1
    assert await pair.bob.quiet() == []
