"""A corpus of strings that run as scripts where a page is careless, in every field that others read, in a real browser.

Each calls ``xss()``, which tells the test. Nothing calls it, nothing becomes an element, and the policy has nothing to
refuse: what people write is text wherever it is shown.
"""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from django.conf import settings

from tests.e2e.pages import api, bubble, me, name, start_chat
from tests.e2e.test_media import drop
from tests.media.objects import picture

if TYPE_CHECKING:
    from tests.e2e.conftest import Server

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

Person = Callable[..., Any]

#: As message bodies; each with the element or address that it tries to become.
CORPUS = [
    "<script>xss()</script>",
    "<ScRiPt/x>xss()</sCrIpT >",
    "<img src=x onerror=xss()>",
    '"><img src=x onerror=xss()>',
    "'><svg/onload=xss()>",
    "<svg><script>xss()</script></svg>",
    "<svg><animate onbegin=xss() attributeName=x dur=1s>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=xss()&gt;'>",
    "<iframe src=javascript:parent.xss()></iframe>",
    "<iframe srcdoc='<script>parent.xss()</script>'></iframe>",
    "<body onload=xss()>",
    "<details open ontoggle=xss()>x",
    "<video><source onerror=xss()></video>",
    "<input autofocus onfocus=xss()>",
    "<object data=javascript:xss()></object>",
    "<embed src=javascript:xss()>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content='0;url=javascript:xss()'>",
    "<link rel=stylesheet href=data:text/css,*{}>",
    "<form action=javascript:xss()><button>x</button></form>",
    "<a href=javascript:xss()>x</a>",
    "<template><script>xss()</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=xss()>'>",
    "</textarea><script>xss()</script>",
    "</title><script>xss()</script>",
    "<!--><script>xss()</script>-->",
    "<![CDATA[<script>xss()</script>]]>",
    "javascript:xss()",
    "jAvAsCrIpT:xss()",
    "java\tscript:xss()",
    "data:text/html,<script>xss()</script>",
    "vbscript:xss()",
    "[x](javascript:xss())",
    "![x](x onerror=xss())",
    'https://example.com/"onmouseover="xss()',
    "https://example.com/'onmouseover='xss()",
    "https://example.com/<script>xss()</script>",
    "https://javascript:xss()@example.com/",
    "https://example.com/`onclick=xss()`",
    "{{constructor.constructor('xss()')()}}",
    "${xss()}",
    "#{xss()}",
    "<%= xss() %>",
    "{% load x %}{{ settings.SECRET_KEY }}",
    "';xss();//",
    '";xss();//',
    "\\u003cscript\\u003exss()\\u003c/script\\u003e",
    "&lt;script&gt;xss()&lt;/script&gt;",
    "&#60;script&#62;xss()&#60;/script&#62;",
    "%3Cscript%3Exss()%3C/script%3E",
    "+ADw-script+AD4-xss()+ADw-/script+AD4-",
    "\ufeff<script>xss()</script>",
    "<scr\u200bipt>xss()</scr\u200bipt>",
    "\uff1cscript\uff1exss()\uff1c/script\uff1e",
    "\u202e<script>xss()</script>",
    "__proto__",
    "constructor",
    '{"__proto__": {"xss": 1}}',
]
#: As names, which are shorter.
NAMES = [
    "<img src=x onerror=xss()>",
    '"><svg/onload=xss()>',
    "</title><script>xss()</script>",
    "javascript:xss()",
    "{{constructor.constructor('xss()')()}}",
    "__proto__",
]

#: Elements that nobody's text may become; our own pages have none of these inside of what people write.
_FOREIGN = "iframe, object, embed, base, meta[http-equiv], math, video, form[action^='javascript'], script:not([src])"

_HOVER = """() => document.querySelectorAll("a, button, .message").forEach(
    (one) => one.dispatchEvent(new MouseEvent("mouseover")))"""


@pytest.fixture
def worker(server: "Server") -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "manage.py", "worker"], cwd=settings.BASE_DIR, env=server.environment)
    yield
    process.send_signal(signal.SIGTERM)
    process.wait(30)


def watched(page: Any) -> list[str]:
    """Return what will list the calls of ``xss`` and all that the policy refuses, on this page and after a reload."""
    ran: list[str] = []
    page.expose_function("xss", lambda *_: ran.append("xss"))
    page.expose_function("refused", lambda what: ran.append(what))
    listen = (
        "addEventListener('securitypolicyviolation', (event) => refused(`${event.violatedDirective} ${event.sample}`));"
    )
    page.add_init_script(listen)
    page.evaluate(listen)
    page.on("dialog", lambda dialog: (ran.append("dialog"), dialog.dismiss()))
    return ran


def assert_clean(page: Any, ran: list[str]) -> None:
    """Nothing ran, nothing is there that nobody put there, and every link leads to the web."""
    page.evaluate(_HOVER)
    assert ran == []
    assert page.locator(_FOREIGN).count() == 0
    inside = ".message .body, .conversation .name, .conversation .preview, #thread-name, .quote, .event, .person"
    for element in page.locator(inside).all():
        names = element.evaluate("(one) => [...one.querySelectorAll('*')].flatMap((it) => it.getAttributeNames())")
        assert not [name for name in names if name.startswith("on")]
    for address in page.locator("a[href]").evaluate_all("(links) => links.map((one) => new URL(one.href).protocol)"):
        assert address in ("http:", "https:")
    assert page.evaluate("({}).xss") is None
    assert page.title() != ""


def _unmarked(text: str) -> str:
    return re.sub(r"[`*_~]", "", text).strip()


def test_no_text_of_a_message_runs(person: Person, account: Callable[[str], Any]) -> None:
    ann, ben = name("ann"), account(name("ben"))
    a = person(ann)
    ran = watched(a)
    conv = ben.begin(me(a))
    a.locator(".conversation").click()
    for start in range(0, len(CORPUS), 20):
        for body in CORPUS[start : start + 20]:
            ben.say(conv, body)
        # While they come, each is the newest: it is in the list of conversations as well.
        expect(a.locator(".message .body")).to_have_count(min(start + 20, len(CORPUS)))
        assert_clean(a, ran)
    shown = a.locator(".message .body").evaluate_all("(all) => all.map((one) => one.textContent)")
    # Markers that are shown as what they mean are no part of the text any more.
    assert [_unmarked(text) for text in shown] == [_unmarked(body) for body in CORPUS]
    # Answered, edited and after a reload, out of the browser's own store.
    results = ben.call("GET", f"conversations/{conv}/messages?limit=1")["results"]
    api(
        a,
        "POST",
        f"conversations/{conv}/messages",
        {"msg_id": str(uuid4()), "body": CORPUS[2], "reply_to": results[0]["server_id"]},
    )
    expect(a.locator(".quote")).to_have_count(1)
    ben.call("PATCH", f"messages/{results[0]['server_id']}", {"msg_id": str(uuid4()), "body": CORPUS[3]})
    # Where it was, where it is now, and where it is quoted.
    expect(bubble(a, CORPUS[3])).to_have_count(3)
    a.reload()
    expect(bubble(a, CORPUS[3])).to_have_count(3)
    assert_clean(a, ran)


@pytest.mark.parametrize("text", NAMES)
def test_no_name_runs(person: Person, account: Callable[[str], Any], expected: list[str], text: str) -> None:
    """Of a person and of a group: in list, header, members, events, mentions, dialogs, settings, addresses."""
    # A conversation that the address names, and that is none.
    expected.append("404")
    a, b = person(name("ann")), person(name("ben"))
    ran_a, ran_b = watched(a), watched(b)
    api(b, "PATCH", "me", {"display_name": text})
    cat = account(name("cat"))
    group = cat.begin(me(a), me(b), title=text)
    api(b, "POST", f"conversations/{group}/messages", {"msg_id": str(uuid4()), "body": text})
    a.locator(".conversation").click()
    expect(a.locator("#thread-name")).to_have_text(text)
    expect(a.locator(".message .body")).to_have_text([text])
    expect(a.locator(".message")).to_contain_text(text)
    a.get_by_role("button", name="Group info").click()
    expect(a.locator("conversation-info .person", has_text=text)).to_have_count(1)
    assert_clean(a, ran_a)
    a.keyboard.press("Escape")
    a.get_by_label("Message", exact=True).press_sequentially("@")
    assert_clean(a, ran_a)
    a.keyboard.press("Escape")
    a.get_by_role("button", name="New chat", exact=True).click()
    a.get_by_label("People", exact=True).fill(b.locator("#app").get_attribute("data-username"))
    expect(a.locator("people-dialog .person")).to_contain_text([text])
    assert_clean(a, ran_a)
    # One's own name: in the page's attributes, and in the form of the settings.
    b.reload()
    expect(b.locator(".me-name")).to_have_text(text)
    assert_clean(b, ran_b)
    b.goto(b.url.split("#")[0].rstrip("/") + "/settings/")
    expect(b.get_by_label("Name", exact=True)).to_have_value(text)
    assert ran_b == []
    # And in an address.
    b.goto(b.url.replace("/settings/", "/#") + json.dumps(text))
    assert_clean(b, ran_b)


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    "filename", ["<img src=x onerror=xss()>.png", '"><svg onload=xss()>.png', "javascript:xss().png"]
)
def test_no_name_of_a_file_runs_and_no_file_does(person: Person, filename: str) -> None:
    a, b = person(name("ann")), person(name("ben"))
    ran = watched(b)
    other = b.locator("#app").get_attribute("data-username")
    start_chat(a, other)
    drop(a, filename, "image/png", picture(40, 30))
    drop(
        a,
        filename.replace(".png", ".svg"),
        "image/svg+xml",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='xss()'/>",
    )
    drop(a, filename.replace(".png", ".html"), "text/html", b"<script>opener.xss();parent.xss();xss()</script>")
    expect(a.locator(".tray li[data-state=ready]")).to_have_count(3)
    a.get_by_role("button", name="Send", exact=True).click()
    b.locator(".conversation").click()
    expect(b.locator(".message.in .picture.loaded")).to_be_visible()
    b.locator(".message.in .picture").click()
    expect(b.locator("media-lightbox .lightbox-caption")).to_contain_text("xss()")
    assert_clean(b, ran)
    b.keyboard.press("Escape")
    # Opened by its address, a page that somebody uploaded is saved and not shown.
    files = b.locator(".message.in a[href*='/v1/media/']").evaluate_all("(all) => all.map((one) => one.href)")
    assert len(files) == 2
    for address in files:
        with b.expect_download(), pytest.raises(sync_api.Error):
            b.goto(address)
    assert ran == []
