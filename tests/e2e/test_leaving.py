"""Deleting one's account in the browser, and pages that drop what is over its time while they are open, or off."""

import re
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings

from tests.e2e.conftest import PASSWORD
from tests.e2e.pages import bubble, name, open_chat, say, start_chat, ticks
from tests.e2e.test_accounts import KEPT, sign_in

if TYPE_CHECKING:
    from tests.e2e.conftest import Server

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

Person = Callable[..., Any]
#: Sweeps as in forty days, with a rule of thirty.
_SWEEP = """
import time
from datetime import timedelta
from django.utils import timezone
from messaging.compliance import retention
from messaging.compliance.models import RetentionPolicy, Sweep
RetentionPolicy.objects.get_or_create(max_days=30, defaults={"note": "a rule"})
it = retention.begin()
Sweep.objects.filter(pk=it.pk).update(started_at=timezone.now() + timedelta(days=40))
assert retention.go_on(it, until=time.monotonic() + 60)
RetentionPolicy.objects.all().delete()
"""
#: Does at once what the clock makes the job do over two weeks.
_ERASE = """
import time
from django.utils import timezone
from messaging.rights import erasures
from messaging.rights.models import Erasure
for _ in range(4):
    Erasure.objects.update(next_at=timezone.now())
    erasures.go_on(until=time.monotonic() + 60)
assert Erasure.objects.get(state="done")
"""


def beside(server: "Server", script: str) -> None:
    """Run a script with the server's settings, in a process of its own, as a worker is."""
    command = [sys.executable, "manage.py", "shell", "-v", "0", "-c", script]
    ran = subprocess.run(
        command, cwd=settings.BASE_DIR, env=server.environment, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr[-2_000:]


def test_open_pages_drop_what_is_over_its_time_and_others_when_they_are_back(server: "Server", person: Person) -> None:
    ann, bob = name("ann"), name("bob")
    anns, bobs = person(ann), person(bob)
    start_chat(anns, bob)
    say(anns, "over its time")
    expect(ticks(anns)).to_have_attribute("data-status", "delivered")
    open_chat(bobs, ann)
    expect(bubble(bobs, "over its time")).to_be_visible()
    bobs.wait_for_function(f"async () => await ({KEPT})() >= 1")
    bobs.context.set_offline(True)
    bobs.goto("about:blank")
    beside(server, _SWEEP)
    # At once, and without asking.
    expect(bubble(anns, "over its time")).to_have_count(0, timeout=5_000)
    bobs.context.set_offline(False)
    bobs.goto(server.url)
    expect(bobs.locator("#app[data-connection=online]")).to_be_visible()
    open_chat(bobs, ann)
    expect(bubble(bobs, "over its time")).to_have_count(0)
    for page in (anns, bobs):
        page.wait_for_function(f"async () => await ({KEPT})() === 0")


def test_an_account_is_deleted_in_the_settings_and_kept_by_signing_in(server: "Server", person: Person) -> None:
    ann, bob = name("ann"), name("bob")
    anns, bobs = person(ann), person(bob)
    start_chat(anns, bob)
    say(anns, "soon forgotten")
    expect(ticks(anns)).to_have_attribute("data-status", "delivered")
    open_chat(bobs, ann)
    expect(bubble(bobs, "soon forgotten")).to_be_visible()

    def delete() -> None:
        anns.goto(f"{server.url}/settings/")
        anns.get_by_role("link", name="Delete account").click()
        expect(anns.get_by_role("heading", name=re.compile("Confirm|Delete your account"))).to_be_visible()
        if anns.get_by_label("Password").count():
            anns.get_by_label("Password").fill(PASSWORD)
            anns.get_by_role("button", name="Confirm").click()
        anns.get_by_role("button", name="Delete my account").click()
        expect(anns.get_by_text("Your account will be deleted on")).to_be_visible()

    delete()
    sign_in(anns, server, ann, PASSWORD)
    expect(anns.locator("#app[data-connection=online]")).to_be_visible()
    expect(bubble(bobs, "soon forgotten")).to_be_visible()
    delete()
    beside(server, _ERASE)
    expect(bubble(bobs, "soon forgotten")).to_have_count(0, timeout=5_000)
    expect(bobs.get_by_text("This message was deleted").first).to_be_visible()
    bobs.reload()
    expect(bobs.locator(".conversation", has_text="Deleted account")).to_be_visible()
    sign_in(anns, server, ann, PASSWORD)
    expect(anns.get_by_text(re.compile("is not right|closed"))).to_be_visible()
