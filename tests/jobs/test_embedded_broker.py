"""The broker made of files: nothing half-written, nothing lost when the worker is killed."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from kombu import Connection, Exchange, Queue

from messaging.adapters.embedded.jobs import Transport, broker_options, requeue_running


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Any]:
    made = Connection(
        "embedded://localhost",
        transport="messaging.adapters.embedded.jobs:Transport",
        transport_options=broker_options(tmp_path),
    )
    yield made
    made.close()
    # kombu remembers per process which queues it has bound; the next test has another folder.
    Transport.global_state.clear()


def put(connection: Any, text: str) -> None:
    queue = connection.SimpleQueue("jobs")
    queue.put({"text": text}, serializer="json")
    queue.close()


def test_jobs_come_in_the_order_they_were_put(connection: Any, tmp_path: Path) -> None:
    for number in range(5):
        put(connection, str(number))
    queue = connection.SimpleQueue("jobs")
    got = []
    for _ in range(5):
        message = queue.get(timeout=5)
        got.append(message.payload["text"])
        message.ack()
    # Within one millisecond the order is open; jobs promise none.
    assert sorted(got) == list("01234")
    assert not list((tmp_path / "running").iterdir())
    assert not list((tmp_path / "waiting").iterdir())


def test_a_busy_worker_looks_again_soon(connection: Any) -> None:
    """One job at a time, each done a moment after it was taken: between two the worker finds nothing it may take."""
    for number in range(6):
        put(connection, str(number))
    done: list[str] = []
    timers: list[threading.Timer] = []

    def work(body: Any, message: Any) -> None:
        timers.append(threading.Timer(0.01, lambda: (message.ack(), done.append(body["text"]))))
        timers[-1].start()

    queue = Queue("jobs", Exchange("jobs"), routing_key="jobs")
    began = time.monotonic()
    with connection.Consumer(queue, callbacks=[work], accept=["json"]) as consumer:
        consumer.qos(prefetch_count=1)
        while len(timers) < 6:
            connection.drain_events(timeout=5)
    for timer in timers:
        timer.join()
    assert sorted(done) == list("012345")
    assert time.monotonic() - began < 4, "kombu's own pace is a second between two"


def test_a_draft_is_never_taken_for_a_job(connection: Any, tmp_path: Path) -> None:
    (tmp_path / "waiting" / "00000000000001_x.jobs.msg.draft").write_text("")
    queue = connection.SimpleQueue("jobs")
    with pytest.raises(Empty):
        queue.get(block=False)


def test_a_killed_workers_job_is_taken_up_again(connection: Any, tmp_path: Path) -> None:
    put(connection, "precious")
    killed = Connection(
        "embedded://localhost",
        transport="messaging.adapters.embedded.jobs:Transport",
        transport_options=broker_options(tmp_path),
    )
    channel = killed.channel()
    # As far as a worker gets that is killed: taken, not acknowledged, no orderly end.
    assert channel._get("jobs")["properties"]["delivery_tag"]
    queue = connection.SimpleQueue("jobs")
    with pytest.raises(Empty):
        queue.get(block=False)

    assert requeue_running(tmp_path) == 1
    message = queue.get(timeout=5)
    assert message.payload == {"text": "precious"}
    message.ack()
    assert requeue_running(tmp_path) == 0
    killed.close()


def test_an_orderly_end_puts_the_job_back_once(connection: Any, tmp_path: Path) -> None:
    put(connection, "again")
    ending = Connection(
        "embedded://localhost",
        transport="messaging.adapters.embedded.jobs:Transport",
        transport_options=broker_options(tmp_path),
    )
    ending.SimpleQueue("jobs").get(timeout=5)
    ending.close()
    assert requeue_running(tmp_path) == 0
    queue = connection.SimpleQueue("jobs")
    queue.get(timeout=5).ack()
    with pytest.raises(Empty):
        queue.get(block=False)
