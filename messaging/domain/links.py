"""Which link of a text is previewed (docs/decisions/0075). Pure; the page marks the same words as links."""

import re
from typing import Final
from urllib.parse import urlsplit

#: Of a longer address no preview is made.
MAX_URL_CHARS: Final = 2_000
#: By scheme. Other ports are seldom somebody's page, and often somebody's database.
PORTS: Final = {"http": 80, "https": 443}

_LINK = re.compile(r"\bhttps?://[^\s<>\"'`]+", re.IGNORECASE)
_TAIL = ".,:;!?…"


def first_link(text: str) -> str | None:
    """Return the first web address in a text, without its fragment; None where there is none, or none to be fetched.

    One that carries a name or a password, or names another port than its scheme's, is not to be fetched.
    """
    found = _LINK.search(text)
    if found is None:
        return None
    url = found.group().rstrip(_TAIL)
    # A closing bracket belongs to the sentence unless the address opened one.
    while url.endswith(")") and "(" not in url:
        url = url[:-1].rstrip(_TAIL)
    url = url.partition("#")[0]
    return url if may_fetch(url) else None


def may_fetch(url: str) -> bool:
    """Return whether an address has a form that is fetched at all; where it leads to is asked when it is."""
    if len(url) > MAX_URL_CHARS or not url.isprintable():
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    scheme = parts.scheme.lower()
    return scheme in PORTS and bool(parts.hostname) and "@" not in parts.netloc and port in (None, PORTS[scheme])


def host_of(url: str) -> str:
    """Return an address's host, as it is to be shown: what is not ASCII in it, in the form that the network knows.

    So one that only looks like a known one does not.
    """
    host = urlsplit(url).hostname or ""
    try:
        return host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        return ""
