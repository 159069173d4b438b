"""What is behind a link is a card in its message, of one height, with a way to be rid of it."""

from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.e2e.conftest import Server
from tests.e2e.pages import bubble, conversation, me, name, no_overflow, open_chat

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

Person = Callable[..., Any]

TITLE: Final = "<img src=x onerror=alert(1)> The lake"
#: What a job would have found there, with a picture that was drawn anew.
_FOUND: Final = """
from io import BytesIO
from PIL import Image
from messaging.domain import ids
from messaging.previews import services
from messaging.previews.fetching import Found, Thumbnail

written = BytesIO()
Image.new("RGB", (640, 400), "teal").save(written, "WEBP")
found = Found({title!r}, "How deep it is, and where to swim", Thumbnail(written.getvalue(), 640, 400))
services._note(ids.parse_server_id({message!r}), services._kept({url!r}, found))
"""


def found(server: Server, message: str, url: str, title: str = TITLE) -> None:
    server.manage("shell", "--no-imports", "--command", _FOUND.format(message=message, url=url, title=title))


def card(page: Any) -> Any:
    return page.locator(".preview-card")


def test_a_card_that_is_text_and_goes_with_its_author(
    server: Server, person: Person, account: Callable[[str], Any]
) -> None:
    a, ben = person(name("ann")), account(name("ben"))
    conv = ben.begin(me(a))
    text = "Look at https://lake.example/swim"
    said = ben.say(conv, text)
    open_chat(a, ben.username)
    expect(bubble(a, "https://lake.example/swim")).to_be_visible()
    found(server, said, "https://lake.example/swim")
    # It has just come, so the page asks again by itself.
    expect(card(a)).to_be_visible()
    expect(card(a).locator("strong")).to_have_text(TITLE)
    expect(card(a)).to_contain_text("lake.example")
    assert card(a).get_attribute("href") == "https://lake.example/swim"
    assert card(a).get_attribute("rel") == "noopener noreferrer"
    a.wait_for_function("() => document.querySelector('.preview-card img').naturalWidth > 0")
    # Its height is what it is without the picture as well.
    high = card(a).bounding_box()["height"]
    card(a).locator("img").evaluate("(node) => node.remove()")
    assert card(a).bounding_box()["height"] == high
    assert no_overflow(a)
    ben.call("DELETE", f"messages/{said}/preview")
    expect(card(a)).to_have_count(0)


def test_its_author_takes_it_away_and_who_wants_none_sees_none(
    server: Server, person: Person, account: Callable[[str], Any]
) -> None:
    a, ben = person(name("ann")), account(name("ben"))
    ben.begin(me(a))
    open_chat(a, ben.username)
    url = "https://lake.example/author"
    a.get_by_label("Message", exact=True).fill(url)
    a.keyboard.press("Enter")
    expect(bubble(a, url).locator(".ticks[data-status=sending]")).to_have_count(0)
    [said] = [
        one["server_id"]
        for one in ben.call("GET", f"conversations/{conversation(a)}/messages")["results"]
        if one["body"] == url
    ]
    found(server, said, url, "Of the author")
    expect(card(a)).to_be_visible()
    bubble(a, url).locator("time").click(button="right")
    a.get_by_role("menuitem", name="Remove preview").click()
    expect(card(a)).to_have_count(0)
    bubble(a, url).locator("time").click(button="right")
    expect(a.get_by_role("menuitem", name="Delete")).to_be_visible()
    expect(a.get_by_role("menuitem", name="Remove preview")).to_have_count(0)
    a.keyboard.press("Escape")
    # Of others' as well, once one wants none at all.
    other = ben.say(conversation(a), f"{url}/2")
    found(server, other, f"{url}/2", "Of Ben")
    expect(card(a)).to_be_visible()
    a.goto(f"{server.url}/settings/")
    a.get_by_label("Show what is behind links").uncheck()
    a.get_by_role("button", name="Save", exact=True).first.click()
    a.goto(f"{server.url}/")
    a.wait_for_selector("#app[data-connection=online]")
    assert a.locator("#app").get_attribute("data-previews") is None
    open_chat(a, ben.username)
    expect(bubble(a, f"{url}/2")).to_be_visible()
    expect(card(a)).to_have_count(0)
