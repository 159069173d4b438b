"""A whole run in small: the figures are not judged, only that they are there and that nothing was lost."""

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from django.conf import settings

from bench.report import Report

pytestmark = pytest.mark.process


def test_a_small_run_reports_everything_and_loses_nothing(tmp_path: Path) -> None:
    output = tmp_path / "report.json"
    options = ["--pairs=3", "--rate=50", "--seconds=2", "--warmup=0.5", "--generators=2", f"--json={output}"]
    ran = subprocess.run(
        [sys.executable, "-m", "bench", "dm", *options],
        cwd=settings.BASE_DIR,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    written = json.loads(output.read_text())
    assert set(written) == set(Report.__struct_fields__)
    report = msgspec.convert(written, Report)
    assert (report.scenario, report.stack, report.connections) == ("dm", "embedded", 6)
    assert report.sent == report.acked == report.delivered == 125
    assert (report.lost, report.duplicates, report.out_of_order, report.disconnects) == (0, 0, 0, 0)
    assert (report.refused, report.unanswered) == ({}, 0)
    assert report.seconds is not None
    assert report.msgs_per_s is not None
    assert report.delivered_msgs_per_s is not None
    for times in (report.ready_ms, report.deliver_ms, report.deliver_from_write_ms, report.to_all_ms, report.ack_ms):
        assert times is not None
        assert 0 < times.p50 <= times.p99 <= times.p99_9 <= times.max
    assert set(report.cpu) == {"server", "generator 0", "generator 1"}
    # Of the 100 messages after the warm-up.
    server = report.cpu["server"]
    assert server.ms_per_message == pytest.approx(server.seconds * 10, abs=0.1)
    assert f"{server.ms_per_message:.2f} ms a message" in ran.stdout
    assert report.metrics["chat_router_messages_total"] > 0
    assert f"{report.acked} acked" in ran.stdout
    # The server and its data are gone.
    assert [path for path in tmp_path.iterdir() if path != output] == []
