"""The servers as processes, as an operator runs them: what a whole-system test starts, kills and starts again.

A test that asks for nothing but a ``Stack`` runs on whichever engines stand behind it.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPConnection
from pathlib import Path
from random import randint
from types import TracebackType
from typing import Final, Self

import psutil

from chatproject.env import VARIABLES
from tests.rest import Account
from tests.servers.base import free_port

PATIENCE_S: Final = 60.0


def wait_for(what: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
    """Return once ``what`` holds. Between processes there is no event to await, so this looks every 50 ms."""
    deadline = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.05)


def lasting_port() -> int:
    """Return a free port that stays free while its server is down: the kernel gives connections higher ones."""
    while True:
        port = randint(10_000, 30_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def environment(**changes: str) -> dict[str, str]:
    """Return this process's environment without any variable of ours, but with ``changes``."""
    ours = {variable.name for variable in VARIABLES}
    return {name: value for name, value in os.environ.items() if name not in ours} | changes


#: Not from the settings: drills import this before there are any.
PROGRAM: Final = Path(__file__).parents[2]


class Running:
    """One ``manage.py run``, and the processes it started."""

    def __init__(
        self,
        data: Path,
        *arguments: str,
        port: int | None = None,
        variables: Mapping[str, str] | None = None,
        program: Path = PROGRAM,
    ) -> None:
        self.port = port or free_port()
        self._output = data.with_suffix(".out").open("a+")
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "run", f"--port={self.port}", *arguments],
            cwd=program,
            env=environment(**{"CHAT_DATA_DIR": str(data), **(variables or {})}),
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    @property
    def output(self) -> str:
        """What it has printed; where it was started before on the same data, all of it."""
        self._output.seek(0)
        return self._output.read()

    def get(self, path: str) -> int:
        """Return the status of an answer, or 0 where there is none."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()

    def wait_until_ready(self) -> None:
        """Return once it takes connections."""
        wait_for(lambda: self.process.poll() is not None or self.get("/readyz") == 200)
        assert self.process.poll() is None, self.output

    def workers(self) -> list[psutil.Process]:
        """Return the job workers among its children."""
        return [child for child in psutil.Process(self.process.pid).children() if "worker" in child.cmdline()]

    def kill(self) -> None:
        """kill -9 it and all that it started, as when the machine goes; idempotent."""
        if self.process.poll() is None:
            children = psutil.Process(self.process.pid).children(recursive=True)
            for process in (self.process, *children):
                with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
                    process.kill()
            self.process.wait()
            psutil.wait_procs(children, timeout=PATIENCE_S)

    def end(self) -> None:
        """Kill it, and let go of its output."""
        self.kill()
        self._output.close()


_MAKE_PEOPLE: Final = """
import json
from accounts.models import User
from accounts.services.devices import sign_in_device
from messaging.domain.ids import user_ref

made = {}
for name, count in devices.items():
    user = User.objects.create_user(name)
    made[name] = [user_ref(user.pk), [sign_in_device(user=user, name="test")[1] for _ in range(count)]]
print(json.dumps(made))
"""


class Stack(ABC):
    """A complete installation on data of its own. As a context: started, and in the end gone."""

    #: Where clients connect, as ``host:port``; the same for the whole life.
    gateways: Sequence[str]
    #: The processes that can be killed and started again.
    names: tuple[str, ...]

    @property
    @abstractmethod
    def variables(self) -> dict[str, str]:
        """The CHAT_… variables of all its processes."""

    @abstractmethod
    def start(self) -> None:
        """Start everything, and return once it takes connections."""

    @abstractmethod
    def stop(self) -> None:
        """End everything; idempotent."""

    @abstractmethod
    def kill(self, *names: str) -> None:
        """kill -9 these processes, with all that they started."""

    @abstractmethod
    def restart(self, *names: str) -> None:
        """Start killed processes again, all at once, and return once each of them runs and a gateway takes clients."""

    @property
    @abstractmethod
    def output(self) -> str:
        """What all processes have printed so far."""

    def manage(self, *arguments: str) -> str:
        """Return what ``manage.py`` prints with these arguments in this installation's environment."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=PROGRAM,
            env=environment(**self.variables),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def people(self, devices: Mapping[str, int]) -> dict[str, list[Account]]:
        """Make an account for each name, with as many devices; nobody can sign in by password."""
        return {
            name: [Account(user, token) for token in tokens]
            for name, (user, tokens) in json.loads(
                self.manage("shell", "--no-imports", "--command", f"devices = {dict(devices)!r}\n{_MAKE_PEOPLE}")
            ).items()
        }

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


class EmbeddedStack(Stack):
    """``manage.py run``: gateway, router and job worker as one process tree, on embedded engines."""

    names = ("run",)

    #: Where ``manage.py`` is: a test may start another version of the program.
    program: Path = PROGRAM

    def __init__(self, data: Path, *, worker: bool = True, **variables: str) -> None:
        """``worker``: with its job worker. ``variables``: CHAT_… variables beyond the data directory."""
        self._data = data
        self._worker = worker
        self._extra = variables
        self._port = lasting_port()
        self._running: Running | None = None
        self.gateways = (f"127.0.0.1:{self._port}",)

    @property
    def variables(self) -> dict[str, str]:
        return {"CHAT_DATA_DIR": str(self._data), **self._extra}

    def start(self) -> None:
        running = Running(
            self._data,
            *([] if self._worker else ["--no-worker"]),
            port=self._port,
            variables=self.variables,
            program=self.program,
        )
        self._running = running
        running.wait_until_ready()
        if self._worker:
            # A kill is to find the whole tree.
            wait_for(lambda: bool(running.workers()))

    def stop(self) -> None:
        if self._running is not None:
            self._running.end()
            self._running = None

    def end_gently(self) -> None:
        """SIGTERM, as an operator stops it; return once it has drained and ended."""
        assert self._running is not None
        self._running.process.terminate()
        self._running.process.wait(PATIENCE_S)
        self.stop()

    def kill(self, *names: str) -> None:
        assert names == self.names
        self.stop()

    def restart(self, *names: str) -> None:
        assert names == self.names
        self.start()

    @property
    def output(self) -> str:
        return self._data.with_suffix(".out").read_text()
