"""The real server and a real browser. Left out, with a reason, where there is no Chromium."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
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

    def start(self) -> None:
        environment = {k: v for k, v in os.environ.items() if k not in {v.name for v in VARIABLES}}
        # Everybody here signs up from one address.
        environment |= {
            "CHAT_DATA_DIR": str(self._data),
            "CHAT_SIGNUP_RATE": "1000/hour",
            "CHAT_LOGIN_RATE": "1000/hour",
        }
        self._process = subprocess.Popen(
            [sys.executable, "manage.py", "run", f"--port={self.port}", "--no-worker"],
            cwd=settings.BASE_DIR,
            env=environment,
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


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_BROWSER)
        yield browser
        browser.close()


@pytest.fixture
def person(server: Server, browser: Any) -> Iterator[Callable[..., Any]]:
    """Return ``person(username, **context) -> Page``: somebody who just signed up, in a browser of their own.

    What the page's console or policy complains about fails the test; that a killed server does not answer is no fault.
    """
    contexts = []
    faults: list[str] = []

    def told(message: Any) -> None:
        if message.type == "error" and "ERR_CONNECTION" not in message.text and "WebSocket" not in message.text:
            faults.append(message.text)

    def make(username: str, **context: Any) -> Any:
        made = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **context})
        made.set_default_timeout(15_000)
        contexts.append(made)
        page = made.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", told)
        page.goto(f"{server.url}/accounts/signup/")
        page.fill("input[name=username]", username)
        page.fill("input[name=password1]", PASSWORD)
        page.click("button[type=submit]")
        page.wait_for_selector("#app[data-connection=online]")
        return page

    yield make
    for context in contexts:
        context.close()
    assert faults == []
