"""From users to pods: one registry look-up, one batch per pod (design sections 1 and 7).

The router, the gateway's ephemeral frames and the services' control events all leave through here.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from prometheus_client import Counter, Histogram

from messaging.domain.events import Deliver, PodBatch, PodEvent, encode
from messaging.domain.frames import Msg
from messaging.domain.ids import UserId
from messaging.ports import ConnectionRef, ConnectionRegistry, PodBus, RegistryUnavailable

logger = logging.getLogger(__name__)

BATCHES = Counter("chat_pod_batches_total", "Batches handed to pods.")
BATCHES_DROPPED = Counter(
    "chat_pod_batches_dropped_total", "Batches that the channel layer did not take; clients repair the gap."
)
MESSAGE_PODS = Histogram(
    "chat_batches_per_message",
    "Pods whose batch held a message: it costs at most so many batches.",
    buckets=(0, 1, 2, 5, 10, 25, 50, 100, 200),
)


@dataclass(frozen=True, slots=True)
class FanOut:
    """What became of a fan-out: how many batches went out, and who of the recipients is connected."""

    batches: int
    connected: frozenset[UserId]


async def send_batches(bus: PodBus, per_pod: Mapping[str, list[PodEvent]]) -> int:
    """Hand every pod its batch; return how many were sent. A refused batch is counted, never retried:
    the clients find the gap through ``prev`` and ``sync``.
    """
    sent = 0
    for pod, events in per_pod.items():
        BATCHES.inc()
        if await bus.send(pod, encode(PodBatch(events))):
            sent += 1
        else:
            BATCHES_DROPPED.inc()
    return sent


async def locate(registry: ConnectionRegistry, users: Sequence[UserId]) -> dict[UserId, list[ConnectionRef]]:
    """Return the live connections of ``users``; nobody, where the registry does not answer."""
    try:
        return await registry.lookup(users)
    except RegistryUnavailable:
        logger.warning("registry unavailable: %d users are treated as offline", len(users))
        return {}


async def fan_out(deliveries: Iterable[Deliver], *, registry: ConnectionRegistry, bus: PodBus) -> FanOut:
    """Deliver events in their order, with one look-up for all and one batch per pod."""
    todo = list(deliveries)
    users = list({user for event in todo for user in event.users})
    located = await locate(registry, users)
    per_pod: dict[str, list[PodEvent]] = defaultdict(list)
    for event in todo:
        here: dict[str, list[UserId]] = defaultdict(list)
        for user in event.users:
            for pod in {ref.pod for ref in located.get(user, ())}:
                here[pod].append(user)
        if isinstance(event.frame, Msg):
            MESSAGE_PODS.observe(len(here))
        for pod, local in here.items():
            per_pod[pod].append(
                event if len(local) == len(event.users) else msgspec.structs.replace(event, users=local)
            )
    return FanOut(await send_batches(bus, per_pod), frozenset(located))


async def tell_pods_of(users: Sequence[UserId], event: PodEvent, *, registry: ConnectionRegistry, bus: PodBus) -> int:
    """Send one control event to every pod that has a connection of one of ``users``; return how many pods."""
    located = await locate(registry, list(users))
    pods = {ref.pod for refs in located.values() for ref in refs}
    return await send_batches(bus, {pod: [event] for pod in pods})
