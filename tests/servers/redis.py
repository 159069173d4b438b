"""Redis from Debian's package (or any ``redis-server`` on the PATH)."""

import contextlib
import shutil
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from tests.servers.base import Cluster, Server
from tests.servers.packages import apt_install


class RedisServer(Server):
    """One Redis, with nothing written to disk: after a restart it is empty."""

    name = "redis"
    start_timeout_s = 10.0

    def install(self) -> None:
        """Install ``redis-server`` where it is missing and this is root on Debian."""
        if shutil.which("redis-server") is None:
            apt_install("redis-server")

    def command(self) -> tuple[list[str], dict[str, str]]:
        """Return the command line."""
        return [
            *["redis-server", "--port", str(self.port()), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        ], {}

    def client(self) -> Redis:
        """Return a new client, for the caller to close."""
        once = Retry(NoBackoff(), 0)
        return Redis(port=self.port(), socket_timeout=2, socket_connect_timeout=2, retry=once, decode_responses=True)

    def answers(self) -> bool:
        """Return whether it answers PING."""
        with contextlib.suppress(RedisError), self.client() as client:
            return bool(client.ping())
        return False

    def environment(self) -> dict[str, str]:
        """Return how the project reaches it."""
        return {"CHAT_REDIS_URL": f"redis://127.0.0.1:{self.port()}/0"}


class RedisClusterNode(RedisServer):
    """One node of three. Its place in the cluster (``nodes.conf``) survives a restart; its keys do not."""

    def command(self) -> tuple[list[str], dict[str, str]]:
        """Return the command line."""
        command, environment = super().command()
        # A short timeout: tests of faults wait for it.
        cluster = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"]
        return [*command, *cluster, "--cluster-port", str(self.port("bus"))], environment


class RedisCluster(Cluster[RedisClusterNode]):
    """Three masters without replicas: every key has one home, and with a node its keys are gone."""

    name = "redis-cluster"
    start_timeout_s = 20.0
    _SLOTS = 16384

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.members = [RedisClusterNode(self.directory / str(number)) for number in (1, 2, 3)]

    def prepare(self) -> None:
        """Give each node a third of the slots and introduce them to the first."""
        first = self.members[0]
        for number, member in enumerate(self.members):
            with member.client() as client:
                if not int(client.cluster("info")["cluster_slots_assigned"]):
                    share = self._SLOTS * number // 3, self._SLOTS * (number + 1) // 3 - 1
                    client.cluster("addslotsrange", *share)
                client.cluster("meet", "127.0.0.1", first.port(), first.port("bus"))

    def joined(self) -> bool:
        """Return whether every node sees all slots served, and all nodes."""
        for member in self.members:
            try:
                with member.client() as client:
                    state = client.cluster("info")
            except RedisError:
                return False
            if state["cluster_state"] != "ok" or int(state["cluster_known_nodes"]) != len(self.members):
                return False
        return True

    def environment(self) -> dict[str, str]:
        """Return how the project reaches it: as the registry's Redis, by one node, which names the others."""
        return {"CHAT_REGISTRY_URL": f"redis+cluster://{self.members[0].addresses()[0]}"}
