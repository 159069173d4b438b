"""``manage.py run``: the whole product in one process tree, on embedded engines.

::

    manage.py run            gateway, router and dispatcher, on one event loop
    ├── manage.py worker     jobs, and on the embedded broker their clock; ends with its parent, however that ends
    └── manage.py beat       their clock, with CHAT_JOBS=redis
"""

import asyncio
import contextlib
import errno
import os
import socket
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

import uvloop
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from accounts.models import User
from chatproject import runtime
from messaging import demo
from messaging.ports import LogUnavailable

_STOP_TIMEOUT_S: Final = 5.0
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0


def _check_address(host: str, port: int) -> None:
    """Raise CommandError, in one clear sentence, where the address cannot be listened on."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CommandError(f"Port {port} on {host} is already in use; choose another with PORT=<number>.") from None
        raise CommandError(f"Cannot listen on {host} port {port}: {error.strerror or error}.") from None


def _migrate() -> None:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", verbosity=0, interactive=False)


class ChildSupervisor:
    """Keeps one process, a command of ours, alive; starts it again, with longer pauses, when it dies."""

    def __init__(self, command: str, *arguments: str) -> None:
        self._command = command
        self._arguments = arguments
        self._process: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        """Run until cancelled; the child has ended when this returns."""
        pause_s = _FIRST_PAUSE_S
        try:
            while True:
                started = time.monotonic()
                # A session of its own: Ctrl-C in the terminal reaches the parent only, which ends the child in order.
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    str(settings.BASE_DIR / "manage.py"),
                    self._command,
                    f"--parent={os.getpid()}",
                    *self._arguments,
                    start_new_session=True,
                    stdin=asyncio.subprocess.DEVNULL,
                )
                code = await self._process.wait()
                if time.monotonic() - started > _LONGEST_PAUSE_S:
                    pause_s = _FIRST_PAUSE_S
                print(
                    f"The job {self._command} ended with code {code}; starting it again in {pause_s:.0f} s.",
                    file=sys.stderr,
                )
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
        finally:
            await self._stop()

    async def _stop(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
            try:
                async with asyncio.timeout(_STOP_TIMEOUT_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


class Command(BaseCommand):
    """Serve until Ctrl-C or SIGTERM, then drain and exit 0."""

    help = "Run gateway, router and job worker together, on embedded engines."
    # `make test` runs them; a start should not wait for them.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("--host", default="127.0.0.1", help="Address to listen on (default: %(default)s).")
        parser.add_argument("--port", type=int, default=8000, help="Port to listen on (default: %(default)s).")
        parser.add_argument("--no-worker", action="store_true", help="Do not start the job worker.")
        parser.add_argument("--demo", action="store_true", help="Fill an empty database with demo people who chat.")

    def handle(self, *, host: str, port: int, no_worker: bool, **options: Any) -> None:
        """Prepare the database, then serve."""
        _check_address(host, port)
        try:
            _migrate()
            if options["demo"] and not User.objects.exists():
                demo.create()
            demo_logins = demo.logins()
            uvloop.run(self._serve(host, port, worker=not no_worker, demo_logins=demo_logins))
        except LogUnavailable as error:
            raise CommandError(str(error)) from None
        except KeyboardInterrupt:
            # Pressed before the server was there to drain.
            raise SystemExit(0) from None

    async def _serve(self, host: str, port: int, *, worker: bool, demo_logins: list[str]) -> None:
        def announce() -> None:
            shown = f"[{host}]" if ":" in host else host
            self.stdout.write(f"\nChat is at http://{shown}:{port}/   (data in {_shown_path(settings.DATA_DIR)}/)")
            if demo_logins:
                self.stdout.write(f"Sign in as {', '.join(demo_logins)}; the password of each is {demo.PASSWORD}")
                self.stdout.write(f"The pages of the staff are at /admin/: {demo.ADMIN}, with the same password")
            self.stdout.write("Ctrl-C stops it.\n")
            self.stdout.flush()

        supervisors = [ChildSupervisor(command, *more) for command, *more in (_children() if worker else ())]
        children = [asyncio.create_task(supervisor.run()) for supervisor in supervisors]
        try:
            await runtime.serve(host=host, port=port, roles=runtime.ALL_ROLES, on_ready=announce)
        finally:
            for child in children:
                child.cancel()
            await asyncio.gather(*children, return_exceptions=True)


def _children() -> list[tuple[str, ...]]:
    """Return the commands of the children, each with a metrics port of its own."""
    port = settings.ENV["CHAT_METRICS_PORT"]
    commands = ("worker", "beat") if settings.ENV["CHAT_JOBS"] == "redis" else ("worker",)
    return [(command, f"--metrics-port={port + it if port else 0}") for it, command in enumerate(commands, start=1)]


def _shown_path(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
