"""Where rows lie follows from ids; that no statement reads more than partitions it names."""

import inspect
import re
from datetime import UTC, datetime
from types import ModuleType

import pytest

from messaging.adapters.cassandra import changes, conversations, expiry, layout, messages
from messaging.adapters.cassandra.schema import TABLES
from messaging.domain import ids
from messaging.domain.messages import DedupeKey
from tests.adapters.cassandra.conftest import BUCKET_IDS, DAY_IDS

MODULES = (changes, conversations, expiry, layout, messages)


def statements(module: ModuleType) -> list[str]:
    found = [value for name, value in vars(module).items() if isinstance(value, str | tuple) and name.isupper()]
    texts = [text for value in found for text in ([value] if isinstance(value, str) else value)]
    return [text for text in texts if isinstance(text, str) and "{ks}." in text]


def test_buckets_are_ten_days_of_the_ids_time() -> None:
    at = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp() * 1000)
    first = ids.first_id_at(at)
    bucket = layout.bucket_of(first)
    assert layout.bucket_of(first + BUCKET_IDS) == bucket + 1
    assert layout.day_of(first + DAY_IDS - 1) == layout.day_of(first) == layout.day_at(at)
    assert layout.bucket_of(0) == layout.day_of(0) == 0
    assert layout.bucket_of(ids.MAX_ID) < 1 << 31


def test_an_earlier_moment_wins_and_a_deletion_of_today_wins_over_both() -> None:
    at_ms = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp() * 1000)
    assert layout.first_wins_us(at_ms) > layout.first_wins_us(at_ms + 1) > 0
    assert layout.first_wins_us(at_ms) < at_ms * 1000


def test_a_dedupe_key_comes_back_as_it_was() -> None:
    key = DedupeKey(ids.ConversationId(ids.MAX_ID), ids.UserId(7), bytes(range(16)))
    assert layout.unpack_dedupe_key(layout.pack_dedupe_key(key)) == key


def test_no_statement_filters() -> None:
    for module in MODULES:
        assert "ALLOW FILTERING" not in inspect.getsource(module).upper()


@pytest.mark.parametrize("text", [text for module in MODULES for text in statements(module)])
def test_every_statement_names_its_partitions(text: str) -> None:
    table = next(table for table in TABLES if f"{{ks}}.{table.name}" in re.split(r"[\s(]", text))
    partition_key = [name.strip() for name in re.sub(r"^\((.*?)\).*", r"\1", table.key).split(",")]
    if text.startswith("INSERT"):
        named = text[: text.index("VALUES")]
        assert all(re.search(rf"\b{name}\b", named) for name in partition_key)
        return
    where = text[text.index("WHERE") :]
    if "token(" in where:
        # Who has to come by all of them reads page by page.
        assert where.endswith("> ? LIMIT ?")
        return
    # dedupe_key is its table's whole key, and written without parentheses there.
    for name in partition_key if table.key.startswith("(") else [table.key]:
        assert re.search(rf"\b{name} (= \?|IN \?)", where), name


def test_the_statements_are_found() -> None:
    assert sum(len(statements(module)) for module in MODULES) > 35
