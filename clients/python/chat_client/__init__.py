"""A client of the chat server: an outbox that survives, exactly-once messages in order, resume after any absence.

::

    async with Client(["https://chat.example.org"], token, store=FileStore("bot.db")) as client:
        async for message in client.messages():
            if message.body == "ping":
                await client.send(message.conv, "pong")

``client.py`` speaks the protocol, ``timeline.py`` puts a conversation together, ``rest.py`` asks the API, ``store.py``
keeps what must survive the process. It shares no code with the server: docs/protocol.md is all it knows.
"""

from .client import Client, Outgoing, Settings
from .errors import ChatError, Refused, SignedOut, Unreachable
from .rest import Account, Rest, sign_in
from .store import FileStore, Store
from .timeline import Change, Message, Timeline

__all__ = [
    "Account",
    "Change",
    "ChatError",
    "Client",
    "FileStore",
    "Message",
    "Outgoing",
    "Refused",
    "Rest",
    "Settings",
    "SignedOut",
    "Store",
    "Timeline",
    "Unreachable",
    "sign_in",
]
