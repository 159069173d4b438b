"""What was written arrives once, in order, whatever happens to the server, the connection and the page."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.pages import api, ask, bubble, conversation, name, open_chat, say, start_chat, ticks

if TYPE_CHECKING:
    from tests.e2e.conftest import Server

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

Person = Callable[..., Any]


def texts(page: Any) -> list[str]:
    """Return what the server has of the open conversation, oldest first."""
    found = api(page, "GET", f"conversations/{conversation(page)}/messages?limit=200")["results"]
    return [one["body"] for one in reversed(found) if one["kind"] == "text"]


def shown(page: Any) -> list[str]:
    """Return what the page shows of it."""
    return list(page.locator(".message .body").all_inner_texts())


@pytest.mark.full_stack
def test_a_server_killed_in_the_middle_of_a_chat_loses_and_doubles_nothing(person: Person, server: "Server") -> None:
    ann, ben = name("ann"), name("ben")
    a, b = person(ann), person(ben)
    start_chat(a, ben)
    say(a, "a0")
    open_chat(b, ann)
    expect(ticks(a)).to_have_attribute("data-status", "read")
    written = ["a0"]
    for turn in range(2):
        for number in range(4):
            for page, who in ((a, "a"), (b, "b")):
                written.append(f"{who}{turn}.{number}")
                say(page, written[-1])
        # Power gone with messages in every state: on the wire, in the log, with one and not with the other.
        server.kill()
        for page, who in ((a, "a"), (b, "b")):
            written.append(f"{who}{turn}.dark")
            say(page, written[-1])
            expect(ticks(page)).to_have_attribute("data-status", "sending")
        if turn == 0:
            expect(a.locator("#banner")).to_contain_text("your messages will be sent")
        server.start()
        if turn == 0:
            # This page is left and comes back: what it had to send it has from its own database alone.
            a.reload()
        for page, who in ((a, "a"), (b, "b")):
            # Who writes is not made to wait for the next try.
            written.append(f"{who}{turn}.light")
            say(page, written[-1])
            expect(page.locator('.ticks[data-status="sending"]')).to_have_count(0)
    expect(a.locator("#banner")).to_be_hidden()
    for page in (a, b):
        # A batch on its way to a pod that is killed is lost; where nothing follows it, a heartbeat finds that out.
        expect(page.locator(".message")).to_have_count(len(written), timeout=45_000)
    order = texts(a)
    assert sorted(order) == sorted(written), "nothing lost, nothing twice"
    for who in "ab":
        assert [one for one in order if one[0] == who] == [one for one in written if one[0] == who]
    assert shown(a) == order
    assert shown(b) == order
    a.reload()
    expect(a.locator(".message")).to_have_count(len(written))
    assert shown(a) == order


@pytest.mark.full_stack
def test_the_outbox_survives_a_reload_without_a_connection(person: Person) -> None:
    ann, ben = name("ann"), name("ben")
    a, b = person(ann), person(ben)
    start_chat(a, ben)
    say(a, "first")
    expect(ticks(a)).to_have_attribute("data-status", "delivered")
    # The page loads, but its socket leads nowhere; and its service worker, asked after 15 s of that, does not send.
    a.route_web_socket("**/ws", lambda socket: None)
    a.add_init_script("delete ServiceWorkerRegistration.prototype.sync")
    a.reload()
    expect(bubble(a, "first")).to_have_count(1)
    say(a, "kept")
    expect(bubble(a, "kept").locator(".ticks")).to_have_attribute("data-status", "sending")
    expect(a.locator("#banner")).to_contain_text("your messages will be sent")
    a.reload()
    expect(bubble(a, "kept").locator(".ticks")).to_have_attribute("data-status", "sending")
    assert "kept" not in b.locator("conversation-list").inner_text()
    # Nobody signs out over it by mistake.
    a.get_by_label("Menu").click()
    a.get_by_role("button", name="Sign out").click()
    expect(a.get_by_role("alertdialog")).to_contain_text("1 message could not be sent yet")
    ask(a, "Cancel")
    a.route_web_socket("**/ws", lambda socket: socket.connect_to_server())
    a.reload()
    expect(bubble(a, "kept").locator(".ticks")).to_have_attribute("data-status", "delivered")
    expect(bubble(a, "kept")).to_have_count(1)


class Wiretap:
    """Stands between a page and the server, and loses or doubles frames."""

    def __init__(self, page: Any) -> None:
        self.lose: Callable[[str], bool] = lambda frame: False
        self.double: Callable[[str], bool] = lambda frame: False
        self.sent: list[str] = []
        page.route_web_socket("**/ws", self._route)

    def _route(self, socket: Any) -> None:
        server = socket.connect_to_server()

        def up(frame: str) -> None:
            self.sent.append(frame)
            server.send(frame)

        def down(frame: str) -> None:
            if not self.lose(frame):
                socket.send(frame)
                if self.double(frame):
                    socket.send(frame)

        socket.on_message(up)
        server.on_message(down)


@pytest.mark.full_stack
def test_lost_acks_doubled_frames_and_gaps_are_made_good(person: Person, account: Callable[[str], Any]) -> None:
    ben = account(name("ben"))
    a = person(name("ann"))
    tap = Wiretap(a)
    a.reload()
    conv = start_chat(a, ben.username)

    # The first ack and the echo get lost: the message goes out again with the same id, and is there once.
    tap.lose = lambda frame: "no ack" in frame or ('"ack"' in frame and len(sends("no ack")) < 2)

    def sends(text: str) -> list[str]:
        return [frame for frame in tap.sent if '"send"' in frame and text in frame]

    say(a, "no ack")
    expect(ticks(a)).to_have_attribute("data-status", "sent")
    assert len(sends("no ack")) == 2
    assert len(set(sends("no ack"))) == 1, "the same msg_id"
    tap.lose = lambda frame: False

    # Every frame twice: still once on the page, and counted once.
    tap.double = lambda frame: True
    ben.say(conv, "twice")
    expect(bubble(a, "twice")).to_have_count(1)
    tap.double = lambda frame: False

    # One is lost: the next one names it as the one before, and the page asks.
    tap.lose = lambda frame: json.loads(frame)["op"] == "msg" and "lost on the way" in frame
    ben.say(conv, "lost on the way")
    ben.say(conv, "after the gap")
    expect(bubble(a, "lost on the way")).to_have_count(1)
    assert shown(a) == ["no ack", "twice", "lost on the way", "after the gap"]
    assert texts(a) == shown(a)
