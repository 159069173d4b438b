"""``manage.py cassandra_schema``: make the keyspace and its tables, or see whether they are as they should be."""

from typing import Any

from django.conf import settings
from django.core.management import CommandError
from django.core.management.base import BaseCommand, CommandParser

from chatproject import container
from messaging.adapters.cassandra import schema
from messaging.ports import StoreUnavailable


class Command(BaseCommand):
    """Add what is missing; run it again after each upgrade, before the new version starts."""

    help = "Create Cassandra's keyspace, tables and columns where they are missing; change nothing that is there."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options."""
        parser.add_argument("--check", action="store_true", help="Change nothing; fail where something is missing.")

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        """Create or check."""
        if settings.ENV["CHAT_STORE"] != "cassandra":
            raise CommandError("CHAT_STORE is not cassandra; there is no schema to make")
        session = container.cassandra()
        try:
            if check:
                problems = schema.missing(session)
            else:
                problems = schema.create(session, replication=settings.ENV["CHAT_CASSANDRA_REPLICATION"])
        except StoreUnavailable as error:
            raise CommandError(str(error)) from error
        if problems:
            raise CommandError("\n".join([f"keyspace {session.keyspace}:", *problems]))
        if options["verbosity"] > 0:
            self.stdout.write(f"keyspace {session.keyspace}: all {len(schema.TABLES)} tables are there")
