"""What somebody wrote whose account is erased is deleted wherever they are, by them alone, and no replay harms."""

from uuid import UUID, uuid4

import pytest

from chatproject import container
from messaging.domain import events, frames, ids
from messaging.domain.events import MessageChanged, MessagesExpired
from messaging.domain.ids import UserId
from messaging.ports import Record
from tests.router.conftest import Apply, Talk, ended, frames_for, id_of, ref_of
from tests.router.test_changes import Restart, now

pytestmark = pytest.mark.django_db


def erased(talk: Talk, author: UserId, target: Record, *, msg_id: UUID | None = None) -> Record:
    event = MessageChanged(author, (msg_id or uuid4()).bytes, id_of(target), "delete", erased=True)
    return talk.record(events.encode(event))


def test_also_where_they_are_no_member_any_more(apply: Apply, group: Talk) -> None:
    ann, bob, cat = group.people
    said = group.said(cat, "hello")
    left = group.changed(cat, "member_left", cat)
    ended(group, [cat], left)
    record = erased(group, cat, said)
    applied = apply(said, left, record)
    for user in (ann, bob):
        frame = frames_for(applied, user)[-1]
        assert frame == frames.DeleteEvent(
            server_id=ref_of(group, record),
            target=ref_of(group, said),
            conv=ids.conversation_ref(group.id),
            sender=ids.user_ref(cat),
            ts=record.ts_ms,
            prev=ref_of(group, left),
        )
    assert not now(group, said).readable


def test_only_what_they_wrote_and_only_once(apply: Apply, group: Talk) -> None:
    ann, bob, _ = group.people
    said = group.said(ann, "hello")
    first, again = erased(group, ann, said), erased(group, ann, said)
    applied = apply(said, erased(group, bob, said), first, again)
    changes = [it for it in frames_for(applied, bob) if isinstance(it, frames.DeleteEvent)]
    assert [it.server_id for it in changes] == [ref_of(group, first)]
    # Nobody waits for an answer.
    assert not [it for it in frames_for(applied, ann) if isinstance(it, frames.Error)]


def test_reading_it_again_changes_nothing(restart: Restart, group: Talk) -> None:
    ann, bob, _ = group.people
    said = group.said(ann, "hello")
    record = erased(group, ann, said)
    later = group.said(bob, "later")
    first = restart()(said, record, later)
    again = restart()(said, record, later)
    assert frames_for(first, bob) == frames_for(again, bob)
    chain = container.conversation_store().get([group.id])[group.id].mark
    assert chain == {0: id_of(later)}


def test_what_is_over_its_time_is_told_and_has_no_place(apply: Apply, group: Talk) -> None:
    ann, bob, _ = group.people
    said = group.said(ann, "old")
    expiry = group.record(events.encode(MessagesExpired(uuid4().bytes, id_of(said))))
    later = group.said(bob, "new")
    applied = apply(said, expiry, later)
    for user in group.people:
        old, told, new = frames_for(applied, user)
        assert told == frames.Backfill(
            ids.conversation_ref(group.id), [], expired_before=ids.server_id(group.id, id_of(said) + 1)
        )
        assert (old.server_id, new.prev) == (ref_of(group, said), ref_of(group, said))
    assert len(group.stored()) == 2
