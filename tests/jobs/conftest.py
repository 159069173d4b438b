"""Workers as processes of their own, on the database of the test."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from celery import Celery
from django.conf import settings
from django.db import connection
from django_celery_results.models import TaskResult
from kombu import Connection

from chatproject.celery import app as celery_app
from chatproject.env import VARIABLES
from messaging.adapters.embedded import jobs as embedded
from messaging.adapters.redis import options
from tests.process.test_run import wait_for
from tests.servers.redis import RedisServer


class Running:
    """One ``manage.py`` process."""

    def __init__(self, arguments: list[str], environment: dict[str, str], output: Path) -> None:
        self._output = output
        with output.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", *arguments],
                cwd=settings.BASE_DIR,
                env=environment,
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def until_said(self, text: str) -> None:
        """Return once the process has printed ``text``."""
        wait_for(lambda: text in self.output or self.process.poll() is not None, timeout_s=60)
        assert text in self.output, self.output

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def kill(self) -> None:
        """kill -9 the process alone, not its children."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)

    def end(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in self.children():
                child.kill()
        self.kill()


@dataclass
class Jobs:
    """A broker, and what uses it."""

    engine: str
    url: str
    environment: dict[str, str]
    folder: Path
    started: list[Running]

    def app(self) -> Celery:
        """Return an application that queues jobs as a process with these settings does."""
        app = Celery("tests", set_as_current=False, task_cls=celery_app.task_cls)
        app.conf.task_serializer = "json"
        if self.engine == "redis":
            app.conf.broker_url = self.url
            app.conf.broker_transport_options = options.broker_options()
        else:
            app.conf.broker_url = "embedded://localhost"
            app.conf.broker_transport = "messaging.adapters.embedded.jobs:Transport"
            app.conf.broker_transport_options = embedded.broker_options(self.folder / "data" / "jobs")
        return app

    def connect(self) -> Any:
        """Return a connection to the broker, as a process with these settings has it."""
        if self.engine == "redis":
            return Connection(self.url, transport_options=options.broker_options())
        return Connection(
            "embedded://localhost",
            transport="messaging.adapters.embedded.jobs:Transport",
            transport_options=embedded.broker_options(self.folder / "data" / "jobs"),
        )

    def queue(self, task: Any, *args: Any, **kwargs: Any) -> str:
        """Queue a job as the product does; return its id."""
        with self.connect() as broker:
            task_id: str = task.apply_async(args, kwargs, connection=broker).id
        return task_id

    def run(self, *arguments: str) -> Running:
        """Start ``manage.py`` with these arguments."""
        output = self.folder / f"output-{len(self.started)}"
        self.started.append(Running(list(arguments), self.environment, output))
        return self.started[-1]

    def worker(self) -> Running:
        """Start a worker and wait until it takes jobs."""
        running = self.run("worker")
        running.until_said(" ready.")
        return running

    def until(self, what: Callable[[], bool]) -> None:
        """Return once ``what`` holds; within a minute, or with what the processes said."""
        deadline = time.monotonic() + 60
        while not what():
            assert time.monotonic() < deadline, "\n".join(running.output for running in self.started)
            time.sleep(0.05)

    def until_state(self, task_id: str, state: str) -> TaskResult:
        """Return the job's result once it is in this state."""
        self.until(lambda: TaskResult.objects.filter(task_id=task_id, status=state).exists())
        return TaskResult.objects.get(task_id=task_id)

    def traces(self) -> list[str]:
        """Return what jobs left in the folder."""
        file = self.folder / "trace"
        return file.read_text().splitlines() if file.exists() else []

    def go(self) -> None:
        """Let ``tasks.wait`` end."""
        (self.folder / "go").touch()


@pytest.fixture
def make_jobs(tmp_path: Path, transactional_db: None) -> Iterator[Callable[[str, str], Jobs]]:
    """Return ``make(engine, url)``."""
    started: list[Running] = []

    def make(engine: str, url: str = "") -> Jobs:
        ours = {variable.name for variable in VARIABLES}
        environment = {name: value for name, value in os.environ.items() if name not in ours}
        environment |= {
            "DJANGO_SETTINGS_MODULE": "tests.jobs.settings",
            "JOBS_TEST_DATABASE": str(connection.settings_dict["NAME"]),
            "CHAT_DATA_DIR": str(tmp_path / "data"),
            "CHAT_JOBS": engine,
        }
        if url:
            environment["CHAT_REDIS_URL"] = url
        return Jobs(engine, url, environment, tmp_path, started)

    yield make
    for running in started:
        running.end()


@pytest.fixture(params=["redis", "embedded"])
def jobs(request: pytest.FixtureRequest, make_jobs: Callable[[str, str], Jobs]) -> Jobs:
    """Return each broker in turn."""
    if request.param == "embedded":
        return make_jobs("embedded", "")
    # One of the test's own: queues have no names of tests.
    server = request.getfixturevalue("own_service")(RedisServer)
    return make_jobs("redis", server.environment()["CHAT_REDIS_URL"])
