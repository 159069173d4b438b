"""Who may do what by REST: nobody without credentials, strangers nothing, former members nothing that came after."""

import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from messaging.domain import ids
from tests.api.conftest import Person, problem
from tests.api.endpoints import ENDPOINTS, OPEN, Endpoint

pytestmark = pytest.mark.django_db
Route = Callable[[], None]

VALUES = {
    "conversation": ids.conversation_ref(5),
    "user": ids.user_ref(5),
    "device": ids.device_ref(5),
    "message": ids.server_id(5, 5),
    "emoji": "👍",
    "media": ids.media_ref(5),
    "number": "1",
    "token": "nobody-made-this-one",
    "scheduled": ids.scheduled_ref(5),
    "bot": ids.user_ref(5),
    "export": "5",
    "endpoint": ids.endpoint_ref(5),
    "event": "evt_5",
}


def ask(client: APIClient, endpoint: Endpoint, body: Any = None, **values: str) -> Any:
    """Call an endpoint with those of ``values`` that are in its route, and others of nobody for the rest."""
    needed = {name: value for name, value in (VALUES | values).items() if f":{name}>" in endpoint.route}
    call = getattr(client, endpoint.method)
    path = endpoint.path(**needed)
    if endpoint.route.endswith("/since"):
        path += "?at=2026-01-01T00:00:00Z"
    return call(path, body, format="json") if endpoint.has_body else call(path)


@pytest.mark.parametrize("endpoint", [it for it in ENDPOINTS if it not in OPEN], ids=str)
def test_nobody_is_asked_for_credentials(endpoint: Endpoint) -> None:
    response = ask(APIClient(), endpoint, {})
    problem(response, 401, "unauthenticated")
    assert response["WWW-Authenticate"] == "Bearer"


def test_what_is_open_is_open() -> None:
    assert set(ENDPOINTS) >= OPEN
    for endpoint in OPEN:
        assert ask(APIClient(), endpoint, {}).status_code in (200, 400, 404)


def test_every_route_under_v1_is_tried() -> None:
    """What is tried here is read from the routes; this holds that reading to what the description has."""
    described = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    names = {
        (method, re.sub(r"<\w+:(\w+)>", r"{\1}", f"/v1/{it.route}"))
        for it in ENDPOINTS
        if it.route not in ("schema", "docs")
        for method in [it.method]
    }
    described_too = {(method, path) for path, methods in described.items() for method in methods}
    # The gateway's own; who may poll is tested in tests/gateway/test_poll.py.
    assert names | {("get", "/v1/poll"), ("post", "/v1/poll")} == described_too


# --- conversations of others ----------------------------------------------------------------------

#: Those that end a membership come last: what follows would be refused for want of one.
_CONVERSATION = sorted(
    (it for it in ENDPOINTS if "<str:conversation>" in it.route or "<str:message>" in it.route),
    key=lambda it: it == Endpoint("delete", "conversations/<str:conversation>/members/<str:user>"),
)


def _good_body(endpoint: Endpoint, conversation: str, person: Person, other: Person, server_id: str) -> Any:
    """Return what a member would send; KeyError says that a new endpoint wants a body here."""
    base = "conversations/<str:conversation>"
    bodies: dict[str, Any] = {
        f"patch {base}": {"name": "x"},
        f"post {base}/messages": {"msg_id": str(uuid4()), "body": "hello"},
        f"post {base}/members": {"members": [person.ref]},
        f"patch {base}/members/<str:user>": {"role": "member"},
        f"put {base}/read": {"server_id": server_id},
        f"put {base}/mute": {"until": None},
        f"put {base}/timer": {"timer_s": None},
        "patch messages/<str:message>": {"msg_id": str(uuid4()), "body": "better"},
        "put messages/<str:message>/reactions/<str:emoji>": None,
        "put messages/<str:message>/pin": None,
        f"patch {base}/shelf": {"archived": False},
        f"put {base}/picture": {"media": ids.media_ref(5)},
        f"post {base}/invites": {},
        f"post {base}/requests/<str:user>": {"accept": False},
        f"put {base}/draft": {"body": "begun"},
        "post messages/<str:message>/appeal": {"text": "it was a joke"},
    }
    return bodies[str(endpoint)] if endpoint.has_body else None


def _everything(person: Person, conversation: str, other: Person, server_id: str) -> dict[str, Any]:
    answers = {}
    for endpoint in _CONVERSATION:
        for about in (other, person) if "<str:user>" in endpoint.route else (other,):
            body = _good_body(endpoint, conversation, person, other, server_id)
            answer = ask(person.client, endpoint, body, conversation=conversation, user=about.ref, message=server_id)
            answers[f"{endpoint} {about.user.username}"] = answer
    return answers


def test_a_member_is_let_in_everywhere(ann: Person, bob: Person, route: Route) -> None:
    """What is refused below is refused for want of membership and not for a flaw of the request."""
    group = ann.group(bob)
    server_id = ann.say(group).json()["server_id"]
    route()
    statuses = {name: answer.status_code for name, answer in _everything(ann, group, bob, server_id).items()}
    # Ann cannot change her own role, and there is no picture to be seen, nor a preview.
    refused = {name for name, status in statuses.items() if status >= 400 and not re.search("/picture|/preview", name)}
    assert {name.split()[0] for name in refused} <= {"patch", "delete", "put", "post"}, statuses
    assert statuses["get conversations/<str:conversation>/messages bob"] == 200
    assert statuses["post conversations/<str:conversation>/messages bob"] == 201


def test_a_stranger_finds_nothing(ann: Person, bob: Person, cat: Person, route: Route) -> None:
    group = ann.group(bob)
    server_id = ann.say(group).json()["server_id"]
    route()
    absent = ids.conversation_ref(5)
    of_absent = _everything(cat, absent, bob, ids.server_id(5, ids.parse_server_id(server_id)[1]))
    for name, answer in _everything(cat, group, bob, server_id).items():
        assert problem(answer, 404, "not_found") == problem(of_absent[name], 404, "not_found"), name
    assert cat.get("conversations").json()["results"] == []
    assert ann.texts(group) == ["hello"], "and has left no trace"


@pytest.mark.parametrize("how", ["removed", "left"])
def test_a_former_member_finds_nothing(ann: Person, bob: Person, cat: Person, route: Route, how: str) -> None:
    group = ann.group(bob, cat)
    before = ann.say(group, "before").json()["server_id"]
    route()
    assert (ann if how == "removed" else cat).delete(f"conversations/{group}/members/{cat.ref}").status_code == 204
    ann.say(group, "after")
    route()
    for answer in _everything(cat, group, bob, before).values():
        problem(answer, 404, "not_found")
    assert cat.get("conversations").json()["results"] == []
    assert ann.texts(group) == ["after", "before"]


def test_a_former_members_cursor_opens_nothing(ann: Person, bob: Person, cat: Person, route: Route) -> None:
    group = ann.group(bob, cat)
    for number in range(3):
        ann.say(group, str(number))
    route()
    cursor = cat.get(f"conversations/{group}/messages", limit=1).json()["next"]
    assert cat.get(f"conversations/{group}/messages", before=cursor).status_code == 200
    ann.delete(f"conversations/{group}/members/{cat.ref}")
    for name in ("before", "after"):
        problem(cat.get(f"conversations/{group}/messages", **{name: cursor}), 404, "not_found")


# --- other people's things ------------------------------------------------------------------------


def test_devices_of_others_are_absent(ann: Person, bob: Person) -> None:
    signed_in = APIClient().post(
        "/v1/accounts", {"username": "zoe", "password": "four-wet-boots"}, format="json"
    ).json()  # fmt: skip
    device = signed_in["device"]["id"]
    assert problem(ann.delete(f"devices/{device}"), 404, "not_found") == problem(
        ann.delete(f"devices/{ids.device_ref(5)}"), 404, "not_found"
    )
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {signed_in['token']}")
    assert client.get("/v1/me").status_code == 200
