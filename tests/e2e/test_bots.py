"""Bots in a browser: made in the settings, and seen by everybody for what they are."""

import json
import os
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.pages import api, bubble, me, name, no_overflow, start_chat

if TYPE_CHECKING:
    from tests.e2e.conftest import Server

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

Person = Callable[..., Any]
ONLINE = "#app[data-connection=online]"


def shot(page: Any, name: str) -> None:
    if folder := os.environ.get("CHAT_TEST_SHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def test_a_bot_is_made_in_the_settings_and_seen_for_what_it_is(server: "Server", person: Person) -> None:
    page, robot = person(name("ann")), name("robo")
    user = me(page)
    page.goto(f"{server.url}/settings/")
    page.get_by_role("link", name="Bots and integrations").click()
    expect(page.get_by_text("You have no bots.")).to_be_visible()
    page.get_by_label("User name").fill(robot)
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("heading", name=robot)).to_contain_text("Bot")
    bot = page.url.rpartition("/")[2]
    # A token is shown once.
    tokens = page.get_by_role("region", name="Tokens")
    tokens.get_by_label("Name").fill("server")
    tokens.get_by_role("button", name="Make a token").click()
    token = page.locator(".secret").inner_text()
    page.goto(page.url.removesuffix("/tokens"))
    expect(page.locator(".secret")).to_have_count(0)
    expect(tokens.get_by_text("server", exact=True)).to_be_visible()
    # It is in no conversation, so there is nowhere for a webhook to write.
    expect(page.get_by_text("Add the bot to a conversation first.")).to_be_visible()

    page.goto(server.url)
    page.wait_for_selector(ONLINE)
    group = api(page, "POST", "conversations", {"type": "group", "name": "Builds", "members": [bot]})["id"]
    page.goto(f"{server.url}/settings/bots/{bot}")
    hooks = page.get_by_role("region", name="Incoming webhooks")
    hooks.get_by_label("Name").fill("ci")
    hooks.get_by_label("Conversation").select_option(label="Builds")
    hooks.get_by_role("button", name="Make a webhook").click()
    address = page.locator(".secret").inner_text()
    assert no_overflow(page)
    shot(page, "bot-light")
    said = json.dumps({"text": "build 5 is green"}).encode()
    request = urllib.request.Request(address, said, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 200

    page.goto(f"{server.url}/#{group}")
    page.wait_for_selector(ONLINE)
    expect(bubble(page, "build 5 is green").locator(".author .bot")).to_have_text("Bot")
    shot(page, "group-light")
    page.get_by_role("button", name="Group info", exact=True).click()
    expect(page.locator("conversation-info .person", has_text=f"@{robot}").locator(".bot")).to_have_text("Bot")
    shot(page, "info-light")
    page.get_by_role("button", name="Close").click()
    expect(page.locator("conversation-info dialog")).to_be_hidden()
    start_chat(page, robot)
    expect(page.locator("#thread-name .bot")).to_have_text("Bot")
    assert token not in page.content()
    assert user != bot


def test_the_page_of_a_bot_fits_a_phone_and_the_night(server: "Server", person: Person) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "color_scheme": "dark"}
    page = person(name("ann"), **phone)
    bot = api(page, "POST", "bots", {"username": name("robo"), "display_name": "A bot with a name that is rather long"})
    page.goto(f"{server.url}/settings/bots/{bot['id']}")
    ends = page.get_by_role("region", name="Where events go")
    ends.get_by_label("Address").fill("https://events.example.org/" + "x" * 120)
    ends.get_by_role("button", name="Add an address").click()
    expect(page.locator(".secret")).to_contain_text("whsec_")
    assert no_overflow(page)
    shot(page, "bot-phone-dark")
    ends.get_by_role("button", name="Send a test").tap()
    expect(page.get_by_text("A test is on its way.")).to_be_visible()
    expect(ends.get_by_text("ping", exact=True)).to_be_visible()
    ends.get_by_role("button", name="Remove").tap()
    expect(page.get_by_text("It is gone.")).to_be_visible()
