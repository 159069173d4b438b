"""Passwords that are easy to guess here are refused, and a list that is away refuses nobody."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from rest_framework.test import APIClient

from accounts.models import User
from accounts.passwords import BreachedPasswordValidator, ContextWordsValidator
from chatproject.settings import context_words


@pytest.mark.parametrize("password", ["Example-2026", "chatchat99", "Ch4t!Ex4mple", "EXAMPLE!!!", "2026chat2026"])
def test_the_name_of_the_place_is_no_password(password: str) -> None:
    with pytest.raises(ValidationError, match="name of this place"):
        ContextWordsValidator(["chat", "example"]).validate(password)


@pytest.mark.parametrize("password", ["correct-example-horse", "chatterbox", "12345678", "äöüäöüäö", "exempli-gratia"])
def test_with_anything_else_it_is_left_to_other_rules(password: str) -> None:
    ContextWordsValidator(["chat", "example"]).validate(password)
    ContextWordsValidator([]).validate("chatchat")


def test_words_are_those_of_hosts_and_of_the_configuration() -> None:
    hosts = ["chat.example.co.uk", "localhost", "127.0.0.1", "[::1]", ".Intern.example.org", "*"]
    assert context_words(hosts, ["Acme"], "Example Inc.") == {"chat", "example", "intern", "acme", "inc"}


@dataclass
class Ranges:
    """A list that answers by ranges."""

    url: str = ""
    lines: list[str] = field(default_factory=list)
    status: int = 200
    asked: list[tuple[str, str]] = field(default_factory=list)


@pytest.fixture
def ranges() -> Iterator[Ranges]:
    known = Ranges()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known.asked.append((self.path, self.headers.get("Add-Padding", "")))
            body = "\r\n".join(known.lines).encode()
            self.send_response(known.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        known.url = f"http://127.0.0.1:{server.server_port}/range/"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield known
        server.shutdown()
        thread.join()


STOLEN = "four-wet-boots"
DIGEST = sha1(STOLEN.encode()).hexdigest().upper()


def test_a_stolen_password_is_refused_and_little_of_it_is_told(ranges: Ranges) -> None:
    validator = BreachedPasswordValidator(ranges.url)
    ranges.lines = ["0" * 35 + ":7", f"{DIGEST[5:]}:12"]
    with pytest.raises(ValidationError, match="stolen"):
        validator.validate(STOLEN)
    assert ranges.asked == [(f"/range/{DIGEST[:5]}", "true")]
    validator.validate("nine-blue-cups")
    ranges.lines = [f"{DIGEST[5:]}:0"]
    validator.validate(STOLEN)


def test_a_list_that_is_away_refuses_nobody(ranges: Ranges, caplog: pytest.LogCaptureFixture) -> None:
    ranges.lines, ranges.status = [f"{DIGEST[5:]}:12"], 503
    BreachedPasswordValidator(ranges.url).validate(STOLEN)
    BreachedPasswordValidator("http://127.0.0.1:1/range/").validate(STOLEN)
    ranges.lines, ranges.status = ["x" * 1000] * 1100, 200
    BreachedPasswordValidator(ranges.url).validate(STOLEN)
    told = [record.message for record in caplog.records if record.name == "accounts.passwords"]
    assert len(told) == 3
    assert STOLEN not in caplog.text
    BreachedPasswordValidator("").validate(STOLEN)


@pytest.mark.django_db
def test_they_hold_where_a_password_is_set(ranges: Ranges, settings: Any) -> None:
    ranges.lines = [f"{DIGEST[5:]}:12"]
    settings.AUTH_PASSWORD_VALIDATORS = [
        {"NAME": "accounts.passwords.ContextWordsValidator", "OPTIONS": {"words": ["example"]}},
        {"NAME": "accounts.passwords.BreachedPasswordValidator", "OPTIONS": {"url": ranges.url}},
    ]
    for password in (STOLEN, "example2026"):
        answer = APIClient().post("/v1/accounts", {"username": "ann", "password": password}, format="json")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert not User.objects.exists()
