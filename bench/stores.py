"""What one message costs in each message store: ``python -m bench.stores sqlite|postgresql|cassandra``.

Does what the router does for a poll (``find_placed``, then ``upsert``, again where the store does not answer) and what
scrolling does (``newest``), on tables of its own, which are gone afterwards. PostgreSQL is that of CHAT_DATABASE_URL,
Cassandra that of CHAT_CASSANDRA_HOSTS. With ``--server-pid`` the server's CPU time is counted as well.
"""

import argparse
import json
import os
import random
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import django

from messaging.ports import StoreUnavailable

STORES = ("sqlite", "postgresql", "cassandra")
#: Direct conversations among which the messages are spread, and the length of a message's text in bytes.
CONVERSATIONS = 500
BODY_BYTES = 120


@contextmanager
def on_store(store: str) -> Iterator[None]:
    """Set Django up on tables of this run's own."""
    directory = tempfile.mkdtemp(prefix="chat-bench-")
    name = f"bench_{uuid4().hex[:12]}"
    os.environ |= {"DJANGO_SETTINGS_MODULE": "chatproject.settings", "CHAT_DATA_DIR": directory}
    given = os.environ.pop("CHAT_DATABASE_URL", "")
    try:
        if store == "postgresql":
            with _postgresql(given, name):
                yield
        elif store == "cassandra":
            with _cassandra(name):
                yield
        else:
            _migrated()
            yield
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _migrated() -> None:
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0, interactive=False)


@contextmanager
def _postgresql(url: str, name: str) -> Iterator[None]:
    import psycopg
    from psycopg import sql

    if not url:
        raise SystemExit("CHAT_DATABASE_URL is not set")
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            os.environ["CHAT_DATABASE_URL"] = urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
            _migrated()
            yield
            from django.db import connections

            connections.close_all()
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def _cassandra(name: str) -> Iterator[None]:
    os.environ |= {
        "CHAT_STORE": "cassandra",
        "CHAT_CASSANDRA_KEYSPACE": name,
        "CHAT_CASSANDRA_REPLICATION": "datacenter1:1",
    }
    from django.core.management import call_command

    django.setup()
    from chatproject import container

    call_command("cassandra_schema", verbosity=0)
    try:
        yield
    finally:
        container.cassandra().define(f"DROP KEYSPACE {name}", timeout_s=60)


def _server_cpu_s(pid: int | None) -> float:
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _own_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _until_done(call: Callable[[], Any]) -> int:
    """Call until the store answers; return how often it did not."""
    for failures in range(100):
        try:
            call()
        except StoreUnavailable:
            continue
        return failures
    raise SystemExit("the store does not answer")


def _measure(name: str, calls: Sequence[Callable[[], Any]], *, per_call: int, pid: int | None) -> dict[str, Any]:
    """Run the calls one after the other; return rates, the distribution of their durations and the CPU time."""
    durations: list[float] = []
    own, server, begun = _own_cpu_s(), _server_cpu_s(pid), time.perf_counter()
    failed = 0
    for call in calls:
        start = time.perf_counter()
        failed += _until_done(call)
        durations.append(time.perf_counter() - start)
    elapsed, count = time.perf_counter() - begun, len(calls) * per_call
    durations.sort()
    return {
        "what": name,
        "per_s": round(count / elapsed),
        "p50_ms": round(durations[len(durations) // 2] * 1000, 2),
        "p99_ms": round(durations[min(len(durations) - 1, len(durations) * 99 // 100)] * 1000, 2),
        "own_cpu_us": round((_own_cpu_s() - own) / count * 1e6),
        "server_cpu_us": round((_server_cpu_s(pid) - server) / count * 1e6),
        "repeated": failed,
    }


def _run(messages: int, pid: int | None) -> list[dict[str, Any]]:
    from chatproject import container
    from messaging.domain.ids import ConversationId, MessageId, UserId, first_id_at, new_random_id
    from messaging.domain.messages import ConversationType, DedupeKey, StoredMessage
    from messaging.ports import NewConversation

    store, conversations = container.message_store(), container.conversation_store()
    pairs: dict[ConversationId, tuple[UserId, UserId]] = {}
    for _ in range(CONVERSATIONS):
        pair = (UserId(new_random_id()), UserId(new_random_id()))
        new = NewConversation(ConversationId(new_random_id()), ConversationType.DM, pair[0], pair)
        pairs[conversations.create(new)[0].id] = pair
    chosen, number = random.Random(7), int(first_id_at(int(time.time() * 1000)))
    last: dict[ConversationId, MessageId] = {}

    def poll(size: int) -> list[StoredMessage]:
        nonlocal number
        made = []
        for conversation in chosen.choices(list(pairs), k=size):
            number += 1 << 22
            at = MessageId(number)
            made.append(
                StoredMessage(
                    conversation,
                    at,
                    chosen.choice(pairs[conversation]),
                    uuid4().bytes,
                    "x" * BODY_BYTES,
                    prev_id=last.get(conversation),
                )
            )
            last[conversation] = at
        return made

    def key(m: StoredMessage) -> DedupeKey:
        return DedupeKey(m.conversation_id, m.sender_id, m.client_msg_id)

    store.upsert(poll(100))
    results = []
    for size in (1, 10, 100, 500):
        polls = [poll(size) for _ in range(max(1, min(messages, size * 200) // size))]
        finding = [partial(store.find_placed, [key(m) for m in p]) for p in polls]
        writing = [partial(store.upsert, p, placed={}) for p in polls]
        results.append(_measure(f"find_placed, polls of {size}", finding, per_call=size, pid=pid))
        results.append(_measure(f"upsert, polls of {size}", writing, per_call=size, pid=pid))
    reading = [partial(store.newest, conversation, limit=50) for conversation in chosen.choices(list(pairs), k=500)]
    results.append(_measure("newest 50", reading, per_call=1, pid=pid))
    return results


def main() -> None:
    """Measure one store and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", choices=STORES)
    parser.add_argument("--messages", type=int, default=20_000, help="How many are written per poll size.")
    parser.add_argument("--server-pid", type=int, help="Process whose CPU time is counted as the server's.")
    parser.add_argument("--json", type=Path, help="Write the figures there as well.")
    options = parser.parse_args()
    with on_store(options.store):
        results = _run(options.messages, options.server_pid)
    print(f"{options.store}: rates and CPU times per message (newest: per call), durations per call")
    print(f"  {'':26}{'per s':>8}{'P50 ms':>9}{'P99 ms':>9}{'own CPU µs':>12}{'server CPU µs':>15}{'repeated':>10}")
    for row in results:
        print(
            f"  {row['what']:26}{row['per_s']:>8}{row['p50_ms']:>9}{row['p99_ms']:>9}"
            f"{row['own_cpu_us']:>12}{row['server_cpu_us']:>15}{row['repeated']:>10}"
        )
    if options.json:
        options.json.write_text(json.dumps({"store": options.store, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
