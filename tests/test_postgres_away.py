"""A PostgreSQL that is away costs nobody more than a moment: with a real one, which is killed and comes back."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError, connections
from prometheus_client import REGISTRY

from chatproject.env import load
from chatproject.settings import postgresql
from messaging.adapters.postgres import base
from messaging.adapters.postgres.base import DatabaseWrapper
from tests.servers.postgres import PostgresServer

#: Whoever waits for the pool in these tests waits for good.
_FOREVER_S = 60.0


Connect = Callable[..., DatabaseWrapper]


@pytest.fixture
def server(own_service: Callable[[Any], PostgresServer]) -> PostgresServer:
    return own_service(PostgresServer)


@pytest.fixture
def connect(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """Return ``connect(**pool) -> DatabaseWrapper``: as a thread has it; all of one test have one pool."""
    monkeypatch.setattr(base, "_ASK_EVERY_S", 0.0)
    made: list[DatabaseWrapper] = []
    alias = f"away-{uuid4()}"

    def make(**pool: float) -> DatabaseWrapper:
        settings = postgresql(load({"CHAT_DATABASE_URL": server.url("postgres")})["CHAT_DATABASE_URL"])
        settings["OPTIONS"]["pool"] |= {"timeout": _FOREVER_S, "reconnect_timeout": 0.1, **pool}
        made.append(DatabaseWrapper(connections.configure_settings({"default": {}, alias: settings})[alias], alias))
        return made[-1]

    yield make
    for one in made:
        one.close()
    made[0].close_pool()


def ask(wrapper: DatabaseWrapper) -> Any:
    """Do what a request or a call in a thread does."""
    wrapper.close_at = None
    wrapper.close_if_unusable_or_obsolete()
    with wrapper.cursor() as cursor:
        cursor.execute("SELECT 1")
        return cursor.fetchone()


@pytest.mark.django_db
def test_nobody_waits_for_one_that_was_killed_and_it_is_found_again(server: PostgresServer, connect: Connect) -> None:
    here, there = connect(), connect()
    assert ask(here) == ask(there) == (1,)
    server.kill()
    # The first of each is the broken connection's; from then on nobody waits for the pool, which would never end.
    for _ in range(3):
        for wrapper in (here, there, connect()):
            with pytest.raises(OperationalError):
                ask(wrapper)
    assert REGISTRY.get_sample_value("chat_engine_out", {"engine": "postgresql"}) == 1
    server.start()
    assert ask(here) == ask(there) == ask(connect()) == (1,)
    assert REGISTRY.get_sample_value("chat_engine_out", {"engine": "postgresql"}) == 0


@pytest.mark.django_db
def test_one_that_was_never_there_is_waited_for_once(server: PostgresServer, connect: Connect) -> None:
    server.kill()
    with pytest.raises(OperationalError):
        ask(connect(timeout=0.2))
    with pytest.raises(OperationalError, match="does not answer"):
        ask(connect())
    server.start()
    assert ask(connect()) == (1,)


@pytest.mark.django_db
def test_where_all_connections_are_in_use_it_is_not_away(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    pool = {"max_size": 1, "timeout": 0.2}
    here, there = connect(**pool), connect(**pool)
    assert ask(here) == (1,)
    for _ in range(2):
        with pytest.raises(OperationalError, match="couldn't get a connection"):
            ask(there)
    here.close()
    assert ask(there) == (1,)
    assert "does not answer" not in caplog.text
