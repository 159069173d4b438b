"""What the page of the chat consists of, as the service worker keeps it to start without a connection.

All of it has one version, made from the contents: a browser takes a new one as a whole or not at all
(docs/decisions/0072).
"""

import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.conf import settings
from django.contrib.staticfiles import finders
from django.templatetags.static import static

#: Of the static files those that the page loads, at its start or later.
_PARTS: Final = ("js/**/*.js", "css/*.css", "images/*")
#: Not of the page: the worker's own parts, which come in one piece with the list.
_WORKER: Final = ("js/shell-worker.js", "js/push-worker.js", "js/outbox-worker.js")
_TEMPLATES: Final = ("base.html", "chat/app.html", "chat/icons.html")


@dataclass(frozen=True, slots=True)
class Shell:
    """The page's files, by address, each with its SHA-256 in hexadecimal, and the version of all of them together."""

    version: str
    files: dict[str, str]


def shell() -> Shell:
    """Return what the page consists of now. It is read once in a process, where files do not change under it."""
    return _read() if settings.SERVESTATIC_AUTOREFRESH else _read_once()


def worker_script() -> str:
    """Return the service worker: the list of files, and what is done with them, with pushes and unsent messages."""
    known = shell()
    parts = [_static_file(name).read_text() for name in _WORKER]
    listed = json.dumps({"version": known.version, "files": known.files}, sort_keys=True)
    return "\n".join(['"use strict";', f"const SHELL = {listed};", *parts])


def _static_file(name: str) -> Path:
    found = finders.find(name)
    assert isinstance(found, str)
    return Path(found)


def _read() -> Shell:
    root = _static_file("js/app.js").parent.parent
    names = sorted(str(path.relative_to(root)) for part in _PARTS for path in root.glob(part))
    files = {static(name): _digest(root / name) for name in names if name not in _WORKER}
    everything = [json.dumps(files, sort_keys=True), *(_digest(_static_file(name)) for name in _WORKER)]
    everything += [_digest(settings.BASE_DIR / "templates" / name) for name in _TEMPLATES]
    return Shell(hashlib.sha256("".join(everything).encode()).hexdigest()[:20], files)


_read_once = functools.cache(_read)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
