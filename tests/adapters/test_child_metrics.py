"""A worker shows the numbers of its children, those that are gone included, as if they were its own."""

from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from messaging.adapters.child_metrics import ChildMetrics, WithChildren


class Process:
    """The metrics of one process. A child begins with the numbers of its parent, as a fork has them."""

    def __init__(self, parent: "Process | None" = None) -> None:
        self.registry = CollectorRegistry()
        self.sent = Counter("chat_sent_total", "Sent.", ["to"], registry=self.registry)
        self.waited = Histogram("chat_wait_seconds", "Waits.", buckets=(1, 10), registry=self.registry)
        self.backlog = Gauge("chat_backlog", "Waiting.", registry=self.registry)
        self.other = Counter("python_things", "Not ours.", registry=self.registry)
        if parent is not None:
            for sample in (it for family in parent.registry.collect() for it in family.samples):
                if sample.name == "chat_sent_total":
                    self.sent.labels(**sample.labels).inc(sample.value)
            self.backlog.set(parent.value("chat_backlog"))

    def value(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


def shown(folder: Path, worker: Process) -> dict[tuple[Any, ...], float]:
    families = list(WithChildren(folder, registry=worker.registry).collect())
    assert len({family.name for family in families}) == len(families)
    found = [(it.name, *sorted(it.labels.items())) for family in families for it in family.samples]
    assert len(set(found)) == len(found)
    return {(it.name, *sorted(it.labels.items())): it.value for family in families for it in family.samples}


def test_children_are_added_to_their_worker(tmp_path: Path) -> None:
    worker = Process()
    worker.sent.labels("apns").inc(10)
    children = [Process(worker), Process(worker)]
    sides = [ChildMetrics(tmp_path, registry=child.registry) for child in children]
    worker.sent.labels("apns").inc()
    for number, (child, side) in enumerate(zip(children, sides, strict=True), start=1):
        child.sent.labels("apns").inc(number)
        child.sent.labels("fcm").inc()
        child.waited.observe(number)
        child.other.inc()
        side.leave()
    # A second job of the first child: all of it, not once more.
    children[0].waited.observe(20)
    sides[0].leave()
    numbers = shown(tmp_path, worker)
    assert numbers["chat_sent_total", ("to", "apns")] == 11 + 1 + 2
    assert numbers["chat_sent_total", ("to", "fcm")] == 2
    assert numbers[("chat_wait_seconds_count",)] == 3
    assert numbers[("chat_wait_seconds_sum",)] == 23
    assert numbers["chat_wait_seconds_bucket", ("le", "1.0")] == 1
    assert numbers["chat_wait_seconds_bucket", ("le", "+Inf")] == 3
    assert numbers[("python_things_total",)] == 0


def test_of_a_gauge_the_last_word_counts(tmp_path: Path) -> None:
    worker = Process()
    worker.backlog.set(3)
    first, second = Process(worker), Process(worker)
    sides = [ChildMetrics(tmp_path, registry=child.registry) for child in (first, second)]
    assert shown(tmp_path, worker)[("chat_backlog",)] == 3
    # The last is what it was at the fork.
    for child, side, value in ((first, 0, 7), (second, 1, 5), (first, 0, 6), (second, 1, 3)):
        child.backlog.set(value)
        sides[side].leave()
        assert shown(tmp_path, worker)[("chat_backlog",)] == value
        # Another child's job has nothing to do with it.
        sides[1 - side].leave()
        assert shown(tmp_path, worker)[("chat_backlog",)] == value


def test_a_file_that_is_being_written_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "1-1.draft").write_bytes(b"half")
    assert shown(tmp_path, Process())[("chat_backlog",)] == 0
