"""Legal hold: what it covers, from when on, and who ends it."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import IntegrityError, connections, transaction
from django.utils import timezone
from prometheus_client import REGISTRY

from messaging.compliance import audit, holds, roles
from messaging.compliance.holds import Held, NewHold
from messaging.compliance.models import AuditEntry, Hold
from messaging.domain.errors import Conflict, Forbidden, InvalidInput
from messaging.domain.ids import MAX_ID, ConversationId, MessageId, UserId, first_id_at

OFFICER, OTHER = UserId(1), UserId(2)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def at(moment: datetime, offset: int = 0) -> MessageId:
    return MessageId(first_id_at(int(moment.timestamp() * 1000)) + offset)


def place(**fields: Any) -> Hold:
    return holds.place_hold(actor=OFFICER, new=NewHold("2026-17", "letter of the court", **fields))


def is_held(conversation: ConversationId, message: MessageId) -> bool:
    return holds.held([conversation])[0][conversation].covers(message)


def is_user_held(user: UserId) -> bool:
    return user in holds.held(users=[user])[1]


@pytest.mark.django_db
class TestWhatIsHeld:
    def test_a_conversation(self, make_user: Callable[..., Any], make_dm: Callable[..., Any]) -> None:
        one, other = make_dm(make_user(), make_user()).id, ConversationId(5)
        place(conversation=one)
        assert holds.held([one, other])[0] == {one: Held(((MessageId(0), MessageId(MAX_ID)),)), other: Held()}

    def test_a_user_in_each_conversation_they_ever_were_in(
        self, make_user: Callable[..., Any], make_dm: Callable[..., Any], make_group: Callable[..., Any]
    ) -> None:
        from chatproject import container

        alice, bob, carol = (make_user() for _ in range(3))
        dm, group, theirs = make_dm(alice, bob).id, make_group(carol, alice, bob).id, make_dm(bob, carol).id
        container.conversation_store().end_membership(UserId(alice.pk), group, at=MessageId(9))
        place(user=UserId(alice.pk))
        found = holds.held([dm, group, theirs])[0]
        assert [bool(found[id_]) for id_ in (dm, group, theirs)] == [True, True, False]
        assert is_user_held(UserId(alice.pk))
        assert not is_user_held(UserId(bob.pk))

    def test_a_time_with_both_its_ends(self) -> None:
        conversation = ConversationId(5)
        place(conversation=conversation, begins_at=NOON, ends_at=NOON + timedelta(hours=1))
        end = NOON + timedelta(hours=1, milliseconds=1)
        for message, expected in ((at(NOON, -1), False), (at(NOON), True), (at(end, -1), True), (at(end), False)):
            assert is_held(conversation, message) is expected

    def test_everything_in_a_time(self) -> None:
        place(begins_at=NOON, ends_at=NOON)
        assert is_held(ConversationId(5), at(NOON))
        assert not is_held(ConversationId(5), at(NOON - timedelta(days=1)))
        assert is_user_held(UserId(77))

    def test_ranges_of_several_holds_are_one_list(self) -> None:
        conversation, hour = ConversationId(5), timedelta(hours=1)
        place(conversation=conversation, begins_at=NOON, ends_at=NOON + hour)
        place(conversation=conversation, begins_at=NOON - hour, ends_at=NOON)
        place(conversation=conversation, ends_at=NOON - 9 * hour)
        millisecond = timedelta(milliseconds=1)
        assert holds.held([conversation])[0][conversation].ranges == (
            (0, at(NOON - 9 * hour + millisecond, -1)),
            (at(NOON - hour), at(NOON + hour + millisecond, -1)),
        )


@pytest.mark.django_db
class TestPlacingAndReleasing:
    @pytest.mark.parametrize(
        "fields",
        [
            {},
            {"begins_at": NOON},
            {"user": UserId(3), "conversation": ConversationId(4)},
            {"user": UserId(3), "begins_at": NOON, "ends_at": NOON - timedelta(days=1)},
        ],
    )
    def test_a_hold_on_one_thing(self, fields: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput):
            place(**fields)
        assert not Hold.objects.exists()

    def test_two_release_it(self) -> None:
        hold, user = place(user=UserId(3)), UserId(3)
        with pytest.raises(Conflict):
            holds.approve_release(actor=OTHER, hold_id=hold.pk, reason="the case is closed")
        holds.request_release(actor=OFFICER, hold_id=hold.pk, reason="the case is closed")
        with pytest.raises(Forbidden):
            holds.approve_release(actor=OFFICER, hold_id=hold.pk, reason="the case is closed")
        assert is_user_held(user)
        with pytest.raises(InvalidInput):
            holds.approve_release(actor=OTHER, hold_id=hold.pk, reason=" ")
        assert is_user_held(user)
        holds.approve_release(actor=OTHER, hold_id=hold.pk, reason="the case is closed")
        assert not is_user_held(user)
        with pytest.raises(Conflict):
            holds.request_release(actor=OFFICER, hold_id=hold.pk, reason="again")
        entries = AuditEntry.objects.filter(object=f"hold/{hold.pk}", case="2026-17").order_by("seq")
        assert [entry.action for entry in entries] == ["hold.placed", "hold.release_requested", "hold.released"]
        assert audit.verify(keys=[]).problems == []

    def test_a_release_that_is_refused_has_to_be_asked_for_anew(self) -> None:
        hold = place(user=UserId(3))
        holds.request_release(actor=OFFICER, hold_id=hold.pk, reason="the case is closed")
        holds.refuse_release(actor=OTHER, hold_id=hold.pk, reason="the appeal is not")
        with pytest.raises(Conflict):
            holds.approve_release(actor=OTHER, hold_id=hold.pk, reason="or is it")
        assert is_user_held(UserId(3))

    def test_the_database_knows_that_there_are_two(self) -> None:
        hold = place(user=UserId(3))
        with pytest.raises(IntegrityError), transaction.atomic():
            Hold.objects.filter(pk=hold.pk).update(release_requested_by=OFFICER, released_by=OFFICER)


@pytest.mark.django_db(transaction=True)
def test_a_hold_waits_for_the_step_that_deletes_and_nothing_is_deleted_after_it() -> None:
    conversation, placed = ConversationId(5), threading.Event()

    def place_it() -> None:
        place(conversation=conversation)
        placed.set()
        connections.close_all()

    placing = threading.Thread(target=place_it)
    with holds.deleting([conversation]) as (held, _):
        placing.start()
        assert not held[conversation]
        assert not placed.wait(0.3)
    placing.join(30)
    assert placed.is_set()
    with holds.deleting([conversation]) as (held, _):
        assert held[conversation]


@pytest.mark.django_db
class TestRoles:
    def test_each_has_its_permissions_and_no_others(self) -> None:
        for role, names in roles.ROLES.items():
            held = Group.objects.get(name=role).permissions.select_related("content_type")
            assert sorted(f"{it.content_type.app_label}.{it.codename}" for it in held) == sorted(names)

    def test_what_was_added_by_hand_goes_with_the_next_migration(self) -> None:
        from django.core.management import call_command

        Group.objects.get(name=roles.AUDITOR).permissions.add(Permission.objects.get(codename="add_hold"))
        call_command("migrate", verbosity=0)
        self.test_each_has_its_permissions_and_no_others()


@pytest.mark.django_db
def test_holds_and_releases_that_nobody_answers_are_measured() -> None:
    def number(name: str) -> float:
        return REGISTRY.get_sample_value(name) or 0.0

    one, _ = place(conversation=ConversationId(5)), place(user=UserId(7))
    holds.measure()
    assert (number("chat_holds"), number("chat_holds_release_age_seconds")) == (2, 0)
    holds.request_release(actor=OFFICER, hold_id=one.pk, reason="closed")
    Hold.objects.filter(pk=one.pk).update(release_requested_at=timezone.now() - timedelta(days=4))
    holds.measure()
    assert number("chat_holds_release_age_seconds") >= timedelta(days=4).total_seconds()
    holds.approve_release(actor=OTHER, hold_id=one.pk, reason="closed")
    holds.measure()
    assert (number("chat_holds"), number("chat_holds_release_age_seconds")) == (1, 0)
