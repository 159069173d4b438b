"""``manage.py topics``: make the topics in Kafka, and keep them as the settings want them."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from chatproject import container
from messaging.ports import LogUnavailable


class Command(BaseCommand):
    """Make topics that are missing and change what can be changed; exit 1 where something is left to do."""

    help = "Create the topics in Kafka, and make those that are there what the CHAT_KAFKA_ variables say."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("--check", action="store_true", help="Change nothing; exit 1 where something differs.")

    def handle(self, *, check: bool, **options: Any) -> None:
        """Print every difference and what became of it."""
        try:
            with container.kafka_topics() as topics:
                differences = topics.differences()
                if not check:
                    topics.mend(differences)
                done = "to be done" if check else "done"
                for it in differences:
                    self.stdout.write(f"{it.topic} {it.text}: {done if it.mend else 'to be done by hand'}")
        except LogUnavailable as error:
            raise CommandError(str(error)) from None
        left = [it for it in differences if check or it.mend is None]
        if left:
            raise CommandError(f"{len(left)} difference{'s' * (len(left) != 1)} left.")
        self.stdout.write("The topics are as they have to be.")
