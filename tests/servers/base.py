"""What every server here has in common: a directory, one process tree, a health check, an end.

    Service ─┬─ Server     one process: Redis, a Kafka broker, Cassandra, PostgreSQL
             └─ Cluster    several servers that are one to their clients

State is in files, so that another process (``make services-stop``, another test worker) can stop what this one started.
"""

import contextlib
import fcntl
import os
import pwd
import random
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import psutil

#: Below the ports that Linux gives to outgoing connections: one of those could take a server's port while it restarts.
_PORTS = range(20_000, 32_000)
#: Detaches a command from us, its death and its terminal, and says who it is and when it began.
_LAUNCH = ("setsid", "--fork", "sh", "-c", 'echo $$ $(cut -d" " -f22 /proc/$$/stat) >"$0" && exec "$@"')


M = TypeVar("M", bound="Server")


class CannotStart(Exception):
    """The server did not start; the message holds the end of its log."""


class Missing(CannotStart):
    """The server is not to be had here; the message says what is missing and how to get it."""


def free_port() -> int:
    """Return a TCP port on 127.0.0.1 that nobody listens on now."""
    for port in random.sample(_PORTS, k=1_000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise CannotStart("no TCP port is free on 127.0.0.1")


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold ``file`` against other processes and threads; it is made where it is missing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def wait_until(what: Callable[[], bool], timeout_s: float) -> bool:
    """Return whether ``what`` came to hold in time. Between processes there is no event to await, so this looks."""
    deadline = time.monotonic() + timeout_s
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def as_account(name: str | None) -> dict[str, Any]:
    """Return the arguments with which ``subprocess`` runs a program as the account ``name`` (None: as this process)."""
    return {} if name is None else {"user": name, "group": pwd.getpwnam(name).pw_gid, "extra_groups": []}


def launch(
    command: Sequence[str],
    pid_file: Path,
    *,
    log: Path,
    cwd: Path,
    environment: Mapping[str, str] = MappingProxyType({}),
    account: str | None = None,
) -> None:
    """Start ``command`` as nobody's child; ``pid_file`` names it when this returns. What it says goes to ``log``."""
    pid_file.unlink(missing_ok=True)
    with log.open("ab") as output:
        subprocess.run(
            [*_LAUNCH, str(pid_file), *command],
            cwd=cwd,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            **as_account(account),
            check=True,
            timeout=10,
        )
    wait_until(lambda: pid_file.exists() and pid_file.stat().st_size > 0, timeout_s=10)


def running(pid_file: Path) -> int | None:
    """Return the id of the process that ``pid_file`` names while it runs; a zombie does not, once its threads are gone.

    The file holds the time of its start as well: after a reboot the number may be somebody else's.
    """
    try:
        pid, started = pid_file.read_text().split()
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    # The first thread of a process that is killed may be a zombie while others still hold its sockets open.
    dead = fields[0] == "Z" and int(fields[17]) <= 1
    return int(pid) if fields[19] == started and not dead else None


def kill_all(directory: Path) -> None:
    """kill -9 whatever was started under ``directory``."""
    for pid_file in directory.rglob("server.pid"):
        send(pid_file, signal.SIGKILL)


def send(pid_file: Path, number: signal.Signals) -> None:
    """Signal the process that ``pid_file`` names and then all below it, whatever group they are in."""
    pid = running(pid_file)
    with contextlib.suppress(psutil.NoSuchProcess):
        tree = [] if pid is None else [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        for process in tree:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        if number == signal.SIGKILL:
            # PostgreSQL refuses to start while a process of its former life is left.
            wait_until(lambda: all(_gone(process) for process in tree), timeout_s=10)


def _gone(process: psutil.Process) -> bool:
    # A zombie is gone as well, once its threads are: whoever is to collect it may take their time.
    with contextlib.suppress(psutil.NoSuchProcess):
        zombie = process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1
        return zombie or not process.is_running()
    return True


class Service(ABC):
    """Something that the project uses over the network, under ``directory``."""

    #: As in the directory's name and on the command line.
    name: str
    #: How long a start may take (s).
    start_timeout_s: float = 60.0

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()

    @abstractmethod
    def start(self) -> None:
        """Install, start and wait until it is healthy; idempotent, also when several processes call it at once.

        Raises:
            Missing: it is not to be had here.
            CannotStart: it is, and failed.
        """

    @abstractmethod
    def stop(self, *, timeout_s: float = 20.0) -> None:
        """Ask it to end, insist after ``timeout_s``; idempotent. The data stays."""

    @abstractmethod
    def kill(self) -> None:
        """kill -9, as a crash would; idempotent."""

    @abstractmethod
    def healthy(self) -> bool:
        """Return whether it runs and answers as a client expects (not: whether the port is open). Never raises."""

    @abstractmethod
    def addresses(self) -> list[str]:
        """Return host:port of each server, for clients."""

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """Return the CHAT_… variables with which the project uses it."""


class Server(Service):
    """One server process: its data, its log (``server.log``) and its pid file (``server.pid``) are in ``directory``."""

    #: What asks the process to end at once but in good order.
    stop_signal = signal.SIGTERM

    @abstractmethod
    def install(self) -> None:
        """Make the program available; idempotent. Raises Missing."""

    @abstractmethod
    def command(self) -> tuple[list[str], dict[str, str]]:
        """Write the configuration (ports are chosen at the first start and kept); return command and environment."""

    @abstractmethod
    def answers(self) -> bool:
        """Return whether it answers as a client expects. Called where the process runs; never raises."""

    @property
    def account(self) -> str | None:
        """Return the account that it runs as; None: that of this process."""
        return None

    def prepare(self) -> None:
        """Make what clients expect to find, once the server is healthy; idempotent."""

    def healthy(self) -> bool:
        """See Service."""
        return self.pid() is not None and self.answers()

    def port(self, use: str = "client") -> int:
        """Return the port for ``use``, chosen at the first call and kept in the directory."""
        file = self.directory / f"port.{use}"
        # The members of a cluster start at once, and each asks for the ports of all.
        with locked(file.with_name(f"{file.name}.lock")):
            if not file.exists():
                file.write_text(str(free_port()))
            return int(file.read_text())

    def pid(self) -> int | None:
        """Return the process id while it runs."""
        return running(self._pid_file)

    def start(self) -> None:
        """See Service."""
        with locked(self.directory / "lock"):
            if self.pid() is not None:
                if self.healthy():
                    return
                # What is left of a start that was interrupted.
                self.stop()
            self.install()
            command, extra = self.command()
            launch(
                command,
                self._pid_file,
                log=self.directory / "server.log",
                cwd=self.directory,
                environment=extra,
                account=self.account,
            )
            wait_until(lambda: self.pid() is None or self.healthy(), self.start_timeout_s)
            if not self.healthy():
                self.stop()
                raise CannotStart(f"{self.name} did not start:\n{self.log_tail()}")
            self.prepare()

    def stop(self, *, timeout_s: float = 20.0) -> None:
        """See Service."""
        pid = self.pid()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, self.stop_signal)
            # A frozen one hears nothing.
            self.resume()
            wait_until(lambda: self.pid() is None, timeout_s)
        self.kill()

    def kill(self) -> None:
        """See Service."""
        send(self._pid_file, signal.SIGKILL)
        self._pid_file.unlink(missing_ok=True)

    def pause(self) -> None:
        """Freeze it (SIGSTOP): the port stays open and nothing answers."""
        send(self._pid_file, signal.SIGSTOP)

    def resume(self) -> None:
        """Undo ``pause``."""
        send(self._pid_file, signal.SIGCONT)

    def addresses(self) -> list[str]:
        """See Service."""
        return [f"127.0.0.1:{self.port()}"]

    def log_tail(self, lines: int = 30) -> str:
        """Return the end of the server's log."""
        with contextlib.suppress(OSError):
            return "\n".join((self.directory / "server.log").read_text(errors="replace").splitlines()[-lines:])
        return ""

    @property
    def _pid_file(self) -> Path:
        return self.directory / "server.pid"


class Cluster(Service, Generic[M]):
    """Several servers that are one to their clients. A test of faults kills, freezes and starts one of ``members``."""

    members: Sequence[M]

    @abstractmethod
    def joined(self) -> bool:
        """Return whether every member knows all the others. Never raises."""

    def prepare(self) -> None:
        """Join the members, once each of them runs; idempotent."""

    def healthy(self) -> bool:
        """See Service."""
        return all(member.healthy() for member in self.members) and self.joined()

    def start(self) -> None:
        """See Service."""
        with locked(self.directory / "lock"), ThreadPoolExecutor(len(self.members)) as threads:
            for started in [threads.submit(member.start) for member in self.members]:
                started.result()
            self.prepare()
            if not wait_until(self.healthy, self.start_timeout_s):
                raise CannotStart(f"the members of {self.name} started, but did not find one another")

    def stop(self, *, timeout_s: float = 20.0) -> None:
        """See Service."""
        with ThreadPoolExecutor(len(self.members)) as threads:
            for stopped in [threads.submit(member.stop, timeout_s=timeout_s) for member in self.members]:
                stopped.result()

    def kill(self) -> None:
        """See Service."""
        for member in self.members:
            member.kill()

    def addresses(self) -> list[str]:
        """See Service."""
        return [address for member in self.members for address in member.addresses()]
