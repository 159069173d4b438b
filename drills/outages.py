"""Drills of the engines: Kafka, Redis, Cassandra and PostgreSQL are stopped, and come back."""

import time

from drills.drill import Drill, Scene, percentile, worst
from tests.servers.kafka import KafkaCluster

#: From "the server has stopped" to "nobody hears of it any more": what was on its way.
_SLACK_S = 0.5
#: Before something is broken: everybody has written to most of their conversations, so that gateways know their rights.
_WARM_S = 8.0
#: Of a heartbeat that no drill lives to see.
_NEVER_S = 3_600.0


async def stop_kafka(scene: Scene) -> None:
    """Stop all of Kafka: nothing can be acked."""
    async with scene.traffic(pipelined=False):
        await scene.pause(2.0)
        stopped = await scene.harm("kill -9 Kafka", scene.engines.kafka.kill)
        await scene.pause(scene.seconds)
        now = time.monotonic()
        acked = scene.acked_between(stopped + _SLACK_S, now)
        told = scene.told("unavailable", stopped, now)
        up = [device for device in scene.town.devices if device.up]
        scene.report.figure("acked meanwhile", acked)
        scene.report.figure("answers `unavailable` meanwhile", told)
        scene.report.figure("messages waiting in outboxes", scene.town.in_flight)
        scene.report.check("nothing is acked that is not in the log", acked == 0)
        scene.report.check("senders are told `unavailable`, to try again", told > 0)
        scene.report.check("connections stay", len(up) == len(scene.town.devices))
        started = await scene.harm("Kafka runs again", scene.engines.kafka.start)
        waiting = [one for device in scene.town.devices for one in device.outbox]
        drained = await scene.until(lambda: all(one.settled for one in waiting))
        scene.report.figure("outboxes drained after, s", time.monotonic() - started)
        scene.report.check("outboxes drain within 60 s of its return", drained)


async def kill_broker(scene: Scene) -> None:
    """Kill one of three brokers; the other two have everything."""
    kafka = scene.engines.kafka
    assert isinstance(kafka, KafkaCluster)
    victim = kafka.members[0]
    async with scene.traffic(pipelined=False):
        await scene.pause(2.0)
        killed = await scene.harm("kill -9 one broker of three", victim.kill)
        await scene.pause(scene.seconds)
        now = time.monotonic()
        delays, late = scene.ack_delays(killed, now - 8.0), scene.ack_delays(now - 8.0, now - 2.0)
        scene.report.figure("longest time to an ack, s", worst(delays))
        scene.report.figure("longest time to another's device, s", worst(scene.delivery_delays(killed, now - 8.0)))
        scene.report.figure("95 % of acks at the end, s", percentile(late, 0.95))
        scene.report.check("acks go on within 20 s, without the broker", 0 < worst(delays) <= 20.0)
        scene.report.check("and then as before: 95 % within 2 s", 0 < percentile(late, 0.95) <= 2.0)
        await scene.harm("the broker runs again", victim.start)


async def stop_redis(scene: Scene) -> None:
    """Stop Redis, which forgets everything: registry, channel layer, dedupe, throttles.

    One client waits for nothing but the last message of a conversation, with a heartbeat that comes too late for it.
    """
    first = scene.town.devices[0]
    async with scene.traffic():
        patient, conv = await scene.newcomer("patient", heartbeat_s=_NEVER_S)
        scene.join(patient)
        await patient.until(lambda: patient.up)
        await scene.pause(2.0)
        stopped = await scene.harm("kill -9 Redis, which keeps nothing on disk", scene.engines.redis.kill)
        await scene.pause(scene.seconds)
        last = await first.send(conv, "the last for now")
        await first.settled(last)
        started = await scene.harm("Redis runs again, empty", scene.engines.redis.start)
        asked = await scene.until(lambda: patient.timeline(conv).shows(str(last.server_id)), timeout_s=30.0)
        scene.report.figure("the last message of a conversation is there after, s", time.monotonic() - started)
        scene.report.check("who missed it has it within 15 s", asked and time.monotonic() - started <= 15.0)
        delays = scene.ack_delays(stopped, started - 2.0)
        scene.report.figure("longest time to an ack meanwhile, s", worst(delays))
        scene.report.figure("acked meanwhile", scene.acked_between(stopped + _SLACK_S, started))
        scene.report.check("acks go on meanwhile: 5 s at most", 0 < worst(delays) <= 5.0)
        # Pods tell the new Redis of their connections with their next heartbeat.
        await scene.pause(15.0)
        live = await scene.until(lambda: _all_live(scene, time.monotonic() - 2.0, 4.0), timeout_s=60.0)
        scene.report.figure("live delivery as before after, s", time.monotonic() - started)
        scene.report.check("within 60 s of its return messages come live again", live)


def _all_live(scene: Scene, until: float, seconds: float) -> bool:
    """Return whether everything that others received in these seconds came live."""
    arrivals = [it for device in scene.town.devices for it in device.arrivals if until - seconds < it.at < until]
    return bool(arrivals) and all(it.via == "live" for it in arrivals)


async def stop_cassandra(scene: Scene) -> None:
    """Stop Cassandra: what is acked waits in the log."""
    async with scene.traffic():
        await scene.pause(_WARM_S)
        stopped = await scene.harm("kill -9 Cassandra", scene.engines.cassandra.kill)
        await scene.pause(scene.seconds)
        now = time.monotonic()
        acked = scene.acked_between(stopped + _SLACK_S, now)
        arrived = sum(it.at > stopped + _SLACK_S for device in scene.town.devices for it in device.arrivals)
        scene.report.figure("acked meanwhile", acked)
        scene.report.figure("answers `unavailable` meanwhile", scene.told("unavailable", stopped, now))
        scene.report.figure("arrived meanwhile", arrived)
        scene.report.check("acks go on for those whose rights gateways know", acked > 0)
        scene.report.check("nothing is delivered that is not stored", arrived == 0)
        started = await scene.harm("Cassandra runs again", scene.engines.cassandra.start)
        waiting = {one.server_id for one in scene.town.sent if one.acks and stopped < one.acks[0].at < started}
        shown = await scene.until(lambda: _is_shown(scene, waiting))
        scene.report.figure("all of it delivered after, s", time.monotonic() - started)
        scene.report.check("what was acked meanwhile is delivered within 60 s of its return", shown)


def _is_shown(scene: Scene, ids: set[str | None]) -> bool:
    """Return whether these messages are on every device of their conversations' members."""
    convs = {one.server_id: one.conv for one in scene.town.sent}
    return all(
        device.timeline(convs[it]).shows(str(it))
        for it in ids
        if it in convs
        for device in scene.town.devices
        if device.user in scene.town.members[convs[it]]
    )


async def stop_postgres(scene: Scene) -> None:
    """Stop PostgreSQL, which has the accounts: who is signed in chats on."""
    device = scene.town.devices[0]
    async with scene.traffic():
        await scene.pause(_WARM_S)
        stopped = await scene.harm("kill -9 PostgreSQL", scene.engines.postgres.kill)
        await device.drop()
        await scene.pause(scene.seconds)
        now = time.monotonic()
        delays = scene.ack_delays(stopped, now - 1.0)
        ends = {it.end for it in device.attempts if it.at > stopped and it.end is not None}
        up = [it for it in scene.town.devices if it.up and it is not device]
        scene.report.figure("acked meanwhile", scene.acked_between(stopped + _SLACK_S, now))
        scene.report.figure("longest time to an ack meanwhile, s", worst(delays))
        scene.report.check("who is connected stays so", len(up) == len(scene.town.devices) - 1)
        scene.report.check("and chats on: acks within 2 s", 0 < worst(delays) <= 2.0)
        scene.report.check("who connects anew is told to come back, and not signed out", ends == {1013})
        started = await scene.harm("PostgreSQL runs again", scene.engines.postgres.start)
        back = await scene.until(lambda: device.up, timeout_s=15.0)
        scene.report.figure("the device that was away is back after, s", time.monotonic() - started)
        scene.report.check("whoever waited is back within 15 s", back)


DRILLS = (
    Drill(
        "kafka-stop",
        "All of Kafka is away.",
        "Nothing is acked, and senders are told `unavailable`; within 60 s of its return all outboxes have drained.",
        stop_kafka,
        seconds=60.0,
        short_s=8.0,
        harms=frozenset({"kafka"}),
    ),
    Drill(
        "kafka-broker-kill",
        "One Kafka broker of three dies (kill -9).",
        "Acks go on within 20 s, and stay true.",
        kill_broker,
        seconds=40.0,
        harms=frozenset({"kafka"}),
        brokers=3,
    ),
    Drill(
        "redis-stop",
        "Redis is away, and comes back empty.",
        "Acks go on; within 15 s of its return who missed something has it, and within 60 s messages come live again; "
        "nothing is lost.",
        stop_redis,
        seconds=60.0,
        short_s=6.0,
        harms=frozenset({"redis"}),
    ),
    Drill(
        "cassandra-stop",
        "Cassandra is away.",
        "Acks go on for 30 s; nothing is delivered that is not stored; all of it is, in order, 60 s after its return.",
        stop_cassandra,
        seconds=20.0,
        harms=frozenset({"cassandra"}),
    ),
    Drill(
        "postgres-stop",
        "PostgreSQL is away.",
        "Who is connected chats on; who connects is told to come back, and does within 15 s of its return.",
        stop_postgres,
        seconds=20.0,
        short_s=6.0,
        harms=frozenset({"postgres"}),
    ),
)
