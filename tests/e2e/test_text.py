"""What people write is shown as they meant it, and as text: a corpus of attacks on the page, and the markers."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.pages import bubble, me, name, no_overflow, open_chat, say
from tests.e2e.test_look import PHONE

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

Person = Callable[..., Any]

#: Each would call ``pwned`` if any of it became markup, an address of a script, or a style.
ATTACKS = [
    "<script>pwned()</script>",
    "<img src=x onerror=pwned()>",
    "<svg/onload=pwned()>",
    "<svg><script>pwned()</script></svg>",
    "<iframe srcdoc='<script>parent.pwned()</script>'></iframe>",
    "<a href='javascript:pwned()'>x</a>",
    "<math><mtext><table><mglyph><style><img src=x onerror=pwned()>",
    "<noscript><p title='</noscript><img src=x onerror=pwned()>'>",
    "<style>@import 'javascript:pwned()'</style>",
    "<body onload=pwned()>",
    "<form action=javascript:pwned()><button>x</button></form>",
    "javascript:pwned()",
    "JaVaScRiPt:pwned()",
    "data:text/html,<script>pwned()</script>",
    'https://a.example/"onmouseover="pwned()',
    "https://a.example/'onfocus='pwned()'autofocus='",
    "https://javascript:pwned()@a.example/",
    "http://a.example/<script>pwned()</script>",
    "[x](javascript:pwned())",
    '![x](x"onerror="pwned())',
    "<javascript:pwned()>",
    "**<img src=x onerror=pwned()>**",
    "*<svg/onload=pwned()>*",
    "~~<script>pwned()</script>~~",
    "`<script>pwned()</script>`",
    "```\n<script>pwned()</script>\n```",
    '```"onmouseover="pwned()\nx\n```',
    "> <img src=x onerror=pwned()>",
    "- <img src=x onerror=pwned()>\n- </li></ul><script>pwned()</script>",
    "1. <script>pwned()</script>",
    "**`*<b>`** ~~**x",
    "&lt;script&gt;pwned()&lt;/script&gt;",
    "{{constructor.constructor('pwned()')()}}",
    "${pwned()}",
    "\u202e<script>pwned()</script>",
    "<scr\u0000ipt>pwned()</script>",
    "@all <img src=x onerror=pwned()>",
]
#: What the text of a message may be made of.
TAGS = {"A", "BLOCKQUOTE", "CODE", "DEL", "DIV", "EM", "LI", "OL", "P", "PRE", "SPAN", "STRONG", "UL"}
_LOOK = """(node) => [...node.querySelectorAll("*")].map((one) => [
    one.tagName, one.getAttributeNames(), one.getAttribute("href"), one.getAttribute("rel"),
])"""


def test_no_text_becomes_anything_but_text(person: Person, account: Callable[[str], Any]) -> None:
    a, ben = person(name("ann")), account(name("ben"))
    a.add_init_script("window.pwned = () => { window.wasPwned = true; };")
    a.reload()
    group = ben.begin(me(a), title="<img src=x onerror=pwned()>")
    sent = [ben.say(group, attack.replace("\u0000", "")) for attack in ATTACKS]
    ben.call("PUT", f"messages/{sent[1]}/pin")
    a.locator(".conversation", has_text="onerror").click()
    rows = a.locator("message-list .message")
    expect(rows).to_have_count(len(ATTACKS))
    for row in rows.all():
        row.hover()
        for tag, attributes, href, rel in row.locator(".body").evaluate(_LOOK):
            assert tag in TAGS
            assert not [it for it in attributes if it.startswith("on") or it in ("style", "src", "srcdoc", "action")]
            if tag == "A":
                assert href.startswith(("http://", "https://"))
                assert rel == "noopener noreferrer"
    # Where a text is shown again: answered, pinned, in the list, forwarded.
    rows.nth(1).hover()
    rows.nth(1).get_by_label("Reply").first.click()
    a.get_by_role("button", name="Group info").click()
    expect(a.get_by_role("dialog")).to_be_visible()
    a.keyboard.press("Escape")
    expect(a.locator("pinned-bar .pinned-go")).to_contain_text("<img src=x onerror=pwned()>")
    say(a, "<svg/onload=pwned()>")
    # As it was written, slanted, and in this answer.
    expect(bubble(a, "<svg/onload=pwned()>")).to_have_count(3)
    assert a.locator("message-list, pinned-bar, conversation-list").locator("script, iframe, svg script").count() == 0
    assert a.evaluate("window.wasPwned") is None


def test_markers_are_shown_as_what_they_mean(person: Person, account: Callable[[str], Any]) -> None:
    a, ben = person(name("ann")), account(name("ben"))
    conv = ben.begin(me(a))
    ben.say(conv, "**bold** and *slanted*, ~~gone~~, `a < b`, https://a.example/_b_ and snake_case")
    ben.say(conv, "To do:\n- milk\n- *fresh* bread\n3. then\n> he said\n```py\nif a < b:\n    **kwargs\n```")
    open_chat(a, ben.username)
    first, second = a.locator(".message .body").nth(0), a.locator(".message .body").nth(1)
    expect(first).to_have_text("bold and slanted, gone, a < b, https://a.example/_b_ and snake_case")
    for tag, text in (("strong", "bold"), ("em", "slanted"), ("del", "gone"), ("code", "a < b"), ("a", "_b_")):
        expect(first.locator(tag)).to_contain_text(text)
    expect(second.locator("ul li")).to_have_text(["milk", "fresh bread"])
    expect(second.locator("ol")).to_have_attribute("start", "3")
    expect(second.locator("blockquote")).to_have_text("he said")
    assert second.locator("pre").text_content() == "if a < b:\n    **kwargs"
    # On one line there is room for the words only.
    expect(a.locator(".conversation .preview")).to_contain_text("To do: • milk • fresh bread 3. then he said")


def test_long_code_scrolls_in_its_own_box(person: Person, account: Callable[[str], Any]) -> None:
    p, ben = person(name("pat"), **PHONE), account(name("ben"))
    conv = ben.begin(me(p))
    ben.say(conv, "```\n" + "x = 1; " * 100 + "\n```")
    open_chat(p, ben.username)
    code = p.locator(".message pre")
    expect(code).to_be_visible()
    assert code.evaluate("(node) => node.scrollWidth > node.clientWidth")
    assert no_overflow(p)
