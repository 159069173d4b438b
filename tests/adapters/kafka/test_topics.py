"""The log refuses topics with which it could not keep its promises; ``manage.py topics`` makes and mends them."""

import asyncio
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from kafka.admin import ConfigResource, ConfigResourceType

from chatproject import container, runtime
from chatproject.env import load
from messaging.adapters.kafka.log import KafkaMessageLog
from messaging.adapters.kafka.settings import KafkaSettings, Topic
from messaging.adapters.kafka.topics import Topics
from messaging.ports import LogUnavailable
from tests.adapters.kafka.conftest import LEFT_SOCKETS, admin, make_topics, new_settings, record
from tests.servers.base import free_port, wait_until

pytestmark = [pytest.mark.logs_errors, LEFT_SOCKETS]
Open = Callable[[KafkaSettings], KafkaMessageLog]
Install = Callable[..., KafkaSettings]


def change(settings: KafkaSettings, topic: str = "t", **configuration: str) -> None:
    """Change a topic behind the log's back; whoever asks finds it so when this returns."""
    name = settings.topic(topic)
    wanted = {name.replace("_", "."): value for name, value in configuration.items()}
    with admin(settings) as client:

        def is_seen() -> bool:
            resource = ConfigResource(ConfigResourceType.TOPIC, name)
            found = client.describe_configs([resource], config_filter="all")["topic"][name]
            return all(found[key]["value"] == value for key, value in wanted.items())

        client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, wanted)])
        # The controller has taken it; the broker that answers learns of it after that.
        assert wait_until(is_seen, timeout_s=20.0)


def told(settings: KafkaSettings) -> list[str]:
    with Topics(settings) as topics:
        return [it.text for it in topics.differences()]


async def test_a_topic_that_does_not_exist_refuses_the_start(brokers: str, open_log: Open) -> None:
    settings = new_settings(brokers)
    log = open_log(settings)
    with pytest.raises(LogUnavailable) as caught:
        await log.start()
    assert str(caught.value) == (
        f"the topics in Kafka are not as the log needs them: {settings.prefix}t does not exist. Run `manage.py topics`."
    )
    assert not log.is_ready()


@pytest.mark.parametrize(
    ("configuration", "says"),
    [
        ({"message_timestamp_type": "CreateTime"}, "has message.timestamp.type=CreateTime, wanted LogAppendTime"),
        ({"cleanup_policy": "compact"}, "has cleanup.policy=compact, wanted delete"),
        ({"max_message_bytes": "1000"}, "has max.message.bytes=1000, wanted 1114112"),
        ({"unclean_leader_election_enable": "true"}, "has unclean.leader.election.enable=true, wanted false"),
    ],
)
async def test_a_topic_with_which_promises_would_break_refuses_the_start(
    installation: Install, open_log: Open, configuration: dict[str, str], says: str
) -> None:
    settings = installation()
    change(settings, **configuration)
    log = open_log(settings)
    with pytest.raises(LogUnavailable, match=r"Run `manage\.py topics`") as caught:
        await log.start()
    assert says in str(caught.value)


async def test_fewer_replicas_than_wanted_refuse_the_start(installation: Install, open_log: Open) -> None:
    made = installation()
    settings = KafkaSettings(made.brokers, prefix=made.prefix, partitions=4, topics=made.topics)
    with pytest.raises(LogUnavailable) as caught:
        await open_log(settings).start()
    assert "has 1 replica, wanted 3" in str(caught.value)
    assert "has min.insync.replicas=1, wanted 2" in str(caught.value)


async def test_what_costs_only_space_does_not_refuse_it(installation: Install, open_log: Open) -> None:
    settings = installation()
    change(settings, retention_ms="1000000", min_insync_replicas="2")
    assert told(settings) == ["has retention.ms=1000000, wanted 3600000"], "more replicas than wanted are as good"
    change(settings, min_insync_replicas="1")
    log = open_log(settings)
    await log.start()
    assert log.is_ready()


async def test_a_log_recovers_by_itself_when_its_topics_are_mended(installation: Install, open_log: Open) -> None:
    settings = installation()
    change(settings, message_timestamp_type="CreateTime")
    log = open_log(settings)
    with pytest.raises(LogUnavailable):
        await log.start()
    with pytest.raises(LogUnavailable, match=r"message\.timestamp\.type=CreateTime"):
        await log.append(record("too early"))
    await asyncio.to_thread(make_topics, settings)
    await log.append(record("now"))
    assert log.is_ready()
    await log.start()


def test_partitions_of_a_topic_stay_as_many_as_they_are(installation: Install) -> None:
    made = installation()
    settings = KafkaSettings(
        made.brokers,
        prefix=made.prefix,
        partitions=6,
        replication=1,
        min_isr=1,
        retention=made.retention,
        topics=made.topics,
    )
    make_topics(settings)
    assert told(settings) == ["has 4 partitions, wanted 6"]


def test_topics_are_made_as_they_have_to_be(brokers: str, installation: Install) -> None:
    settings = installation(topics=(Topic("t"), Topic("few", partitions=1)))
    assert told(settings) == []
    with admin(settings) as client:
        counts = {
            it["name"]: len(it["partitions"])
            for it in client.describe_topics([f"{settings.prefix}t", f"{settings.prefix}few"])
        }
    assert counts == {f"{settings.prefix}t": 4, f"{settings.prefix}few": 1}


# --- manage.py topics -------------------------------------------------------------------------------


@pytest.fixture
def choose(brokers: str, settings: Any) -> Iterator[Callable[..., None]]:
    """Return ``choose(**variables)``, which sets CHAT_KAFKA_ variables; the topics are deleted with the test."""
    prefix = new_settings(brokers).prefix
    usual = {"BROKERS": brokers, "PREFIX": prefix, "PARTITIONS": "2", "REPLICATION": "1", "MIN_ISR": "1"}

    def change_environment(**variables: str) -> None:
        chosen = {f"CHAT_KAFKA_{name}": value for name, value in (usual | variables).items()}
        settings.ENV = load(chosen | {"CHAT_LOG": "kafka"})

    change_environment()
    yield change_environment
    wanted = container.kafka_settings()
    with admin(wanted) as client:
        client.delete_topics([wanted.topic(topic.name) for topic in wanted.topics], raise_errors=False)


def run(**options: Any) -> tuple[list[str], str]:
    """Return what the command prints, and with what sentence it exits 1 ("" where it exits 0)."""
    out = StringIO()
    try:
        call_command("topics", stdout=out, **options)
    except CommandError as error:
        return out.getvalue().splitlines(), str(error)
    return out.getvalue().splitlines(), ""


def test_the_command_makes_checks_and_mends(choose: Callable[..., None]) -> None:
    names = ["messages", "hot", "receipts", "push", "compliance", "search", "links", "hooks", "dead"]
    wanted = container.kafka_settings()
    lines, failure = run(check=True)
    assert lines == [f"{wanted.prefix}{name} does not exist: to be done" for name in names]
    assert failure == f"{len(names)} differences left."
    assert run(check=True)[1], "a check changes nothing"

    lines, failure = run()
    assert lines == [
        *(f"{wanted.prefix}{name} does not exist: done" for name in names),
        "The topics are as they have to be.",
    ]
    assert not failure
    assert run(check=True) == (["The topics are as they have to be."], "")

    change(wanted, "dead", message_timestamp_type="CreateTime")
    assert run(check=True)[1] == "1 difference left."
    lines, failure = run()
    assert lines[0] == f"{wanted.prefix}dead has message.timestamp.type=CreateTime, wanted LogAppendTime: done"
    assert not failure
    assert run(check=True)[1] == ""


def test_the_command_fails_where_only_a_person_can_help(choose: Callable[..., None]) -> None:
    run()
    choose(PARTITIONS="3")
    lines, failure = run()
    assert all(line.endswith("has 2 partitions, wanted 3: to be done by hand") for line in lines)
    # All but the dead, which has one.
    assert len(lines) == 8
    assert failure == "8 differences left."


def test_the_command_says_what_kafka_says(choose: Callable[..., None]) -> None:
    choose(REPLICATION="9")
    _, failure = run()
    assert "could not be created" in failure
    assert "replication factor" in failure.lower()


# --- processes ----------------------------------------------------------------------------------------


def test_a_router_without_topics_ends_with_a_sentence(choose: Callable[..., None], settings: Any) -> None:
    settings.EMBEDDED = False
    with pytest.raises(CommandError, match=r"messages does not exist; .*Run `manage\.py topics`"):
        call_command("router")


async def test_a_pod_without_kafka_comes_up_and_is_not_ready(choose: Callable[..., None]) -> None:
    choose(BROKERS=f"127.0.0.1:{free_port()}")
    await runtime.start(frozenset({runtime.GATEWAY}))
    assert not runtime.is_ready()
    await runtime.stop()
    # Back to where the topics are to be deleted.
    choose()
