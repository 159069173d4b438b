"""Which drills there are, and how one is run."""

import time
from pathlib import Path
from random import Random

from drills import clients, outages, pods
from drills.drill import Drill, Report, Scene
from drills.engines import Engines
from tests.process.full_stack import FullStack
from tests.process.town import OPEN_RATES, town

DRILLS: dict[str, Drill] = {drill.name: drill for drill in (*pods.DRILLS, *outages.DRILLS, *clients.DRILLS)}


async def play(drill: Drill, engines: Engines, directory: Path, *, seconds: float, seed: int = 1) -> Report:
    """Run a drill on a new installation on these engines, which all run afterwards; return its report."""
    report = Report(drill.name, drill.breaks, drill.mark)
    random = Random(seed)
    stack = FullStack(directory, engines.environment(), **OPEN_RATES)
    try:
        with stack:
            async with town(stack, random) as people:
                report.began = time.monotonic()
                scene = Scene(stack, engines, people, random, seconds, report)
                try:
                    await drill.run(scene)
                finally:
                    await scene.leave()
    except Exception as error:
        # What was broken may break the drill: that is its outcome, and the report says how far it came.
        report.check(f"the drill comes to its end: {_first(error)!r}"[:1000], False)
    finally:
        for service in engines.services:
            service.start()
    return report


def _first(error: BaseException) -> BaseException:
    """Return what went wrong first, of errors in groups."""
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
