"""The second factor: codes of an app, passkeys, and recovery codes (docs/decisions/0050 and 0077)."""

import logging
from base64 import urlsafe_b64encode
from functools import cache
from hashlib import sha256
from typing import Any

from allauth.account.authentication import get_authentication_records
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.http import HttpRequest

from accounts.models import User
from accounts.selectors.credentials import AUTH_FAILURES
from accounts.services.devices import describe
from messaging.domain.errors import Unauthenticated
from messaging.domain.ids import user_ref

logger = logging.getLogger(__name__)


@cache
def _sealed_by(*secret_keys: str) -> MultiFernet:
    # Of a purpose of its own, so that nothing else that the key signs or seals can be read with it.
    made = (urlsafe_b64encode(sha256(b"second factor:" + key.encode()).digest()) for key in secret_keys)
    return MultiFernet([Fernet(key) for key in made])


def _cipher() -> MultiFernet:
    """Return what seals with the secret key, and opens what it or one of its predecessors sealed."""
    return _sealed_by(settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)


def reseal() -> int:
    """Seal all secrets with the present key, so that its predecessors can go; return how many rows. Idempotent.

    Raises:
        cryptography.fernet.InvalidToken: neither the key nor a predecessor opens one; nothing is changed then.
    """
    cipher, rows = _cipher(), 0
    with transaction.atomic():
        for one in Authenticator.objects.select_for_update().exclude(type=Authenticator.Type.WEBAUTHN):
            for name in ("secret", "seed"):
                if name in one.data:
                    one.data[name] = cipher.rotate(one.data[name].encode()).decode()
            one.save(update_fields=["data"])
            rows += 1
    return rows


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

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Return what passkeys are bound to (CHAT_PASSKEY_DOMAIN), and how browsers call it."""
        host = context.request.get_host().partition(":")[0]
        return {"id": settings.PASSKEY_DOMAIN or host, "name": self.get_totp_issuer()}

    def get_public_key_credential_user_entity(self, user: User) -> dict[str, Any]:
        """Return how browsers list the passkey: by the user name, as the app does."""
        found: dict[str, Any] = super().get_public_key_credential_user_entity(user)
        return {**found, "name": user.get_username(), "display_name": user.get_full_name()}

    def generate_authenticator_name(self, user: AbstractBaseUser, type: Authenticator.Type) -> str:
        """Return what a new passkey is called where its owner writes nothing: after where it was made."""
        return describe(context.request.headers.get("User-Agent", ""))


def has_app(user: User) -> bool:
    """Return whether the user has an authenticator app, which shows codes."""
    found: bool = Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).exists()
    return found


def passkeys_of(user: User) -> int:
    """Return how many passkeys and security keys the user has."""
    count: int = Authenticator.objects.filter(user=user, type=Authenticator.Type.WEBAUTHN).count()
    return count


def has_second_factor(user: User) -> bool:
    """Return whether a password alone does not sign the user in."""
    kinds = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]
    found: bool = Authenticator.objects.filter(user=user, type__in=kinds).exists()
    return found


def require_code(user: User, code: str) -> None:
    """Pass whoever has no second factor, or gives a code that is good; a code is good once.

    Who has passkeys and no app gives a recovery code, or makes a token in the settings, where a passkey is asked for.

    Raises:
        Unauthenticated: there is a second factor, and the code is missing or wrong.
    """
    if not has_second_factor(user):
        return
    if not code:
        raise Unauthenticated("this account has a second factor: send its code as well")
    with_codes = Authenticator.objects.filter(user=user).exclude(type=Authenticator.Type.WEBAUTHN)
    if not any(one.wrap().validate_code(code) for one in with_codes):
        AUTH_FAILURES.labels("code").inc()
        logger.warning("a code of %s was refused", user_ref(user.pk))
        raise Unauthenticated("the code is not right")


def used_second_factor(request: HttpRequest) -> bool:
    """Return whether whoever has this session gave a code or used a passkey in it."""
    assert isinstance(request.user, User)
    return any(record["method"] == "mfa" for record in get_authentication_records(request, request.user))
