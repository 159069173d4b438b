"""The installation under test: started for one run, in a data directory of its own, and gone after it.

A stack knows its environment, its gateways' addresses and its processes; scenarios know nothing else of it. Another
stack is another class here and another line in ``STACKS``.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final, Protocol

from tests.servers.base import CannotStart
from tests.servers.cassandra import CassandraServer
from tests.servers.kafka import KafkaServer
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer

_ROOT: Final = Path(__file__).resolve().parent.parent
_START_TIMEOUT_S: Final = 60.0
_STOP_TIMEOUT_S: Final = 30.0
#: Every limit that would measure the limiter and not the server.
#: And what a run measures is not changed by it.
_OPEN_LIMITS: Final = {
    "CHAT_SEND_RATE": "1000000",
    "CHAT_SEND_BURST": "1000000",
    "CHAT_HOT_RATE": "0",
    "CHAT_API_RATE": "1000000/min",
    "CHAT_LOG_LEVEL": "WARNING",
}


class StackFailed(Exception):
    """The installation did not start, or ended under the load; the message holds the end of its output."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a gateway listens."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """One process of the stack. ``is_gateway``: it holds sockets, so its memory counts per connection."""

    name: str
    pid: int
    is_gateway: bool


class Stack(Protocol):
    """What a scenario may ask of an installation."""

    name: str
    #: Seconds of messages after which its processes are as quick as they get.
    warmup_s: float

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables with which processes of this installation run, the preparation among them."""

    @property
    def addresses(self) -> Sequence[Address]:
        """The gateways; clients spread over them."""

    @property
    def processes(self) -> Sequence[ServerProcess]:
        """The processes that run, for their memory and processor time."""

    def prepare(self, plan: Mapping[str, Any]) -> Any:
        """Fill the stores before the start; see ``bench/prepare.py``. Raises StackFailed."""

    def start(self) -> None:
        """Return once every gateway takes connections. Raises StackFailed."""

    def stop(self) -> None:
        """End the processes and remove the data; idempotent."""


def run_prepare(plan: Mapping[str, Any], environment: Mapping[str, str]) -> Any:
    """Run ``bench.prepare`` in a process of its own and return what it made. Raises StackFailed."""
    ran = subprocess.run(
        [sys.executable, "-m", "bench.prepare"],
        input=json.dumps(plan),
        capture_output=True,
        text=True,
        cwd=_ROOT,
        env=dict(environment),
        check=False,
    )
    if ran.returncode:
        raise StackFailed(f"the preparation failed:\n{ran.stderr[-4000:]}")
    return json.loads(ran.stdout)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _Manage:
    """One ``manage.py …`` as a child."""

    def __init__(
        self, *arguments: str, environment: Mapping[str, str], output: Path, profile: Path | None = None
    ) -> None:
        self._output = output
        profiler = [] if profile is None else ["-m", "cProfile", "-o", str(profile.resolve())]
        with output.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, *profiler, "manage.py", *arguments],
                cwd=_ROOT,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_until_ready(self, address: Address) -> None:
        """Return once ``/readyz`` says 200. Raises StackFailed after a minute, or when the process ends."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            with contextlib.suppress(OSError, HTTPException):
                connection = HTTPConnection(address.host, address.port, timeout=2.0)
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise StackFailed(f"the server is not ready; its output ends:\n{self._output.read_text()[-4000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Let it drain, or end it."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            self._process.wait(timeout=_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _inherited() -> dict[str, str]:
    """Return this process's variables without the program's own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CHAT_")}


class EmbeddedStack:
    """One process: a gateway with the router inside, on embedded engines."""

    name = "embedded"
    warmup_s = 5.0

    def __init__(self, *, profile: Path | None = None) -> None:
        """``profile``: run the server under cProfile and leave the event loop's profile there."""
        self._scratch = tempfile.TemporaryDirectory(prefix="chat-bench-")
        self._directory = Path(self._scratch.name)
        self._address = Address("127.0.0.1", free_port())
        self._profile = profile
        self._server: _Manage | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """This process's variables, with the program's own replaced."""
        return _inherited() | _OPEN_LIMITS | {"CHAT_DATA_DIR": str(self._directory / "data")}

    @property
    def addresses(self) -> Sequence[Address]:
        """The one gateway."""
        return [self._address]

    @property
    def processes(self) -> Sequence[ServerProcess]:
        """The one process."""
        return [] if self._server is None else [ServerProcess("server", self._server.pid, True)]

    def prepare(self, plan: Mapping[str, Any]) -> Any:
        """Migrate and fill the data directory."""
        return run_prepare(plan, self.environment)

    def start(self) -> None:
        """Start ``manage.py gateway``."""
        self._server = _Manage(
            "gateway",
            f"--host={self._address.host}",
            f"--port={self._address.port}",
            environment=self.environment,
            output=self._directory / "output",
            profile=self._profile,
        )
        self._server.wait_until_ready(self._address)

    def stop_server(self) -> None:
        """Drain the server, or end it; the data stays."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def stop(self) -> None:
        """Drain the server, or end it, and remove the data."""
        self.stop_server()
        self._scratch.cleanup()


class FullStack:
    """Two gateways and a router on Kafka, Cassandra, Redis and PostgreSQL, all on this machine.

    Messages cross between the gateways. A second router would share the same cores: each would have half of the records
    and as many polls, and a poll is what costs. It is there to take over, and for more cores.

    The engines are the tests' (``tests/servers``): one broker and one node each, so what replication costs is not in
    the figures. As in a cluster, neither broker nor node waits for its disk.
    """

    name = "full"
    # Java compiles what it runs often, which takes a good part of a core at first.
    warmup_s = 45.0

    def __init__(self, *, profile: Path | None = None) -> None:
        """``profile``: run gateways and router under cProfile and leave a profile of each there, with its name."""
        self._scratch = tempfile.TemporaryDirectory(prefix="chat-bench-")
        self._directory = Path(self._scratch.name)
        # PostgreSQL runs as another user where this is root.
        self._directory.chmod(0o711)
        self._services = [service(self._directory / service.name) for service in _SERVICES]
        self._gateways = [Address("127.0.0.1", free_port()) for _ in range(2)]
        self._profile = profile
        self._running: dict[str, _Manage] = {}

    @property
    def environment(self) -> Mapping[str, str]:
        """This process's variables, with the program's own replaced by the engines' addresses."""
        engines = {name: value for service in self._services for name, value in service.environment().items()}
        return (
            _inherited()
            | _OPEN_LIMITS
            | engines
            | {
                "CHAT_DATA_DIR": str(self._directory / "data"),
                "CHAT_SECRET_KEY": "a key of this run",
                "CHAT_LOG": "kafka",
                "CHAT_STORE": "cassandra",
                "CHAT_REGISTRY": "redis",
                "CHAT_LAYER": "redis",
                "CHAT_JOBS": "redis",
                "CHAT_KAFKA_PARTITIONS": "12",
            }
        )

    @property
    def addresses(self) -> Sequence[Address]:
        """The gateways."""
        return self._gateways

    @property
    def processes(self) -> Sequence[ServerProcess]:
        """The program's own, and the engines."""
        ours = [ServerProcess(name, it.pid, name.startswith("gateway")) for name, it in self._running.items()]
        pids = [(service.name, service.pid()) for service in self._services]
        return [*ours, *(ServerProcess(name, pid, False) for name, pid in pids if pid is not None)]

    def prepare(self, plan: Mapping[str, Any]) -> Any:
        """Start the engines, make their tables and topics, and fill them."""
        try:
            with ThreadPoolExecutor(len(self._services)) as threads:
                for starting in [threads.submit(service.start) for service in self._services]:
                    starting.result()
        except CannotStart as error:
            raise StackFailed(str(error)) from error
        for command in ("topics", "cassandra_schema"):
            done = subprocess.run(
                [sys.executable, "manage.py", command],
                cwd=_ROOT,
                env=dict(self.environment),
                capture_output=True,
                text=True,
                timeout=_START_TIMEOUT_S,
                check=False,
            )
            if done.returncode:
                raise StackFailed(f"manage.py {command} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return run_prepare(plan, self.environment)

    def start(self) -> None:
        """Start router and gateways."""
        self._run("router", "router")
        for number, address in enumerate(self._gateways, 1):
            self._run(f"gateway-{number}", "gateway", f"--host={address.host}", f"--port={address.port}")
        for number, address in enumerate(self._gateways, 1):
            self._running[f"gateway-{number}"].wait_until_ready(address)

    def _run(self, name: str, *arguments: str) -> None:
        profile = self._profile
        self._running[name] = _Manage(
            *arguments,
            environment={**self.environment, "CHAT_POD": name},
            output=self._directory / f"{name}.out",
            profile=profile and profile.with_name(f"{profile.name}.{name}"),
        )

    def stop(self) -> None:
        """End all of it, the gateways first, and remove its data."""
        for name in sorted(self._running):
            self._running.pop(name).stop()
        with ThreadPoolExecutor(len(self._services)) as threads:
            for stopping in [threads.submit(service.stop) for service in self._services]:
                stopping.result()
        self._scratch.cleanup()


class _Cassandra(CassandraServer):
    """Set up as a node of a cluster is, where the other replicas hold what its disk does not have yet."""

    #: Cassandra's default.
    sync_period = "10s"


_SERVICES: Final = (KafkaServer, _Cassandra, RedisServer, PostgresServer)
STACKS: Final[dict[str, type[EmbeddedStack] | type[FullStack]]] = {"embedded": EmbeddedStack, "full": FullStack}
