"""Everybody gets in: axe-core on every view, the keyboard alone, forced colours, large print, no motion."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.e2e.axe import violations
from tests.e2e.conftest import PASSWORD
from tests.e2e.pages import api, bubble, conversation, me, name, no_overflow, open_chat, say, start_chat
from tests.e2e.test_media import drop, worker  # noqa: F401  # fixture
from tests.media.objects import picture

if TYPE_CHECKING:
    from tests.e2e.conftest import Account, Server

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

Person = Callable[..., Any]
DEVICES: Final = {
    "desktop": {"viewport": {"width": 1280, "height": 800}},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
}


class Checks:
    """Gathers what axe finds, view by view, by day and by night."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.found: list[str] = []
        self.views: list[str] = []

    def look(self, view: str, page: Any = None) -> None:
        page = page or self.page
        assert no_overflow(page), view
        self.views.append(view)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            self.found += [f"{view}, {scheme}: {one}" for one in violations(page)]


def dialog(page: Any) -> Any:
    """Return the dialog or menu that is open."""
    return page.locator("dialog[open], [popover]:popover-open").last


def away(page: Any) -> None:
    """Close what is open."""
    page.keyboard.press("Escape")
    if page.locator("dialog[open]").count():
        # The first has emptied the field.
        page.keyboard.press("Escape")
    expect(page.locator("dialog[open], [popover]:popover-open")).to_have_count(0)


def furnish(page: Any, ben: "Account", cleo: "Account") -> None:
    """Let there be a direct conversation and a group, with everything in them that a conversation can have."""
    direct = ben.begin(me(page))
    first = ben.say(direct, "Did you take my **blue** umbrella? See https://example.org/ `now`")
    ben.say(direct, "- one\n- two\n\n> quoted\n\n```\ncode\n```")
    ben.say(direct, "And this?", reply_to=first)
    ben.call("DELETE", f"messages/{ben.say(direct, 'never mind')}")
    ben.call("PATCH", f"messages/{ben.say(direct, 'helo')}", {"msg_id": str(uuid4()), "body": "hello"})
    ben.call("PUT", f"messages/{first}/reactions/{quote('👍')}")
    ben.call("PUT", f"messages/{first}/pin")
    ben.say(direct, "🦕")
    group = api(page, "POST", "conversations", {"type": "group", "members": [ben.id, cleo.id], "name": "Hikers"})["id"]
    cleo.say(group, "@all Sunday at nine?", mentions=["all"])
    ben.say(group, "I am in")


@pytest.fixture
def at(person: Person, account: Callable[[str], Any]) -> Callable[..., Any]:
    """Return ``at(device) -> (page, ben, cleo)``: somebody with conversations, and nothing that moves."""

    def make(device: str, **context: Any) -> Any:
        page = person(name("ann"), **DEVICES[device], reduced_motion="reduce", **context)
        ben, cleo = account(name("ben")), account(name("cleo"))
        furnish(page, ben, cleo)
        expect(page.locator(".conversation")).to_have_count(2)
        expect(page.locator(".conversation").first).to_contain_text("I am in")
        return page, ben, cleo

    return make


def row_menu(page: Any, title: str) -> None:
    page.locator(".conversation", has_text=title).dispatch_event("contextmenu", {"clientX": 90, "clientY": 200})
    expect(dialog(page)).to_be_visible()


def opened(page: Any, title: str) -> None:
    """Open a conversation by its name."""
    page.locator(".conversation", has=page.locator(".name", has_text=title)).click()
    expect(page.locator("#thread-name")).to_have_text(title)


def message_menu(page: Any, text: str) -> None:
    bubble(page, text).locator(".bubble").dispatch_event("contextmenu", {"clientX": 90, "clientY": 200})
    expect(dialog(page).get_by_role("menuitem").first).to_be_visible()


def back(page: Any, device: str) -> None:
    """On a phone: from a conversation to the list."""
    if device == "phone":
        page.get_by_role("button", name="Back to conversations").click()


@pytest.mark.parametrize("device", DEVICES)
def test_axe_finds_nothing_on_the_list_and_what_opens_from_it(at: Callable[..., Any], device: str) -> None:
    page, ben, cleo = at(device)
    checks = Checks(page)
    checks.look("list")
    page.get_by_label("Menu").click()
    checks.look("menu")
    page.keyboard.press("Escape")
    row_menu(page, "Hikers")
    checks.look("menu of a conversation")
    away(page)
    page.locator("#search").fill("no such")
    checks.look("list without a hit")
    page.locator("#search").fill("")
    page.get_by_role("button", name="New chat", exact=True).click()
    page.get_by_label("People", exact=True).fill(ben.username)
    expect(page.locator("people-dialog .person")).to_have_count(1)
    checks.look("new chat")
    away(page)
    page.get_by_role("button", name="New group", exact=True).click()
    for one in (ben, cleo):
        page.get_by_label("People", exact=True).fill(one.username)
        page.locator("people-dialog .people .person").click()
    checks.look("new group")
    away(page)
    page.get_by_role("button", name="Search messages").click()
    expect(dialog(page)).to_be_visible()
    checks.look("search")
    page.get_by_role("searchbox", name="Search messages", exact=True).fill("crocodile")
    expect(dialog(page)).to_contain_text("Nothing found.")
    checks.look("search without a hit")
    away(page)
    page.get_by_label("Menu").click()
    page.get_by_role("button", name="Keyboard shortcuts").click()
    expect(dialog(page)).to_be_visible()
    checks.look("shortcuts")
    away(page)
    assert not checks.found, "\n".join(checks.found)


@pytest.mark.parametrize("device", DEVICES)
def test_axe_finds_nothing_in_a_conversation_and_what_opens_from_it(at: Callable[..., Any], device: str) -> None:
    page, ben, _ = at(device)
    checks = Checks(page)
    opened(page, ben.username)
    say(page, "Hi there")
    if device == "phone":
        page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".message.out .ticks")).to_have_attribute("data-status", re.compile("sent|delivered"))
    checks.look("direct conversation")
    page.locator(".message").last.focus()
    checks.look("message with the focus")
    message_menu(page, "Hi there")
    checks.look("menu of a message")
    page.get_by_role("menuitem", name="Details").click()
    expect(dialog(page)).to_contain_text("Sent")
    checks.look("details of a message")
    away(page)
    message_menu(page, "hello")
    dialog(page).get_by_label("More reactions").click()
    checks.look("all reactions")
    away(page)
    for item, view in (("Forward", "forwarding"), ("Report", "report"), ("Reply", "reply")):
        message_menu(page, "hello")
        page.get_by_role("menuitem", name=item).click()
        if item == "Reply":
            expect(page.locator(".answering")).to_be_visible()
            checks.look(view)
            page.get_by_role("button", name="Do not reply").click()
        else:
            expect(dialog(page)).to_be_visible()
            checks.look(view)
            away(page)
    message_menu(page, "Hi there")
    page.get_by_role("menuitem", name="Delete").click()
    expect(page.get_by_role("alertdialog")).to_be_visible()
    checks.look("question")
    away(page)
    message_menu(page, "Hi there")
    page.get_by_role("menuitem", name="Edit").click()
    checks.look("edit")
    page.get_by_role("button", name="Do not edit").click()
    page.locator("#emoji").click()
    expect(page.locator(".emoji-picker .emoji").first).to_be_visible()
    checks.look("emoji")
    away(page)
    page.get_by_role("button", name="Today").click()
    expect(dialog(page)).to_be_visible()
    checks.look("day")
    away(page)
    page.get_by_role("button", name="Contact info").click()
    expect(dialog(page)).to_be_visible()
    checks.look("contact info")
    page.get_by_role("button", name=f"Block {ben.username}").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Block").click()
    away(page)
    expect(page.locator("#notice")).to_be_visible()
    checks.look("blocked")
    assert not checks.found, "\n".join(checks.found)


@pytest.mark.parametrize("device", DEVICES)
def test_axe_finds_nothing_in_a_group_and_what_opens_from_it(at: Callable[..., Any], device: str) -> None:
    page, _ben, _ = at(device)
    checks = Checks(page)
    open_chat(page, "Hikers")
    checks.look("group")
    page.get_by_label("Message", exact=True).press_sequentially("@")
    expect(page.locator("mention-list [role=option]").first).to_be_visible()
    checks.look("mentions")
    page.keyboard.press("Escape")
    page.get_by_label("Message", exact=True).fill("")
    page.get_by_role("button", name="Group info").click()
    expect(dialog(page)).to_be_visible()
    checks.look("group info")
    page.get_by_role("button", name="Invite by link").click()
    page.get_by_role("button", name="Create link").click()
    expect(page.get_by_label("Link", exact=True)).to_have_count(1)
    checks.look("links into a group")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Add people").click()
    page.get_by_label("People", exact=True).fill("nobody by this name")
    expect(page.locator("people-dialog")).to_contain_text("Nobody found")
    checks.look("adding people")
    page.locator("people-dialog").get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Leave group").click()
    expect(page.get_by_role("alertdialog")).to_be_visible()
    checks.look("leaving")
    assert not checks.found, "\n".join(checks.found)


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("device", DEVICES)
def test_axe_finds_nothing_where_there_are_files(at: Callable[..., Any], device: str) -> None:
    page, ben, _ = at(device)
    checks = Checks(page)
    opened(page, ben.username)
    drop(page, "lake.png", "image/png", picture(400, 300))
    expect(page.locator(".tray li[data-state=ready]")).to_have_count(1)
    drop(page, "list.txt", "text/plain", b"bread, cheese, apples")
    expect(page.locator(".tray li[data-state=ready]")).to_have_count(2)
    checks.look("files to be sent")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".message.out .picture.loaded")).to_be_visible()
    checks.look("files")
    page.locator(".message.out .picture").click()
    expect(page.locator("media-lightbox dialog:not(.loading)")).to_be_visible()
    checks.look("picture")
    assert not checks.found, "\n".join(checks.found)


@pytest.mark.parametrize("device", DEVICES)
def test_axe_finds_nothing_on_the_pages_around_the_chat(
    visit: Callable[..., Any], person: Person, server: "Server", expected: list[str], device: str
) -> None:
    expected += ["404", "403"]
    outside = visit(**DEVICES[device], reduced_motion="reduce")
    checks = Checks(outside)
    for path in ("login/", "login/?ended=1", "signup/", "password/reset/", "password/reset/done/", "no-such-page/"):
        outside.goto(f"{server.url}/accounts/{path}")
        checks.look(path)
    outside.goto(f"{server.url}/accounts/login/")
    outside.get_by_label("User name or e-mail").fill("nobody")
    outside.get_by_label("Password", exact=True).fill("wrong-horse-8")
    outside.get_by_role("button", name="Sign in", exact=True).click()
    expect(outside.get_by_role("alert")).to_be_visible()
    checks.look("refused sign-in")
    page = person(name("ann"), **DEVICES[device], reduced_motion="reduce")
    paths = ("settings/", "settings/erase", "accounts/password/change/", "accounts/logout/", "accounts/2fa/")
    for path in paths:
        page.goto(f"{server.url}/{path}")
        if path == "settings/":
            expect(page.locator("#notifications-section[aria-busy]")).to_have_count(0)
        checks.look(path, page)
        if page.get_by_label("Password", exact=True).count() and "reauthenticate" in page.url:
            page.get_by_label("Password", exact=True).fill(PASSWORD)
            page.get_by_role("button").last.click()
            checks.look(f"{path}, signed in again", page)
    assert not checks.found, "\n".join(checks.found)


# --- by the keyboard alone ---------------------------------------------------------------------------


def tab_to(page: Any, target: Any, most: int = 60) -> None:
    """Press Tab until ``target`` has the focus, which can be seen."""
    for _ in range(most):
        if target.evaluate("node => node === document.activeElement"):
            ring = target.evaluate("node => { const s = getComputedStyle(node); return s.outlineStyle + s.boxShadow; }")
            assert ring != "nonenone" or target.evaluate("node => node.matches('textarea, input')")
            return
        page.keyboard.press("Tab")
    raise AssertionError("Tab does not lead there")


def test_a_day_in_the_chat_without_a_mouse(person: Person, account: Callable[[str], Any], expected: list[str]) -> None:
    page = person(name("ann"), permissions=["clipboard-read", "clipboard-write"])
    ben = account(name("ben"))
    keys = page.keyboard
    field = page.get_by_label("Message", exact=True)

    # A chat is begun.
    tab_to(page, page.get_by_role("button", name="New chat", exact=True))
    keys.press("Enter")
    expect(page.get_by_label("People", exact=True)).to_be_focused()
    keys.type(ben.username)
    expect(page.locator("people-dialog .person")).to_have_count(1)
    keys.press("ArrowDown")
    keys.press("Enter")
    expect(field).to_be_focused()
    keys.type("Hello Ben")
    keys.press("Enter")
    expect(bubble(page, "Hello Ben")).to_be_visible()
    ben.say(conversation(page), "Good day")
    expect(bubble(page, "Good day")).to_be_visible()

    # Into the messages: answered, reacted to.
    keys.press("Shift+F6")
    expect(bubble(page, "Good day")).to_be_focused()
    keys.press("k")
    expect(bubble(page, "Hello Ben")).to_be_focused()
    keys.press("j")
    expect(bubble(page, "Good day")).to_be_focused()
    keys.press("+")
    expect(page.locator(".message-menu .emoji").first).to_be_focused()
    keys.press("Enter")
    expect(bubble(page, "Good day").locator(".reaction")).to_have_count(1)
    expect(bubble(page, "Good day")).to_be_focused()
    keys.press("c")
    expect(page.locator(".toast").last).to_have_text("Copied.")
    keys.press("r")
    expect(page.locator(".answering")).to_contain_text("Reply to")
    expect(field).to_be_focused()
    keys.type("Good evening")
    keys.press("Enter")
    expect(bubble(page, "Good evening").locator(".quote")).to_contain_text("Good day")

    # One's own: edited, deleted after a question.
    expect(bubble(page, "Good evening").locator(".ticks")).to_have_attribute("data-status", "sent")
    keys.press("Shift+F6")
    expect(bubble(page, "Good evening")).to_be_focused()
    keys.press("e")
    expect(field).to_have_value("Good evening")
    keys.type(", Ben")
    keys.press("Enter")
    expect(bubble(page, "Good evening, Ben")).to_be_visible()
    keys.press("Shift+F6")
    expect(bubble(page, "Good evening, Ben")).to_be_focused()
    keys.press("Delete")
    expect(page.get_by_role("alertdialog").get_by_role("button", name="Cancel")).to_be_focused()
    keys.press("Tab")
    keys.press("Enter")
    expect(page.locator(".message.gone")).to_have_count(1)

    # Found again.
    keys.press("Escape")
    keys.press("Escape")
    expect(page.locator("#welcome")).to_be_visible()
    keys.press("/")
    expect(page.get_by_role("searchbox", name="Search messages", exact=True)).to_be_focused()
    keys.press("Escape")
    keys.press("Control+k")
    keys.type(ben.username)
    keys.press("Enter")
    expect(page.locator("#thread-name")).to_have_text(ben.username)

    # A group, and its settings.
    tab_to(page, page.get_by_role("button", name="New group", exact=True))
    keys.press("Enter")
    expect(page.get_by_label("Group name", exact=True)).to_be_focused()
    keys.type("Hikers")
    keys.press("Tab")
    keys.type(ben.username)
    expect(page.locator("people-dialog .people .person")).to_have_count(1)
    keys.press("Enter")
    expect(page.locator(".chip")).to_have_count(1)
    tab_to(page, page.get_by_role("button", name="Create group"))
    keys.press("Enter")
    expect(page.locator("#thread-name")).to_have_text("Hikers")
    info = page.get_by_role("button", name="Group info")
    tab_to(page, info)
    keys.press("Enter")
    expect(dialog(page)).to_be_visible()
    tab_to(page, page.locator("conversation-info [data-key=name]"))
    keys.press("Control+a")
    keys.type("Ramblers")
    keys.press("Enter")
    expect(page.locator("#thread-name")).to_have_text("Ramblers")
    keys.press("Escape")
    expect(info).to_be_focused()

    # The settings.
    tab_to(page, page.get_by_label("Menu"))
    keys.press("Enter")
    tab_to(page, page.get_by_role("link", name="Settings"))
    keys.press("Enter")
    tab_to(page, page.get_by_label("Name", exact=True))
    keys.press("Control+a")
    keys.type("Ann the Second")
    keys.press("Enter")
    expect(page.get_by_role("status").first).to_have_text("Saved.")


def test_the_sheet_of_the_shortcuts_is_what_the_keys_do(person: Person, account: Callable[[str], Any]) -> None:
    page, ben = person(name("ann")), account(name("ben"))
    start_chat(page, ben.username)
    say(page, "Hello")
    expect(bubble(page, "Hello")).to_be_visible()
    page.keyboard.press("Shift+F6")
    expect(bubble(page, "Hello")).to_be_focused()
    page.keyboard.press("?")
    expect(dialog(page)).to_contain_text("Keyboard shortcuts")
    rows = page.evaluate("import('/static/js/keys.js').then(({GROUPS}) => GROUPS.flatMap(({rows}) => rows))")
    expect(dialog(page).locator("dt")).to_have_text([row["says"] for row in rows])
    # With the letters off, who types writes; what is no letter goes on.
    page.get_by_label("Keys of one letter act on messages").uncheck()
    page.keyboard.press("Escape")
    expect(bubble(page, "Hello")).to_be_focused()
    page.keyboard.type("right?")
    expect(page.get_by_label("Message", exact=True)).to_have_value("right?")
    expect(page.locator(".answering")).to_have_count(0)
    page.reload()
    page.wait_for_selector("#app[data-connection=online]")
    page.keyboard.press("Control+k")
    expect(page.locator("#search")).to_be_focused()
    page.get_by_label("Menu").click()
    page.get_by_role("button", name="Keyboard shortcuts").click()
    switch = page.get_by_label("Keys of one letter act on messages")
    expect(switch).not_to_be_checked()
    switch.check()
    page.keyboard.press("Escape")
    # Who has pointed at a message and types means to write, whatever the letter.
    bubble(page, "Hello").locator(".body").click()
    page.keyboard.type("really")
    expect(page.get_by_label("Message", exact=True)).to_have_value("right?really")


def test_what_is_said_in_another_conversation_is_heard(person: Person, account: Callable[[str], Any]) -> None:
    a, ben, cleo = person(name("ann")), account(name("ben")), account(name("cleo"))
    direct, group = ben.begin(me(a)), ben.begin(me(a), cleo.id, title="Hikers")
    noise = ben.begin(me(a), title="Noise")
    api(a, "PUT", f"conversations/{noise}/mute", {"until": "2100-01-01T00:00:00Z"})
    opened(a, ben.username)
    news = a.locator("#news")
    expect(news).to_have_attribute("role", "status")
    news.evaluate(
        """(node) => {
            globalThis.heard = [];
            const hear = () => node.textContent && heard.push(node.textContent);
            new MutationObserver(hear).observe(node, {childList: true});
        }"""
    )
    ben.say(noise, "noise")
    ben.say(direct, "in the open one")
    expect(a.locator(".conversation", has_text="Noise")).to_contain_text("noise")
    expect(bubble(a, "in the open one")).to_be_visible()
    cleo.say(group, "elsewhere")
    a.wait_for_function("() => heard.length > 0")
    # Heard with what is muted and what is open, had it been; and not more than what is new.
    assert a.evaluate("heard") == [f"{cleo.username}: new message in Hikers"]
    opened(a, "Hikers")
    expect(bubble(a, "elsewhere")).to_be_visible()
    ben.say(direct, "one")
    ben.say(direct, "two")
    expect(a.locator(".conversation", has=a.locator(".name", has_text=ben.username))).to_contain_text("two")
    a.wait_for_function("() => heard.length > 1")
    # One sentence, or, on a slow machine, one for each.
    assert re.fullmatch(f"(New message|2 new messages) from {ben.username}", a.evaluate("heard[1]"))
    assert violations(a) == []


def test_the_skip_link_and_the_parts_of_the_page(person: Person, account: Callable[[str], Any]) -> None:
    page, ben = person(name("ann")), account(name("ben"))
    for _ in range(3):
        account(name("p")).begin(me(page))
    start_chat(page, ben.username)
    page.keyboard.press("Escape")
    page.locator("body").focus()
    open_chat(page, ben.username)
    field = page.get_by_label("Message", exact=True)
    page.locator("#skip").focus()
    expect(page.locator("#skip")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(field).to_be_focused()
    # Tab stops once in the list, at what is open.
    page.locator("#search").focus()
    page.keyboard.press("Tab")
    expect(page.locator(".conversation[aria-current]")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    expect(page.locator(".sidebar :focus")).to_have_count(0)
    page.keyboard.press("F6")
    expect(page.locator(":focus")).to_have_count(1)


# --- colours, sizes, motion --------------------------------------------------------------------------


def test_in_forced_colours_states_are_still_told_apart(at: Callable[..., Any]) -> None:
    page, ben, _ = at("desktop", forced_colors="active")
    opened(page, ben.username)
    for selector in (".message.in .bubble", ".composer textarea", ".conversation[aria-current]", ".send"):
        edge = page.locator(selector).first.evaluate(
            "node => { const look = getComputedStyle(node); return look.borderTopStyle + look.outlineStyle; }"
        )
        assert edge != "nonenone", selector


def test_nothing_moves_for_who_does_not_want_it(at: Callable[..., Any]) -> None:
    page, ben, _ = at("desktop")
    # What would have moved, would have by then.
    page.add_init_script("addEventListener('animationstart', () => (window.moved = true), true)")
    page.reload()
    opened(page, ben.username)
    page.get_by_role("button", name="Contact info").click()
    expect(dialog(page)).to_be_visible()
    assert page.evaluate("document.getAnimations().length === 0 && !window.moved")


#: WCAG 1.4.12: somebody's own spacing.
_SPACING: Final = """
    * { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important; }
    p { margin-bottom: 2em !important; }
"""


@pytest.mark.parametrize("window", [(1280, 800), (390, 844), (640, 400)])
def test_wider_spacing_and_twice_the_size_cut_nothing_off(at: Callable[..., Any], window: tuple[int, int]) -> None:
    """A window of 1280 by 800 at 200 % is one of 640 by 400."""
    width, height = window
    page, ben, _ = at("desktop")
    page.set_viewport_size({"width": width, "height": height})
    # As a style sheet of one's own would.
    page.evaluate(
        "css => { const sheet = new CSSStyleSheet(); sheet.replaceSync(css); document.adoptedStyleSheets = [sheet]; }",
        _SPACING,
    )
    assert no_overflow(page)
    opened(page, ben.username)
    expect(page.get_by_label("Message", exact=True)).to_be_in_viewport()
    assert no_overflow(page)
    page.get_by_role("button", name="Contact info").click()
    expect(dialog(page)).to_be_visible()
    wide = "node => node.scrollWidth <= node.clientWidth"
    assert page.locator("conversation-info .dialog-body").evaluate(wide)
    last = dialog(page).get_by_role("button").last
    last.scroll_into_view_if_needed()
    expect(last).to_be_in_viewport()
    away(page)
