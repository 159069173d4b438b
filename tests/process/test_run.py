"""``manage.py run`` as its user meets it: it starts, says where, stops, and leaves nothing behind."""

import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.process.stacks import PATIENCE_S, Running, wait_for

pytestmark = pytest.mark.process


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
        assert refused.process.wait(timeout=PATIENCE_S) == 1
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
