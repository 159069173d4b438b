"""Which pages may be fetched: those at public addresses, at the ports of the web (docs/decisions/0075)."""

from collections.abc import Collection, Sequence
from ipaddress import ip_address

from messaging.domain.links import PORTS
from messaging.outbound import CheckedBackend, Refused, Resolve, is_public, resolve


class GuardedBackend(CheckedBackend):
    """Connects to pages only. ``exempt``: ``host:port`` of numeric addresses of tests; the product has none."""

    def __init__(self, *, exempt: Collection[str] = (), resolve: Resolve = resolve) -> None:
        super().__init__(resolve=resolve)
        self._exempt = frozenset(exempt)

    def check(self, host: str, port: int, addresses: Sequence[str]) -> None:
        """Look at all addresses of a host. Raises Refused."""
        for text in addresses:
            if f"{text}:{port}" in self._exempt:
                continue
            if port not in PORTS.values():
                raise Refused("another port")
            # Of one that leads here and there, nobody knows what it is for.
            if "%" in text or not is_public(ip_address(text)):
                raise Refused("not an address of the public internet")
