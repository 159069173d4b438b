"""The stage of the machine: a system that runs for the whole test."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.machine.machine import ChatMachine
from tests.machine.system import EmbeddedSystem


@pytest.fixture
def new_machine(
    settings: Any, caplog: pytest.LogCaptureFixture, transactional_db: None
) -> Iterator[Callable[[], ChatMachine]]:
    """Return a function that puts new people with new conversations into the running system."""
    # Short backfills and small small groups, so that a few messages and people reach past both.
    settings.LIMITS = replace(
        settings.LIMITS, max_backfill=6, max_group_small=3, send_rate_per_s=10_000.0, send_burst=10_000
    )
    # No part of the API, and half of its time.
    settings.MIDDLEWARE = []
    # Of sockets that are cut, and of what strangers ask for.
    for name in ("uvicorn.error", "django.request"):
        caplog.set_level(logging.CRITICAL, logger=name)
    with asyncio.Runner() as runner:
        system = EmbeddedSystem()
        runner.run(system.start())
        try:
            yield lambda: ChatMachine(system, runner)
        finally:
            runner.run(system.stop())
