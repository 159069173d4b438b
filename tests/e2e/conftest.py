"""The real server and a real browser. Left out, with a reason, where there is no Chromium."""

import itertools
import json
import shutil
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from tests.process.full_stack import FullStack, engines
from tests.process.stacks import EmbeddedStack, Stack, environment

PASSWORD = "correct-horse-7"
_BROWSER = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    # A microphone that hums.
    "--use-fake-device-for-media-stream",
]


#: Everybody here signs up from one address, and some write faster than people do.
RATES: Final = {
    "CHAT_SIGNUP_RATE": "1000/hour",
    "CHAT_LOGIN_RATE": "1000/hour",
    "CHAT_SEND_BURST": "1000",
    "CHAT_SEND_RATE": "1000",
    "CHAT_SEARCH_RATE": "100000/min",
    "CHAT_ADMIN_REQUIRE_2FA": "0",
    # Jobs fetch them, and there are none here: what was found is put there by the test.
    "CHAT_LINK_PREVIEWS": "1",
    "CHAT_BOTS": "everyone",
}


class Server:
    """What the browsers visit: one gateway or several. It can be killed and started again, at the same addresses."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.urls = [f"http://{gateway}" for gateway in stack.gateways]
        self.url = self.urls[0]

    @property
    def environment(self) -> dict[str, str]:
        """The variables of its processes, for a command beside them as well."""
        return environment(**self._stack.variables)

    def people(self, *names: str) -> list[str]:
        """Make accounts, into which nobody signs in; return their ids."""
        return [its[0].user for its in self._stack.people(dict.fromkeys(names, 1)).values()]

    def manage(self, *arguments: str) -> str:
        """Return what ``manage.py`` prints beside its processes."""
        return self._stack.manage(*arguments)

    def drain(self) -> None:
        """End it as an operator does, clients first."""
        assert isinstance(self._stack, EmbeddedStack)
        self._stack.end_gently()

    def kill(self) -> None:
        """End all of its processes as a power cut does."""
        self._stack.kill(*self._stack.names)

    def start(self) -> None:
        """Start them again, and return once it takes connections."""
        self._stack.restart(*self._stack.names)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests marked ``full_stack``, or with ``--full-stack`` all of them, on the full stack as well."""
    if "server" in metafunc.fixturenames:
        both = metafunc.config.getoption("full_stack") or any(metafunc.definition.iter_markers("full_stack"))
        metafunc.parametrize("server", ["embedded", "full"] if both else ["embedded"], indirect=True)


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("e2e") / "data"
    stack: Stack
    if request.param == "embedded":
        stack = EmbeddedStack(directory, worker=False, **RATES)
    else:
        stack = FullStack(directory, engines(request), **RATES)
    with stack:
        yield Server(stack)


#: How long a page may take to show what it should, in ms.
PATIENCE_MS = 20_000


def open_browser(playwright: Any) -> Any:
    """Return a browser without a window. Skips where there is none to be had."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no chromium")
    return playwright.chromium.launch(executable_path=chromium, args=_BROWSER)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    sync_api.expect.set_options(timeout=PATIENCE_MS)
    with sync_api.sync_playwright() as playwright:
        browser = open_browser(playwright)
        yield browser
        browser.close()


@pytest.fixture
def expected() -> list[str]:
    """What pages may complain about on their consoles; a test adds what it provokes."""
    # That a killed server does not answer, or not to the end, is no fault of theirs.
    cut = ["ERR_EMPTY_RESPONSE", "ERR_CONTENT_LENGTH_MISMATCH", "ERR_INCOMPLETE_CHUNKED_ENCODING"]
    return ["ERR_CONNECTION", "ERR_SOCKET_NOT_CONNECTED", *cut, "WebSocket"]


@pytest.fixture
def visit(browser: Any, expected: list[str]) -> Iterator[Callable[..., Any]]:
    """Return ``visit(**context) -> Page``: a browser of its own, in which nobody is signed in.

    Any other error on a page or its console, above all what the content security policy forbids, fails the test.
    """
    contexts = []
    faults = []

    def told(message: Any) -> None:
        if message.type == "error" and not any(part in message.text for part in expected):
            faults.append(f"{message.text} ({message.location['url']})")

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
def signed_up(visit: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``signed_up(url, username, **context) -> Page``: who just signed up there, in a browser of their own."""

    def make(url: str, username: str, **context: Any) -> Any:
        page = visit(**context)
        # By the form's address, without its page: that page has a test of its own.
        signup, browser = f"{url}/accounts/signup/", page.context
        browser.request.get(signup)
        token = next(one["value"] for one in browser.cookies() if one["name"] == "csrftoken")
        form = {"username": username, "password1": PASSWORD, "email": "", "csrfmiddlewaretoken": token}
        assert browser.request.post(signup, form=form, max_redirects=0).status == 302
        page.goto(url)
        page.wait_for_selector("#app[data-connection=online]")
        return page

    return make


@pytest.fixture
def person(server: Server, signed_up: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``person(username, **context) -> Page``: somebody who just signed up, in a browser of their own.

    Where there are several gateways, one after the other is at a different one.
    """
    urls = itertools.cycle(server.urls)
    return lambda username, **context: signed_up(next(urls), username, **context)


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

    def say(self, conv: str, body: str, **more: Any) -> str:
        """Send a message; return its id."""
        message = {"msg_id": str(uuid.uuid4()), "body": body, **more}
        return str(self.call("POST", f"conversations/{conv}/messages", message)["server_id"])


@pytest.fixture
def account(server: Server) -> Callable[[str], Account]:
    """Return ``account(username) -> Account``: somebody who signed up, and needs no browser here."""
    return lambda username: Account(server.url, username)
