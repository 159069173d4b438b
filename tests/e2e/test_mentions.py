"""Mentions as people write and see them: suggested while one types, marked where they are read."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e import pages
from tests.e2e.conftest import Account, Server

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect


def chosen(page: Any) -> str:
    """Return the suggestion that a screen reader would name: the one that the field points at."""
    field = page.get_by_label("Message", exact=True)
    return str(page.locator(f"#{field.get_attribute('aria-activedescendant')} .handle").inner_text())


def test_a_mention_is_suggested_sent_and_marked(person: Callable[..., Any], account: Callable[[str], Account]) -> None:
    ann_name, bob_name, cat_name = pages.name("ann"), pages.name("bob"), pages.name("cat")
    ann, bob, cat = person(ann_name), person(bob_name), account(cat_name)
    conv = cat.begin(pages.me(ann), pages.me(bob), title="Tea")
    pages.open_chat(ann, "Tea")
    field = ann.get_by_label("Message", exact=True)
    field.click()
    ann.keyboard.type("<i>Tea</i> @")
    options = ann.get_by_role("option")
    options.first.wait_for()
    assert options.all_inner_texts()[-1].endswith("@all")
    assert chosen(ann) == f"@{bob_name}"
    ann.keyboard.press("ArrowDown")
    assert chosen(ann) == f"@{cat_name}"
    ann.keyboard.press("ArrowUp")
    ann.keyboard.press("ArrowUp")
    assert chosen(ann) == "@all"
    ann.keyboard.press("Escape")
    options.first.wait_for(state="detached")
    ann.keyboard.type(bob_name[:5])
    assert options.count() == 0, "closed for this word"
    assert pages.conversation(ann) == conv, "Escape closed the list, and not the conversation"
    ann.keyboard.type(" @" + bob_name[:5])
    options.first.wait_for()
    ann.keyboard.press("Tab")
    assert field.input_value() == f"<i>Tea</i> @{bob_name[:5]} @{bob_name} "
    ann.keyboard.type("?")
    ann.keyboard.press("Enter")
    # Bob, who looks elsewhere, sees in the list that it is about him; then in the message.
    bob.locator(".conversation", has_text="Tea").locator(".badge.at").wait_for()
    pages.open_chat(bob, "Tea")
    marked = bob.locator(".message.to-me .mention.mine")
    assert marked.all_inner_texts() == [f"@{bob_name}"]
    assert bob.locator(".message .text .body i").count() == 0
    assert bob.locator(".message .text .body").inner_text().startswith(f"<i>Tea</i> @{bob_name[:5]} @")
    bob.locator(".badge.at").wait_for(state="detached")
    assert ann.locator(".message.out .mention").all_inner_texts() == [f"@{bob_name}"]
    [said] = [it for it in pages.api(ann, "GET", f"conversations/{conv}/messages")["results"] if it["kind"] == "text"]
    assert said["mentions"] == [pages.me(bob)]
    # An edit has mentions of its own.
    field.click()
    ann.keyboard.press("ArrowUp")
    field.fill("@all, @nobody")
    ann.keyboard.press("Enter")
    bob.locator(".mention.mine", has_text="@all").wait_for()
    assert bob.locator(".mention").all_inner_texts() == ["@all"]


def test_in_a_large_group_whoever_is_a_member_is_suggested(server: Server, person: Callable[..., Any]) -> None:
    ann, silent = person(pages.name("ann")), pages.name("zoe")
    crowd = server.people(silent, *(pages.name("crowd") for _ in range(100)))
    made = pages.api(ann, "POST", "conversations", {"type": "group", "name": "Town", "members": crowd})
    pages.open_chat(ann, "Town")
    ann.get_by_label("Message", exact=True).click()
    ann.keyboard.type(f"@{silent[:6]}")
    ann.get_by_role("option").first.wait_for()
    assert chosen(ann) == f"@{silent}"
    ann.keyboard.press("Enter")
    ann.keyboard.type("hello")
    ann.keyboard.press("Enter")
    expect(ann.locator(".message.out .mention")).to_have_text([f"@{silent}"])
    expect(pages.ticks(ann)).to_have_attribute("data-status", "sent")
    [said] = [
        it for it in pages.api(ann, "GET", f"conversations/{made['id']}/messages")["results"] if it["kind"] == "text"
    ]
    assert said["mentions"] == [crowd[0]]
