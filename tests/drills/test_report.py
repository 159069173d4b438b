"""What the drills measure and when they pass, and that their page knows them all."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest

from clients.python.chat_client.timeline import Message
from drills.__main__ import main
from drills.catalogue import DRILLS
from drills.drill import Report, Scene, percentile
from tests.client import Acked, Arrival, Attempt, Device, Outgoing, Written
from tests.process.town import Town
from tests.rest import Account

PAGE = (Path(__file__).parents[2] / "docs" / "drills.md").read_text()


def test_a_report_passes_when_something_was_checked_and_all_of_it_held() -> None:
    report = Report("name", "It breaks.", "It holds.")
    assert not report.passed, "nothing was checked"
    report.check("one thing", True)
    assert report.passed
    assert str(report).endswith("PASS  name")
    report.check("another", False)
    assert not report.passed
    assert "BROKEN  another" in str(report)
    assert report.as_json()["checks"][1] == {"sentence": "another", "held": False}


@pytest.fixture
async def scene() -> Any:
    """A scene of one device of Bob's, connected to nothing."""
    device = Device(["127.0.0.1:1"], Account("u_bob", ""), name="bob's", random=Random(1))
    yield Scene(None, None, Town([device], {"c": ["u_bob", "u_ann"]}), Random(1), 1.0, Report("", "", ""))  # type: ignore[arg-type]
    await device.close()


async def test_an_absence_lasts_from_the_loss_to_the_next_that_came_up(scene: Scene) -> None:
    [device] = scene.town.devices
    device.attempts += [
        Attempt("one", at=0.0, up_at=1.0, lost_at=10.0),
        Attempt("one", at=10.5),
        Attempt("two", at=11.0, up_at=14.0, lost_at=20.0),
        Attempt("one", at=20.5, up_at=21.0),
    ]
    assert scene.longest_absence(5.0) == 4.0
    assert scene.longest_absence(15.0) == 1.0
    assert scene.longest_absence(25.0) == 0.0
    device.attempts.append(Attempt("one", at=0.0, up_at=1.0, lost_at=time.monotonic() - 100.0))
    assert scene.longest_absence(25.0) >= 100.0, "it is still away"


async def test_delays_are_counted_from_the_first_writing(scene: Scene) -> None:
    [device] = scene.town.devices
    device.sent["1"] = Outgoing(
        "1", "c", "u_bob", "", written=[Written("x", 1.0), Written("x", 4.0)], acks=[Acked("m_1", 5.0)]
    )
    device.sent["2"] = Outgoing("2", "c", "u_bob", "", written=[Written("x", 2.0)])
    device.arrivals += [
        Arrival(Message("m_1", "c", "u_ann"), "live", 1, 9.0),
        # One's own is no delivery.
        Arrival(Message("m_1", "c", "u_bob"), "live", 1, 30.0),
    ]
    assert scene.ack_delays(0.0, 3.0) == [4.0]
    assert scene.ack_delays(1.5, 3.0) == []
    assert scene.acked_between(0.0, 6.0) == 1
    assert scene.acked_between(0.0, 4.5) == 0
    assert scene.delivery_delays(0.0, 3.0) == [8.0]
    device.postponed.append((7.0, "unavailable"))
    assert scene.told("unavailable", 6.0, 8.0) == 1
    assert scene.told("unavailable", 7.5, 8.0) == 0


async def test_until_says_whether_it_came_about(scene: Scene) -> None:
    came: list[int] = []
    asyncio.get_running_loop().call_later(0.05, came.append, 1)
    assert await scene.until(lambda: bool(came), timeout_s=5.0)
    assert not await scene.until(lambda: False, timeout_s=0.1)


def test_percentiles() -> None:
    assert percentile([], 0.95) == 0.0
    assert percentile([float(it) for it in range(100)], 0.95) == 95.0


def test_the_page_names_every_drill_with_its_mark(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"| {drill.breaks} | {drill.mark} | `{drill.name}` |" for drill in DRILLS.values()]
    missing = "\n".join(row for row in rows if row not in PAGE)
    assert not missing, f"the table in docs/drills.md wants:\n{missing}"
    assert main(["--list"]) == 0
    listed = capsys.readouterr().out
    assert [name for name in DRILLS if name not in listed] == []


def test_a_drill_that_does_not_exist_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["none-such"])
    assert "none-such" in capsys.readouterr().err


def test_the_command_needs_no_settings_to_begin() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    command = [sys.executable, "-m", "drills", "--list"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "presence-flap" in done.stdout
