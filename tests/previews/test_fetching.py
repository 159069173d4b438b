"""Whatever a page sends: bounded in time and size, and what is shown of it is text and a picture drawn anew."""

import asyncio
import gzip
import time
import zlib
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from messaging.previews import fetching
from messaging.previews.fetching import Found
from messaging.previews.pages import decoded, read_page
from tests.media import objects
from tests.previews.site import PAGE, Site, answering, bomb, endless, leading


def page(head: str) -> bytes:
    return f"<html><head>{head}</head><body></body></html>".encode()


async def fetched(site: Site, path: str = "/") -> Found:
    async with site.fetcher() as fetcher:
        return await fetcher.fetch(f"{site.url}{path}")


async def test_title_description_and_picture(site: Site) -> None:
    site.pages["/"] = page(
        '<title>Plain</title><meta property="og:title" content="Open &amp; Graph"><meta property="og:description" '
        'content=" About\n it "><meta property="og:image" content="/pictures/one.png">'
    )
    site.pages["/pictures/one.png"] = answering(objects.picture(1200, 800), "image/png")
    found = await fetched(site)
    assert (found.title, found.description) == ("Open & Graph", "About it")
    assert found.image is not None
    with Image.open(BytesIO(found.image.data)) as image:
        assert (image.format, image.size) == ("WEBP", (640, 427))
        assert (found.image.width, found.image.height) == image.size


async def test_a_page_without_open_graph(site: Site) -> None:
    site.pages["/"] = PAGE
    assert await fetched(site) == Found("A title", "What it is about")
    site.pages["/bare"] = page("<meta name=description content=x>")
    assert await fetched(site, "/bare") == Found()


async def test_the_request_says_what_it_is_and_carries_nothing(site: Site) -> None:
    def answer(handler: Any) -> None:
        handler.send_response(302)
        handler.send_header("Set-Cookie", "session=1")
        handler.send_header("Location", "/next")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    site.pages["/"], site.pages["/next"] = answer, PAGE
    assert (await fetched(site)).title == "A title"
    for _, headers in site.asked:
        assert headers["user-agent"].startswith("ChatLinkPreview/")
        assert not headers.keys() & {"cookie", "authorization", "referer", "origin", "x-forwarded-for"}


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "application/octet-stream", "", "image/svg+xml", "text/xml"]
)
async def test_nothing_but_pages(site: Site, content_type: str) -> None:
    site.pages["/"] = answering(PAGE, content_type)
    assert await fetched(site) == Found()


@pytest.mark.parametrize("status", [204, 206, 400, 401, 404, 500])
async def test_nothing_but_success(site: Site, status: int) -> None:
    def answer(handler: Any) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", "text/html")
        handler.send_header("Content-Length", "0" if status == 204 else str(len(PAGE)))
        handler.end_headers()
        if status != 204:
            handler.wfile.write(PAGE)

    site.pages["/"] = answer
    assert await fetched(site) == Found()


async def test_what_does_not_end_is_left(site: Site) -> None:
    site.pages["/"] = endless(site, b"x" * 65_536)
    began = time.monotonic()
    assert (await fetched(site)).title == "Endless"
    assert time.monotonic() - began < fetching.DEADLINE_S


async def test_what_trickles_is_left(site: Site, monkeypatch: Any) -> None:
    monkeypatch.setattr(fetching, "DEADLINE_S", 0.5)
    site.pages["/"] = endless(site, b" ", pause_s=0.02)
    began = time.monotonic()
    assert await fetched(site) == Found()
    assert time.monotonic() - began < 4


async def test_a_slow_picture_costs_the_picture(site: Site, monkeypatch: Any) -> None:
    monkeypatch.setattr(fetching, "DEADLINE_S", 1.0)

    def slow(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "image/png")
        handler.end_headers()
        site.ended.wait(20)

    site.pages["/"] = page('<title>T</title><meta property="og:image" content="/slow.png">')
    site.pages["/slow.png"] = slow
    assert await fetched(site) == Found("T")


async def test_a_bomb_is_unpacked_no_further_than_is_read(site: Site) -> None:
    """300 MiB in 300 KiB: unpacked as a whole it would be in memory several times."""
    import tracemalloc

    site.pages["/"] = bomb()
    tracemalloc.start()
    try:
        found = await fetched(site)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.title == "Boom"
    assert peak < 24 * 1024 * 1024


async def test_packed_pages_are_read(site: Site) -> None:
    site.pages["/gzip"] = answering(gzip.compress(PAGE), Content_Encoding="gzip")
    site.pages["/deflate"] = answering(zlib.compress(PAGE), Content_Encoding="deflate")
    site.pages["/br"] = answering(PAGE, Content_Encoding="br")
    site.pages["/broken"] = answering(PAGE, Content_Encoding="gzip")
    titles = [(await fetched(site, path)).title for path in ("/gzip", "/deflate", "/br", "/broken")]
    assert titles == ["A title", "A title", "", ""]


@pytest.mark.parametrize(
    ("name", "body", "content_type"),
    [
        ("bomb.png", objects.bomb(), "image/png"),
        ("large.png", b"\x89PNG\r\n\x1a\n" + bytes(fetching.MAX_PICTURE_BYTES + 1), "image/png"),
        ("page.png", PAGE, "image/png"),
        ("cut.png", objects.picture()[:200], "image/png"),
        ("svg.svg", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image/svg+xml"),
        ("text.png", objects.picture(), "text/html"),
    ],
    ids=lambda it: it if isinstance(it, str) and "." in it else "",
)
async def test_a_picture_that_is_none_costs_the_picture(site: Site, name: str, body: bytes, content_type: str) -> None:
    site.pages["/"] = page(f'<title>T</title><meta property="og:image" content="/{name}">')
    site.pages[f"/{name}"] = answering(body, content_type)
    assert await fetched(site) == Found("T")
    assert site.paths() == ["/", f"/{name}"]


async def test_a_picture_elsewhere_is_looked_at_as_any_address(site: Site) -> None:
    for number, address in enumerate(
        [
            "http://169.254.169.254/x.png",
            "file:///etc/passwd",
            "data:image/png;base64,AAAA",
            "//10.0.0.1/x.png",
            "http://[",
        ]
    ):
        site.pages[f"/{number}"] = page(f'<title>T</title><meta property="og:image" content="{address}">')
        assert await fetched(site, f"/{number}") == Found("T")
    site.pages["/moved"] = page('<title>T</title><meta property="og:image" content="/away.png">')
    site.pages["/away.png"] = leading("http://127.0.0.1/x.png")
    assert await fetched(site, "/moved") == Found("T")


async def test_no_camera_or_place_is_left_in_a_picture(site: Site) -> None:
    site.pages["/"] = page('<title>T</title><meta property="og:image" content="/x.jpg">')
    site.pages["/x.jpg"] = answering(objects.jpeg(), "image/jpeg")
    found = await fetched(site)
    assert found.image is not None
    assert objects.CAMERA.encode() not in found.image.data
    assert objects.PLACE.encode() not in found.image.data


# --- what pages are written in ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("charset", "said", "text"),
    [
        ("utf-8", None, "Größe 猫"),
        ("iso-8859-1", "iso-8859-1", "Größe"),
        ("cp1252", "latin1", "“Größe” – 5 €"),
        ("windows-1251", "windows-1251", "Привет"),
        ("koi8-r", "KOI8-R", "Привет"),
        ("shift_jis", "Shift_JIS", "日本語"),
        ("euc-jp", "EUC-JP", "日本語"),
        ("gb18030", "gb2312", "中文"),
        ("big5", "big5", "中文"),
        ("euc-kr", "euc-kr", "한국어"),
    ],
)
@pytest.mark.parametrize("where", ["header", "meta", "equiv"])
async def test_charsets(site: Site, charset: str, said: str | None, text: str, where: str) -> None:
    meta = {
        "header": "",
        "meta": f"<meta charset='{said}'>",
        "equiv": f'<meta http-equiv="Content-Type" content="text/html; charset={said}">',
    }[where if said else "header"]
    body = f"<html><head>{meta}<title>{text}</title></head></html>".encode(charset)
    site.pages["/"] = answering(body, f"text/html; charset={said}" if said and where == "header" else "text/html")
    assert (await fetched(site)).title == text


@pytest.mark.parametrize(
    "said", ["rot13", "punycode", "idna", "base64", "unicode_escape", "zip", "utf-7", "no-such", "\x00", "a" * 500]
)
def test_what_is_no_charset_is_utf_8(said: str) -> None:
    assert decoded("<title>Größe</title>".encode(), said) == "<title>Größe</title>"


def test_bytes_that_are_no_text_are_read_all_the_same() -> None:
    assert "\ufffd" in decoded(b"<title>\xff\xfe\xfd</title>", "utf-8")
    assert decoded("<title>x</title>".encode("utf-16"), None) == "<title>x</title>"


# --- what pages say -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "title"),
    [
        ("<title>&lt;script&gt;alert(1)&lt;/script&gt;</title>", "<script>alert(1)</script>"),
        ('<meta property="og:title" content="<img src=x onerror=alert(1)>">', "<img src=x onerror=alert(1)>"),
        ("<title>a\u202egnp.exe\u202c b\x00c\u200bd</title>", "a gnp.exe b c d"),
        ("<title>  a \n\t b  </title>", "a b"),
        ("<title>one</title><title>two</title>", "one"),
        ("<meta property=og:title content=first><meta property=og:title content=second>", "first"),
        ("<TITLE>Upper</TITLE>", "Upper"),
        ("<title>cut", ""),
        ("<title>a <b>bold</b> &amp; &lt;i&gt; one</title>", "a <b>bold</b> & <i> one"),
        ("<title></title>", ""),
        ("</head><title>late</title>", ""),
        (f"<title>{'x' * 500}</title>", "x" * 199 + "…"),
    ],
)
def test_a_title_is_a_line_of_text(head: str, title: str) -> None:
    assert read_page(f"<html><head>{head}").title == title


@pytest.mark.parametrize(
    "piece",
    ["<", "<!--", "<!", "<a ", "<a b=", "<a b='", '<meta content="', "<title>", "</title ", "<![CDATA[", "<?", "&",
     "&#", "<script>", "<meta a a a a ", "<a/", "\x00", "<!DOCTYPE [", "=\"'", "<meta property=og:title content=x "],
)  # fmt: skip
def test_no_page_takes_long(piece: str) -> None:
    text = piece * (fetching.MAX_PAGE_BYTES // len(piece))
    began = time.process_time()
    read_page(text)
    decoded(text.encode(), None)
    assert time.process_time() - began < 2.0


async def test_what_hangs_up_or_talks_nonsense_is_nothing() -> None:
    """A server that is none."""

    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n" * 3)
        writer.close()

    server = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, fetching.Fetcher(limits=fetching.Limits(), exempt=[address]) as fetcher:
        assert await fetcher.fetch(f"http://{address}/") == Found()
