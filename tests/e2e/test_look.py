"""Sizes, keyboards, screen readers, colours and bad days."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.pages import ask, bubble, fill, me, name, no_overflow, open_chat, say, start_chat

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

Person = Callable[..., Any]
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def test_the_phone_shows_one_view_at_a_time(person: Person, account: Callable[[str], Any]) -> None:
    ann, p = account(name("ann")), person(name("ben"), **PHONE)
    ann.say(ann.begin(me(p)), "A" * 300)
    expect(p.locator(".conversation")).to_be_visible()
    assert no_overflow(p)
    p.locator(".conversation").tap()
    expect(p.locator(".message.in")).to_be_visible()
    expect(p.locator(".sidebar")).to_be_hidden()
    assert no_overflow(p)
    # No Shift on a phone: Enter breaks the line, the button sends.
    p.get_by_label("Message", exact=True).fill("one")
    p.keyboard.press("Enter")
    p.keyboard.type("two")
    p.get_by_role("button", name="Send", exact=True).tap()
    expect(p.locator(".message.out .body")).to_have_text("one\ntwo", use_inner_text=True)
    # A dialog takes the whole screen.
    p.get_by_role("button", name="Contact info").tap()
    expect(p.locator("conversation-info dialog")).to_be_visible()
    box = p.locator("conversation-info dialog").bounding_box()
    assert (box["width"], box["height"]) == (390, 844)
    p.get_by_role("button", name="Close").tap()
    p.get_by_role("button", name="Back to conversations").tap()
    expect(p.locator(".sidebar")).to_be_visible()
    expect(p.locator(".main")).to_be_hidden()


def test_the_keyboard_reaches_everything(person: Person, account: Callable[[str], Any]) -> None:
    a = person(name("ann"))
    ben, cleo = account(name("ben")), account(name("cleo"))
    for other in (ben, cleo):
        other.say(other.begin(me(a)), f"hello {other.username}")
    expect(a.locator(".conversation")).to_have_count(2)

    # In the order of reading: past it all, oneself, the buttons, the search, the list.
    a.locator("body").focus()
    a.keyboard.press("Tab")
    expect(a.locator("#skip")).to_be_focused()
    a.keyboard.press("Tab")
    expect(a.locator(".me")).to_be_focused()
    for stop in ("Search messages", "New chat", "New group", "Menu", "Search conversations"):
        a.keyboard.press("Tab")
        expect(a.locator(":focus")).to_have_attribute("aria-label", stop)
    a.keyboard.press("Tab")
    expect(a.locator(".conversation").first).to_be_focused()
    a.keyboard.press("ArrowDown")
    expect(a.locator(".conversation").last).to_be_focused()
    a.keyboard.press("Home")
    a.keyboard.press("Enter")
    expect(a.locator("#thread-name")).to_have_text(cleo.username)
    expect(a.get_by_label("Message", exact=True)).to_be_focused()
    a.keyboard.press("Alt+ArrowDown")
    expect(a.locator("#thread-name")).to_have_text(ben.username)
    # Escape closes the conversation, and one goes on from its place in the list.
    a.keyboard.press("Escape")
    expect(a.locator("#welcome")).to_be_visible()
    expect(a.locator(".conversation", has_text=ben.username)).to_be_focused()

    a.keyboard.press("Control+k")
    expect(a.locator("#search")).to_be_focused()
    a.keyboard.type(cleo.username)
    expect(a.locator(".conversation")).to_have_count(1)
    a.keyboard.press("ArrowDown")
    a.keyboard.press("Enter")
    expect(a.locator("#thread-name")).to_have_text(cleo.username)
    a.keyboard.press("Escape")
    expect(a.locator(".conversation")).to_have_count(2)
    # Who types with the focus in the messages means to write.
    a.locator(".scroller").focus()
    a.keyboard.press("ArrowUp")
    expect(a.locator(".message").last).to_be_focused()
    a.keyboard.type("hi")
    expect(a.get_by_label("Message", exact=True)).to_have_value("hi")
    # Dialogs give the focus back, the menu too.
    for opener in ("New chat", "New group", "Contact info"):
        button = a.get_by_role("button", name=opener, exact=True)
        button.focus()
        a.keyboard.press("Enter")
        expect(a.locator("dialog[open]")).to_have_count(1)
        a.keyboard.press("Escape")
        expect(a.locator("dialog[open]")).to_have_count(0)
        expect(button).to_be_focused()
    a.get_by_label("Menu").focus()
    a.keyboard.press("Enter")
    expect(a.get_by_role("link", name="Settings")).to_be_visible()
    a.keyboard.press("Escape")
    expect(a.get_by_role("link", name="Settings")).to_be_hidden()
    expect(a.get_by_label("Menu")).to_be_focused()


def nameless(page: Any) -> list[str]:
    """Return the roles of what can be used and has no name for a screen reader."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    usable = {"button", "link", "textbox", "searchbox", "checkbox", "log", "dialog", "alertdialog", "article"}
    found = [node for node in nodes if not node["ignored"] and node["role"]["value"] in usable]
    assert len(found) > 3
    return [node["role"]["value"] for node in found if not node.get("name", {}).get("value")]


def test_a_screen_reader_finds_names_and_live_regions(person: Person, account: Callable[[str], Any]) -> None:
    ben = account(name("ben"))
    a = person(name("ann"), viewport={"width": 1280, "height": 800}, color_scheme="dark", reduced_motion="reduce")
    assert nameless(a) == []
    conv = start_chat(a, ben.username)
    say(a, "hello")
    ben.say(conv, "good day")
    expect(bubble(a, "good day")).to_be_visible()
    assert nameless(a) == []
    log = a.get_by_role("log", name="Messages")
    expect(log).to_have_attribute("aria-live", re.compile("polite|off"))
    expect(log.get_by_role("article", name=re.compile("^You, "))).to_contain_text("hello")
    expect(log.get_by_role("article", name=re.compile(f"^{ben.username}, "))).to_contain_text("good day")
    a.get_by_role("button", name="Contact info").click()
    assert nameless(a) == []
    a.get_by_role("button", name="Mute").click()
    a.keyboard.press("Escape")
    # Dark where the system is dark; nothing moves where nothing shall.
    dark = a.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert max(dark[:3]) < 60
    moving = "document.getAnimations().length"
    assert a.evaluate(moving) == 0
    a.goto(a.url.split("#")[0] + "settings/")
    assert nameless(a) == []


def test_at_twice_the_size_everything_is_reached(person: Person, account: Callable[[str], Any]) -> None:
    """A window of 1280 by 800 at 200 % is one of 640 by 400."""
    a, ben = person(name("ann"), viewport={"width": 640, "height": 400}), account(name("ben"))
    assert no_overflow(a)
    fill(a, start_chat(a, ben.username), [f"line {number}" for number in range(12)])
    expect(bubble(a, "line 11")).to_be_in_viewport()
    expect(a.get_by_label("Message", exact=True)).to_be_in_viewport()
    assert no_overflow(a)
    a.get_by_role("button", name="Contact info").click()
    a.get_by_role("button", name=f"Block {ben.username}").click()
    expect(a.get_by_role("alertdialog").get_by_role("button", name="Cancel")).to_be_in_viewport()
    ask(a, "Cancel")
    a.keyboard.press("Escape")
    a.goto(a.url.split("#")[0] + "settings/")
    assert no_overflow(a)


def test_what_could_not_be_loaded_can_be_asked_for_again(
    person: Person, account: Callable[[str], Any], expected: list[str]
) -> None:
    expected.append("503")
    a, ben = person(name("ann")), account(name("ben"))
    conv = ben.call(
        "POST", "conversations", {"type": "dm", "members": [str(a.locator("#app").get_attribute("data-user"))]}
    )
    ben.say(conv["id"], "hello")
    expect(a.locator(".conversation")).to_be_visible()
    # Nothing kept from before, and a server that answers neither on the socket nor for lists and histories.
    a.evaluate("indexedDB.databases().then((all) => all.forEach(({name}) => indexedDB.deleteDatabase(name)))")
    a.route_web_socket("**/ws", lambda socket: None)
    down, out = re.compile("/v1/conversations"), {"status": 503, "content_type": "application/problem+json"}
    a.route(down, lambda route: route.fulfill(body='{"detail": "try again in a moment"}', **out))
    a.reload()
    expect(a.locator(".list-empty")).to_contain_text("Could not load your conversations")
    expect(a.locator(".list-empty")).to_contain_text("Try again in a moment.")
    a.unroute(down)
    a.route("**/messages?*", lambda route: route.fulfill(body='{"detail": "try again in a moment"}', **out))
    a.locator(".list-empty").get_by_role("button", name="Try again").click()
    open_chat(a, ben.username)
    expect(a.locator(".thread-state")).to_contain_text("Try again in a moment.")
    a.unroute("**/messages?*")
    a.locator(".thread-state").get_by_role("button", name="Try again").click()
    expect(bubble(a, "hello")).to_be_visible()
    # The search leads on to people.
    a.locator("#search").fill("nobody by this name")
    a.get_by_role("button", name="Find people").click()
    expect(a.get_by_label("People", exact=True)).to_have_value("nobody by this name")
    expect(a.locator("people-dialog")).to_contain_text("Nobody found for “nobody by this name”.")
