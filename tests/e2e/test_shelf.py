"""Conversations are kept on top, put away, marked as unread and muted for a while; other devices follow."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import PASSWORD
from tests.e2e.pages import bubble, me, name, no_overflow, open_chat
from tests.e2e.test_look import PHONE, nameless

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

Person = Callable[..., Any]


def choose(page: Any, title: str, item: str) -> None:
    """Choose from the menu of a conversation in the list."""
    page.locator(".conversation", has_text=title).click(button="right")
    page.get_by_role("menuitem", name=item, exact=True).click()


def row(page: Any, title: str) -> Any:
    return page.locator(".conversation", has_text=title)


def signed_in_again(page: Any, visit: Callable[..., Any], username: str) -> Any:
    """Return another browser of the same person."""
    second, url = visit(), page.url.split("#")[0]
    second.goto(f"{url}accounts/login/")
    second.get_by_label("User name or e-mail").fill(username)
    second.get_by_label("Password", exact=True).fill(PASSWORD)
    second.keyboard.press("Enter")
    second.wait_for_selector("#app[data-connection=online]")
    return second


@pytest.mark.full_stack
def test_it_is_the_same_on_every_device(
    person: Person, account: Callable[[str], Any], visit: Callable[..., Any]
) -> None:
    username = name("ann")
    a = person(username)
    ben, cleo = account(name("ben")), account(name("cleo"))
    talk, other = ben.begin(me(a)), cleo.begin(me(a))
    ben.say(talk, "Hello from Ben")
    expect(row(a, ben.username)).to_contain_text("Hello from Ben")
    cleo.say(other, "Hello from Cleo")
    b = signed_in_again(a, visit, username)
    for page in (a, b):
        expect(page.locator(".conversation").first).to_contain_text(cleo.username)

    choose(a, ben.username, "Pin to top")
    for page in (a, b):
        expect(page.locator(".conversation").first).to_contain_text(ben.username)
        expect(row(page, ben.username)).to_contain_text("(pinned)")

    open_chat(a, cleo.username)
    expect(bubble(a, "Hello from Cleo")).to_be_visible()
    expect(row(b, cleo.username).locator(".badge")).to_have_count(0)
    choose(a, cleo.username, "Mark as unread")
    expect(a.locator("#welcome")).to_be_visible()
    for page in (a, b):
        expect(row(page, cleo.username)).to_contain_text("marked as unread")
    # Opened, it is read.
    open_chat(b, cleo.username)
    for page in (a, b):
        expect(row(page, cleo.username).locator(".badge")).to_have_count(0)

    choose(a, cleo.username, "Archive")
    for page in (a, b):
        expect(row(page, cleo.username)).to_have_count(0)
        expect(page.get_by_role("button", name="Archived (1)")).to_be_visible()
    a.get_by_role("button", name="Archived (1)").click()
    expect(a.locator(".conversation")).to_have_count(1)
    expect(row(a, cleo.username)).to_be_visible()
    assert nameless(a) == []
    # A message brings it back.
    cleo.say(other, "Are you there?")
    for page in (a, b):
        expect(page.locator(".conversation")).to_have_count(2)
        expect(row(page, cleo.username)).to_contain_text("Are you there?")
        expect(page.locator("#archive")).to_be_hidden()


def test_muting_for_a_while(person: Person, account: Callable[[str], Any]) -> None:
    a, ben = person(name("ann")), account(name("ben"))
    ben.begin(me(a))
    choose(a, ben.username, "Mute for 8 hours")
    expect(row(a, ben.username)).to_contain_text("(muted)")
    row(a, ben.username).click()
    a.get_by_role("button", name="Contact info").click()
    expect(a.locator("conversation-info")).to_contain_text("Until ")
    a.get_by_role("button", name="Unmute").click()
    expect(row(a, ben.username)).not_to_contain_text("(muted)")
    a.get_by_label("Mute for", exact=True).select_option(label="For 1 day")
    expect(a.get_by_role("button", name="Unmute")).to_be_visible()
    expect(row(a, ben.username)).to_contain_text("(muted)")


def test_by_keyboard_and_on_a_phone(person: Person, account: Callable[[str], Any]) -> None:
    a, ben = person(name("ann")), account(name("ben"))
    ben.begin(me(a))
    row(a, ben.username).focus()
    a.keyboard.press("Shift+F10")
    expect(a.get_by_role("menuitem").first).to_be_focused()
    a.keyboard.press("Escape")
    expect(row(a, ben.username)).to_be_focused()
    p = person(name("pat"), **PHONE)
    ben.begin(me(p))
    expect(row(p, ben.username)).to_be_visible()
    row(p, ben.username).dispatch_event("contextmenu")
    p.get_by_role("menuitem", name="Archive").tap()
    expect(p.locator(".list-empty")).to_contain_text("in the archive")
    assert no_overflow(p)
