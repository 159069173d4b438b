"""Pictures of what the pages look like, for docs/: of every state of ``test_states``, and those of the README.

::

    python -m tests.e2e.gallery

Each is made by the test that makes the state, with the same names every time. See docs/states.md.
"""

import sys
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import pytest
from PIL import Image

from tests.e2e.pages import no_overflow

ROOT: Final = Path(__file__).parents[2]
PLACE: Final = ROOT / "docs" / "images" / "states"
#: Of the two windows in one picture, in CSS pixels: wide and light, narrow and dark.
DESKTOP: Final = {"width": 1024, "height": 640}
PHONE: Final = {"width": 360, "height": 640}
_GAP: Final = 12
_QUALITY: Final = 72


#: The names of people in tests end in a number that nobody has (``pages.name``); in pictures they do not, also where
#: the page paints meanwhile.
_SAY_PLAINLY: Final = """() => {
    const said = [];
    const plainly = () => {
        const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        while (words.nextNode()) {
            const {data} = words.currentNode;
            const plain = data.replace(/\\b([a-z]+)[0-9a-f]{8}\\b/g, "$1");
            if (plain === data) continue;
            said.push([words.currentNode, data]);
            words.currentNode.data = plain;
        }
    };
    plainly();
    const watch = new MutationObserver(plainly);
    watch.observe(document.body, {subtree: true, childList: true, characterData: true});
    return {said, watch};
}"""
_SAY_AGAIN: Final = """({said, watch}) => {
    watch.disconnect();
    for (const [node, data] of said) node.data = data;
}"""


def shot(page: Any) -> Image.Image:
    """Return what the page's window shows, with nothing that moves, and nothing pointed at."""
    window = page.viewport_size
    page.mouse.move(window["width"] - 1, window["height"] - 1)
    said = page.evaluate_handle(_SAY_PLAINLY)
    data = page.screenshot(animations="disabled", caret="hide")
    page.evaluate(_SAY_AGAIN, said)
    return Image.open(BytesIO(data)).convert("RGB")


def both(page: Any, part: str | None = None) -> Image.Image:
    """Return a page, or what is at ``part`` of it, as it is on a desktop by day and on a phone by night.

    Nothing may be cut off at either.
    """
    before = page.viewport_size
    looks = []
    for window, scheme in ((DESKTOP, "light"), (PHONE, "dark")):
        page.set_viewport_size(window)
        page.emulate_media(color_scheme=scheme)
        # What follows the window does so with the next picture.
        page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        if part:
            page.evaluate("part => document.querySelector(part).scrollIntoView()", part)
        assert no_overflow(page), window
        looks.append(shot(page))
    page.set_viewport_size(before)
    page.emulate_media(color_scheme="light")
    whole = Image.new("RGB", (sum(one.width for one in looks) + _GAP, DESKTOP["height"]), "#808696")
    whole.paste(looks[0], (0, 0))
    whole.paste(looks[1], (looks[0].width + _GAP, 0))
    return whole


def keep(picture: Image.Image, name: str) -> None:
    """Put a picture where docs/states.md finds it."""
    PLACE.mkdir(parents=True, exist_ok=True)
    picture.save(PLACE / f"{name}.webp", quality=_QUALITY, method=6)


def readme() -> None:
    """Make the pictures of the README: the demo, on a desktop and on a phone at night."""
    from playwright.sync_api import sync_playwright

    from messaging import demo
    from tests.e2e.conftest import open_browser
    from tests.process.stacks import Running

    with tempfile.TemporaryDirectory() as directory, sync_playwright() as playwright:
        running = Running(Path(directory) / "data", "--demo", "--no-worker")
        try:
            running.wait_until_ready()
            browser = open_browser(playwright)
            url = f"http://127.0.0.1:{running.port}"
            for name, looks in {
                "desktop": {"viewport": {"width": 1280, "height": 800}},
                "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "has_touch": True},
            }.items():
                page = browser.new_context(**looks).new_page()
                page.goto(f"{url}/accounts/login/")
                page.get_by_label("User name or e-mail").fill("alice")
                page.get_by_label("Password", exact=True).fill(demo.PASSWORD)
                page.get_by_role("button", name="Sign in", exact=True).click()
                page.wait_for_selector("#app[data-connection=online]")
                page.locator(".conversation", has_text="Lake weekend").click()
                page.locator(".message").last.wait_for()
                page.screenshot(path=ROOT / "docs" / "images" / f"{name}.png", animations="disabled", caret="hide")
                page.context.close()
            browser.close()
        finally:
            running.end()


if __name__ == "__main__":
    failed = pytest.main([str(Path(__file__).with_name("test_states.py")), "--gallery", "-q", "-p", "no:xdist"])
    if not failed:
        readme()
    sys.exit(failed)
