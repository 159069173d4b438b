"""The service worker that the server sends: what it keeps is all that the page is made of, as it is."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from accounts.models import User
from messaging import shell

STATIC = Path(settings.BASE_DIR) / "static"


def sent() -> dict[str, Any]:
    """Return the list in the worker that anybody is sent."""
    answer = Client().get("/worker.js")
    assert answer["Content-Type"] == "text/javascript"
    # A browser has to see a new one at once.
    assert "no-store" in answer["Cache-Control"]
    found = re.search(r"^const SHELL = (.*);$", answer.content.decode(), re.MULTILINE)
    assert found is not None
    return dict(json.loads(found[1]))


def test_every_script_and_style_is_listed_as_it_is() -> None:
    files = sent()["files"]
    worker = {"shell-worker.js", "push-worker.js", "outbox-worker.js"}
    for path in [*STATIC.glob("js/**/*.js"), *STATIC.glob("css/*.css"), *STATIC.glob("images/*")]:
        listed = files.pop(f"/static/{path.relative_to(STATIC)}", None)
        expected = None if path.name in worker else hashlib.sha256(path.read_bytes()).hexdigest()
        assert listed == expected, path
    assert files == {}


def test_all_parts_are_in_it() -> None:
    script = Client().get("/worker.js").content.decode()
    for event in ("install", "activate", "fetch", "push", "notificationclick", "sync"):
        assert script.count(f'self.addEventListener("{event}"') == 1
    names = re.findall(r"^(?:async )?(?:function|const) (\w+)", script, re.MULTILINE)
    assert len(names) == len(set(names)), "one would take the place of the other"


@pytest.mark.django_db
def test_the_page_says_its_version(make_user: Callable[..., User]) -> None:
    client = Client()
    client.force_login(make_user("ann"))
    assert client.get("/")["Chat-Shell"] == sent()["version"]


def test_another_file_or_template_makes_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = shell.shell().version
    assert shell.shell().version == version
    digest = shell._digest
    for changed in ("app.js", "app.html", "push-worker.js", "outbox-worker.js"):

        def other(path: Path, changed: str = changed) -> str:
            return digest(path) + ("x" if path.name == changed else "")

        monkeypatch.setattr(shell, "_digest", other)
        assert shell._read().version != version
