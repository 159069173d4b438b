"""From an intent to the providers: who gets one, once; what fails is tried again; what is read is taken back."""

import json
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from datetime import time as clock
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from accounts.models import Block, Device, User
from accounts.services.suspension import suspend
from chatproject import container
from messaging.domain import events, ids
from messaging.domain.events import PushIntent, PushRead, ReadMark
from messaging.domain.ids import ConversationId, DeviceId, MessageId, UserId, new_random_id
from messaging.domain.mentions import EVERYBODY
from messaging.domain.messages import ConversationType, MessageChangeKind, StoredChange
from messaging.ports import TOPIC_PUSH, NewConversation, Record
from push import outbox, planning, sending, summary, tasks
from push.models import Push, PushSettings, Subscription
from push.planning import is_quiet
from push.providers.base import Outcome, Result
from push.services import NewSubscription, subscribe
from tests.media.objects import ready
from tests.push.conftest import Town
from tests.push.servers import Answer, ApnsServer, PushService

pytestmark = pytest.mark.django_db(transaction=True)

State = Push.State


def states() -> list[str]:
    return list(Push.objects.order_by("pk").values_list("state", flat=True))


def queued() -> list[tuple[str, list[Any]]]:
    """Return (task, arguments) of the jobs that wait, and take them away."""
    found = []
    for file in sorted((Path(django_settings.JOBS_DIR) / "waiting").glob("*.msg")):
        message = json.loads(file.read_text())
        arguments, *_ = json.loads(b64decode(message["body"]))
        found.append((message["headers"]["task"], arguments))
        file.unlink()
    return found


@pytest.fixture(autouse=True)
def _no_jobs() -> Iterator[None]:
    queued()
    yield
    queued()


def due_now() -> None:
    """Let the time pass until everything that waits is due."""
    Push.objects.filter(state=State.WAITING).update(next_at=timezone.now())


# --- who gets one -----------------------------------------------------------------------------------


def test_everybody_who_is_away_gets_one_on_each_device(town: Town, make_group: Any) -> None:
    ann, bob, cat = town.person("ann", display_name="Ann"), town.person("bob"), town.person("cat")
    group = make_group(ann, bob, cat, name="Lunch")
    phone, browser, hers, mine = town.phone(bob), town.browser(bob), town.phone(cat), town.phone(ann)
    outbox.accept([town.say(group, ann, "Pizza?")])
    for device in (phone, browser, hers):
        assert device.texts == [("Lunch", "Ann: Pizza?")]
    assert mine.got == []
    assert states() == [State.SENT] * 3
    assert phone.got[0].body["conv"] == browser.got[0].body["conv"] == ids.conversation_ref(group.id)
    assert Subscription.objects.get(pk=phone.id).last_success_at is not None


def test_a_dm_is_titled_with_the_senders_name(town: Town, make_dm: Any) -> None:
    ann, bob = town.person("ann", display_name="Ann"), town.person("bob")
    phone = town.phone(bob)
    outbox.accept([town.say(make_dm(ann, bob), ann, "Hi"), town.say(make_dm(ann, bob), ann, "", media=["x"])])
    assert phone.texts == [("Ann", "Attachment")]


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ([{"kind": "image"}], "Photo"),
        ([{"kind": "file", "name": "minutes.pdf"}], "minutes.pdf"),
        ([{"kind": "voice"}, {"kind": "image"}], "2 attachments"),
    ],
)
def test_what_has_no_text_is_told_by_its_files(town: Town, make_dm: Any, files: list[Any], text: str) -> None:
    ann, bob = town.person("ann", display_name="Ann"), town.person("bob")
    phone = town.phone(bob)
    media = [ready(ann.pk, **file) for file in files]
    outbox.accept([town.say(make_dm(ann, bob), ann, "", media=media)])
    assert phone.texts == [("Ann", text)]


@pytest.mark.parametrize(
    ("wanted", "of_device", "shown"),
    [
        ("full", "", ("Ann", "Hi")),
        ("sender", "", ("Ann", "New message")),
        ("nothing", "", ("Chat", "New message")),
        ("full", "nothing", ("Chat", "New message")),
        ("nothing", "full", ("Ann", "Hi")),
    ],
)
def test_it_shows_what_its_reader_allows(
    town: Town, make_dm: Any, wanted: str, of_device: str, shown: tuple[str, str]
) -> None:
    ann, bob = town.person("ann", display_name="Ann"), town.person("bob")
    phone = town.phone(bob, content=of_device)
    PushSettings.objects.create(user=bob, content=wanted)
    outbox.accept([town.say(make_dm(ann, bob), ann, "Hi")])
    assert phone.texts == [shown]


def test_what_is_no_plain_text_leaves_as_a_reference_only(town: Town, make_dm: Any) -> None:
    ann, bob = town.person("ann", display_name="Ann"), town.person("bob")
    phone = town.phone(bob)
    outbox.accept([town.say(make_dm(ann, bob), ann, "c2VjcmV0", kind="sealed")])
    assert phone.texts == [("Chat", "New message")]
    assert "c2VjcmV0" not in str(phone.got)


def test_of_an_encrypted_conversation_a_reference_leaves_and_no_more(town: Town, make_user: Any) -> None:
    ann, bob = town.person("ann", display_name="Ann"), town.person("bob", email="bob@example.org")
    phone, browser = town.phone(bob), town.browser(bob)
    users = (UserId(ann.pk), UserId(bob.pk))
    new = NewConversation(ConversationId(new_random_id()), ConversationType.GROUP_SMALL, users[0], users, "Plot", True)
    talk = container.conversation_store().create(new)[0]
    outbox.accept([town.say(talk, ann, "c2VjcmV0", mentions=[users[1]])])
    for device in (phone, browser):
        assert device.texts == [("Chat", "New message")]
        assert not any(word in str(device.got) for word in ("c2VjcmV0", "Ann", "Plot"))
        assert device.got[0].body["conv"] == ids.conversation_ref(talk.id)
    outbox.accept([town.say(talk, ann, "c2VjcmV0", age_s=400)])
    summary.spill(timezone.now())
    [(_, [subject, text, _, _])] = [job for job in queued() if "mail" in job[0]]
    assert "An encrypted conversation: 1" in text
    assert not any(word in subject + text for word in ("c2VjcmV0", "Ann", "Plot"))


def _muted(town: Town, talk: Any, bob: Any, phone: Any, intent: PushIntent) -> None:
    container.conversation_store().set_muted(UserId(bob.pk), talk.id, timezone.now() + timedelta(hours=1))


def _blocked(town: Town, talk: Any, bob: Any, phone: Any, intent: PushIntent) -> None:
    Block.objects.create(owner=bob, target_id=intent.sender)


def _read(town: Town, talk: Any, bob: Any, phone: Any, intent: PushIntent) -> None:
    container.conversation_store().mark_read([(UserId(bob.pk), talk.id, intent.message)])


def _left(town: Town, talk: Any, bob: Any, phone: Any, intent: PushIntent) -> None:
    container.conversation_store().end_membership(UserId(bob.pk), talk.id, at=intent.message)


def _off(town: Town, talk: Any, bob: Any, phone: Any, intent: PushIntent) -> None:
    PushSettings.objects.create(user=bob, enabled=False)


def _off_here(town: Town, talk: Any, bob: Any, phone: Any, intent: PushIntent) -> None:
    Subscription.objects.filter(pk=phone.id).update(enabled=False)


def _signed_out(town: Town, talk: Any, bob: Any, phone: Any, intent: PushIntent) -> None:
    Device.objects.filter(pk=phone.id).update(revoked_at=timezone.now())


def _expired(town: Town, talk: Any, bob: Any, phone: Any, intent: PushIntent) -> None:
    Device.objects.filter(pk=phone.id).update(expires_at=timezone.now() - timedelta(seconds=1))


def _quiet(town: Town, talk: Any, bob: Any, phone: Any, intent: PushIntent) -> None:
    now = timezone.now()
    from_, until = ((now + timedelta(hours=hours)).time() for hours in (-1, 1))
    PushSettings.objects.create(user=bob, quiet_from=from_, quiet_until=until, time_zone="UTC")


def _suspended(town: Town, talk: Any, bob: Any, phone: Any, intent: PushIntent) -> None:
    suspend(user_id=UserId(bob.pk), reason="rule 3", until=None)


REASONS = [_muted, _blocked, _read, _left, _off, _off_here, _signed_out, _expired, _quiet, _suspended]


@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: reason.__name__)
@pytest.mark.parametrize("when", ["at once", "later"])
def test_who_gets_none(town: Town, make_group: Any, reason: Any, when: str) -> None:
    """Decided at the last moment: also of what waits for its next attempt."""
    ann, bob, cat = town.person("ann"), town.person("bob"), town.person("cat")
    group = make_group(ann, bob, cat)
    phone, other = town.phone(bob), town.phone(cat)
    intent = town.say(group, ann, "Hi")
    if when == "at once":
        reason(town, group, bob, phone, intent)
        outbox.accept([intent])
    else:
        for device in (phone, other):
            device.fails(Answer(500, "InternalServerError"))
        outbox.accept([intent])
        assert states() == [State.WAITING] * 2
        before = len(phone.got)
        reason(town, group, bob, phone, intent)
        due_now()
        outbox.send_due()
        assert len(phone.got) == before
        assert Push.objects.get(device=phone.device).state == State.SKIPPED
    assert "Hi" in [body for _, body in other.texts][-1]
    if when == "at once":
        assert phone.got == []


NAMED = "named"


@pytest.mark.parametrize(
    ("mentions", "reason", "arrives"),
    [
        (NAMED, None, True),
        (NAMED, "turned off", False),
        ("all", None, False),
        ("", None, False),
        (NAMED, _quiet, False),
        (NAMED, _blocked, False),
    ],
)
def test_a_mention_by_name_gets_through_a_mute_and_nothing_else(
    town: Town, make_group: Any, mentions: str, reason: Any, arrives: bool
) -> None:
    ann, bob = town.person("ann", display_name="Ann"), town.person("bob")
    group = make_group(ann, bob, name="Lunch")
    phone = town.phone(bob)
    named = {NAMED: [UserId(bob.pk)], "all": [EVERYBODY], "": []}[mentions]
    intent = town.say(group, ann, "@bob?", mentions=named)
    _muted(town, group, bob, phone, intent)
    if reason == "turned off":
        PushSettings.objects.create(user=bob, mentions_override_mute=False)
    elif reason is not None:
        reason(town, group, bob, phone, intent)
    outbox.accept([intent])
    assert phone.texts == ([("Lunch", "Ann: @bob?")] if arrives else [])


def test_a_mention_is_told_where_the_text_is_not(town: Town, make_group: Any) -> None:
    ann, bob, cat = town.person("ann", display_name="Ann"), town.person("bob"), town.person("cat")
    PushSettings.objects.create(user=bob, content="sender")
    PushSettings.objects.create(user=cat, content="sender")
    phone, other = town.phone(bob), town.phone(cat)
    outbox.accept([town.say(make_group(ann, bob, cat, name="Lunch"), ann, "@bob?", mentions=[UserId(bob.pk)])])
    assert phone.texts == [("Lunch", "Ann mentioned you")]
    assert other.texts == [("Lunch", "New message from Ann")]


def test_each_reader_is_told_in_their_own_language(town: Town, make_group: Any) -> None:
    ann = town.person("ann", display_name="Ann")
    people = {language: town.person(f"reader-{language}", language=language) for language in ("", "de", "es", "ar")}
    phones = {language: town.phone(person) for language, person in people.items()}
    group = make_group(ann, *people.values(), name="Lunch")
    outbox.accept([town.say(group, ann, "", media=["x", "y"])])
    assert {language: phone.texts for language, phone in phones.items()} == {
        "": [("Lunch", "Ann: 2 attachments")],
        "de": [("Lunch", "Ann: 2 Anhänge")],
        "es": [("Lunch", "Ann: 2 archivos adjuntos")],
        "ar": [("Lunch", "Ann: مرفقان")],
    }
    assert translation.get_language() == "en"


def test_the_mail_is_in_the_language_of_who_gets_it(town: Town, make_dm: Any) -> None:
    ann, bob = town.person("ann", display_name="Ann"), town.person("bob", email="bob@example.org", language="de")
    town.phone(bob)
    outbox.accept([town.say(make_dm(ann, bob), ann, "secret", age_s=400)])
    summary.spill(timezone.now())
    [job] = [it for it in queued() if it[0] == "accounts.tasks.send_mail_task"]
    subject, body = job[1][:2]
    assert subject == "1 ungelesene Nachricht"
    assert body.startswith("Im Chat wartet 1 ungelesene Nachricht auf dich.")


def change(intent: PushIntent, kind: MessageChangeKind, body: str = "") -> None:
    """Let the author edit or delete the message."""
    at = MessageId(intent.message + 1)
    done = StoredChange(intent.conversation, at, intent.message, intent.sender, uuid4().bytes, kind, body)
    container.message_store().upsert([], changes=[done])


def test_a_message_is_pushed_as_it_reads_now_and_not_once_it_is_deleted(town: Town, make_dm: Any) -> None:
    ann, bob = town.person("ann"), town.person("bob")
    phone = town.phone(bob)
    talk = make_dm(ann, bob)
    edited, deleted = town.say(talk, ann, "secret 1"), town.say(talk, ann, "secret 2")
    change(edited, MessageChangeKind.EDIT, "better")
    change(deleted, MessageChangeKind.DELETE)
    outbox.accept([edited, deleted])
    assert phone.texts == [("ann", "better")]
    assert "secret" not in str(phone.got)


def test_of_a_user_whose_other_device_answered_the_silent_device_alone_gets_one(town: Town, make_dm: Any) -> None:
    ann, bob = town.person("ann"), town.person("bob")
    phone, other = town.phone(bob), town.phone(bob)
    intent = town.say(make_dm(ann, bob), ann, "Hi")
    outbox.accept([msgspec.structs.replace(intent, users=[], devices=[phone.id, DeviceId(5)])])
    assert (len(phone.got), len(other.got)) == (1, 0)


def test_a_large_group_is_asked_in_pages(town: Town, make_group: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(planning, "_PAGE", 7)
    people = [town.person(f"p{number}") for number in range(30)]
    limits = replace(container.limits(), max_group_small=10)
    monkeypatch.setattr(container, "limits", lambda: limits)
    container.conversation_store.cache_clear()
    group = make_group(*people)
    assert container.conversation_store().get([group.id])[group.id].members is None
    phones = [town.phone(person) for person in people]
    outbox.accept([town.say(group, people[0], "Hi")])
    assert [len(phone.got) for phone in phones] == [0] + [1] * 29


@pytest.mark.parametrize(
    ("from_", "until", "at", "quiet"),
    [
        ("22:00", "07:00", "23:30", True),
        ("22:00", "07:00", "06:59", True),
        ("22:00", "07:00", "07:00", False),
        ("22:00", "07:00", "21:59", False),
        ("13:00", "14:00", "13:30", True),
        ("13:00", "14:00", "14:00", False),
        ("13:00", "13:00", "13:00", False),
    ],
)
def test_quiet_hours_are_the_users_own(from_: str, until: str, at: str, quiet: bool) -> None:
    wanted = PushSettings(
        quiet_from=clock.fromisoformat(from_), quiet_until=clock.fromisoformat(until), time_zone="Asia/Kolkata"
    )
    there = datetime.fromisoformat(f"2026-07-01T{at}:00+05:30")
    assert is_quiet(wanted, there.astimezone(UTC)) is quiet
    assert not is_quiet(PushSettings(), there)


# --- once -------------------------------------------------------------------------------------------


def test_an_intent_that_comes_again_pushes_once(town: Town, make_dm: Any) -> None:
    ann, bob = town.person("ann"), town.person("bob")
    phone = town.phone(bob)
    intent = town.say(make_dm(ann, bob), ann, "Hi")
    outbox.accept([intent, intent])
    outbox.accept([intent])
    outbox.accept([msgspec.structs.replace(intent, users=[], devices=[phone.id])])
    due_now()
    outbox.send_due()
    assert len(phone.got) == 1


def test_what_a_killed_worker_had_claimed_is_sent_after_its_lease(town: Town, make_dm: Any, monkeypatch: Any) -> None:
    ann, bob = town.person("ann"), town.person("bob")
    phone = town.phone(bob)
    intent = town.say(make_dm(ann, bob), ann, "Hi")

    class Killed(Exception):
        pass

    def die(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as killing:
        killing.setattr(outbox, "_send", die)
        with pytest.raises(Killed):
            outbox.accept([intent])
    assert states() == [State.WAITING]
    assert outbox.send_due() == 0, "it may be about to be sent"
    due_now()
    assert outbox.send_due() == 1
    assert len(phone.got) == 1


def test_of_several_messages_of_a_conversation_the_last_is_shown_and_all_count(town: Town, make_dm: Any) -> None:
    ann, bob, cat = town.person("ann"), town.person("bob"), town.person("cat")
    phone = town.phone(bob)
    first, second = make_dm(ann, bob), make_dm(cat, bob)
    outbox.accept([town.say(first, ann, "1"), town.say(first, ann, "2"), town.say(second, cat, "3")])
    assert sorted(phone.texts) == [("ann", "2"), ("cat", "3")]
    assert sorted(states()) == [State.COLLAPSED, State.SENT, State.SENT]
    assert {got.body["aps"]["badge"] for got in phone.got} == {3}
    assert {got.headers["apns-collapse-id"] for got in phone.got} == {
        ids.conversation_ref(first.id), ids.conversation_ref(second.id)
    }  # fmt: skip


# --- what fails -------------------------------------------------------------------------------------


def test_a_dead_address_is_removed_with_its_reason(town: Town, make_dm: Any) -> None:
    ann, bob = town.person("ann"), town.person("bob")
    phone, browser, other = town.phone(bob), town.browser(bob), town.phone(bob)
    phone.fails(Answer(410, "Unregistered"))
    browser.fails(Answer(404))
    outbox.accept([town.say(make_dm(ann, bob), ann, "Hi")])
    assert list(Subscription.objects.values_list("pk", flat=True)) == [other.id]
    dead = Push.objects.filter(state=State.DEAD).order_by("device_id")
    assert {(row.device_id, row.reason) for row in dead} == {(phone.id, "Unregistered"), (browser.id, "HTTP 404")}
    assert len(other.got) == 1


def test_an_address_that_was_renewed_meanwhile_stays(town: Town, make_dm: Any) -> None:
    bob = town.person("bob")
    phone = town.phone(bob)
    stale = Subscription.objects.get(pk=phone.id)
    subscribe(user=bob, device_id=phone.id, new=NewSubscription("apns", "ef" * 32))
    outbox.note(stale, Outcome(Result.GONE, "Unregistered"))
    assert Subscription.objects.filter(pk=phone.id).exists()


def test_what_is_refused_for_good_is_dead_with_its_reason(town: Town, make_dm: Any) -> None:
    ann, bob = town.person("ann"), town.person("bob")
    phone = town.phone(bob)
    phone.fails(Answer(400, "BadExpirationDate"))
    outbox.accept([town.say(make_dm(ann, bob), ann, "Hi")])
    row = Push.objects.get()
    assert (row.state, row.reason, row.attempts) == (State.DEAD, "BadExpirationDate", 1)
    subscription = Subscription.objects.get()
    assert (subscription.last_error, subscription.last_success_at) == ("BadExpirationDate", None)
    outbox.accept([town.say(make_dm(ann, bob), ann, "again")])
    assert Subscription.objects.get().last_error == ""


def test_what_fails_is_tried_again_with_back_off(town: Town, make_dm: Any) -> None:
    ann, bob = town.person("ann"), town.person("bob")
    phone = town.phone(bob)
    phone.fails(*[Answer(500, "InternalServerError")] * 3)
    outbox.accept([town.say(make_dm(ann, bob), ann, "Hi")])
    waits = []
    for _ in range(3):
        row = Push.objects.get()
        assert row.state == State.WAITING
        waits.append((row.next_at - timezone.now()).total_seconds())
        due_now()
        outbox.send_due()
    assert Push.objects.get().state == State.SENT
    assert Push.objects.get().attempts == 4
    assert phone.texts[-1] == ("ann", "Hi")
    for wait, longest in zip(waits, (1, 2, 4), strict=True):
        assert longest / 2 - 0.5 < wait <= longest


def test_a_pause_that_the_provider_asks_for_is_kept(town: Town, make_dm: Any) -> None:
    ann, bob, cat = town.person("ann"), town.person("bob"), town.person("cat")
    phone, other = town.phone(bob), town.phone(cat)
    phone.fails(Answer(429, "TooManyRequests", {"retry-after": "40"}))
    outbox.accept([town.say(make_dm(ann, bob), ann, "Hi")])
    outbox.accept([town.say(make_dm(ann, cat), ann, "Hi")])
    assert other.got == [], "the pause is the provider's, for everybody"
    for row in Push.objects.all():
        assert 35 < (row.next_at - timezone.now()).total_seconds() <= 41
    assert list(Push.objects.order_by("pk").values_list("attempts", flat=True)) == [1, 0]


def test_a_provider_that_is_out_is_left_alone_and_the_others_go_on(
    town: Town, make_group: Any, apple: ApnsServer, mozilla: PushService
) -> None:
    ann, *people = [town.person(f"p{number}") for number in range(9)]
    group = make_group(ann, *people)
    phones = [town.phone(person) for person in people]
    browser = town.browser(people[0])
    apple.always = Answer(503, "ServiceUnavailable")
    for text in ("1", "2"):
        outbox.accept([town.say(group, ann, text)])
    tried = len(apple.got)
    assert 5 <= tried <= 8, "then its circuit is open"
    outbox.accept([town.say(group, ann, "3")])
    assert len(apple.got) == tried
    assert [text for _, text in browser.texts] == ["p0: 1", "p0: 2", "p0: 3"]
    assert Push.objects.filter(state=State.WAITING).count() == 3 * len(phones)


def test_what_failed_is_not_shown_in_place_of_what_came_after_it(town: Town, make_dm: Any) -> None:
    ann, bob = town.person("ann"), town.person("bob")
    phone, tablet = town.phone(bob), town.phone(bob)
    talk = make_dm(ann, bob)
    phone.fails(Answer(500, "InternalServerError"))
    tablet.fails(*[Answer(500, "InternalServerError")] * 2)
    outbox.accept([town.say(talk, ann, "1")])
    outbox.accept([town.say(talk, ann, "2")])
    due_now()
    outbox.send_due()
    assert [text for _, text in phone.texts] == ["1", "2"]
    assert [text for _, text in tablet.texts] == ["1", "2", "2"]
    assert sorted(states()) == [State.COLLAPSED] * 2 + [State.SENT] * 2


def test_of_what_waits_for_a_device_the_last_of_each_conversation_is_shown(
    town: Town, make_dm: Any, monkeypatch: Any
) -> None:
    """However much of it is looked at together."""
    monkeypatch.setattr(outbox, "_BATCH", 2)
    ann, bob, cat = town.person("ann"), town.person("bob"), town.person("cat")
    phone = town.phone(bob)
    first, second = make_dm(ann, bob), make_dm(cat, bob)
    phone.fails(*[Answer(500, "InternalServerError")] * 4)
    for text in ("1", "2"):
        outbox.accept([town.say(first, ann, text)])
        outbox.accept([town.say(second, cat, text)])
    due_now()
    assert outbox.send_due() == 4
    assert sorted(phone.texts[4:]) == [("ann", "2"), ("cat", "2")]
    assert sorted(states()) == [State.COLLAPSED] * 2 + [State.SENT] * 2


def test_what_a_provider_that_is_out_leaves_costs_the_same_for_few_and_for_many(
    town: Town, make_group: Any, apple: ApnsServer
) -> None:
    people = [town.person(f"p{number}") for number in range(40)]
    for person in people:
        town.phone(person)
    few, many = make_group(*people[:3]), make_group(*people)
    apple.always = Answer(503, "ServiceUnavailable")
    for _ in range(3):
        outbox.accept([town.say(few, people[0], "its circuit opens")])
    counts = []
    for group in (few, many):
        with CaptureQueriesContext(connection) as asked:
            outbox.accept([town.say(group, people[0], "Hi")])
        counts.append(len(asked))
    assert counts[0] == counts[1]


def test_while_no_provider_takes_anything_the_backlog_is_left_alone(
    town: Town, make_dm: Any, apple: ApnsServer, monkeypatch: Any
) -> None:
    monkeypatch.setattr(outbox, "_BATCH", 2)
    ann = town.person("ann")
    people = [town.person(f"p{number}") for number in range(9)]
    apple.always = Answer(503, "ServiceUnavailable")
    for person in people:
        town.phone(person)
        outbox.accept([town.say(make_dm(ann, person), ann, "Hi")])
    tried = len(apple.got)
    due_now()
    assert outbox.send_due() == 2, "and not nine, of which no provider would see one"
    assert len(apple.got) == tried


# --- taken back -------------------------------------------------------------------------------------


def test_a_read_takes_it_back_on_the_other_devices(town: Town, make_dm: Any) -> None:
    ann, bob, cat = town.person("ann"), town.person("bob"), town.person("cat")
    phone, tablet, browser = town.phone(bob), town.phone(bob), town.browser(bob)
    read_here, other = make_dm(ann, bob), make_dm(cat, bob)
    first, second, elsewhere = town.say(read_here, ann, "1"), town.say(read_here, ann, "2"), town.say(other, cat, "3")
    for intent in (first, second, elsewhere):
        outbox.accept([intent])
    mark = ReadMark(UserId(bob.pk), read_here.id, second.message, phone.id)
    outbox.take_back([mark, msgspec.structs.replace(mark, user=UserId(ann.pk))])
    server_id = ids.server_id(read_here.id, second.message)
    assert (phone.taken_back, tablet.taken_back, browser.taken_back) == ([], [server_id], [server_id])
    assert tablet.got[-1].body["aps"] == {"badge": 1, "content-available": 1}
    outbox.take_back([mark])
    assert len(tablet.taken_back) == 1, "once is enough"
    assert Push.objects.filter(conversation_id=other.id, state=State.SENT).count() == 3


def test_a_mark_takes_back_nothing_that_came_after_it(town: Town, make_dm: Any) -> None:
    ann, bob = town.person("ann"), town.person("bob")
    phone = town.phone(bob)
    talk = make_dm(ann, bob)
    first, second = town.say(talk, ann, "1"), town.say(talk, ann, "2")
    for intent in (first, second):
        outbox.accept([intent])
    outbox.take_back([ReadMark(UserId(bob.pk), talk.id, first.message, DeviceId(0))])
    assert phone.taken_back == [ids.server_id(talk.id, first.message)]
    assert states() == [State.WITHDRAWN, State.SENT]


def test_what_is_read_before_it_is_sent_is_not_sent(town: Town, make_dm: Any) -> None:
    ann, bob = town.person("ann"), town.person("bob")
    phone = town.phone(bob)
    phone.fails(Answer(500, "InternalServerError"))
    talk = make_dm(ann, bob)
    intent = town.say(talk, ann, "1")
    outbox.accept([intent])
    outbox.take_back([ReadMark(UserId(bob.pk), talk.id, intent.message, DeviceId(0))])
    due_now()
    outbox.send_due()
    assert (states(), len(phone.got)) == ([State.SKIPPED], 1)
    assert phone.taken_back == []


# --- too late ---------------------------------------------------------------------------------------


def test_a_backlog_becomes_one_mail_a_person_and_is_never_pushed(town: Town, make_dm: Any, make_group: Any) -> None:
    ann, bob = town.person("ann", display_name="Ann"), town.person("bob", email="bob@example.org")
    cat, dan = town.person("cat"), town.person("dan", email="dan@example.org")
    phone, tablet, hers, his = town.phone(bob), town.phone(bob), town.phone(cat), town.phone(dan)
    dm, group = make_dm(ann, bob), make_group(ann, bob, cat, dan, name="Lunch")
    late = [town.say(dm, ann, "secret 1", age_s=400), town.say(dm, ann, "secret 2", age_s=390)]
    late.append(town.say(group, ann, "secret 3", age_s=380))
    container.conversation_store().mark_read([(UserId(dan.pk), group.id, late[-1].message)])
    fresh = town.say(dm, ann, "fresh", age_s=10)
    outbox.accept([*late, fresh])
    assert phone.texts == [("Ann", "fresh")], "late ones are not sent, not even once"
    summary.spill(timezone.now())
    # The mail is a job; this runs it.
    [job] = [it for it in queued() if it[0] == "accounts.tasks.send_mail_task"]
    subject, body, _, to = job[1]
    assert (subject, to) == ("3 unread messages", ["bob@example.org"])
    assert "- Ann: 2" in body
    assert "- Lunch: 1" in body
    assert "secret" not in body
    due_now()
    outbox.send_due()
    summary.spill(timezone.now())
    assert phone.texts == [("Ann", "fresh")]
    assert (tablet.texts, hers.got, his.got) == ([("Ann", "fresh")], [], [])
    assert [it for it in queued() if it[0] == "accounts.tasks.send_mail_task"] == []
    assert Push.objects.filter(state=State.SPILLED).count() == 2 * 3 + 1 + 1


def test_while_a_backlog_drains_a_person_gets_one_mail_with_what_is_late_then(town: Town, make_dm: Any) -> None:
    ann, bob = town.person("ann"), town.person("bob", email="bob@example.org")
    town.phone(bob)
    talk = make_dm(ann, bob)
    outbox.accept([town.say(talk, ann, "1", age_s=400)])
    now = timezone.now()
    assert summary.spill(now) == 1
    outbox.accept([town.say(talk, ann, "2", age_s=390), town.say(talk, ann, "3", age_s=380)])
    assert summary.spill(now) == 0
    assert outbox.send_due() == 0
    assert len(queued()) == 1
    assert summary.spill(now + timedelta(minutes=16)) == 2
    [(_, [subject, *_])] = queued()
    assert subject == "2 unread messages"


def test_what_waits_for_the_mail_is_not_in_the_way_of_what_is_due(town: Town, make_dm: Any) -> None:
    ann, bob = town.person("ann"), town.person("bob")
    phone = town.phone(bob)
    phone.fails(Answer(500, "InternalServerError"))
    outbox.accept([town.say(make_dm(ann, bob), ann, "1"), town.say(make_dm(ann, bob), ann, "2", age_s=400)])
    assert Push.objects.filter(next_at=None).count() == 1
    PushSettings.objects.create(user=bob, summary_at=timezone.now())
    assert summary.spill(timezone.now() + timedelta(seconds=outbox.LATE_AFTER_S + 1)) == 0
    assert Push.objects.filter(state=State.WAITING, next_at=None).count() == 2
    assert outbox.next_due_s(timezone.now()) is None


def test_what_is_being_sent_when_it_gets_late_is_not_mailed_as_well(town: Town, make_dm: Any, monkeypatch: Any) -> None:
    ann, bob = town.person("ann"), town.person("bob", email="bob@example.org")
    phone = town.phone(bob)
    later = timezone.now() + timedelta(seconds=outbox.LATE_AFTER_S + 1)
    mailed: list[int] = []

    def spill(*arguments: Any) -> Any:
        Push.objects.update(next_at=later + timedelta(seconds=outbox.LEASE_S))
        mailed.append(summary.spill(later))
        return badges(*arguments)

    badges = outbox.badges
    monkeypatch.setattr(outbox, "badges", spill)
    outbox.accept([town.say(make_dm(ann, bob), ann, "Hi")])
    assert (mailed, len(phone.got), states()) == ([0], 1, [State.SENT])
    Push.objects.update(state=State.WAITING)
    assert summary.spill(later + timedelta(seconds=outbox.LEASE_S + 1)) == 1, "whoever sent it may have died"


@pytest.mark.parametrize("wanted", ["no address", "no mails", "nothing shown"])
def test_the_mail_is_as_its_reader_wants_it(town: Town, make_dm: Any, wanted: str) -> None:
    ann, bob = (
        town.person("ann", display_name="Ann"),
        town.person("bob", email="bob@example.org" * (wanted != "no address")),
    )
    town.phone(bob)
    PushSettings.objects.create(
        user=bob, email_summary=wanted != "no mails", content="nothing" if wanted == "nothing shown" else "full"
    )
    outbox.accept([town.say(make_dm(ann, bob), ann, "1", age_s=400)])
    assert summary.spill(timezone.now()) == 1
    jobs = queued()
    assert len(jobs) == (wanted == "nothing shown")
    assert "Ann" not in str(jobs)


def test_what_could_not_be_sent_in_time_is_given_up(town: Town, make_dm: Any) -> None:
    ann, bob = town.person("ann"), town.person("bob", email="bob@example.org")
    phone = town.phone(bob)
    phone.fails(Answer(500, "InternalServerError"))
    outbox.accept([town.say(make_dm(ann, bob), ann, "1")])
    Push.objects.update(next_at=timezone.now())
    later = timezone.now() + timedelta(seconds=outbox.LATE_AFTER_S + 1)
    assert summary.spill(later) == 1
    due_now()
    assert outbox.send_due() == 0
    assert states() == [State.SPILLED]
    assert len(queued()) == 1


# --- jobs -------------------------------------------------------------------------------------------


def record(event: Any, payload: bytes | None = None) -> Record:
    return Record(TOPIC_PUSH, 0, 1, 1, b"k", payload if payload is not None else events.encode(event))


@pytest.mark.logs_errors
def test_the_job_takes_records_of_both_kinds_and_passes_over_poison(town: Town, make_dm: Any) -> None:
    ann, bob = town.person("ann"), town.person("bob")
    phone = town.phone(bob)
    talk = make_dm(ann, bob)
    intent = town.say(talk, ann, "Hi")
    read = PushRead([ReadMark(UserId(bob.pk), talk.id, intent.message, DeviceId(0))])
    records = [record(intent), record(None, msgspec.msgpack.encode("no intent")), record(read)]
    tasks.push_messages(msgspec.to_builtins(records))
    assert phone.texts == [("ann", "Hi")]
    assert phone.taken_back == [ids.server_id(talk.id, intent.message)]


def test_what_failed_has_a_job_of_its_own_soon(town: Town, make_dm: Any, make_group: Any) -> None:
    ann, bob = town.person("ann"), town.person("bob")
    phone = town.phone(bob)
    phone.fails(Answer(500, "InternalServerError"))
    talk = make_dm(ann, bob)
    tasks.push_messages(msgspec.to_builtins([record(town.say(talk, ann, "1"))]))
    tasks.push_messages(msgspec.to_builtins([record(town.say(make_group(ann, bob), ann, "2"))]))
    assert [name for name, _ in queued()] == ["push.tasks.send_due_pushes"], "one for all"
    due_now()
    tasks.send_due_pushes()
    assert [text for _, text in phone.texts] == ["1", "ann: 2", "1"]
    assert queued() == [], "nothing waits any more"


def test_a_test_push_shows_what_became_of_it(town: Town) -> None:
    phone = town.phone(town.person("ann"))
    tasks.send_test(phone.id)
    assert phone.texts == [("Chat", "Notifications work on this device.")]
    User.objects.update(language="de")
    tasks.send_test(phone.id)
    assert phone.texts[1:] == [("Chat", "Benachrichtigungen kommen auf diesem Gerät an.")]
    assert Subscription.objects.get().last_success_at is not None
    phone.fails(Answer(400, "BadTopic"))
    tasks.send_test(phone.id)
    assert Subscription.objects.get().last_error == "BadTopic"
    tasks.send_test(5)


def test_old_rows_go(town: Town, make_dm: Any) -> None:
    ann, bob = town.person("ann"), town.person("bob")
    town.phone(bob)
    outbox.accept([town.say(make_dm(ann, bob), ann, "Hi")])
    assert tasks.delete_old_pushes() == 0
    Push.objects.update(created_at=timezone.now() - timedelta(days=8))
    assert tasks.delete_old_pushes() == 1


def test_the_age_of_what_waits_is_measured(town: Town, make_dm: Any) -> None:
    ann, bob = town.person("ann"), town.person("bob")
    phone = town.phone(bob)
    assert outbox.measure(timezone.now()) == 0
    phone.fails(Answer(500, "InternalServerError"))
    outbox.accept([town.say(make_dm(ann, bob), ann, "Hi", age_s=20)])
    assert 20 <= outbox.measure(timezone.now()) < 25


def test_the_rate_is_kept_and_what_waits_too_long_comes_later(
    town: Town, make_group: Any, settings: Any, monkeypatch: Any
) -> None:
    settings.PUSH = replace(settings.PUSH, rate_per_s=5)
    ann, *people = [town.person(f"p{number}") for number in range(9)]
    phones = [town.phone(person) for person in people]
    group = make_group(ann, *people)
    monkeypatch.setattr(sending, "_PATIENCE_S", 0.0)
    outbox.accept([town.say(group, ann, "Hi")])
    assert sum(len(phone.got) for phone in phones) == 5
    waiting = Push.objects.filter(state=State.WAITING)
    assert [(row.reason, row.attempts) for row in waiting] == [("rate", 0)] * 3
