"""Two people chat in two browsers, and nothing is lost on the way."""

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import Server

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect
pytestmark = [pytest.mark.e2e, pytest.mark.slow]
PATIENCE_MS = 20_000

Person = Callable[..., Any]


@pytest.fixture(autouse=True)
def _patience() -> None:
    expect.set_options(timeout=PATIENCE_MS)


def name(stem: str) -> str:
    return f"{stem}{uuid4().hex[:8]}"


def start_chat(page: Any, other: str) -> None:
    page.get_by_role("button", name="New chat", exact=True).click()
    page.get_by_label("People", exact=True).fill(other)
    page.locator("people-dialog .person", has_text=f"@{other}").click()
    expect(page.locator("#thread-name")).to_have_text(other)


def say(page: Any, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def bubble(page: Any, text: str) -> Any:
    return page.locator("message-list .message", has=page.get_by_text(text, exact=True))


def open_chat(page: Any, other: str) -> None:
    page.locator(".conversation", has_text=other).click()
    expect(page.locator("#thread-name")).to_have_text(other)


def api(page: Any, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """Call the REST API as the page's user."""
    call = """async ([method, path, body]) => {
        const token = document.cookie.split("; ").find((one) => one.startsWith("csrftoken=")).slice(10);
        const headers = {"Content-Type": "application/json", "X-CSRFToken": token};
        const response = await fetch(`/v1/${path}`, {method, headers, body: body && JSON.stringify(body)});
        return [response.status, await response.text()];
    }"""
    status, text = page.evaluate(call, [method, path, body])
    assert status < 300, text
    return json.loads(text)


def test_two_people_chat_and_see_the_ticks(person: Person) -> None:
    ann, ben = name("ann"), name("ben")
    a, b = person(ann), person(ben)
    expect(a.locator(".list-empty")).to_contain_text("No conversations yet")
    start_chat(a, ben)
    say(a, "Hello <b>Ben</b>, see https://example.org/a?b=1.")
    row = b.locator(".conversation", has_text=ann)
    expect(row.locator(".badge")).to_contain_text("1")
    expect(b).to_have_title(re.compile(r"^\(1\)"))
    ticks = a.locator(".message.out .ticks").last
    expect(ticks).to_have_attribute("data-status", "delivered")

    row.click()
    expect(row.locator(".badge")).to_have_count(0)
    expect(ticks).to_have_attribute("data-status", "read")
    expect(ticks.locator(".visually-hidden")).to_have_text("Read")
    # Text is text; an address is a link that cannot reach back.
    expect(b.locator(".message.in .body")).to_have_text("Hello <b>Ben</b>, see https://example.org/a?b=1.")
    link = b.locator(".message.in .body a")
    expect(link).to_have_attribute("href", "https://example.org/a?b=1")
    expect(link).to_have_attribute("rel", re.compile("noopener"))

    say(b, "Hi Ann")
    expect(bubble(a, "Hi Ann")).to_have_count(1)
    expect(b.locator(".message.out .ticks").last).to_have_attribute("data-status", "read")


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
    expect(a.locator("#thread-sub")).to_have_text("online")


def test_a_message_written_while_the_server_is_dead_arrives_once(person: Person, server: "Server") -> None:
    ann, ben = name("ann"), name("ben")
    a, b = person(ann), person(ben)
    start_chat(a, ben)
    say(a, "before")
    expect(a.locator(".message.out .ticks").last).to_have_attribute("data-status", "delivered")
    open_chat(b, ann)

    server.kill()
    try:
        expect(a.locator("#banner")).to_contain_text("your messages will be sent")
        say(a, "written in the dark")
        expect(bubble(a, "written in the dark").locator(".ticks")).to_have_attribute("data-status", "sending")
    finally:
        server.start()
    # The page is left and comes back: what it had to send it has from its own database alone.
    a.reload()
    expect(bubble(a, "written in the dark").locator(".ticks")).to_have_attribute("data-status", "read")
    expect(a.locator("#banner")).to_be_hidden()
    expect(bubble(b, "written in the dark")).to_have_count(1)
    say(b, "and now?")
    expect(bubble(a, "and now?")).to_have_count(1)
    expect(bubble(a, "written in the dark")).to_have_count(1)
    conversation = a.evaluate("location.hash.slice(1)")
    history = api(a, "GET", f"conversations/{conversation}/messages")["results"]
    assert [one["body"] for one in history if one["kind"] == "text"] == ["and now?", "written in the dark", "before"]


def test_the_outbox_survives_a_reload_without_a_connection(person: Person) -> None:
    ann, ben = name("ann"), name("ben")
    a, b = person(ann), person(ben)
    start_chat(a, ben)
    say(a, "first")
    expect(a.locator(".message.out .ticks").last).to_have_attribute("data-status", "delivered")
    # The page loads, but its socket leads nowhere.
    a.route_web_socket("**/ws", lambda socket: None)
    a.reload()
    expect(bubble(a, "first")).to_have_count(1)
    say(a, "kept")
    expect(bubble(a, "kept").locator(".ticks")).to_have_attribute("data-status", "sending")
    expect(a.locator("#banner")).to_contain_text("your messages will be sent")
    a.reload()
    expect(bubble(a, "kept").locator(".ticks")).to_have_attribute("data-status", "sending")
    assert "kept" not in b.locator("conversation-list").inner_text()
    a.route_web_socket("**/ws", lambda socket: socket.connect_to_server())
    a.reload()
    expect(bubble(a, "kept").locator(".ticks")).to_have_attribute("data-status", "delivered")
    expect(bubble(a, "kept")).to_have_count(1)


def test_older_messages_load_without_moving_what_is_read(person: Person) -> None:
    ann, ben = name("ann"), name("ben")
    a, b = person(ann), person(ben)
    start_chat(a, ben)
    conversation = a.evaluate("location.hash.slice(1)")
    for number in range(130):
        body = {"msg_id": str(uuid4()), "body": f"line {number}"}
        api(a, "POST", f"conversations/{conversation}/messages", body)
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
    top = "(node) => node.getBoundingClientRect().top"
    moved = b.evaluate(
        """async () => {
            const scroller = document.querySelector("message-list .scroller");
            const count = () => document.querySelectorAll("message-list .message").length;
            const before = count();
            scroller.scrollTop = 100;
            const seen = [...document.querySelectorAll("message-list .message")].find(
                (row) => row.getBoundingClientRect().bottom > scroller.getBoundingClientRect().top);
            const from = seen.getBoundingClientRect().top;
            await new Promise((resolve, reject) => {
                setTimeout(() => reject(new Error("nothing older was loaded")), 10000);
                const watcher = new MutationObserver(() => {
                    if (count() > before) { watcher.disconnect(); requestAnimationFrame(resolve); }
                });
                watcher.observe(scroller, {childList: true, subtree: true});
            });
            const now = document.querySelector(`[data-message="${seen.dataset.message}"]`);
            return Math.abs(now.getBoundingClientRect().top - from);
        }"""
    )
    assert moved <= 2, f"moved by {moved} px"
    # While reading old messages, new ones do not tear the reader away; a button counts them.
    anchor = b.locator("message-list .message").nth(60)
    before = anchor.evaluate(top)
    say(a, "news")
    expect(b.locator(".jump .badge")).to_have_text("1")
    assert abs(anchor.evaluate(top) - before) <= 2
    b.locator(".jump").click()
    expect(bubble(b, "news")).to_be_in_viewport()


def test_a_group_is_made_renamed_and_left(person: Person) -> None:
    ann, ben, cleo = name("ann"), name("ben"), name("cleo")
    a, b, c = person(ann), person(ben), person(cleo)
    a.get_by_role("button", name="New group", exact=True).click()
    a.get_by_label("Group name", exact=True).fill("Hikers")
    for other in (ben, cleo):
        a.get_by_label("People", exact=True).fill(other)
        a.locator("people-dialog .people .person", has_text=f"@{other}").click()
        expect(a.locator(".chip", has_text=other)).to_be_visible()
    a.get_by_role("button", name="Create group").click()
    expect(a.locator("#thread-name")).to_have_text("Hikers")
    say(a, "Sunday at nine?")
    for page in (b, c):
        open_chat(page, "Hikers")
        expect(bubble(page, "Sunday at nine?")).to_have_count(1)
    expect(a.locator(".message.out .ticks").last).to_have_attribute("data-status", "read")

    a.get_by_role("button", name="Group info").click()
    a.locator("group-info input").fill("Ramblers")
    a.get_by_role("button", name="Rename").click()
    expect(b.locator("#thread-name")).to_have_text("Ramblers")
    expect(b.locator(".event", has_text="renamed the group to “Ramblers”")).to_be_visible()
    a.keyboard.press("Escape")
    expect(a.get_by_role("button", name="Group info")).to_be_focused()

    c.get_by_role("button", name="Group info").click()
    c.get_by_role("button", name="Leave group").click()
    expect(c.locator(".conversation", has_text="Ramblers")).to_have_count(0)
    expect(a.locator(".event", has_text=f"{cleo} left")).to_be_visible()
    expect(a.locator("#thread-sub")).to_contain_text("2 members")


def test_the_phone_shows_one_view_at_a_time(person: Person) -> None:
    ann, ben = name("ann"), name("ben")
    a = person(ann)
    p = person(ben, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    wide = "document.documentElement.scrollWidth > innerWidth"
    start_chat(a, ben)
    say(a, "A" * 300)
    expect(p.locator(".conversation")).to_be_visible()
    assert not p.evaluate(wide)
    p.locator(".conversation").click()
    expect(p.locator(".message.in")).to_be_visible()
    expect(p.locator(".sidebar")).to_be_hidden()
    assert not p.evaluate(wide)
    p.get_by_role("button", name="Back to conversations").click()
    expect(p.locator(".sidebar")).to_be_visible()
    expect(p.locator(".main")).to_be_hidden()


def test_the_keyboard_reaches_the_conversations(person: Person) -> None:
    ann, ben, cleo = name("ann"), name("ben"), name("cleo")
    a = person(ann)
    person(ben)
    person(cleo)
    for other in (ben, cleo):
        start_chat(a, other)
        say(a, f"hello {other}")
    a.keyboard.press("Control+k")
    expect(a.locator("#search")).to_be_focused()
    a.keyboard.type(ben)
    expect(a.locator(".conversation")).to_have_count(1)
    a.keyboard.press("ArrowDown")
    a.keyboard.press("Enter")
    expect(a.locator("#thread-name")).to_have_text(ben)
    a.keyboard.press("Escape")
    expect(a.locator(".conversation")).to_have_count(2)
    a.keyboard.press("Escape")
    expect(a.locator("#welcome")).to_be_visible()
