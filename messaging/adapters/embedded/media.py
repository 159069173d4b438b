"""Media as files below one directory, the default (docs/decisions/0052).

``objects/`` holds what is finished, ``uploads/`` a folder for each upload with a file for each part. Every file is
written beside its place, flushed to the disk and renamed: a reader, or a crash, never meets half of one.
"""

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from messaging.ports import MediaMissing, MediaUnavailable

#: A request's body has to hold one (``messaging/api/parsing.py``).
PART_BYTES: Final = 1024 * 1024
_PIECE_BYTES: Final = 64 * 1024
_KEY = re.compile(r"[a-z0-9-]+(/[a-z0-9-]+)*")
_UPLOAD = re.compile(r"[0-9a-f]{32}")


@contextlib.contextmanager
def _missing_or_unavailable() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise MediaMissing("no such object or upload") from None
    except OSError as error:
        raise MediaUnavailable(f"the media directory cannot be used: {error.strerror}") from error


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class FileMediaStore:
    """The port's promises, kept by ``fsync`` and ``rename``. Several processes may share one directory."""

    part_bytes = PART_BYTES

    def __init__(self, directory: Path) -> None:
        self._objects = directory / "objects"
        self._uploads = directory / "uploads"
        with _missing_or_unavailable():
            for path in (self._objects, self._uploads):
                path.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _object(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError("not a key of media")
        return self._objects / key

    def _upload(self, upload: str) -> Path:
        if not _UPLOAD.fullmatch(upload):
            raise MediaMissing("no such upload")
        return self._uploads / upload

    @contextlib.contextmanager
    def _written(self, target: Path) -> Iterator[BinaryIO]:
        """Give a file that becomes ``target`` at the end, durably, or goes."""
        beside = target.with_name(f"{target.name}.{secrets.token_hex(4)}.tmp")
        try:
            with beside.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            beside.rename(target)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        _sync_directory(target.parent)

    def _make_room(self, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _sync_directory(target.parent.parent)

    def begin(self, key: str) -> str:
        """Begin an upload to ``key`` and return its name."""
        self._object(key)
        upload = secrets.token_hex(16)
        with _missing_or_unavailable():
            self._upload(upload).mkdir(mode=0o700)
            _sync_directory(self._uploads)
        return upload

    def part_url(self, key: str, upload: str, number: int, *, size: int) -> str | None:
        """Return None: parts come through us."""
        return None

    def put_part(self, key: str, upload: str, number: int, data: bytes) -> None:
        """Store a part durably. Raises MediaMissing: no such upload."""
        with _missing_or_unavailable(), self._written(self._upload(upload) / str(int(number))) as file:
            file.write(data)

    def parts(self, key: str, upload: str) -> dict[int, int]:
        """Return the size of each part, by number. Raises MediaMissing: no such upload."""
        with _missing_or_unavailable():
            return {int(name): size for name, size in self._files(upload)}

    def _files(self, upload: str) -> list[tuple[str, int]]:
        with os.scandir(self._upload(upload)) as entries:
            return [(entry.name, entry.stat().st_size) for entry in entries if entry.name.isdigit()]

    def finish(self, key: str, upload: str) -> None:
        """Make the parts the object. Raises MediaMissing: neither such an upload nor the object."""
        target, folder = self._object(key), self._upload(upload)
        with _missing_or_unavailable():
            if not target.exists():
                try:
                    self._join(sorted(self.parts(key, upload)), folder, target)
                except (FileNotFoundError, MediaMissing):
                    # Somebody else finished it at the same time, and has deleted the parts.
                    if not target.exists():
                        raise
            shutil.rmtree(folder, ignore_errors=True)

    def _join(self, numbers: Sequence[int], folder: Path, target: Path) -> None:
        self._make_room(target)
        with self._written(target) as whole:
            for number in numbers:
                with (folder / str(number)).open("rb") as part:
                    shutil.copyfileobj(part, whole, PART_BYTES)

    def abort(self, key: str, upload: str) -> None:
        """Delete an upload with its parts."""
        with contextlib.suppress(MediaMissing):
            shutil.rmtree(self._upload(upload), ignore_errors=True)

    def put(self, key: str, data: bytes) -> None:
        """Store a whole object durably."""
        target = self._object(key)
        with _missing_or_unavailable():
            self._make_room(target)
            with self._written(target) as file:
                file.write(data)

    def size(self, key: str) -> int:
        """Return an object's size in bytes. Raises MediaMissing."""
        with _missing_or_unavailable():
            return self._object(key).stat().st_size

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from ``start`` to before ``end``. Raises MediaMissing, at the call."""
        self.size(key)
        return _pieces(self._object(key), start, end)

    def url(self, key: str, *, content_type: str, disposition: str) -> str | None:
        """Return None: objects are read through us."""
        return None

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; absent ones are no error."""
        with _missing_or_unavailable():
            for key in keys:
                self._object(key).unlink(missing_ok=True)


def _pieces(path: Path, start: int, end: int | None) -> Iterator[bytes]:
    # Opened with the first piece: who never asks for one leaves nothing open.
    with _missing_or_unavailable(), path.open("rb") as file:
        at = file.seek(start)
        while end is None or at < end:
            piece = file.read(_PIECE_BYTES if end is None else min(_PIECE_BYTES, end - at))
            if not piece:
                return
            at += len(piece)
            yield piece
