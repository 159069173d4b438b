"""Which providers this installation has; built from the environment in ``chatproject.settings``."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class ApnsConfig:
    """Apple's signing key, whose it is, and the apps (bundle ids) it may send to; the first is the default."""

    key: str
    key_id: str
    team_id: str
    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PushConfig:
    """A provider that is not set up is None or empty."""

    apns: ApnsConfig | None = None
    fcm_credentials: Path | None = None
    #: 32 bytes, base64url.
    vapid_private_key: str = ""
    vapid_subject: str = "mailto:chat@localhost"
    #: Host names; with a dot before it, a domain and all below it.
    hosts: tuple[str, ...] = ()
    #: Pushes a second to each provider, of all workers together.
    rate_per_s: int = 1_000

    def providers(self) -> list[str]:
        """Return the names of the providers that can be used."""
        found = {"apns": self.apns, "fcm": self.fcm_credentials, "webpush": self.vapid_private_key}
        return [name for name, configured in found.items() if configured]

    def may_call(self, endpoint: str) -> bool:
        """Return whether an endpoint that a browser names is at a push service that we know.

        The worker calls it, from inside our network: any other address could be one of our own. Plain HTTP is for a
        service on this very machine, where it is named with its port.
        """
        try:
            parts = urlsplit(endpoint)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            return False
        if parts.username is not None or parts.fragment:
            return False
        if parts.scheme == "http":
            return f"{host}:{port}" in self.hosts and host in ("127.0.0.1", "localhost")
        if parts.scheme != "https":
            return False
        names = {host, f"{host}:{port}"} if port is not None else {host}
        domains = [name for name in self.hosts if name.startswith(".")]
        return bool(names & set(self.hosts)) or (port is None and any(host.endswith(domain) for domain in domains))
