"""How what goes out is signed, after Standard Webhooks (https://www.standardwebhooks.com), and how secrets are kept."""

import hmac
import secrets
from base64 import b64decode, b64encode, urlsafe_b64encode
from functools import cache
from hashlib import sha256
from typing import Final

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings

_PREFIX: Final = "whsec_"


def new_secret() -> str:
    """Return a fresh secret of 256 bits, as receivers' libraries take it."""
    return _PREFIX + b64encode(secrets.token_bytes(32)).decode()


def headers(secret: str, *, event: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers by which a receiver knows who sent the body, and when (Unix s): replays can be told."""
    key = b64decode(secret.removeprefix(_PREFIX))
    signed = f"{event}.{timestamp}.".encode() + body
    signature = b64encode(hmac.digest(key, signed, "sha256")).decode()
    return {"webhook-id": event, "webhook-timestamp": str(timestamp), "webhook-signature": f"v1,{signature}"}


@cache
def _cipher() -> Fernet:
    # Of a purpose of its own, so that nothing else that the key signs or seals can be read with it.
    return Fernet(urlsafe_b64encode(sha256(b"webhooks:" + settings.SECRET_KEY.encode()).digest()))


def sealed(secret: str) -> str:
    """Return what is stored of a secret: a copy of the database alone gives none away."""
    return _cipher().encrypt(secret.encode()).decode()


def opened(stored: str) -> str | None:
    """Return the secret; None where it was sealed with another key (CHAT_SECRET_KEY was changed)."""
    try:
        return _cipher().decrypt(stored.encode()).decode()
    except InvalidToken:
        return None
