"""The machine that a run is measured on."""

import os
import platform
import resource
from pathlib import Path

import msgspec
import psutil


class Machine(msgspec.Struct, frozen=True):
    """What it ran on. Load averages are of the last minute, before the load and after it."""

    cores: int
    cpu: str
    memory_mib: int
    system: str
    python: str
    load_before: float
    load_after: float


def describe(*, load_before: float, load_after: float) -> Machine:
    """Describe this machine now."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "unknown"
    )
    return Machine(
        cores=os.cpu_count() or 1,
        cpu=model,
        memory_mib=psutil.virtual_memory().total // 2**20,
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        load_before=load_before,
        load_after=load_after,
    )


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def load() -> float:
    """Return the load average of the last minute."""
    return round(os.getloadavg()[0], 2)


def raise_file_limit(wanted: int) -> None:
    """Let this process, and those it starts, open ``wanted`` files.

    Raises:
        OSError: the limit of this account is lower.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
    except (ValueError, OSError):
        raise OSError(f"{wanted} open files are needed; the limit is {hard} (ulimit -Hn)") from None
