"""Several messages at once: by clicks, keys and ranges; copied, forwarded and deleted together."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.pages import ask, bubble, me, name, open_chat, say

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

Person = Callable[..., Any]


def bar(page: Any) -> Any:
    return page.get_by_role("toolbar", name="Selected messages")


def select(page: Any, text: str) -> None:
    """Begin with one message, by its menu."""
    bubble(page, text).locator("time").click(button="right")
    page.get_by_role("menuitem", name="Select", exact=True).click()
    expect(bar(page)).to_contain_text("1 message selected")


def test_ranges_are_copied_with_names_and_times(person: Person, account: Callable[[str], Any]) -> None:
    a = person(name("ann"), permissions=["clipboard-read", "clipboard-write"])
    ben = account(name("ben"))
    conv = ben.begin(me(a))
    for number in range(5):
        ben.say(conv, f"number {number}")
    open_chat(a, ben.username)
    # It joins the page when there is nothing else to do; the bar of what is sent later comes at the same time.
    a.locator(".scheduled-bar").wait_for(state="attached")
    expect(bubble(a, "number 4")).to_be_visible()
    select(a, "number 1")
    bubble(a, "number 3").locator("time").click(modifiers=["Shift"])
    expect(bar(a)).to_contain_text("3 messages selected")
    # One is taken out again by key, as the focus is on it.
    bubble(a, "number 2").focus()
    a.keyboard.press("Space")
    expect(bar(a)).to_contain_text("2 messages selected")
    expect(bubble(a, "number 3").get_by_role("checkbox")).to_be_checked()
    expect(bar(a).get_by_role("button", name="Delete")).to_be_disabled()
    bar(a).get_by_role("button", name="Copy").click()
    expect(bar(a)).to_have_count(0)
    lines = a.evaluate("navigator.clipboard.readText()").split("\n")
    assert [line.rpartition("] ")[2] for line in lines] == [f"{ben.username}: number {number}" for number in (1, 3)]
    assert all(line.startswith("[") for line in lines)
    # Escape ends it, and closes nothing else.
    select(a, "number 0")
    a.keyboard.press("Escape")
    expect(bar(a)).to_have_count(0)
    expect(a.locator(".pick")).to_have_count(0)
    expect(bubble(a, "number 0")).to_be_visible()


def test_own_ones_are_deleted_and_any_forwarded(person: Person, account: Callable[[str], Any]) -> None:
    a, ben, cat = person(name("ann")), account(name("ben")), account(name("cat"))
    conv = ben.begin(me(a))
    cat.begin(me(a))
    ben.say(conv, "of Ben")
    open_chat(a, ben.username)
    a.locator(".scheduled-bar").wait_for(state="attached")
    for text in ("one", "two", "three"):
        say(a, text)
    expect(a.locator(".message.out .ticks[data-status=sending]")).to_have_count(0)
    select(a, "one")
    bubble(a, "three").locator("time").click()
    # What comes meanwhile changes nothing.
    ben.say(conv, "meanwhile")
    expect(bubble(a, "meanwhile").get_by_role("checkbox")).not_to_be_checked()
    expect(bar(a)).to_contain_text("2 messages selected")
    bar(a).get_by_role("button", name="Delete").click()
    ask(a, "Delete")
    expect(bubble(a, "one")).to_have_count(0)
    expect(bubble(a, "three")).to_have_count(0)
    expect(bubble(a, "two")).to_be_visible()
    select(a, "of Ben")
    bubble(a, "two").locator("time").click()
    bar(a).get_by_role("button", name="Forward").click()
    a.locator("forward-dialog .person", has_text=cat.username).click()
    expect(a.locator("#thread-name")).to_have_text(cat.username)
    for text in ("of Ben", "two"):
        expect(bubble(a, text).locator(".forwarded")).to_be_visible()
