"""The connection's state machine: every frame in every state, and every deadline. No socket, no clock."""

from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging.domain import frames, ids
from messaging.domain.connection import (
    Allowance,
    Alter,
    Append,
    Authenticate,
    Close,
    Connection,
    Effect,
    Replay,
    Reply,
    SaveReceipt,
    ShowTyping,
    State,
    Watch,
    error_reply,
)
from messaging.domain.errors import CloseCode, RateLimited
from messaging.domain.ids import ConversationId, DeviceId, MessageId, UserId
from messaging.domain.limits import Limits

LIMITS = Limits()
NOW = 1_000.0
USER, DEVICE = UserId(7), DeviceId(8)
CONV, MESSAGE = ConversationId(21), MessageId(34)
CONV_REF, SERVER_ID, USER_REF = ids.conversation_ref(CONV), ids.server_id(CONV, MESSAGE), ids.user_ref(99)
MSG_ID = "1b4e28ba-2fa1-4d3b-a3f5-ef19b5a7633b"

SEND = frames.Send(MSG_ID, CONV_REF, "hello")
EDIT, DELETE = frames.Edit(MSG_ID, SERVER_ID, "hello"), frames.Delete(MSG_ID, SERVER_ID)
REACT = frames.React(MSG_ID, SERVER_ID, "👍", on=True)
PIN = frames.Pin(MSG_ID, SERVER_ID, on=True)
#: A good frame of each op, and what it leads to on an open connection. The test below holds it complete.
FRAMES: dict[type, tuple[frames.ClientFrame, list[Effect]]] = {
    frames.Send: (SEND, [Append(SEND, CONV)]),
    frames.Edit: (EDIT, [Alter(EDIT, CONV, MESSAGE)]),
    frames.Delete: (DELETE, [Alter(DELETE, CONV, MESSAGE)]),
    frames.React: (REACT, [Alter(REACT, CONV, MESSAGE)]),
    frames.Pin: (PIN, [Alter(PIN, CONV, MESSAGE)]),
    frames.Delivered: (frames.Delivered(SERVER_ID), [SaveReceipt(False, CONV, MESSAGE)]),
    frames.Read: (frames.Read(SERVER_ID), [SaveReceipt(True, CONV, MESSAGE)]),
    frames.Typing: (frames.Typing(CONV_REF), [ShowTyping(CONV)]),
    frames.Sync: (frames.Sync({CONV_REF: SERVER_ID}), [Replay({CONV: {0: MESSAGE}})]),
    frames.Ping: (frames.Ping(), [Reply(frames.Pong(ts=0))]),
    frames.Presence: (frames.Presence([USER_REF]), [Watch(frozenset({UserId(99)}))]),
    frames.Auth: (frames.Auth("secret"), []),
}


def connection(state: State = State.OPEN, *, limits: Limits = LIMITS, allowance: Allowance | None = None) -> Connection:
    """Return a connection that is in ``state`` at ``NOW``."""
    made = Connection(limits=limits, now=NOW)
    if state is not State.ANONYMOUS:
        made.presented()
    if state in (State.OPEN, State.CLOSED):
        made.authenticated(user=USER, device=DEVICE, allowance=allowance or Allowance(limits=limits, now=NOW), now=NOW)
    if state is State.CLOSED:
        made.closed()
    assert made.state is state
    return made


def refusal(effects: list[Effect]) -> frames.Error:
    """Return the error frame that is the one effect."""
    [reply] = effects
    assert isinstance(reply, Reply)
    assert isinstance(reply.frame, frames.Error)
    return reply.frame


def test_a_sync_may_keep_its_marks_and_resume_from_a_device() -> None:
    frame = frames.Sync({CONV_REF: SERVER_ID}, keep=True, resume=ids.device_ref(DEVICE))
    assert connection().receive(frame, NOW) == [Replay({CONV: {0: MESSAGE}}, keep=True, resume=DEVICE)]
    assert refusal(connection().receive(frames.Sync(resume=USER_REF), NOW)).code == "invalid"


# --- every frame in every state -------------------------------------------------------------------


def test_the_table_has_every_frame() -> None:
    assert FRAMES.keys() == set(get_args(frames.ClientFrame))


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("op", FRAMES)
def test_every_frame_in_every_state(op: type, state: State) -> None:
    frame, when_open = FRAMES[op]
    effects = connection(state).receive(frame, NOW)
    if state is State.CLOSED:
        assert effects == []
    elif op is frames.Auth:
        if state is State.ANONYMOUS:
            assert effects == [Authenticate("secret")]
        else:
            assert refusal(effects).code == "invalid"
    elif state is State.OPEN:
        assert effects == when_open
    else:
        assert refusal(effects).code == "unauthenticated"


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("op", FRAMES)
def test_a_frame_changes_no_state_but_auth(op: type, state: State) -> None:
    it = connection(state)
    it.receive(FRAMES[op][0], NOW)
    wanted = State.AUTHENTICATING if (op, state) == (frames.Auth, State.ANONYMOUS) else state
    assert it.state is wanted


MALFORMED = [
    frames.Send(MSG_ID, "c_x", "hello"),
    frames.Send(MSG_ID, ids.user_ref(5), "hello"),
    frames.Edit(MSG_ID, "m_x", "hello"),
    frames.Delete(MSG_ID, CONV_REF),
    frames.React(MSG_ID, "", "👍"),
    frames.Delivered("m_x"),
    frames.Delivered(CONV_REF),
    frames.Read(""),
    frames.Typing(SERVER_ID),
    frames.Sync({"x": SERVER_ID}),
    frames.Sync({CONV_REF: "m_"}),
    frames.Sync({CONV_REF: f"{SERVER_ID},"}),
    frames.Sync({CONV_REF: f"{SERVER_ID},{SERVER_ID}"}),
    frames.Sync({CONV_REF: f"{SERVER_ID},{ids.server_id(22, 1 << 17)}"}),
    frames.Sync({CONV_REF: ids.server_id(22, 34)}),
    frames.Presence([USER_REF, CONV_REF]),
]


@pytest.mark.parametrize("frame", MALFORMED)
def test_a_malformed_id_is_refused_and_nothing_done(frame: frames.ClientFrame) -> None:
    it = connection()
    error = refusal(it.receive(frame, NOW))
    assert (error.code, error.msg_id) == ("invalid", getattr(frame, "msg_id", None))
    assert error.detail
    assert it.receive(frames.Ping(), NOW) == [Reply(frames.Pong(ts=0))]


@given(st.text(max_size=60))
def test_no_string_makes_it_fail(text: str) -> None:
    it = connection(limits=replace(LIMITS, send_burst=1_000_000))
    for frame in (
        frames.Send(text, text, text, [text], text),
        frames.Edit(text, text, text),
        frames.Delete(text, text),
        frames.React(text, text, text),
        frames.Delivered(text),
        frames.Read(text),
        frames.Typing(text),
        frames.Sync({text: text}),
        frames.Presence([text]),
        frames.Auth(text),
    ):
        assert refusal(it.receive(frame, NOW)).code == "invalid"


# --- authentication and idleness ------------------------------------------------------------------


def test_it_belongs_to_whom_it_authenticated() -> None:
    it = connection()
    assert (it.user, it.device) == (USER, DEVICE)


def test_only_who_presented_credentials_is_authenticated() -> None:
    allowance = Allowance(limits=LIMITS, now=NOW)
    for state in (State.ANONYMOUS, State.CLOSED):
        it = connection(state)
        it.authenticated(user=UserId(1), device=DeviceId(1), allowance=allowance, now=NOW)
        assert it.state is state
        assert it.user != UserId(1)
    twice = connection(State.OPEN)
    twice.authenticated(user=UserId(1), device=DeviceId(1), allowance=allowance, now=NOW)
    assert twice.user == USER
    closed = connection(State.CLOSED)
    closed.presented()
    assert closed.state is State.CLOSED


def test_a_nameless_socket_ends_at_its_deadline_whatever_it_says() -> None:
    it = connection(State.ANONYMOUS)
    deadline = NOW + LIMITS.auth_timeout_s
    it.receive(frames.Ping(), deadline - 0.1)
    assert it.deadline() == deadline
    assert it.tick(deadline - 0.01) == []
    assert it.tick(deadline) == [Close(CloseCode.UNAUTHENTICATED, "not authenticated in time")]


def test_a_slow_look_up_of_credentials_is_not_the_clients_fault() -> None:
    it = connection(State.AUTHENTICATING)
    assert it.tick(NOW + LIMITS.auth_timeout_s + 1) == []
    assert it.tick(NOW + LIMITS.idle_timeout_s) == [Close(CloseCode.IDLE, "idle")]


@pytest.mark.parametrize("frame", [frame for frame, _ in FRAMES.values()] + MALFORMED)
def test_every_frame_is_a_sign_of_life(frame: frames.ClientFrame) -> None:
    it = connection()
    heard = NOW + LIMITS.idle_timeout_s - 1
    it.receive(frame, heard)
    assert it.deadline() == heard + LIMITS.idle_timeout_s
    assert it.tick(NOW + LIMITS.idle_timeout_s + 1) == []
    assert it.tick(heard + LIMITS.idle_timeout_s) == [Close(CloseCode.IDLE, "idle")]


def test_the_time_of_idleness_begins_with_the_authentication() -> None:
    it = connection(State.AUTHENTICATING)
    it.authenticated(user=USER, device=DEVICE, allowance=Allowance(limits=LIMITS, now=NOW), now=NOW + 60)
    assert it.deadline() == NOW + 60 + LIMITS.idle_timeout_s


def test_nothing_happens_to_a_closed_connection() -> None:
    assert connection(State.CLOSED).tick(NOW + 10_000) == []


# --- limits ---------------------------------------------------------------------------------------


def test_sends_past_the_burst_are_refused_with_a_time_that_holds() -> None:
    limits = replace(LIMITS, send_rate_per_s=3.0, send_burst=2)
    it = connection(limits=limits)
    for _ in range(2):
        assert it.receive(SEND, NOW) == [Append(SEND, CONV)]
    error = refusal(it.receive(SEND, NOW))
    assert (error.code, error.msg_id) == (RateLimited.code, MSG_ID)
    assert error.retry_after is not None
    assert 0 < error.retry_after <= 0.334
    assert it.receive(SEND, NOW + error.retry_after) == [Append(SEND, CONV)]


@pytest.mark.parametrize("frame", [EDIT, DELETE, REACT], ids=lambda it: type(it).__name__)
def test_a_change_counts_as_a_send(frame: frames.ClientFrame) -> None:
    it = connection(limits=replace(LIMITS, send_burst=2))
    assert it.receive(frame, NOW) == [Alter(frame, CONV, MESSAGE)]
    assert it.receive(SEND, NOW) == [Append(SEND, CONV)]
    error = refusal(it.receive(frame, NOW))
    assert (error.code, error.msg_id) == (RateLimited.code, MSG_ID)


def test_nothing_else_counts_as_a_send() -> None:
    it = connection(limits=replace(LIMITS, send_burst=1))
    for _ in range(50):
        assert it.receive(frames.Ping(), NOW) == [Reply(frames.Pong(ts=0))]
        assert it.receive(frames.Delivered(SERVER_ID), NOW) == [SaveReceipt(False, CONV, MESSAGE)]
    assert it.receive(SEND, NOW) == [Append(SEND, CONV)]


@pytest.mark.parametrize(
    ("frame", "limits"),
    [
        (frames.Sync(), {"sync_rate_per_s": 2.0, "sync_burst": 3}),
        (frames.Presence([USER_REF]), {"presence_rate_per_s": 2.0, "presence_burst": 3}),
    ],
    ids=["sync", "presence"],
)
def test_what_reads_the_stores_is_held_to_a_rate_of_each_connection(
    frame: frames.ClientFrame, limits: dict[str, Any]
) -> None:
    allowance = Allowance(limits=LIMITS, now=NOW)
    it, other = (connection(limits=replace(LIMITS, **limits), allowance=allowance) for _ in range(2))
    [effect] = it.receive(frame, NOW)
    for _ in range(2):
        assert it.receive(frame, NOW) == [effect]
    error = refusal(it.receive(frame, NOW))
    assert (error.code, error.msg_id, error.retry_after) == (RateLimited.code, None, 0.5)
    assert it.state is State.OPEN
    assert it.receive(SEND, NOW) == [Append(SEND, CONV)], "nothing else waits for it"
    assert other.receive(frame, NOW) == [effect], "nor does another device of the same user"
    assert it.receive(frame, NOW + 0.5) == [effect]


def test_a_sync_that_asks_for_too_much_takes_nothing_from_one_that_does_not() -> None:
    it = connection(limits=replace(LIMITS, sync_burst=1, max_sync_marks=0))
    assert refusal(it.receive(frames.Sync({CONV_REF: SERVER_ID}), NOW)).code == "too_large"
    assert it.receive(frames.Sync(), NOW) == [Replay({})]


def test_the_connections_of_a_user_share_one_allowance() -> None:
    limits = replace(LIMITS, send_burst=3)
    allowance = Allowance(limits=limits, now=NOW)
    phone, tablet = connection(allowance=allowance), connection(allowance=allowance)
    taken = [it.receive(SEND, NOW) for it in (phone, tablet, phone)]
    assert taken == [[Append(SEND, CONV)]] * 3
    for it in (phone, tablet):
        assert refusal(it.receive(SEND, NOW)).code == RateLimited.code
    assert phone.receive(frames.Typing(CONV_REF), NOW) == [ShowTyping(CONV)]
    assert tablet.receive(frames.Typing(CONV_REF), NOW + 0.5) == []


def test_typing_passes_once_a_second_in_each_conversation() -> None:
    it = connection()
    other = ConversationId(22)

    def typing(conversation: ConversationId, at: float) -> list[Effect]:
        return it.receive(frames.Typing(ids.conversation_ref(conversation)), NOW + at)

    assert typing(CONV, 0.0) == [ShowTyping(CONV)]
    assert typing(CONV, 0.99) == []
    assert typing(other, 0.99) == [ShowTyping(other)]
    assert typing(CONV, 1.0) == [ShowTyping(CONV)], "what was dropped does not count"
    assert typing(CONV, 1.5) == []


@given(st.lists(st.tuples(st.integers(1, 40), st.floats(0.0, 0.3)), max_size=200))
def test_no_order_of_conversations_gets_around_the_spacing_of_typing(steps: list[tuple[int, float]]) -> None:
    it, now, last = connection(), NOW, dict[int, float]()
    for number, gap in steps:
        now += gap
        conversation = ConversationId(number)
        for effect in it.receive(frames.Typing(ids.conversation_ref(conversation)), now):
            assert effect == ShowTyping(conversation)
            assert now - last.get(number, 0.0) >= LIMITS.typing_interval_s
            last[number] = now
            assert sum(now - at < LIMITS.typing_interval_s for at in last.values()) <= 16


def test_marks_up_to_the_limit() -> None:
    it = connection()
    marks = {ids.conversation_ref(n): ids.server_id(n, 5) for n in range(1, LIMITS.max_sync_marks + 2)}
    assert refusal(it.receive(frames.Sync(marks), NOW)).code == "too_large"
    marks.popitem()
    [effect] = it.receive(frames.Sync(marks), NOW)
    assert effect == Replay({ConversationId(n): {0: MessageId(5)} for n in range(1, LIMITS.max_sync_marks + 1)})
    assert it.receive(frames.Sync(), NOW) == [Replay({})]


def test_presence_up_to_the_limit() -> None:
    it = connection()
    users = [ids.user_ref(n) for n in range(1, LIMITS.max_presence_users + 2)]
    assert refusal(it.receive(frames.Presence(users), NOW)).code == "too_large"
    [effect] = it.receive(frames.Presence(users[1:]), NOW)
    assert isinstance(effect, Watch)
    assert len(effect.users) == LIMITS.max_presence_users
    assert it.receive(frames.Presence(), NOW) == [Watch(frozenset())]


# --- error frames ---------------------------------------------------------------------------------


def test_an_error_names_the_send_or_change_it_answers_and_no_other_frame() -> None:
    error = RateLimited("slowly", retry_after=1.5)
    for frame, _ in FRAMES.values():
        answer = error_reply(error, frame).frame
        msg_id = MSG_ID if frame in (SEND, EDIT, DELETE, REACT, PIN) else None
        assert answer == frames.Error("rate_limited", "slowly", msg_id, 1.5)
    assert error_reply(error).frame == frames.Error("rate_limited", "slowly", None, 1.5)


def test_an_error_does_not_echo_more_than_an_id() -> None:
    answer = error_reply(RateLimited(), frames.Send("x" * 100_000, CONV_REF)).frame
    assert isinstance(answer, frames.Error)
    assert answer.msg_id == "x" * 64
    assert answer.detail == RateLimited.title
