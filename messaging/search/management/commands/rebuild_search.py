"""``manage.py rebuild_search``: the index anew, from the stores, while everything runs."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from messaging.domain import ids
from messaging.domain.ids import ConversationId
from messaging.ports import StoreUnavailable
from messaging.search.indexing import Rebuilt, rebuild

#: Conversations between two lines.
_TELL_EVERY = 1_000


class Command(BaseCommand):
    """Read every message that may be found, and write its entry; remove all other entries."""

    help = "Make the search index anew from the stores; may be run at any time, and again after a failure."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("--conversation", metavar="c_…", help="Of this conversation only.")

    def handle(self, *, conversation: str | None, **options: Any) -> None:
        """Rebuild, and say how much it was."""
        try:
            done = rebuild(only=_parsed(conversation), tell=self._tell)
        except (StoreUnavailable, DatabaseError) as error:
            raise CommandError(f"The rebuild stopped: {error}. Run it again.") from None
        if conversation is not None and not done.conversations:
            raise CommandError("There is no such conversation.")
        self.stdout.write(f"{done.messages} messages of {done.conversations} conversations are in the index.")

    def _tell(self, done: Rebuilt) -> None:
        if done.conversations % _TELL_EVERY == 0:
            self.stdout.write(f"{done.conversations} conversations, {done.messages} messages …")


def _parsed(text: str | None) -> ConversationId | None:
    try:
        return None if text is None else ids.parse_conversation(text)
    except ids.InvalidId:
        raise CommandError(f"{text} is not the id of a conversation.") from None
