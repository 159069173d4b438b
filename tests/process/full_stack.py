"""Two gateways and two routers as processes, on Kafka, Cassandra, Redis and PostgreSQL (design section 3)."""

import contextlib
import subprocess
import sys
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest
from django.conf import settings

from drills.engines import Engines
from tests.process.stacks import PATIENCE_S, Stack, environment, lasting_port, wait_for

_PARTITIONS: Final = 6


class FullStack(Stack):
    """The program's processes on engines that outlive it.

    Every stack has topics, a keyspace and a database of its own; its Redis, which knows no such names, is its alone
    as long as it runs.
    """

    names = ("gateway-1", "gateway-2", "router-1", "router-2")

    def __init__(self, directory: Path, engines: dict[str, str], **variables: str) -> None:
        """``engines``: where they are, as CHAT_… variables. ``variables``: others."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        name = f"t{uuid4().hex[:12]}"
        self._variables = {
            **engines,
            "CHAT_DATA_DIR": str(directory / "data"),
            "CHAT_SECRET_KEY": "only for this test",
            "CHAT_LOG": "kafka",
            "CHAT_STORE": "cassandra",
            "CHAT_REGISTRY": "redis",
            "CHAT_LAYER": "redis",
            "CHAT_JOBS": "redis",
            "CHAT_KAFKA_PREFIX": f"{name}-",
            "CHAT_KAFKA_PARTITIONS": str(_PARTITIONS),
            "CHAT_CASSANDRA_KEYSPACE": name,
            **variables,
        }
        self._ports = {name: lasting_port() for name in self.names if name.startswith("gateway")}
        self.gateways = [f"127.0.0.1:{port}" for port in self._ports.values()]
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        #: What a process has in its environment beside the rest, from its next start on.
        self.extra: dict[str, dict[str, str]] = {}
        self._prepared = False

    @property
    def variables(self) -> dict[str, str]:
        return self._variables

    def prepare(self) -> None:
        """Make tables and topics; idempotent."""
        if not self._prepared:
            for command in (("migrate", "--noinput"), ("cassandra_schema",), ("topics",)):
                self.manage(*command)
            self._prepared = True

    def start(self) -> None:
        self.prepare()
        self.restart(*self.names)

    def _start(self, name: str) -> None:
        role = name.rpartition("-")[0]
        address = [f"--port={self._ports[name]}"] if name in self._ports else []
        with (self._directory / f"{name}.out").open("ab") as output:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "manage.py", role, *address],
                cwd=settings.BASE_DIR,
                env=environment(**self._variables, CHAT_POD=name, **self.extra.get(name, {})),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def _wait(self, name: str) -> None:
        process = self._processes[name]
        if name in self._ports:
            wait_for(lambda: process.poll() is not None or self._ready(name))
        assert process.poll() is None, self.output

    def _ready(self, name: str) -> bool:
        connection = HTTPConnection("127.0.0.1", self._ports[name], timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def stop(self) -> None:
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    def kill(self, *names: str) -> None:
        dying = [self._processes.pop(name) for name in names]
        for process in dying:
            process.kill()
        for process in dying:
            process.wait()

    def pid(self, name: str) -> int:
        """Return the id of a process that runs."""
        return self._processes[name].pid

    def terminate(self, name: str) -> int:
        """Ask a process to end, and return its exit code once it has. It has two minutes, a drain among them."""
        process = self._processes[name]
        process.terminate()
        code = process.wait(2 * PATIENCE_S)
        # Until then it is one to be killed in the end.
        del self._processes[name]
        return code

    def restart(self, *names: str) -> None:
        for name in names:
            self._start(name)
        for name in names:
            self._wait(name)

    @property
    def output(self) -> str:
        texts = []
        for name in self.names:
            with contextlib.suppress(OSError):
                texts.append(f"--- {name}\n{(self._directory / f'{name}.out').read_text(errors='replace')}")
        return "\n".join(texts)


def engines(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return where the session's servers are, with a new database; one stack at a time uses them."""
    servers = (request.getfixturevalue(f"{name}_server") for name in ("kafka", "cassandra", "redis", "postgres"))
    return Engines(*servers).environment()
