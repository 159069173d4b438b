"""Messages that were written without a connection, and go out with no page open.

The service worker sends them, when the browser tells it to.
"""

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import PASSWORD, Account, Server
from tests.e2e.pages import api, bubble, me, name, open_chat, say, start_chat, ticks
from tests.e2e.test_start import kept

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

Person = Callable[..., Any]

#: What the browser was asked to tell the worker.
_ASKED = """async () => {
    const registration = await navigator.serviceWorker.getRegistration();
    return (await registration.sync.getTags()).includes("outbox");
}"""

#: The bodies of what waits in a user's outbox, with what became of each.
_WAITING = """async (user) => {
    const result = (request) => new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
    const db = await result(indexedDB.open(`chat-${user}`));
    const rows = await result(db.transaction("outbox").objectStore("outbox").getAll());
    db.close();
    return rows.sort((a, b) => a.ts - b.ts).map(({body, status}) => `${body}: ${status ?? "waits"}`);
}"""


def write_and_leave(page: Any, server: Server, *texts: str) -> None:
    """Write in the open conversation while the server is out, close the page, and have the server back."""
    kept(page)
    server.kill()
    try:
        for text in texts:
            say(page, text)
        page.wait_for_function(_ASKED)
        page.goto("about:blank")
    finally:
        server.start()
    # A page of the house that sends nothing.
    page.goto(f"{server.url}/settings/")


def wake(page: Any, server: Server) -> None:
    """Have the browser tell the worker now, as it does by itself some time after the connection is back."""
    session = page.context.new_cdp_session(page)
    found: list[str] = []
    session.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda said: found.extend(one["registrationId"] for one in said["registrations"] if not one["isDeleted"]),
    )
    session.send("ServiceWorker.enable")
    while not found:
        page.wait_for_timeout(50)
    tell = {"origin": server.url, "registrationId": found[-1], "tag": "outbox", "lastChance": False}
    session.send("ServiceWorker.dispatchSyncEvent", tell)
    session.detach()


def tried(page: Any) -> None:
    """Have the worker do what it does when it is told, and return once it is through."""
    assert page.context.service_workers[-1].evaluate("() => sendWaiting().then(() => 'through')") == "through"


def newest(reader: Account, conv: str) -> str:
    """Return what was said last."""
    return str(reader.call("GET", f"conversations/{conv}/messages?limit=1")["results"][0]["body"])


def arrives(page: Any, reader: Account, conv: str, text: str) -> None:
    """Wait until a message that was acknowledged is in the history as well, which the router writes."""
    deadline = time.monotonic() + 20
    while newest(reader, conv) != text:
        assert time.monotonic() < deadline
        page.wait_for_timeout(50)


def test_what_was_written_without_a_connection_goes_out_with_no_page_open(person: Person, server: Server) -> None:
    ann, ben = name("ann"), name("ben")
    a, b = person(ann), person(ben)
    conv = start_chat(a, ben)
    say(a, "Before")
    expect(ticks(a)).to_have_attribute("data-status", "delivered")
    user = me(a)
    write_and_leave(a, server, "First of two", "Second of two")
    open_chat(b, ann)
    expect(b.locator("#app[data-connection=online]")).to_be_visible()
    assert a.evaluate(_WAITING, user) == ["First of two: waits", "Second of two: waits"]
    wake(a, server)
    expect(bubble(b, "Second of two")).to_be_visible()
    said = [one["body"] for one in api(a, "GET", f"conversations/{conv}/messages")["results"]]
    assert said[:3] == ["Second of two", "First of two", "Before"]
    a.wait_for_function(f"async (user) => !(await ({_WAITING})(user)).length", arg=user)
    # It is sent also for a page that starts without a connection, and there once with one.
    server.kill()
    try:
        a.goto(f"{server.url}/#{conv}")
        expect(bubble(a, "Second of two")).to_be_visible()
        expect(ticks(a)).to_have_attribute("data-status", "sent")
    finally:
        server.start()
    expect(a.locator("#app[data-connection=online]")).to_be_visible()
    expect(bubble(b, "Second of two")).to_have_count(1)
    say(a, "After")
    expect(bubble(b, "After")).to_be_visible()
    expect(bubble(a, "First of two")).to_have_count(1)
    expect(bubble(a, "Second of two")).to_have_count(1)


def test_what_is_refused_is_kept_for_its_author(
    person: Person, account: Callable[[str], Account], server: Server
) -> None:
    ann = name("ann")
    ben, cleo = account(name("ben")), account(name("cleo"))
    a = person(ann)
    with_cleo = start_chat(a, cleo.username)
    start_chat(a, ben.username)
    say(a, "Before")
    expect(ticks(a)).to_have_attribute("data-status", "sent")
    user = me(a)
    kept(a)
    server.kill()
    try:
        say(a, "To whom it is not welcome")
        a.evaluate(f"location.hash = '{with_cleo}'")
        say(a, "To whom it is")
        a.wait_for_function(_ASKED)
        a.goto("about:blank")
    finally:
        server.start()
    ben.call("PUT", f"blocks/{user}")
    a.goto(f"{server.url}/settings/")
    wake(a, server)
    a.wait_for_function(
        f"async (user) => (await ({_WAITING})(user)).join() === 'To whom it is not welcome: failed'", arg=user
    )
    arrives(a, cleo, with_cleo, "To whom it is")
    a.goto(server.url)
    open_chat(a, ben.username)
    message = bubble(a, "To whom it is not welcome")
    expect(message.get_by_role("button", name="Try again")).to_be_visible()


def test_nothing_is_sent_for_another_or_for_nobody(
    person: Person, account: Callable[[str], Account], server: Server, expected: list[str]
) -> None:
    # The page of somebody whose session has ended.
    expected.extend(["401", "403"])
    ann, ben, cleo = name("ann"), name("ben"), account(name("cleo"))
    a = person(ann)
    person(ben)
    conv = start_chat(a, cleo.username)
    say(a, "Before")
    expect(ticks(a)).to_have_attribute("data-status", "sent")
    user = me(a)
    write_and_leave(a, server, "Only mine to send")
    cookies = a.context.cookies()
    a.context.clear_cookies(name="sessionid")
    tried(a)
    a.goto(f"{server.url}/accounts/login/")
    a.get_by_label("User name or e-mail").fill(ben)
    a.get_by_label("Password", exact=True).fill(PASSWORD)
    a.get_by_role("button", name="Sign in", exact=True).click()
    expect(a.locator("#app")).to_have_attribute("data-username", ben)
    a.goto(f"{server.url}/settings/")
    tried(a)
    assert a.evaluate(_WAITING, user) == ["Only mine to send: waits"]
    assert newest(cleo, conv) == "Before"
    # With its author's session it would have been sent.
    a.context.clear_cookies()
    a.context.add_cookies(cookies)
    wake(a, server)
    a.wait_for_function(f"async (user) => !(await ({_WAITING})(user)).length", arg=user)
    arrives(a, cleo, conv, "Only mine to send")
