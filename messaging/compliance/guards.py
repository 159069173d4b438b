"""What makes the tables of the audit log append-only in the database itself, whoever asks.

Whoever may change the schema can take these away: that is what the chain and the checkpoints are for.
``verify_audit`` says when they are missing. On SQLite a migration that alters one of these tables builds it anew, and
has to end with ``create``.
"""

from typing import Final

from django.db.backends.base.base import BaseDatabaseWrapper

TABLES: Final = ("audit_entries", "audit_checkpoints")

# A plain REPLACE deletes without asking a trigger of DELETE; so a number that is there is refused on the way in.
_SQLITE: Final = (
    "CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table}"
    " BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
    "CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table}"
    " BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
    "CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table}"
    " WHEN NEW.seq <= (SELECT MAX(seq) FROM {table})"
    " BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
)
_SQLITE_DROP: Final = tuple(f"DROP TRIGGER IF EXISTS {{table}}_no_{act}" for act in ("update", "delete", "replace"))
_POSTGRESQL: Final = (
    "CREATE OR REPLACE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$",
    "CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table}"
    " FOR EACH ROW EXECUTE FUNCTION audit_is_append_only()",
    "CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}"
    " FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()",
)
_POSTGRESQL_DROP: Final = tuple(
    f"DROP TRIGGER IF EXISTS {{table}}_no_{act} ON {{table}}" for act in ("change", "truncate")
)
_LISTS: Final = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'",
}
_NAMES: Final = {"sqlite": ("no_update", "no_delete", "no_replace"), "postgresql": ("no_change", "no_truncate")}


def create(connection: BaseDatabaseWrapper) -> None:
    """Put the triggers there that are missing."""
    drop(connection)
    _run(connection, _SQLITE if connection.vendor == "sqlite" else _POSTGRESQL)


def drop(connection: BaseDatabaseWrapper) -> None:
    """Take the triggers away; for migrations and tests."""
    _run(connection, _SQLITE_DROP if connection.vendor == "sqlite" else _POSTGRESQL_DROP)


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the triggers that should be there, and are not or are switched off."""
    with connection.cursor() as cursor:
        cursor.execute(_LISTS[connection.vendor])
        there = {row[0] for row in cursor.fetchall()}
    wanted = [f"{table}_{name}" for table in TABLES for name in _NAMES[connection.vendor]]
    return [name for name in wanted if name not in there]


def _run(connection: BaseDatabaseWrapper, statements: tuple[str, ...]) -> None:
    with connection.cursor() as cursor:
        for table in TABLES:
            for statement in statements:
                cursor.execute(statement.format(table=table))
