"""Who is connected here, and what a fan-out writes to whom."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chatproject import container
from messaging.domain import ids
from messaging.domain.events import Deliver
from messaging.domain.frames import Msg, TypingEvent
from messaging.domain.ids import ConversationId, DeviceId, MessageId, UserId
from messaging.domain.limits import Limits
from messaging.gateway import hub as hub_module
from messaging.gateway.consumer import Socket
from messaging.gateway.deadlines import Deadlines
from messaging.gateway.hub import Hub
from messaging.gateway.pod import Pod
from messaging.protocol.codec import JSON, PROTOBUF, Codec
from messaging.threads import DatabaseThreads

ANN, BOB, CAT = UserId(1), UserId(2), UserId(3)
LIMITS = replace(Limits(), send_burst=2, send_rate_per_s=0.001)
NOW = 1_000.0

Open = Callable[..., tuple[Socket, list[dict[str, Any]]]]


@pytest.fixture
def hub() -> Hub:
    return Hub(limits=LIMITS)


@pytest.fixture
def open_socket(hub: Hub) -> Open:
    """Return a function that adds a user's socket to the hub; it returns the socket and what is written to it."""
    pod = Pod(
        name="here",
        limits=LIMITS,
        log=container.message_log(),
        registry=container.registry(),
        bus=container.pod_bus(),
        database=DatabaseThreads(size=1),
    )

    def open_(user: UserId, codec: Codec = JSON) -> tuple[Socket, list[dict[str, Any]]]:
        written: list[dict[str, Any]] = []

        async def send(event: dict[str, Any]) -> None:
            written.append(event)

        socket = Socket(send=send, abort=None, codec=codec, pod=pod)
        allowance = hub.allowance_of(user, NOW)
        socket.connection.presented()
        socket.connection.authenticated(user=user, device=DeviceId(user), allowance=allowance, now=NOW)
        hub.add(socket, allowance)
        return socket, written

    return open_


async def flushed(*sockets: Socket) -> None:
    for socket in sockets:
        await socket.outbox.flush(timeout_s=5)


async def test_a_user_is_here_from_the_first_socket_to_the_last(hub: Hub, open_socket: Open) -> None:
    assert hub.is_empty()
    phone, _ = open_socket(ANN)
    tablet, _ = open_socket(ANN)
    other, _ = open_socket(BOB)
    assert hub.sockets_of(ANN) == [phone, tablet]
    assert set(hub.all_sockets()) == {phone, tablet, other}
    assert not hub.remove(phone)
    assert hub.is_here(ANN)
    assert hub.remove(tablet)
    assert not hub.remove(tablet), "once is enough"
    assert not hub.is_here(ANN)
    assert hub.sockets_of(ANN) == []
    assert hub.remove(other)
    assert hub.is_empty()


async def test_a_frame_goes_to_every_socket_of_its_users_and_to_nobody_else(hub: Hub, open_socket: Open) -> None:
    opened = [open_socket(user) for user in (ANN, ANN, BOB, CAT)]
    await hub.deliver(Deliver([ANN, BOB, UserId(99)], TypingEvent("c_x", "u_x")))
    await flushed(*(socket for socket, _ in opened))
    assert [len(written) for _, written in opened] == [1, 1, 1, 0]


async def test_the_author_gets_the_own_form_of_a_message(hub: Hub, open_socket: Open) -> None:
    (author, mine), (reader, theirs) = open_socket(ANN), open_socket(BOB)
    others, own = (Msg("m_x", "c_x", "u_x", ts=1, msg_id=msg_id) for msg_id in (None, "mine"))
    await hub.deliver(Deliver([ANN, BOB], others, author=ANN, own=own))
    await flushed(author, reader)
    assert "mine" in mine[0]["text"]
    assert "mine" not in theirs[0]["text"]


async def test_the_author_gets_what_all_get_where_there_is_no_own_form(hub: Hub, open_socket: Open) -> None:
    author, written = open_socket(ANN)
    await hub.deliver(Deliver([ANN], Msg("m_x", "c_x", "u_x", ts=1), author=ANN))
    await flushed(author)
    assert len(written) == 1


async def test_the_connection_it_came_from_is_left_out(hub: Hub, open_socket: Open) -> None:
    (one, to_one), (two, to_two) = open_socket(ANN), open_socket(ANN)
    await hub.deliver(Deliver([ANN], TypingEvent("c_x", "u_x"), except_conn=one.conn))
    await flushed(one, two)
    assert (len(to_one), len(to_two)) == (0, 1)


async def test_a_frame_is_encoded_once_for_each_subprotocol(hub: Hub, open_socket: Open) -> None:
    texts = [open_socket(user) for user in (ANN, BOB)]
    binaries = [open_socket(user, PROTOBUF) for user in (ANN, BOB)]
    await hub.deliver(Deliver([ANN, BOB], TypingEvent("c_x", "u_x")))
    await flushed(*(socket for socket, _ in texts + binaries))
    for (_, first), (_, second) in (texts, binaries):
        assert first[0] is second[0]
    assert "text" in texts[0][1][0]
    assert "bytes" in binaries[0][1][0]


async def test_others_have_their_turn_while_a_large_group_is_written(
    open_socket: Open, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "_TURN", 2)
    deadlines = Deadlines(container.message_log(), deadline_s=10, now=lambda: NOW)
    monkeypatch.setattr(hub, "_deadlines", deadlines)
    members = [UserId(number) for number in range(1, 6)]
    opened = [open_socket(user) for user in members]
    message = Msg(ids.server_id(ConversationId(1), MessageId(1)), "c_x", ids.user_ref(CAT), ts=1)
    watched = []

    async def answer() -> None:
        watched.append(deadlines._devices)
        # Who answers at once was watched by then.
        deadlines.delivered((ConversationId(1), MessageId(1)), DeviceId(1))

    other = asyncio.create_task(answer())
    await hub.deliver(Deliver(members, message))
    await other
    assert watched == [2]
    assert deadlines._devices == 4
    await flushed(*(socket for socket, _ in opened))
    assert [len(written) for _, written in opened] == [1] * 5


async def test_connecting_again_gives_no_new_allowance(hub: Hub, open_socket: Open) -> None:
    socket, _ = open_socket(ANN)
    allowance = hub.allowance_of(ANN, NOW)
    assert [allowance.sends.take(NOW) for _ in range(2)] == [0.0, 0.0]
    hub.remove(socket)
    again, _ = open_socket(ANN)
    assert hub.allowance_of(ANN, NOW).sends.take(NOW) > 0.0
    assert hub.allowance_of(BOB, NOW).sends.take(NOW) == 0.0
    hub.remove(again)


async def test_of_those_who_left_only_the_last_are_remembered(
    hub: Hub, open_socket: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "_REMEMBERED", 2)
    kept = {}
    for user in (ANN, BOB, CAT):
        socket, _ = open_socket(user)
        kept[user] = hub.allowance_of(user, NOW)
        hub.remove(socket)
    assert hub.allowance_of(CAT, NOW) is kept[CAT]
    assert hub.allowance_of(BOB, NOW) is kept[BOB]
    assert hub.allowance_of(ANN, NOW) is not kept[ANN]
