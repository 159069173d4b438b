"""A driver that fails where a test wants it to, and short ways to build what the stores hold."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from cassandra import OperationTimedOut

from messaging.adapters.cassandra import session as session_module
from messaging.adapters.cassandra.connection import EngineSession
from messaging.adapters.cassandra.conversations import CassandraConversationStore
from messaging.adapters.cassandra.messages import CassandraMessageStore
from messaging.adapters.cassandra.session import CassandraSession
from messaging.domain.ids import ConversationId, MessageId, UserId
from messaging.domain.messages import StoredMessage

DAY_IDS = 86_400_000 << 22
BUCKET_IDS = 10 * DAY_IDS


class Failing:
    """The driver's session, until the ``after``-th request: that one and all later ones time out.

    ``applied``: whether that request still reaches the server, so that only its answer is lost.
    """

    def __init__(self, driver: Any, after: int, *, applied: bool) -> None:
        self._driver = driver
        self._after = after
        self._applied = applied
        self.requests = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    def execute_async(self, statement: Any, **options: Any) -> Any:
        self.requests += 1
        if self.requests < self._after:
            return self._driver.execute_async(statement, **options)
        if self.requests == self._after and self._applied:
            self._driver.execute_async(statement, **options).result()
        raise OperationTimedOut()


@pytest.fixture
def messages(cassandra: CassandraSession) -> CassandraMessageStore:
    return CassandraMessageStore(cassandra)


@pytest.fixture
def conversations(cassandra: CassandraSession) -> CassandraConversationStore:
    return CassandraConversationStore(cassandra, max_inline=100)


@pytest.fixture
def one_row_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """No batches: the driver can be made to fail between any two rows."""
    monkeypatch.setattr(session_module, "_BATCH_ROWS", 1)
    monkeypatch.setattr(session_module, "_WINDOW", 1)


@pytest.fixture
def breaking(
    cassandra: CassandraSession, cassandra_engine: EngineSession, one_row_a_request: None
) -> Iterator[Callable[..., tuple[CassandraSession, Failing]]]:
    """Return ``breaking(after, applied=False)``: a session whose driver fails from the ``after``-th request on."""

    def make(after: int, *, applied: bool = False) -> tuple[CassandraSession, Failing]:
        driver = Failing(cassandra_engine(), after, applied=applied)
        return CassandraSession(lambda: driver, keyspace=cassandra.keyspace), driver

    return make


def text(conversation: int, number: int, sender: int = 11, **more: Any) -> StoredMessage:
    fields = {"client_msg_id": uuid4().bytes, "body": f"message {number}", **more}
    return StoredMessage(ConversationId(conversation), MessageId(number), UserId(sender), **fields)
