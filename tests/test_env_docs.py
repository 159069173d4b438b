"""docs/operations.md states the variables as chatproject/env.py has them."""

from pathlib import Path

from django.conf import settings

from chatproject.env import VARIABLES


def test_the_table_is_that_of_the_code() -> None:
    wanted = [f"| `{v.name}` | {f'`{v.default}`' if v.default else 'empty'} | {v.unit} | {v.help} |" for v in VARIABLES]
    text = (Path(settings.BASE_DIR) / "docs" / "operations.md").read_text()
    assert [line for line in text.splitlines() if line.startswith("| `CHAT_")] == wanted


def test_decisions_are_listed() -> None:
    folder = Path(settings.BASE_DIR) / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    assert [page.name for page in sorted(folder.glob("0*.md")) if f"({page.name})" not in index] == []
