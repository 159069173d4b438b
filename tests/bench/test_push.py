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


def test_a_small_backlog_arrives_on_one_connection(tmp_path: Path) -> None:
    output = tmp_path / "report.json"
    ran = subprocess.run(
        [sys.executable, "-m", "bench", "push", "--backlog=300", "--groups=4", f"--json={output}"],
        cwd=settings.BASE_DIR,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    report = msgspec.convert(json.loads(output.read_text()), PushReport)
    assert (report.pushes, report.sent, report.connections) == (396, 396, 1)
    assert report.pushes_per_s > 0
    assert "pushes_per_cpu_s" in ran.stdout
