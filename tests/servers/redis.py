"""Redis from Debian's package (or any ``redis-server`` on the PATH)."""

import shutil
import socket

from tests.servers.base import CannotStart, Server, free_port
from tests.servers.packages import apt_install


class RedisServer(Server):
    """One Redis, with nothing written to disk."""

    name = "redis"
    start_timeout_s = 10.0

    def install(self) -> None:
        """Install ``redis-server`` where it is missing and this is root on Debian."""
        if shutil.which("redis-server") is None:
            apt_install("redis-server")
        if shutil.which("redis-server") is None:
            raise CannotStart("redis-server is missing: apt-get install redis-server")

    @property
    def port(self) -> int:
        """Return the port, chosen at the first call and kept in the directory."""
        file = self.directory / "port"
        if not file.exists():
            self.directory.mkdir(parents=True, exist_ok=True)
            file.write_text(str(free_port()))
        return int(file.read_text())

    def command(self) -> tuple[list[str], dict[str, str]]:
        """Return the command line."""
        return ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"], {}

    def healthy(self) -> bool:
        """Return whether it answers PING."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def environment(self) -> dict[str, str]:
        """Return how the project reaches it."""
        return {"CHAT_REDIS_URL": f"redis://127.0.0.1:{self.port}/0"}
