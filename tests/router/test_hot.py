"""A hot conversation: chains with readers of their own, and clients that see what is missing in each."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatproject import container
from clients.python.chat_client.timeline import Change, Message, Timeline
from messaging.domain import frames, ids
from messaging.domain.events import MessageChanged, MessageModerated
from messaging.domain.ids import UserId, server_id
from messaging.domain.limits import Limits
from messaging.ports import TOPIC_HOT, TOPIC_MESSAGES, Record
from messaging.router.apply import Applied, Applier
from messaging.selectors import history
from messaging.services.send import Outgoing, change_record, message_record
from tests.router.conftest import START_MS, Apply, Talk, ended, frames_for, id_of

pytestmark = pytest.mark.django_db


def apart(*users: UserId) -> int:
    """Return a K at which what these users write goes to different chains."""
    return next(
        k for k in range(2, ids.MAX_HOT_K + 1) if len({ids.sub_for(user, hot_k=k) for user in users}) == len(users)
    )


def outgoing(talk: Talk, sender: UserId, body: str = "hello", *, msg_id: UUID | None = None) -> Outgoing:
    return Outgoing(sender, talk.id, (msg_id or uuid4()).bytes, body, [], None)


def said(
    talk: Talk, sender: UserId, body: str = "hello", *, k: int, msg_id: UUID | None = None, ts_ms: int | None = None
) -> Record:
    """Return the record of a message as a gateway writes it that knows ``hot_k`` to be ``k``."""
    record = message_record(outgoing(talk, sender, body, msg_id=msg_id), hot_k=k)
    return talk.record(record.payload, key=record.key, topic=record.topic, ts_ms=ts_ms)


def reacted(talk: Talk, actor: UserId, target: Record, emoji: str = "👍") -> Record:
    change = MessageChanged(actor, uuid4().bytes, id_of(target), "react", emoji=emoji, on=True)
    record = change_record(talk.id, change)
    return talk.record(record.payload, key=record.key, topic=record.topic)


def withheld(talk: Talk, target: Record) -> Record:
    record = change_record(talk.id, MessageModerated(uuid4().bytes, id_of(target), on=True))
    return talk.record(record.payload, key=record.key, topic=record.topic)


@pytest.fixture
def start_hot(db: None) -> Callable[[], Apply]:
    """Return a function that gives the ``apply`` of a reader of the topic ``hot`` which has just started."""

    def start() -> Apply:
        applier = Applier(
            messages=container.message_store(), conversations=container.conversation_store(), sees_changes=False
        )
        return lambda *records: applier.apply(records)

    return start


def chain(applied: list[Applied], user: UserId) -> dict[int, list[tuple[str | None, str]]]:
    """Return what a user's sockets get of each chain: ``prev`` and ``server_id``, in their order."""
    found: dict[int, list[tuple[str | None, str]]] = {}
    for frame in (frame for it in applied for frame in frames_for(it, user)):
        if isinstance(frame, frames.Msg | frames.ReactEvent | frames.TakedownEvent | frames.Link):
            sub = ids.sub_of(ids.parse_server_id(frame.server_id)[1])
            found.setdefault(sub, []).append((frame.prev, frame.server_id))
    return found


def test_a_conversation_that_is_not_hot_has_the_records_that_it_always_had(group: Talk) -> None:
    ann, _, _ = group.people
    message = outgoing(group, ann)
    record = message_record(message, hot_k=1)
    key = group.id.to_bytes(8, "big")
    assert (record.topic, record.key) == (TOPIC_MESSAGES, key)
    assert record.dedup_key == key + ann.to_bytes(8, "big") + message.client_msg_id


def test_prev_is_of_the_same_chain_also_for_a_reader_that_has_just_started(
    group: Talk, apply: Apply, start_hot: Callable[[], Apply]
) -> None:
    ann, bob, cat = group.people
    first = group.said(ann)
    applied = [apply(first)]
    container.conversation_store().set_hot(group.id, 8)
    records = [said(group, user, k=8) for user in (ann, bob, ann, cat, bob)]
    hot = start_hot()
    applied += [hot(*records[:3]), hot(records[3]), start_hot()(records[4])]
    # A change goes to the chain of what it changes, whatever K is by now.
    applied += [apply(reacted(group, bob, first)), start_hot()(reacted(group, bob, records[0]))]
    applied += [start_hot()(withheld(group, records[0])), apply(withheld(group, first))]
    for sub, rows in chain(applied, cat).items():
        before = [None, *(row for _, row in rows)]
        assert [prev for prev, _ in rows] == before[:-1], sub
    assert {ids.sub_of(id_of(it)) for it in records} == {ids.sub_for(user, hot_k=8) for user in group.people}
    assert all(it.topic == TOPIC_HOT for it in records)


def test_reading_again_gives_the_same_prev(group: Talk, start_hot: Callable[[], Apply]) -> None:
    ann, bob, _ = group.people
    records = [said(group, user, k=2) for user in (ann, bob, ann, bob)]
    before = chain([start_hot()(*records)], bob)
    assert chain([start_hot()(*records)], bob) == before


def test_a_resend_across_a_change_of_k_is_dropped_and_its_sender_told_the_first_id(
    group: Talk, apply: Apply, start_hot: Callable[[], Apply]
) -> None:
    ann, _, _ = group.people
    msg_id = uuid4()
    first, copy = said(group, ann, k=1, msg_id=msg_id), said(group, ann, k=8, msg_id=msg_id)
    apply(first)
    applied = start_hot()(copy, said(group, ann, "next", k=8))
    [ack, told] = frames_for(applied, ann)
    assert (ack.msg_id, ack.server_id) == (str(msg_id), server_id(group.id, id_of(first)))
    assert (told.body, told.prev) == ("next", None), "what was dropped has no place in its chain"
    assert [it.body for it in group.stored()] == ["hello", "next"]
    # Where the log looks for copies it would name the first one's place, and nobody could tell its chain.
    keys = {message_record(outgoing(group, ann, msg_id=msg_id), hot_k=k).dedup_key for k in (1, 2, 8)}
    assert len(keys) == len({ids.sub_for(ann, hot_k=k) for k in (1, 2, 8)})


def test_who_was_removed_gets_nothing_more_from_any_chain(
    group: Talk, apply: Apply, start_hot: Callable[[], Apply]
) -> None:
    ann, bob, cat = group.people
    hot = start_hot()
    assert frames_for(hot(said(group, ann, k=8)), bob)
    removal = group.changed(ann, "member_removed", bob)
    # As the service does before it answers; the reader of the first chain may come to it much later.
    ended(group, [bob], removal)
    later = said(group, ann, k=8)
    applied = hot(later, said(group, bob, k=8))
    assert [type(it) for it in frames_for(applied, bob)] == [frames.Error]
    assert [it.server_id for it in frames_for(applied, cat)] == [server_id(group.id, id_of(later))]


def test_who_was_added_gets_what_any_chain_has_after_it(
    group: Talk, apply: Apply, start_hot: Callable[[], Apply], make_user: Any
) -> None:
    ann, bob, _ = group.people
    dan = UserId(make_user("dan").pk)
    hot, k = start_hot(), apart(ann, bob)
    before = said(group, ann, "before", k=k)
    hot(said(group, ann, "long before", k=k))
    apply(group.changed(ann, "member_added", dan))
    applied = hot(said(group, bob, "after", k=k))
    assert [it.body for it in frames_for(applied, dan)] == ["after"]
    # A chain that is behind: what it still has from before is not Dan's.
    applied = hot(before, said(group, ann, "later", k=k))
    assert [it.body for it in frames_for(applied, dan)] == ["later"]


def test_a_mark_hides_nothing_of_a_chain_that_is_behind(
    group: Talk, apply: Apply, start_hot: Callable[[], Apply]
) -> None:
    ann, bob, cat = group.people
    minute, k = 60_000, apart(ann, bob)
    apply(group.changed(ann, "created", ann, bob, cat))
    slow = [said(group, bob, f"slow {n}", k=k, ts_ms=START_MS + n) for n in range(3)]
    hot = start_hot()
    hot(said(group, ann, "now", k=k, ts_ms=START_MS + minute))
    container.conversation_store().set_hot(group.id, k)
    page = history.history_page(user_id=cat, conversation_id=group.id, before=None, after=None, limit=9)
    _, mark = ids.parse_mark(page.mark or "")
    start_hot()(*slow)
    [part] = history.backfill(cat, {group.id: mark}, limits=Limits())
    # The last is within the margin before its own chain's mark, and so repeated.
    assert [it.body for it in part.messages if it.kind == "text"] == ["slow 0", "slow 1", "slow 2", "now"]
    assert (part.more, part.stale) == (False, False)
    assert history.backfill(cat, dict([ids.parse_mark(part.mark or "")]), limits=Limits()) == []


# --- any order of events --------------------------------------------------------------------------


class Lanes:
    """A group whose records are read lane by lane, and a device that loses some of what is delivered."""

    def __init__(self, talk: Talk, start: dict[str, Callable[[], Apply]]) -> None:
        self.talk = talk
        self.reader = talk.people[2]
        self._start = start
        self._apply = {topic: new() for topic, new in start.items()}
        self._log: dict[str, list[Record]] = {topic: [] for topic in start}
        self.said: list[str] = []
        self.timeline = Timeline()

    def say(self, who: int, k: int) -> None:
        record = said(self.talk, self.talk.people[who], f"{len(self.said)}", k=k)
        self.said.append(f"{len(self.said)}")
        self._log[record.topic].append(record)

    def poll(self, topic: str, most: int, *, lost: bool, restarted: bool) -> None:
        if restarted:
            self._apply[topic] = self._start[topic]()
        log = self._log[topic]
        applied = self._apply[topic](*log[:most])
        del log[:most]
        for frame in [] if lost else frames_for(applied, self.reader):
            if isinstance(frame, frames.Msg):
                self.timeline.take(Message.of(frames_as_json(frame)))

    def sync(self) -> None:
        mark = self.timeline.mark
        marks = {} if mark is None else dict([ids.parse_mark(mark)])
        for part in history.backfill(self.reader, marks, limits=replace(Limits(), max_backfill=1_000)):
            messages = [Message.of(frames_as_json(it)) for it in part.messages]
            changes = [Change.of(frames_as_json(it)) for it in part.changes]
            assert not part.more
            self.timeline.cover(messages, changes, part.mark)


def frames_as_json(frame: Any) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(frame)
    return found


steps = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.integers(0, 2), st.sampled_from([1, 1, 2, 3, 31])),
        st.tuples(st.just("poll"), st.sampled_from([TOPIC_MESSAGES, TOPIC_HOT]), st.integers(1, 4), st.booleans()),
        st.tuples(st.just("sync")),
    ),
    max_size=40,
)


@given(steps=steps, random=st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_lost_and_however_k_changes_a_device_sees_what_is_missing_and_gets_it(
    steps: list[Any],
    random: Random,
    make_group: Any,
    make_user: Any,
    restart: Callable[[], Apply],
    start_hot: Callable[[], Apply],
) -> None:
    people = [make_user(uuid4().hex[:12]) for _ in range(3)]
    talk = Talk(make_group(*people), *people)
    container.conversation_store().set_hot(talk.id, 31)
    lanes = Lanes(talk, {TOPIC_MESSAGES: restart, TOPIC_HOT: start_hot})
    for step in steps:
        match step:
            case ("say", who, k):
                lanes.say(who, k)
            case ("poll", topic, most, lost):
                lanes.poll(topic, most, lost=lost, restarted=random.random() < 0.2)
            case _:
                lanes.sync()
        stored = {it.message_id: it for it in talk.stored()}
        # Of each chain the device shows the beginning, without a hole; or it knows of one.
        shown = {ids.parse_server_id(it.server_id)[1] for it in lanes.timeline.shown}
        for sub, newest in ids.parse_mark(lanes.timeline.mark)[1].items() if lanes.timeline.mark else ():
            assert {it for it in stored if ids.sub_of(it) == sub and it <= newest} <= shown
    for topic in (TOPIC_HOT, TOPIC_MESSAGES):
        lanes.poll(topic, 1_000, lost=False, restarted=False)
    lanes.sync()
    assert lanes.timeline.gap is None
    assert [it.server_id for it in lanes.timeline.shown] == [server_id(talk.id, it.message_id) for it in talk.stored()]
    assert sorted(it.body for it in lanes.timeline.shown) == sorted(lanes.said)
