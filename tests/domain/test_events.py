"""What travels inside comes out as it went in; what nobody can read is poison and nothing else."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging.domain import events, ids
from messaging.domain.events import ConversationChanged, MessageSent, PodBatch, Poison, Receipt, ReceiptBatch
from tests.structs import values_of

Decode = Callable[[bytes], Any]
DECODERS: dict[str, Decode] = {
    "log event": events.decode_log_event,
    "receipts": events.decode_receipts,
    "push": events.decode_push,
    "batch": events.decode_batch,
}
decoders = pytest.mark.parametrize("decode", DECODERS.values(), ids=DECODERS.keys())


@pytest.mark.parametrize("kind", get_args(events.LogEvent))
@given(data=st.data())
def test_a_log_event_comes_back(kind: type, data: st.DataObject) -> None:
    event = data.draw(values_of(kind))
    assert events.decode_log_event(events.encode(event)) == event


@pytest.mark.parametrize("kind", get_args(events.PushEvent))
@given(data=st.data())
def test_a_push_event_comes_back(kind: type, data: st.DataObject) -> None:
    event = data.draw(values_of(kind))
    assert events.decode_push(events.encode(event)) == event


@given(values_of(ReceiptBatch))
def test_receipts_come_back(batch: ReceiptBatch) -> None:
    assert events.decode_receipts(events.encode(batch)) == batch


@pytest.mark.parametrize("kind", get_args(events.PodEvent))
@given(data=st.data())
def test_a_pod_event_comes_back(kind: type, data: st.DataObject) -> None:
    batch = PodBatch(data.draw(st.lists(values_of(kind), min_size=1, max_size=3)))
    assert events.decode_batch(events.encode(batch)) == batch


def test_events_of_one_log_and_of_one_batch_have_names_of_their_own() -> None:
    for union in (events.LogEvent, events.PushEvent, events.PodEvent):
        tags = [kind.__struct_config__.tag for kind in get_args(union)]
        assert len(set(tags)) == len(tags)


@decoders
@given(noise=st.binary(max_size=60))
def test_noise_is_poison(decode: Decode, noise: bytes) -> None:
    with suppress(Poison):
        decode(noise)


GOOD = MessageSent(ids.UserId(1), b"x" * 16, "hello")


@given(st.binary(min_size=1, max_size=4), st.integers(0, 60))
def test_a_damaged_event_is_poison_or_another_event(damage: bytes, at: int) -> None:
    payload = bytearray(events.encode(GOOD))
    payload[at : at + len(damage)] = damage
    try:
        event = events.decode_log_event(bytes(payload))
    except Poison:
        return
    assert isinstance(event, MessageSent | ConversationChanged)


def _raw(**fields: Any) -> bytes:
    return msgspec.msgpack.encode({"t": "m", "sender": 1, "client_msg_id": b"x" * 16, "body": "hello"} | fields)


POISON = {
    "nothing": b"",
    "cut": events.encode(GOOD)[:-1],
    "more": events.encode(GOOD) + b"\x00",
    "JSON": msgspec.json.encode(GOOD),
    "a list": msgspec.msgpack.encode([1]),
    "another tag": _raw(t="x"),
    "no tag": msgspec.msgpack.encode({"sender": 1}),
    "no body": msgspec.msgpack.encode({"t": "m", "sender": 1, "client_msg_id": b"x" * 16}),
    "a body that is no text": _raw(body=5),
    "a body that is not UTF-8": _raw(body="hello").replace(b"hello", b"hell\xff"),
    "nobody": _raw(sender=0),
    "a sender below zero": _raw(sender=-1),
    "a sender of 64 bits": _raw(sender=1 << 63),
    "a UUID too short": _raw(client_msg_id=b"x" * 15),
    "a UUID too long": _raw(client_msg_id=b"x" * 17),
    "a reply to nothing": _raw(reply_to=0),
    "a reply of 64 bits": _raw(reply_to=1 << 63),
    "a thousand lists": _raw(x=0).replace(b"\xa1x\x00", b"\xa1x" + b"\x91" * 100_000 + b"\x00"),
    "an unknown change": _raw(t="c", actor=1, change="burnt"),
    "a change of nobody": _raw(t="c", actor=1, change="created", users=[0]),
}


def test_the_frame_of_the_poison_is_good() -> None:
    assert events.decode_log_event(_raw()) == GOOD
    assert events.decode_log_event(_raw(t="c", actor=1, change="created", users=[1]))


@pytest.mark.parametrize("payload", POISON.values(), ids=POISON.keys())
def test_what_no_store_could_hold_is_poison(payload: bytes) -> None:
    with pytest.raises(Poison):
        events.decode_log_event(payload)


@pytest.mark.parametrize("place", range(1, 6))
@pytest.mark.parametrize("number", [-1, 1 << 63])
def test_a_receipt_that_no_store_could_hold_is_poison(place: int, number: int) -> None:
    receipt: list[Any] = ["read", 1, 1, 1, 0, 0]
    assert events.decode_receipts(msgspec.msgpack.encode([[receipt]])) == ReceiptBatch([Receipt(*receipt)])
    receipt[place] = number
    with pytest.raises(Poison):
        events.decode_receipts(msgspec.msgpack.encode([[receipt]]))
