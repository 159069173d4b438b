"""Accounts in a browser: signing up, in and out, a forgotten password, settings, devices, blocks; the admin site."""

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings

from tests.e2e.conftest import PASSWORD
from tests.e2e.pages import ask, bubble, held, name, open_chat, say, start_chat, ticks

if TYPE_CHECKING:
    from tests.e2e.conftest import Server

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

Person = Callable[..., Any]
ONLINE = "#app[data-connection=online]"
#: How many messages this browser keeps, of all who were signed in in it.
KEPT = """async () => {
    let count = 0;
    for (const {name} of await indexedDB.databases()) {
        const db = await new Promise((resolve) => {
            const request = indexedDB.open(name);
            request.onsuccess = () => resolve(request.result);
        });
        count += await new Promise((resolve) => {
            const request = db.transaction("messages").objectStore("messages").count();
            request.onsuccess = () => resolve(request.result);
        });
        db.close();
    }
    return count;
}"""


def sign_in(page: Any, server: "Server", username: str, password: str) -> None:
    page.goto(f"{server.url}/accounts/login/")
    page.get_by_label("User name or e-mail").fill(username)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def first_letter(server: "Server") -> str:
    """Run the job worker beside the server until it has sent a letter; return what it printed."""
    worker = subprocess.Popen(
        [sys.executable, "manage.py", "worker"],
        cwd=settings.BASE_DIR,
        env=server.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines = []
    try:
        assert worker.stdout is not None
        for line in worker.stdout:
            lines.append(line)
            if "send_mail_task" in line and "succeeded" in line:
                break
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.communicate(timeout=30)
    return "".join(lines)


def test_sign_up_sign_out_forget_the_password_and_come_back(visit: Callable[..., Any], server: "Server") -> None:
    ann = name("ann")
    page = visit()
    page.goto(server.url)
    expect(page).to_have_url(re.compile("/accounts/login/"))
    page.get_by_role("link", name="Create an account").click()
    page.get_by_label("User name").fill("no spaces please")
    page.get_by_label("E-mail").fill(f"{ann}@example.org")
    page.get_by_label("Password").fill("short")
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_role("alert").first).to_contain_text("lower-case letters, digits")
    expect(page.get_by_label("User name")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("User name").fill(ann)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    expect(page.locator(ONLINE)).to_be_visible()

    page.get_by_label("Menu").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("status")).to_have_text("You are signed out.")
    assert page.evaluate("indexedDB.databases()") == []
    sign_in(page, server, ann, "wrong-horse-8")
    expect(page.get_by_role("alert")).to_have_text("The user name or password is not right.")

    page.get_by_role("link", name="Forgot your password?").click()
    page.get_by_label("E-mail").fill(f"{ann}@example.org")
    page.get_by_role("button", name="Send the link").click()
    expect(page.get_by_role("heading")).to_have_text("Look into your mail")
    letter = first_letter(server)
    link = re.search(r"http://127\.0\.0\.1:\d+/accounts/password/reset/key/\S+", letter)
    assert link is not None, letter
    page.goto(link[0])
    page.get_by_label("New password", exact=True).fill("nine-blue-cups")
    page.get_by_label("New password, again").fill("nine-blue-cups")
    page.get_by_role("button", name="Set password").click()
    expect(page.get_by_role("heading")).to_have_text("Your password is changed")
    page.goto(link[0])
    expect(page.get_by_role("heading")).to_have_text("This link is no longer good")
    sign_in(page, server, ann, "nine-blue-cups")
    expect(page.locator(ONLINE)).to_be_visible()


def test_what_is_asked_for_while_signing_out_is_not_refused(person: Person, server: "Server") -> None:
    page = person(name("ann"))
    with held(page, "**/v1/conversations?*") as listing:
        page.reload()
        expect(page.locator(ONLINE)).to_be_visible()
        assert listing
        order = []
        page.on("requestfailed", lambda request: order.append("given up"))
        page.on("request", lambda request: request.is_navigation_request() and order.append("leaving"))
        page.get_by_label("Menu").click()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("status")).to_have_text("You are signed out.")
        assert order.index("given up") < order.index("leaving")


def test_a_revoked_browser_is_signed_out_at_once_and_says_so(
    person: Person, visit: Callable[..., Any], account: Callable[[str], Any], server: "Server"
) -> None:
    ann, ben = name("ann"), account(name("ben"))
    lost = person(ann)
    start_chat(lost, ben.username)
    say(lost, "private")
    expect(ticks(lost)).to_have_attribute("data-status", "sent")
    second_tab = lost.context.new_page()
    second_tab.goto(server.url)
    expect(second_tab.locator(ONLINE)).to_be_visible()

    here = visit()
    sign_in(here, server, ann, PASSWORD)
    here.get_by_label("Menu").click()
    here.get_by_role("link", name="Settings").click()
    expect(here.locator("li", has_text="This browser")).to_contain_text("last used just now")
    here.get_by_role("button", name=re.compile("^Sign out Chrome")).click()
    expect(here.get_by_role("heading")).to_have_text("Confirm it is you")
    here.get_by_label("Password", exact=True).fill(PASSWORD)
    here.get_by_role("button", name="Confirm").click()
    expect(here.get_by_role("status")).to_have_text("Signed out there.")
    for page in (lost, second_tab):
        expect(page).to_have_url(re.compile("/accounts/login/"))
        expect(page.get_by_role("alert")).to_contain_text("You were signed out in this browser")
    expect(lost.get_by_label("Password", exact=True)).to_be_visible()
    # What was read there does not stay behind.
    assert lost.evaluate(KEPT) == 0
    lost.goto(server.url)
    expect(lost).to_have_url(re.compile("/accounts/login/"))


def test_settings_change_the_profile_hide_presence_and_the_password(person: Person) -> None:
    ann, ben = name("ann"), name("ben")
    a, b = person(ann), person(ben)
    start_chat(a, ben)
    say(a, "hi")
    open_chat(b, ann)
    expect(b.locator("#thread-sub")).to_have_text("online")
    tab = a.context.new_page()
    tab.goto(a.url.split("#")[0] + "settings/")
    tab.get_by_label("Name", exact=True).fill("Ann the Second")
    tab.get_by_label("Who sees when I am online").select_option("Nobody")
    tab.get_by_role("button", name="Save").click()
    expect(tab.get_by_role("status")).to_have_text("Saved.")
    expect(b.locator("#thread-sub")).to_have_text(f"@{ann}")
    b.reload()
    expect(b.locator("#thread-name")).to_have_text("Ann the Second")
    expect(b.locator("#thread-sub")).to_have_text(f"@{ann}")

    tab.get_by_role("link", name="Change password").click()
    tab.get_by_label("Current password").fill(PASSWORD)
    tab.get_by_label("New password", exact=True).fill("nine-blue-cups")
    tab.get_by_label("New password, again").fill("nine-blue-cups")
    tab.get_by_role("button", name="Change password").click()
    expect(tab.get_by_role("status")).to_contain_text("Your password is changed")
    # The chat in the other tab goes on.
    say(a, "still here")
    expect(ticks(a)).to_have_attribute("data-status", "read")


def test_a_block_is_shown_and_a_refused_message_can_be_sent_later(person: Person) -> None:
    ann, ben = name("ann"), name("ben")
    a, b = person(ann), person(ben)
    start_chat(a, ben)
    say(a, "hi")
    open_chat(b, ann)
    a.get_by_role("button", name="Contact info").click()
    a.get_by_role("button", name=f"Block {ben}").click()
    ask(a, "Block")
    expect(a.get_by_role("button", name=f"Unblock {ben}")).to_be_focused()
    a.keyboard.press("Escape")
    expect(a.locator("#notice")).to_contain_text(f"You blocked {ben}.")
    expect(a.get_by_label("Message", exact=True)).to_be_hidden()

    say(b, "Hello?")
    expect(bubble(b, "Hello?").locator(".failure")).to_contain_text("one of you has blocked the other")
    # It is not lost on the way to another try.
    b.reload()
    expect(bubble(b, "Hello?").locator(".failure")).to_contain_text("one of you has blocked the other")
    a.reload()
    expect(a.locator("#notice")).to_contain_text(f"You blocked {ben}.")
    a.get_by_label("Menu").click()
    a.get_by_role("link", name="Settings").click()
    a.get_by_role("button", name=f"Unblock {ben}").click()
    expect(a.get_by_text("Nobody. You can block")).to_be_visible()
    a.get_by_role("link", name="Back to the chat").click()
    b.get_by_role("button", name="Try again").click()
    expect(ticks(b)).to_have_attribute("data-status", "delivered")
    open_chat(a, ben)
    expect(bubble(a, "Hello?")).to_have_count(1)


def test_the_admin_site_shows_people_and_devices(
    visit: Callable[..., Any], account: Callable[[str], Any], server: "Server"
) -> None:
    boss, ben = name("boss"), account(name("ben"))
    subprocess.run(
        [sys.executable, "manage.py", "createsuperuser", "--noinput", f"--username={boss}", "--email="],
        cwd=settings.BASE_DIR,
        env=server.environment | {"DJANGO_SUPERUSER_PASSWORD": PASSWORD},
        check=True,
        timeout=60,
    )
    page = visit()
    page.goto(f"{server.url}/admin/")
    page.get_by_label("User name or e-mail").fill(boss)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("link", name="Users", exact=True).click()
    expect(page.locator("#result_list")).to_contain_text(ben.username)
    page.goto(f"{server.url}/admin/accounts/device/?q={ben.username}")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    page.locator("#result_list tbody input[type=checkbox]").check()
    page.locator("select[name=action]").select_option("sign_out")
    page.get_by_role("button", name="Go").click()
    page.get_by_label("Reason").fill("They lost it")
    page.get_by_role("button", name="Sign these devices out").click()
    expect(page.locator("#result_list .field-revoked_at")).not_to_have_text("-")
