"""What a search costs in each index: ``python -m bench.search sqlite|postgresql``.

Fills an index of its own, which is gone afterwards, with messages of words whose frequency falls as in a language
(Zipf), and asks as somebody with a few hundred conversations does. PostgreSQL is that of CHAT_DATABASE_URL.
"""

import argparse
import json
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench.stores import on_store
from messaging.domain.ids import ConversationId, MessageId, UserId
from messaging.domain.search import Has, Query, Scope, read_query
from messaging.ports import SearchEntry, SearchIndex

#: Conversations in all, those of the one who asks, and the people in each.
CONVERSATIONS, MINE, PEOPLE = 2_000, 300, 5
_WORDS: Final = 50_000
_LENGTH: Final = 18
_BATCH: Final = 200
_REPEATS: Final = 20


def _entries(messages: int, chosen: random.Random) -> list[SearchEntry]:
    weights = [1 / (rank + 10) for rank in range(_WORDS)]
    words = chosen.choices([f"word{rank}" for rank in range(_WORDS)], weights, k=messages * _LENGTH)
    made = []
    for number in range(messages):
        conversation = chosen.randrange(CONVERSATIONS)
        made.append(
            SearchEntry(
                ConversationId(1 + conversation),
                MessageId((number + 1) << 20),
                UserId(1 + conversation * PEOPLE + chosen.randrange(PEOPLE)),
                tuple(words[number * _LENGTH : (number + 1) * _LENGTH]),
                frozenset({Has.LINK}) if chosen.random() < 0.05 else frozenset(),
            )
        )
    return made


def _asked(index: SearchIndex, scopes: Sequence[Scope], what: str, query: Query) -> dict[str, Any]:
    took = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        found = index.find(scopes, query, limit=21)
        took.append(1000 * (time.perf_counter() - began))
    took.sort()
    return {"what": what, "found": len(found), "p50_ms": round(took[len(took) // 2], 1), "max_ms": round(took[-1], 1)}


def run(messages: int, index: SearchIndex) -> list[dict[str, Any]]:
    """Return the figures: writing first, then each question."""
    entries = _entries(messages, random.Random(7))
    began = time.perf_counter()
    for start in range(0, messages, _BATCH):
        index.put(entries[start : start + _BATCH])
    took_s = time.perf_counter() - began
    results: list[dict[str, Any]] = [{"what": f"write, batches of {_BATCH}", "per_s": round(messages / took_s)}]
    mine = [Scope(ConversationId(1 + number), MessageId(0)) for number in range(MINE)]
    for what, scopes, text, more in (
        ("the most frequent word, all", mine, '"word0"', {}),
        ("a word in 1 of 500, all", mine, '"word100"', {}),
        ("a rare word, all", mine, '"word20000"', {}),
        ("two words, all", mine, '"word3" "word40"', {}),
        ("a phrase, all", mine, '"word0 word1"', {}),
        ("a beginning of many words, all", mine, "word1", {}),
        ("the most frequent word, one", mine[:1], '"word0"', {}),
        ("links, all", mine, "", {"has": frozenset({Has.LINK})}),
        ("from somebody, all", mine, "", {"sender": UserId(3)}),
    ):
        results.append(_asked(index, scopes, what, Query(terms=read_query(text).terms, **more)))
    return results


def main() -> None:
    """Measure one index and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index", choices=("sqlite", "postgresql"))
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--json", type=Path, help="Write the figures there as well.")
    options = parser.parse_args()
    with on_store(options.index):
        from chatproject import container

        index = container.search_index()
        results = run(options.messages, index)
    for row in results:
        print("  ".join(f"{name} {value}" for name, value in row.items()))
    if options.json:
        options.json.write_text(json.dumps({"index": options.index, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
