"""Whatever happens in whatever order: what is held is never gone, and what is over its time goes with one sweep.

And of whoever had the account erased nothing is left that is not held.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connections
from django.utils import timezone
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from accounts.models import User
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
from messaging.rights import erasures
from messaging.rights.models import Erasure, ErasureRest

EVE, OFFICER, OTHER = (UserId(number) for number in range(1, 4))
#: Days ago at which something may have been said, or a hold may begin and end.
AGES = st.integers(1, 60)
WHICH = st.integers(0, 20)
DAYS = st.one_of(st.none(), st.integers(5, 50))


@dataclass
class World:
    """One conversation of Ann and Bob, and what there has to be of it: message -> texts of its edits."""

    now: datetime
    said: dict[MessageId, dict[MessageId, str]] = field(default_factory=dict)
    holds: list[tuple[int, MessageId, MessageId, bool]] = field(default_factory=list)
    max_days: int | None = None
    timer_days: int | None = None
    #: Ann's account is to be erased; what of hers was emptied by now.
    erased: bool = False
    empty: set[MessageId] = field(default_factory=set)

    def __post_init__(self) -> None:
        # Not by ``random``, which Hypothesis seeds: each example has people and a conversation of its own.
        self.ann, bob = UserId(new_random_id()), UserId(new_random_id())
        self.user = User.objects.create(id=self.ann, username=f"a{self.ann:x}")
        new = NewConversation(ConversationId(new_random_id()), ConversationType.DM, self.ann, (self.ann, bob))
        self.conversation = container.conversation_store().create(new)[0].id

    def at(self, days: int, place: int) -> MessageId:
        return MessageId(first_id_at(int((self.now - timedelta(days=days)).timestamp() * 1000)) + place)

    def held(self, number: MessageId) -> bool:
        return any(ours and first <= number <= last for _, first, last, ours in self.holds)

    def held_with_edits(self, number: MessageId) -> bool:
        """Whether a message is held, or any moment up to its newest edit."""
        last = max([number, *self.said[number]])
        return any(ours and begin <= last and number <= end for _, begin, end, ours in self.holds)

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

    def do_hide_or_show(self, place: int, which: int, days: int, kind: MessageChangeKind) -> None:
        """Deletions by members, takedowns and what undoes them: what was said stays in the store."""
        self._change(place, which, days, kind)

    def do_leave(self, place: int) -> None:
        container.conversation_store().end_membership(self.ann, self.conversation, at=self.at(0, place))

    def do_erase(self, place: int) -> None:
        """Have Ann's account erased, or go on with it after a while."""
        if not self.erased:
            self.erased = True
            erasures.request_confirmed(user=self.user)
        for _ in range(3):
            Erasure.objects.update(next_at=timezone.now())
            erasures.go_on(until=time.monotonic() + 60)
        self.empty |= {number for number in self.said if not self.held_with_edits(number)}
        self.check()

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
            self.said = {
                number: edits
                for number, edits in self.said.items()
                if number >= before or self.held(number) or any(map(self.held, edits))
            }
        self.check()

    def check(self) -> None:
        store = container.message_store()
        there = {message.message_id for message in store.newest(self.conversation, limit=500)}
        assert there == set(self.said)
        texts = {it.change_id: it.body for it in store.newest_changes(self.conversation, limit=500)}
        bodies = {message.message_id: message.body for message in store.newest(self.conversation, limit=500)}
        assert bodies == {number: "" if number in self.empty else "x" for number in self.said}
        for number, edits in self.said.items():
            wanted = dict.fromkeys(edits, "") if number in self.empty else edits
            assert {change: texts.get(change) for change in edits} == wanted
        known = {change for edits in self.said.values() for change in edits}
        # Of what is gone no text is left; one that is held itself stays.
        assert not [it for it, body in texts.items() if body and it not in known and not self.held(it)]


class Machine(RuleBasedStateMachine):
    """Steps in any order. Each begins with what could go, or most would have nothing to lose."""

    def __init__(self) -> None:
        super().__init__()
        # A sweep comes by all conversations there are, and a job by all erasures.
        for model in (ErasureRest, Erasure, Hold, RetentionPolicy, Sweep, ConversationRow):
            model.objects.all().delete()  # type: ignore[attr-defined]
        self.world = World(datetime.fromisoformat("2026-06-01T12:00:00+00:00"))
        self.place = 0
        for days in (55, 45, 35, 25, 5):
            self.take("say", days)
        for which in range(5):
            self.take("edit", which, 3)
        self.take("policy", 30)

    def take(self, name: str, *args: Any) -> None:
        self.place += 1
        getattr(self.world, f"do_{name}")(self.place, *args)

    @precondition(lambda self: not self.world.erased)
    @rule(days=AGES)
    def say(self, days: int) -> None:
        self.take("say", days)

    @precondition(lambda self: not self.world.erased)
    @rule(which=WHICH, days=AGES)
    def edit(self, which: int, days: int) -> None:
        self.take("edit", which, days)

    @rule(which=WHICH, days=AGES, kind=st.sampled_from(["DELETE", "TAKEDOWN", "RESTORE"]))
    def hide_or_show(self, which: int, days: int, kind: str) -> None:
        self.take("hide_or_show", which, days, MessageChangeKind[kind])

    @rule(on=st.sampled_from(["ann", "eve", "conversation", "all"]), one=AGES, other=AGES)
    def hold(self, on: str, one: int, other: int) -> None:
        self.take("hold", on, one, other)

    @rule(which=st.integers(0, 5))
    def release(self, which: int) -> None:
        self.take("release", which)

    @rule(days=DAYS)
    def policy(self, days: int | None) -> None:
        self.take("policy", days)

    @rule(days=DAYS)
    def timer(self, days: int | None) -> None:
        self.take("timer", days)

    @rule()
    def leave(self) -> None:
        self.take("leave")

    @rule()
    def erase(self) -> None:
        self.take("erase")

    @rule()
    def sweep(self) -> None:
        self.take("sweep")

    def teardown(self) -> None:
        self.take("sweep")


@pytest.mark.django_db
def test_on_sql() -> None:
    run_state_machine_as_test(Machine, settings=settings(max_examples=30, stateful_step_count=20))  # type: ignore[no-untyped-call]
    assert AuditEntry.objects.exists()
    assert not AuditCheckpoint.objects.exists()


def keep_messages_in(cassandra: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    messages = CassandraMessageStore(cassandra)
    conversations = CassandraConversationStore(cassandra, max_inline=100)
    monkeypatch.setattr(container, "message_store", lambda: messages)
    monkeypatch.setattr(container, "conversation_store", lambda: conversations)


@pytest.mark.django_db
def test_on_cassandra(cassandra: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_messages_in(cassandra, monkeypatch)
    run_state_machine_as_test(Machine, settings=settings(max_examples=6, stateful_step_count=20))  # type: ignore[no-untyped-call]


@pytest.fixture
def all_on_postgresql(postgresql: str) -> Iterator[None]:
    """Have everything that is relational on PostgreSQL: people, holds, policies, erasures, the audit log."""
    usual = connections["default"]
    connections["default"] = connections[postgresql]
    yield
    connections["default"] = usual


@pytest.mark.django_db
def test_on_postgresql(all_on_postgresql: None) -> None:
    assert connections["default"].vendor == "postgresql"
    run_state_machine_as_test(Machine, settings=settings(max_examples=6, stateful_step_count=20))  # type: ignore[no-untyped-call]
    assert AuditEntry.objects.filter(action="hold.released").exists()


@pytest.mark.django_db
def test_on_cassandra_and_postgresql(cassandra: Any, all_on_postgresql: None, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_messages_in(cassandra, monkeypatch)
    run_state_machine_as_test(Machine, settings=settings(max_examples=4, stateful_step_count=20))  # type: ignore[no-untyped-call]
