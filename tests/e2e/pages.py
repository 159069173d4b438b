"""What people do on the pages, in the words of the tests."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

_CALL = """async ([method, path, body]) => {
    const token = document.cookie.split("; ").find((one) => one.startsWith("csrftoken=")).slice(10);
    const headers = {"Content-Type": "application/json", "X-CSRFToken": token};
    const response = await fetch(`/v1/${path}`, {method, headers, body: body && JSON.stringify(body)});
    return [response.status, await response.text()];
}"""

_FILL = """async ([conv, bodies]) => {
    const waiting = new Set();
    const socket = new WebSocket(`ws://${location.host}/ws`, ["chat.v1.json"]);
    await new Promise((resolve, reject) => {
        socket.onclose = reject;
        socket.onmessage = ({data}) => {
            const frame = JSON.parse(data);
            if (frame.op === "ready") for (const body of bodies) {
                const msg_id = crypto.randomUUID();
                waiting.add(msg_id);
                socket.send(JSON.stringify({op: "send", msg_id, conv, body}));
            }
            if (frame.op === "ack") waiting.delete(frame.msg_id);
            if (frame.op === "ack" && !waiting.size) resolve();
        };
    });
    socket.onclose = null;
    socket.close();
}"""


def name(stem: str) -> str:
    """Return a user name that nobody has."""
    return f"{stem}{uuid4().hex[:8]}"


@contextmanager
def held(page: Any, pattern: str) -> Iterator[list[Any]]:
    """Hold what a page asks for at these addresses to the end of the block, also where that ends by an error."""
    waiting: list[Any] = []
    over = False

    def take(route: Any) -> None:
        if over:
            route.continue_()
        else:
            waiting.append(route)

    page.route(pattern, take)
    try:
        yield waiting
    finally:
        over = True
        for route in waiting:
            route.continue_()


def start_chat(page: Any, other: str) -> str:
    """Begin a direct conversation by the dialog; return its id."""
    page.get_by_role("button", name="New chat", exact=True).click()
    page.get_by_label("People", exact=True).fill(other)
    page.locator("people-dialog .person", has_text=f"@{other}").click()
    page.locator("#thread-name", has_text=other).wait_for()
    return conversation(page)


def open_chat(page: Any, other: str) -> None:
    """Choose a conversation in the list."""
    page.locator(".conversation", has_text=other).click()
    page.locator("#thread-name", has_text=other).wait_for()


def conversation(page: Any) -> str:
    """Return the id of the open conversation."""
    return str(page.evaluate("location.hash.slice(1)"))


def me(page: Any) -> str:
    """Return the id of the page's user."""
    return str(page.locator("#app").get_attribute("data-user"))


def say(page: Any, text: str) -> None:
    """Write a message and send it."""
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def bubble(page: Any, text: str) -> Any:
    """Return the message with exactly this text."""
    return page.locator("message-list .message", has=page.get_by_text(text, exact=True))


def ticks(page: Any) -> Any:
    """Return the state of one's own last message."""
    return page.locator(".message.out .ticks").last


def api(page: Any, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """Call the REST API as the page's user."""
    status, text = page.evaluate(_CALL, [method, path, body])
    assert status < 300, text
    return json.loads(text) if text else None


def fill(page: Any, conv: str, bodies: list[str]) -> None:
    """Send messages as the page's user, in order, over a socket of their own; each is acked on return."""
    page.evaluate(_FILL, [conv, bodies])


def ask(page: Any, answer: str) -> None:
    """Answer the question on the screen."""
    page.get_by_role("alertdialog").get_by_role("button", name=answer).click()


def no_overflow(page: Any) -> bool:
    """Return whether nothing is wider than the page, so that it does not scroll sideways, and no message is cut off."""
    return bool(
        page.evaluate(
            """() => document.documentElement.scrollWidth <= innerWidth
                && [...document.querySelectorAll("message-list .bubble")].every((bubble) => {
                    const {left, right} = bubble.getBoundingClientRect();
                    return left >= 0 && right <= innerWidth;
                })"""
        )
    )
