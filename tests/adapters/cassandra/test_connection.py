"""Cassandra may be away: at the start, in between, for a while. Nobody hangs, and all goes on when it is back."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cassandra.cqlengine import connection as engine
from cassandra.query import SimpleStatement
from django.conf import settings
from django_cassandra_engine.connection import CassandraConnection

from chatproject import env
from messaging.adapters.cassandra import schema
from messaging.adapters.cassandra.connection import EngineSession, IdempotentRetryPolicy, database_settings
from messaging.adapters.cassandra.conversations import CassandraConversationStore
from messaging.adapters.cassandra.messages import CassandraMessageStore
from messaging.adapters.cassandra.session import CassandraSession
from messaging.domain.ids import ConversationId, MessageId, UserId, new_random_id
from messaging.domain.messages import ConversationType
from messaging.ports import NewConversation, StoreUnavailable
from tests.adapters.cassandra.conftest import text
from tests.adapters.cassandra.proxy import Proxy

#: The driver says that the server is away.
pytestmark = pytest.mark.logs_errors
ALIAS = "to be cut"


@pytest.fixture
def connect() -> Iterator[Callable[[str], EngineSession]]:
    """Return ``connect("host:port")``: the engine's session for it, as Django registers it."""

    def register(hosts: str) -> EngineSession:
        CassandraConnection(ALIAS, **database_settings(env.load({"CHAT_CASSANDRA_HOSTS": hosts}).values))
        return EngineSession(ALIAS)

    yield register
    engine.unregister_connection(ALIAS)


@pytest.fixture
def proxy(cassandra_server: Any) -> Iterator[Proxy]:
    [(host, port)] = env.load(cassandra_server.environment())["CHAT_CASSANDRA_HOSTS"]
    proxy = Proxy((host, port))
    yield proxy
    proxy.cut()


def returns(call: Callable[[], Any], *, within_s: float = 30.0) -> Any:
    """Return what ``call`` returns as soon as it does not raise StoreUnavailable any more."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            return call()
        except StoreUnavailable:
            assert time.monotonic() < deadline
            threading.Event().wait(0.1)


def fails_soon(call: Callable[[], Any], *, within_s: float = 4.5) -> None:
    begun = time.monotonic()
    with pytest.raises(StoreUnavailable):
        call()
    assert time.monotonic() - begun < within_s


def test_away_at_the_start_and_there_later(
    proxy: Proxy, connect: Callable[[str], EngineSession], cassandra: CassandraSession
) -> None:
    driver = connect(f"127.0.0.1:{proxy.port}")
    store = CassandraMessageStore(CassandraSession(driver, keyspace=cassandra.keyspace))
    fails_soon(lambda: store.newest(ConversationId(5), limit=1))
    # Not one of many callers waits for another try.
    begun = time.monotonic()
    for _ in range(20):
        with pytest.raises(StoreUnavailable):
            store.newest(ConversationId(5), limit=1)
    assert time.monotonic() - begun < 0.5
    proxy.open()
    assert returns(lambda: store.newest(ConversationId(5), limit=1)) == []


def test_a_name_that_is_not_known_yet_is_tried_again(connect: Callable[[str], EngineSession]) -> None:
    """The engine counts anything but "no host answers" as an end; here it is not."""
    driver = connect("no-such-host.invalid:9042")
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            driver()
        driver._next_try = 0.0
    with pytest.raises(StoreUnavailable, match="reached") as caught:
        driver()
    assert caught.value.__cause__ is not None


def test_many_threads_get_one_session(proxy: Proxy, connect: Callable[[str], EngineSession]) -> None:
    proxy.open()
    driver, start, sessions = connect(f"127.0.0.1:{proxy.port}"), threading.Barrier(8), []

    def ask() -> None:
        start.wait()
        sessions.append(driver())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sessions) == 8
    assert len(set(sessions)) == 1


def test_it_goes_on_after_a_cut_and_after_a_hang(
    proxy: Proxy, connect: Callable[[str], EngineSession], cassandra: CassandraSession
) -> None:
    proxy.open()
    store = CassandraMessageStore(CassandraSession(connect(f"127.0.0.1:{proxy.port}"), keyspace=cassandra.keyspace))
    conversation = ConversationId(5)
    returns(lambda: store.upsert([text(conversation, 1)]))
    proxy.block()
    fails_soon(lambda: store.newest(conversation, limit=9))
    waiting = text(conversation, 2)
    fails_soon(lambda: store.upsert([waiting]))
    proxy.unblock()
    returns(lambda: store.upsert([waiting]))
    proxy.cut()
    later = text(conversation, 3)
    fails_soon(lambda: store.upsert([later]))
    proxy.open()
    returns(lambda: store.upsert([later]))
    assert [m.message_id for m in store.newest(conversation, limit=9)] == [3, 2, 1]


def test_only_what_may_be_repeated_is_repeated() -> None:
    policy = IdempotentRetryPolicy()
    may, may_not = SimpleStatement("x", is_idempotent=True), SimpleStatement("x")
    info: dict[str, Any] = {"consistency": 6, "required_responses": 2, "received_responses": 1}
    for statement, retried in ((may, True), (may_not, False)):
        for retry_num in (0, 1):
            for decision, _ in (
                policy.on_read_timeout(statement, retry_num=retry_num, data_retrieved=False, **info),
                policy.on_write_timeout(statement, retry_num=retry_num, write_type=0, **info),
                policy.on_unavailable(statement, 6, required_replicas=2, alive_replicas=1, retry_num=retry_num),
                policy.on_request_error(statement, 6, error=OSError(), retry_num=retry_num),
            ):
                assert (decision != policy.RETHROW) == (retried and retry_num == 0)


def test_a_wrong_statement_is_no_outage(cassandra: CassandraSession) -> None:
    from cassandra import InvalidRequest

    with pytest.raises(InvalidRequest):
        cassandra.rows("SELECT nothing FROM {ks}.messages WHERE conversation_id = ?", (1,))


@pytest.mark.slow
@pytest.mark.parametrize("command", [["check"], ["makemigrations", "--check", "--dry-run"], ["migrate", "-v0"]])
def test_commands_of_the_other_database_need_no_cassandra(command: list[str], tmp_path: Any) -> None:
    variables = {
        "CHAT_STORE": "cassandra",
        "CHAT_CASSANDRA_HOSTS": "127.0.0.1:1",
        "CHAT_DATA_DIR": str(tmp_path),
        "PATH": os.environ["PATH"],
    }
    done = subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=settings.BASE_DIR,
        env=variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_server_that_is_frozen_and_killed(
    request: pytest.FixtureRequest, connect: Callable[[str], EngineSession]
) -> None:
    """A server of the test's own. After a restart it knows no prepared statement any more."""
    servers = pytest.importorskip("tests.servers.cassandra")
    server = request.getfixturevalue("own_service")(servers.CassandraServer)
    session = CassandraSession(connect(server.environment()["CHAT_CASSANDRA_HOSTS"]), keyspace="chat")
    assert schema.create(session, replication={"datacenter1": 1}) == []
    store = CassandraMessageStore(session)
    members = CassandraConversationStore(session, max_inline=100)
    new = NewConversation(ConversationId(new_random_id()), ConversationType.DM, UserId(1), (UserId(1), UserId(2)))
    talk = returns(lambda: members.create(new))[0]
    returns(lambda: store.upsert([text(talk.id, 1)]))
    server.pause()
    fails_soon(lambda: store.upsert([text(talk.id, 2)]))
    server.resume()
    returns(lambda: store.upsert([text(talk.id, 3)]))
    server.kill()
    fails_soon(lambda: store.newest(talk.id, limit=9))
    server.start()
    found = returns(lambda: store.newest(talk.id, after=MessageId(2), limit=9))
    assert [m.message_id for m in found] == [3]
    assert members.create(new) == (members.get([talk.id])[talk.id], False)
