"""Messages are pinned: a bar above the conversation, on every device of everybody in it, also of who was away."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.pages import api, bubble, fill, me, name, open_chat, say
from tests.e2e.test_changes import menu, pair
from tests.e2e.test_look import PHONE, nameless

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

Person = Callable[..., Any]


def bar(page: Any) -> Any:
    return page.locator("pinned-bar .pinned-go")


@pytest.mark.full_stack
def test_a_pinned_message_is_above_the_conversation_for_both(person: Person) -> None:
    a, b = pair(person)
    expect(bar(a)).to_be_hidden()
    menu(b, "Hello", "Pin")
    for page in (a, b):
        expect(bar(page)).to_contain_text("Hello")
    # Who was away finds it, and what came of it.
    url = a.url
    a.goto("about:blank")
    say(b, "The key is under the mat")
    menu(b, "The key is under the mat", "Pin")
    menu(b, "The key is under the mat", "Edit")
    b.get_by_label("Message", exact=True).fill("The key is with Eve")
    b.keyboard.press("Enter")
    a.goto(url)
    for page in (a, b):
        expect(bar(page)).to_contain_text("Pinned message, 1 of 2")
        expect(bar(page)).to_contain_text("The key is with Eve")
    assert nameless(a) == []

    a.get_by_role("button", name="All pinned messages").click()
    rows = a.locator("pinned-bar .pin-row")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("The key is with Eve")
    assert nameless(a) == []
    rows.last.get_by_role("button", name="Unpin").click()
    expect(rows).to_have_count(1)
    a.keyboard.press("Escape")
    expect(bar(b)).to_contain_text("The key is with Eve")
    expect(bar(b)).not_to_contain_text("of 2")

    # What is deleted is pinned no more.
    menu(b, "The key is with Eve", "Delete")
    b.get_by_role("alertdialog").get_by_role("button", name="Delete").click()
    for page in (a, b):
        expect(bar(page)).to_be_hidden()


def test_a_pin_leads_to_its_message_wherever_it_is(person: Person) -> None:
    a, b = pair(person)
    menu(a, "Hello", "Pin")
    expect(bar(b)).to_contain_text("Hello")
    conv = a.evaluate("location.hash.slice(1)")
    fill(a, conv, [f"line {number}" for number in range(120)])
    b.reload()
    expect(bubble(b, "line 119")).to_be_visible()
    expect(bubble(b, "Hello")).to_have_count(0)
    bar(b).click()
    expect(bubble(b, "Hello")).to_be_in_viewport()
    expect(bubble(b, "Hello")).to_be_focused()


def test_in_a_group_only_its_owner_and_admins_pin(person: Person) -> None:
    a, b = pair(person)
    group = api(a, "POST", "conversations", {"type": "group", "members": [me(b)], "name": "Owned"})["id"]
    for page in (a, b):
        page.evaluate(f"location.hash = '{group}'")
        page.locator("#thread-name", has_text="Owned").wait_for()
    say(b, "Sunday at nine")
    bubble(b, "Sunday at nine").click(button="right")
    expect(b.get_by_role("menuitem", name="Pin")).to_have_count(0)
    b.keyboard.press("Escape")
    menu(a, "Sunday at nine", "Pin")
    for page in (a, b):
        expect(bar(page)).to_contain_text("Sunday at nine")
    expect(b.get_by_role("button", name="Unpin this message")).to_be_hidden()
    a.get_by_role("button", name="Unpin this message").click()
    for page in (a, b):
        expect(bar(page)).to_be_hidden()


def test_on_a_phone(person: Person, account: Callable[[str], Any]) -> None:
    ann, page = account(name("ann")), person(name("ben"), **PHONE)
    conv = ann.begin(me(page))
    ann.say(conv, "Meet at the north gate at nine, and bring water, for it will be hot all day long")
    open_chat(page, ann.username)
    said = ann.call("GET", f"conversations/{conv}/messages")["results"][0]["server_id"]
    ann.call("PUT", f"messages/{said}/pin")
    expect(bar(page)).to_contain_text("Meet at the north gate")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
