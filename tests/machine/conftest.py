"""The stages of the machine: systems that run for the whole test."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import connections
from redis import Redis

from chatproject import container
from chatproject.env import load
from messaging.adapters.redis import options
from tests.machine.machine import ChatMachine
from tests.machine.system import EmbeddedSystem, FullSystem, System


@pytest.fixture
def short_limits(settings: Any, caplog: pytest.LogCaptureFixture, transactional_db: None) -> None:
    # Short backfills and small small groups, so that a few messages and people reach past both.
    settings.LIMITS = replace(
        settings.LIMITS,
        max_backfill=6,
        max_group_small=3,
        send_rate_per_s=10_000.0,
        send_burst=10_000,
        sync_burst=10_000,
    )
    # No part of the API, and half of its time.
    settings.MIDDLEWARE = []
    # Of sockets that are cut, and of what strangers ask for.
    for name in ("uvicorn.error", "django.request"):
        caplog.set_level(logging.CRITICAL, logger=name)


@pytest.fixture
def new_machine(short_limits: None) -> Iterator[Callable[[], ChatMachine]]:
    """Return a function that puts new people with new conversations into the running embedded system."""
    with _running(EmbeddedSystem) as new:
        yield new


@pytest.fixture
def new_full_machine(
    short_limits: None, engines: None, relational_on_postgresql: None
) -> Iterator[Callable[[], ChatMachine]]:
    """Return the same on Kafka, Cassandra, Redis and PostgreSQL."""
    with _running(FullSystem) as new:
        yield new


@pytest.fixture
def relational_on_postgresql(transactional_db: None, postgresql_database: dict[str, Any]) -> Iterator[None]:
    """Let Django's database be on PostgreSQL, here and in every thread that begins meanwhile."""
    settings_before, before = connections.settings["default"], connections["default"]
    connections.settings["default"] = postgresql_database
    del connections["default"]
    yield
    call_command("flush", interactive=False, verbosity=0, inhibit_post_migrate=True)
    connections["default"].close()
    connections.settings["default"] = settings_before
    connections["default"] = before


@contextlib.contextmanager
def _running(kind: Callable[[], System]) -> Iterator[Callable[[], ChatMachine]]:
    with asyncio.Runner() as runner:
        system = kind()
        runner.run(system.start())
        try:
            yield lambda: ChatMachine(system, runner)
        finally:
            runner.run(system.stop())


@pytest.fixture
def engines(
    settings: Any, monkeypatch: pytest.MonkeyPatch, kafka_server: Any, redis_server: Any, cassandra: Any
) -> None:
    """Point the container at the session's servers, with topics and keys of this test's own."""
    # Tests share the others by their names; the registry and the channel layer have none, so they have a database.
    redis_url = redis_server.environment()["CHAT_REDIS_URL"].removesuffix("/0") + "/4"
    variables = {
        **kafka_server.environment(),
        "CHAT_KAFKA_PREFIX": f"test-{uuid4().hex[:8]}-",
        "CHAT_KAFKA_PARTITIONS": "3",
        "CHAT_REDIS_URL": redis_url,
        "CHAT_LOG": "kafka",
        "CHAT_STORE": "cassandra",
        "CHAT_REGISTRY": "redis",
        "CHAT_LAYER": "redis",
    }
    chosen = load(variables)
    settings.ENV = replace(settings.ENV, values={**settings.ENV.values, **{name: chosen[name] for name in variables}})
    settings.CHANNEL_LAYERS = {"default": options.channel_layer(redis_url)}
    # The settings were read without it, so Django has no connection by its alias.
    monkeypatch.setattr(container, "cassandra", lambda: cassandra)
    with container.kafka_topics() as topics:
        topics.mend(topics.differences())
    with Redis.from_url(redis_url) as client:
        client.flushdb()
