"""The limits fit each other, and what ``ready`` states is theirs. tests/protocol holds the page to them."""

from dataclasses import fields

import msgspec

from messaging.domain import frames
from messaging.domain.limits import Limits

LIMITS = Limits()
#: What JSON makes of one byte of text at worst: ``\\u0001``.
ESCAPED = 6


def test_what_ready_states_are_limits() -> None:
    stated = {field.name for field in msgspec.structs.fields(frames.ServerLimits)}
    assert stated <= {field.name for field in fields(Limits)}


def test_every_limit_is_positive() -> None:
    #: Without a limit where they are 0.
    endless = {"edit_window_s"}
    assert {field.name for field in fields(Limits) if getattr(LIMITS, field.name) <= 0} == endless


def test_a_body_fits_a_frame_and_a_frame_the_socket() -> None:
    assert LIMITS.max_body_bytes < LIMITS.max_frame_bytes < LIMITS.max_socket_frame_bytes


def test_the_largest_message_and_the_largest_backfill_fit_an_outbox_however_they_are_spelt() -> None:
    media = LIMITS.max_media_refs * LIMITS.max_media_ref_chars * ESCAPED
    assert LIMITS.max_body_bytes * ESCAPED + media < LIMITS.max_outbox_bytes
    assert LIMITS.max_backfill_bytes >= LIMITS.max_body_bytes
    fields_of_a_message, fields_of_a_change = 500, 400
    fields_of_all = LIMITS.max_backfill * fields_of_a_message + LIMITS.max_backfill_changes * fields_of_a_change
    assert LIMITS.max_backfill_bytes * ESCAPED + fields_of_all < LIMITS.max_outbox_bytes


def test_a_ping_in_time_keeps_a_socket_alive_though_one_is_lost() -> None:
    assert 2 * LIMITS.heartbeat_s < LIMITS.idle_timeout_s


def test_a_device_comes_back_within_the_grace() -> None:
    assert LIMITS.auth_timeout_s < LIMITS.presence_grace_s
