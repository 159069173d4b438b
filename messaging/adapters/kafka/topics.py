"""Compares the topics in Kafka with the settings, and makes and mends them (``manage.py topics``).

The log asks the same before it starts: with a topic that stamps records by their sender's clock, or that acknowledges
what one broker alone has, nothing here would keep its promises.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.errors import KafkaError, for_code
from kafka.structs import OffsetAndMetadata

from messaging.adapters.kafka.clients import build
from messaging.adapters.kafka.settings import MAX_RECORD_BYTES, OVERHEAD_BYTES, KafkaSettings, Topic
from messaging.ports import LogUnavailable

_COORDINATOR_S: Final = 5.0
#: How long a broker may take to learn what the controller has decided.
_SEEN_S: Final = 10.0


class Unfit(LogUnavailable):
    """Kafka answers, and its topics are not as the log needs them; the sentence says what to do."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something about a topic that is not as the settings want it. ``topic`` is its name in Kafka."""

    topic: str
    #: A sentence without its subject, as in "has 1 replica, wanted 3".
    text: str
    #: The log cannot keep its promises like this.
    fatal: bool
    #: What mends it: settings of the topic to change; None where nothing here can.
    mend: dict[str, str] | None = None
    #: The topic does not exist; ``mend`` is what to make it with.
    missing: bool = False


def _at_least(wanted: str) -> Callable[[str | None], bool]:
    return lambda found: found is not None and int(found) >= int(wanted)


#: Differences in these make the promises of the log untrue; the others cost space or time.
_FATAL: Final = frozenset(
    {
        # Ids are made of the time at which the log took a record (design section 2).
        "message.timestamp.type",
        "min.insync.replicas",
        # A broker that lacks acknowledged records must not become the leader.
        "unclean.leader.election.enable",
        # Compaction would keep one record of each conversation.
        "cleanup.policy",
        "max.message.bytes",
    }
)
#: More than was asked for is as good.
_AT_LEAST: Final = frozenset({"min.insync.replicas", "max.message.bytes"})


def _retention(settings: KafkaSettings, topic: Topic) -> timedelta:
    return settings.retention if topic.retention is None else topic.retention


def wanted(settings: KafkaSettings, topic: Topic) -> dict[str, str]:
    """Return the settings of a topic."""
    return {
        "message.timestamp.type": "LogAppendTime",
        "min.insync.replicas": str(settings.min_isr),
        "unclean.leader.election.enable": "false",
        "cleanup.policy": "delete",
        "max.message.bytes": str(MAX_RECORD_BYTES + OVERHEAD_BYTES),
        "retention.ms": str(int(_retention(settings, topic).total_seconds() * 1000)),
        # By time only: a burst must not delete what the router has not read yet.
        "retention.bytes": "-1",
        "compression.type": "producer",
    }


class Topics:
    """The topics of one installation. Everything here blocks, and raises LogUnavailable where Kafka does not answer."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        with self._asking():
            self._admin: KafkaAdminClient = build(KafkaAdminClient, **settings.client(request_timeout_ms=10_000))

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except KafkaError as error:
            raise LogUnavailable(f"Kafka: {error}") from error

    def close(self) -> None:
        """Close the connection."""
        self._admin.close()

    def __enter__(self) -> "Topics":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def differences(self) -> list[Difference]:
        """Return what is not as the settings want it, topic by topic."""
        names = [self._settings.topic(topic.name) for topic in self._settings.topics]
        with self._asking():
            found = {topic["name"]: topic for topic in self._admin.describe_topics(names) if not topic["error_code"]}
            resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in found]
            configs = self._admin.describe_configs(resources, config_filter="all")["topic"] if resources else {}
        differences: list[Difference] = []
        for topic in self._settings.topics:
            name = self._settings.topic(topic.name)
            if name in found:
                differences += self._in_layout(topic, name, found[name]["partitions"])
                values = {key: value["value"] for key, value in configs[name].items()}
                differences += self._in_configuration(topic, name, values)
            else:
                differences.append(
                    Difference(name, "does not exist", fatal=True, mend=wanted(self._settings, topic), missing=True)
                )
        return differences

    def _in_layout(self, topic: Topic, name: str, partitions: Sequence[dict[str, Any]]) -> list[Difference]:
        settings = self._settings
        differences = []
        if len(partitions) != self._partitions(topic):
            # Never changed here: a conversation would go on in another partition than the one that it began in.
            text = f"has {len(partitions)} partitions, wanted {self._partitions(topic)}"
            differences.append(Difference(name, text, fatal=False))
        replicas = min((len(partition["replica_nodes"]) for partition in partitions), default=0)
        if replicas < settings.replication:
            text = f"has {replicas} replica{'s' * (replicas != 1)}, wanted {settings.replication}"
            differences.append(Difference(name, text, fatal=True))
        return differences

    def _in_configuration(self, topic: Topic, name: str, values: dict[str, str | None]) -> list[Difference]:
        differences = []
        for key, value in wanted(self._settings, topic).items():
            fits = _at_least(value) if key in _AT_LEAST else value.__eq__
            if not fits(values.get(key)):
                text = f"has {key}={values.get(key)}, wanted {value}"
                differences.append(Difference(name, text, fatal=key in _FATAL, mend={key: value}))
        return differences

    def _partitions(self, topic: Topic) -> int:
        return self._settings.partitions if topic.partitions is None else topic.partitions

    def mend(self, differences: Sequence[Difference]) -> None:
        """Make what is missing and change what can be changed; the log finds the topics so when this returns.

        Raises:
            LogUnavailable: also where Kafka refuses, as with fewer brokers than replicas.
        """
        partitions = {self._settings.topic(topic.name): self._partitions(topic) for topic in self._settings.topics}
        missing = {
            it.topic: {
                "num_partitions": partitions[it.topic],
                "replication_factor": self._settings.replication,
                "configs": it.mend,
            }
            for it in differences
            if it.missing
        }
        changes: dict[str, dict[str, str]] = {}
        for it in differences:
            if it.mend is not None and not it.missing:
                changes.setdefault(it.topic, {}).update(it.mend)
        with self._asking():
            if missing:
                self._create(missing)
            for name, change in changes.items():
                result = self._admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, change)])
                if result["topic"][name] != "OK":
                    raise LogUnavailable(f"{name} could not be changed: {result['topic'][name]}")
        deadline = time.monotonic() + _SEEN_S
        while any(it.mend for it in self.differences()):
            if time.monotonic() > deadline:
                raise LogUnavailable("Kafka has taken the changes, but does not show them")
            time.sleep(0.05)

    def _create(self, missing: dict[str, dict[str, Any]]) -> None:
        for it in self._admin.create_topics(missing, raise_errors=False)["topics"]:
            if it["error_code"]:
                reason = it["error_message"] or for_code(it["error_code"]).__name__
                raise LogUnavailable(f"{it['name']} could not be created: {reason}")
        self._admin.wait_for_topics(list(missing))

    def require_fit(self) -> None:
        """Raise Unfit where the log could not keep its promises."""
        fatal = [it for it in self.differences() if it.fatal]
        if fatal:
            told = "; ".join(f"{it.topic} {it.text}" for it in fatal)
            raise Unfit(f"the topics in Kafka are not as the log needs them: {told}. Run `manage.py topics`.")

    # --- offsets ----------------------------------------------------------------------------------------

    def _places(self, topic: str) -> list[TopicPartition]:
        (found,) = self._admin.describe_topics([topic])
        return [TopicPartition(topic, partition["partition_index"]) for partition in found["partitions"]]

    def _offsets(self, places: Sequence[TopicPartition], at: int) -> dict[TopicPartition, int]:
        """Return offsets by time (Unix ms, or an OffsetSpec); -1 where nothing is so young."""
        found = self._admin.list_partition_offsets(dict.fromkeys(places, at))
        return {place: it.offset for place, it in found.items()}

    def lag(self, topic: str, group: str) -> int:
        """Return how many records of ``topic`` the group has not committed; names as in the port."""
        settings = self._settings
        name = settings.group(group, topic)
        with self._asking():
            places = self._places(settings.topic(topic))
            begins, ends = self._offsets(places, OffsetSpec.EARLIEST), self._offsets(places, OffsetSpec.LATEST)
            committed = self._committed(name, places)
        return sum(
            ends[place] - max(begins[place], committed[place].offset if place in committed else -1) for place in places
        )

    def _committed(self, group: str, places: Sequence[TopicPartition]) -> dict[TopicPartition, OffsetAndMetadata]:
        deadline = time.monotonic() + _COORDINATOR_S
        while True:
            try:
                committed: dict[TopicPartition, OffsetAndMetadata] = self._admin.list_group_offsets({group: places})[
                    group
                ]
            except KafkaError as error:
                # Where a group is new or its broker gone, a coordinator is still to be chosen.
                if not error.retriable or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return committed

    def trim(self, before_ms: int) -> int:
        """Delete records older than ``before_ms`` (Unix ms) from the topics that keep them as long as the log."""
        with self._asking():
            return sum(
                self._trim(self._settings.topic(topic.name), before_ms)
                for topic in self._settings.topics
                if topic.retention is None
            )

    def _trim(self, topic: str, before_ms: int) -> int:
        places = self._places(topic)
        # The ends first: what comes in between is too young in any case.
        ends = self._offsets(places, OffsetSpec.LATEST)
        begins, young = self._offsets(places, OffsetSpec.EARLIEST), self._offsets(places, before_ms)
        until = {place: young[place] if young[place] >= 0 else ends[place] for place in places}
        until = {place: offset for place, offset in until.items() if offset > begins[place]}
        if until:
            self._admin.delete_records(until)
        return sum(offset - begins[place] for place, offset in until.items())
