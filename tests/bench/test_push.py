"""The bench of pushes in small: the figures are not judged, only that they are there and that all arrived."""

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from django.conf import settings

from bench.push import PushReport

pytestmark = pytest.mark.process


def bench(tmp_path: Path, *arguments: str) -> PushReport:
    """Run it, and return its report."""
    output = tmp_path / "report.json"
    ran = subprocess.run(
        [sys.executable, "-m", "bench", "push", *arguments, f"--json={output}"],
        cwd=settings.BASE_DIR,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "pushes_per_cpu_s" in ran.stdout
    return msgspec.convert(json.loads(output.read_text()), PushReport)


def test_a_small_backlog_arrives_on_one_connection(tmp_path: Path) -> None:
    report = bench(tmp_path, "--backlog=300", "--groups=4")
    assert (report.pushes, report.sent, report.connections) == (396, 396, 1)
    assert report.pushes_per_s > 0


def test_what_is_offered_below_a_limit_is_timed_and_what_is_above_it_held(tmp_path: Path) -> None:
    report = bench(tmp_path, "--offered=50", "--seconds=1", "--limit=100")
    assert report.is_clean
    assert set(report.provider_ms) == {"p50", "p99"}
    assert report.most_in_1_s <= 100


def test_a_backlog_of_an_outage_is_worked_off_after_it(tmp_path: Path) -> None:
    report = bench(tmp_path, "--backlog=200", "--groups=4", "--outage")
    assert report.is_clean
    assert report.sent > 99, "more than before the outage"
