"""The judge finds each way of being wrong, and passes what is right."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from clients.python.chat_client.timeline import Change, Message
from messaging.domain import ids
from tests.client import Acked, Outgoing, Written
from tests.history import Evidence, Kind, View, Violation, stays, violations

CONV = "c_talk"


def mid(number: int) -> str:
    """Return the id of a message."""
    return ids.server_id(1, 1_000 + number)


def event(number: int, kind: str, *users: str) -> Message:
    return message(number, kind="event", event=kind, users=users)


def message(number: int, sender: str = "ann", **fields: object) -> Message:
    prev = None if number == 0 else mid(number - 1)
    return replace(Message(mid(number), CONV, sender, f"text {number}", prev, ts=number), **fields)  # type: ignore[arg-type]


def sent(number: int, sender: str = "ann", *, at: float | None = None, over: str = "phone/1") -> Outgoing:
    """Return what wrote ``message(number)``: written at ``at`` (by default one after the other) and acked 0.5 later."""
    at = float(number) if at is None else at
    written, acked = [Written(over, at)], [Acked(mid(number), at + 0.5)]
    return Outgoing(f"uuid {number}", CONV, sender, f"text {number}", written, acked)


HISTORY = [event(0, "created", "ann", "bob"), message(1), message(2, "bob"), message(3)]
SENT = [sent(1), sent(2, "bob", over="tablet/1"), sent(3)]


def kinds(
    history: Sequence[Message] = HISTORY, outgoing: Sequence[Outgoing] = SENT, *, shown: Sequence[Message] | None = None
) -> set[Kind]:
    """Return the kinds of what is wrong, where bob's device shows ``shown`` (all, where nothing else is said)."""
    view = View("bob's", "bob", CONV, history if shown is None else shown)
    return {it.kind for it in violations(Evidence(outgoing, {CONV: history}, [view]))}


def chained(messages: Sequence[Message]) -> list[Message]:
    """Return the messages with the ``prev`` of their present order."""
    before = [None, *(it.server_id for it in messages)]
    return [replace(it, prev=prev) for it, prev in zip(messages, before, strict=False)]


def test_what_is_right_passes() -> None:
    assert kinds() == set()


def test_an_acked_message_that_is_nowhere_is_lost() -> None:
    assert kinds(chained([HISTORY[0], *HISTORY[2:]])) == {Kind.LOST}


def test_what_was_not_acked_may_be_there_or_not() -> None:
    silent = [replace(SENT[0], acks=[]), *SENT[1:]]
    assert kinds(outgoing=silent) == set()
    assert kinds(chained([HISTORY[0], *HISTORY[2:]]), silent) == set()


def test_a_message_that_a_device_lacks_is_lost_there() -> None:
    found = violations(Evidence(SENT, {CONV: HISTORY}, [View("bob's", "bob", CONV, [*HISTORY[:2], HISTORY[3]])]))
    assert found == [Violation(Kind.LOST, f"bob's in {CONV}", mid(2))]
    assert str(found[0]) == f"bob's in {CONV}: lost: {mid(2)}"


def test_a_second_copy_is_one_too_many() -> None:
    copy = replace(HISTORY[1], server_id=mid(9))
    assert kinds(chained([*HISTORY, copy])) == {Kind.DUPLICATED}
    assert kinds(shown=[*HISTORY, HISTORY[3]]) == {Kind.DUPLICATED}


def test_a_place_that_is_taken_twice_is_one_too_many() -> None:
    assert Kind.DUPLICATED in kinds([*HISTORY, HISTORY[3]])


def test_what_was_written_after_an_ack_stands_after_it_whoever_wrote_them() -> None:
    assert kinds(chained([HISTORY[0], HISTORY[2], HISTORY[1], HISTORY[3]])) == {Kind.OUT_OF_ORDER}
    together = [sent(1), sent(2, "bob", at=1.2, over="tablet/1"), sent(3)]
    assert kinds(chained([HISTORY[0], HISTORY[2], HISTORY[1], HISTORY[3]]), together) == set()


def test_what_one_connection_wrote_once_stands_as_it_was_written() -> None:
    pipelined = [sent(1, at=1.0), sent(2, "bob", at=1.05, over="tablet/1"), sent(3, at=1.1)]
    swapped = chained([HISTORY[0], HISTORY[3], HISTORY[1], HISTORY[2]])
    assert kinds(outgoing=pipelined) == set()
    assert kinds(swapped, pipelined) == {Kind.OUT_OF_ORDER}
    again = [replace(pipelined[0], written=[*pipelined[0].written, Written("phone/2", 1.2)]), *pipelined[1:]]
    assert kinds(swapped, again) == set(), "what was written twice may stand at either place"
    elsewhere = [*pipelined[:2], sent(3, at=1.1, over="laptop/1")]
    assert kinds(swapped, elsewhere) == set()
    unordered = Evidence(pipelined, {CONV: swapped}, pipelined=False)
    assert violations(unordered) == []


def test_a_device_has_the_order_of_the_history() -> None:
    assert kinds(shown=[HISTORY[0], HISTORY[2], HISTORY[1], HISTORY[3]]) == {Kind.OUT_OF_ORDER}


def test_what_nobody_sent_is_invented() -> None:
    assert kinds(outgoing=SENT[:2]) == {Kind.INVENTED}
    assert kinds(shown=[*HISTORY, message(9)]) == {Kind.INVENTED}


def test_what_was_changed_on_the_way_is_invented() -> None:
    assert kinds([*HISTORY[:3], replace(HISTORY[3], body="other")]) == {Kind.INVENTED}
    assert kinds(shown=[*HISTORY[:3], replace(HISTORY[3], sender="bob")]) == {Kind.INVENTED}


def test_a_broken_chain_is_seen() -> None:
    assert kinds([*HISTORY[:3], replace(HISTORY[3], prev=mid(1))]) == {Kind.BROKEN_CHAIN}
    assert kinds([replace(HISTORY[0], prev=mid(99)), *HISTORY[1:]]) == {Kind.BROKEN_CHAIN}


#: Bob goes after the third message and comes back before the sixth.
COMING_AND_GOING = [
    *HISTORY[:3],
    event(3, "member_removed", "bob"),
    message(4),
    event(5, "member_added", "bob"),
    message(6),
]
SENT_MEANWHILE = [*SENT[:2], sent(4), sent(6)]


def test_a_stay_is_from_the_event_that_begins_it_to_the_one_that_ends_it() -> None:
    found = {user: [[it.ts for it in stay] for stay in its] for user, its in stays(COMING_AND_GOING).items()}
    assert found == {"ann": [[0, 1, 2, 3, 4, 5, 6]], "bob": [[0, 1, 2, 3], [5, 6]]}


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ([0, 1, 2, 3, 5, 6], set()),
        ([5, 6], set()),
        ([0, 5, 6], set()),
        ([0, 1, 2, 3], {Kind.LOST}),
        ([0, 1, 2, 3, 4, 5, 6], {Kind.NOT_FOR_THIS_USER}),
    ],
)
def test_who_was_away_gets_nothing_of_that_time(shown: list[int], expected: set[Kind]) -> None:
    assert kinds(COMING_AND_GOING, SENT_MEANWHILE, shown=[COMING_AND_GOING[it] for it in shown]) == expected


def test_a_stranger_gets_nothing_at_all() -> None:
    view = View("eve's", "eve", CONV, HISTORY[1:2])
    assert [it.kind for it in violations(Evidence(SENT, {CONV: HISTORY}, [view]))] == [Kind.NOT_FOR_THIS_USER]
    nothing = View("eve's", "eve", CONV, [])
    assert violations(Evidence(SENT, {CONV: HISTORY}, [nothing])) == []


def test_a_part_is_enough_where_no_more_is_asked() -> None:
    view = View("bob's", "bob", CONV, HISTORY[1:2], whole=False)
    assert violations(Evidence(SENT, {CONV: HISTORY}, [view])) == []


@pytest.mark.parametrize("sender", ["eve", "bob"])
def test_only_members_write(sender: str) -> None:
    history = [*HISTORY[:3], event(3, "member_left", "bob"), message(4, sender)]
    outgoing = [*SENT[:2], sent(4, sender, over="other/1")]
    assert kinds(history, outgoing, shown=history[:4]) == {Kind.NOT_A_MEMBER}


def test_between_two_stays_it_is_open_whether_a_message_counts() -> None:
    history = [*COMING_AND_GOING[:4], message(4, "bob"), *COMING_AND_GOING[5:]]
    outgoing = [*SENT[:2], sent(4, "bob", over="tablet/1"), sent(6)]
    without = chained([it for it in history if it.server_id != mid(4)])
    seen = [it for it in without if it.server_id != mid(4)]
    assert kinds(history, outgoing, shown=[history[it] for it in (0, 1, 2, 3, 5, 6)]) == set()
    assert kinds(without, outgoing, shown=seen) == {Kind.LOST}
    assert violations(Evidence(outgoing, {CONV: without}, excused=frozenset({mid(4)}))) == []


def test_the_last_ack_counts() -> None:
    outgoing = [replace(SENT[0], acks=[Acked(mid(8), 1.1), *SENT[0].acks]), *SENT[1:]]
    assert kinds(outgoing=outgoing) == set()
    outgoing = [replace(SENT[0], acks=[*SENT[0].acks, Acked(mid(8), 1.9)]), *SENT[1:]]
    assert kinds(outgoing=outgoing) == {Kind.LOST}


# --- changes --------------------------------------------------------------------------------------


def ref(number: int) -> str:
    return ids.server_id(1, number)


def made(number: int, op: str, target: str = mid(1), sender: str = "ann", **said: object) -> Outgoing:
    """Return a change that was acked at a place of the log."""
    change = Outgoing(f"change {number}", CONV, sender, op=op, target=target, acks=[Acked(ref(number), 9.0)])
    return replace(change, **said)  # type: ignore[arg-type]


def changed_kinds(changes: Sequence[Outgoing], excused: frozenset[str] = frozenset(), **fields: object) -> set[Kind]:
    """Return what is wrong where the second message of the history has these fields, and everybody shows it so."""
    history = [HISTORY[0], replace(HISTORY[1], **fields), *HISTORY[2:]]  # type: ignore[arg-type]
    view = View("bob's", "bob", CONV, history)
    return {it.kind for it in violations(Evidence(SENT, {CONV: history}, [view], excused, changed=changes))}


EDITS = [made(7, "edit", body="second"), made(5, "edit", body="first")]


def test_the_newest_edit_counts() -> None:
    assert changed_kinds(EDITS, body="second", edited_at=7) == set()
    assert changed_kinds(EDITS, body="first", edited_at=5) == {Kind.NOT_AS_CHANGED}
    assert changed_kinds(EDITS) == {Kind.NOT_AS_CHANGED}, "an acked edit is not lost"
    assert changed_kinds([], body="second", edited_at=7) == {Kind.NOT_AS_CHANGED}, "and none is invented"


def test_what_was_refused_or_is_excused_counts_not_and_what_is_open_may() -> None:
    refused = [replace(EDITS[0], refusal={"code": "conflict"}), EDITS[1]]
    assert changed_kinds(refused, body="first", edited_at=5) == set()
    assert changed_kinds(EDITS, frozenset({ref(7)}), body="first", edited_at=5) == set()
    silent = [replace(EDITS[0], acks=[]), EDITS[1]]
    assert (
        changed_kinds(silent, body="first", edited_at=5) == changed_kinds(silent, body="second", edited_at=7) == set()
    )


def test_after_a_deletion_nothing_counts() -> None:
    changes = [made(6, "delete"), *EDITS, made(8, "react", emoji="👍", on=True)]
    assert changed_kinds(changes, body="", deleted=True) == set()
    assert changed_kinds(changes, body="second", edited_at=7) == {Kind.NOT_AS_CHANGED}
    assert changed_kinds(changes, body="second", deleted=True) == {Kind.NOT_AS_CHANGED}


def test_reactions_are_recounted() -> None:
    changes = [
        made(5, "react", emoji="👍", on=True),
        made(6, "react", sender="bob", emoji="👍", on=True),
        made(7, "react", emoji="👍"),
        made(8, "react", sender="bob", emoji="🎉", on=True),
    ]
    assert changed_kinds(changes, reactions=(("🎉", 1), ("👍", 1))) == set()
    assert changed_kinds(changes, reactions=(("🎉", 1), ("👍", 2))) == {Kind.NOT_AS_CHANGED}


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param({"body": "second", "edited_at": 7}, id="an edit that never came"),
        pytest.param({"body": "", "deleted": True}, id="a deleted text"),
        pytest.param({"reactions": (("👍", 1),)}, id="no reaction"),
    ],
)
def test_a_device_shows_what_the_history_shows(stored: dict[str, object]) -> None:
    history = [HISTORY[0], replace(HISTORY[1], **stored), *HISTORY[2:]]  # type: ignore[arg-type]
    changes = {
        "edited_at": made(7, "edit", body="second"),
        "deleted": made(7, "delete"),
        "reactions": made(7, "react", emoji="👍", on=True),
    }
    changed = [changes[it] for it in stored if it in changes]
    right, wrong = View("bob's", "bob", CONV, history), View("bob's", "bob", CONV, HISTORY)
    assert violations(Evidence(SENT, {CONV: history}, [right], changed=changed)) == []
    found = violations(Evidence(SENT, {CONV: history}, [wrong], changed=changed))
    assert found == [Violation(Kind.NOT_AS_CHANGED, f"bob's in {CONV}", mid(1))]
    left = replace(wrong, whole=False)
    assert violations(Evidence(SENT, {CONV: history}, [left], changed=changed)) == []


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        pytest.param(made(7, "edit", sender="bob", body="bob's"), {"body": "bob's", "edited_at": 7}, id="edit"),
        pytest.param(made(7, "delete", sender="bob"), {"body": "", "deleted": True}, id="delete"),
        pytest.param(made(7, "react", sender="eve", emoji="👍", on=True), {"reactions": (("👍", 1),)}, id="react"),
    ],
)
def test_who_has_no_right_changes_nothing(change: Outgoing, fields: dict[str, object]) -> None:
    assert changed_kinds([change], **fields) == {Kind.NO_RIGHT, Kind.NOT_AS_CHANGED}
    assert changed_kinds([change]) == {Kind.NO_RIGHT}, "an ack is too much already"
    assert changed_kinds([replace(change, acks=[], refusal={"code": "forbidden"})]) == set()


def test_a_moderator_deletes_what_others_wrote_and_edits_it_not() -> None:
    def found(change: Outgoing, **fields: object) -> set[Kind]:
        history = [HISTORY[0], replace(HISTORY[1], **fields), *HISTORY[2:]]  # type: ignore[arg-type]
        evidence = Evidence(SENT, {CONV: history}, changed=[change], moderators={CONV: {"bob"}})
        return {it.kind for it in violations(evidence)}

    assert found(made(7, "delete", sender="bob"), body="", deleted=True) == set()
    assert found(made(7, "edit", sender="bob", body="bob's")) == {Kind.NO_RIGHT}


def test_what_tells_of_an_event_is_not_to_be_changed() -> None:
    reaction = made(7, "react", mid(0), emoji="👍", on=True)
    assert Kind.NO_RIGHT in {it.kind for it in violations(Evidence(SENT, {CONV: HISTORY}, changed=[reaction]))}


def test_a_change_that_is_told_of_was_made() -> None:
    history = [HISTORY[0], replace(HISTORY[1], body="second", edited_at=7), *HISTORY[2:]]
    told = Change(ref(7), CONV, "edit", target=mid(1), sender="ann", body="second")
    changes = [made(7, "edit", body="second")]
    assert violations(Evidence(SENT, {CONV: history}, changed=changes, told={ref(7): told})) == []
    for other in (replace(told, sender="bob"), replace(told, body="third"), replace(told, target=mid(2))):
        found = violations(Evidence(SENT, {CONV: history}, changed=changes, told={ref(7): other}))
        assert [it.kind for it in found] == [Kind.INVENTED]


def test_changes_are_links_of_the_chain() -> None:
    history = [*HISTORY[:3], replace(HISTORY[3], prev=ref(8))]
    off = Change(ref(7), CONV, "react", mid(2), target=mid(1), sender="ann", emoji="👍")
    told = {ref(8): Change(ref(8), CONV, "link", ref(7)), ref(7): off}
    changes = [made(7, "react", emoji="👍"), made(8, "react", emoji="👍")]
    assert violations(Evidence(SENT, {CONV: history}, changed=changes, told=told)) == []
    astray = told | {ref(7): replace(off, prev=mid(1))}
    assert [it.kind for it in violations(Evidence(SENT, {CONV: history}, changed=changes, told=astray))] == [
        Kind.BROKEN_CHAIN
    ]


# --- a hot conversation: an order in each chain -------------------------------------------------------------


def hot(number: int, chain: int, before: int | None, sender: str = "ann") -> Message:
    """Return a message of a chain, after the ``before``-th of all."""

    def place(number: int) -> str:
        return ids.server_id(1, number << ids.TIME_SHIFT | chain << ids.OFFSET_BITS)

    prev = None if before is None else place(before)
    return replace(message(number, sender), server_id=place(number), prev=prev)


#: Bob writes to one chain, Ann to two: what she writes went to another from her second message on.
SPREAD = [
    replace(hot(1, 0, None), kind="event", event="created", users=("ann", "bob")),
    hot(2, 3, None, "bob"),
    hot(3, 4, None),
    hot(4, 3, 2, "bob"),
    hot(5, 6, None),
    hot(6, 6, 5),
]


def from_spread(number: int, *, at: float) -> Outgoing:
    stored = SPREAD[number - 1]
    over = f"{stored.sender}'s/1"
    written = [Written(over, at)]
    return Outgoing(f"uuid {number}", CONV, stored.sender, stored.body, written, [Acked(stored.server_id, at + 0.5)])


def test_chains_are_in_order_each_by_itself() -> None:
    outgoing = [from_spread(number, at=float(number)) for number in (2, 3, 4, 5, 6)]
    assert kinds(SPREAD, outgoing) == set()
    # Written after the ack of a later one: of another chain it may be, of its own not.
    outgoing = [from_spread(number, at=at) for number, at in ((2, 9.0), (3, 9.0), (4, 10.0), (5, 1.0), (6, 2.0))]
    assert kinds(SPREAD, outgoing) == set()
    outgoing = [from_spread(number, at=at) for number, at in ((2, 2.0), (3, 3.0), (4, 4.0), (5, 6.0), (6, 5.0))]
    assert kinds(SPREAD, outgoing) == {Kind.OUT_OF_ORDER}


def test_prev_is_of_the_same_chain() -> None:
    outgoing = [from_spread(number, at=float(number)) for number in (2, 3, 4, 5, 6)]
    across = [*SPREAD[:3], replace(SPREAD[3], prev=SPREAD[2].server_id), *SPREAD[4:]]
    assert kinds(across, outgoing) == {Kind.BROKEN_CHAIN}
    begun = [*SPREAD[:4], replace(SPREAD[4], prev=SPREAD[3].server_id), SPREAD[5]]
    assert kinds(begun, outgoing) == {Kind.BROKEN_CHAIN}


def test_a_device_shows_chains_merged_by_id() -> None:
    outgoing = [from_spread(number, at=float(number)) for number in (2, 3, 4, 5, 6)]
    assert kinds(SPREAD, outgoing, shown=[*SPREAD[:2], SPREAD[3], SPREAD[2], *SPREAD[4:]]) == {Kind.OUT_OF_ORDER}
