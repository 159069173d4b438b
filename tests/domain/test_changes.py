"""Who may change what, and when: one table of cases."""

from dataclasses import replace
from typing import Any

import pytest

from messaging.domain.changes import check_change, check_pin, check_reaction
from messaging.domain.errors import ChatError, Conflict, Forbidden, InvalidInput, NotFound
from messaging.domain.ids import ConversationId, MessageId, UserId
from messaging.domain.limits import Limits
from messaging.domain.messages import MessageChangeKind, StoredMessage

EDIT, DELETE, REACT, PIN = KINDS = (
    MessageChangeKind.EDIT,
    MessageChangeKind.DELETE,
    MessageChangeKind.REACT,
    MessageChangeKind.PIN,
)
ANN, BOB = UserId(1), UserId(2)
TARGET = StoredMessage(ConversationId(3), MessageId(50), ANN, b"x" * 16, "hello")


def refusal(kind: MessageChangeKind, target: StoredMessage = TARGET, **given: Any) -> type[ChatError] | None:
    case: dict[str, Any] = {
        "actor": ANN,
        "joined_id": MessageId(0),
        "moderator": False,
        "direct": True,
        "body": "better",
        "age_ms": 1_000,
        "before": MessageId(60),
        "limits": Limits(),
    }
    try:
        check_change(kind, target, **(case | given))
    except ChatError as error:
        return type(error)
    return None


@pytest.mark.parametrize("kind", KINDS)
def test_ones_own_text_may_be_changed(kind: MessageChangeKind) -> None:
    assert refusal(kind) is None


def test_what_others_wrote_may_be_reacted_to_and_deleted_by_moderators() -> None:
    assert [refusal(kind, actor=BOB) for kind in KINDS] == [Forbidden, Forbidden, None, None]
    assert [refusal(kind, actor=BOB, moderator=True) for kind in KINDS] == [Forbidden, None, None, None]


def test_in_a_group_only_who_moderates_it_pins() -> None:
    for actor in (ANN, BOB):
        assert refusal(PIN, actor=actor, direct=False) is Forbidden
        assert refusal(PIN, actor=actor, direct=False, moderator=True) is None
        assert refusal(PIN, actor=actor, direct=True) is None


def test_pins_are_bounded() -> None:
    limits = Limits(max_pins=2)
    check_pin(MessageId(2), pinned={MessageId(1)}, limits=limits)
    check_pin(MessageId(2), pinned={MessageId(1), MessageId(2)}, limits=limits)
    with pytest.raises(Conflict):
        check_pin(MessageId(3), pinned={MessageId(1), MessageId(2)}, limits=limits)


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_seen_is_absent(kind: MessageChangeKind) -> None:
    assert refusal(kind, joined_id=MessageId(50)) is NotFound
    assert refusal(kind, joined_id=MessageId(49)) is None


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_is_nobodys_text(kind: MessageChangeKind) -> None:
    assert refusal(kind, replace(TARGET, kind="event")) is InvalidInput


@pytest.mark.parametrize("kind", KINDS)
def test_after_a_deletion_there_is_nothing_to_change(kind: MessageChangeKind) -> None:
    deleted = replace(TARGET, delete_id=MessageId(55))
    assert refusal(kind, deleted) is Conflict
    assert refusal(kind, deleted, before=None) is Conflict
    # A place in the log before the deletion, or that of the deletion itself.
    assert refusal(kind, deleted, before=MessageId(54)) is None
    assert refusal(kind, deleted, before=MessageId(55)) is None


def test_an_edit_leaves_something() -> None:
    assert refusal(EDIT, body=" \n") is InvalidInput
    assert refusal(EDIT, replace(TARGET, media=["a"]), body="") is None
    assert refusal(DELETE, body="") is None


def test_the_window_is_for_edits_only_and_ends() -> None:
    limits = Limits(edit_window_s=60)
    assert refusal(EDIT, limits=limits, age_ms=60_000) is None
    assert refusal(EDIT, limits=limits, age_ms=60_001) is Forbidden
    assert [refusal(kind, limits=limits, age_ms=10**9) for kind in (DELETE, REACT)] == [None, None]


def test_reactions_are_bounded_for_each_and_for_all() -> None:
    limits = Limits(max_reactions_per_user=2, max_reactions=3)
    check_reaction("c", mine={"a"}, all_emoji={"a", "b"}, limits=limits)
    check_reaction("b", mine={"a"}, all_emoji={"a", "b", "c"}, limits=limits)
    check_reaction("a", mine={"a", "b"}, all_emoji={"a", "b", "c"}, limits=limits)
    with pytest.raises(Conflict, match="you have put 2"):
        check_reaction("c", mine={"a", "b"}, all_emoji={"a", "b", "c"}, limits=limits)
    with pytest.raises(Conflict, match="this message has 3"):
        check_reaction("d", mine={"a"}, all_emoji={"a", "b", "c"}, limits=limits)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_withheld_may_only_be_deleted(kind: MessageChangeKind) -> None:
    withheld = replace(TARGET, withheld=True, takedown_id=MessageId(55))
    assert refusal(kind, withheld) is (None if kind is DELETE else Conflict)
    assert refusal(kind, withheld, before=None) is (None if kind is DELETE else Conflict)
    assert refusal(kind, withheld, before=MessageId(54)) is None, "at its place it was not withheld yet"
