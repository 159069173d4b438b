"""The key pair by which push services know this server (RFC 8292). No Django here: the settings make a key with it."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def new_private_key() -> str:
    """Return a fresh private key: 32 bytes in base64url, 43 characters."""
    key = ec.generate_private_key(ec.SECP256R1())
    return _text(key.private_numbers().private_value.to_bytes(32, "big"))


def private_key(text: str) -> ec.EllipticCurvePrivateKey:
    """Return the key behind ``new_private_key``'s text. Raises ValueError."""
    return ec.derive_private_key(int.from_bytes(urlsafe_b64decode(text + "="), "big"), ec.SECP256R1())


def public_key(text: str) -> str:
    """Return the public half, which browsers subscribe with: an uncompressed point in base64url."""
    point = private_key(text).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return _text(point)
