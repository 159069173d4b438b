"""What must survive the process: the outbox, and up to where messages were handled."""

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol


class Store(Protocol):
    """Keeps a device's outbox and marks. Called on the event loop, so each call is to be quick."""

    def outbox(self) -> list[dict[str, Any]]:
        """Return what ``put`` was given and ``drop`` was not, in the order of the first ``put``."""

    def put(self, msg_id: str, saved: Mapping[str, Any]) -> None:
        """Keep one of the outbox; it survives the process when this returns."""

    def drop(self, msg_id: str) -> None:
        """It is acknowledged, or refused."""

    def marks(self) -> dict[str, str]:
        """Return the mark of each conversation."""

    def mark(self, conv: str, mark: str) -> None:
        """Everything up to ``mark`` was handled."""

    def close(self) -> None:
        """Release what is held; idempotent."""


class FileStore:
    """A ``Store`` in an SQLite file, of one device. It survives the process; a power cut may cost the last moments.

    Nothing waits for the disk, so that calls may be made on an event loop.
    """

    def __init__(self, path: str | Path) -> None:
        """Open the file, or make it. Raises sqlite3.Error where it is none of this kind."""
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS outbox (n INTEGER PRIMARY KEY, msg_id TEXT NOT NULL UNIQUE, saved TEXT)"
        )
        self._database.execute("CREATE TABLE IF NOT EXISTS marks (conv TEXT PRIMARY KEY, mark TEXT NOT NULL)")

    def outbox(self) -> list[dict[str, Any]]:
        """See Store."""
        rows = self._database.execute("SELECT saved FROM outbox ORDER BY n")
        return [json.loads(saved) for (saved,) in rows]

    def put(self, msg_id: str, saved: Mapping[str, Any]) -> None:
        """See Store."""
        row = (msg_id, json.dumps(saved))
        self._database.execute("INSERT OR IGNORE INTO outbox (msg_id, saved) VALUES (?, ?)", row)

    def drop(self, msg_id: str) -> None:
        """See Store."""
        self._database.execute("DELETE FROM outbox WHERE msg_id = ?", (msg_id,))

    def marks(self) -> dict[str, str]:
        """See Store."""
        return dict(self._database.execute("SELECT conv, mark FROM marks"))

    def mark(self, conv: str, mark: str) -> None:
        """See Store."""
        self._database.execute(
            "INSERT INTO marks VALUES (?, ?) ON CONFLICT (conv) DO UPDATE SET mark = excluded.mark", (conv, mark)
        )

    def close(self) -> None:
        """See Store."""
        self._database.close()
