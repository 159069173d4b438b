"""Locks that a transaction holds to its end, each by a number that nobody else uses."""

from typing import Final

from django.db import connections

#: Entries of the audit log take their places one after another.
AUDIT: Final = 4_715_830_261
#: Shared by those who delete, and alone for who places a hold.
DELETING: Final = 4_715_830_262


def hold_lock(number: int, *, shared: bool = False, using: str = "default") -> None:
    """Wait for a lock, alone or among those who share it. On SQLite the write lock, held from the begin, does it."""
    connection = connections[using]
    if connection.vendor == "postgresql":
        function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {function}(%s)", [number])
