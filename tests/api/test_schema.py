"""The OpenAPI description is true and complete: every answer is one that it names, in the shape that it gives.

Schemathesis makes the requests from the description, valid ones and others, and holds the answers against it.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import hypothesis
import jsonschema
import pytest
import requests
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client
from schemathesis import Case, Response

from accounts.models import Bot
from accounts.services.bots import make_hook
from accounts.services.devices import sign_in_device
from messaging.domain import ids
from messaging.hooks.endpoints import make as make_endpoint
from tests.api.conftest import Person
from tests.api.endpoints import OPEN
from tests.fuzz import CHECKS, SCHEMA
from tests.openapi import DESCRIPTION

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
Route = Callable[[], None]

_KEPT: Final = {"method", "url", "headers", "params", "cookies", "json", "data", "files"}


@pytest.fixture
def known(ann: Person, bob: Person, route: Route, bot_of: Callable[..., Bot], settings: Any) -> dict[str, str]:
    """Return what there is, by the names that it has in paths: with ids of nothing every answer would be a 404."""
    settings.BOTS = "everyone"
    bot = bot_of(ann)
    ref = ids.user_ref(bot.pk)
    group = str(ann.post("conversations", {"type": "group", "members": [bob.ref, ref]}).json()["id"])
    server_id = ann.say(group).json()["server_id"]
    route()
    end, _ = make_endpoint(bot=bot, url="https://example.org/", events=["mention"])
    _, token = make_hook(bot=bot, name="builds", conversation=ids.parse_conversation(group))
    found = {"endpoint": ids.endpoint_ref(end.pk), "event": "evt_5"}
    return found | {
        "conversation": group,
        "message": server_id,
        "user": bob.ref,
        "emoji": "👍",
        "bot": ref,
        "token": token,
    }


def send(case: Case, token: str) -> Response:
    """Send what was generated through Django's own client, which stays within the test's transaction."""
    kwargs = case.as_transport_kwargs(base_url="http://testserver")
    request = requests.Request(**{name: value for name, value in kwargs.items() if name in _KEPT}).prepare()
    headers = {name: value for name, value in request.headers.items() if name not in ("Content-Type", "Content-Length")}
    answer = Client(raise_request_exception=False).generic(
        str(request.method),
        request.path_url,
        request.body or b"",
        content_type=request.headers.get("Content-Type", ""),
        headers=headers | {"Authorization": f"Bearer {token}"},
    )
    return Response(
        status_code=answer.status_code,
        headers={name.lower(): [value] for name, value in answer.items()},
        content=answer.content,
        request=request,
        elapsed=0.0,
        verify=False,
    )


# Long polling is no view of Django, through whose client this goes; tests/gateway/test_poll.py has a real server.
@SCHEMA.exclude(path="/v1/poll").parametrize()
@hypothesis.settings(max_examples=10, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_every_answer_is_as_described(case: Case, known: dict[str, str], ann: Person) -> None:
    # The limits on logins are not what is tried here.
    cache.clear()
    # One of the endpoints ends it.
    device, token = sign_in_device(user=ann.user, name="app")
    values: dict[str, Any] = known | {"device": ids.device_ref(device.pk)}
    case.path_parameters = {name: values.get(name, value) for name, value in case.path_parameters.items()}
    case.validate_response(send(case, token), checks=CHECKS)


def test_it_is_made_without_a_warning(tmp_path: Path) -> None:
    # A component that has another's name would take its place, and only a warning says so.
    call_command("spectacular", "--fail-on-warn", "--validate", file=str(tmp_path / "schema.yml"))


def _contents() -> list[tuple[str, dict[str, Any]]]:
    """Return each body that is JSON, of requests and answers, by where it stands."""
    found = []
    for path, operations in DESCRIPTION["paths"].items():
        for method, operation in operations.items():
            bodies = {"request": operation.get("requestBody", {})} | operation["responses"]
            for what, body in bodies.items():
                for kind, content in body.get("content", {}).items():
                    if kind.endswith("json"):
                        found.append((f"{method} {path} {what}", content))
    return found


def test_every_body_has_an_example_that_is_one() -> None:
    schemas = {"components": DESCRIPTION["components"]}
    contents = _contents()
    assert len(contents) > 300
    for where, content in contents:
        assert "example" in content, where
        # OpenAPI 3.0 says ``nullable`` where JSON Schema has a further type.
        found = list(
            jsonschema.Draft7Validator(_as_json_schema(content["schema"] | schemas)).iter_errors(content["example"])
        )
        assert found == [], where


def _as_json_schema(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_as_json_schema(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: _as_json_schema(value) for name, value in schema.items()}
    return {"anyOf": [plain, {"type": "null"}]} if plain.get("nullable") is True else plain


def test_whoever_signs_in_can_be_refused_and_says_so_with_a_token() -> None:
    opened = {(it.method, re.sub(r"<\w+:(\w+)>", r"{\1}", f"/v1/{it.route}")) for it in OPEN}
    for path, operations in DESCRIPTION["paths"].items():
        for method, operation in operations.items():
            open_to_all = "security" not in operation
            assert open_to_all == ((method, path) in opened), (method, path)
            if not open_to_all:
                assert {"401", "403", "429"} <= set(operation["responses"]), (method, path)
                assert {"bearerAuth": []} in operation["security"]
