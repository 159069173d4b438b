"""People as in the tests of REST, and an index that follows what they write."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from asgiref.sync import async_to_sync

from chatproject import container
from messaging.ports import TOPIC_MESSAGES, TOPIC_SEARCH, Record
from messaging.router.apply import Applier
from messaging.search.tasks import index_messages
from messaging.services.indexing import append_touched
from tests.api.conftest import Person, ann, bob, cat, person  # noqa: F401  # fixtures
from tests.topics import unread


@pytest.fixture
def settle(db: None) -> Callable[[], list[Record]]:
    """Return a function that stores what is in the log, and indexes it, as router, dispatcher and job do.

    It returns the records of the topic ``search`` that it worked off.
    """
    log = container.message_log()
    applier = Applier(messages=container.message_store(), conversations=container.conversation_store())
    read = unread()

    def step() -> list[Record]:
        while records := read(TOPIC_MESSAGES):
            applied = applier.apply(records)
            async_to_sync(append_touched)(log, applied.touched)
        done: list[Record] = []
        while records := read(TOPIC_SEARCH):
            index_messages(msgspec.to_builtins(records))
            done += records
        return done

    return step


def found(who: Person, q: str = "", **params: Any) -> list[str]:
    """Return what somebody finds: the snippets, newest first, with the matches in brackets."""
    response = who.get("search", q=q, **params)
    assert response.status_code == 200, response.json()
    return [
        "".join(f"[{it['text']}]" if it["match"] else it["text"] for it in hit["snippet"])
        for hit in response.json()["results"]
    ]
