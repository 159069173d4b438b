"""Bots: who makes them, what their tokens are good for, and what ends them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from rest_framework.settings import api_settings
from rest_framework.test import APIClient
from rest_framework.throttling import UserRateThrottle

from accounts.api.scopes import OPEN_TO_BOTS
from accounts.models import Bot, Device, token_digest
from accounts.selectors.credentials import still_signed_in
from accounts.services import bots as services
from accounts.services import suspension
from messaging.domain import ids
from messaging.rights import erasures
from messaging.rights.models import Erasure
from tests.api.conftest import Person, problem
from tests.api.endpoints import ENDPOINTS

pytestmark = pytest.mark.django_db
Route = Callable[[], None]


@pytest.fixture(autouse=True)
def _everyone_may(settings: Any) -> None:
    settings.BOTS = "everyone"


class Robot:
    """A bot of somebody's with a token."""

    def __init__(self, bot: Bot, **token: Any) -> None:
        self.bot = bot
        self.ref = ids.user_ref(bot.pk)
        self.device, self.token = services.make_bot_token(bot=bot, name="ci", **token)
        self.client = APIClient()
        self.client.credentials(HTTP_AUTHORIZATION=f"Bearer {self.token}")

    def get(self, path: str) -> Any:
        return self.client.get(f"/v1/{path}")

    def say(self, conversation: str, text: str = "beep", **more: Any) -> Any:
        body = {"msg_id": "0b8f0b44-6f3c-4a3e-9d66-3e9d0d0c5a01", "body": text, **more}
        return self.client.post(f"/v1/conversations/{conversation}/messages", body, format="json")


@pytest.fixture
def robot(ann: Person, bot_of: Callable[..., Bot]) -> Robot:
    return Robot(bot_of(ann))


def group_with(person: Person, *refs: str) -> str:
    return str(person.post("conversations", {"type": "group", "members": list(refs), "name": "G"}).json()["id"])


# --- who makes them -------------------------------------------------------------------------------


def test_a_bot_is_made_changed_and_listed_by_its_owner(ann: Person, bob: Person) -> None:
    made = ann.post("bots", {"username": "BuildBot", "display_name": "Builds", "description": "Tells of builds"})
    assert made.status_code == 201
    body = made.json()
    assert (body["username"], body["is_bot"], body["owner"], body["direct"]) == ("buildbot", True, ann.ref, "everyone")
    assert ann.get("bots").json()["results"] == [body]
    changed = ann.patch(f"bots/{body['id']}", {"display_name": "Build results", "direct": "owner"}).json()
    assert (changed["display_name"], changed["direct"], changed["description"]) == (
        "Build results", "owner", "Tells of builds",
    )  # fmt: skip
    assert bob.get("bots").json()["results"] == []
    problem(ann.post("bots", {"username": "buildbot"}), 409, "conflict")
    problem(ann.post("bots", {"username": "no good"}), 400, "invalid")


def test_bots_of_others_are_absent(ann: Person, bob: Person, robot: Robot) -> None:
    absent = ids.user_ref(5)
    for method, path, body in [
        ("get", "bots/{}", None),
        ("patch", "bots/{}", {"display_name": "mine now"}),
        ("delete", "bots/{}", None),
        ("get", "bots/{}/tokens", None),
        ("post", "bots/{}/tokens", {"name": "x"}),
        ("delete", f"bots/{{}}/tokens/{ids.device_ref(robot.device.pk)}", None),
        ("post", f"bots/{{}}/tokens/{ids.device_ref(robot.device.pk)}/rotate", None),
        ("get", "bots/{}/webhooks", None),
        ("post", "bots/{}/webhooks", {"name": "x", "conversation": ids.conversation_ref(5)}),
    ]:
        call = getattr(bob.client, method)
        answers = [
            call(f"/v1/{path.format(ref)}", *([] if body is None else [body]), format="json")
            for ref in (robot.ref, absent)
        ]
        assert problem(answers[0], 404, "not_found") == problem(answers[1], 404, "not_found"), path
    assert robot.get("me").status_code == 200


@pytest.mark.parametrize(("who", "choice", "status"), [
    ("person", "everyone", 201), ("person", "staff", 403), ("person", "off", 403),
    ("staff", "everyone", 201), ("staff", "staff", 201), ("staff", "off", 403),
])  # fmt: skip
def test_the_operator_says_who_may(
    person: Callable[..., Person], settings: Any, who: str, choice: str, status: int
) -> None:
    settings.BOTS = choice
    maker = person("zoe", is_staff=who == "staff")
    assert maker.post("bots", {"username": "zoebot"}).status_code == status


def test_where_bots_are_off_those_that_there_are_do_not_get_in(ann: Person, robot: Robot, settings: Any) -> None:
    assert robot.get("me").status_code == 200
    settings.BOTS = "off"
    problem(robot.get("me"), 401, "unauthenticated")
    assert ann.get("me").status_code == 200


def test_bots_of_the_installation_are_the_staffs(person: Callable[..., Person], ann: Person) -> None:
    problem(ann.post("bots", {"username": "ours", "for_all": True}), 403, "forbidden")
    first, second = (person(name, is_staff=True) for name in ("sam", "sue"))
    problem(first.post("bots", {"username": "ours", "for_all": True}), 403, "forbidden")
    permission = Permission.objects.get(codename="change_bot")
    for one in (first, second):
        one.user.user_permissions.add(permission)
        one = Person(type(one.user).objects.get(pk=one.user.pk))
        made = one.post("bots", {"username": "ours", "for_all": True})
        if made.status_code == 201:
            assert made.json()["owner"] is None
    second = Person(type(second.user).objects.get(pk=second.user.pk))
    assert [bot["username"] for bot in second.get("bots").json()["results"]] == ["ours"], "who did not make it sees it"
    assert ann.get("bots").json()["results"] == []


def test_there_is_an_end_to_how_many(ann: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "MAX_BOTS", 1)
    monkeypatch.setattr(services, "MAX_TOKENS", 1)
    bot = ann.post("bots", {"username": "one"}).json()["id"]
    problem(ann.post("bots", {"username": "two"}), 409, "conflict")
    assert ann.post(f"bots/{bot}/tokens", {"name": "x"}).status_code == 201
    problem(ann.post(f"bots/{bot}/tokens", {"name": "x"}), 409, "conflict")


# --- tokens ---------------------------------------------------------------------------------------


def test_a_token_is_shown_once_rotated_and_revoked(ann: Person, robot: Robot) -> None:
    made = ann.post(f"bots/{robot.ref}/tokens", {"name": "server", "expires_in_days": 30}).json()
    assert made["scopes"] == ["read", "write"]
    device = Device.objects.get(token_digest=token_digest(made["token"]))
    assert device.expires_at is not None
    assert timedelta(days=29) < device.expires_at - timezone.now() < timedelta(days=31)
    listed = ann.get(f"bots/{robot.ref}/tokens").json()["results"]
    assert [token["name"] for token in listed] == ["server", "ci"]
    assert all("token" not in token for token in listed)

    def status(token: str) -> int:
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        return int(client.get("/v1/me").status_code)

    assert status(made["token"]) == 200
    fresh = ann.post(f"bots/{robot.ref}/tokens/{made['id']}/rotate", None).json()
    assert fresh["id"] == made["id"]
    assert (status(made["token"]), status(fresh["token"])) == (401, 200)
    assert ann.delete(f"bots/{robot.ref}/tokens/{made['id']}").status_code == 204
    assert status(fresh["token"]) == 401
    problem(ann.delete(f"bots/{robot.ref}/tokens/{made['id']}"), 404, "not_found")


def test_an_expired_token_is_void(robot: Robot) -> None:
    Device.objects.filter(pk=robot.device.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    problem(robot.get("me"), 401, "unauthenticated")


def test_what_is_open_to_bots_is_named_and_exists() -> None:
    assert {str(it) for it in ENDPOINTS} >= OPEN_TO_BOTS


def test_what_is_not_open_to_bots_is_refused(robot: Robot) -> None:
    from tests.api.test_rights import ask

    # No throttle is what is tried here.
    for endpoint in ENDPOINTS:
        if str(endpoint) in OPEN_TO_BOTS or endpoint.route in ("accounts", "tokens", "schema", "docs"):
            continue
        if endpoint.route.startswith("hooks/"):
            continue
        cache.clear()
        problem(ask(robot.client, endpoint, {}), 403, "forbidden")


def test_scopes_hold(ann: Person, bot_of: Callable[..., Bot], route: Route) -> None:
    bot = bot_of(ann)
    reader, writer = Robot(bot, scopes=["read"]), Robot(bot, scopes=["write"])
    group = group_with(ann, reader.ref)
    ann.say(group, "hello")
    route()
    assert reader.get(f"conversations/{group}/messages").status_code == 200
    problem(reader.say(group), 403, "forbidden")
    assert writer.say(group).status_code == 201
    problem(writer.get(f"conversations/{group}/messages"), 403, "forbidden")
    assert reader.client.delete("/v1/tokens/current").status_code == 204, "a token can always be given back"
    problem(reader.get("me"), 401, "unauthenticated")


def test_a_token_for_some_conversations_opens_no_other(
    ann: Person, bob: Person, bot_of: Callable[..., Bot], route: Route
) -> None:
    bot = bot_of(ann)
    ref = ids.user_ref(bot.pk)
    here, there = group_with(ann, ref, bob.ref), group_with(ann, ref, bob.ref)
    said = ann.say(there, "secret").json()["server_id"]
    said_here = ann.say(here, "open").json()["server_id"]
    route()
    made = ann.post(f"bots/{ref}/tokens", {"name": "one room", "conversations": [here]})
    assert made.json()["conversations"] == [here]
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {made.json()['token']}")
    assert client.get(f"/v1/conversations/{here}/messages").status_code == 200
    assert client.get(f"/v1/messages/{said_here}").status_code == 200
    assert client.get("/v1/me").status_code == 200
    for path in ("conversations", f"conversations/{there}", f"conversations/{there}/messages", f"messages/{said}",
                 "search?q=secret"):  # fmt: skip
        problem(client.get(f"/v1/{path}"), 403, "forbidden")
    body = {"msg_id": "0b8f0b44-6f3c-4a3e-9d66-3e9d0d0c5a02", "body": "x"}
    problem(client.post(f"/v1/conversations/{there}/messages", body, format="json"), 403, "forbidden")
    forward = body | {"forwarded_from": said}
    problem(client.post(f"/v1/conversations/{here}/messages", forward, format="json"), 403, "forbidden")
    assert client.post(f"/v1/conversations/{here}/messages", body, format="json").status_code == 201
    problem(ann.post(f"bots/{ref}/tokens", {"name": "x", "conversations": [ids.conversation_ref(5)]}), 404, "not_found")


def test_a_bot_has_a_rate_of_its_own(ann: Person, robot: Robot, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = dict(api_settings.DEFAULT_THROTTLE_RATES) | {"user": "100/min", "bot": "2/min"}
    monkeypatch.setattr(UserRateThrottle, "THROTTLE_RATES", rates)
    cache.clear()
    assert [robot.get("me").status_code for _ in range(3)] == [200, 200, 429]
    assert [ann.get("conversations").status_code for _ in range(3)] == [200] * 3


def test_a_bot_has_no_way_in_but_its_tokens(robot: Robot) -> None:
    for password in ("", "!", robot.bot.user.password):
        body = {"username": "robbie", "password": password}
        assert APIClient().post("/v1/tokens", body, format="json").status_code in (400, 401)
    page = Client().post("/accounts/login/", {"login": "robbie", "password": robot.bot.user.password})
    assert page.status_code == 200
    assert "_auth_user_id" not in page.client.session  # type: ignore[attr-defined]


# --- among people ---------------------------------------------------------------------------------


def test_everybody_is_shown_that_it_is_a_bot(ann: Person, bob: Person, robot: Robot) -> None:
    assert bob.get(f"users/{robot.ref}").json()["is_bot"] is True
    assert [it["is_bot"] for it in bob.get("users", q="robb").json()["results"]] == [True]
    group = group_with(ann, robot.ref, bob.ref)
    members = bob.get(f"conversations/{group}").json()["members"]
    assert {it["username"]: it["is_bot"] for it in members} == {"ann": False, "bob": False, "robbie": True}


def test_who_may_begin_a_direct_conversation(ann: Person, bob: Person, robot: Robot) -> None:
    assert bob.post("conversations", {"type": "dm", "members": [robot.ref]}).status_code == 201
    Bot.objects.update(direct=Bot.Reach.OWNER)
    cat = bob.post("conversations", {"type": "dm", "members": [robot.ref]})
    problem(cat, 403, "forbidden")
    assert ann.post("conversations", {"type": "dm", "members": [robot.ref]}).status_code == 201


# --- ends -----------------------------------------------------------------------------------------


def test_a_suspended_bot_is_kept_out_and_so_is_that_of_a_suspended_owner(
    ann: Person, bob: Person, bot_of: Callable[..., Bot], robot: Robot
) -> None:
    other = Robot(bot_of(bob, username="other"))
    suspension.suspend(user_id=ids.UserId(robot.bot.pk), reason="noise", until=None)
    assert "noise" in problem(robot.get("me"), 403, "suspended")["detail"]
    suspension.lift(user_id=ids.UserId(robot.bot.pk))
    assert robot.get("me").status_code == 200
    suspension.suspend(user_id=ann.id, reason="spam", until=None)
    assert "spam" in problem(robot.get("me"), 403, "suspended")["detail"]
    assert other.get("me").status_code == 200
    assert still_signed_in([robot.device.pk, other.device.pk]) == {other.device.pk}
    suspension.lift(user_id=ann.id)
    assert still_signed_in([robot.device.pk, other.device.pk]) == {robot.device.pk, other.device.pk}


def test_a_bot_is_ended(ann: Person, bob: Person, robot: Robot, route: Route) -> None:
    group = group_with(ann, robot.ref, bob.ref)
    robot.say(group, "I was here")
    route()
    assert ann.delete(f"bots/{robot.ref}").status_code == 204
    route()
    problem(robot.get("me"), 401, "unauthenticated")
    problem(ann.get(f"bots/{robot.ref}"), 404, "not_found")
    assert bob.texts(group) == ["I was here"]
    assert {it["username"] for it in bob.get(f"conversations/{group}").json()["members"]} == {"ann", "bob"}
    assert bob.get(f"users/{robot.ref}").json()["display_name"] == "Deleted account"


def test_the_erasure_of_its_owner_ends_it_and_erases_what_it_wrote(ann: Person, bob: Person, robot: Robot) -> None:
    Erasure.objects.create(user=ann.user, due_at=timezone.now(), next_at=timezone.now())
    erasures.go_on(until=float("inf"))
    problem(robot.get("me"), 401, "unauthenticated")
    assert bob.get(f"users/{robot.ref}").json()["display_name"] == "Deleted account"
    assert Erasure.objects.filter(user=robot.bot.user).count() == 1


# --- the settings page ----------------------------------------------------------------------------


@pytest.fixture
def browser(ann: Person) -> Client:
    client = Client()
    client.force_login(ann.user)
    return client


def test_the_pages(browser: Client, ann: Person, bob: Person) -> None:
    assert "You have no bots" in browser.get("/settings/bots").content.decode()
    made = browser.post("/settings/bots/make", {"username": "helper", "display_name": "Helper"}, follow=True)
    page = made.content.decode()
    assert "Helper" in page
    ref = ids.user_ref(Bot.objects.get(owner=ann.user).pk)
    group = group_with(ann, ref)
    page = browser.post(
        f"/settings/bots/{ref}/tokens", {"token-name": "laptop", "token-scope": "read", "token-expires_in_days": ""}
    ).content.decode()
    token = Device.objects.get(name="laptop")
    assert token.scopes == ["read"]
    assert "is not shown again" in page
    assert "is not shown again" not in browser.get(f"/settings/bots/{ref}").content.decode()
    page = browser.post(
        f"/settings/bots/{ref}/webhooks", {"hook-name": "ci", "hook-conversation": group}
    ).content.decode()
    assert "/v1/hooks/" in page
    again = browser.get(f"/settings/bots/{ref}/webhooks", follow=True)
    assert (again.status_code, "/v1/hooks/" in again.content.decode()) == (200, False), "loaded anew, it shows the bot"
    hook = Device.objects.get(name="ci")
    before = hook.token_digest
    assert "/v1/hooks/" in browser.post(f"/settings/bots/{ref}/rotate/{ids.device_ref(hook.pk)}").content.decode()
    hook.refresh_from_db()
    assert hook.token_digest != before
    assert browser.post(f"/settings/bots/{ref}/revoke/{ids.device_ref(hook.pk)}").status_code == 302
    assert browser.post(f"/settings/bots/{ref}/change", {"display_name": "H", "direct": "owner"}).status_code == 302
    assert Bot.objects.get(owner=ann.user).direct == "owner"
    other = Client()
    other.force_login(bob.user)
    for path in (f"/settings/bots/{ref}",):
        assert other.get(path).status_code == 404
    for act in (
        "change",
        "end",
        "tokens",
        "webhooks",
        f"revoke/{ids.device_ref(token.pk)}",
        f"rotate/{ids.device_ref(token.pk)}",
    ):
        assert other.post(f"/settings/bots/{ref}/{act}", {}).status_code == 404
    assert browser.post(f"/settings/bots/{ref}/end").status_code == 302
    assert browser.get(f"/settings/bots/{ref}").status_code == 404


def test_who_may_make_none_is_told_so(browser: Client, settings: Any) -> None:
    settings.BOTS = "staff"
    assert "you cannot make bots" in browser.get("/settings/bots").content.decode()
    assert browser.post("/settings/bots/make", {"username": "helper"}).status_code == 403
