"""Drills of clients: slow ones, silent ones, nervous ones, and all of them at once."""

import asyncio
import contextlib
import itertools
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

import httpx
import psutil
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from bench.wire import Wire
from drills.drill import Drill, Scene, percentile, worst
from tests.adapters.cassandra.proxy import Proxy
from tests.client import Device
from tests.process.town import SENDERS
from tests.rest import Account, Unreachable

#: Of a message that fills buffers, in characters.
_LARGE = 16_000
#: Of those, at once; then their acks are awaited.
_WINDOW = 20
_IDLE = r'chat_connections_closed_total{code="4450"}'
_IDLE_TIMEOUT_S = 90.0
_PRESENCE_GRACE_S = 15.0
#: Clients of a reconnect storm, in groups of fewer than a hundred, whose events name all members.
_CROWD, _GROUPS = 180, 2
#: Connections that flap, by how many they are watched, and how many share a group: fewer than a hundred, whose events
#: name all members.
_FLAPPING, _WATCHERS, _IN_A_GROUP = 1_000, 5, 90
#: For so long (s) each is there, and away; well within the grace.
_FLAP_S = (3.0, 10.0)
#: Until then (s) a gateway has greeted.
_GREETING_S = 30.0
#: Connections that are opened at once in the beginning.
_AT_ONCE = 50
#: Before anything flaps, to compare.
_CALM_S = 10.0
#: People whose presence each subscription of a storm is for.
_WATCHED = 10


async def _number(gateway: str, name: str) -> float:
    """Return the sum of a metric of one gateway, over its labels."""
    async with httpx.AsyncClient(trust_env=False, timeout=30.0) as client:
        text = (await client.get(f"http://{gateway}/metrics")).text
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))


async def slow_client(scene: Scene) -> None:
    """Connect somebody who never reads, and send them more than any buffer holds."""
    device, conv = await scene.newcomer("slow")
    gateway = scene.stack.gateways[0]
    first = scene.town.devices[0]
    process = psutil.Process(scene.stack.pid("gateway-1"))
    async with connect(
        f"ws://{gateway}/ws",
        subprotocols=[Subprotocol("chat.v1.json")],
        additional_headers={"Authorization": f"Bearer {device.token}"},
        proxy=None,
        ping_interval=None,
        max_size=None,
        # It takes the first frames off the wire, and nothing more.
        max_queue=1,
        close_timeout=1.0,
    ) as socket:
        await socket.recv()
        scene.report.say("somebody is connected who reads nothing")
        before = await _number(gateway, "chat_connections_too_slow_total")
        memory, began = process.memory_info().rss, time.monotonic()
        async with scene.traffic():
            grown, sent = 0, 0
            while await _number(gateway, "chat_connections_too_slow_total") == before and sent < 2_000:
                written = [await first.send(conv, f"{sent + n} ".ljust(_LARGE, "x")) for n in range(_WINDOW)]
                sent += len(written)
                await first.settled(*written)
                grown = max(grown, process.memory_info().rss - memory)
            closed = await _number(gateway, "chat_connections_too_slow_total") - before
            ended = time.monotonic()
            scene.report.say(f"closed as too slow after {sent * _LARGE / 1e6:.1f} MB" if closed else "never closed")
            scene.report.figure("growth of the gateway's memory, MB", grown / 1e6)
            # What others were sent meanwhile may be on its way still.
            await scene.pause(2.0)
            delays = scene.delivery_delays(began, ended)
            scene.report.figure("95 % of deliveries to others meanwhile, s", percentile(delays, 0.95))
            scene.report.check("it is closed as too slow (1013)", closed == 1)
            scene.report.check("the gateway keeps at most 64 MB for it", grown <= 64e6)
            scene.report.check("others do not notice: 95 % within 2 s", 0 < percentile(delays, 0.95) <= 2.0)
            with contextlib.suppress(TimeoutError, ConnectionClosed):
                async with asyncio.timeout(20.0):
                    while True:
                        await socket.recv()
            scene.report.figure("close code that it finds when it reads at last", socket.close_code or 0)
            await scene.pause(scene.seconds)
            # Now it behaves as a client should.
            scene.join(device)
            scene.report.check("it comes back", await scene.until(lambda: device.up))


async def half_open(scene: Scene) -> None:
    """Let a phone's way to the gateway swallow everything, in both directions, without a word."""
    host, _, port = scene.stack.gateways[0].partition(":")
    proxy = Proxy((host, int(port)))
    proxy.open()
    device, _conv = await scene.newcomer("phone", gateways=[f"{host}:{proxy.port}"])
    try:
        scene.join(device)
        await device.until(lambda: device.up)
        async with scene.traffic():
            await scene.pause(2.0)
            before = await _number(scene.stack.gateways[0], _IDLE)
            proxy.block()
            blocked = time.monotonic()
            scene.report.say("its way swallows everything")
            noticed = await scene.until(lambda: not device.connected, timeout_s=40.0)
            scene.report.figure("until the client knows, s", time.monotonic() - blocked)
            scene.report.check("the client knows within 40 s, by its own heartbeat", noticed)
            await scene.pause(max(0.0, blocked + _IDLE_TIMEOUT_S + 10.0 - time.monotonic()))
            idle = await _number(scene.stack.gateways[0], _IDLE) - before
            scene.report.check("the gateway has given the silent socket up after 90 s", idle == 1)
            proxy.cut()
            proxy.open()
            opened = time.monotonic()
            scene.report.say("its way is open again")
            back = await scene.until(lambda: device.up, timeout_s=10.0)
            scene.report.figure("back after, s", time.monotonic() - opened)
            scene.report.check("it is back within 10 s", back)
    finally:
        proxy.cut()


async def hint_storm(scene: Scene) -> None:
    """Have everybody type 100 times a second, confirm or read 20 times, and watch others anew each second."""
    conv = max(scene.town.members, key=lambda it: len(scene.town.members[it]))
    stopping = asyncio.Event()
    told: Counter[str] = Counter()

    def seen() -> Counter[str]:
        return Counter(it["op"] for device in scene.town.devices for it in device.others)

    async def say(device: Device, op: str, **fields: object) -> None:
        told[op] += 1
        await device.tell(op, **fields)

    async def storm(device: Device) -> None:
        for turn in itertools.count():
            if stopping.is_set():
                return
            await say(device, "typing", conv=conv)
            shown = device.timeline(conv).shown
            if turn % 5 == 0 and shown:
                await say(device, "read" if turn % 10 else "delivered", server_id=shown[-1].server_id)
            if turn % 100 == 0:
                await say(device, "presence", users=scene.town.members[conv][:_WATCHED])
            await asyncio.sleep(0.01)

    async def typical_delay(phase: str) -> float:
        began = time.monotonic()
        await scene.pause(scene.seconds)
        delay = percentile(scene.delivery_delays(began, time.monotonic() - 1.0), 0.95)
        scene.report.figure(f"95 % of messages to another's device {phase}, s", delay)
        return delay

    async with scene.traffic():
        calm = await typical_delay("before")
        began, before = time.monotonic(), seen()
        scene.report.say("everybody types 100 times a second, and confirms, reads and watches others")
        async with asyncio.TaskGroup() as group:
            for device in scene.town.devices[:SENDERS]:
                group.create_task(storm(device))
            delay = await typical_delay("meanwhile")
            stopping.set()
        heard = seen() - before
        scene.report.say("and stops")
        # Each person's hints, to each other device, at most one a second.
        most = SENDERS * len(scene.town.devices) * (time.monotonic() - began + 2.0)
        for op in ("typing", "delivered", "read", "presence"):
            scene.report.figure(f"{op} sent", told[op])
            scene.report.figure(f"{op} received", heard[op])
        scene.report.check("at most one typing hint a second of each goes on", 0 < heard["typing"] <= most)
        scene.report.check("messages are not held up: 95 % within 2 s more than before", 0 < delay <= calm + 2.0)


class _Flapping:
    """A phone of somebody whose network comes and goes: a bare connection that says nothing."""

    def __init__(self, gateways: Sequence[str], account: Account, random: Random) -> None:
        self.user = account.user
        self.times = 0
        #: For how long (s) it was away at most until now, when it had to wait to be greeted.
        self.longest_s = 0.0
        self._gateways = gateways
        self._token = account.token
        self._random = random
        self._wire: Wire | None = None

    async def come(self) -> None:
        """Connect, and return once greeted. Raises OSError, TimeoutError."""
        gateway = self._random.choice(self._gateways)
        host, _, port = gateway.partition(":")
        ready = asyncio.Event()
        async with asyncio.timeout(_GREETING_S):
            _, self._wire = await asyncio.get_running_loop().create_connection(
                lambda: Wire(host=gateway, token=self._token, on_frame=lambda *_: ready.set(), on_close=lambda _: None),
                host,
                int(port),
            )
            await ready.wait()

    def go(self) -> None:
        """Be cut off."""
        if self._wire is not None:
            self._wire.abort()

    async def flap(self, until: float) -> None:
        """Come and go until then (time.monotonic()), each time for some seconds; be there in the end."""
        while time.monotonic() < until:
            await asyncio.sleep(self._random.uniform(*_FLAP_S))
            self.go()
            went = time.monotonic()
            await asyncio.sleep(self._random.uniform(*_FLAP_S))
            while True:
                with contextlib.suppress(OSError, TimeoutError):
                    await self.come()
                    break
            self.times += 1
            self.longest_s = max(self.longest_s, time.monotonic() - went)


async def _crowd_of(scene: Scene, watcher: Device) -> list[_Flapping]:
    """Make people whose presence the watcher may see: they share groups."""
    crowd: list[_Flapping] = []
    while (wanted := min(_FLAPPING // _WATCHERS - len(crowd), _IN_A_GROUP)) > 0:
        names = {f"phone{scene.random.getrandbits(48):x}": 1 for _ in range(wanted)}
        made = await asyncio.to_thread(scene.stack.people, names)
        accounts = [its[0] for its in made.values()]
        body = {"type": "group", "members": [account.user for account in accounts]}
        await watcher.rest.call("POST", "conversations", body)
        crowd += [_Flapping(scene.stack.gateways, account, Random(scene.random.random())) for account in accounts]
    return crowd


async def presence_flap(scene: Scene) -> None:
    """Have a thousand connections come and go every few seconds, and then stay away."""
    watchers = scene.town.devices[:_WATCHERS]
    watched = {watcher.name: await _crowd_of(scene, watcher) for watcher in watchers}
    crowd = [phone for phones in watched.values() for phone in phones]

    def states(since: Mapping[str, int]) -> list[tuple[str, str]]:
        """Return whom the watchers were told of, and as what."""
        return [
            (frame["user"], frame["state"])
            for watcher in watchers
            for frame in watcher.others[since.get(watcher.name, 0) :]
            if frame["op"] == "presence"
        ]

    def how_many_are(state: str) -> int:
        last = dict(states({}))
        return sum(last.get(phone.user) == state for phone in crowd)

    def all_are(state: str) -> bool:
        return how_many_are(state) == len(crowd)

    async def typical_delay(phase: str, began: float) -> float:
        delay = percentile(scene.delivery_delays(began, time.monotonic() - 1.0), 0.95)
        scene.report.figure(f"95 % of messages to another's device {phase}, s", delay)
        return delay

    try:
        async with scene.traffic():
            began = time.monotonic()
            await scene.pause(_CALM_S)
            calm = await typical_delay("before", began)
            free = asyncio.Semaphore(_AT_ONCE)

            async def come(phone: _Flapping) -> None:
                async with free:
                    await phone.come()

            await asyncio.gather(*(come(phone) for phone in crowd))
            for watcher in watchers:
                await watcher.tell("presence", users=[phone.user for phone in watched[watcher.name]])
            seen = await scene.until(lambda: all_are("online"), timeout_s=30.0)
            scene.report.check("who watches sees that all are there", seen)
            before, began = {it.name: len(it.others) for it in watchers}, time.monotonic()
            scene.report.say(f"{len(crowd)} connections begin to come and go")
            await asyncio.gather(*(phone.flap(began + scene.seconds) for phone in crowd))
            told = Counter(state for _, state in states(before))
            scene.report.figure("connections that flap", len(crowd))
            scene.report.figure("times they came back", sum(phone.times for phone in crowd))
            each_s = sum(phone.times for phone in crowd) / (time.monotonic() - began)
            scene.report.figure("times they came back, each second", each_s)
            scene.report.figure("told meanwhile that somebody is away", told["offline"])
            scene.report.figure("told meanwhile that somebody is there", told["online"])
            delay = await typical_delay("meanwhile", began)
            # Some may have waited so long for their greeting that they were really away.
            long = {phone.user for phone in crowd if phone.longest_s >= _PRESENCE_GRACE_S}
            scene.report.figure("of these really away for 15 s", len(long))
            away = {user for user, state in states(before) if state == "offline"}
            scene.report.check("who watches is not told of it", away <= long)
            scene.report.check("messages are not held up: 95 % within 2 s more than before", 0 < delay <= calm + 2.0)
            for phone in crowd:
                phone.go()
            gone = time.monotonic()
            # A few sockets may be found dead a moment before the others.
            early = await scene.until(lambda: all_are("offline"), timeout_s=_PRESENCE_GRACE_S - 1.0)
            late = early or await scene.until(lambda: all_are("offline"), timeout_s=2 * _PRESENCE_GRACE_S + 1.0)
            scene.report.figure("told that they are away", how_many_are("offline"))
            scene.report.figure("of the last after, s", time.monotonic() - gone)
            scene.report.check("but is told when they stay away, after 15 s and before 45 s", late and not early)
    finally:
        for phone in crowd:
            phone.go()


async def reconnect_storm(scene: Scene) -> None:
    """Cut a crowd off, and let all come back in the same instant, again and again."""
    first, crowd = scene.town.devices[0], []
    for group in range(_GROUPS):
        names = {f"guest{scene.random.getrandbits(32):x}-{group}-{one}": 1 for one in range(_CROWD // _GROUPS)}
        made = await asyncio.to_thread(scene.stack.people, names)
        guests = [
            Device(scene.stack.gateways, its[0], name=name, random=Random(scene.random.random()), heartbeat_s=5.0)
            for name, its in made.items()
        ]
        body = {"type": "group", "members": [device.user for device in guests]}
        conv = (await first.rest.call("POST", "conversations", body))["id"]
        scene.town.members[conv] = [first.user, *(device.user for device in guests)]
        crowd += guests
    times: list[float] = []
    try:
        await asyncio.gather(*(_come_back(device) for device in crowd))
        async with scene.traffic():
            ends = time.monotonic() + scene.seconds
            while not times or time.monotonic() < ends:
                await asyncio.gather(*(device.drop() for device in crowd))
                began = time.monotonic()
                await asyncio.gather(*(_come_back(device) for device in crowd))
                times.append(time.monotonic() - began)
                scene.report.say(f"{len(crowd)} came back in {times[-1]:.1f} s")
                await scene.pause(1.0)
            scene.report.figure("clients that came back at once", len(crowd))
            scene.report.figure("longest time until all had what they missed, s", worst(times))
            scene.report.check("all have what they missed within 15 s, each time", 0 < worst(times) <= 15.0)
            for device in crowd:
                scene.join(device)
    finally:
        await scene.leave()
        await asyncio.gather(*(device.close() for device in crowd))


async def _come_back(device: Device) -> None:
    """Connect, without the pauses that a client should make."""
    while not device.up:
        with contextlib.suppress(Unreachable):
            await device.connect()


DRILLS = (
    Drill(
        "slow-client",
        "A client does not read.",
        "It is closed with 1013 and comes back; its gateway keeps at most 64 MB for it; others do not notice.",
        slow_client,
        seconds=5.0,
        short_s=0.0,
    ),
    Drill(
        "half-open",
        "A client's connection swallows everything, and neither side is told.",
        "The client knows within 40 s, the gateway after 90 s; the client is back with all it missed within 10 s.",
        half_open,
        seconds=0.0,
    ),
    Drill(
        "hint-storm",
        "Everybody types, confirms, reads and watches others without a pause.",
        "Typing is dropped beyond one a second; messages are not held up.",
        hint_storm,
        seconds=20.0,
        short_s=4.0,
    ),
    Drill(
        "presence-flap",
        "A thousand connections come and go every few seconds.",
        "Nobody is told, until they have been away for 15 s; messages are not held up.",
        presence_flap,
        seconds=30.0,
    ),
    Drill(
        "reconnect-storm",
        "All clients are cut off and come back in the same instant.",
        "All have what they missed within 15 s, again and again.",
        reconnect_storm,
        seconds=30.0,
    ),
)
