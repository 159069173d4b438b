"""Builds and ends kafka-python's clients so that nothing is left behind where no broker answers."""

import logging
import socket
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import KafkaConnectionError, KafkaError
from kafka.net.compat import KafkaNetClient

logger = logging.getLogger(__name__)

T = TypeVar("T")

_CONNECT_S: Final = 1.0


def build(kind: Callable[..., T], *, client: type[KafkaNetClient] = KafkaNetClient, **options: Any) -> T:
    """Return ``kind(**options)``. Blocks until a broker answers, for ``bootstrap_timeout_ms`` and a second at most.

    The constructors start a thread and open sockets before they look for a broker, and keep both when there is none.

    Raises:
        KafkaError: no broker answered.
    """
    _require_connection(options["bootstrap_servers"])
    opened: list[KafkaNetClient] = []

    def open_client(**settings: Any) -> KafkaNetClient:
        opened.append(client(**settings))
        return opened[-1]

    try:
        return kind(kafka_client=open_client, **options)
    except BaseException:
        for it in opened:
            it.close()
        raise


def _require_connection(brokers: Sequence[str]) -> None:
    """Raise KafkaConnectionError where no broker takes a connection.

    kafka-python would go on trying for as long as it may, with a page of log and a socket left open each time.
    """
    refusals = []
    for broker in brokers:
        host, _, port = broker.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S).close()
        except OSError as error:
            refusals.append(f"{broker}: {error.strerror or error}")
        else:
            return
    raise KafkaConnectionError(", ".join(refusals))


class ProducerClient(KafkaNetClient):  # type: ignore[misc]  # kafka-python has no types
    """The producer's connections, without a spinning thread while a broker is away."""

    def connection_delay(self, node_id: Any) -> float:
        """Return in how many milliseconds it is worth looking again, though what arrives wakes the thread sooner.

        The sender takes the seconds of 3.0.12 for milliseconds, and 0 while a connection is being made: it asked
        without a pause, as long as a broker was away, and took a core.
        """
        delay_s: float = super().connection_delay(node_id)
        return max(20.0, delay_s * 1000)


def calm(consumer: KafkaConsumer) -> None:
    """Let a poll wait for records as long as it was told to.

    3.0.12 ends each wait when the next heartbeat is due, though these have a thread of their own: with a coordinator
    that does not answer one is always due, and a poll asked without a pause, which took half a core.
    """
    consumer._coordinator.time_to_next_poll = lambda: float("inf")


def abandon(producer: KafkaProducer) -> None:
    """End a producer; what it has not delivered fails. Blocks for 2 s at most.

    Its own ``close`` waits for the batches that are on their way, and gives up, thread and sockets and all, where
    they do not come back.
    """
    producer._sender.force_close()
    producer._sender.join(2.0)
    try:
        producer.close(timeout=0)
    except KafkaError as error:
        logger.warning("a producer ends later: %s", error)
