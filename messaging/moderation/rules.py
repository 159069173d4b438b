"""Kinds of rules that judge texts before they are sent; pure, but for the flood's count.

Another kind is a class with the two methods of ``Rule``, named in ``settings.MODERATION_RULES``. What it is made of is
written by moderators, in the admin; a text that it cannot be made of is refused there, with its ValueError's words.
"""

import re
import unicodedata
from hashlib import sha256
from typing import Final, Protocol

from django.core.cache import cache

from messaging.ports import Draft

#: What may be the name of a host, and what is one. Neither can be matched in two ways, so no text makes them slow.
_HOST: Final = re.compile(r"[\w.-]+")
_DOMAIN: Final = re.compile(r"(?:[\w-]+\.)+[\w-]{2,}")
_MAX_HOST_CHARS: Final = 253
#: A word, or a sign.
_TOKEN: Final = re.compile(r"\w+|[^\w\s]")
_MAX_TOKENS: Final = 12
_MAX_LINES: Final = 5_000


class Rule(Protocol):
    """One rule. Made once and asked by several threads at a time."""

    def __init__(self, config: str) -> None:
        """Read what moderators wrote. Raises ValueError, with a sentence that says what is wrong."""

    def matches(self, draft: Draft) -> bool:
        """Return whether the text is one that the rule means. A few milliseconds at most, whatever the text."""


def _lines(config: str) -> list[str]:
    lines = [line for raw in config.splitlines() if (line := raw.strip()) and not line.startswith("#")]
    if not lines:
        raise ValueError("write at least one line")
    if len(lines) > _MAX_LINES:
        raise ValueError(f"at most {_MAX_LINES} lines")
    return lines


def _plain(text: str) -> str:
    """Return a text in which looking different does not make words different: width, case, soft hyphens, spaces."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(char for char in folded if unicodedata.category(char) != "Cf").split())


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(_plain(text))


class WordList:
    """One word or phrase a line. Whole words, in any case."""

    def __init__(self, config: str) -> None:
        self._phrases = {tuple(_tokens(line)) for line in _lines(config)}
        self._lengths = sorted({len(phrase) for phrase in self._phrases})
        if self._lengths[-1] > _MAX_TOKENS:
            raise ValueError(f"a phrase has at most {_MAX_TOKENS} words and signs")

    def matches(self, draft: Draft) -> bool:
        """Return whether one of the words is in the text."""
        # Looked up, not searched for: a list of any length costs the same, and no text makes it slow.
        tokens = _tokens(draft.body)
        return any(
            tuple(tokens[at : at + length]) in self._phrases for length in self._lengths for at in range(len(tokens))
        )


class LinkList:
    """One domain a line; its subdomains count as well, and links without ``https://``."""

    def __init__(self, config: str) -> None:
        domains = {_plain(line).removeprefix("*.").strip(".") for line in _lines(config)}
        for domain in domains:
            if len(domain) > _MAX_HOST_CHARS or not _DOMAIN.fullmatch(domain):
                raise ValueError(f"{domain[:60]} is not a domain")
        self._domains = domains

    def matches(self, draft: Draft) -> bool:
        """Return whether the text names one of the domains."""
        for found in _HOST.findall(_plain(draft.body)):
            host = found.strip(".-")
            if "." not in host or len(host) > _MAX_HOST_CHARS:
                continue
            labels = host.split(".")
            if any(".".join(labels[start:]) in self._domains for start in range(len(labels) - 1)):
                return True
        return False


class Flood:
    """``5 in 60``: from the fifth time on that one person sends the same text within 60 seconds."""

    def __init__(self, config: str) -> None:
        found = re.fullmatch(r"\s*(\d{1,4})\s+in\s+(\d{1,5})\s*", config)
        if found is None or int(found[1]) < 2 or int(found[2]) < 1:
            raise ValueError("write a number of times and of seconds, as in: 5 in 60")
        self._times, self._seconds = int(found[1]), int(found[2])

    def matches(self, draft: Draft) -> bool:
        """Count the text, each message once however often it is sent again; return whether it is too often."""
        text = sha256(_plain(draft.body).encode()).hexdigest()[:32]
        key = f"flood:{self._times}:{self._seconds}:{draft.sender}:{text}"
        cache.add(key, 0, timeout=self._seconds)
        if cache.add(f"{key}:{draft.client_msg_id.hex()}", 1, timeout=self._seconds):
            try:
                count: int = cache.incr(key)
            except ValueError:
                # Its time was over between the two.
                return False
        else:
            count = cache.get(key, 0)
        return count >= self._times
