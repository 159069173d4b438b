"""What is written now and sent later: chosen at the button, listed above the field, on all devices of its author."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.pages import ask, bubble, me, name, open_chat
from tests.e2e.test_shelf import signed_in_again

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

Person = Callable[..., Any]


def field(page: Any) -> Any:
    return page.get_by_label("Message", exact=True)


def bar(page: Any) -> Any:
    return page.locator(".scheduled-bar")


def later(page: Any, text: str, what: str) -> None:
    """Write something and choose a time in the menu."""
    # The button joins the page when it has nothing else to do.
    bar(page).wait_for(state="attached")
    field(page).fill(text)
    page.get_by_role("button", name="Send later", exact=True).click()
    page.get_by_role("menuitem", name=what).click()


def test_it_waits_on_all_devices_until_it_is_sent(
    person: Person, account: Callable[[str], Any], visit: Callable[..., Any]
) -> None:
    username = name("ann")
    a, ben = person(username), account(name("ben"))
    ben.begin(me(a))
    b = signed_in_again(a, visit, username)
    for page in (a, b):
        open_chat(page, ben.username)
    later(a, "Good morning", "Tomorrow morning")
    for page in (a, b):
        expect(bar(page)).to_contain_text("1 scheduled message")
    expect(field(a)).to_have_value("")
    expect(bubble(a, "Good morning")).to_have_count(0)
    # Changed on the other device.
    bar(b).click()
    dialog = b.locator("scheduled-dialog dialog")
    dialog.get_by_role("button", name="Edit: Good morning").click()
    edited = b.locator("time-dialog dialog")
    expect(edited).to_be_visible()
    edited.get_by_label("Text").fill("Good evening")
    edited.get_by_role("button", name="Save").click()
    expect(dialog.locator(".scheduled-row")).to_contain_text("Good evening")
    # Sent after all at once.
    dialog.get_by_role("button", name="Send now: Good evening").click()
    for page in (a, b):
        expect(bubble(page, "Good evening")).to_be_visible()
        expect(bar(page)).to_be_hidden()
    expect(dialog).to_be_hidden()


def test_a_chosen_time_and_a_change_of_mind(person: Person, account: Callable[[str], Any]) -> None:
    a, ben = person(name("ann")), account(name("ben"))
    ben.begin(me(a))
    open_chat(a, ben.username)
    later(a, "Not yet", "Choose a time…")
    dialog = a.locator("time-dialog dialog")
    expect(dialog).to_be_visible()
    a.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(field(a)).to_have_value("Not yet")
    bar(a).wait_for(state="attached")
    # By the right button, too.
    a.get_by_role("button", name="Send", exact=True).click(button="right")
    a.get_by_role("menuitem", name="Choose a time…").click()
    dialog.get_by_label("Time").fill(
        a.evaluate("new Date(Date.now() + 3 * 86_400_000).toISOString().slice(0, 10)") + "T12:30"
    )
    dialog.get_by_role("button", name="Schedule").click()
    expect(bar(a)).to_contain_text("12:30")
    a.reload()
    expect(bar(a)).to_contain_text("1 scheduled message")
    bar(a).click()
    a.locator("scheduled-dialog").get_by_role("button", name="Delete: Not yet").click()
    ask(a, "Delete")
    expect(bar(a)).to_be_hidden()


def test_what_could_not_be_sent_says_why(person: Person, account: Callable[[str], Any], expected: list[str]) -> None:
    expected.append("403")
    a, ben = person(name("ann")), account(name("ben"))
    ben.begin(me(a))
    open_chat(a, ben.username)
    later(a, "Hello?", "In an hour")
    expect(bar(a)).to_contain_text("1 scheduled message")
    ben.call("PUT", f"blocks/{me(a)}")
    bar(a).click()
    dialog = a.locator("scheduled-dialog dialog")
    dialog.get_by_role("button", name="Send now: Hello?").click()
    expect(dialog.locator(".scheduled-row")).to_contain_text("Not sent.")
    expect(bar(a)).to_contain_text("1 message was not sent")


def test_a_finger_that_stays_on_the_button_chooses_a_time(person: Person, account: Callable[[str], Any]) -> None:
    phone = person(name("ann"), viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    ben = account(name("ben"))
    ben.begin(me(phone))
    open_chat(phone, ben.username)
    bar(phone).wait_for(state="attached")
    field(phone).fill("By hand")
    box = phone.get_by_role("button", name="Send", exact=True).bounding_box()
    at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    touch = phone.context.new_cdp_session(phone)
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [at]})
    expect(phone.get_by_role("menuitem", name="Tomorrow morning")).to_be_visible()
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(bubble(phone, "By hand")).to_have_count(0)
    phone.get_by_role("menuitem", name="Tomorrow morning").click()
    expect(bar(phone)).to_contain_text("1 scheduled message")
