"""What bots are told, against a real receiver: signed, at least once, in order, and nobody waits for a dead one."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone
from prometheus_client import REGISTRY

from accounts.models import Bot
from messaging.domain import ids
from messaging.hooks import outgoing
from messaging.hooks.models import Delivery, Endpoint
from messaging.hooks.selectors import listening
from messaging.hooks.tasks import send_due
from tests.api.conftest import Person, problem
from tests.hooks.conftest import Told
from tests.hooks.receiver import Answer, Receiver
from tests.push.servers import certificate

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("jobs_run_at_once")]
Settle = Callable[[], None]


def later(seconds: float = 100_000) -> None:
    """Let so much time pass for what waits."""
    past = timedelta(seconds=seconds)
    for row in Delivery.objects.filter(state="waiting"):
        Delivery.objects.filter(pk=row.pk).update(next_at=row.next_at - past)
    for endpoint in Endpoint.objects.exclude(paused_until=None):
        Endpoint.objects.filter(pk=endpoint.pk).update(paused_until=endpoint.paused_until - past)  # type: ignore[operator]


def states() -> list[str]:
    return list(Delivery.objects.order_by("at").values_list("state", flat=True))


# --- what is told ---------------------------------------------------------------------------------


def test_everything_that_happens_is_told_signed_and_in_order(
    told: Told, ann: Person, bob: Person, cat: Person, settle: Settle
) -> None:
    said = bob.say(told.group, "hello").json()["server_id"]
    settle()
    bob.patch(f"messages/{said}", {"msg_id": "0b8f0b44-6f3c-4a3e-9d66-3e9d0d0c5a11", "body": "hello all"})
    ann.put(f"messages/{said}/reactions/👍", None)
    settle()
    ann.delete(f"messages/{said}/reactions/👍")
    ann.post(f"conversations/{told.group}/members", {"members": [cat.ref]})
    settle()
    bob.delete(f"messages/{said}")
    ann.delete(f"conversations/{told.group}/members/{cat.ref}")
    settle()
    got = told.receiver.got
    assert told.receiver.types() == [
        "message.created", "message.edited", "reaction.added", "reaction.removed", "member.added", "message.deleted",
        "member.removed",
    ]  # fmt: skip
    assert told.receiver.forged == 0
    assert [it["message"]["body"] for it in got if "message" in it] == ["hello", "hello all"]
    assert {it["server_id"] for it in got if it["type"].startswith(("message", "reaction"))} == {said}
    assert [it["from"] for it in got] == [bob.ref, bob.ref, ann.ref, ann.ref, ann.ref, bob.ref, ann.ref]
    assert [it["emoji"] for it in got if "emoji" in it] == ["👍", "👍"]
    assert [it["users"] for it in got if "users" in it] == [[cat.ref], [cat.ref]]
    assert all(it["bot"] == told.ref and it["conv"] == told.group and it["ts"] > 0 for it in got)
    assert len(set(told.receiver.ids)) == 7


def test_over_tls_with_an_authority_of_ones_own(
    ann: Person, bob: Person, bot_of: Callable[..., Bot], settle: Settle, settings: Any, tmp_path: Any
) -> None:
    settings.WEBHOOK_HOSTS = ("127.0.0.1",)
    made, key = certificate(tmp_path)
    receiver = Receiver((made, key))
    try:
        told = Told(ann, bob, bot_of(ann), receiver, ["message.created"])
        bob.say(told.group, "hello")
        settle()
        assert receiver.got == []
        assert "connect" in told.endpoint.last_error or "broke" in told.endpoint.last_error
        settings.WEBHOOK_CA_FILE = str(made)
        later()
        send_due()
        assert receiver.types() == ["message.created"]
    finally:
        receiver.close()


def test_a_bot_is_not_told_what_it_does_itself(told: Told, settle: Settle) -> None:
    robot = Person(told.bot.user)
    robot.say(told.group, "beep")
    settle()
    assert told.receiver.got == []


def test_mentions_alone(
    ann: Person, bob: Person, bot_of: Callable[..., Bot], receiver: Receiver, settle: Settle
) -> None:
    told = Told(ann, bob, bot_of(ann), receiver, ["mention"])
    bob.say(told.group, "nobody is meant")
    bob.say(told.group, "@all look", mentions=["all"])
    bob.say(told.group, "@robbie help", mentions=[told.ref])
    settle()
    assert [(it["type"], it["message"]["body"]) for it in receiver.got] == [("mention", "@robbie help")]


def test_nothing_of_an_encrypted_conversation_but_where_it_is(told: Told, ann: Person, settle: Settle) -> None:
    body = {"type": "group", "members": [told.ref], "name": "secret", "encrypted": True}
    conv = ann.post("conversations", body).json()["id"]
    said = ann.say(conv, "ciphertext").json()["server_id"]
    settle()
    event = told.receiver.got[-1]
    assert (event["type"], event["server_id"]) == ("message.created", said)
    assert "message" not in event
    assert "ciphertext" not in str(told.receiver.got)


def test_only_what_the_bot_can_see(told: Told, ann: Person, bob: Person, cat: Person, settle: Settle) -> None:
    elsewhere = ann.group(bob, cat)
    ann.say(elsewhere, "not for bots")
    settle()
    assert told.receiver.got == []
    # What it could see and can see no more, when it is to be sent at last, is not sent.
    told.receiver.always = Answer(500)
    bob.say(told.group, "before")
    settle()
    ann.delete(f"conversations/{told.group}/members/{told.ref}")
    bob.say(told.group, "after")
    settle()
    told.receiver.got.clear()
    told.receiver.always = Answer()
    for _ in range(4):
        later()
        send_due()
    assert told.receiver.types() == ["member.removed"]
    assert states() == ["skipped", "sent"]


def test_a_bot_that_is_suspended_or_off_is_told_nothing(told: Told, bob: Person, settle: Settle, settings: Any) -> None:
    from accounts.services import suspension

    suspension.suspend(user_id=told.ann.id, reason="spam", until=None)
    assert listening() == frozenset()
    suspension.lift(user_id=told.ann.id)
    assert listening() == {told.bot.pk}
    settings.BOTS = "off"
    assert listening() == frozenset()


def test_nothing_that_waits_is_sent_once_the_bot_is_ended(told: Told, ann: Person, settle: Settle) -> None:
    dm = str(ann.post("conversations", {"type": "dm", "members": [told.ref]}).json()["id"])
    told.receiver.always = Answer(500)
    ann.say(dm, "hello")
    settle()
    told.receiver.got.clear()
    assert ann.delete(f"bots/{told.ref}").status_code == 204
    later()
    send_due()
    assert told.receiver.got == []
    outgoing.delete_old()
    assert Endpoint.objects.count() == 0


# --- failures -------------------------------------------------------------------------------------

FAILURES = {
    "an error": (Answer(500), "answered 500"),
    "not found": (Answer(404), "answered 404"),
    "a redirection": (Answer(302, {"Location": "http://127.0.0.1:1/"}), "answered 302"),
    "slow": (Answer(delay_s=1.0), "no answer within"),
    "hung up": (Answer(hang_up=True), "the connection broke"),
}


@pytest.mark.parametrize("how", FAILURES)
def test_what_fails_is_tried_again_under_the_same_id(told: Told, bob: Person, settle: Settle, how: str) -> None:
    answer, error = FAILURES[how]
    told.receiver.answers.append(answer)
    bob.say(told.group, "hello")
    with pytest.MonkeyPatch.context() as patched:
        if how == "slow":
            patched.setattr(outgoing, "TIMEOUT_S", 0.3)
        settle()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts) == ("waiting", 1)
    assert delivery.last_error.startswith(error)
    assert timedelta(0) < delivery.next_at - timezone.now() <= timedelta(seconds=5)
    listed = told.ann.get(f"{told.path}/deliveries").json()["results"]
    assert [(it["state"], it["attempts"]) for it in listed] == [("waiting", 1)]
    send_due()
    assert len(told.receiver.got) == 1, "not before its time"
    later()
    send_due()
    assert states() == ["sent"]
    assert len(set(told.receiver.ids)) == 1
    assert len(told.receiver.ids) == 2


def test_a_receiver_that_is_not_there(told: Told, bob: Person, settle: Settle) -> None:
    told.receiver.close()
    bob.say(told.group, "hello")
    settle()
    assert Delivery.objects.get().last_error.startswith("cannot connect")
    assert told.endpoint.failures == 1


def test_an_endpoint_that_is_removed_while_it_is_asked_holds_up_nobody(
    told: Told, bob: Person, settle: Settle, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle_one = outgoing._settle

    def too_late(endpoint: Endpoint, outcomes: Any) -> None:
        assert outcomes
        Endpoint.objects.filter(pk=endpoint.pk).delete()
        settle_one(endpoint, outcomes)

    monkeypatch.setattr(outgoing, "_settle", too_late)
    told.receiver.answers.append(Answer(500))
    bob.say(told.group, "hello")
    settle()
    assert len(told.receiver.got) == 1
    assert not Endpoint.objects.exists()
    assert not Delivery.objects.exists()


def test_retry_after_is_honoured(told: Told, bob: Person, settle: Settle) -> None:
    told.receiver.answers.append(Answer(429, {"Retry-After": "600"}))
    bob.say(told.group, "hello")
    settle()
    for at in (Delivery.objects.get().next_at, told.endpoint.paused_until):
        assert at is not None
        assert timedelta(seconds=590) < at - timezone.now() <= timedelta(seconds=600)


def test_within_a_conversation_the_next_waits_and_others_do_not(
    told: Told, ann: Person, bob: Person, settle: Settle
) -> None:
    other = str(ann.post("conversations", {"type": "group", "members": [told.ref]}).json()["id"])
    told.receiver.of_conversation[told.group] = Answer(500)
    for text in ("1", "2"):
        bob.say(told.group, text)
    settle()
    ann.say(other, "elsewhere")
    settle()
    bodies = [it["message"]["body"] for it in told.receiver.got if "message" in it]
    assert bodies == ["1", "elsewhere"]
    told.receiver.of_conversation.clear()
    for _ in range(3):
        later()
        send_due()
    assert [it["message"]["body"] for it in told.receiver.got if "message" in it][2:] == ["1", "2"]


def test_one_that_fails_again_and_again_is_left_alone_then_tried_with_one(
    told: Told, bob: Person, settle: Settle
) -> None:
    told.receiver.always = Answer(500)
    bob.say(told.group, "hello")
    settle()
    for _ in range(outgoing.BREAKER - 1):
        later()
        send_due()
    endpoint = told.endpoint
    assert endpoint.failures == outgoing.BREAKER
    assert endpoint.paused_until is not None
    before = len(told.receiver.got)
    Delivery.objects.update(next_at=timezone.now())
    send_due()
    assert len(told.receiver.got) == before, "it is left alone"
    assert REGISTRY.get_sample_value("chat_hooks_paused") == 1
    told.receiver.always = Answer()
    later()
    send_due()
    endpoint = told.endpoint
    assert (endpoint.failures, endpoint.paused_until, states()) == (0, None, ["sent"])


def test_a_dead_endpoint_holds_up_nobody(
    told: Told, ann: Person, bob: Person, receiver: Receiver, settle: Settle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "TIMEOUT_S", 1.0)
    slow = Receiver()
    try:
        made = ann.post(f"bots/{told.ref}/endpoints", {"url": slow.url, "events": ["message.created"]}).json()
        slow.secret = made["secret"]
        slow.always = Answer(delay_s=3)
        bob.say(told.group, "first")
        settle()
        receiver.got.clear()
        later()
        order: list[str] = []
        send = outgoing._send_all

        async def watched(ready: Any) -> Any:
            order.extend(it.url for it in ready)
            return await send(ready)

        monkeypatch.setattr(outgoing, "_send_all", watched)
        bob.say(told.group, "second")
        settle()
        assert order == [receiver.url, slow.url], "the one that fails has a round of its own, after the others"
        assert [it["message"]["body"] for it in receiver.got] == ["second"]
    finally:
        slow.close()


def test_410_ends_it_at_once_and_its_owner_is_told(
    told: Told, bob: Person, settle: Settle, django_capture_on_commit_callbacks: Any
) -> None:
    told.ann.user.email = "ann@example.org"
    told.ann.user.save()
    told.receiver.always = Answer(410)
    for text in ("1", "2"):
        bob.say(told.group, text)
    settle()
    assert len(told.receiver.got) == 1
    assert states() == ["dead", "dead"]
    shown = told.ann.get(told.path).json()
    assert shown["on"] is False
    assert "410" in shown["off_reason"]
    assert [(it.to, "webhook" in it.subject) for it in mail.outbox] == [(["ann@example.org"], True)]
    bob.say(told.group, "3")
    settle()
    assert Delivery.objects.count() == 2, "nothing is kept for it"


def test_after_a_day_an_event_is_given_up_and_the_endpoint_switched_off_and_both_begin_anew(
    told: Told, bob: Person, settle: Settle
) -> None:
    told.receiver.always = Answer(503)
    bob.say(told.group, "1")
    settle()
    long_ago = timezone.now() - timedelta(hours=25)
    Delivery.objects.update(created_at=long_ago, next_at=timezone.now())
    send_due()
    assert states() == ["dead"]
    assert told.endpoint.off_at is None
    Endpoint.objects.update(failing_since=long_ago)
    bob.say(told.group, "2")
    settle()
    assert states() == ["dead", "dead"]
    assert "failed for a day: answered 503" in told.endpoint.off_reason
    dead = told.ann.get(f"{told.path}/deliveries").json()["results"]
    again = f"{told.path}/deliveries/{dead[1]['id']}/redeliver"
    problem(told.ann.post(again, None), 409, "conflict")
    problem(told.ann.post(f"{told.path}/test", None), 409, "conflict")
    assert told.ann.patch(told.path, {"on": True}).json()["on"] is True
    told.receiver.always = Answer()
    told.receiver.got.clear()
    assert told.ann.post(again, None).status_code == 202
    send_due()
    assert [it["message"]["body"] for it in told.receiver.got] == ["1"]
    problem(told.ann.post(again, None), 404, "not_found")


def test_too_many_that_wait_are_not_kept(
    told: Told, bob: Person, settle: Settle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "MAX_WAITING", 2)
    told.receiver.always = Answer(500)
    before = REGISTRY.get_sample_value("chat_hooks_dropped_total") or 0.0
    for number in range(4):
        bob.say(told.group, str(number))
    settle()
    assert Delivery.objects.count() == 2
    assert REGISTRY.get_sample_value("chat_hooks_dropped_total") == before + 2


def test_an_event_that_is_told_twice_is_one(told: Told, bob: Person, settle: Settle) -> None:
    from messaging.domain.events import HookEvent

    said = ids.parse_server_id(bob.say(told.group, "hello").json()["server_id"])
    settle()
    event = HookEvent("message.created", said[0], said[1], said[1], bob.id, [ids.UserId(told.bot.pk)])
    outgoing.accept([event, event])
    send_due()
    assert len(told.receiver.got) == 1


# --- endpoints ------------------------------------------------------------------------------------


def test_a_test_is_sent_at_once(told: Told, django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        assert told.ann.post(f"{told.path}/test", None).status_code == 202
    assert [(it["type"], it["bot"]) for it in told.receiver.got] == [("ping", told.ref)]


def test_another_secret_signs_from_now_on(told: Told, bob: Person, settle: Settle) -> None:
    fresh = told.ann.post(f"{told.path}/secret", None).json()["secret"]
    bob.say(told.group, "hello")
    settle()
    assert told.receiver.forged == 1, "the receiver still has the old one"
    told.receiver.secret = fresh
    later()
    send_due()
    assert told.receiver.types() == ["message.created"]


def test_the_secret_is_sealed_and_a_lost_key_switches_off(told: Told, bob: Person, settle: Settle) -> None:
    assert told.receiver.secret not in str(list(Endpoint.objects.values()))
    Endpoint.objects.update(secret="sealed with another key")
    bob.say(told.group, "hello")
    settle()
    assert "secret cannot be read" in told.endpoint.off_reason


@pytest.mark.parametrize(
    "url",
    [
        "", "x", "ftp://example.org/", "http://example.org/", "https://", "https://10.0.0.1/", "https://[::1]/",
        "https://169.254.169.254/latest", "https://me:secret@example.org/", "https://example.org/#x",
        "https://example.org/ä", "https://example.org:99999/", "https://" + "x" * 600,
    ],
)  # fmt: skip
def test_where_nothing_is_sent(told: Told, url: str) -> None:
    problem(told.ann.post(f"bots/{told.ref}/endpoints", {"url": url, "events": ["mention"]}), 400, "invalid")
    problem(told.ann.patch(told.path, {"url": url}), 400, "invalid")


def test_endpoints_of_others_are_absent(told: Told, bob: Person) -> None:
    for method, path, body in [
        ("get", "", None), ("patch", "", {"on": False}), ("delete", "", None), ("post", "/secret", None),
        ("post", "/test", None), ("get", "/deliveries", None), ("post", "/deliveries/evt_5/redeliver", None),
    ]:  # fmt: skip
        call = getattr(bob.client, method)
        response = call(f"/v1/{told.path}{path}", *([] if body is None else [body]), format="json")
        problem(response, 404, "not_found")
    problem(bob.get(f"bots/{told.ref}/endpoints"), 404, "not_found")
    assert told.ann.delete(told.path).status_code == 204
    assert Endpoint.objects.count() == 0


def test_the_page_shows_it_and_its_buttons_work(told: Told, ann: Person, bob: Person, settle: Settle) -> None:
    from django.test import Client

    browser = Client()
    browser.force_login(ann.user)
    told.receiver.always = Answer(500)
    bob.say(told.group, "hello")
    settle()
    page = browser.get(f"/settings/bots/{told.ref}").content.decode()
    for shown in (told.receiver.url, "Failing", "answered 500", "Send a test"):
        assert shown in page
    ref = ids.endpoint_ref(told.endpoint.pk)
    base = f"/settings/bots/{told.ref}/endpoints"
    Delivery.objects.update(state="dead")
    assert "Given up" in browser.get(f"/settings/bots/{told.ref}").content.decode()
    assert browser.post(f"{base}/{ref}/again/{Delivery.objects.get().ref}").status_code == 302
    assert states() == ["waiting"]
    for act in ("off", "on", "test"):
        assert browser.post(f"{base}/{ref}/{act}").status_code == 302
    assert "whsec_" in browser.post(f"{base}/{ref}/secret").content.decode()
    assert browser.post(f"{base}/{ref}/nothing").status_code == 404
    made = browser.post(base, {"end-url": told.receiver.url, "end-events": ["mention"]}).content.decode()
    assert "whsec_" in made
    assert browser.post(base, {"end-url": "http://10.0.0.1/", "end-events": ["mention"]}).status_code == 400
    other = Client()
    other.force_login(bob.user)
    assert other.post(f"{base}/{ref}/end").status_code == 404
    assert browser.post(f"{base}/{ref}/end").status_code == 302


def test_old_ones_are_deleted(told: Told, bob: Person, settle: Settle) -> None:
    bob.say(told.group, "hello")
    settle()
    assert outgoing.delete_old() == 0
    Delivery.objects.update(done_at=timezone.now() - timedelta(days=8))
    assert outgoing.delete_old() == 1
