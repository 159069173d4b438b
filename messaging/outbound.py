"""Where a request on behalf of users may go: to public addresses of the internet (docs/decisions/0075 and 0082).

Users choose what this server calls. So names are resolved here, every address is looked at, and the connection is made
to an address that was looked at: a name that answers otherwise the second time gains nothing.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

import httpcore

#: IANA's registry of special-purpose addresses, multicast, what is reserved, and what clouds answer at.
_CLOSED_V4: Final = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # shared by the customers of a carrier
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's own, public by its number
        "169.254.0.0/16",  # link-local, and the metadata of most clouds
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
#: Of IPv6 only what is given out as public counts; of that, not what stands for other addresses or for none.
_OPEN_V6: Final = IPv6Network("2000::/3")
_CLOSED_V6: Final = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # Teredo, ORCHID and other protocols' own
        "2001:db8::/32",
        "2002::/16",  # 6to4: an IPv4 address within
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)
#: Addresses of a name that are tried.
_MOST_TRIED: Final = 3

Resolve = Callable[[str, int], Awaitable[list[str]]]


class Refused(Exception):
    """This is not a place that may be called; the message says why."""


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Return whether an address is one of the public internet.

    IPv4 in the clothes of IPv6 (mapped, NAT64, 6to4, Teredo) is not: nobody's page needs it.
    """
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _CLOSED_V4)
    return address in _OPEN_V6 and not any(address in network for network in _CLOSED_V6)


async def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a name, as the system's resolver has them. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Makes the connections of an HTTP client, and only those that ``check`` lets pass."""

    def __init__(self, *, resolve: Resolve = resolve) -> None:
        self._resolve = resolve
        self._backend = httpcore.AnyIOBackend()

    def check(self, host: str, port: int, addresses: Sequence[str]) -> None:
        """Look at all addresses that a host has. Raises Refused: one of them may not be called."""
        raise NotImplementedError

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the interface's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to an address of a host that was looked at. Raises Refused, httpcore.ConnectError, ConnectTimeout."""
        try:
            found = list(dict.fromkeys(await self._resolve(host, port)))
        except (OSError, UnicodeError):
            raise httpcore.ConnectError("the name is not known") from None
        self.check(host, port, found)
        error: Exception = httpcore.ConnectError("the name has no address")
        for address in found[:_MOST_TRIED]:
            try:
                return await self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failed:
                error = failed
        raise error

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: nobody whom users can name is there."""
        raise Refused("no sockets of this machine")

    async def sleep(self, seconds: float) -> None:
        """Wait; the interface's."""
        await self._backend.sleep(seconds)
