"""Long polling as a client meets it: the same frames, rights and ends as on a socket, over plain HTTP."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx
import hypothesis
import jsonschema
import pytest
from django.conf import settings
from django.test import Client as Browser
from hypothesis import strategies
from prometheus_client import REGISTRY

from accounts.models import Device, User
from accounts.services.devices import revoke_device
from chatproject import asgi, runtime
from messaging.domain import ids
from messaging.gateway import poll
from tests.conftest import eventually, outside_the_loop
from tests.gateway.conftest import Frame, Server, conv_ref
from tests.openapi import DESCRIPTION

pytestmark = pytest.mark.django_db(transaction=True)

MakeUser = Callable[..., User]
Make = Callable[..., Any]


async def as_described(answer: httpx.Response) -> None:
    """Hold an answer of long polling against the description of the API."""
    method = answer.request.method.lower()
    if method not in ("get", "post"):
        return
    response = DESCRIPTION["paths"]["/v1/poll"][method]["responses"][str(answer.status_code)]
    content = await answer.aread()
    if answer.status_code == 204:
        assert content == b""
        return
    schema = response["content"][answer.headers["content-type"]]["schema"]
    jsonschema.Draft7Validator(schema | {"components": DESCRIPTION["components"]}).validate(answer.json())


class Poller:
    """A session of long polling. ``expect`` keeps what it passes over, as a socket's client does."""

    def __init__(self, http: httpx.AsyncClient, headers: dict[str, str]) -> None:
        self.http = http
        self.http.event_hooks["response"].append(as_described)
        self.headers = headers
        self.last = 0
        self.passed: list[Frame] = []
        self.close: dict[str, Any] | None = None

    async def post(self, **body: Any) -> httpx.Response:
        return await self.http.post("/v1/poll", json=body, headers=self.headers)

    async def send(self, op: str, **fields: Any) -> None:
        assert (await self.post(frames=[{"op": op, **fields}])).status_code == 204

    async def fetch(self) -> httpx.Response:
        return await self.http.get("/v1/poll", params={"after": self.last}, headers=self.headers)

    async def take(self) -> list[Frame]:
        """Fetch once, and confirm it with the next."""
        answer = await self.fetch()
        assert answer.status_code == 200, answer.text
        found = answer.json()
        self.last, self.close = found["last"], found.get("close")
        frames: list[Frame] = found["frames"]
        return frames

    async def expect(self, op: str, **fields: Any) -> Frame:
        async with asyncio.timeout(10):
            while True:
                for frame in self.passed:
                    if frame["op"] == op and all(frame.get(name) == value for name, value in fields.items()):
                        self.passed.remove(frame)
                        return frame
                assert self.close is None, f"{self.close} and no {op}"
                self.passed += await self.take()

    async def say(self, conv: str, body: str = "hello") -> Frame:
        msg_id = str(uuid4())
        await self.send("send", msg_id=msg_id, conv=conv, body=body)
        return await self.expect("ack", msg_id=msg_id)

    async def close_code(self) -> int:
        async with asyncio.timeout(10):
            while self.close is None:
                await self.take()
        return int(self.close["code"])


@pytest.fixture
def poller(server: Server) -> Callable[..., Poller]:
    """Return ``poller(token, **headers) -> Poller``, not open yet."""

    def make(token: str | None, **headers: str) -> Poller:
        http = server.http(token or "")
        if token is None:
            del http.headers["Authorization"]
        return Poller(http, {"Chat-Session": uuid4().hex, **headers})

    return make


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return ``door(wait_s)``: how long a fetch waits in this test."""
    return lambda wait_s: monkeypatch.setattr(asgi._poll, "_wait_s", wait_s)


async def opened(poller: Poller) -> Poller:
    assert (await poller.post(open=True)).status_code == 204
    await poller.expect("ready")
    return poller


# --- the same as on a socket ------------------------------------------------------------------------


async def test_it_chats_with_a_socket(
    server: Server, poller: Callable[..., Poller], make_user: MakeUser, make_dm: Make
) -> None:
    ann_user, bob_user = make_user("ann"), make_user("bob")
    conv = conv_ref(make_dm(ann_user, bob_user))
    bob = await server.sign_in(bob_user)
    ann = poller(server.token(ann_user))
    assert (await ann.post(open=True, frames=[{"op": "ping"}])).status_code == 204
    ready = await ann.expect("ready")
    assert ready["user"] == ids.user_ref(ann_user.pk)
    assert ready["limits"]["max_body_bytes"] == settings.LIMITS.max_body_bytes
    await ann.expect("pong")
    ack = await ann.say(conv, "over HTTP")
    assert (await bob.expect("msg", server_id=ack["server_id"]))["body"] == "over HTTP"
    await bob.say(conv, "over a socket")
    assert (await ann.expect("msg", body="over a socket"))["from"] == ids.user_ref(bob_user.pk)
    await ann.send("sync", marks={conv: ack["server_id"]})
    assert [it["body"] for it in (await ann.expect("backfill"))["messages"]][-1] == "over a socket"
    # Frames are judged as on a socket, one by one.
    assert (await ann.post(frames=[{"op": "nonsense"}, {"op": "ping"}, 7])).status_code == 204
    for code in ("unknown_op", "bad_frame"):
        await ann.expect("error", code=code)


async def test_a_browser_session_opens_one_for_our_own_pages_only(
    server: Server, poller: Callable[..., Poller], make_user: MakeUser
) -> None:
    browser = Browser()
    await asyncio.to_thread(browser.force_login, make_user("ann"))
    cookie = f"{settings.SESSION_COOKIE_NAME}={browser.cookies[settings.SESSION_COOKIE_NAME].value}"
    own = await opened(poller(None, Cookie=cookie, Origin=f"http://127.0.0.1:{server.port}"))
    # A fetch from the page itself names no origin.
    del own.headers["Origin"]
    await own.send("ping")
    await own.expect("pong")
    foreign = poller(None, Cookie=cookie, Origin="https://evil.example")
    answer = await foreign.post(open=True)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_who_is_not_let_in_leaves_nothing_behind(
    server: Server, poller: Callable[..., Poller], make_user: MakeUser
) -> None:
    for token in (None, "wrong"):
        stranger = poller(token)
        answer = await stranger.post(open=True)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    await eventually(lambda: REGISTRY.get_sample_value("chat_poll_sessions") == 0)
    assert (await stranger.fetch()).status_code == 410


async def test_who_is_signed_out_is_told_so(server: Server, poller: Callable[..., Poller], make_user: MakeUser) -> None:
    user = make_user("ann")
    ann = await opened(poller(server.token(user)))
    device = await asyncio.to_thread(outside_the_loop, lambda: Device.objects.get(user=user))
    await asyncio.to_thread(outside_the_loop, lambda: revoke_device(user=user, device_id=device.pk))
    assert await ann.close_code() == 4401
    await eventually(lambda: REGISTRY.get_sample_value("chat_poll_sessions") == 0)
    answer = await ann.fetch()
    assert (answer.status_code, answer.json()["code"]) == (410, "session_lost")


@pytest.mark.slow
async def test_who_says_nothing_is_let_go(
    start_server: Callable[[], Awaitable[Server]], limits: Callable[..., None], make_user: MakeUser
) -> None:
    limits(idle_timeout_s=2)
    server = await start_server()
    ann = Poller(server.http(server.token(make_user("ann"))), {"Chat-Session": uuid4().hex})
    await opened(ann)
    # To fetch is not to say anything: a page that still polls and whose script hangs is gone.
    assert await ann.close_code() == 4450


async def test_a_pod_that_drains_sends_its_sessions_away(
    server: Server, poller: Callable[..., Poller], make_user: MakeUser
) -> None:
    user = make_user("ann")
    ann = await opened(poller(server.token(user)))
    waiting = asyncio.create_task(ann.close_code())
    await (await runtime.pod()).drain()
    assert await waiting == 1012
    assert any(frame["op"] == "drain" for frame in ann.passed) or ann.close is not None
    late = await poller(server.token(user)).post(open=True)
    assert (late.status_code, late.json()["code"]) == (503, "unavailable")


# --- requests -----------------------------------------------------------------------------------------


async def test_a_fetch_waits_for_what_comes(
    server: Server, poller: Callable[..., Poller], make_user: MakeUser, make_dm: Make, door: Callable[[float], None]
) -> None:
    ann_user, bob_user = make_user("ann"), make_user("bob")
    conv = conv_ref(make_dm(ann_user, bob_user))
    bob = await server.sign_in(bob_user)
    ann = await opened(poller(server.token(ann_user)))
    waiting = asyncio.create_task(ann.take())
    done, _ = await asyncio.wait([waiting], timeout=0.3)
    assert not done
    await bob.say(conv)
    assert [frame["op"] for frame in await waiting] == ["msg"]
    door(0.05)
    assert await ann.take() == []


async def test_an_answer_that_is_lost_is_given_again(
    server: Server, poller: Callable[..., Poller], make_user: MakeUser, make_dm: Make
) -> None:
    ann_user, bob_user = make_user("ann"), make_user("bob")
    conv = conv_ref(make_dm(ann_user, bob_user))
    bob = await server.sign_in(bob_user)
    ann = await opened(poller(server.token(ann_user)))
    # The client goes away while it waits: what comes then is for its next fetch.
    with pytest.raises(httpx.ReadTimeout):
        await ann.http.get("/v1/poll", params={"after": ann.last}, headers=ann.headers, timeout=0.2)
    await bob.say(conv, "1")
    await bob.expect("msg", body="1")
    first = (await ann.fetch()).json()
    await bob.say(conv, "2")
    await bob.expect("msg", body="2")
    again = (await ann.fetch()).json()
    assert [frame["body"] for frame in first["frames"]] == ["1"]
    assert [frame["body"] for frame in again["frames"]] == ["1", "2"]
    ann.last = again["last"]
    await bob.say(conv, "3")
    await bob.expect("msg", body="3")
    assert [frame["body"] for frame in await ann.take()] == ["3"]


async def test_an_end_that_nobody_heard_is_told_the_next_time(
    server: Server, poller: Callable[..., Poller], make_user: MakeUser
) -> None:
    user = make_user("ann")
    ann = await opened(poller(server.token(user)))
    with pytest.raises(httpx.ReadTimeout):
        await ann.http.get("/v1/poll", params={"after": ann.last}, headers=ann.headers, timeout=0.2)
    before = REGISTRY.get_sample_value("chat_connections_closed_total", {"code": "4401"}) or 0.0
    device = await asyncio.to_thread(outside_the_loop, lambda: Device.objects.get(user=user))
    await asyncio.to_thread(outside_the_loop, lambda: revoke_device(user=user, device_id=device.pk))
    closed = {"code": "4401"}
    await eventually(lambda: REGISTRY.get_sample_value("chat_connections_closed_total", closed) == before + 1)
    await eventually(lambda: REGISTRY.get_sample_value("chat_connections", {"state": "open"}) == 0)
    assert await ann.close_code() == 4401


async def test_a_second_fetch_takes_the_place_of_the_first(
    server: Server, poller: Callable[..., Poller], make_user: MakeUser
) -> None:
    ann = await opened(poller(server.token(make_user("ann"))))
    first = asyncio.create_task(ann.fetch())
    done, _ = await asyncio.wait([first], timeout=0.2)
    assert not done
    second = asyncio.create_task(ann.fetch())
    assert (await first).json() == {"frames": [], "last": ann.last}
    await ann.send("ping")
    assert [frame["op"] for frame in (await second).json()["frames"]] == ["pong"]


async def test_opening_twice_is_opening_once(
    server: Server, poller: Callable[..., Poller], make_user: MakeUser
) -> None:
    ann = poller(server.token(make_user("ann")))
    for _ in range(2):
        assert (await ann.post(open=True)).status_code == 204
    assert [frame["op"] for frame in await ann.take()] == ["ready"]
    assert REGISTRY.get_sample_value("chat_poll_sessions") == 1


async def test_a_session_is_of_the_credentials_that_opened_it(
    server: Server, poller: Callable[..., Poller], make_user: MakeUser
) -> None:
    ann = await opened(poller(server.token(make_user("ann"))))
    thief = poller(server.token(make_user("eve")))
    thief.headers["Chat-Session"] = ann.headers["Chat-Session"]
    for answer in (await thief.fetch(), await thief.post(frames=[{"op": "ping"}]), await thief.post(close=True)):
        assert (answer.status_code, answer.json()["code"]) == (410, "session_lost")
    await ann.send("ping")
    await ann.expect("pong")


async def test_who_leaves_is_gone_at_once(
    server: Server, poller: Callable[..., Poller], make_user: MakeUser, make_dm: Make
) -> None:
    ann_user, bob_user = make_user("ann"), make_user("bob")
    conv = conv_ref(make_dm(ann_user, bob_user))
    bob = await server.sign_in(bob_user)
    ann = await opened(poller(server.token(ann_user)))
    frame = {"op": "send", "msg_id": str(uuid4()), "conv": conv, "body": "bye"}
    assert (await ann.post(frames=[frame], close=True)).status_code == 204
    await bob.expect("msg", body="bye")
    await eventually(lambda: REGISTRY.get_sample_value("chat_poll_sessions") == 0)
    assert (await ann.fetch()).status_code == 410


@pytest.mark.parametrize(
    ("method", "headers", "path", "body", "status", "code"),
    [
        ("GET", {"Chat-Session": ""}, "", b"", 400, "invalid"),
        ("GET", {"Chat-Session": "short"}, "", b"", 400, "invalid"),
        ("POST", {"Chat-Session": "x" * 15 + "\xe9"}, "", b"", 400, "invalid"),
        ("GET", {}, "?after=-1", b"", 400, "invalid"),
        ("GET", {}, "?after=x", b"", 400, "invalid"),
        ("POST", {}, "", b"{", 400, "bad_frame"),
        ("POST", {}, "", b'{"frames":7}', 400, "bad_frame"),
        ("POST", {}, "", b'{"frames":["\xff"]}', 400, "bad_frame"),
        ("POST", {}, "", b"[" * 100_000, 400, "bad_frame"),
        ("POST", {}, "", b'{"frames":[' + b",".join([b"{}"] * 101) + b"]}", 413, "too_large"),
        ("POST", {}, "", b" " * 2_000_000, 413, "too_large"),
        ("DELETE", {}, "", b"", 405, "method_not_allowed"),
        ("GET", {"Chat-Session": "y" * 20}, "", b"", 410, "session_lost"),
    ],
)
async def test_what_cannot_be_served_is_a_problem(
    server: Server,
    poller: Callable[..., Poller],
    make_user: MakeUser,
    method: str,
    headers: dict[str, str],
    path: str,
    body: bytes,
    status: int,
    code: str,
) -> None:
    ann = await opened(poller(server.token(make_user("ann"))))
    sent = {name: value.encode("latin-1") for name, value in {**ann.headers, **headers}.items()}
    answer = await ann.http.request(method, f"/v1/poll{path}", content=body, headers=sent)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert (answer.headers["x-content-type-options"], answer.headers["cache-control"]) == ("nosniff", "no-store")
    await ann.send("ping")
    await ann.expect("pong")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_whatever_is_asked_is_answered_as_described(
    server: Server, poller: Callable[..., Poller], make_user: MakeUser, door: Callable[[float], None], method: str
) -> None:
    from tests.fuzz import CHECKS, SCHEMA

    door(0.01)
    ann = await opened(poller(server.token(make_user("ann"))))
    operation = SCHEMA["/v1/poll"][method]
    credentials = {"Authorization": ann.http.headers["Authorization"]}
    names = [ann.headers["Chat-Session"], None, "short"]

    # One of a session that is there, one of a session that is not, and one that cannot be.
    @hypothesis.given(case=operation.as_strategy(), name=strategies.sampled_from(names))
    @hypothesis.settings(max_examples=60, deadline=None, database=None)
    def ask(case: Any, name: str | None) -> None:
        given = {} if name is None else {"Chat-Session": name}
        case.call_and_validate(
            base_url=f"http://127.0.0.1:{server.port}", headers=credentials | given, checks=CHECKS, timeout=10
        )

    await asyncio.to_thread(ask)


# --- bounds -------------------------------------------------------------------------------------------


async def test_who_does_not_fetch_is_too_slow(
    start_server: Callable[[], Awaitable[Server]],
    limits: Callable[..., None],
    make_user: MakeUser,
    make_dm: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits(max_outbox_bytes=50_000, send_rate_per_s=10_000.0, send_burst=10_000)
    monkeypatch.setattr(poll, "_MAX_HELD_BYTES", 50_000)
    server = await start_server()
    ann_user, bob_user = make_user("ann"), make_user("bob")
    conv = conv_ref(make_dm(ann_user, bob_user))
    ann = Poller(server.http(server.token(ann_user)), {"Chat-Session": uuid4().hex})
    await opened(ann)
    bob = await server.sign_in(bob_user)
    before = REGISTRY.get_sample_value("chat_connections_too_slow_total")
    sent = []
    while REGISTRY.get_sample_value("chat_connections_too_slow_total") == before:
        sent.append(await bob.say(conv, "x" * 10_000))
        await bob.expect("msg", server_id=sent[-1]["server_id"])
        assert len(sent) < 50, "the session is let go at some time"
    # What was held is given, in order, and then why there is no more.
    got: list[str] = []
    async with asyncio.timeout(10):
        while ann.close is None:
            got += [frame["server_id"] for frame in await ann.take() if frame["op"] == "msg"]
    assert ann.close["code"] == 1013
    assert got == [ack["server_id"] for ack in sent][: len(got)]
    assert 0 < len(got) < len(sent)


async def test_one_device_has_so_many_sessions_and_no_more(
    server: Server, poller: Callable[..., Poller], make_user: MakeUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poll, "_MAX_SESSIONS_EACH", 2)
    token = server.token(make_user("ann"))
    first, second, third = (poller(token) for _ in range(3))
    await opened(first)
    await opened(second)
    answer = await third.post(open=True)
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert int(answer.headers["Retry-After"]) > 0
    await opened(poller(server.token(make_user("bob"))))
    monkeypatch.setattr(poll, "_MAX_SESSIONS", 3)
    assert (await poller(server.token(make_user("eve"))).post(open=True)).status_code == 503


async def test_the_end_of_the_process_ends_what_waits(
    server: Server, poller: Callable[..., Poller], make_user: MakeUser
) -> None:
    ann = await opened(poller(server.token(make_user("ann"))))
    waiting = asyncio.create_task(ann.close_code())
    done, _ = await asyncio.wait([waiting], timeout=0.2)
    assert not done
    await (await runtime.pod()).stop()
    assert await waiting == 1012
    assert REGISTRY.get_sample_value("chat_poll_sessions") == 0
