"""The page in each language: its words, its direction, and nothing wider than the window."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import pytest

from chatproject import translations
from chatproject.translations import Message
from tests.e2e.conftest import PASSWORD
from tests.e2e.pages import bubble, name

if TYPE_CHECKING:
    from tests.e2e.conftest import Server

#: Folder of the catalogues -> what the browser asks for, the page's direction, and the name of an emoji.
BROWSERS: Final = {
    "de": ("de-AT", "ltr", "Geburtstagskuchen"),
    "es": ("es-MX", "ltr", "tarta de cumpleaños"),
    "ar": ("ar-EG", "rtl", "كعكة عيد ميلاد"),
    "zh_Hans": ("zh-CN", "ltr", "生日蛋糕"),
}

_REFUSED = (
    "You refused notifications of this site. To have them, allow them in the browser's settings for this address, and"
    " reload this page."
)
_SAID = """() => {
    const said = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const unseen = (text) => text.parentElement.closest("script, style");
    while (texts.nextNode()) if (!unseen(texts.currentNode)) said.push(texts.currentNode.data);
    for (const name of ["aria-label", "title", "placeholder"])
        for (const node of document.querySelectorAll(`[${name}]`)) said.push(node.getAttribute(name));
    return said.map((text) => text.trim()).filter(Boolean);
}"""


def words(language: str) -> Callable[[str], str]:
    """Return what finds the words of a language for an English text."""
    texts = {one.one: forms for domain in translations.DOMAINS for one, forms in read(language, domain).items()}
    return lambda text: texts[text][0]


def read(language: str, domain: str) -> dict[Message, list[str]]:
    return translations.read(language, domain).texts


def look(page: Any, language: str) -> None:
    """Nothing on the page is English that need not be, and nothing is wider than the window."""
    english = {
        text
        for domain in translations.DOMAINS
        for message, forms in read(language, domain).items()
        for text in (message.one, message.several)
        if text and text not in forms
    }
    assert english & set(page.evaluate(_SAID)) == set()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


@pytest.mark.parametrize("language", BROWSERS)
def test_who_reads_another_language_uses_all_of_it(
    language: str, server: "Server", visit: Callable[..., Any], account: Callable[[str], Any]
) -> None:
    (locale, direction, cake), said = BROWSERS[language], words(language)
    page = visit(locale=locale)
    page.goto(f"{server.url}/accounts/signup/")
    assert page.locator("html").get_attribute("dir") == direction
    assert page.locator("html").get_attribute("lang") == translations.LANGUAGES[language][0]
    look(page, language)
    page.locator("[name=username]").fill(name("lea"))
    page.locator("[name=password1]").fill(PASSWORD)
    page.get_by_role("button", name=said("Create account"), exact=True).click()
    page.wait_for_selector("#app[data-connection=online]")
    page.get_by_text(said("No conversations yet"), exact=True).wait_for()
    look(page, language)

    other = account(name("bob"))
    group = other.begin(str(page.locator("#app").get_attribute("data-user")), title="Ramblers")
    page.locator(".conversation", has_text="Ramblers").click()
    page.get_by_role("button", name=said("Emoji"), exact=True).click()
    page.get_by_role("searchbox", name=said("Search emoji"), exact=True).fill(cake)
    page.get_by_role("button", name=cake, exact=True).wait_for()
    look(page, language)
    page.keyboard.press("Escape")
    page.get_by_role("textbox", name=said("Message"), exact=True).fill("guten مرحبا 你好")
    page.get_by_role("button", name=said("Send"), exact=True).click()
    bubble(page, "guten مرحبا 你好").wait_for()
    other.say(group, "Hello yourself")
    bubble(page, "Hello yourself").locator(".bubble").click(button="right")
    page.get_by_role("menuitem", name=said("Reply"), exact=True).wait_for()
    look(page, language)
    page.keyboard.press("Escape")
    page.locator("#thread-info").click()
    page.get_by_role("button", name=said("Leave group"), exact=True).wait_for()
    page.set_viewport_size({"width": 360, "height": 740})
    look(page, language)
    page.keyboard.press("Escape")
    page.locator("conversation-info dialog").wait_for(state="hidden")
    look(page, language)

    page.goto(f"{server.url}/settings/")
    page.get_by_text(said("This browser shows no notifications."), exact=True).or_(
        page.get_by_text(said(_REFUSED), exact=True)
    ).wait_for()
    look(page, language)


def test_the_choice_in_the_settings_is_for_the_whole_site(server: "Server", person: Callable[..., Any]) -> None:
    page = person(name("ann"))
    page.goto(f"{server.url}/settings/")
    page.locator("[name=language]").select_option("ar")
    page.locator("form[action='/settings/profile'] button[type=submit]").click()
    page.get_by_text(words("ar")("Saved."), exact=True).wait_for()
    assert page.locator("html").get_attribute("dir") == "rtl"
    page.goto(server.url)
    page.wait_for_selector("#app[data-connection=online]")
    # What leads back is on the side where one begins to read.
    sidebar, main = page.locator(".sidebar").bounding_box(), page.locator(".main").bounding_box()
    assert sidebar["x"] > main["x"]
    # Not from a page that still asks for something, which would be refused.
    page.goto("about:blank")
    page.context.clear_cookies(name="sessionid")
    page.goto(f"{server.url}/accounts/login/")
    page.get_by_role("button", name="English", exact=True).click()
    page.get_by_role("heading", name="Welcome back").wait_for()
    assert page.locator("html").get_attribute("dir") == "ltr"
