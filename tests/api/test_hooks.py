"""Incoming webhooks: an address that writes as a bot, once, and says the truth about it."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from rest_framework.settings import api_settings
from rest_framework.test import APIClient

from accounts.models import Bot, Device
from accounts.services import suspension
from messaging.domain import ids
from messaging.hooks.api.views import HookThrottle
from tests.api.conftest import Person, problem

pytestmark = pytest.mark.django_db
Route = Callable[[], None]


class Hook:
    """A webhook into a group of Ann's and Bob's, and whoever has its address."""

    def __init__(self, ann: Person, bob: Person, bot: Bot) -> None:
        self.bot = ids.user_ref(bot.pk)
        members = [bob.ref, self.bot]
        self.group = str(ann.post("conversations", {"type": "group", "members": members}).json()["id"])
        made = ann.post(f"bots/{self.bot}/webhooks", {"name": "ci", "conversation": self.group})
        assert made.status_code == 201, made.json()
        self.id = made.json()["id"]
        self.url = made.json()["url"]

    def post(self, body: Any, **more: Any) -> Any:
        return APIClient().post(self.url, body, format="json", **more)


@pytest.fixture
def hook(ann: Person, bob: Person, bot_of: Callable[..., Bot]) -> Hook:
    return Hook(ann, bob, bot_of(ann))


def test_it_writes_as_the_bot(ann: Person, hook: Hook, route: Route) -> None:
    answer = hook.post({"text": "build 5 is green"})
    assert answer.status_code == 200
    assert answer.json()["ok"] is True
    route()
    message = ann.get(f"messages/{answer.json()['server_id']}").json()
    assert (message["body"], message["from"], message["conv"]) == ("build 5 is green", hook.bot, hook.group)


@pytest.mark.logs_errors
def test_it_answers_only_once_it_is_in_the_log(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    from chatproject import container
    from messaging.ports import LogUnavailable
    from messaging.services import send

    async def refuse(record: Any) -> None:
        raise LogUnavailable("away")

    monkeypatch.setattr(send, "DELIVERY_DEADLINE_S", 0.2)
    monkeypatch.setattr(container.message_log(), "append", refuse)
    response = hook.post({"text": "lost?"})
    problem(response, 503, "unavailable")
    assert int(response["Retry-After"]) >= 1


def test_a_repeated_key_makes_no_second_message(ann: Person, hook: Hook, route: Route) -> None:
    first = hook.post({"text": "once", "idempotency_key": "build-5"}).json()
    again = hook.post({"text": "once", "idempotency_key": "build-5"}).json()
    by_header = hook.post({"text": "once"}, headers={"Idempotency-Key": "build-5"}).json()
    assert first == again == by_header
    assert hook.post({"text": "twice", "idempotency_key": "build-6"}).json()["server_id"] != first["server_id"]
    route()
    assert ann.texts(hook.group) == ["twice", "once"]


def test_what_senders_for_slack_send_is_taken(ann: Person, hook: Hook, route: Route) -> None:
    body = {"text": "deployed", "username": "ci", "icon_emoji": ":rocket:", "channel": "#general", "attachments": []}
    assert hook.post(body).status_code == 200
    form = APIClient().post(
        hook.url, f"payload={json.dumps({'text': 'as a form'})}", content_type="application/x-www-form-urlencoded"
    )
    assert form.status_code == 200
    route()
    assert ann.texts(hook.group) == ["as a form", "deployed"]


def test_mentions_and_replies(ann: Person, bob: Person, hook: Hook, route: Route) -> None:
    said = ann.say(hook.group, "how is the build?").json()["server_id"]
    route()
    answer = hook.post({"text": "@bob broke it", "mentions": [bob.ref], "reply_to": said}).json()
    route()
    message = bob.get(f"messages/{answer['server_id']}").json()
    assert (message["mentions"], message["reply_to"]) == ([bob.ref], said)


@pytest.mark.parametrize(
    "body", [{}, {"text": ""}, {"text": " "}, {"text": 5}, {"text": "x", "reply_to": "m_x"}, {"mentions": []}]
)
def test_what_says_nothing_is_refused(hook: Hook, body: Any) -> None:
    problem(hook.post(body), 400, "invalid")


def test_a_long_text_is_too_large(hook: Hook) -> None:
    problem(hook.post({"text": "x" * 70_000}), 413, "too_large")


def test_a_revoked_or_rotated_address_is_gone(ann: Person, hook: Hook) -> None:
    fresh = ann.post(f"bots/{hook.bot}/webhooks/{hook.id}/rotate", None).json()
    problem(hook.post({"text": "x"}), 404, "not_found")
    assert APIClient().post(fresh["url"], {"text": "x"}, format="json").status_code == 200
    assert [it["name"] for it in ann.get(f"bots/{hook.bot}/webhooks").json()["results"]] == ["ci"]
    assert ann.delete(f"bots/{hook.bot}/webhooks/{hook.id}").status_code == 204
    problem(APIClient().post(fresh["url"], {"text": "x"}, format="json"), 404, "not_found")
    assert ann.get(f"bots/{hook.bot}/webhooks").json()["results"] == []


def test_it_ends_with_the_bots_membership(ann: Person, hook: Hook, route: Route) -> None:
    route()
    assert ann.delete(f"conversations/{hook.group}/members/{hook.bot}").status_code == 204
    problem(hook.post({"text": "x"}), 404, "not_found")


def test_a_suspended_owners_webhook_says_so(ann: Person, hook: Hook) -> None:
    suspension.suspend(user_id=ann.id, reason="spam", until=None)
    problem(hook.post({"text": "x"}), 403, "suspended")


def test_too_many_are_told_when_to_come_back(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HookThrottle, "THROTTLE_RATES", dict(api_settings.DEFAULT_THROTTLE_RATES) | {"hook": "1/min"})
    cache.clear()
    assert hook.post({"text": "x"}).status_code == 200
    response = hook.post({"text": "x"})
    problem(response, 429, "rate_limited")
    assert 0 < int(response["Retry-After"]) <= 60


def test_its_secret_is_in_no_log(hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    problem(hook.post({"text": ""}), 400, "invalid")
    problem(APIClient().post(f"{hook.url}x", {"text": "x"}, format="json"), 404, "not_found")
    problem(APIClient().post(f"{hook.url}/", {"text": "x"}, format="json"), 404, "not_found")
    assert "Bad Request: /v1/hooks/<str:token>" in caplog.text
    assert hook.url.rpartition("/")[2] not in caplog.text


def test_its_secret_is_no_token_and_a_token_is_no_address(ann: Person, hook: Hook) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {hook.url.rpartition('/')[2]}")
    problem(client.get("/v1/me"), 401, "unauthenticated")
    token = ann.post(f"bots/{hook.bot}/tokens", {"name": "x"}).json()["token"]
    problem(APIClient().post(f"/v1/hooks/{token}", {"text": "x"}, format="json"), 404, "not_found")


def test_only_its_digest_is_stored(hook: Hook) -> None:
    assert hook.url.rpartition("/")[2] not in str(list(Device.objects.values()))


def test_a_webhook_needs_a_conversation_of_the_bots(ann: Person, cat: Person, hook: Hook) -> None:
    for conversation in (ids.conversation_ref(5), ann.group(cat)):
        body = {"name": "x", "conversation": conversation}
        problem(ann.post(f"bots/{hook.bot}/webhooks", body), 404, "not_found")
