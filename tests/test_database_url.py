"""What stands after the ? of CHAT_DATABASE_URL is meant: a connection is as safe as it says, or there is none."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.db.backends.postgresql.base import DatabaseWrapper

from chatproject.env import BadEnvironment, load
from chatproject.settings import postgresql
from tests.certificates import Certificate, certificate
from tests.servers.postgres import PostgresServer

URL = "postgresql://chat:p%40ss@db:5433/chat"


def test_parameters_reach_the_driver(tmp_path: Path) -> None:
    authority = tmp_path / "ca.crt"
    authority.touch()
    text = f"{URL}?sslmode=verify-full&sslrootcert={authority}&channel_binding=require"
    made = postgresql(load({"CHAT_DATABASE_URL": text})["CHAT_DATABASE_URL"])
    assert (made["NAME"], made["PASSWORD"], made["PORT"]) == ("chat", "p@ss", 5433)
    given = {name: made["OPTIONS"][name] for name in ("sslmode", "sslrootcert", "channel_binding")}
    assert given == {"sslmode": "verify-full", "sslrootcert": str(authority), "channel_binding": "require"}
    assert "sslmode" not in postgresql(URL)["OPTIONS"]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("sslmode=verify-fully", "expected an sslmode"),
        ("sslmode=", "expected an sslmode"),
        ("ssl=1", "expected after the"),
        ("host=evil", "expected after the"),
        ("sslmode=require&sslmode=disable", "once each"),
        ("sslrootcert=/nowhere", "no such file"),
        ("sslrootcert=", "no such file"),
    ],
)
def test_what_is_not_understood_is_refused(query: str, told: str) -> None:
    """Or whoever misspells it believes in a safety that is not there."""
    with pytest.raises(BadEnvironment, match=told):
        load({"CHAT_DATABASE_URL": f"{URL}?{query}"})


class TlsServer(PostgresServer):
    """PostgreSQL with a certificate."""

    node: Certificate

    def command(self) -> tuple[list[str], dict[str, str]]:
        """Write the certificate, and name it."""
        command, environment = super().command()
        files = self.node.write(self.directory, "node")
        for file in files:
            file.chmod(0o600)
            if self.account is not None:
                shutil.chown(file, self.account)
        names = {"ssl": "on", "ssl_cert_file": str(files[0]), "ssl_key_file": str(files[1])}
        return [*command, *(part for name, value in names.items() for part in ("-c", f"{name}={value}"))], environment


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("address", "query", "reached"),
    [
        ("127.0.0.1", "?sslmode=verify-full&sslrootcert={ca}", True),
        ("127.0.0.1", "?sslmode=verify-full&sslrootcert={other}", False),
        ("127.0.0.2", "?sslmode=verify-full&sslrootcert={ca}", False),
        ("127.0.0.2", "?sslmode=verify-ca&sslrootcert={ca}", True),
    ],
)
def test_a_real_server_is_reached_where_its_certificate_is_good(
    own_service: Any, tmp_path: Path, address: str, query: str, reached: bool
) -> None:
    authority = certificate("an authority")

    def kind(directory: Path) -> TlsServer:
        server = TlsServer(directory)
        server.node = certificate("a node", authority, address=address)
        return server

    ca, _ = authority.write(tmp_path, "ca")
    other, _ = certificate("another authority").write(tmp_path, "other")
    url = own_service(kind).environment()["CHAT_DATABASE_URL"] + query.format(ca=ca, other=other)
    settings = postgresql(load({"CHAT_DATABASE_URL": url})["CHAT_DATABASE_URL"])
    # Without its pool, which would try for seconds before it says why.
    del settings["OPTIONS"]["pool"]
    connection = DatabaseWrapper(connections.configure_settings({"default": {}, "tls": settings})["tls"], alias="tls")

    def is_encrypted() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            [row] = cursor.fetchall()
            return bool(row[0])

    try:
        if reached:
            assert is_encrypted()
        else:
            with pytest.raises(OperationalError, match="certificate"):
                is_encrypted()
    finally:
        connection.close()
