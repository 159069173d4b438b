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
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final, Protocol

_ROOT: Final = Path(__file__).resolve().parent.parent
_START_TIMEOUT_S: Final = 60.0
_STOP_TIMEOUT_S: Final = 30.0
#: Every limit that would measure the limiter and not the server.
_OPEN_LIMITS: Final = {"CHAT_SEND_RATE": "1000000", "CHAT_SEND_BURST": "1000000", "CHAT_LOG_LEVEL": "WARNING"}


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


def wait_until_ready(address: Address, process: "subprocess.Popen[bytes]", output: Path) -> None:
    """Return once ``/readyz`` says 200. Raises StackFailed after a minute, or when the process ends."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        with contextlib.suppress(OSError, HTTPException):
            connection = HTTPConnection(address.host, address.port, timeout=2.0)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise StackFailed(f"the server is not ready; its output ends:\n{output.read_text()[-4000:]}")
        time.sleep(0.05)


class EmbeddedStack:
    """One process: a gateway with the router inside, on embedded engines."""

    name = "embedded"

    def __init__(self, *, profile: Path | None = None) -> None:
        """``profile``: run the server under cProfile and leave the event loop's profile there."""
        self._scratch = tempfile.TemporaryDirectory(prefix="chat-bench-")
        self._directory = Path(self._scratch.name)
        self._address = Address("127.0.0.1", free_port())
        self._profile = profile
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """This process's variables, with the program's own replaced."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CHAT_")}
        return inherited | _OPEN_LIMITS | {"CHAT_DATA_DIR": str(self._directory / "data")}

    @property
    def addresses(self) -> Sequence[Address]:
        """The one gateway."""
        return [self._address]

    @property
    def processes(self) -> Sequence[ServerProcess]:
        """The one process."""
        return [] if self._process is None else [ServerProcess("server", self._process.pid, True)]

    def prepare(self, plan: Mapping[str, Any]) -> Any:
        """Migrate and fill the data directory."""
        return run_prepare(plan, self.environment)

    def start(self) -> None:
        """Start ``manage.py gateway``."""
        address, output = self._address, self._directory / "output"
        profiler = [] if self._profile is None else ["-m", "cProfile", "-o", str(self._profile.resolve())]
        with output.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, *profiler, "manage.py", "gateway", f"--host={address.host}", f"--port={address.port}"],
                cwd=_ROOT,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        wait_until_ready(address, self._process, output)

    def stop(self) -> None:
        """Drain the server, or end it."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                process.wait(timeout=_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._scratch.cleanup()


STACKS: Final = {"embedded": EmbeddedStack}
