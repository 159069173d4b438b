"""Whatever happens in whatever order: what is held is never gone, and what is over its time goes with one sweep.

``takedown`` and other ways in which something may be deleted are rules of this machine once they are there.
"""

import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatproject import container
from messaging.adapters.cassandra.conversations import CassandraConversationStore
from messaging.adapters.cassandra.messages import CassandraMessageStore
from messaging.compliance import holds, retention
from messaging.compliance.holds import NewHold
from messaging.compliance.models import AuditCheckpoint, AuditEntry, Hold, RetentionPolicy, Sweep
from messaging.domain.ids import ConversationId, MessageId, UserId, first_id_at, new_random_id
from messaging.domain.messages import ConversationType, MessageChangeKind, StoredChange, StoredMessage
from messaging.models import ConversationRow
from messaging.ports import NewConversation

EVE, OFFICER, OTHER = (UserId(number) for number in range(1, 4))
#: Days ago at which something may have been said, or a hold may begin and end.
AGES = st.integers(1, 60)

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), AGES),
        st.tuples(st.just("edit"), st.integers(0, 20), AGES),
        st.tuples(st.just("delete"), st.integers(0, 20), AGES),
        st.tuples(st.just("hold"), st.sampled_from(["ann", "eve", "conversation", "all"]), AGES, AGES),
        st.tuples(st.just("release"), st.integers(0, 5)),
        st.tuples(st.just("policy"), st.one_of(st.none(), st.integers(5, 50))),
        st.tuples(st.just("timer"), st.one_of(st.none(), st.integers(5, 50))),
        st.tuples(st.just("sweep")),
    ),
    min_size=3,
    max_size=25,
)

#: What every example begins with: or most would have nothing that could go, or nothing that is held.
BEGIN: list[tuple[Any, ...]] = [
    *(("say", days) for days in (55, 45, 35, 25, 5)),
    *(("edit", which, 3) for which in range(5)),
    ("policy", 30),
]


@dataclass
class World:
    """One conversation of Ann and Bob, and what there has to be of it: message -> texts of its edits."""

    now: datetime
    said: dict[MessageId, dict[MessageId, str]] = field(default_factory=dict)
    holds: list[tuple[int, MessageId, MessageId, bool]] = field(default_factory=list)
    max_days: int | None = None
    timer_days: int | None = None

    def __post_init__(self) -> None:
        # Not by ``random``, which Hypothesis seeds: each example has people and a conversation of its own.
        self.ann, bob = UserId(new_random_id()), UserId(new_random_id())
        new = NewConversation(ConversationId(new_random_id()), ConversationType.DM, self.ann, (self.ann, bob))
        self.conversation = container.conversation_store().create(new)[0].id

    def at(self, days: int, place: int) -> MessageId:
        return MessageId(first_id_at(int((self.now - timedelta(days=days)).timestamp() * 1000)) + place)

    def held(self, number: MessageId) -> bool:
        return any(ours and first <= number <= last for _, first, last, ours in self.holds)

    def step(self, place: int, name: str, *args: Any) -> None:
        getattr(self, f"do_{name}")(place, *args)

    def do_say(self, place: int, days: int) -> None:
        number = self.at(days, place)
        container.message_store().upsert([StoredMessage(self.conversation, number, self.ann, uuid4().bytes, "x")])
        self.said[number] = {}

    def _change(self, place: int, which: int, days: int, kind: MessageChangeKind) -> StoredChange | None:
        targets = sorted(self.said)
        if not targets:
            return None
        target = targets[which % len(targets)]
        number = max(self.at(days, place), MessageId(target + 1 + place))
        change = StoredChange(self.conversation, number, target, self.ann, uuid4().bytes, kind)
        if kind is MessageChangeKind.EDIT:
            change = replace(change, body="y")
        container.message_store().upsert([], changes=[change])
        return change

    def do_edit(self, place: int, which: int, days: int) -> None:
        change = self._change(place, which, days, MessageChangeKind.EDIT)
        if change is not None:
            self.said[change.target_id][change.change_id] = "y"

    def do_delete(self, place: int, which: int, days: int) -> None:
        """A member's deletion: what was said stays in the store."""
        self._change(place, which, days, MessageChangeKind.DELETE)

    def do_hold(self, place: int, on: str, one: int, other: int) -> None:
        begins, ends = (self.now - timedelta(days=days) for days in (max(one, other), min(one, other)))
        user = {"ann": self.ann, "eve": EVE}.get(on)
        conversation = self.conversation if on == "conversation" else None
        new = NewHold("case", "reason", user, conversation, begins, ends)
        hold = holds.place_hold(actor=OFFICER, new=new)
        first = MessageId(first_id_at(int(begins.timestamp() * 1000)))
        last = MessageId(first_id_at(int(ends.timestamp() * 1000) + 1) - 1)
        self.holds.append((hold.pk, first, last, on != "eve"))

    def do_release(self, place: int, which: int) -> None:
        if self.holds:
            pk, *_ = self.holds.pop(which % len(self.holds))
            holds.request_release(actor=OFFICER, hold_id=pk, reason="closed")
            holds.approve_release(actor=OTHER, hold_id=pk, reason="closed")

    def do_policy(self, place: int, days: int | None) -> None:
        RetentionPolicy.objects.all().delete()
        if days is not None:
            RetentionPolicy.objects.create(max_days=days, note="a rule")
        self.max_days = days

    def do_timer(self, place: int, days: int | None) -> None:
        container.conversation_store().set_timer(self.conversation, None if days is None else days * 86_400)
        self.timer_days = days

    def do_sweep(self, place: int) -> None:
        sweep = retention.begin()
        Sweep.objects.filter(pk=sweep.pk).update(started_at=self.now)
        assert retention.go_on(sweep, until=time.monotonic() + 60)
        ends = [days for days in (self.max_days, self.timer_days) if days is not None]
        if ends:
            before = self.at(min(ends), 0)
            self.said = {number: edits for number, edits in self.said.items() if number >= before or self.held(number)}
        self.check()

    def check(self) -> None:
        store = container.message_store()
        there = {message.message_id for message in store.newest(self.conversation, limit=500)}
        assert there == set(self.said)
        texts = {it.change_id: it.body for it in store.newest_changes(self.conversation, limit=500)}
        for edits in self.said.values():
            assert {change: texts.get(change) for change in edits} == edits
        known = {change for edits in self.said.values() for change in edits}
        # Of what is gone no text is left; one that is held itself stays.
        assert not [it for it, body in texts.items() if body and it not in known and not self.held(it)]


def live(steps: list[tuple[Any, ...]]) -> None:
    # A sweep comes by all conversations there are.
    for model in (Hold, RetentionPolicy, Sweep, ConversationRow):
        model.objects.all().delete()  # type: ignore[attr-defined]
    world = World(datetime.fromisoformat("2026-06-01T12:00:00+00:00"))
    for place, (name, *args) in enumerate([*BEGIN, *steps], start=1):
        world.step(place, name, *args)
    world.do_sweep(0)


@pytest.mark.django_db
def test_on_sql() -> None:
    @settings(max_examples=30)
    @given(STEPS)
    def run(steps: list[tuple[Any, ...]]) -> None:
        live(steps)

    run()
    assert AuditEntry.objects.exists()
    assert not AuditCheckpoint.objects.exists()


@pytest.mark.django_db
def test_on_cassandra(cassandra: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "message_store", lambda: CassandraMessageStore(cassandra))
    conversations = CassandraConversationStore(cassandra, max_inline=100)
    monkeypatch.setattr(container, "conversation_store", lambda: conversations)

    @settings(max_examples=6)
    @given(STEPS)
    def run(steps: list[tuple[Any, ...]]) -> None:
        live(steps)

    run()
