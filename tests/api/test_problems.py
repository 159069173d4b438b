"""Every refusal is a problem, whoever refuses; and the schema tells the truth about it."""

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from rest_framework.test import APIClient
from rest_framework.throttling import UserRateThrottle

from messaging.api import problems
from tests.api.conftest import Person, problem

pytestmark = pytest.mark.django_db


def test_no_credentials_no_entry() -> None:
    for path in ("conversations", "conversations/c_x", "conversations/c_x/messages", "conversations/c_x/members"):
        response = APIClient().get(f"/v1/{path}")
        problem(response, 401, "unauthenticated")
        assert response["WWW-Authenticate"]


def test_what_http_refuses_is_a_problem(ann: Person) -> None:
    problem(ann.delete("conversations"), 405, "method_not_allowed")
    response = ann.client.post("/v1/conversations", "a=b", content_type="text/plain")
    problem(response, 415, "unsupported_media_type")
    problem(ann.client.get("/v1/conversations", headers={"accept": "image/png"}), 406, "not_acceptable")


def test_an_unknown_path_is_a_problem_under_v1_only(ann: Person) -> None:
    problem(ann.get("nothing/here"), 404, "not_found")
    assert "json" not in Client().get("/nothing-here")["Content-Type"]


def test_too_many_requests_say_when_to_come_back(ann: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(UserRateThrottle, "THROTTLE_RATES", {"user": "1/min"})
    cache.clear()
    assert ann.get("conversations").status_code == 200
    response = ann.get("conversations")
    refusal = problem(response, 429, "rate_limited")
    assert 0 < refusal["retry_after"] <= 60
    assert 0 < int(response["Retry-After"]) <= 60


def test_a_defect_tells_nothing_of_itself(rf: Any) -> None:
    response = problems.server_error(rf.get("/v1/conversations"))
    assert response.status_code == 500
    assert response["Content-Type"] == "application/problem+json"
    assert problems.exception_handler(ValueError("secret"), {}) is None


def test_the_schema_names_every_endpoint_and_its_problems(client: Client) -> None:
    schema = client.get("/v1/schema", headers={"accept": "application/vnd.oai.openapi+json"}).json()
    paths = schema["paths"]
    send = paths["/v1/conversations/{conversation}/messages"]["post"]
    assert {"200", "201", "400", "401", "403", "404", "413", "429", "503"} <= set(send["responses"])
    assert set(send["responses"]["404"]["content"]) == {"application/problem+json"}
    for path in ("", "/{conversation}", "/{conversation}/members", "/{conversation}/read", "/{conversation}/mute"):
        assert f"/v1/conversations{path}" in paths
    assert "from" in schema["components"]["schemas"]["Message"]["properties"]


def test_the_docs_page_runs_no_inline_script(client: Client) -> None:
    page = client.get("/v1/docs")
    assert page.status_code == 200
    html = page.content.decode()
    assert "<script>" not in html
    assert "<style" not in html
    assert "unsafe-inline" not in page["Content-Security-Policy"]
    script = client.get("/v1/docs?script=")
    assert script["Content-Type"].startswith("application/javascript")
