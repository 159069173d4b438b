"""FCM v1 by firebase-admin, on its asynchronous client (HTTP/2).

The library tries a 500 or 503 again by itself, up to four times within seven seconds; then it is ours to wait.
"""

import asyncio
import warnings
from pathlib import Path
from typing import Any, Final

import firebase_admin
from firebase_admin import credentials, exceptions, messaging
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request

from push.providers.base import SENT, TIMEOUT_S, Address, Notice, Outcome, Result, retry_after

_MAX_BODY_CHARS: Final = 800
#: What may go wrong with the push itself, in the library's words.
_REFUSED: Final = (exceptions.InvalidArgumentError, exceptions.FailedPreconditionError)


class Fcm:
    """See the module. ``credentials_file``: Google's JSON of a service account."""

    def __init__(self, credentials_file: Path) -> None:
        self._app = firebase_admin.initialize_app(
            credentials.Certificate(str(credentials_file)), {"httpTimeout": TIMEOUT_S}, name=f"push-{id(self)}"
        )
        self._credential: Any = self._app.credential.get_credential()
        self._refreshing = asyncio.Lock()

    async def _ensure_token(self) -> None:
        """Have a token that is good for a while: the library would fetch one on the event loop, and block it."""
        async with self._refreshing:
            if not self._credential.valid:
                await asyncio.to_thread(self._credential.refresh, Request())

    async def send(self, address: Address, notice: Notice) -> Outcome:
        """Hand one notice over; see the interface."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._ensure_token()
                answer = await messaging.send_each_async([message(address, notice)], app=self._app)
        except (TimeoutError, GoogleAuthError) as error:
            return Outcome(Result.RETRY, type(error).__name__, outage=True)
        except (exceptions.FirebaseError, ValueError) as error:
            return Outcome(Result.REFUSED, type(error).__name__)
        [sent] = answer.responses
        return SENT if sent.success else _outcome(sent.exception)

    async def close(self) -> None:
        """Close the connections and forget the app."""
        # The library would close them on a loop of its own, to which they do not belong.
        await messaging._get_messaging_service(self._app)._async_client.aclose()
        await asyncio.to_thread(firebase_admin.delete_app, self._app)


def _addressed(token: str, **content: Any) -> messaging.Message:
    with warnings.catch_warnings():
        # It would rather have installation ids, which are newer than most apps; FCM takes both.
        warnings.filterwarnings("ignore", "Message.token is deprecated", DeprecationWarning)
        return messaging.Message(token=token, **content)


def message(address: Address, notice: Notice) -> messaging.Message:
    """Return what FCM is sent: a notification that replaces the conversation's last, or data alone."""
    data = {**notice.data, "badge": str(notice.badge)}
    if notice.silent:
        android = messaging.AndroidConfig(collapse_key=notice.collapse, priority="normal", ttl=notice.expires_s)
        return _addressed(address.token, data=data, android=android)
    android = messaging.AndroidConfig(
        collapse_key=notice.collapse,
        priority="normal" if notice.quiet else "high",
        ttl=notice.expires_s,
        notification=messaging.AndroidNotification(
            tag=notice.collapse,
            notification_count=notice.badge or None,
            priority="low" if notice.quiet else None,
        ),
    )
    shown = messaging.Notification(title=notice.title, body=notice.body[:_MAX_BODY_CHARS])
    return _addressed(address.token, data=data, notification=shown, android=android)


def _outcome(error: Any) -> Outcome:
    reason = type(error).__name__.removesuffix("Error")
    response = getattr(error, "http_response", None)
    after = retry_after(response.headers.get("retry-after")) if response is not None else None
    if isinstance(error, messaging.UnregisteredError | messaging.SenderIdMismatchError | exceptions.NotFoundError):
        return Outcome(Result.GONE, reason)
    if isinstance(error, messaging.QuotaExceededError | exceptions.ResourceExhaustedError):
        return Outcome(Result.RETRY, reason, after)
    if isinstance(error, _REFUSED):
        return Outcome(Result.REFUSED, reason)
    return Outcome(Result.RETRY, reason, after, outage=True)
