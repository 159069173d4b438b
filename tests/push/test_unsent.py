"""A message that could not be sent at its time: its author hears of it on their devices, and nobody else does."""

from collections.abc import Callable
from datetime import time as clock
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from accounts.models import Block, User
from messaging.domain import ids
from messaging.domain.errors import ChatError
from messaging.domain.ids import ScheduledId, UserId
from messaging.domain.messages import Conversation
from messaging.unsent import scheduling, tasks
from messaging.unsent.models import ScheduledMessage
from push.models import PushSettings
from tests.push.conftest import Town
from tests.push.servers import Answer
from tests.push.test_outbox import queued

pytestmark = pytest.mark.django_db(transaction=True)

SAID = "A scheduled message could not be sent."
JOB = "messaging.unsent.tasks.tell_failed"


@pytest.fixture
def fail() -> Callable[[User, Conversation], ScheduledMessage]:
    """Return ``fail(author, dm)``: a message that its author scheduled there, and that the other's block refused."""
    queued()

    def make(author: User, talk: Conversation) -> ScheduledMessage:
        soon = timezone.now() + timedelta(hours=1)
        plan = scheduling.Plan(talk.id, str(uuid4()), "my secret", [], None, [], soon)
        row, _ = scheduling.schedule(UserId(author.pk), plan)
        assert talk.members is not None
        [other] = talk.members - {UserId(author.pk)}
        Block.objects.create(owner_id=other, target=author)
        ScheduledMessage.objects.update(send_at=timezone.now())
        assert scheduling.send_due() == 0
        row.refresh_from_db()
        assert row.state == ScheduledMessage.State.FAILED
        return row

    return make


def run_jobs() -> int:
    """Run the jobs that wait; return how many there were."""
    waiting = queued()
    assert {name for name, _ in waiting} <= {JOB}
    for _, arguments in waiting:
        tasks.tell_failed(*arguments)
    return len(waiting)


def test_its_author_is_told_on_each_device_and_its_text_stays_here(town: Town, make_dm: Any, fail: Any) -> None:
    ann, bob = town.person("ann"), town.person("bob", display_name="Bob")
    phone, browser, his = town.phone(ann), town.browser(ann), town.phone(bob)
    row = fail(ann, make_dm(ann, bob))
    assert run_jobs() == 1
    assert phone.texts == browser.texts == [("Bob", SAID)]
    conv = ids.conversation_ref(row.conversation_id)
    for got in (phone.got[0], browser.got[0]):
        assert (got.body["conv"], got.body["scheduled"]) == (conv, ids.scheduled_ref(row.pk))
        assert "secret" not in str(got)
    assert his.got == []
    scheduling.send_due()
    assert run_jobs() == 0, "it is said once"


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        ({"content": "nothing"}, [("Chat", SAID)]),
        ({"content": "sender"}, [("Bob", SAID)]),
        ({"enabled": False}, []),
        ({"quiet_from": clock(0), "quiet_until": clock(23, 59, 59)}, []),
    ],
)
def test_it_says_what_its_author_allows_when_they_allow_it(
    town: Town, make_dm: Any, fail: Any, wanted: dict[str, Any], shown: list[Any]
) -> None:
    ann, bob = town.person("ann"), town.person("bob", display_name="Bob")
    phone = town.phone(ann)
    PushSettings.objects.create(user=ann, **wanted)
    fail(ann, make_dm(ann, bob))
    assert run_jobs() == 1
    assert phone.texts == shown
    assert (shown == []) == (phone.got == [])


def test_who_tries_it_by_hand_is_there_and_hears_it_there(town: Town, make_dm: Any, fail: Any) -> None:
    ann, bob = town.person("ann"), town.person("bob")
    phone = town.phone(ann)
    row = fail(ann, make_dm(ann, bob))
    queued()
    with pytest.raises(ChatError):
        scheduling.send_now(UserId(ann.pk), ScheduledId(row.pk))
    assert run_jobs() == 0
    assert phone.got == []


def test_what_is_dealt_with_meanwhile_is_not_told(town: Town, make_dm: Any, fail: Any) -> None:
    ann, bob = town.person("ann"), town.person("bob")
    phone = town.phone(ann)
    row = fail(ann, make_dm(ann, bob))
    scheduling.withdraw(UserId(ann.pk), ScheduledId(row.pk))
    assert run_jobs() == 1
    assert phone.got == []


def test_a_provider_that_is_away_is_asked_again_for_those_that_it_did_not_take(
    town: Town, make_dm: Any, fail: Any
) -> None:
    ann, bob = town.person("ann"), town.person("bob", display_name="Bob")
    phone, browser = town.phone(ann), town.browser(ann)
    phone.fails(Answer(503, "ServiceUnavailable"))
    row = fail(ann, make_dm(ann, bob))
    assert run_jobs() == 1
    assert (len(phone.got), len(browser.got)) == (1, 1)
    assert queued() == [(JOB, [row.pk, [phone.id], 1])]
    tasks.tell_failed(row.pk, [phone.id], 1)
    assert (len(phone.got), len(browser.got)) == (2, 1)
    assert queued() == []
    phone.fails(Answer(503, "ServiceUnavailable"))
    tasks.tell_failed(row.pk, [phone.id], 7)
    assert queued() == [], "not for ever"
