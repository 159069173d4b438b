"""``manage.py translations``: brings the catalogues of the interface into step with the sources (docs/i18n.md)."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatproject import emoji_words, translations


class Command(BaseCommand):
    """Add to every catalogue what is new in the sources, drop what is gone, and make the scripts of the languages."""

    help = "Bring the catalogues under locale/ into step with the sources, and make the page's scripts of them."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Take ``--check`` and ``--cldr``."""
        either = parser.add_mutually_exclusive_group()
        either.add_argument("--check", action="store_true", help="Change nothing; fail where something is missing.")
        either.add_argument(
            "--cldr", type=Path, metavar="FOLDER",
            help="Make what emoji are called as well, of the Unicode CLDR's annotations unpacked there (docs/i18n.md).",
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        """Run."""
        if options["cldr"] is not None:
            for language in translations.LANGUAGES:
                emoji_words.script_path(language).write_text(emoji_words.script(language, options["cldr"]))
        told = []
        for domain, wanted in translations.sources().items():
            for language in translations.LANGUAGES:
                if options["check"]:
                    catalogue = translations.read(language, domain)
                else:
                    catalogue = translations.in_step(language, domain, wanted)
                    translations.write(catalogue)
                told += translations.problems(catalogue, wanted)
                if domain == "djangojs" and not options["check"]:
                    path = translations.script_path(language)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(translations.script(language, catalogue))
        for line in told:
            self.stderr.write(line)
        if told:
            raise CommandError(f"{len(told)} translations are missing or wrong.")
