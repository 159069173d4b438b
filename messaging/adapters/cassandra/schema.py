"""The tables of design section 4 in Cassandra, as data, and what makes a keyspace have them (docs/decisions/0015).

``manage.py cassandra_schema`` may be run again at any time: it adds what is missing and changes nothing that is there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from messaging.adapters.cassandra.session import CassandraSession
from messaging.ports import KEPT_MARKS_S

DEDUPE_TTL_S: Final = 7 * 86_400
#: As long as a node keeps hints for one that is away.
_HINTS_S: Final = 3 * 3_600

#: Rows that are written over again and read often: one or two files a read.
_LEVELED: Final = "compaction = {'class': 'LeveledCompactionStrategy'}"
#: Rows that are written once.
_TIERED: Final = "compaction = {'class': 'SizeTieredCompactionStrategy'}"


@dataclass(frozen=True, slots=True)
class Table:
    """One table: ``columns`` maps names to CQL types (with ``static``), ``key`` is the text of its primary key."""

    name: str
    columns: Mapping[str, str]
    key: str
    options: tuple[str, ...]

    def create(self, keyspace: str) -> str:
        """Return the statement that creates it."""
        columns = ", ".join(f"{name} {kind}" for name, kind in self.columns.items())
        with_ = " AND ".join(self.options)
        return f"CREATE TABLE IF NOT EXISTS {keyspace}.{self.name} ({columns}, PRIMARY KEY ({self.key})) WITH {with_}"


TABLES: Final = (
    Table(
        "messages",
        {
            "conversation_id": "bigint",
            "bucket": "int",
            "message_id": "bigint",
            "sender_id": "bigint",
            "client_msg_id": "blob",
            "kind": "text",
            "body": "blob",
            "media_refs": "frozen<list<text>>",
            "prev_id": "bigint",
            "reply_to": "bigint",
            "forwarded": "boolean",
            # The newest edit: its id and its text, in one cell.
            "edit": "frozen<tuple<bigint, blob>>",
            "delete_id": "bigint",
            # The newest decision of moderators: its id, and whether the message is withheld.
            "takedown": "frozen<tuple<bigint, boolean>>",
            "mentions": "frozen<list<bigint>>",
            # Of the newest edit: its id, so that it is the same one's as above, and whom it mentions.
            "edit_mentions": "frozen<tuple<bigint, frozen<list<bigint>>>>",
        },
        "(conversation_id, bucket), message_id",
        ("CLUSTERING ORDER BY (message_id DESC)", _LEVELED),
    ),
    Table(
        "message_changes",
        {
            "conversation_id": "bigint",
            "bucket": "int",
            "change_id": "bigint",
            "target_id": "bigint",
            "actor_id": "bigint",
            "client_msg_id": "blob",
            "kind": "text",
            "body": "blob",
            "emoji": "text",
            "is_on": "boolean",
            "count": "int",
            "prev_id": "bigint",
            "mentions": "frozen<list<bigint>>",
        },
        "(conversation_id, bucket), change_id",
        ("CLUSTERING ORDER BY (change_id DESC)", _TIERED),
    ),
    # In the bucket of the target. The newest change of a user with an emoji, and whether it put it there.
    Table(
        "message_reactions",
        {
            "conversation_id": "bigint",
            "bucket": "int",
            "target_id": "bigint",
            "emoji": "text",
            "user_id": "bigint",
            "state": "frozen<tuple<bigint, boolean>>",
        },
        "(conversation_id, bucket), target_id, emoji, user_id",
        (_LEVELED,),
    ),
    # What was ever pinned in a conversation: by the newest pin of each message, whether it is so, and by whom.
    Table(
        "message_pins",
        {"conversation_id": "bigint", "target_id": "bigint", "state": "frozen<tuple<bigint, boolean, bigint>>"},
        "(conversation_id), target_id",
        (_LEVELED,),
    ),
    # Which buckets of a conversation have messages or changes: 37 rows for a year in which somebody wrote every day.
    Table(
        "message_buckets",
        {"conversation_id": "bigint", "bucket": "int"},
        "(conversation_id), bucket",
        ("CLUSTERING ORDER BY (bucket DESC)", _LEVELED),
    ),
    Table(
        "message_dedupe",
        {"dedupe_key": "blob", "message_id": "bigint", "prev_id": "bigint"},
        "dedupe_key",
        (
            # Nothing is deleted here; rows expire together with all of their day's file.
            "compaction = {'class': 'TimeWindowCompactionStrategy',"
            " 'compaction_window_unit': 'DAYS', 'compaction_window_size': 1}",
            f"default_time_to_live = {DEDUPE_TTL_S}",
            f"gc_grace_seconds = {_HINTS_S}",
        ),
    ),
    Table(
        "receipts",
        {
            "conversation_id": "bigint",
            "message_id": "bigint",
            "user_id": "bigint",
            "device_id": "bigint",
            "delivered_at": "timestamp",
        },
        # Ten days of a group of 5,000 would be millions of rows.
        "(conversation_id, message_id), user_id, device_id",
        (_TIERED,),
    ),
    # One partition is one conversation: what it is (static), and a row for each active member. See 0017.
    Table(
        "conversations",
        {
            "conversation_id": "bigint",
            "user_id": "bigint",
            "type": "text static",
            "created_at": "timestamp static",
            "created_by": "bigint static",
            "name": "text static",
            "members_count": "int static",
            "last_message_id": "bigint static",
            "last_id": "bigint static",
            "encrypted": "boolean static",
            # Of a hot conversation: the first and the newest row of each sub-partition but 0.
            "chain_first": "map<int, bigint> static",
            "chain_last": "map<int, bigint> static",
            "hot_k": "int static",
            "home_region": "text static",
            "retention_policy": "text static",
            "expired_id": "bigint static",
            "timer_s": "int static",
            "picture_id": "bigint static",
            "meta": "text static",
            "version": "bigint static",
            "change": "uuid static",
            "pending": "frozen<map<bigint, bigint>> static",
            "role": "text",
            "joined_id": "bigint",
            "joined_at": "timestamp",
            "last_read_id": "bigint",
            "muted_until": "timestamp",
        },
        "(conversation_id), user_id",
        (_LEVELED,),
    ),
    Table(
        "membership",
        {
            "user_id": "bigint",
            "conversation_id": "bigint",
            "role": "text",
            "joined_id": "bigint",
            "joined_at": "timestamp",
            "left_id": "bigint",
            "last_read_id": "bigint",
            "muted_until": "timestamp",
            # Where its member keeps it (0063). Three cells: two devices may change one each.
            "archived_id": "bigint",
            "is_pinned": "boolean",
            "unread_id": "bigint",
            "active_day": "int",
        },
        "(user_id), conversation_id",
        (_LEVELED,),
    ),
    Table(
        "device_marks",
        {
            "user_id": "bigint",
            "device_id": "bigint",
            "conversation_id": "bigint",
            "mark": "bigint",
            # Of a hot conversation: the marks of its other chains.
            "chains": "map<int, bigint>",
        },
        "(user_id, device_id), conversation_id",
        (_LEVELED, f"default_time_to_live = {KEPT_MARKS_S}"),
    ),
    # Those that are spread, for whoever looks after them; ``conversations`` has the truth.
    Table(
        "hot_conversations",
        {"shard": "int", "conversation_id": "bigint", "hot_k": "int"},
        "(shard), conversation_id",
        (_LEVELED,),
    ),
    Table("dm_pairs", {"low": "bigint", "high": "bigint", "conversation_id": "bigint"}, "(low, high)", (_LEVELED,)),
)


def _columns(session: CassandraSession) -> dict[str, dict[str, str]]:
    """Return the tables that are there, with their columns and types."""
    found: dict[str, dict[str, str]] = {}
    rows = session.define(
        "SELECT table_name, column_name, type, kind FROM system_schema.columns"
        f" WHERE keyspace_name = '{session.keyspace}'"
    )
    for table, column, kind_of_value, kind in rows:
        found.setdefault(table, {})[column] = kind_of_value + (" static" if kind == "static" else "")
    return found


def missing(session: CassandraSession) -> list[str]:
    """Return, as sentences, what the keyspace has not, or has otherwise than ``TABLES``; nothing where all is well."""
    there = _columns(session)
    problems = []
    for table in TABLES:
        columns = there.get(table.name)
        if columns is None:
            problems.append(f"table {table.name} is missing")
            continue
        for name, kind in table.columns.items():
            if name not in columns:
                problems.append(f"column {table.name}.{name} is missing")
            elif columns[name] != kind:
                problems.append(f"column {table.name}.{name} is {columns[name]}, not {kind}")
    return problems


def create(session: CassandraSession, *, replication: Mapping[str, int]) -> list[str]:
    """Create the keyspace, the tables and the columns that are missing; return what is otherwise all the same.

    An existing keyspace keeps its replication, an existing table its options: changing these is the operator's.
    """
    replicas = ", ".join(f"'{name}': {number}" for name, number in replication.items())
    session.define(
        f"CREATE KEYSPACE IF NOT EXISTS {session.keyspace}"
        f" WITH replication = {{'class': 'NetworkTopologyStrategy', {replicas}}}"
    )
    for table in TABLES:
        session.define(table.create(session.keyspace))
    there = _columns(session)
    for table in TABLES:
        for name, kind in table.columns.items():
            if name not in there[table.name]:
                session.define(f"ALTER TABLE {session.keyspace}.{table.name} ADD {name} {kind}")
    return missing(session)
