"""APNs over HTTP/2 with a signing key (docs/decisions/0029).

One connection for each of Apple's two services carries all requests at once; it is opened again when it ends.
"""

import ssl
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import jwt
import msgspec
from hpack import NeverIndexedHeaderTuple

from push.config import ApnsConfig
from push.providers.base import SENT, TIMEOUT_S, Address, Notice, Outcome, Result, retry_after
from push.providers.http2 import Headers, Http2Client, Response, tls_context

PRODUCTION: Final = "https://api.push.apple.com"
SANDBOX: Final = "https://api.sandbox.push.apple.com"
#: Apple takes a token for an hour, and refuses a new one within 20 minutes (TooManyProviderTokenUpdates).
TOKEN_LIFE_S: Final = 50 * 60
_MAX_PAYLOAD_BYTES: Final = 4_096

#: 400s that say that the address is no good; the others are our mistake.
_DEAD: Final = {"BadDeviceToken", "DeviceTokenNotForTopic", "Unregistered", "ExpiredToken"}
#: 403s after which a fresh token may help.
_STALE: Final = {"ExpiredProviderToken", "InvalidProviderToken"}


class Apns:
    """See the module. ``hosts``: environment -> base URL. ``now``: Unix seconds."""

    def __init__(
        self,
        config: ApnsConfig,
        *,
        hosts: dict[str, str] | None = None,
        context: ssl.SSLContext | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._hosts = hosts or {"production": PRODUCTION, "sandbox": SANDBOX}
        self._now = now
        self._token = ""
        self._token_at = float("-inf")
        # One connection each: Apple takes thousands of requests on it, and sees many connections as an attack.
        self._clients = {environment: _client(url, context) for environment, url in self._hosts.items()}

    def _bearer(self) -> str:
        now = self._now()
        if not 0 <= now - self._token_at < TOKEN_LIFE_S:
            claims = {"iss": self._config.team_id, "iat": int(now)}
            self._token = jwt.encode(claims, self._config.key, algorithm="ES256", headers={"kid": self._config.key_id})
            self._token_at = now
        return self._token

    async def send(self, address: Address, notice: Notice) -> Outcome:
        """Hand one notice over; see the interface."""
        token = self._bearer()
        headers: Headers = [
            ("authorization", f"bearer {token}"),
            ("apns-topic", address.topic),
            # A change of the badge is shown to the user as well, so it is no "background" push.
            ("apns-push-type", "alert"),
            ("apns-priority", "5" if notice.silent or notice.quiet else "10"),
            NeverIndexedHeaderTuple("apns-expiration", str(int(self._now()) + notice.expires_s)),
            NeverIndexedHeaderTuple("apns-collapse-id", notice.collapse[:64]),
        ]
        client = self._clients[address.environment]
        try:
            response = await client.post(f"/3/device/{address.token}", headers, payload(notice))
        except OSError as error:
            return Outcome(Result.RETRY, type(error).__name__, outage=True)
        return self._outcome(response, token)

    def _outcome(self, response: Response, token: str) -> Outcome:
        status = response.status
        if status == 200:
            return SENT
        reason = _reason(response)
        after = retry_after(response.headers.get("retry-after"))
        if status == 410 or reason in _DEAD:
            return Outcome(Result.GONE, reason)
        if status == 403:
            if reason in _STALE and token == self._token and self._now() - self._token_at > 20 * 60:
                self._token_at = float("-inf")
            return Outcome(Result.RETRY, reason, after, outage=True)
        if status == 429:
            return Outcome(Result.RETRY, reason, after)
        if status >= 500:
            return Outcome(Result.RETRY, reason, after, outage=True)
        return Outcome(Result.REFUSED, reason)

    async def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            await client.close()


def _client(url: str, context: ssl.SSLContext | None) -> Http2Client:
    parts = urlsplit(url)
    return Http2Client(parts.hostname or "", parts.port or 443, context=context or tls_context(), timeout_s=TIMEOUT_S)


def payload(notice: Notice) -> bytes:
    """Return the JSON for the device, at most 4,096 bytes: a longer text is cut."""
    aps: dict[str, Any] = {"badge": notice.badge}
    if notice.silent:
        aps["content-available"] = 1
    else:
        aps |= {
            "alert": {"title": notice.title, "body": notice.body},
            "thread-id": notice.collapse,
            "mutable-content": 1,
        }
        aps |= {"interruption-level": "passive"} if notice.quiet else {"sound": "default"}
    whole: dict[str, Any] = {"aps": aps, **notice.data}
    encoded = msgspec.json.encode(whole)
    body = notice.body
    while len(encoded) > _MAX_PAYLOAD_BYTES and body:
        body = body[: len(body) // 2]
        aps["alert"]["body"] = f"{body}…"
        encoded = msgspec.json.encode(whole)
    return encoded


def _reason(response: Response) -> str:
    try:
        found = msgspec.json.decode(response.body, type=dict[str, Any]).get("reason")
    except msgspec.DecodeError:
        found = None
    return found if isinstance(found, str) and found.isalnum() and len(found) <= 64 else f"HTTP {response.status}"
