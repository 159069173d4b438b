"""The stores on real servers, for the contract suites and the adapters' own tests: clean at the begin of each test."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from chatproject import container, env
from messaging.adapters.cassandra import schema
from messaging.adapters.cassandra.connection import EngineSession, database_settings
from messaging.adapters.cassandra.conversations import CassandraConversationStore
from messaging.adapters.cassandra.messages import CassandraMessageStore
from messaging.adapters.cassandra.session import CassandraSession


@pytest.fixture(scope="session")
def cassandra_engine(cassandra_server: Any) -> Iterator[EngineSession]:
    """Return the engine's session on the server, registered as Django would do it with CHAT_STORE=cassandra."""
    from cassandra.cqlengine import connection
    from django_cassandra_engine.connection import CassandraConnection

    alias = "contract tests"
    CassandraConnection(alias, **database_settings(env.load(cassandra_server.environment()).values))
    yield EngineSession(alias)
    connection.unregister_connection(alias)


@pytest.fixture(scope="session")
def cassandra_keyspace(cassandra_engine: EngineSession) -> Iterator[str]:
    """Return the name of a keyspace with all tables, which is gone after the session."""
    session = CassandraSession(cassandra_engine, keyspace=f"test_{uuid4().hex[:12]}")
    assert schema.create(session, replication={"datacenter1": 1}) == []
    yield session.keyspace
    session.define(f"DROP KEYSPACE {session.keyspace}")


@pytest.fixture
def cassandra(cassandra_engine: EngineSession, cassandra_keyspace: str) -> CassandraSession:
    """Return a session on empty tables."""
    session = CassandraSession(cassandra_engine, keyspace=cassandra_keyspace)
    names = [f"{session.keyspace}.{table.name}" for table in schema.TABLES]
    used = [name for name in names if session.define(f"SELECT * FROM {name} LIMIT 1")]
    for truncating in [cassandra_engine().execute_async(f"TRUNCATE {name}", timeout=30) for name in used]:
        truncating.result()
    return session


@pytest.fixture(scope="session")
def postgresql_database(
    postgres_server: Any, django_db_setup: None, django_db_blocker: Any
) -> Iterator[dict[str, Any]]:
    """Return the settings of a migrated database on PostgreSQL, which is gone after the session."""
    from django.db import connections

    from chatproject.settings import postgresql

    alias, wanted = "making", postgresql(env.load(postgres_server.environment())["CHAT_DATABASE_URL"])
    wanted["TEST"] = {"NAME": f"test_{uuid4().hex[:12]}"}
    with django_db_blocker.unblock():
        connections.settings[alias] = connections.configure_settings({"default": {}, alias: wanted})[alias]
        made = connections[alias]
        made.creation.create_test_db(verbosity=0, autoclobber=True)
        ready = {**made.settings_dict}
    made.close()
    del connections.settings[alias]
    yield ready
    with django_db_blocker.unblock():
        # Threads that have ended may have left their connections open, and nobody may use what is dropped.
        with made._nodb_cursor() as cursor:
            named = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
            cursor.execute(named, [ready["NAME"]])
        made.creation.destroy_test_db(verbosity=0)


@pytest.fixture
def postgresql(postgresql_database: dict[str, Any], db: None) -> Iterator[str]:
    """Return the alias of that database, its tables empty."""
    from django.apps import apps
    from django.db import connections
    from django.db.backends.base.base import NO_DB_ALIAS

    # The server is started by the first test that wants it, so Django's test cases cannot know the database; this is
    # the one alias that they let through all the same, in any thread.
    alias = NO_DB_ALIAS
    connections.settings[alias] = postgresql_database
    tables = ", ".join(
        model._meta.db_table for model in apps.get_app_config("messaging").get_models() if model._meta.managed
    )
    with connections[alias].cursor() as cursor:
        cursor.execute(f"TRUNCATE {tables} CASCADE")
    yield alias
    connections[alias].close()
    del connections[alias]
    del connections.settings[alias]


@pytest.fixture(params=["orm", "cassandra"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have messages and conversations in each store; ask for it before what writes, such as ``route``."""
    if request.param == "cassandra":
        session = request.getfixturevalue("cassandra")
        messages = CassandraMessageStore(session)
        conversations = CassandraConversationStore(session, max_inline=100)
        monkeypatch.setattr(container, "message_store", lambda: messages)
        monkeypatch.setattr(container, "conversation_store", lambda: conversations)
    return str(request.param)
