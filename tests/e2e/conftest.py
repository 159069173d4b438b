"""The real server and a real browser. Left out, with a reason, where there is no Chromium."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from chatproject.env import VARIABLES

PASSWORD = "correct-horse-7"
_PATIENCE_S = 60
_BROWSER = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]


class Server:
    """``manage.py run`` on its own data; can be killed and started again on the same port."""

    def __init__(self, data: Path) -> None:
        self._data = data
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._output = data.with_suffix(".out").open("a+b")

    @property
    def environment(self) -> dict[str, str]:
        """The variables of this server, for a command beside it as well."""
        others = {k: v for k, v in os.environ.items() if k not in {v.name for v in VARIABLES}}
        # Everybody here signs up from one address.
        return others | {
            "CHAT_DATA_DIR": str(self._data),
            "CHAT_SIGNUP_RATE": "1000/hour",
            "CHAT_LOGIN_RATE": "1000/hour",
            "CHAT_SEND_BURST": "1000",
        }

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "manage.py", "run", f"--port={self.port}", "--no-worker"],
            cwd=settings.BASE_DIR,
            env=self.environment,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )
        deadline = time.monotonic() + _PATIENCE_S
        while not self._ready():
            assert self._process.poll() is None, self.output
            assert time.monotonic() < deadline, "the server did not become ready"
            # Between processes there is no event to await.
            time.sleep(0.05)

    def _ready(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    @property
    def output(self) -> str:
        """What all the runs have printed."""
        self._output.seek(0)
        return self._output.read().decode(errors="replace")

    def kill(self) -> None:
        """End the server as a power cut does."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """End it for good."""
        self.kill()
        self._output.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("e2e") / "data")
    running.start()
    yield running
    running.close()


#: How long a page may take to show what it should, in ms.
PATIENCE_MS = 20_000


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    sync_api.expect.set_options(timeout=PATIENCE_MS)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_BROWSER)
        yield browser
        browser.close()


@pytest.fixture
def expected() -> list[str]:
    """What pages may complain about on their consoles; a test adds what it provokes."""
    # That a killed server does not answer is no fault of theirs.
    return ["ERR_CONNECTION", "WebSocket"]


@pytest.fixture
def visit(browser: Any, expected: list[str]) -> Iterator[Callable[..., Any]]:
    """Return ``visit(**context) -> Page``: a browser of its own, in which nobody is signed in.

    Any other error on a page or its console, above all what the content security policy forbids, fails the test.
    """
    contexts = []
    faults = []

    def told(message: Any) -> None:
        if message.type == "error" and not any(part in message.text for part in expected):
            faults.append(message.text)

    def make(**context: Any) -> Any:
        made = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **context})
        made.set_default_timeout(PATIENCE_MS)
        made.on("weberror", lambda error: faults.append(str(error.error)))
        made.on("console", told)
        contexts.append(made)
        return made.new_page()

    yield make
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def person(server: Server, visit: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``person(username, **context) -> Page``: somebody who just signed up, in a browser of their own."""

    def make(username: str, **context: Any) -> Any:
        page = visit(**context)
        # By the form's address, without its page: that page has a test of its own.
        signup, browser = f"{server.url}/accounts/signup/", page.context
        browser.request.get(signup)
        token = next(one["value"] for one in browser.cookies() if one["name"] == "csrftoken")
        form = {"username": username, "password1": PASSWORD, "email": "", "csrfmiddlewaretoken": token}
        assert browser.request.post(signup, form=form, max_redirects=0).status == 302
        page.goto(server.url)
        page.wait_for_selector("#app[data-connection=online]")
        return page

    return make


class Account:
    """Somebody without a browser: REST calls with a token."""

    def __init__(self, url: str, username: str) -> None:
        self._url = url
        self.username = username
        self._token = ""
        signed_up = self.call("POST", "accounts", {"username": username, "password": PASSWORD})
        self.id, self._token = signed_up["user"]["id"], signed_up["token"]

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Return the answer's JSON, or None for an empty one."""
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._url}/v1/{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def begin(self, *users: str, title: str = "") -> str:
        """Begin a direct conversation, or, with a title, a group; return its id."""
        kind = {"type": "group", "name": title} if title else {"type": "dm"}
        return str(self.call("POST", "conversations", {**kind, "members": list(users)})["id"])

    def say(self, conv: str, body: str) -> str:
        """Send a message; return its id."""
        message = {"msg_id": str(uuid.uuid4()), "body": body}
        return str(self.call("POST", f"conversations/{conv}/messages", message)["server_id"])


@pytest.fixture
def account(server: Server) -> Callable[[str], Account]:
    """Return ``account(username) -> Account``: somebody who signed up, and needs no browser here."""
    return lambda username: Account(server.url, username)
