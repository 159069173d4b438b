"""docs/security.md points at what is there, and counts right."""

import re
from collections import Counter

from django.conf import settings

PAGE = (settings.BASE_DIR / "docs" / "security.md").read_text()
_ROWS = re.findall(r"^\| (\d+\.\d+\.\d+) \|[^|]+\| ([^|]+) \|([^|]+)\|$", PAGE, re.M)
_PATH = re.compile(r"`((?:accounts|messaging|push|tests|static|docs|docker|chatproject|templates)/[\w./-]+)`")


def test_what_it_names_is_there() -> None:
    named = set(_PATH.findall(PAGE))
    assert len(named) > 80
    assert sorted(path for path in named if not (settings.BASE_DIR / path).exists()) == []


def test_whatever_holds_says_where() -> None:
    assert len({number for number, _, _ in _ROWS}) == len(_ROWS) == len(re.findall(r"^\| \d", PAGE, re.M))
    assert [number for number, _, where in _ROWS if not where.strip()] == []


def test_it_counts_its_verdicts() -> None:
    found = Counter(verdict.strip("*") for _, verdict, _ in _ROWS)
    words = r"Of (\d+) requirements (\d+) hold, (\d+) hold partly, (\d+) do not, (\d+) are the operator's, and (\d+) do"
    said = re.search(words, PAGE)
    assert said is not None
    kinds = ("holds", "partly", "no", "operator", "n.a.")
    assert [int(number) for number in said.groups()] == [len(_ROWS), *(found[kind] for kind in kinds)]
