"""``make test``: all tests in parts, of which two run at a time, and one list of what became of them all.

Each part runs whatever the others found, so that one run tells all. ``--core``: what everything else stands on.

It is also the plugin of pytest with which a part leaves behind what became of it.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_ROOT: Final = Path(__file__).parent.parent
DRILLS: Final = "tests/drills/test_drills.py"
_PROCESSES: Final = "tests/process"
_FAST: Final = "not e2e and not process and not slow"
#: Ids and order, frames, stores, gateway and router, the page's modules, the rules of the tree.
_CORE: Final = ("domain", "protocol", "contracts", "adapters", "services", "router", "gateway", "js")


@dataclass(frozen=True)
class Part:
    """One run of pytest: ``markers`` is what ``-m`` gets."""

    name: str
    markers: str
    options: Sequence[str] = ()

    def command(self, summary: Path) -> list[str]:
        """Return what runs it and leaves in ``summary`` what became of it."""
        return [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "tests.parts",
            f"--summary={summary}",
            "-m",
            self.markers,
            *self.options,
        ]


#: Those of one step run at the same time: what waits for servers most of the time, and what keeps a browser busy. Whole
#: installations that are killed, and drills, whose marks are times, have the machine to themselves. What needs none of
#: it has three processes, also on two cores: more than half of the time one waits.
STEPS: Final[Sequence[Sequence[Part]]] = (
    (Part("fast", _FAST, ("-q", "-n3")),),
    (
        Part(
            "servers", f"not ({_FAST}) and not e2e", (f"--ignore={_PROCESSES}", f"--ignore={DRILLS}", "--durations=10")
        ),
        Part("browser", "e2e", ("tests/e2e", "--durations=10")),
    ),
    (Part("installations", f"not ({_FAST})", (_PROCESSES, DRILLS, "--durations=10")),),
)


def core() -> Part:
    """Return the fast part's core, without servers, a browser or other processes."""
    rules = sorted(str(path.relative_to(_ROOT)) for path in (_ROOT / "tests").glob("test_*.py"))
    # What the plugin imports takes each process a second, and the core has none of its tests.
    return Part("core", _FAST, ("-q", "-n3", "-pno:schemathesis", *(f"tests/{it}" for it in _CORE), *rules))


class _Run:
    """A part on its way. Its output is shown as it comes, or, beside another, at the end."""

    def __init__(self, part: Part, folder: Path, *, beside: bool) -> None:
        self.part = part
        self._began = time.monotonic()
        self._summary = folder / f"{part.name}.json"
        self._output = (folder / f"{part.name}.out").open("w+b") if beside else None
        # Compiled modules are kept, and in one place, whatever the environment says: compiling them, and what pytest
        # makes of each assert, takes each process 13 s otherwise.
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(_ROOT / "var" / "pycache")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self._process = subprocess.Popen(
            part.command(self._summary),
            cwd=_ROOT,
            env=environment,
            stdout=self._output,
            stderr=None if self._output is None else subprocess.STDOUT,
        )

    def finish(self) -> dict[str, list[str]]:
        """Wait for its end, and return what became of it: lines by kind."""
        code = self._process.wait()
        if self._output is not None:
            self._output.seek(0)
            sys.stdout.buffer.write(self._output.read())
            sys.stdout.buffer.flush()
            self._output.close()
        print(f"{self.part.name}: {time.monotonic() - self._began:.0f} s", flush=True)
        found: dict[str, list[str]] = json.loads(self._summary.read_text()) if self._summary.exists() else {}
        if code and not found.get("failed"):
            # Such as no tests at all, or one that was left out and may not be.
            found["failed"] = [f"the part {self.part.name} ended with {code}"]
        return found

    def end(self) -> None:
        """End it early, as Ctrl-C does."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()


def run(steps: Sequence[Sequence[Part]]) -> int:
    """Run the steps one after the other; print what became of them all, and return the exit code."""
    found: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory(prefix="chat-parts-") as folder:
        for step in steps:
            runs = [_Run(part, Path(folder), beside=number > 0) for number, part in enumerate(step)]
            try:
                for it in runs:
                    for kind, lines in it.finish().items():
                        found.setdefault(kind, []).extend(lines)
            finally:
                for it in runs:
                    it.end()
    for kind, title in (
        ("again", "failed the first time, and passed"),
        ("left_out", "left out"),
        ("failed", "failed"),
    ):
        print(f"\n=== {title}, of all parts ===")
        print("\n".join(found.get(kind) or ["nothing"]))
    return 1 if found.get("failed") else 0


# --- in a part --------------------------------------------------------------------------------------


def pytest_addoption(parser: Any) -> None:
    """Add what ``Part.command`` asks for."""
    parser.addoption("--summary", metavar="FILE", help="leave there as JSON what failed and what was left out")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Leave what became of the part, as ``_Run.finish`` reads it."""
    stats = terminalreporter.stats
    failed = [report.nodeid for report in (*stats.get("failed", ()), *stats.get("error", ()))]
    told = {
        "failed": failed,
        "again": sorted({report.nodeid for report in stats.get("rerun", ())} - set(failed)),
        "left_out": [f"{nodeid}: {reason}" for nodeid, reason in left_out_of(terminalreporter)],
    }
    Path(terminalreporter.config.getoption("summary")).write_text(json.dumps(told))


def left_out_of(reporter: Any) -> list[tuple[str, str]]:
    """Return (test, reason) of what did not run."""
    found = []
    for report in reporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        found.append((report.nodeid, reason.removeprefix("Skipped: ")))
    return found


if __name__ == "__main__":
    try:
        sys.exit(run([[core()]] if "--core" in sys.argv[1:] else STEPS))
    except KeyboardInterrupt:
        sys.exit(130)
