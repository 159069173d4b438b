"""Identifiers: their layout, their order, and their one spelling on the wire."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from messaging.domain import ids
from messaging.domain.ids import (
    EPOCH_MS,
    MAX_ID,
    MAX_SUB,
    OFFSET_BITS,
    REPLAY_MARGIN_MS,
    InvalidId,
    MessageId,
    first_id_at,
    message_id_at,
    replay_start,
    timestamp_ms,
)

times = st.integers(EPOCH_MS, EPOCH_MS + (1 << 41) - 1)
offsets = st.integers(0, 1 << 62)
numbers = st.integers(1, MAX_ID)

WRAP = 1 << OFFSET_BITS


# --- layout ---------------------------------------------------------------------------------------


def test_the_layout_is_41_bits_of_time_5_of_sub_partition_and_17_of_offset() -> None:
    assert message_id_at(ts_ms=EPOCH_MS, sub=0, offset=1) == 1
    assert message_id_at(ts_ms=EPOCH_MS, sub=1, offset=0) == 1 << 17
    assert message_id_at(ts_ms=EPOCH_MS + 1, sub=0, offset=0) == 1 << 22
    assert message_id_at(ts_ms=EPOCH_MS + (1 << 41) - 1, sub=31, offset=WRAP - 1) == MAX_ID == (1 << 63) - 1


@given(times, st.integers(0, MAX_SUB), offsets)
def test_an_id_tells_its_time_and_fits_63_bits(ts_ms: int, sub: int, offset: int) -> None:
    message = message_id_at(ts_ms=ts_ms, sub=sub, offset=offset)
    assert timestamp_ms(message) == ts_ms
    assert 0 <= message <= MAX_ID
    assert message >> OFFSET_BITS & MAX_SUB == sub
    assert message & (WRAP - 1) == offset % WRAP


@pytest.mark.parametrize(
    ("ts_ms", "sub"), [(EPOCH_MS - 1, 0), (EPOCH_MS + (1 << 41), 0), (0, 0), (EPOCH_MS, -1), (EPOCH_MS, 32)]
)
def test_what_does_not_fit_is_refused(ts_ms: int, sub: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        message_id_at(ts_ms=ts_ms, sub=sub, offset=0)


# --- order ----------------------------------------------------------------------------------------


@given(
    st.integers(0, WRAP + 3),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=200),
)
@example(WRAP - 2, [(0, 0)] * 5)
def test_ids_rise_in_the_order_of_the_log(first_offset: int, steps: list[tuple[int, int]]) -> None:
    """The log's promise: time never falls, offsets rise, and where the offset's bits begin anew, time rises, too."""
    offset, ts_ms = first_offset, EPOCH_MS + 1_000
    before = message_id_at(ts_ms=ts_ms, sub=0, offset=offset)
    for later_ms, skipped in steps:
        wraps = (offset + 1 + skipped) // WRAP > offset // WRAP
        offset += 1 + skipped
        ts_ms += max(later_ms, int(wraps))
        message = message_id_at(ts_ms=ts_ms, sub=0, offset=offset)
        assert message > before
        before = message


def test_a_wrap_within_a_millisecond_would_turn_the_order_round() -> None:
    """Why the log has to see to it (messaging/adapters/embedded/log.py)."""
    last = message_id_at(ts_ms=EPOCH_MS, sub=0, offset=WRAP - 1)
    assert message_id_at(ts_ms=EPOCH_MS, sub=0, offset=WRAP) < last
    assert message_id_at(ts_ms=EPOCH_MS + 1, sub=0, offset=WRAP) > last


@given(times, offsets, times)
def test_the_first_id_of_a_moment_divides_before_from_after(ts_ms: int, offset: int, moment: int) -> None:
    message = message_id_at(ts_ms=ts_ms, sub=MAX_SUB, offset=offset)
    assert (message >= first_id_at(moment)) == (ts_ms >= moment)


def test_before_the_epoch_there_is_nothing() -> None:
    assert first_id_at(0) == first_id_at(EPOCH_MS) == 0


@given(times, offsets, st.integers(-6_000, 6_000), offsets)
@example(EPOCH_MS + 60_000, 5, -5_000, 0)
@example(EPOCH_MS + 60_000, 5, -5_001, WRAP - 1)
def test_a_replay_begins_five_seconds_before_the_mark(ts_ms: int, offset: int, later_ms: int, other: int) -> None:
    assume(EPOCH_MS <= ts_ms + later_ms < EPOCH_MS + (1 << 41))
    mark = message_id_at(ts_ms=ts_ms, sub=0, offset=offset)
    start = replay_start(mark)
    assert 0 <= start <= mark
    message = message_id_at(ts_ms=ts_ms + later_ms, sub=0, offset=other)
    # A replay leaves out ``start`` itself, one id of a whole millisecond's; the margin does not care.
    assert (message >= start) == (later_ms >= -REPLAY_MARGIN_MS)


def test_a_replay_for_an_old_mark_begins_at_the_beginning() -> None:
    assert replay_start(MessageId(5)) == 0
    assert REPLAY_MARGIN_MS == 5_000


# --- on the wire ----------------------------------------------------------------------------------

Parse = Callable[[str], Any]
KINDS: dict[str, tuple[Callable[[int], str], Parse]] = {
    "u_": (ids.user_ref, ids.parse_user),
    "c_": (ids.conversation_ref, ids.parse_conversation),
    "d_": (ids.device_ref, ids.parse_device),
    "m_": (lambda number: ids.server_id(number, 1), lambda text: ids.parse_server_id(text)[0]),
}
kinds = pytest.mark.parametrize("kind", KINDS)


@kinds
@given(number=numbers)
@example(number=1)
@example(number=MAX_ID)
def test_an_id_comes_back_from_its_spelling(kind: str, number: int) -> None:
    render, parse = KINDS[kind]
    text = render(number)
    assert text.startswith(kind)
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert parse(text) == number


@given(numbers, numbers)
def test_a_server_id_carries_the_conversation_and_the_message(conversation: int, message: int) -> None:
    assert ids.parse_server_id(ids.server_id(conversation, message)) == (conversation, message)


@kinds
@pytest.mark.parametrize("other", KINDS)
def test_an_id_of_another_kind_is_none(kind: str, other: str) -> None:
    text = KINDS[other][0](12345)
    if other == kind:
        assert KINDS[kind][1](text) == 12345
        return
    with pytest.raises(InvalidId):
        KINDS[kind][1](text)


def _spelt(prefix: str, raw: bytes) -> str:
    return prefix + base64.urlsafe_b64encode(raw).decode().rstrip("=")


@kinds
def test_zero_and_64_bits_are_no_ids(kind: str) -> None:
    rest = (1).to_bytes(8, "big") if kind == "m_" else b""
    for number in (0, 1 << 63, (1 << 64) - 1):
        for raw in (number.to_bytes(8, "big") + rest, rest + number.to_bytes(8, "big")):
            with pytest.raises(InvalidId):
                KINDS[kind][1](_spelt(kind, raw))


@kinds
def test_too_short_and_too_long_are_no_ids(kind: str) -> None:
    for size in (*range(8), *range(9, 16), 17, 24, 1_000):
        with pytest.raises(InvalidId):
            KINDS[kind][1](_spelt(kind, b"\x01" * size))


@kinds
def test_equal_ids_are_equal_strings(kind: str) -> None:
    """Base64 spells the same bytes in several ways; one of them is the id."""
    render, parse = KINDS[kind]
    good = render(0x3FBFFFFE)
    assert parse(good) == 0x3FBFFFFE
    last = good[-1]
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twins = [good[:-1] + letter for letter in letters if letter != last]
    twins = [twin for twin in twins if _bytes(twin) == _bytes(good)]
    assert twins, "the spare bits of the last letter"
    spellings = [good + "=", good + "==", good + "\n", good + " ", " " + good, good[:5] + "\n" + good[5:], good + "!"]
    spellings += [good.replace("-", "+").replace("_", "/"), good.upper(), kind + good, good.replace(kind, kind.upper())]
    for text in [*twins, *spellings]:
        if text != good:
            with pytest.raises(InvalidId):
                parse(text)


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text[2:] + "=" * (-len(text[2:]) % 4))


@kinds
@given(text=st.one_of(st.text(max_size=40), st.text("AQgw_-=", max_size=24)), prefixed=st.booleans())
def test_any_text_is_an_id_or_invalid(kind: str, text: str, prefixed: bool) -> None:
    render, parse = KINDS[kind]
    text = kind + text if prefixed else text
    try:
        number = parse(text)
    except InvalidId:
        return
    assert 0 < number <= MAX_ID
    assert kind == "m_" or render(number) == text


def test_an_invalid_id_does_not_repeat_what_it_was_given() -> None:
    with pytest.raises(InvalidId) as caught:
        ids.parse_user("u_secret-text")
    assert "secret" not in str(caught.value)


def test_random_ids_are_ids_and_differ() -> None:
    made = {ids.new_random_id() for _ in range(1_000)}
    assert len(made) == 1_000
    assert all(0 < number <= MAX_ID for number in made)


# --- sub-partitions -------------------------------------------------------------------------------


@given(times, st.integers(0, MAX_SUB), st.integers(0, MAX_SUB), offsets)
def test_an_id_tells_its_sub_partition(ts_ms: int, sub: int, other: int, offset: int) -> None:
    message = message_id_at(ts_ms=ts_ms, sub=sub, offset=offset)
    assert ids.sub_of(message) == sub
    assert ids.in_sub(message, other) == message_id_at(ts_ms=ts_ms, sub=other, offset=offset)


@given(numbers, st.integers(2, ids.MAX_HOT_K))
def test_who_writes_to_a_hot_conversation_writes_to_one_place_and_never_to_that_of_the_members(
    sender: int, k: int
) -> None:
    assert 1 <= ids.sub_for(sender, hot_k=k) <= k
    assert ids.sub_for(sender, hot_k=k) == ids.sub_for(sender, hot_k=k)
    assert ids.sub_for(sender, hot_k=1) == 0


def test_all_places_are_used() -> None:
    assert {ids.sub_for(sender, hot_k=8) for sender in range(1, 200)} == set(range(1, 9))


@given(numbers, st.integers(0, MAX_SUB))
def test_a_records_key_tells_conversation_and_sub_partition(conversation: int, sub: int) -> None:
    key = ids.record_key(conversation, sub)
    assert ids.parse_record_key(key) == (conversation, sub)
    assert (key == conversation.to_bytes(8, "big")) is (sub == 0)


@pytest.mark.parametrize(
    "key", [b"", bytes(8), b"\xff" * 8, b"1234567", b"12345678\x00", b"12345678\x20", b"12345678\x01\x01"]
)
def test_other_keys_are_no_keys(key: bytes) -> None:
    with pytest.raises(InvalidId):
        ids.parse_record_key(key)


marks = st.dictionaries(st.integers(0, MAX_SUB), st.integers(1 << 22, MAX_ID), min_size=1)


@given(numbers, marks)
def test_a_mark_comes_back_from_the_wire(conversation: int, found: dict[int, int]) -> None:
    mark = {sub: ids.in_sub(number, sub) for sub, number in found.items()}
    text = ids.mark_ref(conversation, mark)
    assert text is not None
    assert ids.parse_mark(text) == (conversation, mark)
    assert ("," in text) is (len(mark) > 1)


def test_a_mark_of_one_chain_is_an_id_and_of_none_nothing() -> None:
    assert ids.mark_ref(7, {0: MessageId(5)}) == ids.server_id(7, 5)
    assert ids.mark_ref(7, {}) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        ids.server_id(7, 5) + ",",
        ids.server_id(7, 5) + "," + ids.server_id(7, 6),
        ids.server_id(7, 5) + "," + ids.server_id(8, 1 << 17),
        ",".join(ids.server_id(7, 5) for _ in range(10_000)),
    ],
)
def test_other_texts_are_no_marks(text: str) -> None:
    with pytest.raises(InvalidId):
        ids.parse_mark(text)
