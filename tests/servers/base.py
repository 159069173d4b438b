"""What every server here has in common: a directory, one process group, a health check, an end."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path


class CannotStart(Exception):
    """The server is not to be had here; the message says what is missing and how to get it."""


def free_port() -> int:
    """Return a TCP port on 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server(ABC):
    """One server process under ``directory``: its data, its log and its pid file (``server.pid``).

    A process of its own group, so that ``kill`` reaches its children, too. State is in files: another process
    (``make services-stop``) can stop what this one started.
    """

    #: As in the directory's name and on the command line.
    name: str
    #: How long a start may take (s).
    start_timeout_s: float = 60.0

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @abstractmethod
    def install(self) -> None:
        """Make the program available; idempotent. Raises CannotStart."""

    @abstractmethod
    def command(self) -> tuple[list[str], dict[str, str]]:
        """Write the configuration (ports are chosen at the first start and kept); return command and environment."""

    @abstractmethod
    def healthy(self) -> bool:
        """Return whether the server answers as a client expects (not: whether the port is open). Never raises."""

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """Return the CHAT_… variables with which the project uses this server."""

    def pid(self) -> int | None:
        """Return the process id while it runs."""
        try:
            pid = int((self.directory / "server.pid").read_text())
            os.kill(pid, 0)
            # A zombie answers signal 0, too.
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, ValueError):
            return None
        return None if state == "Z" else pid

    def start(self) -> None:
        """Install, start and wait until it is healthy; idempotent.

        Raises:
            CannotStart: with the end of its log.
        """
        if self.pid() is not None and self.healthy():
            return
        self.install()
        self.directory.mkdir(parents=True, exist_ok=True)
        command, extra = self.command()
        with (self.directory / "server.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self.directory,
                env={**os.environ, **extra},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (self.directory / "server.pid").write_text(str(process.pid))
        deadline = time.monotonic() + self.start_timeout_s
        while not self.healthy():
            if process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise CannotStart(f"{self.name} did not start:\n{self.log_tail()}")
            time.sleep(0.1)

    def stop(self, *, timeout_s: float = 20.0) -> None:
        """Ask it to end, insist after ``timeout_s``; idempotent. The data stays."""
        self._end(signal.SIGTERM)
        deadline = time.monotonic() + timeout_s
        while self.pid() is not None and time.monotonic() < deadline:
            self._reap()
            time.sleep(0.05)
        self.kill()

    def kill(self) -> None:
        """kill -9, as a crash would; idempotent."""
        self._end(signal.SIGKILL)
        while self.pid() is not None:
            self._reap()
            time.sleep(0.02)
        (self.directory / "server.pid").unlink(missing_ok=True)

    def pause(self) -> None:
        """Freeze it (SIGSTOP): the port stays open and nothing answers."""
        self._end(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo ``pause``."""
        self._end(signal.SIGCONT)

    def log_tail(self, lines: int = 30) -> str:
        """Return the end of the server's log."""
        with contextlib.suppress(OSError):
            return "\n".join((self.directory / "server.log").read_text(errors="replace").splitlines()[-lines:])
        return ""

    def _end(self, number: signal.Signals) -> None:
        pid = self.pid()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, number)

    def _reap(self) -> None:
        pid = self.pid()
        if pid is not None:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
