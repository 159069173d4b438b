"""Places in a conversation: a message by its link, a day; emoji by their names; who has read what one wrote."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.pages import api, bubble, conversation, fill, me, name, no_overflow, open_chat, say, ticks
from tests.e2e.test_changes import menu, pair
from tests.e2e.test_look import PHONE, nameless

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

Person = Callable[..., Any]


def test_a_link_leads_to_its_message(person: Person, account: Callable[[str], Any]) -> None:
    a, ben = person(name("ann"), permissions=["clipboard-read", "clipboard-write"]), account(name("ben"))
    talk = ben.begin(me(a))
    ben.say(talk, "The first of all")
    open_chat(a, ben.username)
    menu(a, "The first of all", "Copy link")
    expect(a.locator(".toast")).to_have_text("Copied.")
    link = a.evaluate("navigator.clipboard.readText()")
    assert link.startswith(f"{a.url.split('#')[0]}#{talk}/m_")
    fill(a, talk, [f"line {number}" for number in range(120)])
    a.goto("about:blank")
    for _ in range(2):
        a.goto(link)
        expect(bubble(a, "The first of all")).to_be_in_viewport()
        expect(bubble(a, "The first of all")).to_be_focused()
        assert conversation(a) == talk
        a.get_by_label("Jump to newest").click()
    assert nameless(a) == []


def test_a_link_to_what_is_gone_says_so(person: Person, expected: list[str]) -> None:
    expected.append("404")
    a, _ = pair(person)
    conv = conversation(a)
    a.evaluate(f"location.hash = '{conv}/m_AAAAAAAAAAEAAAAAAAAAAQ'")
    expect(a.locator(".toast")).to_be_visible()
    assert conversation(a) == conv


def test_one_goes_to_a_day(person: Person) -> None:
    a, _ = pair(person)
    fill(a, conversation(a), [f"line {number}" for number in range(60)])
    a.reload()
    expect(bubble(a, "line 59")).to_be_visible()
    a.get_by_role("button", name="Today").click()
    expect(a.get_by_role("dialog")).to_contain_text("Go to a day")
    assert nameless(a) == []
    a.get_by_role("button", name="Go", exact=True).click()
    expect(a.locator("message-list .event, message-list .message").first).to_be_in_viewport()


def test_emoji_are_found_and_put_where_the_cursor_is(person: Person) -> None:
    a, b = pair(person)
    field = a.get_by_label("Message", exact=True)
    field.fill("Well  done")
    field.evaluate("(field) => field.setSelectionRange(5, 5)")
    a.get_by_role("button", name="Emoji", exact=True).click()
    assert nameless(a) == []
    a.get_by_label("Search emoji").fill("celebr")
    expect(a.locator("emoji-picker .emoji")).to_have_count(1)
    a.keyboard.press("Enter")
    a.get_by_label("Search emoji").fill("nothing like it")
    expect(a.locator("emoji-picker")).to_contain_text("Nothing found.")
    a.keyboard.press("Escape")
    expect(a.get_by_role("button", name="Emoji", exact=True)).to_be_focused()
    expect(field).to_have_value("Well 🥳 done")
    field.press("Enter")
    expect(bubble(b, "Well 🥳 done")).to_be_visible()


def test_who_has_read_it(person: Person, account: Callable[[str], Any]) -> None:
    a, b = person(name("ann")), person(name("ben"))
    cleo = account(name("cleo"))
    group = api(a, "POST", "conversations", {"type": "group", "members": [me(b), cleo.id], "name": "Tea"})["id"]
    for page in (a, b):
        page.evaluate(f"location.hash = '{group}'")
        page.locator("#thread-name", has_text="Tea").wait_for()
    say(a, "At four?")
    expect(bubble(b, "At four?")).to_be_visible()
    expect(ticks(a)).to_have_attribute("data-status", "sent")
    cleo.say(group, "Yes")
    expect(bubble(a, "Yes")).to_be_visible()
    menu(a, "At four?", "Details")
    dialog = a.get_by_role("dialog")
    expect(dialog.get_by_label("Read by")).to_contain_text(b.locator("#app").get_attribute("data-display-name"))
    expect(dialog.get_by_label("Read by")).to_contain_text(cleo.username)
    a.keyboard.press("Escape")
    bubble(b, "At four?").click(button="right")
    expect(b.get_by_role("menuitem", name="Details")).to_have_count(0)


def test_on_a_phone(person: Person, account: Callable[[str], Any]) -> None:
    p, ben = person(name("pat"), **PHONE), account(name("ben"))
    ben.begin(me(p))
    open_chat(p, ben.username)
    p.get_by_role("button", name="Emoji", exact=True).tap()
    expect(p.locator(".emoji-picker")).to_be_visible()
    assert no_overflow(p)
    p.locator("emoji-picker .emoji").first.tap()
    expect(p.get_by_label("Message", exact=True)).to_have_value("😀")


_KEPT = """async (count) => {
    const address = document.querySelector("script[src*='js/app']").src.replace("app.js", "");
    const {Database} = await import(address + "db.js");
    const database = await Database.open("somebody");
    const id = (row) => "m_" + btoa(String.fromCharCode(0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, row, row, row))
        .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    const rows = Array.from({length: count}, (_, at) => ({server_id: id(at), conv: "c_a", ts: 7}));
    await database.putConversations([{id: "c_a"}]);
    await database.putMessages(rows, {});
    const messages = await database.tails(["c_a", "c_b"]);
    await database.destroy();
    const kept = messages.c_a.map((one) => one.server_id);
    return [kept.length, kept.join() === rows.slice(-kept.length).map((one) => one.server_id).join()];
}"""


def test_what_a_browser_kept_has_no_hole_among_messages_of_one_millisecond(person: Person) -> None:
    # One append to the log gives all its messages the same time.
    kept, unbroken = person(name("ann")).evaluate(_KEPT, 200)
    assert kept < 200
    assert unbroken
