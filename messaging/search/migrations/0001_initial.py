"""The index in PostgreSQL. Elsewhere it is a file of its own, which makes itself (docs/decisions/0060)."""

from typing import Any

from django.db import migrations

_MAKE = (
    """
    CREATE TABLE search_entries (
        conversation_id bigint NOT NULL, message_id bigint NOT NULL, sender_id bigint NOT NULL,
        has smallint NOT NULL, words tsvector NOT NULL, PRIMARY KEY (conversation_id, message_id)
    )
    """,
    # What was written last lies in a list that every query reads through until it is this long (KiB).
    "CREATE INDEX search_words ON search_entries USING gin (words) WITH (gin_pending_list_limit = 512)",
)


def make(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        for statement in _MAKE:
            schema_editor.execute(statement)


def drop(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP TABLE search_entries")


class Migration(migrations.Migration):
    initial = True
    dependencies: list[tuple[str, str]] = []
    operations = [migrations.RunPython(make, drop)]
