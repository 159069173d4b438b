"""What may stand as a reaction: one emoji, as one glyph (UTS 51, without its tables).

The tables of emoji change every year; the ways in which code points join to one glyph do not. So the form is held
strictly and the range of symbols widely: a new emoji is taken on the day on which a phone can write it; text is not.
"""

import re
from typing import Final

#: Code points of the longest sequences in use (a family, a flag of a region) and some to spare.
MAX_EMOJI_CHARS: Final = 16

_SYMBOL: Final = "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]"
_REGIONAL: Final = "[\U0001f1e6-\U0001f1ff]"
_TONE: Final = "[\U0001f3fb-\U0001f3ff]"
_ELEMENT: Final = f"(?!{_REGIONAL}|{_TONE}){_SYMBOL}(?:\ufe0f|{_TONE})?"
_EMOJI: Final = re.compile(
    f"{_REGIONAL}{{2}}"
    "|[0-9#*]\ufe0f?\u20e3"
    "|\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f"
    f"|{_ELEMENT}(?:\u200d{_ELEMENT})*"
)


def is_emoji(text: str) -> bool:
    """Return whether the text is one emoji and nothing else."""
    return len(text) <= MAX_EMOJI_CHARS and _EMOJI.fullmatch(text) is not None
