"""Links into groups: made, opened, used, revoked; people who have to be let in; a group that is handed over."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import PASSWORD
from tests.e2e.pages import api, ask, bubble, me, name, no_overflow, open_chat, say
from tests.e2e.test_look import PHONE, nameless

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

Person = Callable[..., Any]


def owner_of(person: Person, account: Callable[[str], Any], title: str) -> tuple[Any, Any]:
    """Return the page of a group's owner, who has it open, and another member."""
    a, ben = person(name("ann")), account(name("ben"))
    group = api(a, "POST", "conversations", {"type": "group", "members": [ben.id], "name": title})["id"]
    a.evaluate(f"location.hash = '{group}'")
    a.locator("#thread-name", has_text=title).wait_for()
    return a, ben


def link(page: Any, *, approval: bool = False) -> str:
    """Make a link in the group's settings, and return it."""
    page.get_by_role("button", name="Group info").click()
    page.get_by_role("button", name="Invite by link").click()
    if approval:
        page.get_by_label("An admin lets people in").check()
    page.get_by_role("button", name="Create link").click()
    made = page.get_by_label("Link", exact=True)
    expect(made).to_have_count(1)
    return str(made.input_value())


def test_a_link_leads_in_until_it_is_revoked(
    person: Person, account: Callable[[str], Any], expected: list[str]
) -> None:
    expected.append("404")
    a, _ = owner_of(person, account, "Hikers")
    address = link(a)
    assert nameless(a) == []
    assert no_overflow(a)

    c = person(name("cleo"))
    c.goto(address)
    expect(c.get_by_role("alertdialog")).to_contain_text("Join “Hikers”?")
    expect(c.get_by_role("alertdialog")).to_contain_text("2 members")
    ask(c, "Join")
    expect(c.locator("#thread-name")).to_have_text("Hikers")
    expect(c.locator(".event", has_text="You joined")).to_be_visible()
    say(c, "Hello, hikers")
    # Opened once more it leads straight there.
    c.goto(address)
    expect(c.locator("#thread-name")).to_have_text("Hikers")
    expect(bubble(c, "Hello, hikers")).to_be_visible()

    a.get_by_role("button", name="Revoke").click()
    expect(a.get_by_label("Link", exact=True)).to_have_count(0)
    d = person(name("dora"))
    d.goto(address)
    expect(d.locator(".toast")).to_have_text("This invitation is over.")
    expect(d.locator(".conversation")).to_have_count(0)


def test_who_is_not_signed_in_comes_in_after_signing_in(
    person: Person, account: Callable[[str], Any], visit: Callable[..., Any]
) -> None:
    a, _ = owner_of(person, account, "Hikers")
    address, eve = link(a), account(name("eve"))
    e = visit()
    e.goto(address)
    e.get_by_label("User name or e-mail").fill(eve.username)
    e.get_by_label("Password", exact=True).fill(PASSWORD)
    e.keyboard.press("Enter")
    ask(e, "Join")
    expect(e.locator("#thread-name")).to_have_text("Hikers")


def test_an_admin_lets_people_in(person: Person, account: Callable[[str], Any]) -> None:
    a, _ = owner_of(person, account, "Hikers")
    address = link(a, approval=True)
    for _ in range(2):
        a.keyboard.press("Escape")
    c = person(name("cleo"))
    cleo = c.locator("#app").get_attribute("data-display-name")
    c.goto(address)
    ask(c, "Ask to join")
    expect(c.locator(".toast")).to_contain_text("Asked.")
    c.goto(address)
    expect(c.locator(".toast", has_text="You have asked to join.")).to_be_visible()

    # The admin's page says so by itself.
    info = a.get_by_role("button", name="Group info, 1 waiting to join")
    expect(info).to_be_visible()
    info.click()
    expect(a.get_by_label("Want to join")).to_contain_text(cleo)
    assert nameless(a) == []
    a.get_by_role("button", name=f"Let in: {cleo}").click()
    expect(a.get_by_label("Want to join")).to_have_count(0)
    expect(a.locator("conversation-info .person", has_text=cleo)).to_be_visible()
    open_chat(c, "Hikers")
    expect(c.locator(".event", has_text="added you")).to_be_visible()


def test_a_group_is_handed_over(person: Person, account: Callable[[str], Any]) -> None:
    a, ben = owner_of(person, account, "Hikers")
    a.get_by_role("button", name="Group info").click()
    a.get_by_role("button", name=f"Make admin: {ben.username}").click()
    a.get_by_role("button", name=f"Make owner: {ben.username}").click()
    ask(a, "Make owner")
    expect(a.locator("conversation-info .person", has_text=ben.username)).to_contain_text("Owner")
    expect(a.locator("conversation-info .person", has_text="(you)")).to_contain_text("Admin")
    expect(a.get_by_role("button", name="Make admin")).to_have_count(0)


def test_on_a_phone(person: Person, account: Callable[[str], Any]) -> None:
    p, ben = person(name("pat"), **PHONE), account(name("ben"))
    group = ben.begin(me(p), title="Hikers")
    ben.call("PATCH", f"conversations/{group}/members/{me(p)}", {"role": "admin"})
    open_chat(p, "Hikers")
    link(p)
    assert no_overflow(p)
