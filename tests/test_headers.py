"""What every kind of answer tells browsers: in nobody's frame, of no other type, not kept, and known to nobody else."""

import re
import subprocess
import sys
from collections.abc import Callable
from http.cookies import SimpleCookie
from pathlib import Path

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import Client

from accounts.models import User
from tests.conftest import PASSWORD
from tests.test_settings import behind_tls

pytestmark = pytest.mark.django_db

#: Of each kind of answer one, and its status for somebody who is signed in and of the staff.
KINDS = {
    "/": 200,
    "/settings/": 200,
    "/accounts/login/": 302,
    "/accounts/password/change/": 200,
    "/admin/": 200,
    "/admin/accounts/user/": 200,
    "/admin/nothing/": 404,
    "/nothing": 404,
    "/v1/me": 200,
    "/v1/conversations": 200,
    "/v1/nothing": 404,
    "/v1/users": 400,
    "/v1/schema": 200,
    "/v1/docs": 200,
    "/healthz": 200,
    "/worker.js": 200,
    "/app.webmanifest": 200,
    "/static/js/app.js": 200,
    "/static/css/tokens.css": 200,
    "/static/images/icon.svg": 200,
    "/static/nothing.js": 404,
}


@pytest.fixture
def staff(make_user: Callable[..., User], settings: object) -> Client:
    settings.ADMIN_REQUIRE_2FA = False  # type: ignore[attr-defined]
    user = make_user("ann")
    user.is_staff = user.is_superuser = True
    user.save()
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize(("path", "status"), KINDS.items())
def test_every_kind_of_answer_is_guarded(staff: Client, path: str, status: int) -> None:
    answer = staff.get(path)
    assert answer.status_code == status
    policy = answer["Content-Security-Policy"]
    for directive in ("frame-ancestors 'none'", "object-src 'none'", "base-uri 'none'", "form-action 'self'"):
        assert directive in policy
    assert "unsafe" not in policy
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in answer
    assert "Server" not in answer
    if path.startswith("/static/") and status == 200:
        assert "max-age" in answer["Cache-Control"]
    else:
        assert "no-store" in answer["Cache-Control"]
        assert answer["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("path", ["/accounts/login/", "/accounts/signup/", "/v1/me", "/settings/"])
def test_so_it_is_for_who_is_not_signed_in(path: str) -> None:
    answer = Client().get(path)
    assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
    assert "no-store" in answer["Cache-Control"]


def test_another_sites_page_may_ask_for_nothing(staff: Client) -> None:
    """No answer to a preflight lets it in."""
    answer = staff.options("/v1/me", HTTP_ORIGIN="https://evil.example", HTTP_ACCESS_CONTROL_REQUEST_METHOD="PATCH")
    assert not [name for name in answer.headers if name.startswith("Access-Control-")]


_SIGN_IN = """
import django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from accounts.models import User
User.objects.create_user("ann", password={password!r})
from django.test import Client
client = Client(HTTP_X_FORWARDED_PROTO="https", HTTP_HOST="localhost")
page = client.get("/accounts/login/")
answer = client.post("/accounts/login/", {{"login": "ann", "password": {password!r}}})
print(answer.status_code, page["Strict-Transport-Security"])
print(answer.cookies.output(header=""))
from messaging.headers import bare
print(dict(bare())[b"strict-transport-security"].decode())
"""


@pytest.mark.slow
def test_behind_tls_cookies_and_transport_are_strict(tmp_path: Path) -> None:
    """As they are on the wire: in a process of its own, since the settings are made of the environment."""
    told = subprocess.run(  # our own interpreter
        [sys.executable, "-c", _SIGN_IN.format(password=PASSWORD)],
        env=behind_tls(tmp_path, CHAT_HSTS_SUBDOMAINS="1"),
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    first, *lines, last = told.stdout.strip().splitlines()
    assert first == "302 max-age=31536000; includeSubDomains"
    assert last == "max-age=31536000; includeSubDomains"
    cookies = SimpleCookie("")
    for line in lines:
        cookies.load(line.strip())
    assert set(cookies) == {"__Host-sessionid", "__Host-csrftoken"}
    for morsel in cookies.values():
        assert morsel["secure"]
        assert morsel["samesite"] == "Lax"
        assert (morsel["path"], morsel["domain"]) == ("/", "")
    assert cookies["__Host-sessionid"]["httponly"]


def test_no_field_of_a_form_keeps_password_managers_out(make_user: Callable[..., User]) -> None:
    signed_in = Client()
    signed_in.force_login(make_user("ann"))
    wanted = {
        "/accounts/login/": ["current-password"],
        "/accounts/signup/": ["new-password"],
        "/accounts/password/change/": ["current-password", "new-password", "new-password"],
    }
    for path, values in wanted.items():
        page = (Client() if path != "/accounts/password/change/" else signed_in).get(path).content.decode()
        fields = re.findall(r'<input[^>]*type="password"[^>]*>', page)
        assert [re.findall(r'autocomplete="([^"]*)"', field) for field in fields] == [[value] for value in values]
        assert "onpaste" not in page


def test_rest_never_answers_with_a_page() -> None:
    """Whatever a browser's address bar asks it for."""
    for path in ("/v1/me", "/v1/users?q=<script>", "/v1/messages/<b>x", "/v1/<script>alert(1)</script>"):
        answer: HttpResponse = Client().get(path, HTTP_ACCEPT="text/html")  # type: ignore[assignment]
        assert answer["Content-Type"] in ("application/problem+json", "application/json")
    assert settings.REST_FRAMEWORK["DEFAULT_RENDERER_CLASSES"] == ["rest_framework.renderers.JSONRenderer"]
