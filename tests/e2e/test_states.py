"""What the pages say when there is nothing, not yet, not any more or no way: each from its true cause.

With ``--gallery`` each also leaves its picture for docs/states.md (``python -m tests.e2e.gallery``).
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import pytest
from django.conf import settings

from tests.e2e import gallery
from tests.e2e.axe import violations
from tests.e2e.conftest import PASSWORD
from tests.e2e.pages import api, ask, bubble, held, me, name, no_overflow, say, ticks
from tests.e2e.test_delivery import Wiretap
from tests.e2e.test_media import drop, worker  # noqa: F401  # fixture

if TYPE_CHECKING:
    from tests.e2e.conftest import Account, Server

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

Show = Callable[..., None]
#: Pages grumble about what is done to the network here.
_NETWORK: Final = ["ERR_INTERNET_DISCONNECTED", "ERR_FAILED", "ERR_NETWORK_CHANGED", "ERR_TIMED_OUT"]
_NAMES: Final = {"ann": "Ann Becker", "ben": "Ben Okafor", "cleo": "Cleo Marchand", "dan": "Dan Novak"}
#: Names of the states that a test here has shown; docs/states.md tells of each.
STATES: Final = (
    "first-run", "empty-conversation", "loading-list", "loading-thread", "slow", "offline", "reconnecting", "draining",
    "not-sent", "signed-out", "suspended", "blocked", "removed", "gone", "nothing-found", "upload-failed",
    "storage-full", "storage-none", "notifications-refused",
)  # fmt: skip


@pytest.fixture
def show(request: pytest.FixtureRequest) -> Show:
    """Return ``show(page, state)``: nothing is cut off, axe finds nothing, and, where asked for, a picture is kept."""

    def shown(page: Any, state: str, part: str | None = None) -> None:
        assert state in STATES
        assert no_overflow(page)
        # First: some states go over into others while one looks on.
        picture = gallery.both(page, part)
        assert violations(page) == []
        if request.config.getoption("gallery"):
            gallery.keep(picture, state)

    return shown


class Stage:
    """Ann at her page, and those she knows."""

    def __init__(self, page: Any, others: dict[str, "Account"]) -> None:
        self.page = page
        self.others = others
        self.ben = others["ben"]
        self.direct = self.group = ""

    def talk(self) -> None:
        """Let there be a direct conversation with Ben, a group, and something said in each."""
        ann = me(self.page)
        ben, cleo, dan = self.others["ben"], self.others["cleo"], self.others["dan"]
        self.group = cleo.begin(ann, ben.id, dan.id, title="Lake weekend")
        cleo.say(self.group, "Four beds, one canoe, no excuses.")
        dan.say(self.group, "One canoe for four people is a social experiment.")
        ben.say(self.group, "I stay ashore with the coffee ☕")
        self.direct = ben.begin(ann)
        ben.say(self.direct, "Did you take my blue umbrella on Friday?")
        ben.say(self.direct, "It has a small dinosaur on the handle.")

    def open(self, title: str) -> None:
        self.page.locator(".conversation", has_text=title).click()
        expect(self.page.locator("#thread-name")).to_have_text(title)


@pytest.fixture
def stage(person: Callable[..., Any], account: Callable[[str], Any]) -> Callable[..., Stage]:
    """Return ``stage(talk=True, **context) -> Stage``: with conversations, or before the first."""

    def make(*, talk: bool = True, **context: Any) -> Stage:
        page = person(name("ann"), **context)
        api(page, "PATCH", "me", {"display_name": _NAMES["ann"]})
        others = {stem: account(name(stem)) for stem in ("ben", "cleo", "dan")}
        for stem, one in others.items():
            one.call("PATCH", "me", {"display_name": _NAMES[stem]})
        made = Stage(page, others)
        if talk:
            made.talk()
        page.reload()
        page.wait_for_selector("#app[data-connection=online]")
        expect(page.locator(".conversation")).to_have_count(2 if talk else 0)
        return made

    return make


Staged = Callable[..., Stage]


def test_who_is_new_is_shown_how_to_begin(stage: Staged, show: Show) -> None:
    page = stage(talk=False).page
    expect(page.locator(".list-empty")).to_contain_text("No conversations yet")
    expect(page.locator("#welcome-new")).to_be_visible()
    show(page, "first-run")
    page.locator(".list-empty").get_by_role("button", name="Start a chat").click()
    expect(page.get_by_label("People", exact=True)).to_be_focused()


def test_a_conversation_in_which_nothing_was_said_invites_to_write(stage: Staged, show: Show) -> None:
    there = stage()
    there.others["dan"].begin(me(there.page))
    there.open(_NAMES["dan"])
    expect(there.page.locator(".event")).to_have_text(f"{_NAMES['dan']} started the conversation")
    show(there.page, "empty-conversation")
    say(there.page, "Hello")
    expect(ticks(there.page)).to_have_attribute("data-status", "sent")


def anew(page: Any) -> None:
    """Load the page in a browser that has kept nothing of it."""
    url = page.url
    page.goto("about:blank")
    kept = {"origin": url.split("/#")[0], "storageTypes": "indexeddb"}
    page.context.new_cdp_session(page).send("Storage.clearDataForOrigin", kept)
    page.goto(url)


def test_the_list_shows_that_it_is_loading(stage: Staged, show: Show) -> None:
    page = stage().page
    with held(page, "**/v1/conversations?*"):
        anew(page)
        expect(page.locator("conversation-list")).to_have_attribute("aria-busy", "true")
        expect(page.locator(".skeletons")).to_be_visible()
        show(page, "loading-list")
        expect(page.locator("#banner")).to_contain_text("The connection is slow")
    expect(page.locator(".conversation")).to_have_count(2)
    expect(page.locator("#banner")).to_be_hidden()


def test_a_thread_shows_that_it_is_loading(stage: Staged, show: Show) -> None:
    there = stage()
    page = there.page
    # Neither by the socket, which tells what is new, nor by REST.
    page.route_web_socket("**/ws", lambda socket: None)
    with held(page, "**/messages?*"):
        anew(page)
        there.open("Lake weekend")
        expect(page.locator(".bubbles-loading")).to_be_visible()
        show(page, "loading-thread")
    expect(page.locator(".message")).to_have_count(3)


def test_a_network_in_which_nothing_comes_through_is_called_slow(stage: Staged, show: Show) -> None:
    there = stage()
    page = there.page
    tap = Wiretap(page)
    page.reload()
    page.wait_for_selector("#app[data-connection=online]")
    there.open(_NAMES["ben"])
    tap.lose = lambda frame: '"pong"' not in frame
    say(page, "He says hello.")
    expect(page.locator("#banner")).to_contain_text("The connection is slow. Nothing is lost.")
    expect(ticks(page)).to_have_attribute("data-status", "sending")
    show(page, "slow")
    tap.lose = lambda frame: False
    expect(ticks(page)).to_have_attribute("data-status", "sent")
    expect(page.locator("#banner")).to_be_hidden()


def test_a_browser_without_a_network_says_so_and_sends_later(stage: Staged, show: Show, expected: list[str]) -> None:
    expected += _NETWORK
    there = stage()
    page = there.page
    there.open(_NAMES["ben"])
    page.context.set_offline(True)
    say(page, "His name is Geoffrey now.")
    expect(page.locator("#banner")).to_contain_text("You are offline: your messages will be sent.")
    expect(ticks(page)).to_have_attribute("data-status", "sending")
    show(page, "offline")
    page.context.set_offline(False)
    expect(ticks(page)).to_have_attribute("data-status", "sent")
    expect(page.locator("#banner")).to_be_hidden()


def test_a_lost_server_is_counted_down_to_and_can_be_tried_at_once(stage: Staged, show: Show, server: "Server") -> None:
    there = stage()
    page = there.page
    there.open(_NAMES["ben"])
    server.kill()
    try:
        banner = page.locator("#banner")
        expect(banner).to_contain_text("No connection: your messages will be sent.")
        expect(banner.locator(".countdown")).to_contain_text(re.compile(r"Next try in \d+ s\."))
        # Seconds are for the eyes: nobody wants them read out one by one.
        expect(banner.locator(".countdown")).to_have_attribute("aria-hidden", "true")
        say(page, "Mine has a small dinosaur.")
        expect(banner.get_by_role("button", name="Try now")).to_be_visible()
        show(page, "reconnecting")
    finally:
        server.start()
    page.evaluate("document.querySelector('#banner button').click()")
    expect(banner).to_be_hidden()
    expect(ticks(page)).to_have_attribute("data-status", "sent")


def test_a_server_that_restarts_says_so_before_it_goes(stage: Staged, show: Show, server: "Server") -> None:
    there = stage()
    page = there.page
    there.open(_NAMES["ben"])
    page.get_by_label("Message", exact=True).fill("He says hel")
    server.drain()
    try:
        expect(page.locator("#banner")).to_contain_text("The server restarts: your messages will be sent.")
        page.keyboard.type("lo.")
        page.keyboard.press("Enter")
        show(page, "draining")
    finally:
        server.start()
    expect(bubble(page, "He says hello.").locator(".ticks")).to_have_attribute("data-status", "sent")
    expect(page.locator("#banner")).to_be_hidden()


def test_what_is_refused_can_be_tried_again_or_dropped(stage: Staged, show: Show) -> None:
    there = stage()
    page = there.page
    there.open(_NAMES["ben"])
    there.ben.call("PUT", f"blocks/{me(page)}")
    say(page, "Hello?")
    failure = bubble(page, "Hello?").locator(".failure")
    expect(failure).to_contain_text("one of you has blocked the other")
    expect(failure.get_by_role("button", name="Delete")).to_be_visible()
    show(page, "not-sent")
    there.ben.call("DELETE", f"blocks/{me(page)}")
    failure.get_by_role("button", name="Try again").click()
    expect(ticks(page)).to_have_attribute("data-status", "sent")


def test_who_is_signed_out_loses_nothing_that_was_typed(stage: Staged, show: Show) -> None:
    there = stage()
    page = there.page
    username = page.locator("#app").get_attribute("data-username")
    there.open(_NAMES["ben"])
    where = page.url
    # Its session ends while somebody types: the last words have not been to the server.
    others = page.context.browser.new_context()
    token = others.request.post(
        where.split("/#")[0] + "/v1/tokens", data={"username": username, "password": PASSWORD}
    ).json()["token"]
    page.get_by_label("Message", exact=True).press_sequentially("Bring Geoffrey home on Mon")
    others.request.post(
        where.split("/#")[0] + "/v1/devices/revoke-others",
        headers={"Authorization": f"Bearer {token}"},
        data={"password": PASSWORD},
    )
    others.close()
    expect(page.get_by_role("alert")).to_contain_text("You were signed out in this browser")
    show(page, "signed-out")
    page.get_by_label("User name or e-mail").fill(username)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_label("Message", exact=True)).to_have_value("Bring Geoffrey home on Mon")
    assert page.url == where


def test_who_is_suspended_sees_why_and_until_when(
    stage: Staged, show: Show, server: "Server", expected: list[str]
) -> None:
    expected.append("403")
    page = stage().page
    server.manage(
        "shell", "-v0", "-c",
        "from datetime import datetime, UTC; from accounts.services.suspension import suspend;"
        "from accounts.models import User; from messaging.domain.ids import parse_user;"
        f"suspend(user_id=parse_user({me(page)!r}), reason='Advertising, again and again.',"
        " until=datetime(2099, 5, 1, 12, tzinfo=UTC))",
    )  # fmt: skip
    # The command is no pod: the page learns of it with what it does next.
    page.reload()
    expect(page.get_by_role("heading", name="This account is suspended")).to_be_visible()
    expect(page.get_by_text("Until 1 May 2099")).to_be_visible()
    show(page, "suspended")


def test_who_blocked_somebody_sees_it_and_can_undo_it(stage: Staged, show: Show) -> None:
    there = stage()
    page = there.page
    there.open(_NAMES["ben"])
    page.get_by_role("button", name="Contact info").click()
    page.get_by_role("button", name=f"Block {_NAMES['ben']}").click()
    ask(page, "Block")
    page.keyboard.press("Escape")
    expect(page.locator("#notice-text")).to_have_text(f"You blocked {_NAMES['ben']}.")
    show(page, "blocked")
    page.locator("#notice").get_by_role("button", name="Unblock").click()
    expect(page.get_by_label("Message", exact=True)).to_be_visible()


def test_who_is_removed_from_the_open_group_is_told_by_whom(stage: Staged, show: Show, expected: list[str]) -> None:
    expected.append("404")
    there = stage()
    page = there.page
    there.open("Lake weekend")
    there.others["cleo"].call("DELETE", f"conversations/{there.group}/members/{me(page)}")
    expect(page.locator("#notice-text")).to_have_text(f"{_NAMES['cleo']} removed you from this group.")
    expect(page.get_by_label("Message", exact=True)).to_be_hidden()
    show(page, "removed")


def test_an_address_that_leads_nowhere_says_so(stage: Staged, show: Show, expected: list[str]) -> None:
    expected.append("404")
    there = stage()
    page = there.page
    there.others["cleo"].call("DELETE", f"conversations/{there.group}/members/{me(page)}")
    expect(page.locator(".conversation")).to_have_count(1)
    page.evaluate(f"location.hash = {there.group!r}")
    expect(page.locator(".toast").last).to_contain_text("This conversation does not exist, or you are not in it.")
    expect(page.locator("#welcome")).to_be_visible()
    show(page, "gone")


def test_a_search_without_a_hit_says_where_it_looked(stage: Staged, show: Show) -> None:
    page = stage().page
    page.get_by_role("button", name="Search messages").click()
    page.get_by_role("searchbox", name="Search messages", exact=True).fill("crocodile")
    expect(page.locator("search-dialog")).to_contain_text("Nothing found.")
    show(page, "nothing-found")


@pytest.mark.usefixtures("worker")
def test_a_file_that_was_refused_says_why_and_can_be_removed(stage: Staged, show: Show) -> None:
    there = stage()
    page = there.page
    there.open(_NAMES["ben"])
    drop(page, "geoffrey.png", "image/png", b"\x89PNG\r\n\x1a\n" + b"no picture at all" * 40)
    failed = page.locator(".tray li[data-state=failed]")
    expect(failed).to_contain_text("Refused")
    expect(failed.get_by_role("button", name="Try geoffrey.png again")).to_be_visible()
    show(page, "upload-failed")
    page.get_by_role("button", name="Remove geoffrey.png").click()
    expect(page.locator(".tray li")).to_have_count(0)


def test_a_full_browser_sends_and_says_what_it_cannot_keep(stage: Staged, show: Show) -> None:
    there = stage()
    page = there.page
    there.open(_NAMES["ben"])
    # What a browser does whose quota is used up.
    page.evaluate("void (IDBObjectStore.prototype.put = () => { throw new DOMException('', 'QuotaExceededError'); })")
    say(page, "I took *a* blue umbrella")
    expect(page.locator(".toast")).to_contain_text("There is no room left in this browser")
    expect(ticks(page)).to_have_attribute("data-status", "sent")
    show(page, "storage-full")


def test_a_browser_that_keeps_nothing_chats_and_says_so(stage: Staged, show: Show) -> None:
    there = stage()
    page = there.page
    # As where site data is refused: the API is there, and answers nothing.
    page.context.add_init_script("IDBFactory.prototype.open = () => { throw new DOMException('', 'SecurityError'); }")
    page.reload()
    expect(page.locator(".toast")).to_contain_text("This browser keeps nothing between visits")
    show(page, "storage-none")
    there.open(_NAMES["ben"])
    say(page, "I took *a* blue umbrella")
    expect(ticks(page)).to_have_attribute("data-status", "sent")


def test_who_refused_notifications_is_told_the_way_back(stage: Staged, show: Show) -> None:
    page = stage().page
    session = page.context.new_cdp_session(page)
    refusal = {"permission": {"name": "notifications"}, "setting": "denied"}
    context = session.send("Target.getTargetInfo")["targetInfo"]["browserContextId"]
    session.send("Browser.setPermission", {**refusal, "browserContextId": context})
    page.goto(page.url.split("#")[0] + "settings/")
    assert page.evaluate("Notification.permission") == "denied"
    expect(page.locator("[data-part=browser]")).to_contain_text("You refused notifications of this site.")
    expect(page.get_by_role("button", name="Turn on in this browser")).to_be_hidden()
    show(page, "notifications-refused", "#notifications-section")


def test_every_state_is_told_of_in_the_docs_with_a_small_picture() -> None:
    told = (settings.BASE_DIR / "docs" / "states.md").read_text()
    assert set(re.findall(r"images/states/([a-z-]+)\.webp", told)) == set(STATES)
    assert {path.stem for path in gallery.PLACE.iterdir()} == set(STATES)
    for path in gallery.PLACE.iterdir():
        assert path.stat().st_size < 60 * 1024, path
