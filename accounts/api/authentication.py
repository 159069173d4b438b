"""Bearer tokens for REST."""

from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.models import Device, User
from accounts.selectors.credentials import device_for_token


class BearerAuthentication(BaseAuthentication):
    """``Authorization: Bearer <token>``; ``request.auth`` is the Device."""

    def authenticate(self, request: Request) -> tuple[User, Device] | None:
        """Return the token's user and device; None where there is no bearer token."""
        parts = get_authorization_header(request).split()
        if not parts or parts[0].lower() != b"bearer":
            return None
        device = device_for_token(parts[1].decode("latin-1")) if len(parts) == 2 else None
        if device is None:
            raise AuthenticationFailed("the token is not valid")
        return device.user, device

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge that makes a 401 of a refusal."""
        return "Bearer"
