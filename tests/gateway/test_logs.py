"""A log line says whose it is, in one object, and never what somebody wrote."""

import json
import logging
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client as Browser

from accounts.models import User
from chatproject import container
from chatproject.logs import JsonFormatter, TextFormatter
from messaging import log_context
from messaging.domain import events, ids
from messaging.ports import TOPIC_MESSAGES, NewRecord
from messaging.protocol import chat_pb2
from tests.conftest import eventually, outside_the_loop
from tests.gateway.conftest import Server, conv_ref
from tests.gateway.test_socket import _rename_table

#: What nobody may read in a log.
MARK = "zq-wild-plums-8"


class Lines(logging.Handler):
    """Every line that the process logs, in both formats, at any level."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []
        self.objects: list[dict[str, Any]] = []
        self._formats = TextFormatter(), JsonFormatter(pod="pod-7")

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith(("websockets.client", "httpx", "httpcore")):
            # The client of these tests, which runs in the same process.
            return
        text, line = (it.format(record) for it in self._formats)
        self.texts.append(text)
        self.objects.append(json.loads(line))

    def said(self, message: str) -> dict[str, Any]:
        """Return the line whose message begins so."""
        return next(line for line in self.objects if line["message"].startswith(message))


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler, root = Lines(), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.setLevel(before)
    root.removeHandler(handler)


# --- what is in a line ----------------------------------------------------------------------------


def test_a_line_is_one_object(lines: Lines) -> None:
    logging.getLogger("some.where").warning("two\nlines, %s", 2)
    (line,) = lines.objects
    assert line.pop("ts").endswith("Z")
    assert line == {"level": "WARNING", "logger": "some.where", "message": "two\nlines, 2", "pod": "pod-7"}
    assert "\n" not in JsonFormatter(pod="").format(logging.makeLogRecord({"msg": "two\nlines"}))


def test_no_text_begins_a_line_of_its_own(lines: Lines) -> None:
    logging.getLogger("some.where").warning("%s", "x\r\n2026-01-01 ERROR forged: \x1b[2Ja\u2028b\x85c ü 🙂")
    [text] = lines.texts
    assert text.endswith("WARNING some.where: x\\r\\n2026-01-01 ERROR forged: \\x1b[2Ja\\u2028b\\x85c ü 🙂")
    assert text.splitlines() == [text]
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}Z ", text), "UTC, and it says so"


@pytest.mark.logs_errors
def test_of_an_error_the_first_line_is_kept(lines: Lines) -> None:
    def fail() -> None:
        try:
            raise ValueError(f"a row is wrong\nDETAIL:  Failing row contains (1, {MARK}\n{MARK}).")
        except ValueError as error:
            raise ExceptionGroup("several", [KeyError("inner")]) from error

    try:
        fail()
    except ExceptionGroup:
        logging.getLogger("some.where").exception("it failed")
    assert MARK not in lines.texts[0]
    told = lines.objects[0]["error"]
    assert MARK not in told
    for part in ("ValueError: a row is wrong\n", "which led to:", "ExceptionGroup: several", "KeyError: 'inner'"):
        assert part in told


@pytest.mark.django_db
@pytest.mark.parametrize(("offered", "kept"), [("proxy-1234-abcd", True), ("short", False), ('x"\n"level": "x', False)])
def test_a_request_is_named_in_its_lines_and_its_answer(
    client: Browser, lines: Lines, make_user: Callable[..., User], offered: str, kept: bool
) -> None:
    user = make_user("ann")
    client.force_login(user)
    answer = client.get("/v1/conversations/c_none", headers={"X-Request-ID": offered})
    assert answer.status_code == 404
    line = lines.said("Not Found")
    assert line["request"] == answer["X-Request-ID"]
    assert (line["request"] == offered) is kept
    assert (line["user"], line["status"], line["method"]) == (ids.user_ref(user.pk), 404, "GET")
    assert line["route"].startswith("v1/conversations/<")
    assert log_context.fields() == {}


@pytest.mark.logs_errors
@pytest.mark.django_db(transaction=True)
async def test_a_socket_is_named_in_its_lines(
    server: Server, make_user: Callable[..., User], make_dm: Callable[..., Any], lines: Lines
) -> None:
    user = make_user("ann")
    make_dm(user, make_user("bob"))
    client = await server.connect(additional_headers={"Authorization": f"Bearer {server.token(user)}"})
    ready = await client.expect("ready")
    outside_the_loop(lambda: _rename_table("membership", "elsewhere"))
    try:
        await client.send("sync", marks={})
        await client.refusal("unavailable")
    finally:
        outside_the_loop(lambda: _rename_table("elsewhere", "membership"))
    line = lines.said("a sync frame failed")
    assert (line["conn"], line["user"], line["device"]) == (ready["conn"], ready["user"], ready["device"])
    assert "OperationalError: no such table: membership" in line["error"]


# --- what is not ----------------------------------------------------------------------------------


@pytest.mark.logs_errors
@pytest.mark.django_db(transaction=True)
async def test_no_text_of_a_message_is_in_any_line(
    start_server: Callable[[], Awaitable[Server]],
    limits: Callable[..., None],
    make_user: Callable[..., User],
    make_dm: Callable[..., Any],
    lines: Lines,
) -> None:
    limits(max_body_bytes=1_000)
    server = await start_server()
    ann_user, bob_user = make_user("ann"), make_user("bob")
    dm = make_dm(ann_user, bob_user)
    conv = conv_ref(dm)
    ann, bob = await server.sign_in(ann_user), await server.sign_in(bob_user)
    http = server.http(server.token(ann_user))
    path = f"/v1/conversations/{conv}/messages"

    # As it should be: by JSON, by Protobuf, over REST; a second time; live, by a sync, as history.
    msg_id = str(uuid4())
    first = await ann.say(conv, MARK, msg_id)
    await ann.say(conv, MARK, msg_id)
    await bob.expect("msg", body=MARK)
    binary = await server.connect(
        subprotocols=["chat.v1.protobuf"], additional_headers={"Authorization": f"Bearer {server.token(ann_user)}"}
    )
    frame = chat_pb2.ClientFrame(send=chat_pb2.Send(msg_id=str(uuid4()), conv=conv, body=MARK))
    await binary.connection.send(frame.SerializeToString())
    assert (await http.post(path, json={"msg_id": str(uuid4()), "body": MARK})).status_code == 201
    await bob.send("sync", marks={conv: first["server_id"]})
    await bob.expect("backfill")
    assert MARK in (await http.get(path)).text

    polled = {"Chat-Session": "x" * 20}
    frame_of_poll = {"op": "send", "msg_id": str(uuid4()), "conv": conv, "body": MARK}
    assert (await http.post("/v1/poll", json={"open": True, "frames": [frame_of_poll]}, headers=polled)).is_success
    await bob.expect("msg", msg_id=None, body=MARK)
    assert (await http.post("/v1/poll", content=f'{{"frames": ["{MARK}', headers=polled)).status_code == 400

    change = {"msg_id": str(uuid4()), "server_id": first["server_id"], "body": f"{MARK}, edited"}
    await ann.send("edit", **change)
    await bob.expect("edit", body=change["body"])
    await ann.send("edit", **{**change, "msg_id": str(uuid4()), "body": MARK * 100})
    await ann.expect("error")
    await bob.send("edit", **{**change, "msg_id": str(uuid4())})
    await bob.expect("error")

    # Refused: unreadable, unknown, of a wrong type, at a wrong place, too large; over REST as well.
    for text in (f'{{"op":"send","body":"{MARK}', f'{{"op":"{MARK}"}}', f'{{"op":"send","body":["{MARK}"]}}', MARK):
        await ann.connection.send(text)
        await ann.expect("error")
    for where, body in ((MARK, "x"), (conv, MARK * 100), (conv, MARK + "\x00")):
        await ann.send("send", msg_id=str(uuid4()), conv=where, body=body)
        await ann.expect("error")
    await binary.connection.send(b"\xff" + MARK.encode())
    for content in (f'{{"body": "{MARK}', f'{{"msg_id": "{MARK}", "body": "{MARK}"}}', f'{{"body": {{"{MARK}": 1}}}}'):
        answer = await http.post(path, content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400

    # Unreadable in the log.
    log = container.message_log()
    for payload in (MARK.encode(), events.encode(events.MessageSent(ids.UserId(0), uuid4().bytes, MARK))):
        await log.append(NewRecord(TOPIC_MESSAGES, dm.id.to_bytes(8, "big"), payload))
    await eventually(lambda: sum("went to the dead" in line["message"] for line in lines.objects) == 2)

    # The store fails under the router, and under REST.
    outside_the_loop(lambda: _rename_table("messages", "elsewhere"))
    try:
        await ann.say(conv, MARK)
        await eventually(lambda: any("a poll of" in line["message"] for line in lines.objects))
        assert (await http.get(path)).status_code == 503
    finally:
        outside_the_loop(lambda: _rename_table("elsewhere", "messages"))
    late = await ann.say(conv, MARK)
    await bob.expect("msg", server_id=late["server_id"])

    assert lines.texts
    assert [text for text in lines.texts if MARK in text] == []
    assert [line for line in lines.objects if MARK in str(line)] == []
