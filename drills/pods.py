"""Drills of the program's own processes: gateways and routers that die, or are replaced."""

import asyncio
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from drills.drill import Drill, Scene, percentile, worst
from tests.servers.base import Missing

#: Until a router that was killed is missed by Kafka (10 s), and the group has moved.
_MOVED_S = 25.0
#: By so much a clock is wrong.
_AHEAD_S = 5.0
#: After a restart of half the processes.
_SETTLED_S = 15.0


async def kill_gateway(scene: Scene) -> None:
    """Kill a gateway in the middle of traffic, and start it again after a while."""
    async with scene.traffic():
        await scene.pause(2.0)
        at_it = [device for device in scene.town.devices if device.attempts[-1].gateway == scene.stack.gateways[0]]
        killed = time.monotonic()
        await scene.harm(f"kill -9 gateway-1, with {len(at_it)} devices", scene.stack.kill, "gateway-1")
        back = await scene.until(
            lambda: all(it.up and it.attempts[-1].gateway == scene.stack.gateways[1] for it in scene.town.devices)
        )
        scene.report.say("all devices are at the other" if back else "not all devices came back")
        await scene.pause(scene.seconds)
        absence = scene.longest_absence(killed)
        scene.report.figure("longest time without a connection, s", absence)
        scene.report.check("somebody was connected to it", bool(at_it))
        scene.report.check("every client is back within 5 s", back and absence <= 5.0)
        await scene.harm("gateway-1 is started again", scene.stack.restart, "gateway-1")


async def rolling_restart(scene: Scene) -> None:
    """Replace one gateway after the other, each by SIGTERM."""
    codes: list[int] = []
    async with scene.traffic():
        await scene.pause(2.0)
        began = time.monotonic()
        for name in ("gateway-1", "gateway-2"):
            asked = time.monotonic()
            scene.report.say(f"SIGTERM to {name}")
            codes.append(await asyncio.to_thread(scene.stack.terminate, name))
            scene.report.figure(f"drain of {name}, s", time.monotonic() - asked)
            await scene.harm(f"{name} is started again", scene.stack.restart, name)
            await scene.pause(scene.seconds)
        back = await scene.until(lambda: all(device.up for device in scene.town.devices))
        absence = scene.longest_absence(began)
        ends = [it.end for device in scene.town.devices for it in device.attempts if (it.lost_at or 0) > began]
        scene.report.figure("connections that were closed", len(ends))
        scene.report.figure("longest time without a connection, s", absence)
        scene.report.figure("longest time to an ack, s", worst(scene.ack_delays(began, time.monotonic())))
        scene.report.check("both end with 0", codes == [0, 0])
        scene.report.check("every connection is closed with 1012", bool(ends) and set(ends) == {1012})
        scene.report.check("no client is without a connection for over 10 s", back and absence <= 10.0)


async def kill_router(scene: Scene) -> None:
    """Kill a router in the middle of its batches; the other takes its partitions over."""
    async with scene.traffic():
        await scene.pause(2.0)
        killed = await scene.harm("kill -9 router-1", scene.stack.kill, "router-1")
        await scene.pause(max(scene.seconds, _MOVED_S))
        now = time.monotonic()
        delays = scene.delivery_delays(killed, now - 5.0)
        late = scene.delivery_delays(now - 5.0, now - 1.0)
        scene.report.figure("longest time to an ack, s", worst(scene.ack_delays(killed, now)))
        scene.report.figure("longest time to another's device, s", worst(delays))
        scene.report.figure("longest time to another's device at the end, s", worst(late))
        scene.report.check("acks do not wait for it: 2 s at most", worst(scene.ack_delays(killed, now)) <= 2.0)
        scene.report.check("the other delivers within 20 s", 0 < worst(delays) <= 20.0)
        scene.report.check("and then as before: within 2 s", 0 < worst(late) <= 2.0)
        await scene.harm("router-1 is started again", scene.stack.restart, "router-1")


async def wrong_clock(scene: Scene) -> None:
    """Let the clock of a gateway and a router be ahead; and before that, to compare, be right by the same means."""
    names = ("gateway-1", "router-1")
    with tempfile.TemporaryDirectory() as directory:
        await _run_ahead(scene, names, await asyncio.to_thread(_build_clock, Path(directory)))


async def _run_ahead(scene: Scene, names: Sequence[str], clock: Path) -> None:
    async with scene.traffic():
        late: dict[float, float] = {}
        for ahead_s in (0.0, _AHEAD_S):
            for name in names:
                scene.stack.extra[name] = {"LD_PRELOAD": str(clock), "CLOCK_AHEAD_S": f"{ahead_s:g}"}
                await asyncio.to_thread(scene.stack.terminate, name)
            await scene.harm(
                f"{' and '.join(names)} run {ahead_s:g} s ahead of the others", scene.stack.restart, *names
            )
            # At the other gateway by now; back come those who lose that one.
            for device in scene.town.devices[::2]:
                await device.drop()
            await scene.pause(_SETTLED_S)
            here = [it for it in scene.town.devices if it.attempts[-1].gateway == scene.stack.gateways[0]]
            began = time.monotonic()
            await scene.pause(scene.seconds)
            ended = time.monotonic() - 2.0
            late[ahead_s] = percentile(scene.delivery_delays(began, ended), 0.95)
            scene.report.figure(f"95 % of deliveries with a clock {ahead_s:g} s ahead, s", late[ahead_s])
            scene.report.figure(
                f"longest time to an ack with a clock {ahead_s:g} s ahead, s", worst(scene.ack_delays(began, ended))
            )
        later = late[_AHEAD_S] - late[0.0]
        scene.report.check("messages are not held up: 95 % within 2 s more than before", late[0.0] > 0 and later <= 2.0)
        scene.report.check("somebody was connected to the gateway whose clock is wrong", bool(here))


def _build_clock(directory: Path) -> Path:
    """Return the library that moves the time of day of a process it is preloaded into, by CLOCK_AHEAD_S.

    Raises:
        Missing: there is no C compiler.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise Missing("a C compiler is missing: apt-get install gcc libc6-dev")
    library = directory / "clock.so"
    source = Path(__file__).with_name("clock.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, source], check=True)
    return library


DRILLS = (
    Drill(
        "gateway-kill",
        "A gateway dies (kill -9).",
        "Its clients are back, at another, within 5 s; nothing is lost.",
        kill_gateway,
        seconds=20.0,
        short_s=1.0,
    ),
    Drill(
        "rolling-restart",
        "Both gateways are replaced, one after the other (SIGTERM).",
        "They drain and end with 0; no client is without a connection for over 10 s; nothing is lost.",
        rolling_restart,
        seconds=15.0,
    ),
    Drill(
        "router-kill",
        "A router dies in the middle of a batch (kill -9).",
        "Acks go on; the other router delivers within 20 s; nothing is lost, nor delivered twice.",
        kill_router,
        seconds=30.0,
    ),
    Drill(
        "wrong-clock",
        "The clocks of a gateway and a router are 5 s ahead.",
        "Nothing is lost, the order is kept, and messages are not held up.",
        wrong_clock,
        seconds=20.0,
    ),
)
