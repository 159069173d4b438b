"""What a page says that it is: its title, description and picture, by Open Graph or as HTML has them. Pure."""

import re
from dataclasses import dataclass
from html import unescape
from html.parser import HTMLParser
from typing import Final

MAX_TITLE_CHARS: Final = 200
MAX_DESCRIPTION_CHARS: Final = 300
#: Of a page its head is read, and that is within so many characters.
_MAX_HEAD_CHARS: Final = 256 * 1024
_MAX_VALUE_CHARS: Final = 4_000

#: What pages are written in. Closed: Python knows others, which are no charsets, and slow.
_CHARSETS: Final = re.compile(
    r"utf-?8|utf-?16(le|be)?|us-?ascii|ascii|latin-?1|iso-?8859-?\d{1,2}|(windows-?|cp)(874|125\d)|koi8-?[ru]|macintosh"
    r"|shift[_-]?jis|sjis|windows-31j|euc-?(jp|kr)|iso-2022-(jp|kr)|gbk|gb2312|gb18030|big5(-hkscs)?|tis-620"
)
_ALIASES: Final = {"windows-31j": "cp932", "windows-874": "cp874", "macintosh": "mac_roman"}
#: Browsers read Latin-1 as the Windows code page that it is a part of.
_LATIN: Final = re.compile(r"us-?ascii|ascii|latin-?1|iso-?8859-?1")
_META_CHARSET: Final = re.compile(
    rb"""<meta[^>]{0,200}?charset\s{0,20}=\s{0,20}["']?\s{0,20}([A-Za-z0-9_:.-]{1,40})""", re.IGNORECASE
)
#: Bytes in which a page says what it is written in.
_SAYS_WITHIN: Final = 2_048
_END_OF_HEAD: Final = re.compile(r"</head\b|<body\b", re.IGNORECASE)
#: Controls, also those that turn the direction of what stands around them, and what has no width.
_UNSEEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


@dataclass(frozen=True, slots=True)
class Page:
    """What a page says of itself; empty for nothing. ``image`` is an address as it stands there."""

    title: str
    description: str
    image: str


def decoded(body: bytes, charset: str | None) -> str:
    """Return a page's text, by what its answer or the page itself says that it is written in; else as UTF-8."""
    for mark, name in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if body.startswith(mark):
            return body.decode(name, "replace")
    said = charset
    if said is None and (found := _META_CHARSET.search(body[:_SAYS_WITHIN])):
        said = found.group(1).decode("ascii")
    name = (said or "utf-8").lower()
    if not _CHARSETS.fullmatch(name):
        name = "utf-8"
    elif _LATIN.fullmatch(name):
        name = "cp1252"
    elif said is not None and charset is None and name.startswith("utf-16"):
        # A page that could be read so far is not written in it.
        name = "utf-8"
    try:
        return body.decode(_ALIASES.get(name, name), "replace")
    except LookupError:
        return body.decode("utf-8", "replace")


def read_page(text: str) -> Page:
    """Return what a page says of itself. Takes any text."""
    head = text[:_MAX_HEAD_CHARS]
    if end := _END_OF_HEAD.search(head):
        head = head[: end.start()]
    reader = _Head()
    # Not closed: what is open at the end is not guessed at, which takes long where there is much of it.
    reader.feed(head)
    said = reader.said
    return Page(
        _clean(said.get("og:title") or reader.title or said.get("twitter:title", ""), MAX_TITLE_CHARS),
        _clean(
            said.get("og:description") or said.get("description") or said.get("twitter:description", ""),
            MAX_DESCRIPTION_CHARS,
        ),
        (said.get("og:image:secure_url") or said.get("og:image") or said.get("twitter:image", "")).strip(),
    )


def _clean(text: str, most: int) -> str:
    """Return a line of text of at most ``most`` characters, without what cannot be seen."""
    line = " ".join(_UNSEEN.sub(" ", text).split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


class _Head(HTMLParser):
    """Gathers the title and the first of each meta element that is looked for."""

    _WANTED = frozenset(
        {
            "og:title", "og:description", "og:image", "og:image:secure_url", "description", "twitter:title",
            "twitter:description", "twitter:image",
        }
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.said: dict[str, str] = {}
        self._pieces: list[str] = []
        self._in_title = False
        self._had_title = False

    @property
    def title(self) -> str:
        return unescape("".join(self._pieces))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "title":
            self._in_title = not self._had_title
            # Tags within a title are text, as in browsers; some versions of the parser do not know that.
            self.set_cdata_mode(tag)
        elif tag == "meta":
            values = {name: value or "" for name, value in attrs}
            name = (values.get("property") or values.get("name") or "").strip().lower()
            if name in self._WANTED and values.get("content"):
                self.said.setdefault(name, values["content"][:_MAX_VALUE_CHARS])

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title, self._had_title = False, True

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self._pieces.append(data[:_MAX_VALUE_CHARS])
