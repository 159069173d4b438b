"""Opaque page cursors: signed, and bound to the list they were made for."""

from django.core import signing

from messaging.domain.errors import InvalidInput

_signer = signing.Signer(salt="messaging.cursors", sep=".")


def seal(scope: str, owner: int, *position: int) -> str:
    """Return a cursor that opens only for the same ``scope`` and ``owner``. URL-safe."""
    return _signer.sign_object([scope, owner, *position])


def unseal(text: str, scope: str, owner: int, *, size: int) -> list[int]:
    """Return the ``size`` numbers sealed in a cursor.

    Raises:
        InvalidInput: it is forged, damaged, or of another list.
    """
    try:
        value = _signer.unsign_object(text)
    # A text that is not ASCII, or a value that was never JSON, is as forged as one with a bad signature.
    except (signing.BadSignature, ValueError):
        value = None
    if not isinstance(value, list) or value[:2] != [scope, owner] or len(value) != 2 + size:
        raise InvalidInput("the cursor is not one of this list")
    return [int(number) for number in value[2:]]
