"""The second factor: codes of an authenticator app, and recovery codes (docs/decisions/0050)."""

import logging
from base64 import urlsafe_b64encode
from functools import cache
from hashlib import sha256

from allauth.account.authentication import get_authentication_records
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest

from accounts.models import User
from messaging.domain.errors import Unauthenticated
from messaging.domain.ids import user_ref

logger = logging.getLogger(__name__)


@cache
def _cipher() -> Fernet:
    # Of a purpose of its own, so that nothing else that the key signs or seals can be read with it.
    return Fernet(urlsafe_b64encode(sha256(b"second factor:" + settings.SECRET_KEY.encode()).digest()))


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth has no types
    """Secrets are sealed in the database; a copy of it alone gives nobody's codes away."""

    def encrypt(self, text: str) -> str:
        """Return what is stored of a secret."""
        return _cipher().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Return the secret."""
        return _cipher().decrypt(encrypted_text.encode()).decode()

    def get_totp_label(self, user: AbstractBaseUser) -> str:
        """Return what the app calls the account: a user name says more than an address that may change."""
        return user.get_username()

    def get_totp_issuer(self) -> str:
        """Return what the app calls this place."""
        return f"Chat ({self._get_site_name()})"


def has_second_factor(user: User) -> bool:
    """Return whether the user signs in with codes."""
    found: bool = Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).exists()
    return found


def require_code(user: User, code: str) -> None:
    """Pass whoever has no second factor, or gives a code that is good; a code is good once.

    Raises:
        Unauthenticated: there is a second factor, and the code is missing or wrong.
    """
    if not has_second_factor(user):
        return
    if not code:
        raise Unauthenticated("this account has a second factor: send its code as well")
    if not any(one.wrap().validate_code(code) for one in Authenticator.objects.filter(user=user)):
        logger.warning("a code of %s was refused", user_ref(user.pk))
        raise Unauthenticated("the code is not right")


def used_second_factor(request: HttpRequest) -> bool:
    """Return whether whoever has this session gave a code in it."""
    assert isinstance(request.user, User)
    return any(record["method"] == "mfa" for record in get_authentication_records(request, request.user))
