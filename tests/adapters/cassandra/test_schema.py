"""The schema command: again and again, on what is there, and as a check."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings

from messaging.adapters.cassandra import schema
from messaging.adapters.cassandra.connection import EngineSession
from messaging.adapters.cassandra.session import CassandraSession


@pytest.fixture
def empty(cassandra_engine: EngineSession) -> Iterator[CassandraSession]:
    """A session whose keyspace is not there yet."""
    session = CassandraSession(cassandra_engine, keyspace=f"test_{uuid4().hex[:12]}")
    yield session
    session.define(f"DROP KEYSPACE IF EXISTS {session.keyspace}")


def manage(server: Any, keyspace: str, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {
        **server.environment(),
        "CHAT_STORE": "cassandra",
        "CHAT_CASSANDRA_KEYSPACE": keyspace,
        "CHAT_CASSANDRA_REPLICATION": "datacenter1:1",
        "CHAT_DATA_DIR": str(directory),
        "PATH": os.environ["PATH"],
    }
    return subprocess.run(
        [sys.executable, "manage.py", "cassandra_schema", *arguments],
        cwd=settings.BASE_DIR,
        env=variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_command_may_be_run_again(cassandra_server: Any, empty: CassandraSession, tmp_path: Path) -> None:
    before = manage(cassandra_server, empty.keyspace, tmp_path, "--check")
    assert before.returncode == 1
    assert "table messages is missing" in before.stderr
    for arguments in ([], [], ["--check"]):
        done = manage(cassandra_server, empty.keyspace, tmp_path, *arguments)
        assert (done.returncode, done.stderr) == (0, "")
    assert f"keyspace {empty.keyspace}: all {len(schema.TABLES)} tables are there" in done.stdout
    [(options,)] = empty.define(
        f"SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = '{empty.keyspace}'"
    )
    assert options["class"].endswith("NetworkTopologyStrategy")
    assert options["datacenter1"] == "1"


def test_what_is_missing_is_added_and_what_differs_is_told(empty: CassandraSession) -> None:
    assert schema.create(empty, replication={"datacenter1": 1}) == []
    ks = empty.keyspace
    empty.define(f"INSERT INTO {ks}.dm_pairs (low, high, conversation_id) VALUES (1, 2, 3)")
    empty.define(f"DROP TABLE {ks}.receipts")
    empty.define(f"ALTER TABLE {ks}.messages DROP edit")
    empty.define(f"ALTER TABLE {ks}.conversations DROP home_region")
    empty.define(f"ALTER TABLE {ks}.membership DROP active_day")
    empty.define(f"ALTER TABLE {ks}.membership ADD active_day int")
    assert schema.missing(empty) == [
        "column messages.edit is missing",
        "table receipts is missing",
        "column conversations.home_region is missing",
    ]
    assert schema.create(empty, replication={"datacenter1": 1}) == []
    assert schema.missing(empty) == []
    assert empty.define(f"SELECT conversation_id FROM {ks}.dm_pairs") == [(3,)]
    empty.define(f"DROP TABLE {ks}.dm_pairs")
    empty.define(
        f"CREATE TABLE {ks}.dm_pairs (low bigint, high bigint, conversation_id text, PRIMARY KEY ((low, high)))"
    )
    assert schema.create(empty, replication={"datacenter1": 1}) == [
        "column dm_pairs.conversation_id is text, not bigint"
    ]


def test_dedupe_rows_expire_by_the_table(cassandra: CassandraSession) -> None:
    [(seconds,)] = cassandra.define(
        "SELECT default_time_to_live FROM system_schema.tables"
        f" WHERE keyspace_name = '{cassandra.keyspace}' AND table_name = 'message_dedupe'"
    )
    assert seconds == schema.DEDUPE_TTL_S == 604_800
