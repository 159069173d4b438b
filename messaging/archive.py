"""Zips of what the system holds: JSON Lines for programs, pages for people, and a manifest of both."""

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import IO, Any, Final
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from messaging.domain import ids

#: What zips know of times begins here.
_FIRST_YEAR: Final = 1980


class Archive:
    """A zip in the making, which knows what it has written.

    All its files bear one time, so that the same content makes the same zip, byte for byte.
    """

    def __init__(self, file: IO[bytes], made_at: datetime) -> None:
        self._zip = ZipFile(file, "w", ZIP_DEFLATED)
        time = made_at.astimezone(UTC)
        self._time = (max(time.year, _FIRST_YEAR), time.month, time.day, time.hour, time.minute, time.second)
        self.files: list[dict[str, Any]] = []

    def lines(self, name: str, rows: Iterable[dict[str, Any]]) -> None:
        """Write one JSON object a line, one in memory at a time."""
        count = 0

        def encoded() -> Iterable[bytes]:
            nonlocal count
            for row in rows:
                count += 1
                yield json.dumps(row, ensure_ascii=False).encode() + b"\n"

        digest, _ = self._write(name, encoded())
        self.files.append({"name": name, "rows": count, "sha256": digest})

    def text(self, name: str, content: str) -> None:
        """Write one text."""
        self.pieces(name, [content.encode()])

    def pieces(self, name: str, content: Iterable[bytes]) -> dict[str, Any]:
        """Write bytes that come in pieces, one in memory at a time; return what the manifest says of them."""
        digest, size = self._write(name, content)
        self.files.append({"name": name, "size": size, "sha256": digest})
        return self.files[-1]

    def close(self, manifest: dict[str, Any]) -> None:
        """Write the manifest, and end the file."""
        self._write("manifest.json", [json.dumps({**manifest, "files": self.files}, indent=2).encode()])
        self._zip.close()

    def _write(self, name: str, content: Iterable[bytes]) -> tuple[str, int]:
        info = ZipInfo(name, self._time)
        info.compress_type = ZIP_DEFLATED
        digest, size = hashlib.sha256(), 0
        # How large it becomes is known in the end only.
        with self._zip.open(info, "w", force_zip64=True) as out:
            for piece in content:
                digest.update(piece)
                size += len(piece)
                out.write(piece)
        return digest.hexdigest(), size


def written(moment: datetime | None) -> str | None:
    """Return a moment as it is written in an archive: UTC, with ``Z``."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def time_of(number: int) -> str | None:
    """Return when a message or change took its place in the log, as it is written in an archive."""
    return written(datetime.fromtimestamp(ids.timestamp_ms(number) / 1000, UTC))
