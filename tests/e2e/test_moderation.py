"""From a report to a tombstone, from an appeal to the text again; and the end of an account's stay."""

import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.pages import api, bubble, conversation, me, name, open_chat, say, start_chat
from tests.e2e.test_changes import menu

if TYPE_CHECKING:
    from tests.e2e.conftest import Server

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

Person = Callable[..., Any]
GONE = "Withheld by moderators"


def on_the_staff(server: "Server", username: str) -> None:
    """Make somebody a moderator, with all rights."""
    code = (
        "from accounts.models import User;"
        f"User.objects.filter(username={username!r}).update(is_staff=True, is_superuser=True)"
    )
    subprocess.run(
        [sys.executable, "manage.py", "shell", "-v0", "-c", code], env=server.environment, check=True, timeout=60
    )


def decide(page: Any, server: "Server", row: str, outcome: str, told: str = "") -> None:
    """Take the newest open case of a kind, and decide it."""
    page.goto(f"{server.url}/admin/moderation/case/?state__exact=open")
    page.get_by_role("row", name=row).last.get_by_role("link").first.click()
    page.get_by_label("Why you need to see it").fill("To judge it")
    page.get_by_role("button", name="Take this case").click()
    page.get_by_label(outcome).check()
    page.get_by_label("Reason, for the audit log").fill("Rule 3")
    if told:
        page.get_by_label("What the person is told").fill(told)
    page.get_by_role("button", name="Decide").click()
    expect(page.get_by_text("is decided")).to_be_visible()


def test_a_report_a_takedown_an_appeal_and_a_restore(server: "Server", person: Person) -> None:
    ann, ben, meg = name("ann"), name("ben"), name("meg")
    a, b, m = person(ann), person(ben), person(meg)
    on_the_staff(server, meg)
    start_chat(a, ben)
    say(a, "Hello")
    open_chat(b, ann)
    say(b, "You are a potato")
    expect(bubble(a, "You are a potato")).to_be_visible()

    menu(a, "You are a potato", "Report")
    a.get_by_label("Harassment or bullying").check()
    a.get_by_label("What should the moderators know?").fill("He means it")
    a.get_by_label(f"Also block {ben}").check()
    a.get_by_role("button", name="Send report").click()
    expect(a.get_by_text("Reported, and blocked.")).to_be_visible()
    expect(a.locator("#notice-text")).to_have_text(f"You blocked {ben}.")

    # Ann is away while it is withheld, and finds it so when she comes back.
    address = a.url
    a.goto("about:blank")
    decide(m, server, "a message", "Withhold the message from everybody", "Insults are against rule 3.")
    mine = b.locator(".message.out.gone")
    expect(mine).to_contain_text(GONE)
    a.goto(address)
    expect(bubble(a, GONE)).to_be_visible()
    assert "potato" not in a.content()
    assert a.get_by_role("button", name="Appeal").count() == 0

    mine.get_by_role("button", name="Appeal").click()
    b.get_by_label("Why should it come back?").fill("It was a joke")
    b.get_by_role("button", name="Send appeal").click()
    expect(b.get_by_text("Sent. The moderators will look at it again.")).to_be_visible()
    decide(m, server, "an appeal", "Give the message back to everybody")
    for page in (a, b):
        expect(bubble(page, "You are a potato")).to_be_visible()
        expect(page.get_by_text(GONE)).to_have_count(0)
    b.reload()
    expect(bubble(b, "You are a potato")).to_be_visible()
    assert api(b, "GET", "me/notices")["results"][0]["appeal"] == "restored"


def test_who_is_suspended_sees_why_at_once(server: "Server", person: Person, expected: list[str]) -> None:
    # The page that says so is a 403.
    expected.append("403")
    ann, ben, meg = name("ann"), name("ben"), name("meg")
    a, b, m = person(ann), person(ben), person(meg)
    on_the_staff(server, meg)
    start_chat(a, ben)
    assert conversation(a)
    api(a, "POST", "reports", {"user": me(b), "category": "spam"})
    decide(m, server, f"a person @{ben}", "Suspend the person", "Advertising, again and again.")
    expect(b.get_by_role("heading", name="This account is suspended")).to_be_visible()
    expect(b.get_by_text("Advertising, again and again.")).to_be_visible()
    expect(a.locator("#app")).to_have_attribute("data-connection", "online")
