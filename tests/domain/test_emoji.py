"""One emoji is a reaction, whatever it is made of; text, and two of them, are none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging.domain.emoji import MAX_EMOJI_CHARS, is_emoji

GOOD = {
    "one code point": "👍",
    "a skin tone": "👍🏽",
    "a variation selector": "❤️",
    "without it": "❤",
    "of the basic plane": "⭐",
    "a family": "👨‍👩‍👧‍👦",
    "a couple with tones": "🧑🏻‍❤️‍💋‍🧑🏿",
    "a flag": "🇺🇦",
    "a flag of a region": "🏴󠁧󠁢󠁳󠁣󠁴󠁿",
    "a pirate flag": "🏴‍☠️",
    "a keycap": "3️⃣",
    "newer than this Python": "\U0001fae9",
    "copyright": "©️",
}
BAD = {
    "nothing": "",
    "a letter": "a",
    "a digit": "3",
    "two": "👍👍",
    "a space": " 👍",
    "a text after it": "👍x",
    "half a flag": "🇺",
    "a lone skin tone": "🏽",
    "a lone joiner": "\u200d",
    "a joiner at the end": "👨\u200d",
    "a lone variation selector": "\ufe0f",
    "a Chinese word": "好",
    "a lone surrogate": "\ud83d",
    "NUL": "\x00",
    "a direction": "\u202e",
    "a long chain": "👨" + "\u200d👨" * MAX_EMOJI_CHARS,
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD.keys())
def test_an_emoji_is_one(text: str) -> None:
    assert is_emoji(text)
    assert not is_emoji(text * 2)


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_what_is_none_is_none(text: str) -> None:
    assert not is_emoji(text)


@given(st.text(st.characters(categories=["L", "M", "Z", "Cc", "Cf", "Cs"], exclude_characters="\u2139"), max_size=20))
def test_no_text_is_an_emoji(text: str) -> None:
    assert not is_emoji(text)
