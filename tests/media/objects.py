"""Files to upload, and objects that are there without an upload."""

import struct
import zlib
from io import BytesIO
from typing import Any, Final

from asgiref.sync import async_to_sync
from PIL import Image

from messaging.domain import ids
from messaging.media import services
from messaging.media.models import MediaObject, State

#: Where the picture of ``jpeg`` was taken, as a camera writes it.
PLACE: Final = "48.2082 N, 16.3738 E"
CAMERA: Final = "Leaky Camera 3000"


def ready(owner: int, conversation: int = 5, **fields: Any) -> str:
    """Make an object that messages may refer to, without bytes, and return its reference."""
    known = {"name": "x", "size": 1, "content_type": "text/plain", "part_bytes": 1, "state": State.READY}
    item = MediaObject.objects.create(owner_id=owner, conversation_id=conversation, **(known | fields))
    return ids.media_ref(item.pk)


def picture(width: int = 800, height: int = 600, *, kind: str = "PNG", colour: str = "teal") -> bytes:
    """Return a picture of one colour with a bright corner, so that turning it shows."""
    image = Image.new("RGB", (width, height), colour)
    image.paste("yellow", (0, 0, width // 4, height // 4))
    written = BytesIO()
    image.save(written, kind)
    return written.getvalue()


def jpeg(width: int = 800, height: int = 600, *, orientation: int = 1) -> bytes:
    """Return a picture that tells where and with what it was taken."""
    image = Image.new("RGB", (width, height), "teal")
    image.paste("yellow", (0, 0, width // 4, height // 4))
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x0110] = CAMERA
    exif[0x010E] = PLACE
    exif.get_ifd(0x8825)[1] = "N"
    written = BytesIO()
    image.save(written, "JPEG", exif=exif, comment=PLACE.encode())
    return written.getvalue()


def bomb(width: int = 60_000, height: int = 60_000) -> bytes:
    """Return a PNG of a few kilobytes that says that it has billions of pixels, and would give millions of them."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(width + 1) * 100)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def bytes_of(response: Any) -> bytes:
    """Return the whole body of a download."""

    async def read() -> bytes:
        return b"".join([piece async for piece in response.streaming_content])

    return async_to_sync(read)()


class Uploads:
    """What a client does to upload, over a ``Person`` of the API's tests."""

    def __init__(self, person: Any) -> None:
        self.person = person

    def begin(self, conversation: str | None, data: bytes, name: str = "x", **more: Any) -> Any:
        body = {"conversation": conversation, "name": name, "size": len(data)} | more
        return self.person.post("media", body)

    def part(self, ref: str, number: int | str, data: bytes) -> Any:
        path = f"/v1/media/{ref}/parts/{number}"
        return self.person.client.put(path, data, content_type="application/octet-stream")

    def whole(self, conversation: str | None, data: bytes, name: str = "x", **more: Any) -> dict[str, Any]:
        """Upload a file, have it looked at, and return what its owner is told."""
        begun = self.begin(conversation, data, name, **more)
        assert begun.status_code == 201, begun.json()
        ref, at = begun.json()["id"], 0
        for part in begun.json()["missing"]:
            assert self.part(ref, part["number"], data[at : at + part["size"]]).status_code == 204
            at += part["size"]
        assert self.person.post(f"media/{ref}/complete", None).status_code == 202
        services.process(ids.parse_media(ref))
        told: dict[str, Any] = self.person.get(f"media/{ref}").json()
        return told
