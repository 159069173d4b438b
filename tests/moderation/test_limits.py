"""Who is limited sends a little, by both doors, is told when to try again, and is free again by itself."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from chatproject import container
from messaging.compliance.models import AuditEntry
from messaging.domain.errors import InvalidInput
from messaging.moderation.models import SendLimit
from messaging.moderation.services import decisions
from messaging.moderation.services.decisions import NewLimit
from tests.api.conftest import Person, problem
from tests.moderation.conftest import Moderator

pytestmark = pytest.mark.django_db


@pytest.fixture
def mod(moderator: Callable[..., Moderator]) -> Moderator:
    return moderator("mona", "add_sendlimit", "view_sendlimit")


def limited(person: Person, mod: Moderator, *, interval_s: int = 60, conversations: int = 1) -> SendLimit:
    new = NewLimit(interval_s, conversations, timezone.now() + timedelta(days=1))
    made = decisions.limit(person.user, new, moderator=mod.user, reason="sends the same to everybody")
    container.screener().refresh()
    return made


def test_a_text_at_a_time_and_the_same_one_again(ann: Person, bob: Person, mod: Moderator) -> None:
    dm = ann.dm(bob)
    limited(ann, mod)
    first = str(uuid4())
    assert ann.say(dm, msg_id=first).status_code == 201
    assert ann.say(dm, msg_id=first).status_code in (200, 201), "sent again"
    refused = ann.say(dm)
    body = problem(refused, 429, "rate_limited")
    assert 50 < int(refused["Retry-After"]) <= 60
    assert "limit" not in body["detail"], "as anybody is told who is too fast"
    assert bob.say(dm).status_code == 201
    SendLimit.objects.update(next_at=timezone.now())
    sent = ann.say(dm)
    assert sent.status_code == 201
    # An edit is a text, a deletion is none.
    server_id = sent.json()["server_id"]
    problem(ann.patch(f"messages/{server_id}", {"msg_id": str(uuid4()), "body": "x"}), 429, "rate_limited")
    assert ann.delete(f"messages/{server_id}").status_code in (200, 204)


def test_so_many_new_conversations_a_day(ann: Person, bob: Person, cat: Person, mod: Moderator) -> None:
    limited(ann, mod, conversations=1)
    assert ann.dm(bob)
    body = {"type": "dm", "members": [cat.ref]}
    problem(ann.post("conversations", body), 429, "rate_limited")
    assert bob.dm(cat)
    SendLimit.objects.update(day=timezone.now().date() - timedelta(days=1))
    assert ann.post("conversations", body).status_code in (200, 201)


def test_it_ends_by_itself_or_is_lifted_or_replaced(ann: Person, bob: Person, mod: Moderator) -> None:
    dm = ann.dm(bob)
    limited(ann, mod, interval_s=3_600)
    assert ann.say(dm).status_code == 201
    assert ann.say(dm).status_code == 429
    second = limited(ann, mod, interval_s=10)
    assert ann.say(dm).status_code == 201
    assert SendLimit.objects.filter(lifted_at=None).count() == 1
    assert ann.say(dm).status_code == 429
    SendLimit.objects.filter(pk=second.pk).update(until=timezone.now())
    # Also where the list that is in memory is older.
    assert ann.say(dm).status_code == 201
    third = limited(ann, mod)
    assert ann.say(dm).status_code == 201
    decisions.lift_limit(third, moderator=mod.user, reason="a mistake")
    assert ann.say(dm).status_code == 201


def test_a_limit_has_a_reason_and_an_end_and_is_not_for_the_staff(ann: Person, mod: Moderator) -> None:
    def set_on(user: Any, days: float, reason: str = "spam", interval_s: int = 60) -> None:
        new = NewLimit(interval_s, 1, timezone.now() + timedelta(days=days))
        decisions.limit(user, new, moderator=mod.user, reason=reason)

    for fields in ({"days": -1.0}, {"days": 400.0}, {"days": 1.0, "reason": " "}, {"days": 1.0, "interval_s": 0}):
        with pytest.raises(InvalidInput):
            set_on(ann.user, **fields)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput):
        set_on(mod.user, 1.0)
    assert not SendLimit.objects.exists()


def test_the_page_of_a_person_leads_to_it(ann: Person, bob: Person, mod: Moderator) -> None:
    dm = ann.dm(bob)
    form = {"user": "ann", "interval": "600", "conversations_per_day": "2", "days": "7", "reason": "sends spam"}
    assert "ann" in mod.page("sendlimit/add/?user=ann").content.decode()
    answer = mod.browser.post("/admin/moderation/sendlimit/add/", form)
    assert answer.status_code == 302, answer.content.decode()
    made = SendLimit.objects.get()
    assert (made.user, made.interval_s, made.conversations_per_day) == (ann.user, 600, 2)
    container.screener().refresh()
    assert [ann.say(dm).status_code for _ in range(2)] == [201, 429]
    assert "a message each 10 minutes" in mod.page("sendlimit/").content.decode()
    assert "Lift it" in mod.page(f"sendlimit/{made.pk}/change/").content.decode()
    mod.browser.post(f"/admin/moderation/sendlimit/{made.pk}/lift/", {"reason": "they said sorry"})
    made.refresh_from_db()
    assert made.lifted_at is not None
    entries = AuditEntry.objects.filter(object=ann.ref).order_by("seq")
    assert [(it.action, it.reason) for it in entries] == [
        ("user.limited", "sends spam"),
        ("user.limit_lifted", "they said sorry"),
    ]


def test_who_only_looks_sets_none(ann: Person, moderator: Callable[..., Moderator]) -> None:
    viewer = moderator("vic", "view_sendlimit")
    assert viewer.page("sendlimit/").status_code == 200
    assert viewer.page("sendlimit/add/").status_code == 403
    assert viewer.browser.post("/admin/moderation/sendlimit/1/lift/", {"reason": "x"}).status_code == 403
