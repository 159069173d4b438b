"""What a device shows of a message follows its edits and its deletion, without a sound."""

from typing import Any
from uuid import uuid4

import msgspec
import pytest

from chatproject import container
from messaging.domain import events, ids
from messaging.domain.events import PushChanged, PushIntent
from messaging.domain.ids import MessageId, UserId
from messaging.domain.messages import MessageChangeKind, StoredChange
from messaging.ports import TOPIC_PUSH, Record
from push import outbox, tasks
from push.following import follow
from push.models import Push, PushSettings, Subscription
from tests.push.conftest import Phone, Town
from tests.push.servers import Answer

pytestmark = pytest.mark.django_db(transaction=True)


def changed(intent: PushIntent, kind: MessageChangeKind, body: str = "") -> PushChanged:
    """Let the author edit or delete the message; return what the router tells of it."""
    at = MessageId(intent.message + 1)
    done = StoredChange(intent.conversation, at, intent.message, intent.sender, uuid4().bytes, kind, body)
    container.message_store().upsert([], changes=[done])
    return PushChanged(intent.conversation, intent.message)


def edited(intent: PushIntent, body: str) -> PushChanged:
    return changed(intent, MessageChangeKind.EDIT, body)


def deleted(intent: PushIntent) -> PushChanged:
    return changed(intent, MessageChangeKind.DELETE)


def ref(intent: PushIntent) -> str:
    return ids.server_id(intent.conversation, intent.message)


def badge(phone: Phone) -> int:
    return int(phone.got[-1].body["aps"]["badge"])


def test_an_edit_takes_the_place_of_what_is_shown(town: Town, make_dm: Any) -> None:
    ann, bob = town.person("ann", display_name="Ann"), town.person("bob")
    phone, browser = town.phone(bob), town.browser(bob)
    said = town.say(make_dm(ann, bob), ann, "helo")
    outbox.accept([said])
    follow([edited(said, "hello")])
    for device in (phone, browser):
        assert device.texts == [("Ann", "helo"), ("Ann", "hello")]
        assert device.got[-1].body["replaces"] == device.got[-1].body["server_id"] == ref(said)
    assert [got.headers["apns-priority"] for got in phone.got] == ["10", "5"]
    assert ["sound" in got.body["aps"] for got in phone.got] == [True, False]
    assert phone.got[0].headers["apns-collapse-id"] == phone.got[1].headers["apns-collapse-id"]
    assert [got.headers["urgency"] for got in browser.got] == ["high", "low"]
    assert badge(phone) == 1


def test_an_edit_of_what_is_not_shown_changes_nothing(town: Town, make_dm: Any) -> None:
    ann, bob, cat = town.person("ann"), town.person("bob"), town.person("cat")
    PushSettings.objects.create(user=cat, content="sender")
    phone, hers = town.phone(bob), town.phone(cat)
    talk, other = make_dm(ann, bob), make_dm(ann, cat)
    first, second = town.say(talk, ann, "1"), town.say(talk, ann, "2")
    nameless, read = town.say(other, ann, "3"), town.say(talk, ann, "4")
    outbox.accept([first, second, nameless])
    before = (len(phone.got), len(hers.got))
    follow([edited(first, "one"), edited(nameless, "three")])
    assert (len(phone.got), len(hers.got)) == before, "a later one is shown; no text is shown"
    outbox.accept([read])
    outbox.take_back([events.ReadMark(UserId(bob.pk), talk.id, read.message, phone.id)])
    before = (len(phone.got), len(hers.got))
    follow([edited(read, "four")])
    assert (len(phone.got), len(hers.got)) == before, "it was read"


def test_a_deletion_takes_back_what_is_shown(town: Town, make_dm: Any) -> None:
    ann, bob = town.person("ann"), town.person("bob")
    phone, browser = town.phone(bob), town.browser(bob)
    said = town.say(make_dm(ann, bob), ann, "secret")
    outbox.accept([said])
    follow([deleted(said)])
    follow([PushChanged(said.conversation, said.message)])
    assert (phone.taken_back, browser.taken_back) == ([ref(said)], [ref(said)])
    assert badge(phone) == 0
    assert set(Push.objects.values_list("state", flat=True)) == {Push.State.WITHDRAWN}


def test_what_is_left_takes_the_place_of_what_was_deleted(town: Town, make_dm: Any) -> None:
    ann, bob = town.person("ann", display_name="Ann"), town.person("bob")
    phone = town.phone(bob)
    talk = make_dm(ann, bob)
    first, second, third = (town.say(talk, ann, text) for text in "123")
    for one in (first, second, third):
        outbox.accept([one])
    follow([deleted(first)])
    assert len(phone.got) == 3, "a later one is shown"
    follow([deleted(third)])
    assert phone.texts[-1] == ("Ann", "2")
    assert phone.got[-1].body["replaces"] == ref(third)
    assert phone.got[-1].body["server_id"] == ref(second)
    assert (phone.taken_back, badge(phone)) == ([], 1)


def test_where_nothing_can_be_taken_back_a_deletion_says_so(town: Town, make_dm: Any) -> None:
    ann, bob = town.person("ann"), town.person("bob", language="de")
    browser = town.browser(bob)
    said = town.say(make_dm(ann, bob), ann, "secret")
    outbox.accept([said])
    row = Subscription.objects.get(pk=browser.id)
    host, token = row.address.rpartition("/")[::2]
    # Safari is known by its push service; here that is in the path.
    Subscription.objects.filter(pk=row.pk).update(address=f"{host}/web.push.apple.com/{token}")
    follow([deleted(said)])
    assert browser.texts[-1] == ("Chat", "Eine Nachricht wurde gelöscht.")
    assert browser.taken_back == []


def test_a_dead_address_is_removed(town: Town, make_dm: Any) -> None:
    ann, bob = town.person("ann"), town.person("bob")
    phone = town.phone(bob)
    said = town.say(make_dm(ann, bob), ann, "Hi")
    outbox.accept([said])
    phone.fails(Answer(410, "Unregistered"))
    tasks.push_messages(msgspec.to_builtins([Record(TOPIC_PUSH, 0, 1, 0, b"", events.encode(deleted(said)))]))
    assert not Subscription.objects.exists()
