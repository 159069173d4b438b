"""One deadline for all tries of a send; nothing is acked that is not durable (design section 6)."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from messaging.adapters.embedded.log import SqliteMessageLog
from messaging.domain.errors import Unavailable
from messaging.domain.ids import ConversationId, UserId
from messaging.ports import MessageLog, NewRecord
from messaging.services.send import Outgoing, append_durably, message_record
from tests.conftest import eventually


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.sqlite3"


@pytest.fixture
async def log(path: Path) -> AsyncIterator[MessageLog]:
    log = SqliteMessageLog(path)
    await log.start()
    yield log
    await log.close()


@contextlib.contextmanager
def broken(path: Path) -> Iterator[None]:
    """A log that fails at once whatever it is given."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("ALTER TABLE records RENAME TO away")
        try:
            yield
        finally:
            other.execute("ALTER TABLE away RENAME TO records")


@contextlib.contextmanager
def stuck(path: Path) -> Iterator[None]:
    """A log that waits for its disk, and says nothing meanwhile."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")


def record() -> NewRecord:
    return message_record(Outgoing(UserId(1), ConversationId(2), b"3" * 16, "hello", [], None))


def retries() -> float:
    return REGISTRY.get_sample_value("chat_append_retries_total") or 0.0


@pytest.mark.logs_errors
async def test_an_append_is_tried_again_until_the_log_takes_it(log: MessageLog, path: Path) -> None:
    before = retries()
    with broken(path):
        sending = asyncio.ensure_future(append_durably(log, record()))
        await eventually(lambda: retries() >= before + 2)
        assert not sending.done()
    sent = await sending
    assert not sent.duplicate
    assert (await append_durably(log, record())).message_id == sent.message_id


@pytest.mark.logs_errors
@pytest.mark.parametrize("fault", [broken, stuck])
async def test_at_the_deadline_the_sender_hears_that_it_is_not_known_to_be_stored(
    log: MessageLog, path: Path, fault: "type[contextlib.AbstractContextManager[None]]"
) -> None:
    """However many tries there were, and also while the first one is under way."""
    loop = asyncio.get_running_loop()
    with fault(path):
        began = loop.time()
        with pytest.raises(Unavailable) as refusal:
            await append_durably(log, record(), deadline=began + 0.7)
        assert 0.7 <= loop.time() - began < 2
    assert refusal.value.retry_after
    # The same message again is one message, whatever became of the first.
    first, second = [await append_durably(log, record()) for _ in range(2)]
    assert (first.message_id, second.duplicate) == (second.message_id, True)


@pytest.mark.logs_errors
async def test_a_deadline_that_is_over_is_over(log: MessageLog, path: Path) -> None:
    """Who has waited for a first try until then does not begin anew."""
    loop = asyncio.get_running_loop()
    before = retries()
    with broken(path), pytest.raises(Unavailable):
        await append_durably(log, record(), deadline=loop.time() - 1)
    assert retries() == before
