"""A bot that reminds people: ``remind 10m the tea`` is answered now, and again in ten minutes.

::

    CHAT_SERVER=https://chat.example.org CHAT_TOKEN=… python reminder_bot.py

What was asked for is in a file, so a bot that was restarted reminds all the same; late, where it was away.
"""

import asyncio
import contextlib
import os
import re
import sqlite3
import time
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from chat_client import Client, FileStore, Message

_ASKED: Final = re.compile(r"remind\s+(?:me\s+)?(?:in\s+)?(\d{1,6})\s*([smhd])\s+(.+)", re.IGNORECASE | re.DOTALL)
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_HELP: Final = "Say “remind 10m the tea”: a number, one of s, m, h and d, and what of."


def understood(text: str) -> tuple[int, str] | None:
    """Return in how many seconds somebody wants to be reminded, and of what; None where the text asks for nothing."""
    found = _ASKED.fullmatch(text.strip())
    return None if found is None else (int(found[1]) * _SECONDS[found[2].lower()], found[3].strip())


class Reminders:
    """What is to be said, where and when (Unix s), in a file. One that was asked for twice is there once."""

    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        columns = "server_id TEXT PRIMARY KEY, conv TEXT, at REAL, what TEXT"
        self._db.execute(f"CREATE TABLE IF NOT EXISTS reminders ({columns})")

    def add(self, message: Message, at: float, what: str) -> None:
        """Keep one; the message that asks for it is its name."""
        row = (message.server_id, message.conv, at, what)
        self._db.execute("INSERT OR IGNORE INTO reminders VALUES (?, ?, ?, ?)", row)

    def next(self) -> tuple[str, str, float, str] | None:
        """Return the one that is due first: who asked for it, where, when, and of what."""
        found: tuple[str, str, float, str] | None = self._db.execute(
            "SELECT server_id, conv, at, what FROM reminders ORDER BY at LIMIT 1"
        ).fetchone()
        return found

    def done(self, server_id: str) -> None:
        """Forget one."""
        self._db.execute("DELETE FROM reminders WHERE server_id = ?", (server_id,))

    def close(self) -> None:
        """Close the file."""
        self._db.close()


async def remind(client: Client, reminders: Reminders, changed: asyncio.Event) -> None:
    """Say what is due when it is, for ever."""
    while True:
        changed.clear()
        due = reminders.next()
        wait_s = None if due is None else due[2] - time.time()
        if due is not None and wait_s is not None and wait_s <= 0:
            server_id, conv, _, what = due
            # In the outbox, which survives a restart; only then is it forgotten here.
            await client.send(conv, f"⏰ {what}", reply_to=server_id, msg_id=_once("due", server_id))
            reminders.done(server_id)
            continue
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await changed.wait()


def _once(what: str, server_id: str) -> str:
    """Return the id of what is said because of a message: after a crash it is said again, and is the same message."""
    return str(uuid5(NAMESPACE_URL, f"{what}:{server_id}"))


async def say(client: Client, to: Message, text: str) -> None:
    """Answer a message."""
    await client.send(to.conv, text, reply_to=to.server_id, msg_id=_once("answer", to.server_id))


async def answer(client: Client, reminders: Reminders, changed: asyncio.Event) -> None:
    """Answer what people write to the bot, until it is signed out."""
    async for message in client.messages():
        if message.kind != "text" or message.sender == client.user or message.deleted:
            continue
        wanted = understood(message.body)
        if wanted is not None:
            reminders.add(message, message.ts / 1000 + wanted[0], wanted[1])
            changed.set()
            await say(client, message, "I will.")
        elif message.body.strip().lower() in ("help", "remind"):
            await say(client, message, _HELP)


async def run(server: str, token: str, folder: str) -> None:
    """Run the bot; what it keeps is in ``folder``. Raises SignedOut once its token is void."""
    reminders, changed = Reminders(os.path.join(folder, "reminders.db")), asyncio.Event()
    try:
        async with Client([server], token, store=FileStore(os.path.join(folder, "client.db"))) as client:
            reminding = asyncio.create_task(remind(client, reminders, changed))
            try:
                await answer(client, reminders, changed)
            finally:
                reminding.cancel()
    finally:
        reminders.close()


if __name__ == "__main__":
    asyncio.run(run(os.environ["CHAT_SERVER"], os.environ["CHAT_TOKEN"], os.environ.get("CHAT_FOLDER", ".")))
