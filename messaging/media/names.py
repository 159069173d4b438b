"""What people call their files, made harmless. Pure."""

import unicodedata
from typing import Final

MAX_NAME_CHARS: Final = 150
_NAMELESS: Final = "file"


def clean_name(name: str) -> str:
    """Return the last part of what may be a path, without what moves, hides or reverses text.

    Control and format characters (which can make ``exe.jpg`` of ``gpj.exe``), separators and lone surrogates go. A long
    name keeps its end, where the extension is.
    """
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    shown = "".join(char for char in last if unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Cn", "Zl", "Zp"))
    shown = " ".join(shown.split()).strip(". ")
    if len(shown) > MAX_NAME_CHARS:
        stem, dot, extension = shown.rpartition(".")
        end = f"{dot}{extension}" if stem and len(extension) <= 16 else ""
        shown = shown[: MAX_NAME_CHARS - len(end)] + end
    return shown or _NAMELESS
