"""The page without a connection, its new versions, and the page as an app."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from tests.e2e.conftest import PASSWORD, RATES, Server
from tests.e2e.pages import api, bubble, fill, name, open_chat, say, start_chat, ticks
from tests.process.stacks import EmbeddedStack

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

Person = Callable[..., Any]

#: Whether the worker has the page of this user, for a start without a connection.
_KEPT = """async () => {
    const page = await caches.match("/", {cacheName: "chat-page"});
    return Boolean(navigator.serviceWorker.controller && page);
}"""


#: Whether the browser's copy has what the page shows of the open conversation.
_STORED = """async () => {
    const address = document.querySelector("script[src*='js/app']").src.replace("app.js", "model.js");
    const {database, state, view} = await import(address);
    const {[view.active]: messages = []} = await database.tails([view.active]);
    const {convs} = await database.heads();
    const {server_id} = state.threads[view.active].messages.at(-1);
    return convs.some(({id}) => id === view.active) && messages.some((one) => one.server_id === server_id);
}"""


def kept(page: Any) -> None:
    """Wait until the page would start without a connection."""
    page.wait_for_function(_KEPT)


def test_the_page_starts_without_a_connection_and_sends_later(person: Person, server: Server) -> None:
    ann, ben = name("ann"), name("ben")
    a, b = person(ann), person(ben)
    start_chat(a, ben)
    say(a, "Before the storm")
    expect(ticks(a)).to_have_attribute("data-status", "delivered")
    a.wait_for_function(_STORED)
    kept(a)
    server.kill()
    try:
        a.reload()
        expect(a.locator(".conversation", has_text=ben)).to_be_visible()
        expect(bubble(a, "Before the storm")).to_be_in_viewport()
        say(a, "Written without a connection")
        expect(ticks(a)).to_have_attribute("data-status", "sending")
        a.get_by_label("New chat").click()
        expect(a.get_by_role("dialog")).to_be_visible()
    finally:
        server.start()
    open_chat(b, ann)
    expect(bubble(b, "Written without a connection")).to_be_visible()


def test_who_signs_out_leaves_no_page_behind(person: Person, expected: list[str]) -> None:
    # What was asked for at the moment of signing out.
    expected.append("401")
    ann, ben = name("ann"), name("ben")
    a = person(ann)
    person(ben)
    kept(a)
    # A page that was kept has an old token in its form.
    a.reload()
    a.locator("#app[data-connection=online]").wait_for()
    a.get_by_label("Menu").click()
    a.get_by_role("button", name="Sign out").click()
    a.wait_for_url("**/accounts/login/**")
    assert a.evaluate("caches.match('/', {cacheName: 'chat-page'}).then(Boolean)") is False
    a.get_by_label("User name or e-mail").fill(ben)
    a.get_by_label("Password", exact=True).fill(PASSWORD)
    a.get_by_role("button", name="Sign in", exact=True).click()
    a.locator("#app[data-connection=online]").wait_for()
    expect(a.locator("#app")).to_have_attribute("data-username", ben)


def test_nothing_of_the_api_is_kept_by_the_worker(person: Person) -> None:
    a, ben = person(name("ann")), name("ben")
    person(ben)
    kept(a)
    start_chat(a, ben)
    api(a, "GET", "conversations")
    paths = a.evaluate(
        """async () => {
            const names = await caches.keys();
            const all = await Promise.all(names.map(async (name) => (await caches.open(name)).keys()));
            return all.flat().map((request) => new URL(request.url).pathname);
        }"""
    )
    assert "/static/js/app.js" in paths
    assert {path for path in paths if not path.startswith("/static/")} == {"/"}


@pytest.fixture
def versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, Callable[[], None]]]:
    """Return a server of its own, and what starts it anew with another version of the page."""
    stack = EmbeddedStack(tmp_path / "data", worker=False, **RATES)
    newer = tmp_path / "program"
    newer.mkdir()
    for entry in settings.BASE_DIR.iterdir():
        if entry.name in {"static", "chatproject"}:
            shutil.copytree(entry, newer / entry.name)
        elif entry.name == "manage.py":
            shutil.copy(entry, newer)
        elif not entry.name.startswith(".") and entry.name != "var":
            (newer / entry.name).symlink_to(entry)
    with (newer / "static" / "js" / "app.js").open("a") as script:
        script.write('\ndocument.documentElement.dataset.version = "2";\n')

    def upgrade() -> None:
        stack.kill(*stack.names)
        monkeypatch.setattr(stack, "program", newer)
        stack.restart(*stack.names)

    with stack:
        yield Server(stack), upgrade


def test_a_new_version_waits_until_it_is_wanted_and_nothing_typed_is_lost(
    versions: tuple[Server, Callable[[], None]], signed_up: Callable[..., Any]
) -> None:
    server, upgrade = versions
    ann, ben = name("ann"), name("ben")
    a, b = signed_up(server.url, ann), signed_up(server.url, ben)
    start_chat(a, ben)
    say(a, "Let us meet at four")
    expect(ticks(a)).to_have_attribute("data-status", "delivered")
    kept(a)
    bubble(a, "Let us meet at four").click(button="right")
    a.get_by_role("menuitem", name="Edit").click()
    field = a.get_by_label("Message", exact=True)
    field.fill("Let us meet at fi")
    upgrade()
    notice = a.locator(".toast.update")
    expect(notice).to_contain_text("A new version is ready.")
    # Until then all is of the old version.
    expect(a.locator("html")).not_to_have_attribute("data-version", "2")
    script = a.evaluate("fetch('/static/js/app.js').then((answer) => answer.text())")
    assert "dataset.version" not in script
    notice.get_by_role("button", name="Reload").click()
    expect(a.locator("html")).to_have_attribute("data-version", "2")
    expect(field).to_have_value("Let us meet at fi")
    field.press("End")
    a.keyboard.type("ve")
    a.keyboard.press("Enter")
    open_chat(b, ann)
    expect(bubble(b, "Let us meet at five")).to_be_visible()


def test_the_page_can_be_installed(person: Person, server: Server) -> None:
    a = person(name("ann"))
    said = a.request.get(f"{server.url}/app.webmanifest")
    assert said.headers["content-type"] == "application/manifest+json"
    manifest = said.json()
    assert (manifest["display"], manifest["start_url"], manifest["scope"]) == ("standalone", "/", "/")
    assert {"192x192", "512x512"} <= {icon["sizes"] for icon in manifest["icons"] if icon["purpose"] == "maskable"}
    for icon in manifest["icons"]:
        assert a.request.get(f"{server.url}{icon['src']}").status == 200
    # The browser's offer comes up in the menu, once.
    a.evaluate(
        """() => {
            const offer = new Event("beforeinstallprompt", {cancelable: true});
            offer.prompt = () => { globalThis.asked = (globalThis.asked ?? 0) + 1; };
            dispatchEvent(offer);
        }"""
    )
    a.get_by_label("Menu").click()
    a.get_by_role("button", name="Install app").click()
    assert a.evaluate("globalThis.asked") == 1
    a.get_by_label("Menu").click()
    expect(a.get_by_role("button", name="Install app")).to_be_hidden()
    for shortcut, dialog in (("#new-chat", "New chat"), ("#search", "Search")):
        a.goto(f"{server.url}/{shortcut}")
        expect(a.get_by_role("dialog").filter(has_text=dialog)).to_be_visible()
        a.keyboard.press("Escape")
        a.goto("about:blank")


def test_without_a_connection_every_conversation_opens_with_what_was_kept_of_it(person: Person, server: Server) -> None:
    ann = name("ann")
    others = [name(stem) for stem in ("ben", "cleo", "dan")]
    a = person(ann)
    server.people(*others)
    for other in others:
        start_chat(a, other)
        say(a, f"Hello {other}")
        expect(ticks(a)).to_have_attribute("data-status", "sent")
        a.wait_for_function(_STORED)
    kept(a)
    a.evaluate("location.hash = ''")
    server.kill()
    try:
        a.reload()
        # The list is there before the messages are; whoever is quicker than these waits for them.
        a.locator(".conversation", has_text=others[0]).click()
        expect(bubble(a, f"Hello {others[0]}")).to_be_visible()
        for other in others[1:]:
            open_chat(a, other)
            expect(bubble(a, f"Hello {other}")).to_be_visible()
        # What is written then is among what was kept, and still there after another start.
        say(a, "And one more")
        expect(ticks(a)).to_have_attribute("data-status", "sending")
        a.reload()
        expect(bubble(a, f"Hello {others[-1]}")).to_be_visible()
        expect(bubble(a, "And one more")).to_be_visible()
    finally:
        server.start()
    expect(ticks(a)).to_have_attribute("data-status", "sent")


def test_of_a_conversation_that_nobody_looks_at_not_everything_is_held(person: Person) -> None:
    a, ben = person(name("ann")), name("ben")
    person(ben)
    conv = start_chat(a, ben)
    say(a, "The first")
    a.evaluate("location.hash = ''")
    for first in range(0, 3_200, 200):
        fill(a, conv, [f"no. {number}" for number in range(first, first + 200)])
    held = """async (conv) => {
        const address = document.querySelector("script[src*='js/app']").src.replace("app.js", "model.js");
        const {messages} = (await import(address)).state.threads[conv];
        return [messages.length, messages.at(-1).body];
    }"""
    a.wait_for_function(f"async (conv) => (await ({held})(conv))[1] === 'no. 3199'", arg=conv)
    assert a.evaluate(held, conv)[0] < 3_000
    open_chat(a, ben)
    expect(bubble(a, "no. 3199")).to_be_in_viewport()
