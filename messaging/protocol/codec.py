"""Bytes to frames and back, for both subprotocols (design section 5).

Any input gives a frame or one of the documented errors; nothing else escapes (``tests/protocol``
fuzzes this). JSON is decoded straight into the typed structs; Protobuf goes through the generated
messages, whose fields have the same names.
"""

from typing import Any, Final, Protocol

import msgspec
from google.protobuf.message import DecodeError as ProtobufDecodeError

from messaging.domain import frames
from messaging.domain.errors import BadFrame, TooLarge, UnknownOp
from messaging.protocol import chat_pb2

JSON_SUBPROTOCOL: Final = "chat.v1.json"
PROTOBUF_SUBPROTOCOL: Final = "chat.v1.protobuf"

_client_types: dict[str, type[msgspec.Struct]] = {
    str(cls.__struct_config__.tag): cls for cls in frames.ClientFrame.__args__
}
_server_types: dict[str, type[msgspec.Struct]] = {
    str(cls.__struct_config__.tag): cls for cls in frames.ServerFrame.__args__
}


class Codec(Protocol):
    """One subprotocol. Stateless; shared by all connections that speak it."""

    subprotocol: str
    #: Whether a frame is a text (True) or a binary (False) WebSocket message.
    is_text: bool

    def decode(self, data: bytes | str) -> frames.ClientFrame:
        """Return the client's frame. Raises BadFrame, UnknownOp."""

    def encode(self, frame: frames.ServerFrame) -> bytes:
        """Return the wire form of a server's frame; UTF-8 where ``is_text``."""


class _OpOnly(msgspec.Struct):
    op: str


class JsonCodec:
    """``chat.v1.json``: one JSON object per text message, ``op`` names the frame. Unknown fields are ignored."""

    subprotocol = JSON_SUBPROTOCOL
    is_text = True

    def __init__(self) -> None:
        self._decoder: msgspec.json.Decoder[frames.ClientFrame] = msgspec.json.Decoder(frames.ClientFrame)
        self._op = msgspec.json.Decoder(_OpOnly)
        self._encoder = msgspec.json.Encoder()

    def decode(self, data: bytes | str) -> frames.ClientFrame:
        """Return the client's frame. Raises BadFrame, UnknownOp."""
        try:
            return self._decoder.decode(data)
        except msgspec.ValidationError as error:
            raise self._explain(data, error) from None
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise BadFrame("the frame is not valid JSON") from None

    def _explain(self, data: bytes | str, error: msgspec.ValidationError) -> BadFrame:
        try:
            op = self._op.decode(data).op
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return BadFrame("the frame must be an object with a string field op")
        if op not in _client_types:
            return UnknownOp(f"unknown op {op[:40]!r}")
        return BadFrame(f"{op}: {error}")

    def encode(self, frame: frames.ServerFrame) -> bytes:
        """Return the frame as UTF-8 JSON."""
        return self._encoder.encode(frame)


_WIRE_NAMES: Final = {"sender": "from"}


def _fill(message: Any, value: msgspec.Struct) -> None:
    """Copy a struct into the Protobuf message of the same shape."""
    for field in value.__struct_fields__:
        item = getattr(value, field)
        if item is None:
            continue
        name = _WIRE_NAMES.get(field, field)
        if isinstance(item, msgspec.Struct):
            nested = getattr(message, name)
            nested.SetInParent()
            _fill(nested, item)
        elif isinstance(item, list):
            target = getattr(message, name)
            if item and isinstance(item[0], msgspec.Struct):
                for element in item:
                    added = target.add()
                    # One of several kinds is in a message whose oneof names the kind, as a frame is.
                    named = "op" in added.DESCRIPTOR.oneofs_by_name
                    nested = getattr(added, str(element.__struct_config__.tag)) if named else added
                    nested.SetInParent()
                    _fill(nested, element)
            else:
                target.extend(item)
        else:
            setattr(message, name, item)


class ProtobufCodec:
    """``chat.v1.protobuf``: one ``ClientFrame`` or ``ServerFrame`` per binary message."""

    subprotocol = PROTOBUF_SUBPROTOCOL
    is_text = False

    def decode(self, data: bytes | str) -> frames.ClientFrame:
        """Return the client's frame. Raises BadFrame, UnknownOp."""
        if isinstance(data, str):
            raise BadFrame("this subprotocol takes binary messages")
        message = chat_pb2.ClientFrame()
        try:
            message.ParseFromString(data)
        except ProtobufDecodeError:
            raise BadFrame("the frame is not a valid ClientFrame") from None
        op = message.WhichOneof("op")
        if op is None:
            raise UnknownOp("the frame has no op that this server knows")
        body = getattr(message, op)
        match op:
            case "auth":
                return frames.Auth(body.token)
            case "send":
                return frames.Send(
                    body.msg_id,
                    body.conv,
                    body.body,
                    list(body.media),
                    body.reply_to if body.HasField("reply_to") else None,
                    body.forwarded_from if body.HasField("forwarded_from") else None,
                    list(body.mentions),
                )
            case "edit":
                return frames.Edit(body.msg_id, body.server_id, body.body, list(body.mentions))
            case "delete":
                return frames.Delete(body.msg_id, body.server_id)
            case "react":
                return frames.React(body.msg_id, body.server_id, body.emoji, body.on)
            case "pin":
                return frames.Pin(body.msg_id, body.server_id, body.on)
            case "delivered":
                return frames.Delivered(body.server_id)
            case "read":
                return frames.Read(body.server_id)
            case "typing":
                return frames.Typing(body.conv)
            case "sync":
                return frames.Sync(dict(body.marks), body.keep, body.resume if body.HasField("resume") else None)
            case "presence":
                return frames.Presence(list(body.users))
            case _:
                return frames.Ping()

    def encode(self, frame: frames.ServerFrame) -> bytes:
        """Return the serialised ``ServerFrame``."""
        message = chat_pb2.ServerFrame()
        nested = getattr(message, str(frame.__struct_config__.tag))
        nested.SetInParent()
        _fill(nested, frame)
        encoded: bytes = message.SerializeToString()
        return encoded


JSON: Final[Codec] = JsonCodec()
PROTOBUF: Final[Codec] = ProtobufCodec()
BY_SUBPROTOCOL: Final[dict[str, Codec]] = {codec.subprotocol: codec for codec in (JSON, PROTOBUF)}


def check_size(data: bytes | str, *, max_bytes: int) -> None:
    """Pass a frame that is within the limit. Raises TooLarge."""
    size = len(data) if isinstance(data, bytes) or data.isascii() else len(data.encode("utf-8", "surrogatepass"))
    if size > max_bytes:
        raise TooLarge(f"the frame is {size} bytes; the limit is {max_bytes}")
