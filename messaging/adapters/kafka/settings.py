"""How Kafka is reached, which topics there are and what must hold of them (design sections 1 and 2)."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from messaging.ports import (
    TOPIC_COMPLIANCE,
    TOPIC_DEAD,
    TOPIC_HOOKS,
    TOPIC_HOT,
    TOPIC_LINKS,
    TOPIC_MESSAGES,
    TOPIC_PUSH,
    TOPIC_RECEIPTS,
    TOPIC_SEARCH,
)

#: Key and payload of one record, as in the embedded log.
MAX_RECORD_BYTES: Final = 1024 * 1024
#: What Kafka adds to one; a topic's ``max.message.bytes`` is at least the sum.
OVERHEAD_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as the settings want it, by the name that the port uses (without the prefix)."""

    name: str
    #: None: CHAT_KAFKA_PARTITIONS.
    partitions: int | None = None
    #: None: CHAT_LOG_RETENTION_DAYS. With a time of its own, only Kafka deletes from it, and ``trim`` does not.
    retention: timedelta | None = None


TOPICS: Final = (
    Topic(TOPIC_MESSAGES),
    Topic(TOPIC_HOT),
    # Late receipts help nobody, and there are many of them.
    Topic(TOPIC_RECEIPTS, retention=timedelta(days=1)),
    Topic(TOPIC_PUSH, retention=timedelta(days=1)),
    Topic(TOPIC_COMPLIANCE),
    Topic(TOPIC_SEARCH),
    # A preview that is a day late is missed by nobody.
    Topic(TOPIC_LINKS, retention=timedelta(days=1)),
    # Older events are given up in any case.
    Topic(TOPIC_HOOKS, retention=timedelta(days=1)),
    # Somebody has to come and look.
    Topic(TOPIC_DEAD, partitions=1, retention=timedelta(days=30)),
)


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """The CHAT_KAFKA_ variables."""

    brokers: tuple[str, ...]
    prefix: str = ""
    partitions: int = 48
    replication: int = 3
    min_isr: int = 2
    retention: timedelta = timedelta(days=7)
    #: How long the first line of dedupe remembers; the second is the router's.
    dedupe_cache: timedelta = timedelta(hours=1)
    security: str = "PLAINTEXT"
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    #: Where the first line of dedupe is kept; empty: nowhere.
    redis_url: str = field(default="", repr=False)
    topics: tuple[Topic, ...] = TOPICS

    def topic(self, name: str) -> str:
        """Return the topic's name in Kafka."""
        return self.prefix + name

    def group(self, group: str, topic: str) -> str:
        """Return the group's name in Kafka. One for each topic: a rebalance of one does not stop the others."""
        return f"{self.prefix}{group}.{topic}"

    def client(self, **more: Any) -> dict[str, Any]:
        """Return what every client of kafka-python is given, and ``more``."""
        options: dict[str, Any] = {
            "bootstrap_servers": list(self.brokers),
            "security_protocol": self.security,
            # Exponential from 50 ms, jittered: a broker that is back is found within about a second.
            "reconnect_backoff_ms": 50,
            "reconnect_backoff_max_ms": 1_000,
            "bootstrap_timeout_ms": 5_000,
        }
        if self.security.startswith("SASL"):
            options |= {
                "sasl_mechanism": "SCRAM-SHA-512",
                "sasl_plain_username": self.user,
                "sasl_plain_password": self.password,
            }
        if self.security.endswith("SSL") and self.ca_file:
            options["ssl_cafile"] = self.ca_file
        return options | more
