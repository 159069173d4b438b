"""The balancer of docker/compose.yml, with its own configuration, in front of pods on this machine."""

import shutil
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from tests.servers.base import Server
from tests.servers.packages import apt_install

_CONFIGURATION = Path(__file__).parents[2] / "docker" / "haproxy.cfg"


class HaproxyServer(Server):
    """HAProxy as in docker/haproxy.cfg, but for the addresses."""

    name = "haproxy"
    start_timeout_s = 10.0

    def __init__(self, directory: Path, *, pods: Sequence[int]) -> None:
        super().__init__(directory)
        self.pods = pods

    def install(self) -> None:
        """Install ``haproxy`` where it is missing and this is root on Debian."""
        if shutil.which("haproxy") is None:
            apt_install("haproxy")

    def command(self) -> tuple[list[str], dict[str, str]]:
        """Write the configuration; return the command line."""
        text = _CONFIGURATION.read_text()
        addresses = {"bind :8080": f"bind 127.0.0.1:{self.port()}"}
        addresses |= {f"gateway-{n}:8000": f"127.0.0.1:{port}" for n, port in enumerate(self.pods, start=1)}
        for theirs, ours in addresses.items():
            assert text.count(theirs) == 1, f"{theirs} in {_CONFIGURATION}"
            text = text.replace(theirs, ours)
        file = self.directory / "haproxy.cfg"
        file.write_text(text)
        return ["haproxy", "-f", str(file)], {}

    def answers(self) -> bool:
        """Return whether it answers at all; what it says is its pods' word."""
        connection = HTTPConnection("127.0.0.1", self.port(), timeout=2)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status > 0
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def environment(self) -> dict[str, str]:
        """Return nothing: the project does not know that it is behind one."""
        return {}
