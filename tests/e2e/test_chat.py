"""Two people chat in two browsers: states, presence, history, replies, and texts of every kind."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.pages import bubble, fill, held, me, name, no_overflow, open_chat, say, start_chat, ticks

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

Person = Callable[..., Any]
TOP = "(node) => node.getBoundingClientRect().top"


@pytest.mark.full_stack
def test_two_people_chat_and_see_the_ticks(person: Person) -> None:
    ann, ben = name("ann"), name("ben")
    a, b = person(ann), person(ben)
    expect(a.locator(".list-empty")).to_contain_text("No conversations yet")
    start_chat(a, ben)
    say(a, "Hello Ben, see https://example.org/a?b=1.")
    row = b.locator(".conversation", has_text=ann)
    expect(row.locator(".badge")).to_contain_text("1")
    expect(row).to_contain_text("Hello Ben")
    expect(b).to_have_title(re.compile(r"^\(1\)"))
    expect(ticks(a)).to_have_attribute("data-status", "delivered")

    row.click()
    expect(row.locator(".badge")).to_have_count(0)
    expect(ticks(a)).to_have_attribute("data-status", "read")
    expect(ticks(a).locator(".visually-hidden")).to_have_text("Read")
    # An address is a link that cannot reach back.
    link = b.locator(".message.in .body a")
    expect(link).to_have_attribute("href", "https://example.org/a?b=1")
    expect(link).to_have_attribute("rel", re.compile("noopener"))

    say(b, "Hi Ann")
    expect(bubble(a, "Hi Ann")).to_have_count(1)
    expect(ticks(b)).to_have_attribute("data-status", "read")
    # Without a break one after the other, they make one group under one day.
    say(b, "How are you?")
    expect(bubble(a, "How are you?")).to_have_class(re.compile(r"\blast\b"))
    expect(bubble(a, "Hi Ann")).not_to_have_class(re.compile(r"\blast\b"))
    expect(a.locator(".day")).to_have_text(["Today"])


@pytest.mark.full_stack
def test_typing_and_presence_show(person: Person) -> None:
    ann, ben = name("ann"), name("ben")
    a, b = person(ann), person(ben)
    start_chat(a, ben)
    say(a, "hi")
    expect(a.locator("#thread-sub")).to_have_text("online")
    open_chat(b, ann)
    b.get_by_label("Message", exact=True).press_sequentially("hel")
    expect(a.locator("#thread-sub")).to_have_text("typing…")
    expect(a.locator(".conversation .typing")).to_have_text("typing…")
    # A message ends it at once; without one it ends by itself.
    b.keyboard.press("Enter")
    expect(bubble(a, "hel")).to_have_count(1)
    expect(a.locator("#thread-sub")).to_have_text("online", timeout=3_000)
    # What is begun and not sent is there again after a reload, and the list says so.
    b.get_by_label("Message", exact=True).fill("half a thou")
    b.keyboard.press("Escape")
    expect(b.locator(".conversation")).to_contain_text("Draft: half a thou")
    b.reload()
    open_chat(b, ann)
    expect(b.get_by_label("Message", exact=True)).to_have_value("half a thou")


def test_older_messages_load_without_moving_what_is_read(person: Person) -> None:
    ann, ben = name("ann"), name("ben")
    a, b = person(ann), person(ben)
    fill(a, start_chat(a, ben), [f"line {number}" for number in range(130)])
    expect(b.locator(".conversation .badge")).to_contain_text("99+")
    expect(b.locator(".conversation")).to_contain_text("line 129")
    open_chat(b, ann)
    # One hundred and thirty are unread: reading begins at the line above the first of them.
    expect(b.locator(".new-line")).to_be_in_viewport()
    b.locator(".jump").click()
    expect(bubble(b, "line 129")).to_be_in_viewport()
    expect(b.locator(".conversation .badge")).to_have_count(0)
    # Once read, the page opens at the end with the newest alone.
    b.reload()
    expect(bubble(b, "line 129")).to_be_in_viewport()
    expect(bubble(b, "line 0")).to_have_count(0)
    # The earlier ones come once it is known where the reader is.
    older = "**/messages?*before=*"
    with held(b, older):
        with b.expect_request(older):
            b.evaluate("document.querySelector('message-list .scroller').scrollTop = 100")
        b.evaluate(
            """async () => {
                for (let frame = 0; frame < 3; frame += 1) await new Promise(requestAnimationFrame);
                const scroller = document.querySelector("message-list .scroller");
                const bubbleOf = (key) => document.querySelector(`[data-message="${key}"] .bubble`);
                window.topOf = (key) => bubbleOf(key).getBoundingClientRect().top;
                window.seen = [...document.querySelectorAll("message-list .message")].find(
                    (row) => row.getBoundingClientRect().bottom > scroller.getBoundingClientRect().top).dataset.message;
                window.from = topOf(seen);
                window.older = new Promise((resolve) => {
                    const bodies = () => [...document.querySelectorAll("message-list .body")];
                    const came = () => bodies().some((body) => body.textContent === "line 50");
                    new MutationObserver(() => came() && requestAnimationFrame(resolve))
                        .observe(scroller, {childList: true, subtree: true});
                });
            }"""
        )
    moved = b.evaluate("older.then(() => Math.abs(topOf(seen) - from))")
    assert moved <= 2, f"moved by {moved} px"
    # While reading old messages, new ones do not tear the reader away; a button counts them.
    anchor = b.locator(f"message-list [data-message='{b.evaluate('seen')}']")
    before = anchor.evaluate(TOP)
    say(a, "news")
    expect(b.locator(".jump .badge")).to_have_text("1")
    assert abs(anchor.evaluate(TOP) - before) <= 2
    b.locator(".jump").click()
    expect(bubble(b, "news")).to_be_in_viewport()


def test_an_answer_shows_what_it_answers(person: Person, account: Callable[[str], Any]) -> None:
    ann, ben = name("ann"), account(name("ben"))
    a = person(ann)
    conv = start_chat(a, ben.username)
    question = ben.say(conv, "Tea or coffee?")
    fill(a, conv, [f"filler {number}" for number in range(230)])
    expect(bubble(a, "filler 229")).to_be_in_viewport()
    a.reload()
    # It is too far back to be loaded, and found all the same.
    expect(bubble(a, "filler 229")).to_be_in_viewport()
    expect(bubble(a, "Tea or coffee?")).to_have_count(0)
    answer = {"msg_id": "7f9c1b52-3f65-4c38-a3c5-30b1a2f7a001", "body": "Well?", "reply_to": question}
    ben.call("POST", f"conversations/{conv}/messages", answer)
    bubble(a, "Well?").locator(".quote").click()
    found = a.locator(".message").first
    expect(found.locator(".body")).to_have_text("Tea or coffee?")
    expect(found).to_be_in_viewport()
    expect(found).to_be_focused()

    # By keyboard: Enter on a message answers it, Escape thinks better of it.
    a.keyboard.press("Enter")
    expect(a.locator(".answering")).to_contain_text("Tea or coffee?")
    a.keyboard.press("Escape")
    expect(a.locator(".answering")).to_have_count(0)
    # By pointer.
    found.hover()
    found.get_by_label("Reply").click()
    say(a, "Tea!")
    expect(bubble(a, "Tea!").locator(".quote")).to_contain_text("Tea or coffee?")
    expect(ticks(a)).to_have_attribute("data-status", "sent")
    a.reload()
    expect(bubble(a, "Tea!").locator(".quote")).to_be_visible()
    newest = ben.call("GET", f"conversations/{conv}/messages?limit=1")["results"][0]
    assert newest["reply_to"] == question


def test_every_kind_of_text_is_shown_as_text(
    person: Person, account: Callable[[str], Any], expected: list[str]
) -> None:
    long_name = "Wolfeschlegelsteinhausenbergerdorff" * 2 + " the Elder"
    ann, ben = name("ann"), account(name("ben"))
    ben.call("PATCH", "me", {"display_name": long_name})
    a = person(ann, viewport={"width": 320, "height": 640})
    conv = ben.begin(me(a))
    html = "<img src=x onerror=alert(1)><script>alert(2)</script><b>bold</b> &amp; {{ braces }}"
    word, hebrew = "W" * 2_000, "שלום, מה שלומך hello?"
    whole = "0123456789abcdef" * 4096
    for body in (word, html, hebrew, "👩‍👩‍👧‍👦🇩🇪", "👍🏽", "1", whole):
        ben.say(conv, body)
    a.locator(".conversation").click()
    expect(a.locator(".message")).to_have_count(7)
    bodies = a.locator(".message .body")
    expect(bodies.nth(1)).to_have_text(html)
    assert a.locator(".message img, .message script, .message b").count() == 0
    # And were there a slip, the browser itself would make no markup of a string, nor take one for a script's address.
    expected += ["TrustedHTML", "TrustedScriptURL"]
    for slip in ("document.body.innerHTML = '<b>x</b>'", "document.createElement('script').src = '/static/js/app.js'"):
        with pytest.raises(sync_api.Error, match="Trusted"):
            a.evaluate(slip)
    # Right to left where the text is, and the time on its other side.
    text = a.locator(".message .text").nth(2)
    assert text.evaluate("(node) => getComputedStyle(node).direction") == "rtl"
    # Emoji alone are large; a digit is none, though emoji are made with it.
    expect(a.locator(".bubble.large .body")).to_have_text(["👩‍👩‍👧‍👦🇩🇪", "👍🏽"])
    # 64 KiB: the beginning, and all of it on request.
    assert len(bodies.last.inner_text()) < 2_000
    a.get_by_role("button", name="Show all").last.click()
    expect(bodies.last).to_have_text(whole)
    assert no_overflow(a)
    expect(a.locator("#thread-name")).to_have_text(long_name)
    a.get_by_role("button", name="Contact info").click()
    expect(a.locator("conversation-info strong")).to_have_text(long_name)
    assert no_overflow(a)


def test_what_is_too_long_is_not_sent(person: Person, account: Callable[[str], Any]) -> None:
    a, ben = person(name("ann")), account(name("ben"))
    start_chat(a, ben.username)
    a.get_by_label("Message", exact=True).fill("é" * 32_769)
    expect(a.locator(".composer-error")).to_have_text("This message is 2 bytes too long.")
    expect(a.get_by_role("button", name="Send", exact=True)).to_be_disabled()
    a.get_by_label("Message", exact=True).fill("é" * 32_768)
    a.get_by_role("button", name="Send", exact=True).click()
    expect(ticks(a)).to_have_attribute("data-status", "sent")
    # Shift+Enter breaks the line, Enter sends.
    a.get_by_label("Message", exact=True).fill("one")
    a.keyboard.press("Shift+Enter")
    a.keyboard.type("two")
    a.keyboard.press("Enter")
    expect(a.locator(".message.out .body").last).to_have_text("one\ntwo", use_inner_text=True)
    expect(a.get_by_label("Message", exact=True)).to_have_value("")


def test_a_press_on_a_conversation_counts_though_its_row_changes(person: Person, account: Callable[[str], Any]) -> None:
    a, ben = person(name("ann")), account(name("ben"))
    conv = ben.begin(me(a))
    ben.say(conv, "Hello")
    row = a.locator(".conversation", has_text=ben.username)
    expect(row).to_contain_text("Hello")
    row.hover()
    a.mouse.down()
    ben.say(conv, "Are you there?")
    expect(row).to_contain_text("Are you there?")
    a.mouse.up()
    expect(a.locator("#thread-name")).to_contain_text(ben.username)
