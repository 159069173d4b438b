"""Whatever comes in: a clear problem, never a 500, never a traceback (the log is watched by tests/conftest.py)."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import Bot
from accounts.services.bots import make_hook
from messaging.api.parsing import MAX_BODY_BYTES
from messaging.domain import ids
from messaging.hooks.endpoints import make as make_endpoint
from tests.api.conftest import Person, problem
from tests.api.endpoints import ENDPOINTS, FORMS, Endpoint

pytestmark = pytest.mark.django_db
Route = Callable[[], None]

every_endpoint_with_a_body = pytest.mark.parametrize("endpoint", [it for it in ENDPOINTS if it.has_body], ids=str)
#: What reads no body, or takes any bytes for one.
BODILESS = {
    "put blocks/<str:user>",
    "put messages/<str:message>/reactions/<str:emoji>",
    "put messages/<str:message>/pin",
    "post invites/<str:token>",
    "post devices/<str:device>/push/test",
    "post media/<str:media>/complete",
    "post scheduled/<str:scheduled>/send",
    "put media/<str:media>/parts/<str:number>",
    "post me/exports",
    "post bots/<str:bot>/tokens/<str:device>/rotate",
    "post bots/<str:bot>/webhooks/<str:device>/rotate",
    "post bots/<str:bot>/endpoints/<str:endpoint>/secret",
    "post bots/<str:bot>/endpoints/<str:endpoint>/test",
    "post bots/<str:bot>/endpoints/<str:endpoint>/deliveries/<str:event>/redeliver",
}

#: All fields of these may be left out, and so may the body.
NOTHING_NEEDED = {
    "patch scheduled/<str:scheduled>",
    "patch me",
    "patch me/push-settings",
    "patch bots/<str:bot>",
    "patch bots/<str:bot>/endpoints/<str:endpoint>",
    "patch conversations/<str:conversation>/shelf",
    "post conversations/<str:conversation>/invites",
}


def fine(response: Any) -> Any:
    """Hold a response to be a success or a complete problem, and return it."""
    if response.status_code >= 400:
        assert response.status_code < 500, response.content
        problem(response, response.status_code, response.json()["code"])
    return response


@pytest.fixture
def call(ann: Person, bob: Person, bot_of: Callable[..., Bot], settings: Any) -> Callable[..., Any]:
    """Return a function by which Ann calls an endpoint on a group of hers, or a bot of hers in it, with a raw body."""
    settings.BOTS = "everyone"
    bot = bot_of(ann)
    group = str(ann.post("conversations", {"type": "group", "members": [bob.ref, ids.user_ref(bot.pk)]}).json()["id"])
    end, _ = make_endpoint(bot=bot, url="https://example.org/", events=["mention"])
    _, token = make_hook(bot=bot, name="builds", conversation=ids.parse_conversation(group))

    def call(endpoint: Endpoint, raw: bytes, content_type: str = "application/json") -> Any:
        # The limits on logins are not what is tried here.
        cache.clear()
        values = {"conversation": group, "user": bob.ref, "device": ids.device_ref(5)}
        values |= {"message": ids.server_id(ids.parse_conversation(group), 5), "emoji": "👍"}
        values |= {"media": ids.media_ref(5), "number": "1", "bot": ids.user_ref(bot.pk), "export": "5"}
        values |= {"scheduled": ids.scheduled_ref(5)}
        values |= {"endpoint": ids.endpoint_ref(end.pk), "event": "evt_5"}
        values |= {"token": token if endpoint.route.startswith("hooks") else "none"}
        needed = {name: value for name, value in values.items() if f":{name}>" in endpoint.route}
        return getattr(ann.client, endpoint.method)(endpoint.path(**needed), raw, content_type=content_type)

    return call


# --- bodies ---------------------------------------------------------------------------------------

NOT_JSON = {
    "cut": b"{",
    "two": b"{}{}",
    "not UTF-8": b'{"name": "\xff"}',
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "NaN": b"NaN",
    "Infinity": b'{"members": Infinity}',
    "NUL": b"\x00",
    "a control character": b'{"name": "\x01"}',
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "a number of 5,000 digits": b'{"until": ' + b"9" * 5_000 + b"}",
    "a form": b"name=x",
}


@every_endpoint_with_a_body
def test_what_is_not_json_is_a_bad_frame(call: Any, endpoint: Endpoint) -> None:
    for name, raw in NOT_JSON.items():
        response = fine(call(endpoint, raw))
        if str(endpoint) not in BODILESS:
            assert (response.status_code, response.json()["code"]) == (400, "bad_frame"), name


@every_endpoint_with_a_body
def test_json_that_is_no_object_is_invalid(call: Any, endpoint: Endpoint) -> None:
    for raw in (b"", b"null", b"5", b'"text"', b"[]", b"[{}]", b"true"):
        response = fine(call(endpoint, raw))
        if str(endpoint) not in BODILESS | NOTHING_NEEDED or (raw and str(endpoint) not in BODILESS):
            assert (response.status_code, response.json()["code"]) == (400, "invalid"), raw


#: What each endpoint reads, with a good value of each.
FIELDS: dict[str, dict[str, Any]] = {
    "post accounts": {"username": "somebody", "password": "four-wet-boots", "display_name": "x", "device": "x"},
    "post tokens": {"username": "ann", "password": "no", "device": "x"},
    "patch me": {
        "display_name": "x",
        "about": "x",
        "email": "x@example.org",
        "presence": "contacts",
        "share_presence": True,
        "show_previews": True,
        "language": "de",
        "password": "no",
        "code": "x",
    },
    "post devices/revoke-others": {"password": "no", "code": "x"},
    "post me/password": {"current": "no", "new": "four-wet-boots"},
    "post conversations": {"type": "group", "members": [], "name": "x"},
    "patch conversations/<str:conversation>": {"name": "x"},
    "post conversations/<str:conversation>/messages": {
        "msg_id": str(uuid4()), "body": "hello", "media": [], "reply_to": None, "forwarded_from": None,
    },
    "patch messages/<str:message>": {"msg_id": str(uuid4()), "body": "better"},
    "post conversations/<str:conversation>/members": {"members": ["u_AAAAAAAAAAE"]},
    "patch conversations/<str:conversation>/members/<str:user>": {"role": "member"},
    "put conversations/<str:conversation>/read": {"server_id": "m_AAAAAAAAAAEAAAAAAAAAAQ"},
    "put conversations/<str:conversation>/mute": {"until": None},
    "put conversations/<str:conversation>/timer": {"timer_s": None},
    "patch conversations/<str:conversation>/shelf": {"archived": True, "pinned": True, "marked_unread": True},
    "put conversations/<str:conversation>/draft": {"body": "hello"},
    "post scheduled": {
        "conversation": "c_AAAAAAAAAAE", "msg_id": str(uuid4()), "send_at": "2030-01-01T00:00:00Z", "body": "hello",
        "media": [], "reply_to": None, "mentions": [],
    },
    "patch scheduled/<str:scheduled>": {"send_at": "2030-01-01T00:00:00Z", "body": "hello", "mentions": []},
    "put conversations/<str:conversation>/picture": {"media": "f_AAAAAAAAAAE"},
    "put me/picture": {"media": "f_AAAAAAAAAAE"},
    "post conversations/<str:conversation>/invites": {"expires_in_s": 60, "max_uses": 5, "approval": True},
    "post conversations/<str:conversation>/requests/<str:user>": {"accept": True},
    "post media": {
        "conversation": "c_AAAAAAAAAAE", "name": "x", "size": 5, "type": "image/png", "voice": True, "duration_ms": 5,
    },
    "put devices/<str:device>/push": {
        "provider": "webpush", "token": "x", "endpoint": "https://fcm.googleapis.com/x",
        "keys": {"p256dh": "x", "auth": "x"}, "environment": "production", "topic": "x", "enabled": True, "content": "",
    },
    "post bots": {"username": "somebot", "display_name": "x", "description": "x", "direct": "owner", "for_all": False},
    "patch bots/<str:bot>": {"display_name": "x", "description": "x", "direct": "everyone"},
    "post bots/<str:bot>/tokens": {"name": "x", "scopes": ["read"], "conversations": None, "expires_in_days": 5},
    "post bots/<str:bot>/webhooks": {"name": "x", "conversation": "c_AAAAAAAAAAE"},
    "post bots/<str:bot>/endpoints": {"url": "https://example.org/", "events": ["mention"]},
    "patch bots/<str:bot>/endpoints/<str:endpoint>": {"url": "https://example.org/", "events": ["mention"], "on": True},
    "post hooks/<str:token>": {"text": "x", "mentions": [], "reply_to": None, "idempotency_key": "x"},
    "post reports": {"user": "u_AAAAAAAAAAE", "category": "spam", "text": "x"},
    "post messages/<str:message>/appeal": {"text": "x"},
    "post me/erasure": {"password": "no", "code": ""},
    "patch me/push-settings": {
        "enabled": True, "content": "full", "quiet_from": "22:00", "quiet_until": "07:00", "time_zone": "UTC",
        "mentions_override_mute": False,
        "email_summary": True,
    },
}  # fmt: skip
NASTY: list[Any] = [
    None, True, 0, -1, 1 << 70, 1.5, 1e300, "", " ", "\x00", "x\x00", "\ud800", "x" * 70_000, "\u202e", [], {}, [[]],
    [{}], [None], ["\x00"], ["\ud800"], {"a": {"b": 1}}, {"\ud800": 1}, ["x"] * 5_000,
    "9999-12-31T23:59:59.999999+14:00", "0001-01-01T00:00:00-14:00", "2030-13-01T00:00:00Z",
    "c_AAAAAAAAAAE", "u_AAAAAAAAAAE", "m_AAAAAAAAAAEAAAAAAAAAAQ",
]  # fmt: skip


def test_the_fields_of_every_endpoint_are_tried() -> None:
    assert FIELDS.keys() == {str(it) for it in ENDPOINTS if it.has_body} - BODILESS


@pytest.mark.parametrize("endpoint", [it for it in ENDPOINTS if str(it) in FIELDS], ids=str)
def test_no_value_of_a_field_makes_it_fail(call: Any, endpoint: Endpoint) -> None:
    good = FIELDS[str(endpoint)]
    for field in good:
        for value in NASTY:
            fine(call(endpoint, json.dumps(good | {field: value}).encode()))


@every_endpoint_with_a_body
def test_a_body_over_the_limit_is_too_large(call: Any, endpoint: Endpoint) -> None:
    if str(endpoint) in BODILESS:
        return
    raw = b'{"x":"' + b"x" * MAX_BODY_BYTES + b'"}'
    problem(call(endpoint, raw), 413, "too_large")
    if endpoint in FORMS:
        problem(call(endpoint, b"x=" + b"x" * 10_000_000, "application/x-www-form-urlencoded"), 413, "too_large")
        fields = "&".join(f"f{number}=1" for number in range(5_000)).encode()
        problem(call(endpoint, fields, "application/x-www-form-urlencoded"), 400, "bad_frame")


def test_a_long_list_of_rubbish_is_refused_as_a_whole(call: Any) -> None:
    group, members, messages = (
        Endpoint("post", route)
        for route in (
            "conversations",
            "conversations/<str:conversation>/members",
            "conversations/<str:conversation>/messages",
        )
    )
    rubbish = ["x"] * 100_000
    for endpoint in (group, members):
        response = call(endpoint, json.dumps({"type": "group", "members": rubbish}).encode())
        problem(response, 400, "too_many_members")
        assert len(response.content) < 1_000
    response = call(messages, json.dumps({"msg_id": str(uuid4()), "media": rubbish}).encode())
    problem(response, 413, "too_large")
    assert len(response.content) < 1_000


@every_endpoint_with_a_body
@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/xml",
        "application/octet-stream",
        "multipart/form-data; boundary=x",
        "multipart/form-data",
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=hex",
        "nonsense",
    ],
)
def test_another_content_type_is_refused(call: Any, endpoint: Endpoint, content_type: str) -> None:
    response = fine(call(endpoint, b"name=x&username=x", content_type))
    if str(endpoint) in BODILESS:
        return
    if endpoint in FORMS and "urlencoded" in content_type:
        assert response.status_code == 400
    else:
        problem(response, 415, "unsupported_media_type")


def test_a_browsers_large_or_broken_form_is_refused_quietly(ann: Person) -> None:
    """With a session the form is read for its CSRF token before anything else."""
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(ann.user)
    browser.get("/")
    for content_type in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "multipart/form-data"):
        response = browser.post("/v1/conversations", b"x=" + b"x" * 10_000_000, content_type=content_type)
        problem(response, 415, "unsupported_media_type")


# --- paths, methods, queries ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["/v1", "/v1/", "/v1/nothing", "/v1/conversations/", "/v1//conversations", "/v1/../admin", "/v1/%00", "/v1/%ff"],
)
def test_an_unknown_path_is_not_found(ann: Person, path: str) -> None:
    for method in ("get", "post", "put", "patch", "delete"):
        problem(getattr(ann.client, method)(path), 404, "not_found")


@pytest.mark.parametrize("route", sorted({it.route for it in ENDPOINTS} - {"docs", "schema"}))
def test_another_method_is_not_allowed(ann: Person, route: str) -> None:
    known = {it.method for it in ENDPOINTS if it.route == route}
    client = APIClient() if route in ("accounts", "tokens", "hooks/<str:token>") else ann.client
    values = {"conversation": "c_x", "user": "u_x", "device": "d_x", "message": "m_x", "emoji": "x", "media": "f_x"}
    values |= {"number": "1", "token": "none", "bot": "u_x", "export": "5", "scheduled": "s_x"}
    values |= {"endpoint": "e_x", "event": "evt_x"}
    needed = {name: value for name, value in values.items() if f":{name}>" in route}
    for method in {"get", "post", "put", "patch", "delete"} - known:
        response = getattr(client, method)(Endpoint(method, route).path(**needed))
        problem(response, 405, "method_not_allowed")
        assert {name.lower() for name in response["Allow"].split(", ")} - {"options", "head"} == known


NASTY_REFS = [
    "x",
    "c_",
    "u_",
    "d_",
    "m_x",
    "c_AAAAAAAAAAA",
    "c_AAAAAAAAAAE=",
    "%00",
    "%ff%fe",
    "ü",
    "👋",
    "..",
    "'",
    "a" * 5_000,
]


@pytest.mark.parametrize("ref", NASTY_REFS)
def test_a_malformed_id_in_a_path_is_an_absent_one(ann: Person, bob: Person, ref: str) -> None:
    group = ann.group(bob)
    for endpoint in ENDPOINTS:
        for bad in ("conversation", "user", "device", "message", "bot", "endpoint", "event"):
            if f"<str:{bad}>" not in endpoint.route:
                continue
            values = {"conversation": group, "user": bob.ref, "device": ids.device_ref(5), "emoji": "👍"}
            values |= {"token": "none", "bot": ids.user_ref(5), "endpoint": "e_x", "event": "evt_5", bad: ref}
            needed = {name: value for name, value in values.items() if f"<str:{name}>" in endpoint.route}
            body = FIELDS.get(str(endpoint), {})
            call = getattr(ann.client, endpoint.method)
            path = endpoint.path(**needed)
            response = call(path, body, format="json") if endpoint.has_body else call(path)
            if endpoint == Endpoint("put", "conversations/<str:conversation>/read") and bad == "conversation":
                # The message is of another conversation than one that does not exist: either answer is right.
                assert fine(response).status_code in (400, 404)
                continue
            problem(response, 404, "not_found")


NASTY_TEXT = [
    "\x00",
    "x\x00",
    "ü",
    "👋",
    "\ud800",
    "-1",
    "0",
    "1e3",
    "1" * 5_000,
    "٣",
    "m_x",
    "..",
    "%",
    "' OR 1=1 --",
    "a" * 5_000,
]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("conversations", "limit"), ("conversations", "cursor"),
        ("conversations/{}/messages", "limit"), ("conversations/{}/messages", "before"),
        ("conversations/{}/messages", "after"),
        ("conversations/{}/members", "limit"), ("conversations/{}/members", "cursor"),
    ],
)  # fmt: skip
def test_a_malformed_parameter_is_invalid(ann: Person, bob: Person, path: str, name: str) -> None:
    group = ann.group(bob)
    for text in NASTY_TEXT:
        query = text.encode("utf-8", "surrogatepass")
        response = ann.client.get(f"/v1/{path.format(group)}", {name: query})
        problem(response, 400, "invalid")


def test_no_search_makes_it_fail(ann: Person, bob: Person) -> None:
    group = ann.group(bob)
    for text in NASTY_TEXT:
        for path in ("users", f"conversations/{group}/members"):
            fine(ann.client.get(f"/v1/{path}", {"q": text.encode("utf-8", "surrogatepass")}))
