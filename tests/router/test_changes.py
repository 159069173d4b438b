"""Edits, deletions and reactions through the router: their place in the chain, who gets what, and no replay harms."""

from collections.abc import Callable
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import pytest

from chatproject import container
from messaging.domain import events, frames, ids
from messaging.domain.events import MessageChanged
from messaging.domain.ids import MessageId, UserId, user_ref
from messaging.domain.limits import Limits
from messaging.domain.messages import ConversationType, Role, StoredMessage, Tally
from messaging.ports import NewConversation, Record
from messaging.router.apply import Applied, Applier
from tests.router.conftest import Apply, Talk, ended, frames_for, id_of, ref_of

pytestmark = pytest.mark.django_db
Restart = Callable[[], Apply]


def change(talk: Talk, actor: UserId, kind: Any, target: Record, *, msg_id: UUID | None = None, **more: Any) -> Record:
    return talk.record(events.encode(MessageChanged(actor, (msg_id or uuid4()).bytes, id_of(target), kind, **more)))


def edited(talk: Talk, actor: UserId, target: Record, body: str, **more: Any) -> Record:
    return change(talk, actor, "edit", target, body=body, **more)


def deleted(talk: Talk, actor: UserId, target: Record, **more: Any) -> Record:
    return change(talk, actor, "delete", target, **more)


def reacted(talk: Talk, actor: UserId, target: Record, emoji: str = "👍", *, on: bool = True, **more: Any) -> Record:
    return change(talk, actor, "react", target, emoji=emoji, on=on, **more)


def pinned(talk: Talk, actor: UserId, target: Record, *, on: bool = True, **more: Any) -> Record:
    return change(talk, actor, "pin", target, on=on, **more)


def pins(talk: Talk) -> list[MessageId]:
    return [it.message_id for it in container.message_store().pins(talk.id)]


def now(talk: Talk, record: Record) -> StoredMessage:
    ref = (talk.id, id_of(record))
    return container.message_store().get([ref])[ref]


def tallies(talk: Talk, record: Record, viewer: UserId = UserId(0)) -> list[Tally]:
    ref = (talk.id, id_of(record))
    return container.message_store().reactions([ref], viewer=viewer).get(ref, [])


def state(talk: Talk) -> Any:
    """All that is stored of a conversation."""
    messages = talk.stored()
    store = container.message_store()
    refs = [(talk.id, it.message_id) for it in messages]
    conversation = container.conversation_store().get([talk.id])[talk.id]
    return (
        messages,
        store.newest_changes(talk.id, limit=1_000),
        store.reactions(refs, viewer=UserId(0)),
        store.pins(talk.id),
        conversation.last_message_id,
        dict(conversation.mark),
    )


def refusals(applied: Applied, user: UserId) -> list[str]:
    return [it.code for it in frames_for(applied, user) if isinstance(it, frames.Error)]


# --- what becomes of it ---------------------------------------------------------------------------


def test_an_edit_is_folded_in_and_the_first_text_kept(apply: Apply, group: Talk) -> None:
    ann, bob, _ = group.people
    said = group.said(ann, "helo")
    edits = [edited(group, ann, said, "hello"), edited(group, ann, said, "hello!")]
    msg_id = str(UUID(bytes=events.decode_log_event(edits[1].payload).client_msg_id))
    applied = apply(said, *edits)
    row = now(group, said)
    assert (row.body, row.text, row.edit_id) == ("helo", "hello!", id_of(edits[1]))
    [*_, mine], [*_, theirs] = frames_for(applied, ann), frames_for(applied, bob)
    assert theirs == frames.EditEvent(
        server_id=ref_of(group, edits[1]),
        target=ref_of(group, said),
        conv=ids.conversation_ref(group.id),
        sender=user_ref(ann),
        ts=edits[1].ts_ms,
        body="hello!",
        prev=ref_of(group, edits[0]),
    )
    assert (mine.msg_id, mine.body) == (msg_id, "hello!")
    kept = container.message_store().newest_changes(group.id, limit=10)
    assert [it.body for it in kept] == ["hello!", "hello"]


def test_a_deletion_leaves_the_place_only(apply: Apply, group: Talk) -> None:
    ann, bob, _ = group.people
    said, deletion = group.said(ann, "oh no", media=["a"]), None
    apply(said, edited(group, ann, said, "oh well"))
    deletion = deleted(group, ann, said)
    applied = apply(deletion)
    assert (now(group, said).text, now(group, said).delete_id) == ("", id_of(deletion))
    assert frames_for(applied, bob)[0].target == ref_of(group, said)


def test_reactions_are_counted(apply: Apply, group: Talk) -> None:
    ann, bob, cat = group.people
    said = group.said(ann)
    applied = apply(
        said,
        reacted(group, bob, said),
        reacted(group, cat, said),
        reacted(group, cat, said),
        reacted(group, ann, said, "❤️"),
        reacted(group, bob, said, on=False),
        reacted(group, ann, said, "🎉", on=False),
    )
    counts = [(it.emoji, it.on, it.count) for it in frames_for(applied, ann) if isinstance(it, frames.ReactEvent)]
    assert counts == [
        ("👍", True, 1),
        ("👍", True, 2),
        ("👍", True, 2),
        ("❤️", True, 1),
        ("👍", False, 1),
        ("🎉", False, 0),
    ]
    assert tallies(group, said, ann) == [Tally("👍", 1, False, (cat,)), Tally("❤️", 1, True, (ann,))]


def test_changes_and_messages_make_one_chain(apply: Apply, restart: Restart, group: Talk) -> None:
    ann, bob, _ = group.people
    first = group.said(ann)
    records = [first, reacted(group, bob, first), group.said(bob), edited(group, ann, first, "x"), group.said(ann)]
    applied = apply(*records[:3])
    for record in records[3:]:
        # A router that has just started finds the chain's end, be it a change.
        applied.deliveries += restart()(record).deliveries
    chain = [frame.prev for frame in frames_for(applied, bob)]
    assert chain == [None, *(ref_of(group, it) for it in records[:-1])]
    conversation = container.conversation_store().get([group.id])[group.id]
    assert (conversation.last_message_id, conversation.mark) == (id_of(records[4]), {0: id_of(records[4])})
    apply(reacted(group, bob, first, "🎉"))
    conversation = container.conversation_store().get([group.id])[group.id]
    assert conversation.last_message_id == id_of(records[4]) != conversation.mark[0]


def test_a_pin_is_a_change_that_all_readers_get(apply: Apply, group: Talk) -> None:
    ann, bob, _ = group.people
    said = [group.said(bob), group.said(ann)]
    records = [pinned(group, ann, said[0]), pinned(group, ann, said[1]), pinned(group, ann, said[0], on=False)]
    applied = apply(*said, *records)
    assert pins(group) == [id_of(said[1])]
    got = [it for it in frames_for(applied, bob) if isinstance(it, frames.PinEvent)]
    assert [(it.target, it.on, it.sender, it.msg_id) for it in got] == [
        (ref_of(group, said[0]), True, user_ref(ann), None),
        (ref_of(group, said[1]), True, user_ref(ann), None),
        (ref_of(group, said[0]), False, user_ref(ann), None),
    ]
    assert [it.prev for it in got] == [ref_of(group, it) for it in (said[1], *records[:2])]
    # Nothing of what was pushed says anything else now.
    assert applied.changed == []


def test_what_is_deleted_or_withheld_is_pinned_no_more(apply: Apply, group: Talk) -> None:
    ann, bob, _ = group.people
    said = [group.said(bob) for _ in range(3)]
    apply(*said, *(pinned(group, ann, it) for it in said))
    apply(deleted(group, bob, said[0]))
    for on in (True, False):
        apply(group.record(events.encode(events.MessageModerated(uuid4().bytes, id_of(said[1]), on))))
    assert pins(group) == [id_of(said[2])]


# --- what is not allowed --------------------------------------------------------------------------


def test_what_is_not_allowed_is_refused_and_has_no_place(apply: Apply, group: Talk, dm: Talk) -> None:
    ann, bob, _ = group.people
    said, gone, event = group.said(ann), group.said(ann), group.changed(ann, "renamed", name="Tea")
    apply(said, gone, event, deleted(group, ann, gone))
    last = state(group)
    later = group.record(b"")
    stranger = dm.people[0]
    cases = [
        (edited(group, bob, said, "mine now"), bob, "forbidden"),
        (deleted(group, bob, said), bob, "forbidden"),
        (edited(group, ann, gone, "back"), ann, "conflict"),
        (reacted(group, bob, gone), bob, "conflict"),
        (deleted(group, ann, gone), ann, "conflict"),
        (edited(group, ann, event, "x"), ann, "invalid"),
        (edited(group, ann, said, " "), ann, "invalid"),
        (reacted(group, ann, later), ann, "not_found"),
        (reacted(group, stranger, said), stranger, "forbidden"),
        (pinned(group, bob, said), bob, "forbidden"),
        (pinned(group, bob, said, on=False), bob, "forbidden"),
        (pinned(group, ann, gone), ann, "conflict"),
        (pinned(group, ann, event), ann, "invalid"),
        (pinned(group, stranger, said), stranger, "forbidden"),
    ]
    for record, actor, code in cases:
        applied = apply(record)
        assert refusals(applied, actor) == [code]
        assert [user for it in applied.deliveries for user in it.users] == [actor]
    assert state(group) == last


def test_a_groups_owner_and_admins_may_delete_what_others_wrote(apply: Apply, group: Talk, dm: Talk) -> None:
    ann, bob, cat = group.people
    said = [group.said(cat), group.said(cat), group.said(ann)]
    apply(*said)
    assert refusals(apply(deleted(group, ann, said[0])), ann) == []
    assert refusals(apply(deleted(group, bob, said[1])), bob) == ["forbidden"]
    container.conversation_store().set_role(bob, group.id, Role.ADMIN)
    assert refusals(apply(deleted(group, bob, said[1])), bob) == []
    dan, eve = dm.people
    in_dm = dm.said(eve)
    assert refusals(apply(in_dm, deleted(dm, dan, in_dm)), dan) == ["forbidden"]
    # Of a direct conversation both may.
    assert refusals(apply(pinned(dm, dan, in_dm)), dan) == []
    assert refusals(apply(pinned(group, bob, said[2])), bob) == []
    assert refusals(apply(pinned(group, cat, said[2])), cat) == ["forbidden"]


def test_pins_have_a_limit(group: Talk, db: None) -> None:
    ann = group.people[0]
    applier = Applier(
        messages=container.message_store(), conversations=container.conversation_store(), limits=Limits(max_pins=2)
    )
    said = [group.said(ann) for _ in range(3)]
    applied = applier.apply([*said, *(pinned(group, ann, it) for it in said), pinned(group, ann, said[0])])
    assert refusals(applied, ann) == ["conflict"]
    assert sorted(pins(group)) == [id_of(it) for it in said[:2]]
    # What was taken down makes room, also within one poll.
    assert refusals(applier.apply([deleted(group, ann, said[0]), pinned(group, ann, said[2])]), ann) == []
    down, up = pinned(group, ann, said[1], on=False), pinned(group, ann, said[1])
    assert refusals(applier.apply([down, up, pinned(group, ann, said[1], on=False)]), ann) == []
    assert pins(group) == [id_of(said[2])]


def test_reactions_have_limits(group: Talk, db: None) -> None:
    ann, bob, cat = group.people
    applier = Applier(
        messages=container.message_store(),
        conversations=container.conversation_store(),
        limits=Limits(max_reactions_per_user=2, max_reactions=3),
    )
    said = group.said(ann)
    applied = applier.apply(
        [said, *(reacted(group, ann, said, it) for it in "🎉🔥👍"), *(reacted(group, bob, said, it) for it in "🎉👀")]
    )
    assert refusals(applied, ann) == ["conflict"]
    assert refusals(applied, bob) == []
    assert refusals(applier.apply([reacted(group, cat, said, "🎈")]), cat) == ["conflict"]
    assert refusals(applier.apply([reacted(group, cat, said, "🎉")]), cat) == []


def test_an_edit_after_its_time_is_refused(group: Talk) -> None:
    ann = group.people[0]
    applier = Applier(
        messages=container.message_store(),
        conversations=container.conversation_store(),
        limits=Limits(edit_window_s=2),
    )
    said = group.said(ann)
    # Records are a second apart.
    applied = applier.apply([said, *(edited(group, ann, said, str(n)) for n in range(3))])
    assert refusals(applied, ann) == ["forbidden"]
    assert now(group, said).text == "1"


# --- who may see it -------------------------------------------------------------------------------


def test_who_joined_after_the_target_gets_a_link(apply: Apply, group: Talk, make_user: Any) -> None:
    ann, bob, _ = group.people
    late = UserId(make_user("late").pk)
    old = group.said(ann, "before")
    joining = group.changed(ann, "member_added", late)
    new = group.said(ann, "after")
    apply(old, joining, new)
    of_old, of_new = edited(group, ann, old, "secret"), edited(group, ann, new, "public")
    applied = apply(of_old, of_new)
    link, edit = frames_for(applied, late)
    assert link == frames.Link(ref_of(group, of_old), ids.conversation_ref(group.id), ref_of(group, new))
    assert (edit.body, edit.prev) == ("public", ref_of(group, of_old))
    assert [it.body for it in frames_for(applied, bob)] == ["secret", "public"]
    assert refusals(apply(reacted(group, late, old)), late) == ["not_found"]
    assert refusals(apply(reacted(group, late, new)), late) == []


def test_who_left_gets_nothing_and_may_nothing(apply: Apply, group: Talk) -> None:
    ann, bob, _ = group.people
    said, his = group.said(ann), group.said(bob)
    apply(said, his)
    in_time = edited(group, bob, his, "in time")
    leaving = group.changed(bob, "member_left", bob)
    ended(group, [bob], leaving)
    # The router is behind: the edit was made before the leaving.
    applied = apply(in_time, leaving, edited(group, ann, said, "for the others"), edited(group, bob, his, "too late"))
    assert now(group, his).text == "in time"
    assert [it.body for it in frames_for(applied, bob) if isinstance(it, frames.EditEvent)] == ["in time"]
    assert refusals(applied, bob) == ["forbidden"]


# --- copies, crashes, order -----------------------------------------------------------------------


def test_a_later_copy_is_dropped_and_its_author_told_the_first_id(restart: Restart, group: Talk) -> None:
    ann = group.people[0]
    msg_id = uuid4()
    said = group.said(ann)
    first, between, copy = (
        edited(group, ann, said, "once", msg_id=msg_id),
        edited(group, ann, said, "between"),
        edited(group, ann, said, "twice", msg_id=msg_id),
    )
    restart()(said, first, between)
    before = state(group)
    [ack] = frames_for(restart()(copy), ann)
    assert (ack.msg_id, ack.server_id) == (str(msg_id), ref_of(group, first))
    assert state(group) == before


def test_reading_again_changes_nothing(restart: Restart, group: Talk) -> None:
    ann, bob, cat = group.people
    said, other = group.said(ann), group.said(bob)
    records = [
        said,
        other,
        edited(group, ann, said, "1"),
        reacted(group, bob, said),
        reacted(group, cat, said),
        edited(group, bob, said, "refused"),
        reacted(group, bob, said, on=False),
        edited(group, ann, said, "2"),
        deleted(group, bob, other),
        reacted(group, ann, other),
        group.said(cat),
    ]
    first = restart()(*records)
    stored = state(group)
    apply = restart()
    for start in (0, 3, 9):
        again = apply(*records[start:])
        assert state(group) == stored
    # What was refused stays refused, and the last count is the right one.
    assert refusals(first, bob) == ["forbidden"]
    counts = [it.count for it in frames_for(restart()(*records), ann) if isinstance(it, frames.ReactEvent)]
    assert counts[-1] == 1
    assert refusals(again, ann) == ["conflict"]


def test_what_was_refused_for_want_of_room_stays_refused_when_there_is_room(group: Talk) -> None:
    ann = group.people[0]
    limits = Limits(max_reactions_per_user=1)

    def restart() -> Applier:
        stores = {"messages": container.message_store(), "conversations": container.conversation_store()}
        return Applier(limits=limits, **stores)  # type: ignore[arg-type]

    said = group.said(ann)
    records = [
        said,
        reacted(group, ann, said, "👍"),
        reacted(group, ann, said, "🎉"),
        reacted(group, ann, said, on=False),
    ]
    restart().apply(records)
    stored = state(group)
    assert refusals(restart().apply(records), ann) == ["conflict"]
    assert state(group) == stored
    assert tallies(group, said) == []


def test_a_fold_does_not_depend_on_the_order_of_writing(group: Talk, make_group: Any, make_user: Any) -> None:
    """As it is written by a store whose writes of one poll run side by side, or that a late router writes again."""
    from messaging.domain.messages import MessageChangeKind, StoredChange

    ann = group.people[0]
    outcomes = []
    for order in permutations(range(4)):
        conversation = ids.ConversationId(ids.new_random_id())
        container.conversation_store().create(NewConversation(conversation, ConversationType.GROUP_SMALL, ann, (ann,)))
        store = container.message_store()
        store.upsert([StoredMessage(conversation, MessageId(5), ann, uuid4().bytes, "first")])
        changes = [
            StoredChange(conversation, MessageId(6), MessageId(5), ann, b"a" * 16, MessageChangeKind.EDIT, "older"),
            StoredChange(conversation, MessageId(7), MessageId(5), ann, b"b" * 16, MessageChangeKind.EDIT, "newer"),
            StoredChange(
                conversation, MessageId(8), MessageId(5), ann, b"c" * 16, MessageChangeKind.REACT, emoji="👍", on=True
            ),
            StoredChange(conversation, MessageId(9), MessageId(5), ann, b"d" * 16, MessageChangeKind.REACT, emoji="👍"),
        ]
        for number in order:
            store.upsert([], changes=[changes[number]])
        ref = (conversation, MessageId(5))
        row = store.get([ref])[ref]
        outcomes.append((row.text, row.edit_id, store.reactions([ref], viewer=ann)))
    assert set(map(repr, outcomes)) == {repr(("newer", 7, {}))}
