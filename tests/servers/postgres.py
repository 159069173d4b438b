"""PostgreSQL from Debian's package (or any ``postgres`` on the PATH)."""

import contextlib
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg

from tests.servers.base import CannotStart, Missing, Server, as_account
from tests.servers.packages import apt_install

_USER = _DATABASE = "chat"
# fsync and synchronous_commit stay as they are: on.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "log_min_messages": "warning",
    "timezone": "UTC",
}


class PostgresServer(Server):
    """One PostgreSQL with the database ``chat``. It refuses to be root, so root lends it an account of no rights."""

    name = "postgres"
    #: "Fast": open sessions are ended, not waited for.
    stop_signal = signal.SIGINT

    @property
    def account(self) -> str | None:
        """Return ``postgres`` or ``nobody`` where this process is root."""
        if os.geteuid() != 0:
            return None
        with contextlib.suppress(KeyError):
            return pwd.getpwnam("postgres").pw_name
        return "nobody"

    def install(self) -> None:
        """Install ``postgresql`` where it is missing and this is root on Debian."""
        if _programs() is None:
            apt_install("postgresql")

    def command(self) -> tuple[list[str], dict[str, str]]:
        """Make the cluster the first time; return the command line."""
        programs = _programs()
        assert programs is not None
        if self.account is not None:
            self._hand_over(self.account)
        data = self.directory / "data"
        if not (data / "PG_VERSION").exists():
            self._make_cluster(programs / "initdb", data)
        settings = {**_SETTINGS, "port": str(self.port())}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(programs / "postgres"), "-D", str(data), *options], {}

    def kill(self) -> None:
        """See Service."""
        super().kill()
        # It names a process that is gone, but that the next start would believe in until somebody collects the zombie.
        (self.directory / "data" / "postmaster.pid").unlink(missing_ok=True)

    def prepare(self) -> None:
        """Make the database ``chat``."""
        self.create_database(_DATABASE)

    def create_database(self, name: str) -> str:
        """Make the database ``name`` (letters, digits, ``_``) where it is missing; return its URL."""
        if not re.fullmatch(r"[a-z_][a-z0-9_]*", name):
            raise ValueError(f"not a plain name: {name}")
        with psycopg.connect(self.url("postgres"), autocommit=True, connect_timeout=5) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
            if found is None:
                connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.url(name)

    def url(self, database: str) -> str:
        """Return the URL of ``database``, with the password that was made up at the first start."""
        file = self.directory / "password"
        return f"postgresql://{_USER}:{file.read_text()}@127.0.0.1:{self.port()}/{database}"

    def answers(self) -> bool:
        """Return whether it answers a query."""
        try:
            with psycopg.connect(self.url("postgres"), connect_timeout=2) as connection:
                return connection.execute("SELECT 1").fetchone() == (1,)
        except (OSError, psycopg.Error):
            return False

    def environment(self) -> dict[str, str]:
        """Return how the project reaches it."""
        return {"CHAT_DATABASE_URL": self.url(_DATABASE)}

    def _hand_over(self, account: str) -> None:
        shutil.chown(self.directory, account, pwd.getpwnam(account).pw_gid)
        if subprocess.run(["test", "-x", self.directory], **as_account(account), check=False).returncode:
            raise Missing(f"the account {account} may not enter {self.directory}: choose another --directory")

    def _make_cluster(self, initdb: Path, data: Path) -> None:
        password = self.directory / "password"
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(18))
        if self.account is not None:
            shutil.chown(password, self.account)
        # What an interrupted start left.
        shutil.rmtree(data, ignore_errors=True)
        command = [str(initdb), "-D", str(data), f"--username={_USER}", "--auth=scram-sha-256", f"--pwfile={password}"]
        command += ["--encoding=UTF8", "--locale=C.UTF-8"]
        done = subprocess.run(
            command,
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=120,
            **as_account(self.account),
            check=False,
        )
        if done.returncode:
            raise CannotStart(f"initdb failed:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")


def _programs() -> Path | None:
    """Return the directory of the newest PostgreSQL here."""
    installed = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    if installed:
        return max(installed, key=lambda path: int(path.parent.name))
    found = shutil.which("postgres")
    return Path(found).parent if found and shutil.which("initdb") else None
