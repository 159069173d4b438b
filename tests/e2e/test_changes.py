"""Messages are edited, deleted, reacted to and forwarded: two browsers show the same, also after a power cut."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.pages import api, ask, bubble, conversation, me, name, no_overflow, open_chat, say, start_chat
from tests.e2e.test_look import PHONE, nameless

if TYPE_CHECKING:
    from tests.e2e.conftest import Server

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

Person = Callable[..., Any]
GONE = "This message was deleted"


def pair(person: Person) -> tuple[Any, Any]:
    """Return the pages of two people who have their conversation open, and ``Hello`` of the first in it."""
    ann, ben = name("ann"), name("ben")
    a, b = person(ann), person(ben)
    start_chat(a, ben)
    say(a, "Hello")
    open_chat(b, ann)
    expect(bubble(b, "Hello")).to_be_visible()
    return a, b


def menu(page: Any, text: str, item: str) -> None:
    """Choose from the menu of a message."""
    row = bubble(page, text)
    row.hover()
    row.get_by_label("More", exact=True).click()
    page.get_by_role("menuitem", name=item).click()


def react(page: Any, text: str, emoji: str) -> None:
    row = bubble(page, text)
    row.hover()
    row.get_by_label("React", exact=True).click()
    page.locator("message-menu .message-menu").get_by_label(emoji, exact=True).click()


def chips(page: Any) -> list[tuple[str, str | None]]:
    """Return what the reactions on the page say, and whether they are pressed."""
    return [
        (one.get_attribute("aria-label"), one.get_attribute("aria-pressed")) for one in page.locator(".reaction").all()
    ]


def test_an_edit_a_deletion_and_reactions_reach_the_other_and_last(person: Person) -> None:
    a, b = pair(person)
    menu(a, "Hello", "Edit")
    field = a.get_by_label("Message", exact=True)
    expect(field).to_have_value("Hello")
    field.fill("Hello, Ben")
    a.keyboard.press("Enter")
    for page in (a, b):
        expect(bubble(page, "Hello, Ben").locator(".edited")).to_be_visible()
        expect(bubble(page, "Hello")).to_have_count(0)
    expect(b.locator(".conversation")).to_contain_text("Hello, Ben")

    react(b, "Hello, Ben", "Heart")
    expect(a.locator(".reaction")).to_have_attribute("aria-pressed", "false")
    a.locator(".reaction").click()
    for page in (a, b):
        expect(page.locator(".reaction .count")).to_have_text("2")
        expect(page.locator(".reaction")).to_have_attribute("aria-pressed", "true")
    b.locator(".reaction").click()
    for page in (a, b):
        expect(page.locator(".reaction .count")).to_have_count(0)
    expect(b.locator(".reaction")).to_have_attribute("aria-pressed", "false")
    assert nameless(a) == []

    say(b, "oops")
    menu(b, "oops", "Delete")
    ask(b, "Cancel")
    expect(bubble(b, "oops")).to_be_visible()
    menu(b, "oops", "Delete")
    ask(b, "Delete")
    for page in (a, b):
        expect(bubble(page, GONE)).to_be_visible()
        expect(bubble(page, "oops")).to_have_count(0)
        expect(page.locator(".conversation")).to_contain_text(GONE)
    for page in (a, b):
        before = chips(page)
        page.reload()
        expect(bubble(page, GONE)).to_be_visible()
        expect(bubble(page, "Hello, Ben").locator(".edited")).to_be_visible()
        expect(bubble(page, GONE).locator(".acts")).to_have_count(0)
        assert chips(page) == before


def test_only_what_one_may_do_is_offered(person: Person) -> None:
    a, b = pair(person)
    bubble(b, "Hello").click(button="right")
    expect(b.get_by_role("menuitem")).to_have_text(
        ["Reply", "Copy", "Forward", "Select", "Copy link", "Pin", "Report…"]
    )
    b.keyboard.press("Escape")
    expect(b.get_by_role("menu")).to_be_hidden()
    expect(bubble(b, "Hello")).to_be_focused()
    bubble(a, "Hello").click(button="right")
    expect(a.get_by_role("menuitem")).to_have_text(
        ["Reply", "Edit", "Copy", "Forward", "Select", "Copy link", "Details", "Pin", "Delete"]
    )
    a.mouse.click(700, 200)
    expect(a.get_by_role("menu")).to_be_hidden()

    # The owner of a group deletes what others wrote; the others do not.
    group = api(a, "POST", "conversations", {"type": "group", "members": [me(b)], "name": "Owned"})["id"]
    for page in (a, b):
        page.evaluate(f"location.hash = '{group}'")
        page.locator("#thread-name", has_text="Owned").wait_for()
    say(b, "spam")
    say(a, "mine")
    expect(bubble(a, "spam")).to_be_visible()
    bubble(b, "mine").click(button="right")
    expect(b.get_by_role("menuitem", name="Delete")).to_have_count(0)
    menu(a, "spam", "Delete")
    ask(a, "Delete")
    expect(bubble(b, GONE)).to_be_visible()


def test_the_keyboard_edits_and_reacts(person: Person) -> None:
    a, b = pair(person)
    field = a.get_by_label("Message", exact=True)
    say(a, "last")
    expect(bubble(a, "last").locator(".ticks")).not_to_have_attribute("data-status", "sending")
    # Up on an empty field edits the last; Escape leaves it as it was, and the draft is back.
    field.press("ArrowUp")
    expect(field).to_have_value("last")
    field.fill("last, edited")
    a.keyboard.press("Escape")
    expect(field).to_have_value("")
    expect(bubble(a, "last")).to_be_visible()
    field.press("ArrowUp")
    field.fill("last, edited")
    a.keyboard.press("Enter")
    expect(bubble(b, "last, edited")).to_be_visible()
    a.locator(".scroller").focus()
    a.keyboard.press("ArrowUp")
    a.keyboard.press("ContextMenu")
    expect(a.get_by_role("menuitem", name="Reply")).to_be_focused()
    a.keyboard.press("ArrowUp")
    a.keyboard.press("Enter")
    expect(a.locator(".grid .emoji").first).to_be_focused()
    a.keyboard.press("ArrowDown")
    a.keyboard.press("ArrowRight")
    a.keyboard.press("Enter")
    expect(b.locator(".reaction")).to_contain_text("😂")


def test_a_message_is_forwarded(person: Person, account: Callable[[str], Any]) -> None:
    _, b = pair(person)
    cleo = account(name("cleo"))
    other = cleo.begin(me(b))
    cleo.say(other, "hi")
    expect(b.locator(".conversation")).to_have_count(2)
    menu(b, "Hello", "Forward")
    dialog = b.locator("forward-dialog")
    dialog.get_by_label("Conversation", exact=True).fill(cleo.username)
    expect(dialog.locator(".person")).to_have_count(1)
    b.keyboard.press("Enter")
    expect(b.locator("#thread-name")).to_have_text(cleo.username)
    expect(bubble(b, "Hello").locator(".forwarded")).to_be_visible()
    expect(bubble(b, "Hello").locator(".ticks")).not_to_have_attribute("data-status", "sending")
    [found, *_] = cleo.call("GET", f"conversations/{other}/messages")["results"]
    assert (found["body"], found["forwarded"], found["reply_to"]) == ("Hello", True, None)


def test_changes_made_in_the_dark_are_shown_at_once_and_arrive_later(person: Person, server: "Server") -> None:
    a, b = pair(person)
    say(a, "second")
    say(b, "third")
    expect(bubble(a, "third")).to_be_visible()
    expect(bubble(b, "second")).to_be_visible()
    server.kill()
    menu(a, "Hello", "Edit")
    a.get_by_label("Message", exact=True).fill("Hello again")
    a.keyboard.press("Enter")
    react(a, "third", "Thumbs up")
    menu(a, "second", "Delete")
    ask(a, "Delete")
    react(b, "Hello", "Heart")
    expect(bubble(a, "Hello again").get_by_title("Saving")).to_be_visible()
    expect(bubble(a, GONE)).to_be_visible()
    expect(bubble(a, "third").locator(".reaction")).to_be_visible()
    server.start()
    # This page knows what it has to send from its own database alone.
    a.reload()
    for page in (a, b):
        expect(bubble(page, GONE)).to_be_visible()
        expect(bubble(page, "Hello again").locator(".reaction")).to_contain_text("❤️")
        expect(bubble(page, "third").locator(".reaction")).to_contain_text("👍")
        expect(page.get_by_title("Saving")).to_have_count(0)
    history = api(a, "GET", f"conversations/{conversation(a)}/messages")["results"]
    told = [
        (it["body"], it["deleted"], [r["emoji"] for r in it["reactions"]]) for it in history if it["kind"] == "text"
    ]
    assert told == [("third", False, ["👍"]), ("", True, []), ("Hello again", False, ["❤️"])]


def test_a_change_that_is_refused_is_taken_back_and_said(person: Person, server: "Server", expected: list[str]) -> None:
    expected.append("ERR_INTERNET_DISCONNECTED")
    a, b = pair(person)
    server.kill()
    menu(a, "Hello", "Edit")
    a.get_by_label("Message", exact=True).fill("too late")
    a.keyboard.press("Enter")
    expect(bubble(a, "too late")).to_be_visible()
    # Another device of hers deletes it before this one is back.
    a.context.set_offline(True)
    server.start()
    said = api(b, "GET", f"conversations/{conversation(b)}/messages")["results"][0]["server_id"]
    other = a.context.browser.new_context(storage_state=a.context.storage_state()).new_page()
    other.goto(server.url)
    other.wait_for_selector("#app[data-connection=online]")
    api(other, "DELETE", f"messages/{said}")
    expect(bubble(b, GONE)).to_be_visible()
    other.context.close()
    a.context.set_offline(False)
    expect(a.locator(".toast")).to_contain_text("Your edit was not saved")
    expect(bubble(a, GONE)).to_be_visible()


def test_a_long_press_opens_the_menu_on_a_phone(person: Person, account: Callable[[str], Any]) -> None:
    ann, p = account(name("ann")), person(name("ben"), **PHONE)
    ann.say(ann.begin(me(p)), "Hello")
    p.locator(".conversation").tap()
    box = bubble(p, "Hello").locator(".bubble").bounding_box()
    touch = p.context.new_cdp_session(p)
    point = {"x": box["x"] + 10, "y": box["y"] + 10}
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
    expect(p.get_by_role("menuitem", name="Reply")).to_be_visible()
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    sheet = p.locator("message-menu .message-menu").bounding_box()
    assert (sheet["width"], sheet["y"] + sheet["height"]) == (390, 844)
    assert no_overflow(p)
    p.get_by_role("button", name="More reactions").tap()
    p.get_by_role("button", name="Party").tap()
    expect(p.locator(".reaction")).to_contain_text("🎉")
    assert no_overflow(p)
