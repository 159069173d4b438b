"""The cheap drills, shortened; all of them at length are ``make drills`` (docs/drills.md)."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drills.catalogue import DRILLS, play
from drills.engines import Engines
from tests.servers.cassandra import CassandraServer
from tests.servers.kafka import KafkaServer
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer

pytestmark = [pytest.mark.process, pytest.mark.slow]

KINDS = {"kafka": KafkaServer, "cassandra": CassandraServer, "redis": RedisServer, "postgres": PostgresServer}


@pytest.mark.parametrize("name", [drill.name for drill in DRILLS.values() if drill.short_s is not None])
def test_the_mark_holds(
    name: str, request: pytest.FixtureRequest, own_service: Callable[..., Any], tmp_path: Path
) -> None:
    drill = DRILLS[name]
    assert drill.short_s is not None
    servers = [
        own_service(kind) if engine in drill.harms else request.getfixturevalue(f"{engine}_server")
        for engine, kind in KINDS.items()
    ]
    report = asyncio.run(play(drill, Engines(*servers), tmp_path / "stack", seconds=drill.short_s))
    assert report.passed, f"\n{report}"
