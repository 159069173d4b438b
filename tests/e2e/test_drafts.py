"""What is begun on one device is there on the other, and nobody's typing is taken away."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.pages import bubble, me, name, open_chat
from tests.e2e.test_shelf import signed_in_again

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

Person = Callable[..., Any]


def field(page: Any) -> Any:
    return page.get_by_label("Message", exact=True)


def test_a_draft_follows_its_author(person: Person, account: Callable[[str], Any], visit: Callable[..., Any]) -> None:
    username = name("ann")
    a, ben = person(username), account(name("ben"))
    ben.begin(me(a))
    b = signed_in_again(a, visit, username)
    open_chat(a, ben.username)
    field(a).fill("Dear Ben")
    expect(b.locator(".conversation")).to_contain_text("Draft: Dear Ben")
    open_chat(b, ben.username)
    expect(field(b)).to_have_value("Dear Ben")
    field(b).fill("Dear Ben, see you")
    expect(field(a)).to_have_value("Dear Ben, see you")
    # Sent from one, it is begun on none.
    field(b).press("Enter")
    expect(bubble(a, "Dear Ben, see you")).to_be_visible()
    expect(field(a)).to_have_value("")


def test_what_was_written_without_a_connection_is_kept_and_goes_out(
    person: Person, account: Callable[[str], Any], visit: Callable[..., Any], expected: list[str]
) -> None:
    expected += ["ERR_INTERNET_DISCONNECTED", "ERR_FAILED"]
    username = name("ann")
    a, ben = person(username), account(name("ben"))
    ben.begin(me(a))
    b = signed_in_again(a, visit, username)
    for page in (a, b):
        open_chat(page, ben.username)
    field(a).fill("From both")
    expect(field(b)).to_have_value("From both")
    a.context.set_offline(True)
    with a.expect_event("requestfailed"):
        field(a).fill("From both, changed on the train")
    a.context.set_offline(False)
    expect(field(b)).to_have_value("From both, changed on the train")
    expect(field(a)).to_have_value("From both, changed on the train")
    # What was taken back elsewhere while one was away is not there any more.
    url = a.url
    a.goto("about:blank")
    field(b).fill("")
    expect(b.locator(".conversation")).not_to_contain_text("Draft")
    b.wait_for_function("async () => (await (await fetch('/v1/drafts')).json()).results.length === 0")
    a.goto(url)
    expect(field(a)).to_have_value("")
