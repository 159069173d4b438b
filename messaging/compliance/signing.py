"""The key that signs checkpoints of the audit log: Ed25519. No Django here: the settings make a key with it."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _raw(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def new_private_key() -> str:
    """Return a fresh private key: 32 bytes in base64url, 43 characters."""
    return _text(Ed25519PrivateKey.generate().private_bytes_raw())


def public_key(private: str) -> str:
    """Return the public half in the same form: what whoever verifies has to have. Raises ValueError."""
    return _text(Ed25519PrivateKey.from_private_bytes(_raw(private)).public_key().public_bytes_raw())


def key_id(public: str) -> str:
    """Return the name of a public key: the first 16 hexadecimal digits of its SHA-256. Raises ValueError."""
    return sha256(Ed25519PublicKey.from_public_bytes(_raw(public)).public_bytes_raw()).hexdigest()[:16]


def sign(private: str, message: bytes) -> str:
    """Return the signature in base64url."""
    return _text(Ed25519PrivateKey.from_private_bytes(_raw(private)).sign(message))


def is_signed(public: str, message: bytes, signature: str) -> bool:
    """Return whether ``signature`` is that of ``message`` by the key behind ``public``."""
    try:
        Ed25519PublicKey.from_public_bytes(_raw(public)).verify(_raw(signature), message)
    except (InvalidSignature, ValueError):
        return False
    return True
