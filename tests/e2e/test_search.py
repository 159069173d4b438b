"""Messages are found by their words, and gone to, wherever in a conversation they are."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.pages import api, bubble, conversation, fill, me, name, no_overflow, say, start_chat
from tests.e2e.test_look import PHONE, nameless
from tests.e2e.test_media import worker  # noqa: F401  # fixture
from tests.process.stacks import wait_for

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

Person = Callable[..., Any]

_KEYS = "() => [...document.querySelectorAll('message-list .message')].map((row) => row.dataset.message)"


def indexed(page: Any, q: str, count: int = 1) -> None:
    """Return once the index has what was said."""
    wait_for(lambda: len(api(page, "GET", f"search?q={q}&limit=200")["results"]) == count, timeout_s=30)


def search(page: Any, text: str) -> None:
    page.get_by_role("searchbox", name="Search messages", exact=True).fill(text)


def hits(page: Any) -> Any:
    return page.locator("search-dialog .hit")


@pytest.fixture
def found(person: Person, account: Callable[[str], Any], request: pytest.FixtureRequest) -> Any:
    """Ann's page, Ben, and their conversation, in which something is said far back; a group says something, too."""
    request.getfixturevalue("worker")
    a, ben = person(name("ann")), account(name("ben"))
    conv = start_chat(a, ben.username)
    ben.say(conv, "The walrus sings at midnight, says <b>Zoë</b>")
    fill(a, conv, [f"filler {number}" for number in range(260)])
    group = ben.begin(me(a), title="Sea animals")
    ben.say(group, "A walrus in the group, see https://example.org/walrus")
    indexed(a, "walrus", 2)
    # As somebody who comes back to the open conversation, with its newest messages loaded and no others.
    a.reload()
    a.wait_for_selector("#app[data-connection=online]")
    return a, ben, conv


def test_a_message_far_back_is_found_and_gone_to(found: Any) -> None:
    a, ben, conv = found
    expect(bubble(a, "filler 259")).to_be_in_viewport()
    a.locator(".scroller").focus()
    a.keyboard.press("/")
    search(a, "WALR mid")
    # In the open conversation first.
    expect(hits(a)).to_have_count(1)
    expect(hits(a)).to_contain_text("The walrus sings at midnight, says <b>Zoë</b>")
    expect(hits(a).locator("mark")).to_have_text(["walrus", "midnight"])
    expect(a.get_by_role("status").filter(has_text="1 message")).to_be_visible()
    a.keyboard.press("ArrowDown")
    expect(hits(a)).to_be_focused()
    a.keyboard.press("Enter")
    expect(a.locator("search-dialog dialog")).to_be_hidden()
    walrus = a.locator("message-list .message", has_text="The walrus")
    expect(walrus).to_be_in_viewport()
    expect(walrus).to_be_focused()
    expect(bubble(a, "filler 10")).to_have_count(1)
    expect(bubble(a, "filler 200")).to_have_count(0)

    # What changes meanwhile changes here; what is said is said at the other end, and counts as unread.
    ben.say(conv, "news")
    expect(bubble(a, "news")).to_have_count(0)
    api(a, "PUT", f"messages/{walrus_id(a)}/reactions/🌊")
    expect(walrus.locator(".reaction")).to_be_visible()
    expect(walrus).to_be_in_viewport()

    # The two windows meet as one scrolls, and nothing is missing between them.
    read: set[str] = set()
    while "news" not in read:
        last = shown_keys(a)[-1]
        a.evaluate("[...document.querySelectorAll('message-list .message')].at(-1).scrollIntoView()")
        a.wait_for_function(f"(last) => ({_KEYS})().at(-1) !== last", arg=last)
        read.update(a.locator("message-list .message .body").all_inner_texts())
    assert {f"filler {number}" for number in range(11, 260)} <= read


def shown_keys(page: Any) -> list[str]:
    keys: list[str] = page.evaluate(_KEYS)
    return keys


def walrus_id(page: Any) -> str:
    return str(api(page, "GET", "search?q=walrus midnight")["results"][0]["server_id"])


def test_one_goes_back_to_the_newest(found: Any) -> None:
    a, _, conv = found
    a.get_by_role("button", name="Search messages").click()
    search(a, "midnight")
    hits(a).click()
    assert conversation(a) == conv
    expect(a.locator("message-list .message", has_text="The walrus")).to_be_in_viewport()
    a.get_by_role("button", name="Jump to newest").click()
    expect(bubble(a, "filler 259")).to_be_in_viewport()
    expect(bubble(a, "filler 10")).to_have_count(0)
    # Who writes is at the newest as well.
    a.get_by_role("button", name="Search in this conversation").click()
    search(a, "midnight")
    hits(a).click()
    expect(bubble(a, "filler 10")).to_have_count(1)
    say(a, "back again")
    expect(bubble(a, "back again")).to_be_in_viewport()
    expect(bubble(a, "filler 10")).to_have_count(0)


def test_filters_states_and_pages(found: Any, expected: list[str]) -> None:
    expected += ["503", "400"]
    a, ben, _ = found
    a.get_by_role("button", name="Search messages").click()
    box = a.get_by_role("searchbox", name="Search messages", exact=True)
    expect(box).to_be_focused()
    expect(a.locator("#search-hint")).to_contain_text("Type a word")
    search(a, "walrus")
    expect(hits(a)).to_have_count(2)
    expect(hits(a).first).to_contain_text("Sea animals")
    expect(hits(a).first).to_contain_text(ben.username)
    assert nameless(a) == []
    a.get_by_role("combobox", name="With").select_option("Links")
    expect(hits(a)).to_have_count(1)
    a.get_by_role("combobox", name="With").select_option("Anything")
    a.get_by_label("Before day").fill("2020-01-01")
    expect(a.locator("#search-hint")).to_contain_text("Nothing found")
    a.get_by_label("Before day").fill("")
    search(a, "walrus from:me")
    expect(a.locator("#search-hint")).to_contain_text("Nothing found")
    search(a, "walrus has:gold")
    expect(a.locator("search-dialog [role=alert]")).to_contain_text("Has takes one of link, file, image.")
    expect(a.get_by_role("button", name="Try again")).to_be_hidden()
    # The server is away for a moment.
    problem = '{"detail": "try again in a moment", "code": "unavailable"}'
    a.route("**/v1/search?*", lambda route: route.fulfill(status=503, body=problem, content_type="application/json"))
    search(a, "walrus in:sea")
    expect(a.locator("search-dialog [role=alert]")).to_contain_text("Try again in a moment.")
    a.unroute("**/v1/search?*")
    a.get_by_role("button", name="Try again").click()
    expect(hits(a)).to_have_count(1)
    # More than a page.
    indexed(a, "filler", 200)
    search(a, "filler")
    expect(hits(a)).to_have_count(20)
    a.get_by_role("button", name="Show older ones").click()
    expect(hits(a)).to_have_count(40)
    expect(hits(a).nth(20)).to_be_focused()
    a.keyboard.press("Escape")
    expect(a.get_by_role("button", name="Search messages")).to_be_focused()


def test_what_is_deleted_is_found_no_more_and_gone_to_no_more(found: Any) -> None:
    a, ben, _ = found
    a.get_by_role("button", name="Search messages").click()
    search(a, "midnight")
    expect(hits(a)).to_have_count(1)
    ben.call("DELETE", f"messages/{walrus_id(a)}")
    wait_for(lambda: not api(a, "GET", "search?q=midnight")["results"], timeout_s=30)
    hits(a).click()
    expect(a.locator("message-list .message", has_text="This message was deleted")).to_be_in_viewport()


def test_the_phone_searches_on_the_whole_screen(found: Any, person: Person, account: Callable[[str], Any]) -> None:
    p, ben = person(name("pia"), **PHONE), account(name("bea"))
    conv = ben.begin(me(p))
    ben.say(conv, "我们周末去湖边露营")
    fill(p, conv, [f"filler {number}" for number in range(120)])
    indexed(p, "露营")
    p.get_by_role("button", name="Search messages").tap()
    search(p, "湖边")
    expect(hits(p).locator("mark")).to_have_text("湖边")
    box = p.locator("search-dialog dialog").bounding_box()
    assert (box["width"], box["height"]) == (390, 844)
    assert no_overflow(p)
    hits(p).tap()
    expect(bubble(p, "我们周末去湖边露营")).to_be_in_viewport()
    expect(p.locator(".sidebar")).to_be_hidden()
