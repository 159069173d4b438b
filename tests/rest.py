"""The REST side of a client, over HTTP, however the gateways were started."""

from collections.abc import Sequence
from random import Random

from clients.python import chat_client
from clients.python.chat_client import Account, Refused, Unreachable

__all__ = ["Account", "Refused", "Rest", "Unreachable"]


class Rest(chat_client.Rest):
    """The API at gateways without TLS."""

    def __init__(self, gateways: Sequence[str], token: str = "", *, random: Random | None = None) -> None:
        """``gateways``: addresses as ``host:port``."""
        super().__init__([f"http://{gateway}" for gateway in gateways], token, random=random)
