"""What the chat's page loads before it can be used stays small, as it is before compression."""

import re
from pathlib import Path
from typing import Final

from django.conf import settings

MOST: Final = 250 * 1024
BASE: Final = Path(settings.BASE_DIR)
#: Imports at the top of a module. What is loaded by ``import()`` comes later.
_IMPORT = re.compile(r"""^(?:import|export)\b[^;]*?["'](\.[^"']+)["'];""", re.MULTILINE)


def modules(entry: Path, found: set[Path]) -> set[Path]:
    """Add to ``found`` a module and all that it imports."""
    if entry not in found:
        found.add(entry)
        for path in _IMPORT.findall(entry.read_text()):
            modules((entry.parent / path).resolve(), found)
    return found


def test_script_and_style_of_the_page_are_within_250_kib() -> None:
    page = "".join((BASE / "templates" / name).read_text() for name in ("base.html", "chat/app.html"))
    styles = {BASE / "static" / path for path in re.findall(r"static '(css/[^']+)'", page)}
    scripts: set[Path] = set()
    for entry in re.findall(r"""<script[^>]*static '(js/[^']+)'""", page):
        modules(BASE / "static" / entry, scripts)
    assert len(styles) > 3
    assert len(scripts) > 20
    size = sum(path.stat().st_size for path in styles | scripts)
    assert size < MOST, f"{size / 1024:.1f} KiB"


def test_modules_are_asked_for_at_once_and_not_one_after_the_other() -> None:
    """What ``app.js`` imports is named on the page, so that a start does not wait once for each level of imports."""
    page = (BASE / "templates" / "chat" / "app.html").read_text()
    entry = BASE / "static" / "js" / "app.js"
    wanted = modules(entry, set()) - {entry}
    named = re.findall(r"""<link rel="modulepreload" href="{% static '(js/[^']+)' %}">""", page)
    assert named == sorted(str(path.relative_to(BASE / "static")) for path in wanted)
