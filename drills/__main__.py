"""``python -m drills NAME …|all [--json FILE]`` breaks something and judges it; ``--list`` says what there is."""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from drills.catalogue import DRILLS, play
from drills.drill import Drill, Report
from drills.engines import Engines, start
from tests.servers.base import CannotStart, kill_all


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """Give a directory, and in the end, also where this process is killed, end the servers under it and remove it."""
    directory = Path(tempfile.mkdtemp(prefix="chat-drills-"))
    directory.chmod(0o711)
    command = [sys.executable, "-m", "tests.servers.watchdog", str(os.getpid()), str(directory)]
    watchdog = subprocess.Popen(command, start_new_session=True)
    try:
        yield directory
    finally:
        watchdog.terminate()
        watchdog.wait()
        kill_all(directory)
        shutil.rmtree(directory, ignore_errors=True)


def _run(chosen: Sequence[Drill], seconds: float | None) -> list[Report]:
    # Where the processes are started from is a setting.
    os.environ["DJANGO_SETTINGS_MODULE"] = "chatproject.settings"
    os.environ.setdefault("CHAT_DATA_DIR", "var/drills")
    # What clients log of what is broken on purpose.
    logging.disable(logging.ERROR)
    reports = []
    with _scratch() as directory:
        running: dict[int, Engines] = {}
        for number, drill in enumerate(chosen):
            if drill.brokers not in running:
                for engines in running.values():
                    for service in engines.services:
                        service.stop()
                running = {drill.brokers: start(directory / f"engines-{drill.brokers}", brokers=drill.brokers)}
            length_s = drill.seconds if seconds is None else seconds
            home = directory / f"{number}-{drill.name}"
            report = asyncio.run(play(drill, running[drill.brokers], home, seconds=length_s))
            print(report, end="\n\n", flush=True)
            reports.append(report)
    return reports


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return 0 where every drill has passed."""
    parser = argparse.ArgumentParser(
        prog="python -m drills", description="Break something, and judge what clients saw."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all, or of: {', '.join(DRILLS)}")
    parser.add_argument("--list", action="store_true", help="say what each breaks, and its mark")
    parser.add_argument("--seconds", type=float, help="how long an outage lasts, instead of the drill's own time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the reports there as well")
    given = parser.parse_args(arguments)
    if given.list:
        for drill in DRILLS.values():
            print(f"{drill.name:18} {drill.breaks}\n{'':18} {drill.mark}")
        return 0
    names = list(DRILLS) if given.names == ["all"] else given.names
    unknown = [name for name in names if name not in DRILLS]
    if unknown or not names:
        parser.error(f"no such drill: {', '.join(unknown)}" if unknown else "name a drill, or say all")
    try:
        # Drills with the same servers one after the other.
        reports = _run(sorted((DRILLS[name] for name in names), key=lambda it: it.brokers), given.seconds)
    except CannotStart as error:
        print(f"the servers could not be started: {error}", file=sys.stderr)
        return 2
    if given.json:
        given.json.write_text(json.dumps([report.as_json() for report in reports], indent=2) + "\n")
    print(f"{sum(report.passed for report in reports)} of {len(reports)} passed")
    return 0 if all(report.passed for report in reports) else 1


if __name__ == "__main__":
    sys.exit(main())
