"""Who somebody is: the profile, what one says of oneself, and to whom one shows when one is here."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.axe import violations
from tests.e2e.pages import api, ask, bubble, me, name, no_overflow, open_chat, start_chat
from tests.e2e.test_look import PHONE

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

Person = Callable[..., Any]


def profile(page: Any) -> Any:
    return page.locator("profile-dialog dialog[open]")


def test_a_profile_opens_by_a_name_in_a_group_and_leads_on(person: Person, account: Callable[[str], Any]) -> None:
    a, ben = person(name("ann")), account(name("ben"))
    ben.call("PATCH", "me", {"about": "Mostly outdoors", "display_name": "Ben Okafor"})
    group = ben.begin(me(a), title="Hikers")
    ben.begin(me(a), title="Cooks")
    ben.say(group, "Sunday at nine?")
    open_chat(a, "Hikers")
    a.locator(".author", has_text="Ben Okafor").click()
    expect(profile(a)).to_contain_text("Mostly outdoors")
    expect(profile(a)).to_contain_text("2 groups in common")
    assert violations(a) == []
    profile(a).get_by_role("button", name="Cooks").click()
    expect(a.locator("#thread-name")).to_have_text("Cooks")

    # By the keyboard from the message, and by its name among the members.
    open_chat(a, "Hikers")
    a.keyboard.press("Shift+F6")
    expect(bubble(a, "Sunday at nine?")).to_be_focused()
    a.keyboard.press("m")
    a.get_by_role("menuitem", name="Who wrote it").click()
    expect(profile(a)).to_be_visible()
    a.keyboard.press("Escape")
    expect(bubble(a, "Sunday at nine?")).to_be_focused()
    a.get_by_role("button", name="Group info").click()
    a.locator("conversation-info .person-who", has_text="Ben Okafor").click()
    expect(profile(a)).to_contain_text("Mostly outdoors")
    profile(a).get_by_role("button", name="Block").click()
    ask(a, "Block")
    expect(profile(a)).to_have_count(0)
    assert [one["id"] for one in api(a, "GET", "blocks")["results"]] == [ben.id]
    a.locator("conversation-info .person-who", has_text="Ben Okafor").click()
    expect(profile(a)).not_to_contain_text("Mostly outdoors")
    profile(a).get_by_role("button", name="Unblock").click()
    expect(profile(a)).to_have_count(0)
    a.locator("conversation-info .person-who", has_text="Ben Okafor").click()
    profile(a).get_by_role("button", name="Write a message").click()
    expect(a.locator("#thread-name")).to_have_text("Ben Okafor")
    expect(a.locator("dialog[open]")).to_have_count(0)


def test_one_writes_about_oneself_and_chooses_who_sees_when_one_is_here(person: Person) -> None:
    ann, ben = name("ann"), name("ben")
    a, b = person(ann), person(ben, **PHONE)
    start_chat(a, ben)
    expect(a.locator("#thread-sub")).to_have_text("online")
    b.locator(".me").tap()
    b.get_by_label("About").fill("Mostly outdoors")
    b.get_by_label("Who sees when I am online").select_option("Nobody")
    b.get_by_role("button", name="Save").tap()
    expect(b.get_by_role("status")).to_have_text("Saved.")
    # The other side at once; and in return.
    expect(a.locator("#thread-sub")).to_have_text(f"@{ben}")
    b.get_by_role("link", name="Back to the chat").tap()
    b.locator(".conversation").tap()
    expect(b.locator("#thread-sub")).to_have_text(f"@{ann}")
    a.get_by_role("button", name="Contact info").click()
    expect(a.locator("conversation-info")).to_contain_text("Mostly outdoors")
    assert no_overflow(b)


def test_on_a_phone_a_message_that_is_drawn_to_the_right_is_answered(
    person: Person, account: Callable[[str], Any]
) -> None:
    ben, p = account(name("ben")), person(name("ann"), **PHONE)
    ben.say(ben.begin(me(p)), "Sunday at nine?")
    p.locator(".conversation").tap()
    expect(bubble(p, "Sunday at nine?")).to_be_visible()
    p.wait_for_function("document.querySelector('message-list').style.touchAction === 'pan-y'")
    box = bubble(p, "Sunday at nine?").locator(".body").bounding_box()
    finger = p.context.new_cdp_session(p)

    def draw(by: int) -> None:
        y = box["y"] + box["height"] / 2
        for kind, x in (("Start", 0), ("Move", by / 2), ("Move", by)):
            finger.send(
                "Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": [{"x": box["x"] + 5 + x, "y": y}]}
            )
        finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    draw(30)
    expect(p.locator(".answering")).to_have_count(0)
    draw(90)
    expect(p.locator(".answering")).to_contain_text("Reply to")
    assert bubble(p, "Sunday at nine?").evaluate("node => node.style.translate") == ""
    # What one taps is large enough for a thumb.
    small = p.evaluate(
        """() => [...document.querySelectorAll(".thread button, .thread a")].filter((one) => one.checkVisibility())
            .map((one) => [one.getAttribute("aria-label") ?? one.textContent, one.getBoundingClientRect()])
            .filter(([, {width, height}]) => Math.min(width, height) < 24 || Math.max(width, height) < 44)
            .map(([label]) => label)"""
    )
    assert small == []
