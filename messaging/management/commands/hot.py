"""``manage.py hot``: spread a conversation that is written to very fast, or gather it again."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from messaging.compliance.hot import spread
from messaging.domain.errors import ChatError
from messaging.domain.ids import MAX_HOT_K, InvalidId, parse_conversation


class Command(BaseCommand):
    """Set over how many sub-partitions a conversation is spread; it may be in use meanwhile."""

    help = "Spread the messages of a hot conversation over sub-partitions, which are read beside all others."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("conversation", help="c_…")
        parser.add_argument(
            "--k", type=int, default=8, help=f"How many sub-partitions, up to {MAX_HOT_K}; 1: it is not hot any more."
        )

    def handle(self, *, conversation: str, k: int, **options: Any) -> None:
        """Set it, and say from when on it holds."""
        try:
            spread(conversation_id=parse_conversation(conversation), k=k, actor=None, reason="manage.py hot")
        except InvalidId:
            raise CommandError("name a conversation as c_…") from None
        except ChatError as error:
            raise CommandError(error.detail) from None
        self.stdout.write(f"{conversation} is spread over {k}; every gateway knows within 30 s.")
