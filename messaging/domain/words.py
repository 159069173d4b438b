"""The words of a text, as the index has them and as a query looks for them (docs/decisions/0059). Pure.

A word is a run of letters and digits, folded: no case, no accents, one form for each letter. What is written without
spaces between words (Chinese, Japanese, Korean, Thai and their kin) has no such runs; there, every character makes a
word with the one after it, and the last one alone. So each character begins a word, and any stretch of such a text is
words that follow each other.
"""

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

#: What comes after so many words of a text is not searched.
MAX_WORDS: Final = 10_000
#: Characters of a word; what is longer is cut off, in texts and in queries alike.
MAX_WORD_CHARS: Final = 64

_ASCII = re.compile(r"[A-Za-z0-9]+(?:'[A-Za-z0-9]+)*")
#: Written inside words, and no part of them: apostrophes, soft hyphens, joiners.
_JOINERS: Final = "'’\u00ad\u200d"
#: Marks of voiced sounds of half-width kana: they belong to the character before them.
_VOICED: Final = "\uff9e\uff9f"
#: Accents of Latin, Greek and Cyrillic; points of Hebrew and Arabic, and the stroke that stretches Arabic words.
_DROPPED = re.compile("[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0640\u064b-\u065f\u0670]")
#: Blocks of scripts that put no spaces between words, and of Korean, whose words carry their endings.
_SPACELESS: Final = (
    (0x0E00, 0x0EFF),
    (0x0F00, 0x109F),
    (0x1100, 0x11FF),
    (0x1780, 0x17FF),
    (0x2E80, 0x318F),
    (0x31A0, 0x31FF),
    (0x3400, 0x9FFF),
    (0xA960, 0xA97F),
    (0xAC00, 0xD7FF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFFDC),
    (0x1B000, 0x1B16F),
    (0x20000, 0x3FFFF),
)

_NONE, _LETTER, _CHARACTER, _MARK, _JOINER = range(5)


class Word(NamedTuple):
    """A word and where it stands in the text: ``text[start:end]``.

    ``first_end``: where its first character ends, of a script without spaces; else ``end``. ``tail``: the last
    character of such a stretch, which is the second half of the word before it.
    """

    text: str
    start: int
    end: int
    first_end: int
    tail: bool = False


@lru_cache(maxsize=16_384)
def _kind(char: str) -> int:
    category = unicodedata.category(char)
    if category[0] == "M" or char in _VOICED:
        return _MARK
    if category[0] in "LN":
        code = ord(char)
        return _CHARACTER if any(first <= code <= last for first, last in _SPACELESS) else _LETTER
    return _JOINER if char in _JOINERS else _NONE


def fold(text: str) -> str:
    """Return the one form that all spellings of a word have; empty where nothing of it is a letter or a digit."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    kept = (char for char in _DROPPED.sub("", decomposed) if unicodedata.category(char)[0] in "LNM")
    return unicodedata.normalize("NFC", "".join(kept))[:MAX_WORD_CHARS]


def is_spaceless(word: str) -> bool:
    """Return whether a word is of a script that puts no spaces between words."""
    return _kind(word[0]) == _CHARACTER


def words_of(text: str, *, limit: int = MAX_WORDS) -> list[Word]:
    """Return the first words of a text in their order; each is one further on than the one before."""
    if text.isascii():
        found = []
        for match in _ASCII.finditer(text):
            start, end = match.span()
            found.append(Word(match[0].replace("'", "").lower()[:MAX_WORD_CHARS], start, end, end))
            if len(found) == limit:
                break
        return found
    return _Reader(text, limit).read()


class _Reader:
    """Reads a text that is not ASCII, character by character."""

    def __init__(self, text: str, limit: int) -> None:
        self._text = text
        self._limit = limit
        self._words: list[Word] = []
        #: Characters of the stretch that is being read, each with its marks: where they begin and end.
        self._characters: list[tuple[int, int]] = []
        #: Where the run of letters begins that is being read, and where its last letter ends; None outside of one.
        self._run: tuple[int, int] | None = None

    def read(self) -> list[Word]:
        for place, char in enumerate(self._text):
            kind = _kind(char)
            if kind == _LETTER or (kind == _MARK and self._run is not None):
                self._end_stretch()
                self._run = (place if self._run is None else self._run[0], place + 1)
            elif kind == _CHARACTER:
                self._end_run()
                self._characters.append((place, place + 1))
            elif kind == _MARK and self._characters:
                self._characters[-1] = (self._characters[-1][0], place + 1)
            elif kind != _JOINER or self._run is None:
                self._end_run()
                self._end_stretch()
            if len(self._words) >= self._limit:
                break
        self._end_run()
        self._end_stretch()
        return self._words[: self._limit]

    def _end_run(self) -> None:
        if self._run is None:
            return
        (start, end), self._run = self._run, None
        if word := fold(self._text[start:end]):
            self._words.append(Word(word, start, end, end))

    def _end_stretch(self) -> None:
        if not self._characters:
            return
        spans, self._characters = self._characters, []
        folded = [(fold(self._text[start:end]), start, end) for start, end in spans]
        stretch = [it for it in folded if it[0]]
        for (first, start, first_end), (second, _, end) in pairwise(stretch):
            self._words.append(Word(first + second, start, end, first_end))
        if stretch:
            last, start, end = stretch[-1]
            self._words.append(Word(last, start, end, end, tail=len(stretch) > 1))
