"""Requests to addresses that users give: never to this network, never redirected, bounded in time (decision 0082).

Where they may go is looked at as ``messaging.outbound`` does it.
"""

import asyncio
import ipaddress
import ssl
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import httpcore

from messaging import outbound
from messaging.outbound import Refused

_MAX_URL_CHARS: Final = 500


class Failed(Exception):
    """Nobody answered; the message says what happened."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, and how long the other side asks to be left alone (s; None: it does not)."""

    status: int
    retry_after_s: float | None = None


def allowed(host: str, hosts: Iterable[str]) -> bool:
    """Return whether the operator trusts a host: it is among ``hosts``, or below one that begins with a dot."""
    return any(host == one or (one.startswith(".") and host.endswith(one)) for one in hosts)


def check_url(url: str, *, hosts: Collection[str]) -> str:
    """Return the address as it is used; ``hosts``: those that the operator trusts, which may be private and plain HTTP.

    Raises:
        Refused: it is no address of HTTPS, has a user name in it, or is an IP address of a private network.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise Refused("this is not an address") from None
    if len(url) > _MAX_URL_CHARS or not url.isascii() or not url.isprintable() or " " in url:
        raise Refused(f"an address has at most {_MAX_URL_CHARS} characters, of ASCII, without spaces")
    if parts.scheme not in ("https", "http") or not host or port == 0:
        raise Refused("an address begins with https://")
    if parts.username is not None or parts.fragment:
        raise Refused("an address has no user name and no #")
    trusted = allowed(host, hosts)
    if parts.scheme == "http" and not trusted:
        raise Refused("an address begins with https://")
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return url
    if not trusted and not is_public(str(ip)):
        raise Refused("this is an address of a private network")
    return url


def is_public(address: str) -> bool:
    """Return whether an IP address belongs to the world, and not to this machine, this network or a detour to them."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return outbound.is_public(ip)


class _Guard(outbound.CheckedBackend):
    """Connects to public addresses, and to those of trusted hosts, and to no others."""

    def __init__(self, hosts: Collection[str]) -> None:
        super().__init__()
        self._hosts = hosts

    def check(self, host: str, port: int, addresses: Sequence[str]) -> None:
        """Look at all addresses of a host. Raises Refused."""
        if not allowed(host, self._hosts) and not all(map(is_public, addresses)):
            # One bad address among good ones is a trick, and not to be tried again until it falls well.
            raise Refused("the name leads to a private network")


class Outbound:
    """Sends within one event loop; ``async with`` closes its connections.

    ``hosts``: those that the operator trusts. ``tls``: in place of the system's certificate authorities.
    """

    def __init__(self, *, hosts: Collection[str], tls: ssl.SSLContext | None = None) -> None:
        self._hosts = hosts
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls or ssl.create_default_context(),
            max_connections=200,
            keepalive_expiry=5.0,
            network_backend=_Guard(hosts),
        )

    async def __aenter__(self) -> "Outbound":
        return self

    async def __aexit__(self, *args: object) -> None:
        await self._pool.aclose()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Answer:
        """Return what is answered to a POST, within ``timeout_s`` for all of it; the answer's body is not read.

        A redirection is an answer like others. Raises Refused, Failed.
        """
        check_url(url, hosts=self._hosts)
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._pool.stream("POST", url, headers=list(headers.items()), content=body) as response,
            ):
                given = {name.lower(): value for name, value in response.headers}
                return Answer(response.status, _seconds(given.get(b"retry-after", b"").decode("latin-1")))
        except TimeoutError:
            raise Failed(f"no answer within {timeout_s:.0f} s") from None
        except httpcore.ConnectError as error:
            raise Failed(f"cannot connect: {error}"[:120]) from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as error:
            raise Failed(f"the connection broke: {type(error).__name__}") from None


def _seconds(text: str) -> float | None:
    """Return what Retry-After says in seconds; None for a date, which clocks disagree about, and for nothing."""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 8 else None
