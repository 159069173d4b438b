"""A browser whose network lets no WebSocket through chats all the same, and goes back to a socket when it can."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.pages import bubble, name, open_chat, say, start_chat, ticks

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

#: Sockets of a page fail as behind such a network, until the page's `sockets` is true. The looks for one come
#: soon, so that the test need not wait.
BLOCKED = """
const Real = window.WebSocket;
window.sockets = false;
window.WebSocket = new Proxy(Real, {
  construct(target, [url, protocols]) {
    return new target(window.sockets ? url : url.replace("/ws", "/blocked"), protocols);
  },
});
const later = window.setTimeout;
const looks = [10_000, 20_000, 40_000, 80_000];
window.setTimeout = (work, ms, ...more) => later(work, looks.includes(ms) ? 2_000 : ms, ...more);
"""


@pytest.fixture
def expected(expected: list[str]) -> list[str]:
    # The end of a session of polling is heard by a request that is under way.
    return [*expected, "/v1/poll", "403"]


def test_without_sockets_it_polls_and_goes_back(person: Callable[..., Any]) -> None:
    ann, ben = name("ann"), name("ben")
    a, b = person(ann), person(ben)
    start_chat(a, ben)
    say(a, "while all is well")
    open_chat(b, ann)
    expect(bubble(b, "while all is well")).to_be_visible()

    polls: list[str] = []
    sockets: list[str] = []
    b.on("request", lambda request: polls.append(request.url) if "/v1/poll" in request.url else None)
    b.on("websocket", lambda socket: sockets.append(socket.url))
    b.context.add_init_script(BLOCKED)
    b.reload()
    b.wait_for_selector("#app[data-connection=online]")
    assert polls
    assert sockets
    assert all(url.endswith("/blocked") for url in sockets)

    # Both ways, live: a message, its ticks, and what is typed.
    say(a, "over there by HTTP")
    expect(bubble(b, "over there by HTTP")).to_be_visible()
    expect(ticks(a)).to_have_attribute("data-status", re.compile("delivered|read"))
    say(b, "and back")
    expect(ticks(b)).to_have_attribute("data-status", re.compile("sent|delivered|read"))
    expect(bubble(a, "and back")).to_be_visible()

    # The network has changed its mind.
    # It leaves the session once a socket has spoken.
    with b.expect_request(lambda request: request.post_data == '{"close":true}'):
        b.evaluate("window.sockets = true")
    assert sockets[-1].endswith("/ws")
    say(a, "by a socket again")
    expect(bubble(b, "by a socket again")).to_be_visible()
    expect(b.locator("#app")).to_have_attribute("data-connection", "online")
    assert b.locator(".message .body", has_text="by a socket again").count() == 1
    before = len(polls)
    say(b, "for good")
    expect(bubble(a, "for good")).to_be_visible()
    assert len(polls) == before
