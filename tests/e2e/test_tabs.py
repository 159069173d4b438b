"""Several tabs of one person in one browser: one connection, whichever of them comes, goes or stands still."""

import re
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import PASSWORD, Server
from tests.e2e.pages import bubble, name, open_chat, say, start_chat, ticks
from tests.e2e.test_delivery import Wiretap
from tests.e2e.test_polling import BLOCKED
from tests.process.stacks import wait_for

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

Person = Callable[..., Any]

ONLINE = "#app[data-connection=online]"


@pytest.fixture
def expected(expected: list[str]) -> list[str]:
    # What was asked for at the moment of signing out.
    return [*expected, "401", "403", "/v1/poll"]


def connections(server: Server) -> int:
    """Return how many sockets of people the server has."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=20) as answer:
        found = re.search(r'^chat_connections\{state="open"\} (\d+)', answer.read().decode(), re.MULTILINE)
    assert found is not None
    return int(found[1])


@pytest.fixture(autouse=True)
def _nobody_else_is_connected(server: Server) -> None:
    """End what tests before this one have left: who lost the network says no goodbye, and is missed after 90 s."""
    try:
        wait_for(lambda: connections(server) == 0, timeout_s=3)
    except AssertionError:
        server.kill()
        server.start()


def another_tab(page: Any) -> Any:
    """Open what a page shows in a second tab."""
    tab = page.context.new_page()
    tab.goto(page.url)
    tab.wait_for_selector(ONLINE)
    return tab


def begin(person: Person, text: str = "before") -> tuple[str, str, Any, Any]:
    """Return the names and pages of two people, of whom the first has written to the other."""
    ann, ben = name("ann"), name("ben")
    a, b = person(ann), person(ben)
    start_chat(a, ben)
    say(a, text)
    return ann, ben, a, b


def test_two_tabs_share_one_connection(person: Person, server: Server) -> None:
    ann, _, a, b = begin(person, "first")
    open_chat(b, ann)
    wait_for(lambda: connections(server) == 2)
    opened: list[str] = []
    a.context.on("page", lambda page: page.on("websocket", lambda socket: opened.append(socket.url)))
    second = another_tab(a)
    third = another_tab(a)
    assert connections(server) == 2
    assert opened == []

    say(b, "to all of them")
    for tab in (a, second, third):
        expect(bubble(tab, "first")).to_have_count(1)
        expect(bubble(tab, "to all of them")).to_have_count(1)
    expect(ticks(b)).to_have_attribute("data-status", "read")
    third.get_by_label("Message", exact=True).press_sequentially("hm")
    expect(b.locator("#thread-sub")).to_have_text("typing…")
    say(second, "from the second")
    for page in (a, second, third, b):
        expect(bubble(page, "from the second")).to_have_count(1)
        expect(page.locator(".message")).to_have_count(3)
    for tab in (a, second, third):
        expect(ticks(tab)).to_have_attribute("data-status", "read")
        expect(tab.locator("#thread-sub")).to_have_text("online")
    assert connections(server) == 2
    assert opened == []


def test_what_one_tab_finds_missing_the_others_ask_for(person: Person) -> None:
    ann, _, a, b = begin(person)
    open_chat(b, ann)
    tap = Wiretap(a)
    a.reload()
    a.wait_for_selector(ONLINE)
    second = another_tab(a)
    tap.lose = lambda frame: frame.startswith('{"op":"msg"') and "lost on its way" in frame
    say(b, "lost on its way")
    expect(ticks(b)).to_have_attribute("data-status", "sent")
    expect(bubble(a, "lost on its way")).to_have_count(0)
    second.reload()
    # Sooner than by a heartbeat of its own.
    for tab in (second, a):
        expect(bubble(tab, "lost on its way")).to_have_count(1, timeout=15_000)


def test_when_the_tab_that_leads_is_closed_another_goes_on(person: Person, server: Server) -> None:
    ann, _, a, b = begin(person)
    open_chat(b, ann)
    second, third = another_tab(a), another_tab(a)
    a.close()
    say(b, "in between")
    say(second, "all the same")
    for page in (second, third, b):
        expect(bubble(page, "in between")).to_have_count(1)
        expect(bubble(page, "all the same")).to_have_count(1)
    # Who goes politely hands over as well.
    second.goto(f"{server.url}/settings/")
    say(b, "once more")
    expect(bubble(third, "once more")).to_have_count(1)
    say(third, "and back")
    expect(bubble(b, "and back")).to_have_count(1)
    expect(third.locator(".message")).to_have_count(5)
    wait_for(lambda: connections(server) == 2)


def test_a_tab_that_leads_and_stands_still_is_passed_over(person: Person, server: Server) -> None:
    ann, _, a, b = begin(person)
    open_chat(b, ann)
    second = another_tab(a)
    # From its next step on nothing runs in it, and no event says so first.
    debugger = a.context.new_cdp_session(a)
    debugger.send("Debugger.enable")
    debugger.send("Debugger.pause")
    say(second, "while the other one hangs")
    expect(bubble(b, "while the other one hangs")).to_have_count(1)
    # It comes back as one that does not lead.
    debugger.send("Debugger.resume")
    say(b, "for both")
    for tab in (a, second):
        expect(bubble(tab, "for both")).to_have_count(1)
        expect(bubble(tab, "while the other one hangs")).to_have_count(1)
    wait_for(lambda: connections(server) == 2)


@pytest.mark.parametrize("writer", ["leading", "other"])
def test_what_a_closed_tab_left_unsent_is_sent_by_another(person: Person, server: Server, writer: str) -> None:
    ann, _, a, b = begin(person)
    expect(ticks(a)).to_have_attribute("data-status", "delivered")
    second = another_tab(a)
    expect(bubble(second, "before")).to_have_count(1)
    author, heir = (a, second) if writer == "leading" else (second, a)
    sent: list[str] = []
    heir.on("websocket", lambda socket: socket.on("framesent", lambda data: sent.append(str(data))))
    # While a server is away for long a page tries to poll as well.
    heir.on("request", lambda request: sent.append(request.post_data or "") if "/v1/poll" in request.url else None)
    server.kill()
    try:
        say(author, "left behind")
        expect(ticks(author)).to_have_attribute("data-status", "sending")
        # While its author lives it is the author's to send.
        expect(bubble(heir, "left behind")).to_have_count(0)
        author.close()
    finally:
        server.start()
    heir.wait_for_selector(ONLINE)
    open_chat(b, ann)
    expect(bubble(b, "left behind")).to_have_count(1)
    expect(bubble(heir, "left behind")).to_have_count(1)
    expect(ticks(heir)).to_have_attribute("data-status", "read")
    assert sum("left behind" in frame for frame in sent) == 1
    heir.reload()
    expect(bubble(heir, "left behind")).to_have_count(1)


def test_who_signs_out_in_one_tab_is_signed_out_in_all_and_the_next_one_begins_alone(
    person: Person, server: Server
) -> None:
    ann, ben, a, b = begin(person, "secret of the two")
    expect(ticks(a)).to_have_attribute("data-status", "delivered")
    second, third = another_tab(a), another_tab(a)
    second.get_by_label("Menu").click()
    second.get_by_role("button", name="Sign out").click()
    for tab in (a, second, third):
        expect(tab).to_have_url(re.compile("/accounts/login/"))
    wait_for(lambda: connections(server) == 1)

    a.get_by_label("User name or e-mail").fill(ben)
    a.get_by_label("Password", exact=True).fill(PASSWORD)
    a.get_by_role("button", name="Sign in", exact=True).click()
    a.wait_for_selector(ONLINE)
    expect(a.locator("#app")).to_have_attribute("data-username", ben)
    third.goto(server.url)
    third.wait_for_selector(ONLINE)
    for page in (a, third, b):
        open_chat(page, ann)
    say(third, "as somebody else")
    for page in (a, third, b):
        expect(bubble(page, "as somebody else")).to_have_count(1)
        expect(page.locator(".message.out")).to_have_count(1)


def test_tabs_of_two_people_in_one_browser_do_not_share(person: Person, server: Server) -> None:
    ann, ben = name("ann"), name("ben")
    a, b = person(ann), person(ben)
    start_chat(a, ben)
    # Ann's tab does not hear that Ben signs in beside it, until it comes back.
    cookies = [one for one in b.context.cookies() if one["name"] in {"sessionid", "csrftoken"}]
    a.context.add_cookies(cookies)
    tab = a.context.new_page()
    tab.goto(server.url)
    tab.wait_for_selector(ONLINE)
    expect(tab.locator("#app")).to_have_attribute("data-username", ben)
    say(a, "still as Ann")
    open_chat(tab, ann)
    expect(bubble(tab, "still as Ann")).to_have_count(1)
    expect(tab.locator(".message.out")).to_have_count(0)
    wait_for(lambda: connections(server) == 3)


def test_tabs_that_poll_share_one_session(person: Person) -> None:
    ann, _, a, b = begin(person)
    sessions: set[str] = set()

    def asked(request: Any) -> None:
        if "/v1/poll" in request.url:
            sessions.add(request.headers["chat-session"])

    b.context.on("request", asked)
    b.context.add_init_script(BLOCKED)
    b.reload()
    b.wait_for_selector(ONLINE)
    second = another_tab(b)
    open_chat(b, ann)
    open_chat(second, ann)
    say(a, "by HTTP")
    for tab in (b, second):
        expect(bubble(tab, "by HTTP")).to_have_count(1)
    say(second, "and back")
    expect(bubble(a, "and back")).to_have_count(1)
    assert len(sessions) == 1
