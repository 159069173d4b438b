"""A sweep: what is over its time goes from every copy, what is held stays, and who was away learns of it."""

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.core.management import call_command
from django.utils import timezone

from accounts.models import Device
from chatproject import container
from messaging.compliance import holds, retention
from messaging.compliance.holds import NewHold
from messaging.compliance.models import AuditEntry, Jurisdiction, RetentionPolicy, Sweep
from messaging.domain import frames
from messaging.domain.errors import NotFound
from messaging.domain.events import MessagesExpired, decode_log_event
from messaging.domain.ids import ConversationId, MessageId, UserId, first_id_at, parse_server_id
from messaging.domain.messages import Conversation, MessageChangeKind, StoredChange, StoredMessage
from messaging.ports import TOPIC_MESSAGES, Kept, LogUnavailable
from messaging.selectors import history, inbox, messages
from push.models import Push

pytestmark = pytest.mark.django_db
OFFICER, OTHER = UserId(1), UserId(2)


def aged(days: float, place: int = 1) -> MessageId:
    """Return the id of what was sent so many days ago."""
    return MessageId(first_id_at(int(time.time() * 1000 - days * 86_400_000)) + place)


def say(conversation: Conversation, *ages: float, sender: int = 0) -> list[StoredMessage]:
    """Store messages, in one chain, the oldest first."""
    last = container.conversation_store().get([conversation.id])[conversation.id].mark.get(0)
    made = []
    for days in ages:
        author = UserId(sender or next(iter(conversation.members or {UserId(5)})))
        made.append(StoredMessage(conversation.id, aged(days), author, uuid4().bytes, f"said {days}", prev_id=last))
        last = made[-1].message_id
    container.message_store().upsert(made)
    return made


def left(conversation: Conversation) -> list[str]:
    return [message.body for message in container.message_store().newest(conversation.id, limit=100)][::-1]


def sweep(seconds: float = 60) -> Sweep:
    it = retention.begin()
    retention.go_on(it, until=time.monotonic() + seconds)
    it.refresh_from_db()
    return it


def delete_after(days: int, **fields: Any) -> RetentionPolicy:
    return RetentionPolicy.objects.create(max_days=days, note="a rule", **fields)


@pytest.fixture
def dm(make_user: Callable[..., Any], make_dm: Callable[..., Any]) -> Conversation:
    return make_dm(make_user("ann"), make_user("bob"))  # type: ignore[no-any-return]


def reader_of(conversation: Conversation) -> UserId:
    return next(iter(conversation.members or ()))


class TestSweep:
    def test_what_is_over_its_time_goes_and_it_is_written_down(self, dm: Conversation) -> None:
        delete_after(30)
        say(dm, 40, 31, 29, 1)
        swept = sweep()
        assert left(dm) == ["said 29", "said 1"]
        assert (swept.conversations, swept.due, swept.deleted, swept.held, swept.failed) == (1, 2, 2, 0, 0)
        entry = AuditEntry.objects.get(action="retention.swept")
        assert entry.details == {"conversations": 1, "due": 2, "deleted": 2, "held": 0, "failed": 0}
        assert sweep().deleted == 0

    def test_without_a_rule_nothing_goes(self, dm: Conversation) -> None:
        RetentionPolicy.objects.create(min_days=10, note="a rule")
        say(dm, 4_000 / 10, 1)
        assert sweep().due == 0
        assert len(left(dm)) == 2

    def test_a_step_is_bounded_and_there_are_many(self, dm: Conversation, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retention, "STEP", 2)
        delete_after(30)
        say(dm, 50, 49, 48, 47, 46, 1)
        assert sweep().deleted == 5
        assert left(dm) == ["said 1"]

    def test_the_jurisdiction_of_a_member_holds_for_the_conversation(self, dm: Conversation) -> None:
        delete_after(30, jurisdiction="DE")
        say(dm, 40, 1)
        assert sweep().deleted == 0
        Jurisdiction.objects.create(user_id=reader_of(dm), code="DE")
        assert sweep().deleted == 1
        say(dm, 0.5)
        Jurisdiction.objects.create(conversation_id=dm.id, code="FR")
        assert retention.Rules().of(dm).hidden_after is None

    def test_what_has_to_be_kept_is_hidden_in_time_and_deleted_later(self, dm: Conversation) -> None:
        delete_after(30, conversation_type="dm")
        RetentionPolicy.objects.create(min_days=100, note="a duty")
        hidden, shown = say(dm, 101, 40, 1)[1:]
        assert sweep().deleted == 1
        assert left(dm) == ["said 40", "said 1"]
        page = history.history_page(user_id=reader_of(dm), conversation_id=dm.id, before=None, after=None, limit=10)
        assert [it.body for it in page.results] == [shown.body]
        with pytest.raises(NotFound):
            messages.one_message(user_id=reader_of(dm), conversation_id=dm.id, message_id=hidden.message_id)

    def test_who_is_connected_is_told_once_and_only_of_what_was_shown(self, dm: Conversation) -> None:
        async def told() -> list[MessagesExpired]:
            log = container.message_log()
            await log.start()
            records = await log.reader(TOPIC_MESSAGES, group=f"tests {uuid4()}").poll(max_records=99, timeout_s=0)
            return [it for it in map(decode_log_event, (r.payload for r in records)) if isinstance(it, MessagesExpired)]

        delete_after(30)
        say(dm, 1)
        sweep()
        assert async_to_sync(told)() == []
        RetentionPolicy.objects.update(max_days=20)
        [gone] = say(dm, 25)
        sweep()
        [event] = async_to_sync(told)()
        assert event.upto >= gone.message_id
        sweep()
        assert len(async_to_sync(told)()) == 1

    def test_a_log_that_is_away_holds_no_sweep_up(self, dm: Conversation, monkeypatch: pytest.MonkeyPatch) -> None:
        async def away() -> None:
            raise LogUnavailable("away")

        monkeypatch.setattr(container.message_log(), "start", away)
        delete_after(30)
        say(dm, 40, 1)
        assert sweep().deleted == 1

    def test_pushes_of_what_goes_go_too(self, dm: Conversation, make_user: Callable[..., Any]) -> None:
        delete_after(30)
        going, staying = say(dm, 40, 1)
        user = make_user("eve")
        device = Device.objects.create(user=user, kind="token", name="phone", expires_at=timezone.now())
        for message in (going, staying):
            Push.objects.create(
                conversation_id=dm.id,
                message_id=message.message_id,
                sender_id=message.sender_id,
                user_id=user.pk,
                device=device,
            )
        sweep()
        assert [it.message_id for it in Push.objects.all()] == [staying.message_id]

    @pytest.mark.logs_errors
    def test_one_that_fails_is_told_and_the_others_are_swept(
        self, make_user: Callable[..., Any], make_dm: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ann, bob, eve = make_user(), make_user(), make_user()
        one, two = make_dm(ann, bob), make_dm(ann, eve)
        delete_after(30)
        for it in (one, two):
            say(it, 40)

        class Broken:
            def forget(
                self, conversation_id: ConversationId, *, before: MessageId, keep: Kept, media: Sequence[str]
            ) -> None:
                if conversation_id == one.id:
                    raise OSError("the disk is full")

        monkeypatch.setattr(container, "copies", lambda: (Broken(),))
        swept = sweep()
        assert (swept.deleted, swept.failed) == (1, 1)
        assert (left(one), left(two)) == (["said 40"], [])
        assert AuditEntry.objects.filter(action="retention.failed").count() == 1
        monkeypatch.undo()
        assert sweep().deleted == 1
        assert left(one) == []

    def test_one_that_stopped_half_way_goes_on_where_it_was(
        self, make_user: Callable[..., Any], make_dm: Callable[..., Any]
    ) -> None:
        ann = make_user()
        talks = [make_dm(ann, make_user()) for _ in range(4)]
        delete_after(30)
        for it in talks:
            say(it, 40, 1)
        # No time for more than one conversation.
        begun = sweep(seconds=-1)
        assert (begun.conversations, begun.deleted, begun.finished_at) == (1, 1, None)
        again = sweep()
        assert again.pk == begun.pk
        assert (again.conversations, again.deleted) == (4, 4)
        assert again.finished_at is not None

    def test_two_do_not_sweep_at_once_and_a_dead_one_is_followed(self, dm: Conversation) -> None:
        delete_after(30)
        say(dm, 40)
        it = retention.begin()
        Sweep.objects.filter(pk=it.pk).update(claimed_until=timezone.now() + timedelta(minutes=1))
        assert not retention.go_on(it, until=time.monotonic() + 60)
        assert left(dm) == ["said 40"]
        Sweep.objects.filter(pk=it.pk).update(claimed_until=timezone.now() - timedelta(seconds=1))
        assert retention.go_on(it, until=time.monotonic() + 60)
        assert left(dm) == []

    def test_a_dry_run_says_what_a_sweep_does_and_changes_nothing(self, dm: Conversation) -> None:
        delete_after(30)
        say(dm, 50, 40, 1)
        holds.place_hold(
            actor=OFFICER,
            new=NewHold("1", "a case", conversation=dm.id, ends_at=timezone.now() - timedelta(days=45)),
        )
        out = StringIO()
        call_command("sweep_retention", dry_run=True, stdout=out)
        assert "1 conversations: 2 messages due, 1 would go, 1 are held" in out.getvalue()
        assert len(left(dm)) == 3
        assert not Sweep.objects.exists()
        call_command("sweep_retention", stdout=out)
        assert "1 conversations: 2 messages due, 1 deleted, 1 held, 0 conversations failed" in out.getvalue()
        assert left(dm) == ["said 50", "said 1"]


class TestHeld:
    def test_it_stays_unseen_and_goes_after_the_release(self, dm: Conversation) -> None:
        delete_after(30)
        say(dm, 50, 40, 1)
        hold = holds.place_hold(actor=OFFICER, new=NewHold("1", "a case", user=reader_of(dm)))
        swept = sweep()
        assert (swept.due, swept.deleted, swept.held) == (2, 0, 2)
        assert len(left(dm)) == 3
        page = history.history_page(user_id=reader_of(dm), conversation_id=dm.id, before=None, after=None, limit=9)
        assert [it.body for it in page.results] == ["said 1"]
        holds.request_release(actor=OFFICER, hold_id=hold.pk, reason="closed")
        holds.approve_release(actor=OTHER, hold_id=hold.pk, reason="closed")
        assert sweep().deleted == 2
        assert left(dm) == ["said 1"]


class TestMembers:
    """Who was away, and holds what the server has dropped."""

    def fill(self, user: UserId, conversation: Conversation, mark: MessageId) -> list[frames.Backfill]:
        return history.backfill(user, {conversation.id: {0: mark}}, limits=container.limits())

    def test_a_sync_from_an_old_mark_gets_what_is_left_and_does_not_loop(self, dm: Conversation) -> None:
        delete_after(30)
        said = say(dm, 50, 40, 29, 1)
        edit = StoredChange(
            *(dm.id, aged(0.5), said[0].message_id, said[0].sender_id, uuid4().bytes, MessageChangeKind.EDIT),
            body="better",
            prev_id=said[-1].message_id,
        )
        container.message_store().upsert([], changes=[edit])
        sweep()
        for mark in (said[0].message_id, said[1].message_id, said[2].message_id):
            (fill,) = self.fill(reader_of(dm), dm, mark)
            assert [it.body for it in fill.messages] == ["said 29", "said 1"]
            # The edit of what is gone is a place in the chain.
            assert [type(it) for it in fill.changes] == [frames.Link]
            assert not fill.more
            assert fill.expired_before is not None
            horizon = parse_server_id(fill.expired_before)[1]
            assert said[1].message_id < horizon <= said[2].message_id
            # Whoever takes it has everything up to there: the same question again has no answer.
            assert fill.mark is not None
            assert self.fill(reader_of(dm), dm, parse_server_id(fill.mark)[1]) == []

    def test_where_all_is_gone_there_is_nothing_to_ask_for(self, dm: Conversation) -> None:
        delete_after(30)
        said = say(dm, 50, 40)
        sweep()
        assert self.fill(reader_of(dm), dm, said[0].message_id) == []
        view = inbox.conversation_view(user_id=reader_of(dm), conversation_id=dm.id)
        assert (view.last_message, view.unread.count) == (None, 0)
        page = history.history_page(user_id=reader_of(dm), conversation_id=dm.id, before=None, after=None, limit=9)
        assert (page.results, page.next, page.prev, page.mark) == ([], None, None, None)

    def test_the_first_message_afterwards_follows_one_that_is_gone(self, dm: Conversation) -> None:
        delete_after(30)
        said = say(dm, 50, 40)
        sweep()
        fresh = say(dm, 0.1)[0]
        assert fresh.prev_id == said[-1].message_id
        (fill,) = self.fill(reader_of(dm), dm, said[0].message_id)
        assert [it.body for it in fill.messages] == [fresh.body]
        assert fill.mark is not None
        assert parse_server_id(fill.mark)[1] == fresh.message_id

    def test_a_timer_of_the_members_is_a_rule(self, dm: Conversation) -> None:
        container.conversation_store().set_timer(dm.id, 86_400)
        say(dm, 2, 0.5)
        assert sweep().deleted == 1
        assert left(dm) == ["said 0.5"]
