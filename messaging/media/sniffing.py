"""What a file is, by its first bytes (docs/decisions/0054). Pure.

The list is closed: of these a browser shows pictures, plays sounds and films. Everything else is a file, given out as
``application/octet-stream`` to be saved, whatever it calls itself.
"""

from typing import Final

#: Bytes that are looked at.
HEAD_BYTES: Final = 4096
#: Pictures that are decoded and written anew.
IMAGES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
OCTETS: Final = "application/octet-stream"

#: Of containers for sound and film alike, the type is what its sender says, if it is one of these; the first, if not.
_WEBM: Final = ("video/webm", "audio/webm")
_MP4: Final = ("video/mp4", "audio/mp4")
_OGG: Final = ("audio/ogg", "video/ogg")
#: Brands of ISO media files that browsers play. Pictures (heic, avif) have the same container, and others.
_MP4_BRANDS: Final = frozenset(
    {b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"M4V ", b"M4A ", b"qt  ", b"dash"}
)


def _candidates(head: bytes) -> tuple[str, ...]:
    if head.startswith(b"\xff\xd8\xff"):
        return ("image/jpeg",)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return ("image/png",)
    if head.startswith((b"GIF87a", b"GIF89a")):
        return ("image/gif",)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return ("image/webp",)
    if head.startswith(b"RIFF") and head[8:12] == b"WAVE":
        return ("audio/wav",)
    # Matroska begins alike; its header names what is in it.
    if head.startswith(b"\x1a\x45\xdf\xa3") and b"webm" in head[:64]:
        return _WEBM
    if head[4:8] == b"ftyp" and head[8:12] in _MP4_BRANDS:
        return _MP4
    if head.startswith(b"OggS"):
        return _OGG
    if head.startswith(b"ID3") or (head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xE6 == 0xE2):
        return ("audio/mpeg",)
    return (OCTETS,)


def content_type(head: bytes, *, declared: str) -> str:
    """Return the type of a file that begins so. ``declared`` counts only where the content leaves a choice."""
    found = _candidates(head)
    said = declared.partition(";")[0].strip().lower()
    return said if said in found else found[0]
