"""What moderators withhold and give back: in the chain like any change, for everybody, and no replay harms."""

from typing import Any
from uuid import uuid4

import pytest

from chatproject import container
from messaging.domain import events, frames, ids
from messaging.domain.events import MessageModerated
from messaging.domain.ids import MessageId, UserId
from messaging.domain.limits import Limits
from messaging.ports import Record
from messaging.selectors import history
from tests.router.conftest import Apply, Talk, everybody, frames_for, id_of, ref_of
from tests.router.test_changes import Restart, deleted, edited, now, reacted, refusals, state

pytestmark = pytest.mark.django_db


def moderated(talk: Talk, target: Record, *, on: bool) -> Record:
    return talk.record(events.encode(MessageModerated(uuid4().bytes, id_of(target), on)))


def replayed(talk: Talk, user: UserId, after: Record) -> frames.Backfill:
    """What a device gets that had everything up to ``after``."""
    [backfill] = history.backfill(user, {talk.id: {0: id_of(after)}}, limits=Limits())
    return backfill


def test_everybody_is_told_and_the_text_is_kept(apply: Apply, group: Talk) -> None:
    said = group.said(group.people[0], "rude", media=["a"])
    takedown = moderated(group, said, on=True)
    applied = apply(said, takedown)
    frame = frames.TakedownEvent(
        server_id=ref_of(group, takedown),
        target=ref_of(group, said),
        conv=ids.conversation_ref(group.id),
        ts=takedown.ts_ms,
        prev=ref_of(group, said),
    )
    for user in everybody(group.id):
        assert frames_for(applied, user)[-1] == frame
    row = now(group, said)
    assert (row.body, row.last_text, row.text, row.withheld) == ("rude", "rude", "", True)
    assert container.conversation_store().get([group.id])[group.id].mark == {0: id_of(takedown)}


def test_what_is_given_back_says_what_it_said_last(apply: Apply, group: Talk) -> None:
    ann, bob, _ = group.people
    first = group.said(bob)
    said = group.said(ann, "rude", media=["a"], reply_to=id_of(first))
    edit, takedown, restore = edited(group, ann, said, "ruder"), moderated(group, said, on=True), None
    apply(first, said, edit, takedown)
    restore = moderated(group, said, on=False)
    assert frames_for(apply(restore), bob) == [
        frames.RestoreEvent(
            server_id=ref_of(group, restore),
            target=ref_of(group, said),
            conv=ids.conversation_ref(group.id),
            ts=restore.ts_ms,
            body="ruder",
            media=["a"],
            reply_to=ref_of(group, first),
            edited_at=edit.ts_ms,
            prev=ref_of(group, takedown),
        )
    ]
    assert now(group, said).text == "ruder"


def test_an_edit_in_the_same_poll_is_in_what_is_given_back(apply: Apply, group: Talk) -> None:
    ann, bob, _ = group.people
    said = group.said(ann, "rude")
    records = [said, edited(group, ann, said, "x"), moderated(group, said, on=True), moderated(group, said, on=False)]
    assert frames_for(apply(*records), bob)[-1].body == "x"


def test_what_is_withheld_may_be_deleted_and_nothing_else(apply: Apply, group: Talk) -> None:
    ann, bob, _ = group.people
    said = group.said(ann)
    takedown = moderated(group, said, on=True)
    applied = apply(said, takedown, edited(group, ann, said, "x"), reacted(group, bob, said))
    assert (refusals(applied, ann), refusals(applied, bob)) == (["conflict"], ["conflict"])
    deletion = deleted(group, ann, said)
    assert isinstance(frames_for(apply(deletion), bob)[-1], frames.DeleteEvent)
    assert now(group, said).delete_id == id_of(deletion)
    restore = moderated(group, said, on=False)
    assert frames_for(apply(restore), bob)[-1].body == "", "a deletion stands"


def test_who_joined_later_gets_the_place_only(apply: Apply, group: Talk, make_user: Any) -> None:
    said = group.said(group.people[0], "rude")
    dan = UserId(make_user("dan").pk)
    joined = group.changed(group.people[0], "member_added", dan)
    apply(said, joined)
    takedown, restore = moderated(group, said, on=True), moderated(group, said, on=False)
    got = frames_for(apply(takedown, restore), dan)
    assert [type(it) for it in got] == [frames.Link, frames.Link]


def test_what_is_not_there_cannot_be_withheld(apply: Apply, group: Talk) -> None:
    never = group.said(group.people[0])
    applied = apply(moderated(group, never, on=True), group.said(group.people[0]))
    assert [type(it) for it in frames_for(applied, group.people[1])] == [frames.Msg]


def test_who_was_away_reads_no_withheld_text(apply: Apply, group: Talk) -> None:
    ann, bob, _ = group.people
    first, said = group.said(bob), group.said(ann, "rude")
    edit, takedown = edited(group, ann, said, "ruder"), moderated(group, said, on=True)
    apply(first, said, edit, takedown)
    backfill = replayed(group, bob, first)
    assert [(it.body, it.withheld) for it in backfill.messages][-1] == ("", True)
    assert [type(it) for it in backfill.changes] == [frames.Link, frames.TakedownEvent]
    restore = moderated(group, said, on=False)
    apply(restore)
    backfill = replayed(group, bob, takedown)
    assert isinstance(backfill.changes[-1], frames.RestoreEvent)
    assert backfill.changes[-1].body == "ruder"
    again = moderated(group, said, on=True)
    apply(again)
    backfill = replayed(group, bob, takedown)
    assert [type(it) for it in backfill.changes][-2:] == [frames.Link, frames.TakedownEvent]


def test_reading_again_changes_nothing(restart: Restart, group: Talk) -> None:
    said = group.said(group.people[0], "rude")
    records = [said, moderated(group, said, on=True), moderated(group, said, on=False), moderated(group, said, on=True)]
    restart()(*records)
    before = state(group)
    restart()(*records[1:])
    restart()(*records)
    assert state(group) == before
    assert before[0][0].takedown_id == id_of(records[-1]) > MessageId(0)
