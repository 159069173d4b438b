"""Files: dropped, uploaded through a bad connection, seen by the other side; voice notes."""

import signal
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings

from tests.e2e.pages import api, me, name, no_overflow, open_chat, start_chat
from tests.e2e.test_look import PHONE
from tests.media.objects import picture

if TYPE_CHECKING:
    from tests.e2e.conftest import Server

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

Person = Callable[..., Any]

_DROP = """([name, type, base64]) => {
    const bytes = Uint8Array.from(atob(base64), (one) => one.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], name, {type}));
    const thread = document.getElementById("thread");
    for (const step of ["dragenter", "dragover", "drop"])
        thread.dispatchEvent(new DragEvent(step, {dataTransfer, bubbles: true, cancelable: true}));
}"""


def drop(page: Any, filename: str, kind: str, data: bytes) -> None:
    """Let a file fall onto the open conversation."""
    page.evaluate(_DROP, [filename, kind, b64encode(data).decode()])


@pytest.fixture
def worker(server: "Server") -> Iterator[None]:
    """The job worker, beside the server."""
    process = subprocess.Popen([sys.executable, "manage.py", "worker"], cwd=settings.BASE_DIR, env=server.environment)
    yield
    process.send_signal(signal.SIGTERM)
    process.wait(30)


@pytest.mark.usefixtures("worker")
def test_a_picture_is_dropped_and_looked_at_on_the_other_side(person: Person) -> None:
    a, b = person(name("ann"), permissions=["microphone"]), person(name("ben"))
    start_chat(a, b.locator("#app").get_attribute("data-username"))
    drop(a, "holiday.png", "image/png", picture(1600, 1200))
    expect(a.locator(".tray li[data-state=ready]")).to_have_count(1)
    a.get_by_role("button", name="Send", exact=True).click()
    expect(a.locator(".tray li")).to_have_count(0)

    expect(b.locator(".conversation .preview")).to_contain_text("Photo")
    open_chat(b, a.locator("#app").get_attribute("data-display-name"))
    shown = b.locator(".message.in .picture.loaded img:not(.preview)")
    expect(shown).to_be_visible()
    assert shown.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [640, 480]
    box = b.locator(".message.in .picture").bounding_box()
    assert abs(box["width"] / box["height"] - 4 / 3) < 0.02
    assert no_overflow(b)

    # By the keyboard: in, kept inside, and back to where one was.
    b.locator(".message.in .picture").focus()
    b.keyboard.press("Enter")
    full = b.locator("media-lightbox dialog[open] > img")
    expect(full).to_be_visible()
    expect(b.locator("media-lightbox dialog:not(.loading)")).to_be_visible()
    assert full.evaluate("image => image.naturalWidth") == 1600
    for _ in range(5):
        b.keyboard.press("Tab")
        assert b.evaluate(
            "!document.activeElement || document.activeElement === document.body "
            "|| Boolean(document.activeElement.closest('media-lightbox'))"
        )
    b.keyboard.press("Escape")
    expect(b.locator("media-lightbox dialog[open]")).to_have_count(0)
    expect(b.locator(".message.in .picture")).to_be_focused()

    # A voice note from this page's own microphone.
    a.get_by_role("button", name="Record a voice note").click()
    expect(a.locator(".recording-clock")).to_have_text("0:01")
    a.get_by_role("button", name="Finish the recording").click()
    expect(a.locator(".tray li[data-state=ready]")).to_have_count(1)
    a.get_by_role("button", name="Send", exact=True).click()
    note = b.locator(".message.in .sound")
    note.get_by_role("button", name="Play voice note").click()
    expect(note.get_by_role("button", name="Pause")).to_be_visible()
    expect(b.locator(".conversation .preview")).to_contain_text("Voice note")


@pytest.mark.usefixtures("worker")
def test_an_upload_goes_on_after_a_broken_connection_and_can_be_cancelled(person: Person, expected: list[str]) -> None:
    expected.append("ERR_FAILED")
    a, b = person(name("ann")), person(name("ben"))
    start_chat(a, b.locator("#app").get_attribute("data-username"))
    data = bytes(range(256)) * (3 * 4096)
    sent, broken = [], True

    def through(route: Any) -> None:
        number = route.request.url.rsplit("/", 1)[-1]
        if broken and number != "1":
            route.abort()
            return
        sent.append(number)
        route.continue_()

    a.route("**/v1/media/*/parts/*", through)
    drop(a, "data.bin", "application/octet-stream", data)
    expect(a.locator(".tray li[data-state=waiting]")).to_contain_text("No connection")
    expect(a.get_by_role("button", name="Send", exact=True)).to_be_disabled()
    broken = False
    a.evaluate("window.dispatchEvent(new Event('online'))")
    expect(a.locator(".tray li[data-state=ready]")).to_have_count(1)
    assert sent == ["1", "2", "3"], "what was there was not sent again"

    # Another one is given up in the middle, and leaves nothing.
    broken = True
    drop(a, "other.bin", "application/octet-stream", data + b"x")
    expect(a.locator(".tray li[data-state=waiting]")).to_have_count(1)
    with a.expect_request(lambda request: request.method == "DELETE") as cancelled:
        a.get_by_role("button", name="Remove other.bin").click()
    assert cancelled.value.response().status == 204
    a.get_by_role("button", name="Send", exact=True).click()
    open_chat(b, a.locator("#app").get_attribute("data-display-name"))
    card = b.locator(".message.in .file")
    expect(card).to_contain_text("data.bin")
    with b.expect_download() as saving:
        card.click()
    assert saving.value.suggested_filename == "data.bin"
    assert saving.value.path().read_bytes() == data


@pytest.mark.usefixtures("worker")
def test_a_group_has_a_picture(person: Person, account: Callable[[str], Any]) -> None:
    a, ben = person(name("ann")), account(name("ben"))
    group = ben.begin(str(a.locator("#app").get_attribute("data-user")), title="Hikers")
    ben.call(
        "PATCH", f"conversations/{group}/members/{a.locator('#app').get_attribute('data-user')}", {"role": "admin"}
    )
    open_chat(a, "Hikers")
    a.get_by_role("button", name="Group info").click()
    with a.expect_file_chooser() as chooser:
        a.get_by_role("button", name="Add picture").click()
    chooser.value.set_files({"name": "us.png", "mimeType": "image/png", "buffer": picture(900, 600)})
    expect(a.get_by_role("button", name="Remove picture")).to_be_visible()
    for place in (".info-head", ".conversation", ".thread-who"):
        shown = a.locator(f"{place} .avatar img")
        expect(shown).to_have_count(1)
        assert shown.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 640
    a.get_by_role("button", name="Remove picture").click()
    expect(a.locator(".avatar img")).to_have_count(0)
    a.keyboard.press("Escape")
    expect(a.locator(".event", has_text="You changed the group's picture")).to_have_count(2)


@pytest.mark.usefixtures("worker")
def test_a_person_has_a_picture_that_others_see_wherever_they_are(
    person: Person, account: Callable[[str], Any], server: "Server"
) -> None:
    ben_name = name("ben")
    a, b, cat = person(name("ann")), person(ben_name, **PHONE), account(name("cat"))
    ben = me(b)
    cat.say(cat.begin(ben, me(a), title="Hikers"), "Sunday at nine?")
    b.locator(".me").tap()
    expect(b.get_by_role("button", name="Remove picture")).to_be_hidden()
    with b.expect_file_chooser() as chooser:
        b.get_by_role("button", name="Add picture").tap()
    chooser.value.set_files({"name": "no.png", "mimeType": "image/png", "buffer": b"%PDF-1.7 and so on"})
    expect(b.get_by_role("group", name="Your picture")).to_contain_text("Refused: this is no picture.")
    with b.expect_file_chooser() as chooser:
        b.get_by_role("button", name="Add picture").tap()
    chooser.value.set_files({"name": "me.png", "mimeType": "image/png", "buffer": picture(900, 600)})
    expect(b.get_by_role("group", name="Your picture")).to_contain_text("Saved.")
    expect(b.get_by_role("button", name="Change picture")).to_be_focused()
    assert no_overflow(b)
    b.get_by_role("link", name="Back to the chat").tap()
    b.wait_for_selector("#app[data-connection=online]")
    expect(b.locator("#my-avatar img")).to_be_visible()
    b.locator(".conversation", has_text="Hikers").tap()
    b.get_by_label("Message", exact=True).fill("Yes")
    b.get_by_role("button", name="Send", exact=True).tap()

    a.reload()
    a.wait_for_selector("#app[data-connection=online]")
    seen: list[Any] = []

    def shown(place: str) -> None:
        image = a.locator(f"{place} .avatar img")
        expect(image).to_have_count(1)
        seen.append(image.evaluate("(image) => image.decode().then(() => [image.naturalWidth, image.naturalHeight])"))

    asked: list[str] = []
    a.on("request", lambda request: asked.append(request.url) if f"users/{ben}/picture" in request.url else None)
    open_chat(a, "Hikers")
    shown(".message.in:has-text('Yes')")
    a.get_by_label("Message", exact=True).fill(f"@{ben_name}")
    shown("mention-list")
    a.keyboard.press("Escape")
    a.get_by_role("button", name="Group info").click()
    shown(f"conversation-info .person:has-text('@{ben_name}')")
    a.locator("conversation-info .person-who", has_text=f"@{ben_name}").click()
    shown("profile-dialog .info-head")
    a.locator("profile-dialog").get_by_role("button", name="Write a message").click()
    shown(".thread-who")
    shown(".conversation[aria-current]")
    a.get_by_role("button", name="New chat", exact=True).click()
    expect(a.locator("people-dialog dialog")).to_be_visible()
    a.locator("people-dialog input[name=people]").fill(ben_name)
    shown("people-dialog .people")
    assert seen == [[256, 256]] * 7
    assert len(set(asked)) == 1
    a.keyboard.press("Escape")

    # Across a block there are initials.
    api(a, "PUT", f"blocks/{ben}")
    a.reload()
    expect(a.locator(".thread-who .avatar")).to_be_visible()
    expect(a.locator(".avatar img")).to_have_count(0)

    b.goto(f"{server.url}/settings/")
    b.get_by_role("button", name="Remove picture").tap()
    expect(b.get_by_role("button", name="Add picture")).to_be_focused()
    assert api(b, "GET", "me")["picture"] is None
