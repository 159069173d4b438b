"""What somebody looks for: the language of the search box, and whether a text is meant by it (docs/search.md). Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from messaging.domain.errors import InvalidInput
from messaging.domain.ids import ConversationId, MessageId, UserId
from messaging.domain.words import Word, is_spaceless, words_of

#: Characters of a query, and words in it.
MAX_QUERY_CHARS: Final = 300
MAX_QUERY_WORDS: Final = 20
#: Characters of a snippet, and how many of them stand before the first match.
SNIPPET_CHARS: Final = 200
_LEAD_CHARS: Final = 60

_PART = re.compile(r'(?P<name>[a-z]+):(?:"(?P<quoted>[^"]*)"?|(?P<plain>\S*))|"(?P<phrase>[^"]*)"?|(?P<word>\S+)', re.I)
_LINK = re.compile(r"https?://\S", re.I)


class Has(StrEnum):
    """What a message may have beside its words."""

    LINK = "link"
    FILE = "file"
    IMAGE = "image"


@dataclass(frozen=True, slots=True)
class Term:
    """Words that follow each other in a text. With ``prefix`` the last one may go on."""

    words: tuple[str, ...]
    prefix: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed, read: terms that all have to be there, and the values of operators as they were written.

    ``before`` and ``after`` are days: what was sent before, and on or after, each of them.
    """

    terms: tuple[Term, ...] = ()
    senders: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    before: tuple[date, ...] = ()
    after: tuple[date, ...] = ()
    has: frozenset[Has] = frozenset()


@dataclass(frozen=True, slots=True)
class Scope:
    """What of a conversation somebody may see: ``floor < id``, and ``id <= ceiling`` where there is one."""

    conversation_id: ConversationId
    floor: MessageId
    ceiling: MessageId | None = None

    def covers(self, message_id: MessageId) -> bool:
        """Return whether it holds a message."""
        return self.floor < message_id and (self.ceiling is None or message_id <= self.ceiling)


@dataclass(frozen=True, slots=True)
class Query:
    """What an index is asked for: messages that meet all of it. ``sender``: None for anybody; ``without``: nobody of.

    Ids are ``after < id < before``; ``before`` of None: any.
    """

    terms: tuple[Term, ...] = ()
    sender: UserId | None = None
    without: frozenset[UserId] = frozenset()
    has: frozenset[Has] = frozenset()
    after: MessageId = MessageId(0)
    before: MessageId | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a snippet; ``match``: it is what was looked for."""

    text: str
    match: bool


def read_query(text: str) -> Asked:
    """Return what a query asks for. An operator without a value, as it is while it is typed, asks for nothing.

    Raises:
        InvalidInput: too long, too many words, or an operator has a value that it cannot have.
    """
    if len(text) > MAX_QUERY_CHARS:
        raise InvalidInput(f"a query may have {MAX_QUERY_CHARS} characters")
    terms: list[Term] = []
    values: dict[str, list[str]] = {name: [] for name in ("from", "in", "before", "after", "has")}
    for part in _PART.finditer(text):
        given = values.get((part["name"] or "").lower())
        if given is not None:
            if value := (part["quoted"] or part["plain"] or "").strip():
                given.append(value)
        elif part["phrase"] is not None:
            _add(terms, part["phrase"], phrase=True)
        else:
            _add(terms, part[0], phrase=False)
    if sum(len(term.words) for term in terms) > MAX_QUERY_WORDS:
        raise InvalidInput(f"a query may have {MAX_QUERY_WORDS} words")
    return Asked(
        terms=tuple(terms),
        senders=tuple(values["from"]),
        places=tuple(values["in"]),
        before=tuple(day_of(it) for it in values["before"]),
        after=tuple(day_of(it) for it in values["after"]),
        has=frozenset(has_of(it) for it in values["has"]),
    )


def _add(terms: list[Term], text: str, *, phrase: bool) -> None:
    found = words_of(text)
    if not found:
        return
    if found[-1].tail:
        # The word before it ends with this character already.
        found.pop()
    words = tuple(word.text for word in found)
    last = words[-1]
    # One letter begins too many words; one character of a script without spaces is never a whole one.
    prefix = (not phrase and len(last) > 1) or is_spaceless(last)
    terms.append(Term(words, prefix))


def day_of(text: str) -> date:
    """Return the day behind ``YYYY-MM-DD``. Raises InvalidInput."""
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise InvalidInput("a day is written YYYY-MM-DD")


def has_of(text: str) -> Has:
    """Return what ``has:`` asks for. Raises InvalidInput."""
    try:
        return Has(text.lower())
    except ValueError:
        raise InvalidInput(f"has takes one of {', '.join(Has)}") from None


def has_link(text: str) -> bool:
    """Return whether there is an address in a text."""
    return _LINK.search(text) is not None


def matches(text: str, terms: Sequence[Term]) -> list[tuple[int, int]] | None:
    """Return where in a text the terms stand, in order and apart from each other; None where one of them is missing."""
    words = words_of(text)
    spans: list[tuple[int, int]] = []
    for term in terms:
        found = [
            (words[place].start, _end(words[place + len(term.words) - 1], term))
            for place in range(len(words) - len(term.words) + 1)
            if _is_at(words, place, term)
        ]
        if not found:
            return None
        spans += found
    return _merged(spans)


def _is_at(words: Sequence[Word], place: int, term: Term) -> bool:
    last = len(term.words) - 1
    for offset, wanted in enumerate(term.words):
        word = words[place + offset].text
        if word != wanted and not (offset == last and term.prefix and word.startswith(wanted)):
            return False
    return True


def _end(word: Word, term: Term) -> int:
    """Return where the match of a term ends whose last word is found in ``word``."""
    last = term.words[-1]
    # Of two characters that the index holds together, only the first was asked for.
    return word.first_end if is_spaceless(last) and len(last) < len(word.text) else word.end


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def snippet(text: str, spans: Sequence[tuple[int, int]]) -> list[Segment]:
    """Return the stretch of a text around the first match, in pieces; its beginning where nothing matches."""
    first = spans[0][0] if spans else 0
    start = 0
    if first > _LEAD_CHARS:
        start = first - _LEAD_CHARS
        # At the beginning of a word, where there is one near.
        blank = text.find(" ", start, first)
        start = blank + 1 if blank >= 0 else start
    end = min(len(text), start + SNIPPET_CHARS)
    segments: list[Segment] = []
    place = start
    for span_start, span_end in spans:
        if span_start >= end:
            break
        if span_start > place:
            segments.append(Segment(text[place:span_start], False))
        place = min(span_end, end)
        segments.append(Segment(text[span_start:place], True))
    if place < end:
        segments.append(Segment(text[place:end], False))
    if start > 0:
        segments.insert(0, Segment("…", False))
    if end < len(text):
        segments.append(Segment("…", False))
    return segments
