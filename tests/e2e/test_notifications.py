"""Notifications in a browser: turning them on and off, what they show, and where a click on one leads."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.e2e.conftest import PATIENCE_MS
from tests.e2e.pages import name, open_chat
from tests.push.servers import Browser

if TYPE_CHECKING:
    from tests.e2e.conftest import Account, Server

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

Person = Callable[..., Any]


class _Service:
    url = "https://fcm.googleapis.com"


#: What Google's service would answer a browser that asks for a subscription: these tests have no internet.
SUBSCRIBE = """(found) => {
    let mine = null;
    const made = () => ({
        options: {applicationServerKey: null}, toJSON: () => found,
        unsubscribe: async () => { mine = null; return true; },
    });
    PushManager.prototype.subscribe = async () => (mine = made());
    PushManager.prototype.getSubscription = async () => mine;
}"""
#: Of notifications that come and go there is no event.
SHOWN = """async ([wanted, patience]) => {
    const worker = await navigator.serviceWorker.ready;
    const until = Date.now() + patience;
    for (;;) {
        const shown = (await worker.getNotifications()).map(({tag, body}) => `${tag} ${body}`).sort();
        if (JSON.stringify(shown) === JSON.stringify(wanted) || Date.now() > until) return shown;
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
}"""


def subscribable(page: Any) -> None:
    """Let the page's browser get a subscription."""
    browser = Browser(_Service())  # type: ignore[arg-type]
    found = json.dumps({"endpoint": browser.endpoint, "keys": browser.keys})
    page.context.grant_permissions(["notifications"])
    page.context.add_init_script(f"({SUBSCRIBE})({found})")


def got(page: Any, path: str) -> Any:
    """Return what the server answers the page's user."""
    answer = page.context.request.get(f"{urlsplit(page.url).scheme}://{urlsplit(page.url).netloc}/v1/{path}")
    assert answer.ok, answer.text()
    return answer.json()


class Pushes:
    """Hands pushes to the page's service worker, as the browser does when one arrives."""

    def __init__(self, page: Any) -> None:
        self._page = page
        self._cdp = page.context.new_cdp_session(page)
        self._registration = ""
        self._cdp.on("ServiceWorker.workerRegistrationUpdated", self._updated)
        self._cdp.send("ServiceWorker.enable")
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        assert self._registration

    def _updated(self, event: Any) -> None:
        for registration in event["registrations"]:
            if not registration["isDeleted"]:
                self._registration = registration["registrationId"]

    def deliver(self, data: str | dict[str, Any]) -> None:
        parts = urlsplit(self._page.url)
        self._cdp.send(
            "ServiceWorker.deliverPushMessage",
            {
                "origin": f"{parts.scheme}://{parts.netloc}",
                "registrationId": self._registration,
                "data": data if isinstance(data, str) else json.dumps(data),
            },
        )

    def until(self, *texts: tuple[str, str]) -> None:
        """Return once these (tag, text) and no others are shown."""
        wanted = sorted(f"{tag} {text}" for tag, text in texts)
        assert self._page.evaluate(SHOWN, [wanted, PATIENCE_MS]) == wanted


def test_they_are_turned_on_and_off_in_the_settings(server: "Server", person: Person) -> None:
    page = person(name("ann"))
    subscribable(page)
    page.goto(f"{server.url}/settings/")
    expect(page.get_by_text("This browser shows no notifications.")).to_be_visible()
    page.get_by_role("button", name="Turn on in this browser").click()
    expect(page.get_by_text("This browser shows notifications.")).to_be_visible()
    expect(page.get_by_role("button", name="Turn off in this browser")).to_be_focused()
    device = next(one["id"] for one in got(page, "devices")["results"] if one["current"])
    assert got(page, f"devices/{device}/push")["provider"] == "webpush"
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_text("On its way: it should appear in a moment.")).to_be_visible()
    page.get_by_role("button", name="Turn off in this browser").click()
    expect(page.get_by_text("This browser shows no notifications.")).to_be_visible()
    assert page.context.request.get(f"{server.url}/v1/devices/{device}/push").status == 404


def test_wishes_are_kept(server: "Server", person: Person) -> None:
    page = person(name("ann"), timezone_id="Asia/Kolkata")
    page.goto(f"{server.url}/settings/")
    expect(page.get_by_label("Notify me on my devices")).to_be_checked()
    page.get_by_label("A notification shows").select_option("the name only")
    page.get_by_label("Quiet hours").check()
    page.get_by_label("From", exact=True).fill("23:15")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    wanted = got(page, "me/push-settings")
    assert (wanted["content"], wanted["quiet_from"], wanted["quiet_until"]) == ("sender", "23:15", "07:00")
    assert wanted["time_zone"] in ("Asia/Kolkata", "Asia/Calcutta")
    page.reload()
    expect(page.get_by_label("A notification shows")).to_have_value("sender")
    expect(page.get_by_label("From", exact=True)).to_have_value("23:15")


@pytest.mark.parametrize("why", ["refused", "no push service"])
def test_what_does_not_work_is_said(server: "Server", person: Person, expected: list[str], why: str) -> None:
    page = person(name("ann"))
    if why == "refused":
        page.context.clear_permissions()
        page.add_init_script("Notification.requestPermission = async () => 'denied'")
        text = "Notifications are blocked for this site. Allow them in the browser's settings."
    else:
        # As it is here: there is no way to the browser maker's service.
        expected.append("does not support the Push API in incognito mode")
        page.context.grant_permissions(["notifications"])
        text = "This browser cannot reach its push service. Try again later."
    page.goto(f"{server.url}/settings/")
    page.get_by_role("button", name="Turn on in this browser").click()
    expect(page.get_by_text(text)).to_be_visible()
    expect(page.get_by_role("button", name="Turn on in this browser")).to_be_visible()


def test_a_push_is_shown_replaced_taken_back_and_opened(
    server: "Server", person: Person, account: Callable[[str], "Account"]
) -> None:
    page = person(name("ann"))
    subscribable(page)
    bob = account(name("bob"))
    conv = bob.begin(got(page, "me")["id"])
    first, second = bob.say(conv, "Lunch?"), bob.say(conv, "Pizza!")
    page.goto(f"{server.url}/settings/")
    page.get_by_role("button", name="Turn on in this browser").click()
    expect(page.get_by_text("This browser shows notifications.")).to_be_visible()
    pushes = Pushes(page)
    push = {"title": bob.username, "body": "Lunch?", "tag": conv, "badge": 1, "conv": conv, "server_id": first}
    pushes.deliver(push)
    pushes.until((conv, "Lunch?"))
    title = "navigator.serviceWorker.ready.then((worker) => worker.getNotifications()).then(([one]) => one.title)"
    assert page.evaluate(title) == bob.username
    pushes.deliver("no JSON")
    pushes.deliver({**push, "body": "Pizza!", "server_id": second})
    pushes.deliver({**push, "tag": "c_other", "conv": "c_other", "title": "Another"})
    pushes.until((conv, "Pizza!"), ("c_other", "Lunch?"))
    # Read up to the first on another device: what is shown is the second.
    pushes.deliver({"conv": conv, "read": first, "badge": 1})
    pushes.deliver({"conv": "c_other", "read": second, "badge": 0})
    pushes.until((conv, "Pizza!"))
    # Edited: the new text in its place, and nothing where another one is shown.
    pushes.deliver({**push, "body": "Pasta!", "server_id": second, "replaces": second})
    pushes.until((conv, "Pasta!"))
    pushes.deliver({**push, "body": "Lunch!!", "server_id": first, "replaces": first})
    pushes.deliver({**push, "tag": "c_other", "conv": "c_other", "replaces": second})
    pushes.until((conv, "Pasta!"))
    pushes.deliver({"conv": conv, "read": second, "badge": 0})
    pushes.until()

    pushes.deliver({**push, "body": "Pizza!", "server_id": second})
    pushes.until((conv, "Pizza!"))
    chat = page.context.new_page()
    chat.goto(server.url)
    chat.wait_for_selector("#app[data-connection=online]")
    # Whoever looks at the chat needs no notification.
    pushes.deliver({**push, "tag": "c_other", "conv": "c_other"})
    pushes.deliver({"title": "Chat", "body": "It works.", "tag": "test", "badge": 0, "test": "1"})
    pushes.until((conv, "Pizza!"), ("test", "It works."))
    worker = page.context.service_workers[0]
    worker.evaluate(
        """async () => {
            const [notification] = await registration.getNotifications({tag: "CONV"});
            dispatchEvent(new NotificationEvent("notificationclick", {notification}));
        }""".replace("CONV", conv)
    )
    chat.wait_for_url(f"{server.url}/#{conv}")
    expect(chat.locator("#thread-name")).to_have_text(bob.username)
    pushes.until(("test", "It works."))


def test_what_is_on_the_screen_has_no_notification(
    server: "Server", person: Person, account: Callable[[str], "Account"]
) -> None:
    page = person(name("ann"))
    subscribable(page)
    bob = account(name("bob"))
    conv = bob.begin(got(page, "me")["id"])
    said = bob.say(conv, "Lunch?")
    page.goto(f"{server.url}/settings/")
    page.get_by_role("button", name="Turn on in this browser").click()
    expect(page.get_by_text("This browser shows notifications.")).to_be_visible()
    pushes = Pushes(page)
    pushes.deliver({"title": "x", "body": "x", "tag": conv, "badge": 1, "conv": conv, "server_id": said})
    pushes.until((conv, "x"))
    page.goto(server.url)
    open_chat(page, bob.username)
    pushes.until()
