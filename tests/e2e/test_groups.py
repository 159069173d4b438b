"""Groups: made, renamed, managed, left, and what it looks like to be removed from one."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.pages import ask, bubble, me, name, open_chat, say, ticks

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

Person = Callable[..., Any]


@pytest.mark.full_stack
def test_a_group_is_made_renamed_and_left(person: Person, account: Callable[[str], Any]) -> None:
    ann, ben, cleo = name("ann"), name("ben"), account(name("cleo"))
    a, b = person(ann), person(ben)
    a.get_by_role("button", name="New group", exact=True).click()
    a.get_by_label("Group name", exact=True).fill("Hikers")
    people = a.get_by_label("People", exact=True)
    people.fill(ben)
    a.locator("people-dialog .people .person", has_text=f"@{ben}").click()
    # By keyboard as well: down to the person, Enter.
    people.fill(cleo.username)
    expect(a.locator("people-dialog .people .person", has_text=f"@{cleo.username}")).to_be_visible()
    a.keyboard.press("ArrowDown")
    a.keyboard.press("Enter")
    expect(a.locator(".chip")).to_have_count(2)
    a.get_by_role("button", name="Create group").click()
    expect(a.locator("#thread-name")).to_have_text("Hikers")
    expect(a.get_by_label("Message", exact=True)).to_be_focused()
    say(a, "Sunday at nine?")
    open_chat(b, "Hikers")
    expect(bubble(b, "Sunday at nine?")).to_have_count(1)
    expect(ticks(a)).to_have_attribute("data-status", "sent")

    info = a.get_by_role("button", name="Group info")
    info.click()
    a.locator("conversation-info [data-key=name]").fill("Ramblers")
    a.get_by_role("button", name="Rename").click()
    expect(b.locator("#thread-name")).to_have_text("Ramblers")
    expect(b.locator(".event", has_text="renamed the group to “Ramblers”")).to_be_visible()
    a.get_by_role("button", name=f"Make admin: {ben}").click()
    expect(a.locator("conversation-info .person", has_text=ben)).to_contain_text("Admin")
    a.get_by_role("button", name="Mute").click()
    expect(a.get_by_role("button", name="Unmute")).to_be_focused()
    expect(a.locator(".conversation")).to_contain_text("(muted)")
    a.keyboard.press("Escape")
    expect(info).to_be_focused()

    b.get_by_role("button", name="Group info").click()
    b.get_by_role("button", name="Leave group").click()
    ask(b, "Cancel")
    expect(b.locator(".conversation")).to_have_count(1)
    b.get_by_role("button", name="Leave group").click()
    ask(b, "Leave")
    expect(b.locator(".toast")).to_have_text("You left “Ramblers”.")
    expect(b.locator(".conversation")).to_have_count(0)
    expect(b.locator("#welcome")).to_be_visible()
    expect(a.locator(".event", has_text=f"{ben} left")).to_be_visible()
    expect(a.locator("#thread-sub")).to_contain_text("2 members")


def test_who_is_removed_is_told_and_can_read_on_until_leaving(
    person: Person, account: Callable[[str], Any], expected: list[str]
) -> None:
    expected.append("404")
    ann, b = account(name("ann")), person(name("ben"))
    ben = me(b)
    groups = [ann.begin(ben, title=title) for title in ("Open", "Listed", "Away")]
    for conv in groups:
        ann.say(conv, "Welcome")
    open_chat(b, "Open")
    say(b, "Hello")
    expect(ticks(b)).to_have_attribute("data-status", "sent")

    # The one that is open stays until it is left, and says why one cannot write.
    ann.call("DELETE", f"conversations/{groups[0]}/members/{ben}")
    expect(b.locator("#notice-text")).to_have_text(f"{ann.username} removed you from this group.")
    expect(b.get_by_label("Message", exact=True)).to_be_hidden()
    expect(bubble(b, "Hello")).to_be_visible()
    expect(b.locator(".event", has_text="removed you")).to_be_visible()
    expect(b.locator(".conversation", has_text="Open")).to_have_count(0)
    b.keyboard.press("Escape")
    expect(b.locator("#welcome")).to_be_visible()

    # Of another the page tells in passing.
    ann.call("DELETE", f"conversations/{groups[1]}/members/{ben}")
    expect(b.locator(".toast")).to_have_text(f"{ann.username} removed you from “Listed”.")
    expect(b.locator(".conversation")).to_have_count(1)

    # What happened while nobody listened is found out on coming back.
    url = b.url
    b.goto("about:blank")
    ann.call("DELETE", f"conversations/{groups[2]}/members/{ben}")
    b.goto(url)
    expect(b.locator(".list-empty")).to_contain_text("No conversations yet")


def test_the_people_of_a_large_group_come_in_pages(person: Person, account: Callable[[str], Any]) -> None:
    a = person(name("ann"))
    others = [account(name("p")) for _ in range(2)]
    others[0].begin(me(a), others[1].id, title="Everybody")
    # As the server answers for a large one: no members, but their number; and pages of two.
    a.route(re.compile(r"/v1/conversations(\?|/c_[^/]+$)"), hide_members)
    a.route("**/members?*", lambda route: route.continue_(url=route.request.url.replace("limit=100", "limit=2")))
    a.reload()
    open_chat(a, "Everybody")
    a.get_by_role("button", name="Group info").click()
    expect(a.locator("conversation-info .person")).to_have_count(2)
    a.get_by_role("button", name="Show more of 3 members").click()
    expect(a.locator("conversation-info .person")).to_have_count(3)
    expect(a.locator("conversation-info .person").first).to_contain_text("Owner")


def hide_members(route: Any) -> None:
    answer = route.fetch()
    found = answer.json()
    for one in found.get("results", [found]):
        one["members"] = None
    route.fulfill(response=answer, json=found)
