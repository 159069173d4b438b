"""The router's decisions: order, copies, strangers, changes at their place, poison, and reading again."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError, connection

from chatproject import container
from messaging.domain import events, frames, ids
from messaging.domain.events import MessageSent
from messaging.domain.ids import MessageId, UserId
from messaging.domain.messages import Role
from messaging.ports import Record
from messaging.router.apply import Applied
from messaging.selectors import history
from tests.router.conftest import Apply, Talk, ended, everybody, frames_for, id_of, ref_of

pytestmark = pytest.mark.django_db
Restart = Callable[[], Apply]


def bodies(talk: Talk) -> list[str]:
    return [row.body for row in talk.stored() if row.kind == "text"]


def prevs(rows: Sequence[Any]) -> list[MessageId | None]:
    return [row.prev_id for row in rows]


# --- messages -------------------------------------------------------------------------------------


def test_a_message_is_stored_and_goes_to_every_member(apply: Apply, group: Talk) -> None:
    ann, bob, cat = group.people
    msg_id = uuid4()
    record = group.said(ann, "héllo", msg_id=msg_id, media=["a/b"], reply_to=MessageId(5))
    applied = apply(record)
    [row] = group.stored()
    assert (row.message_id, row.sender_id, row.body, row.media, row.reply_to, row.prev_id, row.kind) == (
        id_of(record), ann, "héllo", ["a/b"], 5, None, "text",
    )  # fmt: skip
    [deliver] = applied.deliveries
    assert set(deliver.users) == {ann, bob, cat}
    assert not deliver.ephemeral
    wanted = frames.Msg(
        server_id=ref_of(group, record),
        conv=ids.conversation_ref(group.id),
        sender=ids.user_ref(ann),
        ts=record.ts_ms,
        body="héllo",
        media=["a/b"],
        reply_to=ids.server_id(group.id, 5),
    )
    assert frames_for(applied, bob) == frames_for(applied, cat) == [wanted]
    [mine] = frames_for(applied, ann)
    assert mine.msg_id == str(msg_id), "only the author's devices know it by this name"
    assert applied.authors == [(group.id, id_of(record), ann)]
    assert applied.poison == []


def test_each_message_names_the_one_before_it(apply: Apply, restart: Restart, group: Talk, dm: Talk) -> None:
    ann, dan = group.people[0], dm.people[0]
    records = [group.said(ann), dm.said(dan), group.said(ann), dm.said(dan), group.said(ann)]
    applied = apply(*records[:3])
    applied.deliveries += apply(records[3]).deliveries
    # A router that has just started reads where the chain stands.
    applied.deliveries += restart()(records[4]).deliveries
    in_group, in_dm = [records[i] for i in (0, 2, 4)], [records[i] for i in (1, 3)]
    assert prevs(group.stored()) == [None, *map(id_of, in_group[:-1])]
    assert prevs(dm.stored()) == [None, *map(id_of, in_dm[:-1])]
    assert [frame.prev for frame in frames_for(applied, ann)] == [None, *(ref_of(group, it) for it in in_group[:-1])]
    assert [frame.prev for frame in frames_for(applied, dan)] == [None, *(ref_of(dm, it) for it in in_dm[:-1])]


def test_a_change_stands_in_the_chain_like_a_message(apply: Apply, group: Talk) -> None:
    ann = group.people[0]
    records = [group.said(ann), group.changed(ann, "renamed", name="Tea"), group.said(ann)]
    apply(*records)
    assert prevs(group.stored()) == [None, id_of(records[0]), id_of(records[1])]


def test_a_group_that_grows_large_goes_on(apply: Apply, group: Talk) -> None:
    ann = group.people[0]
    small = apply(group.said(ann))
    strangers = [UserId(number) for number in range(1, 101)]
    container.conversation_store().add_members(
        group.id, strangers, role=Role.MEMBER, limit=5_000, at=id_of(group.said(group.people[0]))
    )
    large = apply(group.changed(ann, "member_added", *strangers[:5]), group.said(ann, "to all"))
    assert len(large.deliveries[-1].users) == 103
    assert bodies(group)[-1] == "to all"
    # Their receipts are not to come all at once.
    spread = [applied.deliveries[-1].frame.spread_ms for applied in (small, large)]  # type: ignore[union-attr]
    assert spread == [None, container.limits().receipt_spread_ms]


# --- copies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["in one poll", "in the next poll", "after a restart"])
def test_a_later_copy_is_dropped_and_its_sender_told_the_first_id(restart: Restart, group: Talk, how: str) -> None:
    ann, bob, _ = group.people
    msg_id = uuid4()
    first, between, copy, after = (
        group.said(ann, "once", msg_id=msg_id),
        group.said(bob, "between"),
        group.said(ann, "twice", msg_id=msg_id),
        group.said(bob, "after"),
    )
    apply = restart()
    if how == "in one poll":
        applied = apply(first, between, copy, after)
    else:
        before = apply(first, between)
        applied = (restart() if how == "after a restart" else apply)(copy, after)
        applied.deliveries[:0] = before.deliveries
    assert bodies(group) == ["once", "between", "after"]
    acks = [event for event in applied.deliveries if isinstance(event.frame, frames.Ack)]
    [ack] = acks
    assert ack.users == [ann]
    assert ack.frame == frames.Ack(str(msg_id), ref_of(group, first), first.ts_ms)
    assert [frame.body for frame in frames_for(applied, bob)] == ["once", "between", "after"]
    assert prevs(group.stored()) == [None, id_of(first), id_of(between)]


def test_the_same_uuid_of_another_sender_or_in_another_conversation_is_another_message(
    apply: Apply, group: Talk, make_user: Any, make_dm: Any
) -> None:
    ann, bob, _ = group.people
    msg_id = uuid4()
    other = Talk(group_dm := make_dm(*_users(ann, bob)), *_users(ann, bob))
    assert group_dm.id != group.id
    applied = apply(
        group.said(ann, "a", msg_id=msg_id), group.said(bob, "b", msg_id=msg_id), other.said(ann, "c", msg_id=msg_id)
    )
    assert bodies(group) == ["a", "b"]
    assert bodies(other) == ["c"]
    assert not [event for event in applied.deliveries if isinstance(event.frame, frames.Ack)]


def _users(*numbers: UserId) -> list[Any]:
    from accounts.models import User

    return [User.objects.get(pk=number) for number in numbers]


# --- strangers ------------------------------------------------------------------------------------


def _refused(applied: Applied, user: UserId) -> list[str | None]:
    """Return the msg_ids of the refusals, after holding them to go to ``user`` alone."""
    refusals = [event for event in applied.deliveries if isinstance(event.frame, frames.Error)]
    assert all(event.users == [user] and event.frame.code == "forbidden" for event in refusals)
    return [event.frame.msg_id for event in refusals]


def test_a_strangers_message_is_refused_and_leaves_no_trace(apply: Apply, group: Talk, dm: Talk) -> None:
    ann, dan = group.people[0], dm.people[0]
    msg_id = uuid4()
    first, strange, last = group.said(ann), group.said(dan, "let me in", msg_id=msg_id), group.said(ann)
    applied = apply(first, strange, last)
    assert _refused(applied, dan) == [str(msg_id)]
    assert [row.message_id for row in group.stored()] == [id_of(first), id_of(last)]
    assert prevs(group.stored()) == [None, id_of(first)]
    assert len(frames_for(applied, ann)) == 2
    assert applied.authors == [(group.id, id_of(first), ann), (group.id, id_of(last), ann)]


def test_a_message_to_nowhere_is_refused(apply: Apply, group: Talk) -> None:
    ann = group.people[0]
    msg_id = uuid4()
    payload = events.encode(MessageSent(ann, msg_id.bytes, "hello"))
    assert _refused(apply(group.record(payload, key=(5).to_bytes(8, "big"))), ann) == [str(msg_id)]


# --- changes at their place -----------------------------------------------------------------------


def test_a_membership_ends_at_its_record(apply: Apply, group: Talk) -> None:
    ann, bob, cat = group.people
    before, leaves, after = (
        group.said(ann, "before"),
        group.changed(ann, "member_removed", bob),
        group.said(ann, "after"),
    )
    late = group.said(bob, "still here?")
    applied = apply(before, leaves, after, late)
    assert everybody(group.id) == {ann, cat}
    place = container.conversation_store().membership(bob, group.id)
    assert place is not None
    assert place.left_id == id_of(leaves)
    seen = frames_for(applied, bob)
    assert [type(frame) for frame in seen] == [frames.Msg, frames.Conv, frames.Msg, frames.Error]
    assert seen[0].body == "before"
    assert (seen[1].change, seen[1].by) == ("removed", ids.user_ref(ann))
    assert seen[2].event == frames.Event("member_removed", [ids.user_ref(bob)])
    assert bodies(group) == ["before", "after"]
    assert [frame.change for frame in frames_for(applied, cat) if isinstance(frame, frames.Conv)] == ["members"]


@pytest.mark.parametrize("polls", [1, 2])
def test_what_was_said_before_a_removal_counts_though_the_removal_is_stored_already(
    restart: Restart, group: Talk, polls: int
) -> None:
    """The service ends the membership as soon as its record is in the log; the router may be behind."""
    ann, bob, cat = group.people
    said, leaves, late = (
        group.said(bob, "my last words"),
        group.changed(ann, "member_removed", bob),
        group.said(bob, "one more"),
    )
    ended(group, [bob], leaves)
    apply = restart()
    applied = apply(said) if polls == 2 else apply(said, leaves, late)
    if polls == 2:
        applied.deliveries += apply(leaves, late).deliveries
    assert bodies(group) == ["my last words"]
    assert len(_refused(applied, bob)) == 1
    for user in (ann, bob, cat):
        assert frames_for(applied, user)[0].body == "my last words"
    [part] = history.backfill(bob, {group.id: {0: MessageId(1)}}, limits=container.limits())
    assert [message.body for message in part.messages if message.kind == "text"] == ["my last words"]


def test_who_joined_after_a_message_did_not_write_it(apply: Apply, group: Talk, dm: Talk) -> None:
    """A membership that ended does not cover what came before it began."""
    ann, dan = group.people[0], dm.people[0]
    early = group.said(dan, "too early")
    apply(group.said(ann))
    joining = group.changed(ann, "member_added", dan)
    container.conversation_store().add_members(group.id, [dan], role=Role.MEMBER, limit=5_000, at=id_of(joining))
    container.conversation_store().end_membership(dan, group.id, at=id_of(group.said(ann)))
    assert len(_refused(apply(early), dan)) == 1


def test_a_member_whose_record_is_not_read_yet_may_write(apply: Apply, group: Talk, dm: Talk) -> None:
    """The service stores a joining as soon as it is in the log; the cache of the router does not know of it."""
    ann, dan = group.people[0], dm.people[0]
    apply(group.said(ann, "the cache is warm"))
    joining = group.changed(ann, "member_added", dan)
    container.conversation_store().add_members(group.id, [dan], role=Role.MEMBER, limit=5_000, at=id_of(joining))
    applied = apply(joining, group.said(dan, "thanks"))
    assert bodies(group)[-1] == "thanks"
    assert _refused(applied, dan) == []


@pytest.mark.parametrize(
    ("change", "hint"),
    [("created", "created"), ("member_added", "members"), ("role_changed", "role"), ("renamed", "renamed")],
)
def test_a_change_is_a_hint_and_an_event_in_the_history(apply: Apply, group: Talk, change: Any, hint: str) -> None:
    ann, bob, _ = group.people
    record = group.changed(ann, change, bob, name="Tea", role="admin")
    applied = apply(record)
    conv, message = frames_for(applied, bob)
    assert conv == frames.Conv(ids.conversation_ref(group.id), hint, ids.user_ref(ann))
    assert (message.kind, message.body) == ("event", "")
    assert message.event == frames.Event(change, [ids.user_ref(bob)], "Tea", "admin")
    [row] = group.stored()
    assert (row.kind, row.message_id) == ("event", id_of(record))


def test_a_change_of_an_unknown_conversation_is_passed_over(apply: Apply, group: Talk) -> None:
    ann = group.people[0]
    record = group.changed(ann, "renamed", name="x")
    foreign = Record(record.topic, 0, record.offset, record.ts_ms, (5).to_bytes(8, "big"), record.payload)
    applied = apply(foreign, group.said(ann))
    assert len(applied.deliveries) == 1
    assert applied.poison == []


# --- poison ---------------------------------------------------------------------------------------


def _poison(group: Talk) -> dict[str, Record]:
    good = events.encode(MessageSent(group.people[0], uuid4().bytes, "hello"))
    return {
        "no event": group.record(b"\xc1"),
        "no UUID": group.record(events.encode(MessageSent(group.people[0], b"short", "hello"))),
        "no user": group.record(events.encode(MessageSent(UserId(-1), uuid4().bytes, "hello"))),
        "no key": group.record(good, key=b""),
        "a short key": group.record(good, key=b"\x01"),
        "a long key": group.record(good, key=group.id.to_bytes(8, "big") + b"x"),
        "a key of 64 bits": group.record(good, key=b"\xff" * 8),
        "a time before the epoch": group.record(good, ts_ms=0),
    }


def test_poison_is_put_aside_and_the_partition_goes_on(apply: Apply, group: Talk) -> None:
    ann = group.people[0]
    first = group.said(ann, "first")
    poison = _poison(group)
    last = group.said(ann, "last")
    applied = apply(first, *poison.values(), last)
    aside = [record for record, _ in applied.poison]
    assert {name for name, record in poison.items() if record not in aside} == set()
    assert len(aside) == len(poison)
    assert all(reason for _, reason in applied.poison)
    assert bodies(group) == ["first", "last"]
    assert prevs(group.stored()) == [None, id_of(first)]


# --- reading again --------------------------------------------------------------------------------


def _mixed(group: Talk, dm: Talk) -> list[Record]:
    ann, bob, cat = group.people
    dan, eve = dm.people
    msg_id = uuid4()
    return [
        group.said(ann, "one"),
        dm.said(dan, "two", msg_id=msg_id),
        group.changed(ann, "renamed", name="Tea"),
        group.record(b"\xc1"),
        dm.said(dan, "again", msg_id=msg_id),
        group.said(dan, "stranger"),
        group.said(bob, "three"),
        dm.said(eve, "four"),
        group.changed(ann, "role_changed", cat, role="admin"),
        group.said(cat, "five"),
    ]


@pytest.mark.parametrize("polled", [1, 3, 10])
def test_reading_the_same_records_again_changes_nothing(restart: Restart, group: Talk, dm: Talk, polled: int) -> None:
    """A router that was killed after its writes and before its commit does all of it again, to the same effect."""
    records = _mixed(group, dm)

    def read(apply: Apply) -> Applied:
        whole = Applied()
        for start in range(0, len(records), polled):
            part = apply(*records[start : start + polled])
            whole.deliveries += part.deliveries
            whole.authors += part.authors
            whole.poison += part.poison
        return whole

    first = read(restart())
    stored = group.stored(), dm.stored()
    assert (bodies(group), bodies(dm)) == (["one", "three", "five"], ["two", "four"])
    again = read(restart())
    assert (group.stored(), dm.stored()) == stored
    assert [_seen(event) for event in again.deliveries] == [_seen(event) for event in first.deliveries]
    assert (again.authors, again.poison) == (first.authors, first.poison)
    # What is new goes on where the chain really ends.
    last = restart()(group.said(group.people[0])).deliveries[-1].frame
    assert isinstance(last, frames.Msg)
    assert last.prev == ids.server_id(group.id, stored[0][-1].message_id)


def _seen(event: events.Deliver) -> tuple[Any, ...]:
    return set(event.users), event.frame, event.own, event.author


def test_reading_again_keeps_what_someone_said_who_left_since(restart: Restart, group: Talk) -> None:
    ann, bob, cat = group.people
    records = [group.said(bob, "bye"), group.changed(bob, "member_left", bob), group.said(ann, "gone")]
    first = restart()(*records)
    stored = group.stored()
    again = restart()(*records)
    assert group.stored() == stored
    assert [_seen(event) for event in again.deliveries] == [_seen(event) for event in first.deliveries]
    assert cat in again.deliveries[0].users


@contextmanager
def store_away() -> Iterator[None]:
    """Let every write of messages fail, as a database does that is away."""

    def refuse(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("INSERT INTO messages "):
            raise OperationalError("the database is away")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse):
        yield


def test_after_a_store_that_failed_the_chain_is_as_if_nothing_had_been(apply: Apply, group: Talk) -> None:
    ann = group.people[0]
    before, first, second = group.said(ann), group.said(ann), group.said(ann)
    apply(before)
    with store_away(), pytest.raises(OperationalError):
        apply(first, second)
    assert len(group.stored()) == 1
    applied = apply(first, second)
    assert prevs(group.stored()) == [None, id_of(before), id_of(first)]
    assert [frame.prev for frame in frames_for(applied, ann)] == [ref_of(group, before), ref_of(group, first)]


def test_an_acked_message_of_someone_who_left_survives_a_store_that_failed(apply: Apply, group: Talk) -> None:
    """Ending the membership is one write, the messages are another; a crash may fall between them."""
    ann, bob, _ = group.people
    records = [group.said(bob, "acked"), group.changed(ann, "member_removed", bob)]
    with store_away(), pytest.raises(OperationalError):
        apply(*records)
    apply(*records)
    assert bodies(group) == ["acked"]
