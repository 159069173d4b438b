"""Pictures, decoded and written anew: what is given out was made here, pixel by pixel (docs/decisions/0054).

Nothing of the file as it came is left: no place or camera (EXIF, XMP), no comment, nothing behind its end. The sizes
are looked at before a pixel is decoded.
"""

import warnings
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final, TypeVar

from PIL import Image, ImageCms, ImageOps, ImageSequence

from messaging.domain.limits import Limits

_FORMATS: Final = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF", "image/webp": "WEBP"}
_MAX_FRAMES: Final = 500
_THUMBNAIL_PX, _PREVIEW_PX = 640, 24
#: The thumbnail of a portrait: on a screen of three dots a pixel the largest place has 228.
_FACE_PX: Final = 256
_JPEG_QUALITY, _WEBP_QUALITY, _THUMBNAIL_QUALITY, _PREVIEW_QUALITY = 88, 85, 78, 40
#: A frame without a time of its own, in ms.
_FRAME_MS: Final = 100


T = TypeVar("T")


class BadPicture(Exception):
    """The picture is damaged, or too large to be decoded; the sentence is for its sender."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it is given out. ``preview`` is a ``data:`` address; sizes in pixels."""

    data: bytes
    content_type: str
    width: int
    height: int
    thumbnail: bytes
    preview: str


def rewrite(data: bytes, *, content_type: str, limits: Limits) -> Picture:
    """Return the picture, in the same format, upright, without anything but its pixels.

    Raises:
        BadPicture: it is not one of ``content_type``, is cut off, or has too many pixels.
    """
    return _opened(data, content_type, limits, lambda image: _made(image, content_type, limits))


def portrait(data: bytes, *, content_type: str, limits: Limits) -> Picture:
    """Return the square in the middle of a picture's first frame, of at most 640 pixels, as a WebP.

    What was around it is not kept. The thumbnail is the same in the size of what stands beside a name.

    Raises:
        BadPicture: see ``rewrite``.
    """
    return _opened(data, content_type, limits, lambda image: _square(image))


def thumbnail(data: bytes, *, content_type: str, limits: Limits) -> tuple[bytes, int, int]:
    """Return a picture's first frame alone, as a WebP of at most 640 pixels a side, with its width and height.

    Raises:
        BadPicture: see ``rewrite``.
    """
    return _opened(data, content_type, limits, lambda image: _first(image, limits))


def _opened(data: bytes, content_type: str, limits: Limits, make: Callable[[Any], T]) -> T:
    """Return what ``make`` makes of a picture. Raises BadPicture."""
    if len(data) > limits.max_picture_bytes:
        raise BadPicture(f"a picture may have {limits.max_picture_bytes // (1024 * 1024)} MiB")
    try:
        with warnings.catch_warnings():
            # What Pillow doubts is refused; its warnings about strange metadata concern what is thrown away.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # No decoder but the one for what it says it is.
            with Image.open(BytesIO(data), formats=[_FORMATS[content_type]]) as image:
                return make(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadPicture("the picture has too many pixels") from None
    # Whatever a damaged file makes a decoder stumble over.
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, AttributeError):
        raise BadPicture("the picture is damaged") from None


def _first(image: Any, limits: Limits) -> tuple[bytes, int, int]:
    if image.width * image.height > limits.max_picture_pixels:
        raise BadPicture("the picture has too many pixels")
    still = _upright(image)
    width, height = _fitting(still, _THUMBNAIL_PX)
    return _small(still, _THUMBNAIL_PX, _THUMBNAIL_QUALITY), width, height


def _made(image: Any, content_type: str, limits: Limits) -> Picture:
    frames = getattr(image, "n_frames", 1) if content_type in ("image/gif", "image/webp") else 1
    if frames > _MAX_FRAMES or image.width * image.height * frames > limits.max_picture_pixels:
        raise BadPicture("the picture has too many pixels")
    still = _upright(image)
    written = BytesIO()
    if frames > 1:
        _write_moving(image, written, content_type)
    elif content_type == "image/jpeg":
        still.save(written, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    elif content_type == "image/webp":
        still.save(written, "WEBP", quality=_WEBP_QUALITY)
    else:
        still.save(written, _FORMATS[content_type])
    thumbnail = _small(still, _THUMBNAIL_PX, _THUMBNAIL_QUALITY)
    return Picture(written.getvalue(), content_type, still.width, still.height, thumbnail, _preview(still))


def _preview(image: Any) -> str:
    return f"data:image/webp;base64,{b64encode(_small(image, _PREVIEW_PX, _PREVIEW_QUALITY)).decode()}"


def _square(image: Any) -> Picture:
    still = _upright(image)
    side = min(*still.size, _THUMBNAIL_PX)
    square = ImageOps.fit(still, (side, side), Image.Resampling.LANCZOS)
    return Picture(
        _small(square, side, _WEBP_QUALITY),
        "image/webp",
        side,
        side,
        _small(square, _FACE_PX, _THUMBNAIL_QUALITY),
        _preview(square),
    )


def _upright(image: Any) -> Any:
    """Return the first frame as it is to be seen, in sRGB, with its pixels and no more."""
    image.seek(0)
    # A copy is made only where there is no way round it: one of 50 million pixels has 150 MB.
    turned = ImageOps.exif_transpose(image) if getattr(image, "is_animated", False) else image
    if turned is image:
        ImageOps.exif_transpose(image, in_place=True)
    see_through = turned.mode in ("RGBA", "LA", "PA") or "transparency" in turned.info
    profile = turned.info.get("icc_profile")
    wanted = "RGBA" if see_through else "RGB"
    plain = turned if turned.mode == wanted else turned.convert(wanted)
    if profile and turned.mode == wanted:
        plain = _in_srgb(plain, profile)
    plain.info = {}
    return plain


def _in_srgb(image: Any, profile: bytes) -> Any:
    """Return the colours that a profile means, since the profile itself is thrown away; a bad profile means nothing."""
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB")) or image
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image


def _write_moving(image: Any, written: BytesIO, content_type: str) -> None:
    frames, durations = [], []
    for frame in ImageSequence.Iterator(image):
        durations.append(int(frame.info.get("duration") or _FRAME_MS))
        plain = frame.convert("RGBA")
        plain.info = {}
        frames.append(plain)
    extra: dict[str, Any] = {"disposal": 2} if content_type == "image/gif" else {"quality": _WEBP_QUALITY}
    frames[0].save(
        written,
        _FORMATS[content_type],
        save_all=True,
        append_images=frames[1:],
        duration=durations,
        loop=0,
        **extra,
    )


def _fitting(image: Any, pixels: int) -> tuple[int, int]:
    """Return the size in which a picture has at most so many pixels a side."""
    scale = min(1.0, pixels / max(image.size))
    return max(1, round(image.width * scale)), max(1, round(image.height * scale))


def _small(image: Any, pixels: int, quality: int) -> bytes:
    written = BytesIO()
    image.resize(_fitting(image, pixels), Image.Resampling.LANCZOS, reducing_gap=2.0).save(
        written, "WEBP", quality=quality
    )
    return written.getvalue()
