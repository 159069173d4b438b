"""What happens on the pages of allauth and must reach devices and sockets."""

import logging
from typing import Any

from allauth.account.internal.flows.login import record_authentication
from allauth.account.signals import password_changed, password_reset
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authentication_failed, authenticator_added, authenticator_removed
from django.conf import settings
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest

from accounts.models import User
from accounts.selectors.credentials import AUTH_FAILURES
from accounts.services.devices import adopt_session, end_session, revoke_others
from messaging.domain.ids import user_ref

logger = logging.getLogger(__name__)


@receiver(authenticator_added)
def count_first_use(sender: Any, request: HttpRequest, user: User, authenticator: Authenticator, **kwargs: Any) -> None:
    """Let the code with which an app was set up, or the new passkey, count for this session: it was just used."""
    if authenticator.type in (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN):
        record_authentication(request, user, "mfa", id=authenticator.pk, type=authenticator.type)


@receiver(user_logged_out)
def end_device(sender: Any, request: HttpRequest | None, **kwargs: Any) -> None:
    """End the device of the session that logs out."""
    if request is not None and request.session.session_key:
        end_session(request.session.session_key)


@receiver(user_login_failed)
def count_failed_login(sender: Any, **kwargs: Any) -> None:
    """Count a wrong password, whether a page or REST asked for it."""
    AUTH_FAILURES.labels("password").inc()
    # Without the name: some type their password there.
    logger.warning("a password was refused")


@receiver(user_logged_in)
def tell_login(sender: Any, user: User, **kwargs: Any) -> None:
    """Note who signed in on a page; tokens are noted where they are made."""
    logger.info("%s signed in on a page", user_ref(user.pk))


@receiver(authenticator_added)
@receiver(authenticator_removed)
def tell_factor(sender: Any, signal: Any, user: User, authenticator: Authenticator, **kwargs: Any) -> None:
    """Note that a second factor came or went."""
    what = "has a new" if signal is authenticator_added else "removed a"
    logger.warning("%s %s second factor (%s)", user_ref(user.pk), what, authenticator.type)


@receiver(authentication_failed)
def count_refused_factor(sender: Any, user: User, authenticator: Authenticator, **kwargs: Any) -> None:
    """Count and note a wrong code or passkey on a page."""
    AUTH_FAILURES.labels("code").inc()
    logger.warning("a code of %s was refused (%s)", user_ref(user.pk), authenticator.type)


@receiver(password_changed)
def end_other_devices(sender: Any, request: HttpRequest, user: User, **kwargs: Any) -> None:
    """Sign out everywhere but here: the password may have been somebody else's, too."""
    # The session has a new key by now, and the browser still names the old one: it is the same device.
    old_key, new_key = request.COOKIES.get(settings.SESSION_COOKIE_NAME), request.session.session_key
    keep = adopt_session(old_key=old_key, new_key=new_key) if old_key and new_key else None
    revoke_others(user=user, keep=keep)


@receiver(password_reset)
def end_all_devices(sender: Any, request: HttpRequest, user: User, **kwargs: Any) -> None:
    """Sign out everywhere."""
    revoke_others(user=user, keep=None)
