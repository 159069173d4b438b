"""Web Push (RFC 8030) with VAPID (RFC 8292); what is sent only the browser can read (RFC 8291, aes128gcm).

pywebpush encrypts; the sending is ours: its own follows redirects, and this URL was named by a user.
"""

import hashlib
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

import httpx
import msgspec
from py_vapid import Vapid02
from pywebpush import WebPusher

from push.config import PushConfig
from push.providers.base import SENT, TIMEOUT_S, Address, Notice, Outcome, Result, retry_after
from push.vapid import private_key

#: Push services take a signature for a day at most.
_SIGNATURE_LIFE_S: Final = 12 * 3600
_MAX_PAYLOAD_BYTES: Final = 3_000
_MAX_SIGNATURES: Final = 1_000


class WebPush:
    """See the module. ``now``: Unix seconds."""

    def __init__(self, config: PushConfig, *, now: Callable[[], float] = time.time) -> None:
        self._config = config
        self._now = now
        self._vapid = Vapid02(private_key(config.vapid_private_key))
        #: Origin of a push service -> the header for it, and until when it is good.
        self._signatures: dict[str, tuple[str, float]] = {}
        self._client = httpx.AsyncClient(
            http2=True,
            limits=httpx.Limits(max_connections=50, max_keepalive_connections=20, keepalive_expiry=120),
            timeout=TIMEOUT_S,
            trust_env=False,
            follow_redirects=False,
        )

    def _authorization(self, endpoint: str) -> str:
        parts = urlsplit(endpoint)
        origin = f"{parts.scheme}://{parts.netloc}"
        now = self._now()
        header, until = self._signatures.get(origin, ("", 0.0))
        if until - now < _SIGNATURE_LIFE_S / 2:
            if len(self._signatures) >= _MAX_SIGNATURES:
                self._signatures.clear()
            until = now + _SIGNATURE_LIFE_S
            claims = {"aud": origin, "exp": int(until), "sub": self._config.vapid_subject}
            header = self._vapid.sign(claims)["Authorization"]
            self._signatures[origin] = (header, until)
        return header

    async def send(self, address: Address, notice: Notice) -> Outcome:
        """Hand one notice over; see the interface."""
        endpoint = address.token
        # What may be called may have changed since the browser subscribed.
        if not self._config.may_call(endpoint):
            return Outcome(Result.GONE, "no push service that we know")
        encrypted = WebPusher({"endpoint": endpoint, "keys": address.keys}).encode(payload(notice))
        headers = {
            "authorization": self._authorization(endpoint),
            "content-encoding": "aes128gcm",
            "content-type": "application/octet-stream",
            "ttl": str(notice.expires_s),
            "urgency": "low" if notice.silent or notice.quiet else "high",
            "topic": _topic(notice.collapse),
        }
        try:
            response = await self._client.post(endpoint, content=encrypted["body"], headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return Outcome(Result.RETRY, type(error).__name__, outage=True)
        return _outcome(response)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def payload(notice: Notice) -> bytes:
    """Return the JSON that the service worker reads; a text that would not fit is cut."""
    body = notice.body
    while True:
        whole = {"title": notice.title, "body": body, "tag": notice.collapse, "badge": notice.badge, **notice.data}
        encoded = msgspec.json.encode(whole)
        if len(encoded) <= _MAX_PAYLOAD_BYTES or not body:
            return encoded
        body = f"{body[: len(body) // 2]}…" if len(body) > 2 else ""


def _topic(collapse: str) -> str:
    """Return a name of at most 32 characters that tells the push service nothing (RFC 8030, section 5.4)."""
    return urlsafe_b64encode(hashlib.sha256(collapse.encode()).digest()[:24]).decode()


def _outcome(response: httpx.Response) -> Outcome:
    status = response.status_code
    reason = f"HTTP {status}"
    after = retry_after(response.headers.get("retry-after"))
    if status in (200, 201, 202):
        return SENT
    if status in (404, 410):
        return Outcome(Result.GONE, reason)
    if status == 429:
        return Outcome(Result.RETRY, reason, after)
    if status in (401, 403):
        # Our signature: nothing that another try of this push could mend by itself.
        return Outcome(Result.RETRY, reason, after, outage=True)
    if status >= 500:
        return Outcome(Result.RETRY, reason, after, outage=True)
    return Outcome(Result.REFUSED, reason)
