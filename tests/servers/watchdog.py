"""Ends the servers of a process that can no longer do so: ``python -m tests.servers.watchdog PID DIRECTORY``.

Not the kernel's parent-death signal: that would tie a server to the one test worker that started it for all.
"""

import contextlib
import os
import select
import shutil
import sys
from pathlib import Path

from tests.servers.base import kill_all


def watch(pid: int, directory: Path) -> None:
    """Wait for the end of the process ``pid``, kill what runs under ``directory`` and remove that."""
    with contextlib.suppress(ProcessLookupError):
        select.select([os.pidfd_open(pid)], [], [])
    kill_all(directory)
    shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    watch(int(sys.argv[1]), Path(sys.argv[2]))
