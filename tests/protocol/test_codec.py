"""Bytes to frames and back: the same in both subprotocols, and nothing but a documented error for anything else."""

import json
from collections.abc import Callable
from typing import Any, get_args

import msgspec
import pytest
from google.protobuf.message import Message
from hypothesis import example, given
from hypothesis import strategies as st

from messaging.domain import frames
from messaging.domain.errors import BadFrame, TooLarge, UnknownOp
from messaging.protocol import chat_pb2
from messaging.protocol.codec import BY_SUBPROTOCOL, JSON, PROTOBUF, Codec, check_size
from tests.structs import values_of

CLIENT_FRAMES: tuple[type[msgspec.Struct], ...] = get_args(frames.ClientFrame)
SERVER_FRAMES: tuple[type[msgspec.Struct], ...] = get_args(frames.ServerFrame)
CODECS = (JSON, PROTOBUF)
codecs = pytest.mark.parametrize("codec", CODECS, ids=[codec.subprotocol for codec in CODECS])

UUID_TEXT = "1b4e28ba-2fa1-4d3b-a3f5-ef19b5a7633b"


# --- from the client ------------------------------------------------------------------------------


def to_protobuf(frame: msgspec.Struct) -> bytes:
    """Return a client's frame as a Protobuf client would send it."""
    message = chat_pb2.ClientFrame()
    nested = getattr(message, str(frame.__struct_config__.tag))
    nested.SetInParent()
    for name in frame.__struct_fields__:
        value = getattr(frame, name)
        if isinstance(value, list):
            getattr(nested, name).extend(value)
        elif isinstance(value, dict):
            getattr(nested, name).update(value)
        elif value is not None:
            setattr(nested, name, value)
    return message.SerializeToString()


@pytest.mark.parametrize("kind", CLIENT_FRAMES)
@given(data=st.data())
def test_a_clients_frame_is_the_same_in_both(kind: type, data: st.DataObject) -> None:
    frame = data.draw(values_of(kind))
    text = msgspec.json.encode(frame)
    assert JSON.decode(text) == frame
    assert JSON.decode(text.decode()) == frame
    assert PROTOBUF.decode(to_protobuf(frame)) == frame


@pytest.mark.parametrize("kind", CLIENT_FRAMES)
def test_fields_at_their_default_may_be_left_out(kind: type[msgspec.Struct]) -> None:
    op = str(kind.__struct_config__.tag)
    needed = {
        field.name: "x" for field in msgspec.structs.fields(kind) if field.required
    }  # fmt: skip
    frame = JSON.decode(json.dumps({"op": op, **needed}))
    assert frame == kind(**needed)
    assert PROTOBUF.decode(to_protobuf(frame)) == frame


def test_what_a_server_does_not_know_is_ignored() -> None:
    assert JSON.decode('{"color":"red","op":"ping","n":[{"deep":[1]}]}') == frames.Ping()
    # A ``ping`` with a field 15 that holds 1.
    assert PROTOBUF.decode(b"\x3a\x02\x78\x01") == frames.Ping()


# --- from the server ------------------------------------------------------------------------------


def from_protobuf(message: Message) -> dict[str, Any]:
    """Return a Protobuf message as the JSON object of the same frame; absent and default look alike in both."""
    if "op" in message.DESCRIPTOR.oneofs_by_name:
        return from_protobuf(getattr(message, str(message.WhichOneof("op"))))
    body: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.is_repeated:
            body[field.name] = [from_protobuf(item) if isinstance(item, Message) else item for item in value]
        elif field.message_type is not None:
            body[field.name] = from_protobuf(value) if message.HasField(field.name) else None
        elif field.has_presence:
            body[field.name] = value if message.HasField(field.name) else None
        else:
            body[field.name] = value
    return body


def in_full(frame: msgspec.Struct) -> dict[str, Any]:
    """Return a frame's fields under their wire names, those at their default, too."""
    body: dict[str, Any] = {}
    for field in msgspec.structs.fields(type(frame)):
        value = getattr(frame, field.name)
        if isinstance(value, msgspec.Struct):
            value = in_full(value)
        elif isinstance(value, list):
            value = [in_full(item) if isinstance(item, msgspec.Struct) else item for item in value]
        body[field.encode_name] = value
    return body


@pytest.mark.parametrize("kind", SERVER_FRAMES)
@given(data=st.data())
def test_a_servers_frame_is_the_same_in_both(kind: type[msgspec.Struct], data: st.DataObject) -> None:
    frame = data.draw(values_of(kind))
    op = str(kind.__struct_config__.tag)
    text = JSON.encode(frame)
    assert json.loads(text)["op"] == op
    assert msgspec.json.decode(text, type=frames.ServerFrame) == frame
    message = chat_pb2.ServerFrame.FromString(PROTOBUF.encode(frame))
    assert message.WhichOneof("op") == op
    assert from_protobuf(getattr(message, op)) == in_full(frame)


def test_from_is_called_from_on_the_wire() -> None:
    assert json.loads(JSON.encode(frames.Msg("m_x", "c_x", "u_x", ts=1)))["from"] == "u_x"


def test_a_json_frame_leaves_out_what_is_at_its_default() -> None:
    frame = frames.Msg("m_x", "c_x", "u_x", ts=1, body="hi")
    assert json.loads(JSON.encode(frame)) == {
        "op": "msg", "server_id": "m_x", "conv": "c_x", "from": "u_x", "ts": 1, "body": "hi",
    }  # fmt: skip


def test_each_codec_is_found_by_its_name() -> None:
    assert {"chat.v1.json": JSON, "chat.v1.protobuf": PROTOBUF} == BY_SUBPROTOCOL
    assert (JSON.is_text, PROTOBUF.is_text) == (True, False)
    assert JSON.encode(frames.Pong(ts=1)).decode()


# --- anything at all ------------------------------------------------------------------------------

Noise = bytes | str


def decode(codec: Codec, data: Noise) -> str:
    """Return what became of it: a frame's op, or the code of the error. Anything else escapes."""
    error: BadFrame | None = None
    try:
        frame = codec.decode(data)
    except BadFrame as caught:
        error = caught
    if error is not None:
        assert error.code in ("bad_frame", "unknown_op")
        # Fit to be put into an error frame.
        assert 0 < len(error.detail.encode()) < 400
        return error.code
    assert isinstance(frame, CLIENT_FRAMES)
    # Whatever was read can be written again: nothing half-read is inside.
    msgspec.json.encode(frame)
    return str(frame.__struct_config__.tag)


@codecs
@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_an_error(codec: Codec, data: bytes) -> None:
    decode(codec, data)


surrogates = st.text(st.characters(categories=["Cs", "L", "P", "Cc"]), max_size=80)


@codecs
@given(text=st.one_of(st.text(max_size=200), surrogates))
@example(text="\ud800")
@example(text='{"op":"\ud800"}')
def test_any_text_is_a_frame_or_an_error(codec: Codec, text: str) -> None:
    decode(codec, text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
ops = st.sampled_from([str(kind.__struct_config__.tag) for kind in CLIENT_FRAMES] + ["ready", "dance", ""])
names = st.sampled_from(sorted({name for kind in CLIENT_FRAMES for name in kind.__struct_fields__}))


@given(json_values | st.builds(lambda op, body: {**body, "op": op}, ops, st.dictionaries(names, json_values)))
def test_any_json_is_a_frame_or_an_error(value: Any) -> None:
    decode(JSON, json.dumps(value))
    decode(JSON, json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))


valid = st.one_of(*map(values_of, CLIENT_FRAMES))


@codecs
@given(
    frame=valid,
    edits=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3), st.binary(max_size=3)), min_size=1, max_size=6),
)
def test_a_damaged_frame_is_a_frame_or_an_error(
    codec: Codec, frame: msgspec.Struct, edits: list[tuple[int, int, bytes]]
) -> None:
    data = bytearray(msgspec.json.encode(frame) if codec is JSON else to_protobuf(frame))
    for at, removed, inserted in edits:
        at %= len(data) + 1
        data[at : at + removed] = inserted
    decode(codec, bytes(data))


def _send(**fields: str) -> str:
    """Return a JSON frame of op ``send`` whose fields are spelt as given."""
    spelt = {"op": '"send"', "msg_id": f'"{UUID_TEXT}"', "conv": '"c_x"'} | fields
    return "{" + ",".join(f'"{name}":{value}' for name, value in spelt.items()) + "}"


DEEP = 60_000
NASTY_JSON: dict[str, tuple[Noise, str]] = {
    "nothing": ("", "bad_frame"),
    "white space": (" \n", "bad_frame"),
    "a lone quote": ('"', "bad_frame"),
    "null": ("null", "bad_frame"),
    "a list": ("[]", "bad_frame"),
    "no op": ("{}", "bad_frame"),
    "two frames": ('{"op":"ping"}{"op":"ping"}', "bad_frame"),
    "a comma too many": ('{"op":"ping",}', "bad_frame"),
    "an op in capitals": ('{"op":"PING"}', "unknown_op"),
    "a server's op": ('{"op":"ready"}', "unknown_op"),
    "a long op": ('{"op":"' + "x" * 100_000 + '"}', "unknown_op"),
    "an op that is no text": ('{"op":1}', "bad_frame"),
    "an op that is null": ('{"op":null}', "bad_frame"),
    "no field": ('{"op":"send"}', "bad_frame"),
    "a number for a text": (_send(body="5"), "bad_frame"),
    "null for a text": (_send(body="null"), "bad_frame"),
    "a text for a list": (_send(media='"a"'), "bad_frame"),
    "a number in a list": (_send(media="[5]"), "bad_frame"),
    "an object for a text": (_send(body='{"x":1}'), "bad_frame"),
    "marks that are no texts": ('{"op":"sync","marks":{"c_x":5}}', "bad_frame"),
    "marks in a list": ('{"op":"sync","marks":["c_x"]}', "bad_frame"),
    "NaN": (_send(body="NaN"), "bad_frame"),
    "Infinity": (_send(x="Infinity"), "bad_frame"),
    "a huge number": (_send(body="9" * 100_000), "bad_frame"),
    "a huge number where none is read": (_send(x="9" * 100_000), "send"),
    "a huge exponent": (_send(body="1e999999999"), "bad_frame"),
    "deep lists": ("[" * DEEP, "bad_frame"),
    "deep lists where none is read": (_send(x="[" * DEEP + "]" * DEEP), "bad_frame"),
    "deep objects where none is read": (_send(x='{"a":' * DEEP + "1" + "}" * DEEP), "bad_frame"),
    "deep lists for an op": ('{"op":' + "[" * DEEP, "bad_frame"),
    "deep lists after a mistake": (_send(body="5", x="[" * DEEP), "bad_frame"),
    "an op twice, once in no UTF-8": (b'{"op":"send","body":5,"op":"\xff"}', "bad_frame"),
    "a lone surrogate": (_send(body='"\\ud800"'), "bad_frame"),
    "a lone surrogate of the other half": (_send(body='"\\udc00"'), "bad_frame"),
    "a surrogate for an op": ('{"op":"\\ud800"}', "bad_frame"),
    "a pair of surrogates": (_send(body='"\\ud83d\\udc4b"'), "send"),
    "NUL in a text": (_send(body='"\\u0000"'), "send"),
    "NUL outside": ('{"op":"ping"}\x00', "bad_frame"),
    "a control character": (_send(body='"\x01"'), "bad_frame"),
    "invalid UTF-8": (_send(body='"x"').encode().replace(b'"x"', b'"\xff"'), "bad_frame"),
    "invalid UTF-8 where none is read": (_send(x='"x"').encode().replace(b'"x"', b'"\xff"'), "send"),
    "overlong UTF-8": (_send(body='"x"').encode().replace(b'"x"', b'"\xc0\x80"'), "bad_frame"),
    "UTF-16": ('{"op":"ping"}'.encode("utf-16"), "bad_frame"),
    "a byte order mark": ('\ufeff{"op":"ping"}', "bad_frame"),
    "a Protobuf frame": (to_protobuf(frames.Typing("c_x")), "bad_frame"),
    "a field twice": (_send(body='"a","body":"b"'), "send"),
}


@pytest.mark.parametrize(("data", "outcome"), NASTY_JSON.values(), ids=NASTY_JSON.keys())
def test_nasty_json(data: Noise, outcome: str) -> None:
    assert decode(JSON, data) == outcome


def _tag(field: int, kind: int) -> bytes:
    return bytes([field << 3 | kind])


NASTY_PROTOBUF: dict[str, tuple[Noise, str]] = {
    "nothing": (b"", "unknown_op"),
    "a text": ('{"op":"ping"}', "bad_frame"),
    "an op of the future": (_tag(15, 2) + b"\x00", "unknown_op"),
    "cut": (to_protobuf(frames.Typing("c_x"))[:-1], "bad_frame"),
    "a length beyond the end": (_tag(5, 2) + b"\x7f", "bad_frame"),
    "a huge length": (_tag(5, 2) + b"\xff" * 9 + b"\x01", "bad_frame"),
    "a varint without an end": (_tag(1, 0) + b"\xff" * 11, "bad_frame"),
    "another wire type": (_tag(5, 0) + b"\x01", "unknown_op"),
    "field number 0": (b"\x00\x00", "bad_frame"),
    "a group that does not end": (_tag(5, 3), "bad_frame"),
    "deep groups": (_tag(15, 3) * DEEP + _tag(15, 4) * DEEP, "bad_frame"),
    "invalid UTF-8": (to_protobuf(frames.Typing("c_x")).replace(b"c_x", b"c_\xff"), "bad_frame"),
    "a surrogate in UTF-8": (to_protobuf(frames.Typing("xxx")).replace(b"xxx", b"\xed\xa0\x80"), "bad_frame"),
    "two ops: the last counts": (to_protobuf(frames.Typing("c_x")) + to_protobuf(frames.Ping()), "ping"),
    "fields at their default": (_tag(2, 2) + b"\x00", "send"),
    "JSON": (b'{"op":"ping"}', "bad_frame"),
}


@pytest.mark.parametrize(("data", "outcome"), NASTY_PROTOBUF.values(), ids=NASTY_PROTOBUF.keys())
def test_nasty_protobuf(data: Noise, outcome: str) -> None:
    assert decode(PROTOBUF, data) == outcome


def test_an_error_does_not_repeat_what_was_written() -> None:
    for data in (_send(body='["secret"]'), _send(media='{"secret":1}'), '{"op":"send","body":"secret"}'):
        with pytest.raises(BadFrame) as caught:
            JSON.decode(data)
        assert "secret" not in caught.value.detail
    with pytest.raises(UnknownOp) as unknown:
        JSON.decode('{"op":"' + "y" * 1_000 + '"}')
    assert unknown.value.detail == f"unknown op '{'y' * 40}'"


# --- size -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda n: b"\xff" * n, lambda n: "x" * n], ids=["bytes", "text"])
def test_a_frame_of_the_limit_passes_and_one_more_byte_does_not(make: Callable[[int], Noise]) -> None:
    check_size(make(128), max_bytes=128)
    with pytest.raises(TooLarge, match="129 bytes; the limit is 128"):
        check_size(make(129), max_bytes=128)


def test_bytes_are_counted_and_not_characters() -> None:
    check_size("é" * 64, max_bytes=128)
    with pytest.raises(TooLarge):
        check_size("é" * 64 + "x", max_bytes=128)
    with pytest.raises(TooLarge):
        check_size("\ud800" * 43, max_bytes=128)


@given(st.text(max_size=40), st.integers(0, 120))
def test_the_size_is_that_of_utf_8(text: str, limit: int) -> None:
    fits = len(text.encode()) <= limit
    try:
        check_size(text, max_bytes=limit)
    except TooLarge:
        assert not fits
    else:
        assert fits
