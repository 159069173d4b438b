"""``manage.py run`` as its user meets it: it starts, says where, stops, and leaves nothing behind."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path

import psutil
import pytest
from django.conf import settings

from chatproject.env import VARIABLES

pytestmark = pytest.mark.process
_PATIENCE_S = 60


def wait_for(what: Callable[[], bool], timeout_s: float = _PATIENCE_S) -> None:
    """Return once ``what`` holds. Between processes there is no event to await, so this looks every 50 ms."""
    deadline = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Running:
    """One ``manage.py run``."""

    def __init__(self, data: Path, *arguments: str, port: int | None = None) -> None:
        self.port = port or free_port()
        self._output = data.with_suffix(".out").open("w+")
        environment = {k: v for k, v in os.environ.items() if k not in {v.name for v in VARIABLES}}
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "run", f"--port={self.port}", *arguments],
            cwd=settings.BASE_DIR,
            env=environment | {"CHAT_DATA_DIR": str(data)},
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    @property
    def output(self) -> str:
        self._output.seek(0)
        return self._output.read()

    def get(self, path: str) -> int:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()

    def wait_until_ready(self) -> None:
        wait_for(lambda: self.process.poll() is not None or self.get("/readyz") == 200)
        assert self.process.poll() is None, self.output

    def workers(self) -> list[psutil.Process]:
        return [child for child in psutil.Process(self.process.pid).children() if "worker" in child.cmdline()]

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        self._output.close()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(*arguments: str, port: int | None = None) -> Running:
        started.append(Running(tmp_path / "data", *arguments, port=port))
        return started[-1]

    yield start
    for running in started:
        running.end()


def test_it_starts_says_where_and_stops_on_ctrl_c(run: Callable[..., Running]) -> None:
    first = run("--demo")
    first.wait_until_ready()
    wait_for(lambda: bool(first.workers()))
    worker = first.workers()[0]
    assert first.get("/healthz") == 200
    assert first.get("/metrics") == 200
    wait_for(lambda: f"http://127.0.0.1:{first.port}/" in first.output)
    assert "alice, bob, carol, dave" in first.output
    assert "chat-demo-1" in first.output

    first.process.send_signal(signal.SIGINT)
    assert first.process.wait(timeout=20) == 0, first.output
    assert not worker.is_running()
    assert "Traceback" not in first.output

    again = time.monotonic()
    second = run("--demo")
    second.wait_until_ready()
    assert time.monotonic() - again < 5
    second.process.send_signal(signal.SIGTERM)
    assert second.process.wait(timeout=20) == 0, second.output


def test_a_port_in_use_is_one_clear_sentence(run: Callable[..., Running]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused = run(port=taken.getsockname()[1])
        assert refused.process.wait(timeout=_PATIENCE_S) == 1
    assert "is already in use" in refused.output
    assert "Traceback" not in refused.output


def test_the_worker_ends_with_a_killed_parent_and_returns_when_it_dies(run: Callable[..., Running]) -> None:
    running = run()
    running.wait_until_ready()
    wait_for(lambda: bool(running.workers()))
    killed = running.workers()[0]
    killed.kill()
    wait_for(lambda: any(worker.pid != killed.pid for worker in running.workers()))
    worker = running.workers()[0]
    running.process.kill()
    running.process.wait()
    wait_for(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE, timeout_s=15)
