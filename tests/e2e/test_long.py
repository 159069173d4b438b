"""A conversation with thousands of messages: what of it is painted, what is held, and where its reader is."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.pages import bubble, conversation, fill, name, say, start_chat

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

Person = Callable[..., Any]

#: So many rows at most, whatever the conversation has: those in view, forty on each side, a day and the line.
MOST_ROWS = 140
MANY = 4_200

_ROWS = "document.querySelectorAll('message-list .rows > *').length"

#: Scrolls up by steps, as a wheel does, until a message is there; notes the most rows, and frames without any.
_UP = """async (wanted) => {
    const scroller = document.querySelector("message-list .scroller");
    const rows = document.querySelector("message-list .rows");
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    const seen = {most: 0, blank: 0, frames: 0};
    const until = performance.now() + 120_000;
    while (performance.now() < until) {
        scroller.scrollTop -= 400;
        await frame();
        const {top, bottom} = scroller.getBoundingClientRect();
        const painted = [...rows.children].filter((row) => !row.classList.contains("gap"));
        const shown = painted.filter((row) => {
            const box = row.getBoundingClientRect();
            return box.bottom > top + 60 && box.top < bottom - 60;
        });
        seen.frames += 1;
        seen.most = Math.max(seen.most, rows.children.length);
        if (!shown.length) seen.blank += 1;
        if (painted.some((row) => row.textContent.includes(wanted))) return seen;
    }
    throw new Error(`${wanted} did not come`);
}"""

_FIRST = """async (conv) => {
    const answer = await fetch(`/v1/conversations/${conv}/since?at=1971-01-01T00:00:00Z`);
    return (await answer.json()).server_id;
}"""

#: Makes a row above one higher, and resolves once the page has come to terms with it.
_HIGHER = """async (row) => {
    let above = row;
    for (let steps = 0; steps < 4; steps += 1) above = above.previousElementSibling;
    above.style.paddingBlockEnd = "300px";
    for (let frames = 0; frames < 3; frames += 1) await new Promise((resolve) => requestAnimationFrame(resolve));
}"""

_TOP = "(row) => row.getBoundingClientRect().top"


def numbered(first: int, last: int) -> list[str]:
    """Return texts of one line and, now and then, of several."""
    return [f"no. {number}." + " More to it.\nAnd a second line." * (number % 7 == 0) for number in range(first, last)]


def row(page: Any, number: int) -> Any:
    """Return the message with this number."""
    return page.locator("message-list .message", has_text=f"no. {number}.")


def talk(person: Person, count: int) -> tuple[Any, Any]:
    """Return two pages whose conversation has so many messages; the first page is at the newest of them."""
    ben = name("ben")
    a, b = person(name("ann")), person(ben)
    conv = start_chat(a, ben)
    for first in range(0, count, 200):
        fill(a, conv, numbered(first, min(count, first + 200)))
    a.reload()
    expect(row(a, count - 1)).to_be_in_viewport()
    return a, b


def test_of_thousands_of_messages_few_are_painted(person: Person) -> None:
    a, b = talk(person, MANY)
    seen = a.evaluate(_UP, f"no. {MANY - 3_600}.")
    assert seen["most"] <= MOST_ROWS
    assert seen["blank"] == 0
    # What is far from the reader is not held either.
    expect(a.locator("message-list .message").first).to_have_attribute("aria-setsize", "-1")
    a.get_by_label("Jump to newest").click()
    expect(row(a, MANY - 1)).to_be_in_viewport()
    b.evaluate(f"location.hash = '{conversation(a)}'")
    expect(b.locator(".new-line")).to_be_in_viewport()
    say(b, "still live")
    expect(bubble(a, "still live")).to_be_in_viewport()
    assert a.evaluate(_ROWS) <= MOST_ROWS
    # Far into the past and back.
    conv = conversation(a)
    first = a.evaluate(_FIRST, conv)
    a.evaluate(f"location.hash = '{conv}/{first}'")
    expect(row(a, 0)).to_be_in_viewport()
    expect(a.locator("message-list .older")).to_be_hidden()
    a.get_by_label("Jump to newest").click()
    expect(bubble(a, "still live")).to_be_in_viewport()


def test_the_place_is_kept_while_what_is_above_becomes_higher(person: Person) -> None:
    a, _ = talk(person, 400)
    a.evaluate(_UP, "no. 200.")
    anchor = a.evaluate_handle(
        """() => {
            const top = document.querySelector("message-list .scroller").getBoundingClientRect().top;
            const all = [...document.querySelectorAll("message-list .message")];
            return all.find((row) => row.getBoundingClientRect().top > top + 5);
        }"""
    )
    before = anchor.evaluate(_TOP)
    anchor.evaluate(_HIGHER)
    assert abs(anchor.evaluate(_TOP) - before) <= 2


def test_the_focus_stays_and_goes_on_from_where_it_is(person: Person) -> None:
    a, _ = talk(person, 700)
    row(a, 698).focus()
    a.evaluate(_UP, "no. 200.")
    expect(row(a, 698)).to_be_focused()
    expect(row(a, 698)).not_to_be_in_viewport()
    a.keyboard.press("ArrowUp")
    expect(row(a, 697)).to_be_focused()
    expect(row(a, 697)).to_be_in_viewport()
    for _ in range(60):
        a.keyboard.press("ArrowUp")
    expect(row(a, 637)).to_be_focused()
    expect(row(a, 637)).to_be_in_viewport()


def test_a_marked_text_stays_marked_while_its_reader_scrolls(person: Person) -> None:
    a, _ = talk(person, 700)
    a.evaluate(
        """() => {
            const rows = [...document.querySelectorAll("message-list .message .body")];
            getSelection().setBaseAndExtent(rows.at(-5), 0, rows.at(-2), 1);
        }"""
    )
    marked = a.evaluate("getSelection().toString()")
    assert "no. 696." in marked
    a.evaluate(_UP, "no. 200.")
    assert a.evaluate("getSelection().toString()") == marked
