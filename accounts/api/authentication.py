"""Bearer tokens for REST."""

from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.models import Device, User
from accounts.selectors.credentials import AUTH_FAILURES, device_for_token
from accounts.services.devices import touch_sometimes
from accounts.services.suspension import refuse_suspended


class BearerAuthentication(BaseAuthentication):
    """``Authorization: Bearer <token>``; ``request.auth`` is the Device."""

    def authenticate(self, request: Request) -> tuple[User, Device] | None:
        """Return the token's user and device; None where there is no bearer token.

        Raises:
            AuthenticationFailed: there is one, and it is unknown, revoked or expired.
            Suspended: it is good, and its user is kept out.
        """
        parts = get_authorization_header(request).split()
        if not parts or parts[0].lower() != b"bearer":
            return None
        device = device_for_token(parts[1].decode("latin-1")) if len(parts) == 2 else None
        if device is None:
            AUTH_FAILURES.labels("rest").inc()
            raise AuthenticationFailed("the token is not valid")
        refuse_suspended(device.user)
        touch_sometimes(device)
        return device.user, device

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge, so that a refusal is a 401."""
        return "Bearer"


def user_of(request: Request) -> User:
    """Return who asks, at an endpoint that nobody reaches without being signed in."""
    assert isinstance(request.user, User)
    return request.user
