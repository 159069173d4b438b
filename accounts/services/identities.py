"""Who somebody is at the OpenID provider: the only writer of identities (docs/decisions/0078).

An account belongs to an identity when it was made for it, or when its owner linked the two while signed in. Never
because of a name or an address that the provider tells.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Identity, User, username_validator
from accounts.services.notices import mail_notice
from messaging.domain.errors import Conflict, Forbidden
from messaging.domain.ids import user_ref

logger = logging.getLogger(__name__)

_LINKED: Final = _(
    "From now on your account can be signed in to by the sign-in of your organisation.\n\n"
    "If that was not you: sign in, take it back in the settings, and change your password.\n"
)
_NAMES_TRIED: Final = 50
_MAX_NAME: Final = 32


def user_of_identity(claims: Mapping[str, Any]) -> User | None:
    """Return whose account it is, and note that it was used; None for nobody's."""
    found = Identity.objects.select_related("user").filter(issuer=claims["iss"], subject=claims["sub"]).first()
    if found is None:
        return None
    Identity.objects.filter(pk=found.pk).update(last_used_at=timezone.now())
    return found.user


def sign_up_identity(claims: Mapping[str, Any], *, username_claim: str) -> User:
    """Return a new account for somebody who has none: without a password, its name after the provider's.

    An address is taken over where the provider says that it is verified, and no account has it.

    Raises:
        Conflict: no free name was found, or the same identity is signing up elsewhere at this moment.
    """
    for name in _names(str(claims.get(username_claim) or "")):
        if User.objects.filter(username=name).exists():
            continue
        user = User(username=name, display_name=_display_name(claims), email=_verified_email(claims))
        user.set_unusable_password()
        try:
            with transaction.atomic():
                user.save(force_insert=True)
                Identity.objects.create(user=user, issuer=claims["iss"], subject=claims["sub"])
        except IntegrityError:
            if Identity.objects.filter(issuer=claims["iss"], subject=claims["sub"]).exists():
                break
            continue
        logger.info("%s signed up at the provider", user_ref(user.pk))
        return user
    raise Conflict("no account could be made; try again")


def link_identity(claims: Mapping[str, Any], *, user: User) -> None:
    """Let somebody who is signed in sign in by the provider from now on. Idempotent.

    Raises:
        Conflict: it belongs to another account, or this account has another one.
    """
    try:
        with transaction.atomic():
            mine, made = Identity.objects.get_or_create(
                issuer=claims["iss"], subject=claims["sub"], defaults={"user": user}
            )
    except IntegrityError:
        raise Conflict("this account is linked to somebody else there") from None
    if mine.user_id != user.pk:
        raise Conflict("who you are there belongs to another account here")
    if made:
        logger.warning("%s linked an identity", user_ref(user.pk))
        mail_notice(user=user, subject=_("Another way to sign in to your account"), text=_LINKED)


def unlink_identity(*, user: User) -> None:
    """Let the provider sign this account in no more. Idempotent.

    Raises:
        Forbidden: the account has no password, so nothing else would sign it in.
    """
    if not user.has_usable_password():
        raise Forbidden("this account has no password, so nobody could sign in to it any more")
    if Identity.objects.filter(user=user).delete()[0]:
        logger.warning("%s unlinked an identity", user_ref(user.pk))


def _names(wanted: str) -> list[str]:
    """Return what a user name may be, best first: as the provider has it, in our letters; then with numbers."""
    plain = re.sub(r"[^a-z0-9_.-]+", "-", wanted.lower().partition("@")[0]).strip("_.-")[: _MAX_NAME - 4]
    base = plain if len(plain) > 1 else f"user-{plain}".rstrip("-")
    names = [base, *(f"{base}-{number}" for number in range(2, _NAMES_TRIED))]
    return [name for name in names if _fits(name)]


def _fits(name: str) -> bool:
    try:
        username_validator(name)
    except ValidationError:
        return False
    return True


def _display_name(claims: Mapping[str, Any]) -> str:
    name = claims.get("name")
    return "".join(char for char in name if char.isprintable()).strip()[:80] if isinstance(name, str) else ""


def _verified_email(claims: Mapping[str, Any]) -> str:
    email = claims.get("email")
    if claims.get("email_verified") is not True or not isinstance(email, str) or len(email) > 254:
        return ""
    try:
        validate_email(email)
    except ValidationError:
        return ""
    return "" if User.objects.filter(email__iexact=email).exists() else email
