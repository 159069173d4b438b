"""With CHAT_CASSANDRA_TLS=1 nothing goes in the open, and only to a node whose certificate is good for its address."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cassandra.cqlengine import connection as engine
from cryptography.hazmat.primitives import serialization
from django_cassandra_engine.connection import CassandraConnection

from chatproject import env
from messaging.adapters.cassandra.connection import EngineSession, database_settings
from messaging.ports import StoreUnavailable
from tests.certificates import Certificate, certificate
from tests.servers.cassandra import CassandraServer

#: The driver says that the server is not to be had.
pytestmark = pytest.mark.logs_errors
ALIAS = "over TLS"


class TlsServer(CassandraServer):
    """A node that speaks TLS alone, and asks for a certificate."""

    node: Certificate
    authority: Certificate

    def command(self) -> tuple[list[str], dict[str, str]]:
        """Write the certificates into the configuration as well."""
        found = super().command()
        configuration = self.directory / "cassandra.yaml"

        def indented(pem: bytes) -> str:
            return "".join(f"        {line}\n" for line in pem.decode().splitlines())

        pem = serialization.Encoding.PEM
        chain = self.node.key_pem + self.node.certificate.public_bytes(pem)
        configuration.write_text(
            configuration.read_text()
            + "client_encryption_options:\n  enabled: true\n  optional: false\n  require_client_auth: true\n"
            + "  ssl_context_factory:\n"
            + "    class_name: org.apache.cassandra.security.PEMBasedSslContextFactory\n    parameters:\n"
            + f"      private_key: |\n{indented(chain)}"
            + f"      trusted_certificates: |\n{indented(self.authority.certificate.public_bytes(pem))}"
        )
        return found

    def answers(self) -> bool:
        """Return whether it ends a handshake: it has no other door."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port()), timeout=2) as connection,
            context.wrap_socket(connection),
        ):
            return True
        return False


@pytest.fixture(scope="module")
def authority() -> Certificate:
    return certificate("an authority")


@pytest.fixture
def connect() -> Iterator[Callable[..., EngineSession]]:
    """Return ``connect(port, **variables)``: the engine's session, as Django registers it."""

    def register(port: int, **variables: str) -> EngineSession:
        given = env.load({"CHAT_CASSANDRA_HOSTS": f"127.0.0.1:{port}", **variables})
        CassandraConnection(ALIAS, **database_settings(given.values))
        return EngineSession(ALIAS)

    yield register
    engine.unregister_connection(ALIAS)


def test_a_real_node_is_reached_over_tls_alone(
    own_service: Any, connect: Callable[..., EngineSession], authority: Certificate, tmp_path: Path
) -> None:
    def kind(directory: Path) -> TlsServer:
        server = TlsServer(directory)
        server.authority, server.node = authority, certificate("a node", authority)
        return server

    server = own_service(kind)
    ca, _ = authority.write(tmp_path, "ca")
    mine, key = certificate("this program", authority).write(tmp_path, "mine")
    tls = {
        "CHAT_CASSANDRA_TLS": "1",
        "CHAT_CASSANDRA_CA_FILE": str(ca),
        "CHAT_CASSANDRA_CERT_FILE": str(mine),
        "CHAT_CASSANDRA_KEY_FILE": str(key),
    }
    session = connect(server.port(), **tls)()
    [row] = session.execute("SELECT release_version FROM system.local")
    assert row
    engine.unregister_connection(ALIAS)
    with pytest.raises(StoreUnavailable):
        connect(server.port())()
    engine.unregister_connection(ALIAS)
    # The system's authorities know nothing of this one.
    with pytest.raises(StoreUnavailable):
        connect(server.port(), **{**tls, "CHAT_CASSANDRA_CA_FILE": ""})()


@contextlib.contextmanager
def shaking_hands(node: Certificate, directory: Path) -> Iterator[tuple[int, list[str]]]:
    """Serve handshakes only; yield the port, and what became of each."""
    crt, key = node.write(directory, "node")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(crt, key)
    seen: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(connection, server_side=True) as safe:
                    # In TLS 1.3 the client's refusal comes after the server's last word.
                    safe.settimeout(5)
                    seen.append("spoke" if safe.recv(9) else "left")
            except OSError as error:
                seen.append(type(error).__name__)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1], seen
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2"])
def test_a_certificate_names_the_address(
    connect: Callable[..., EngineSession], authority: Certificate, tmp_path: Path, address: str
) -> None:
    ca, _ = authority.write(tmp_path, "ca")
    node = certificate("a node", authority, address=address)
    with shaking_hands(node, tmp_path) as (port, seen):
        with pytest.raises(StoreUnavailable):
            connect(port, CHAT_CASSANDRA_TLS="1", CHAT_CASSANDRA_CA_FILE=str(ca))()
        engine.unregister_connection(ALIAS)
    assert ("spoke" in seen) is (address == "127.0.0.1"), seen


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"CHAT_CASSANDRA_CA_FILE": __file__}, "CHAT_CASSANDRA_TLS=1 is needed"),
        ({"CHAT_CASSANDRA_TLS": "1", "CHAT_CASSANDRA_CERT_FILE": __file__}, "both or none"),
        ({"CHAT_CASSANDRA_TLS": "1", "CHAT_CASSANDRA_CA_FILE": "/nowhere"}, "no such file"),
    ],
)
def test_half_a_configuration_is_none(variables: dict[str, str], told: str) -> None:
    with pytest.raises(env.BadEnvironment, match=told):
        env.load(variables)
