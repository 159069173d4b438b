"""Numbers of a worker's children, which have no port: each leaves them in a file after every job (docs/decisions/0027).

::

    worker ──fork──▶ child   counts what its jobs count, and writes what has come since the fork
       ▲               │
       └──── folder ◀──┘     the worker adds up the files of all its children, also of those that are gone
"""

import os
import time
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import Final

import msgspec
from prometheus_client import REGISTRY, CollectorRegistry, Metric
from prometheus_client.registry import Collector

_PREFIX: Final = "chat_"
#: Family, name of the sample, its labels.
_Series = tuple[str, str, tuple[tuple[str, str], ...]]
#: A series, what came of it since the fork (of a gauge: its value), and when that changed last (Unix ns).
_Left = tuple[_Series, float, int]
_files = msgspec.msgpack.Decoder(list[_Left])


def _samples(registry: CollectorRegistry) -> Iterator[tuple[_Series, str, float]]:
    """Yield our series, the type and the value of each."""
    for family in registry.collect():
        if family.name.startswith(_PREFIX):
            for sample in family.samples:
                if not sample.name.endswith("_created"):
                    yield (family.name, sample.name, tuple(sorted(sample.labels.items()))), family.type, sample.value


class ChildMetrics:
    """The child's side. Made in the child, after the fork: what the worker had counted until then is the worker's."""

    def __init__(self, folder: Path, *, registry: CollectorRegistry = REGISTRY) -> None:
        self._registry = registry
        self._at_fork = {series: value for series, _, value in _samples(registry)}
        self._left: dict[_Series, _Left] = {}
        # Two children of one process id must not share a file: the first one's numbers still count.
        self._file = folder / f"{os.getpid()}-{time.time_ns()}"

    def leave(self) -> None:
        """Write what has been counted since the fork, and the gauges that have changed."""
        now = time.time_ns()
        for series, kind, value in _samples(self._registry):
            at_fork = self._at_fork.get(series, 0.0)
            left = self._left.get(series)
            is_gauge = kind == "gauge"
            before = (at_fork if is_gauge else 0.0) if left is None else left[1]
            since = value if is_gauge else value - at_fork
            if since != before:
                self._left[series] = series, since, now
        draft = self._file.with_suffix(".draft")
        draft.write_bytes(msgspec.msgpack.encode(list(self._left.values())))
        draft.rename(self._file)


class WithChildren(Collector):
    """The worker's side: its own numbers and its children's as one. Of a gauge the value that changed last counts."""

    def __init__(self, folder: Path, *, registry: CollectorRegistry = REGISTRY) -> None:
        self._folder = folder
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics, as Prometheus' client asks for them; from any thread."""
        theirs = self._theirs()
        for family in self._registry.collect():
            merged = Metric(family.name, family.documentation, family.type, family.unit)
            left = theirs.pop(family.name, {})
            for sample in family.samples:
                value = left.pop((sample.name, tuple(sorted(sample.labels.items()))), None)
                if value is None:
                    merged.samples.append(sample)
                else:
                    total = value if family.type == "gauge" else sample.value + value
                    merged.add_sample(sample.name, sample.labels, total)
            for (name, labels), value in left.items():
                merged.add_sample(name, dict(labels), value)
            yield merged

    def _theirs(self) -> dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]]:
        """Return what the children have, by family: counts added up, and of each gauge the newest."""
        gauges = {family.name for family in self._registry.collect() if family.type == "gauge"}
        files = [file for file in self._folder.iterdir() if file.suffix != ".draft"]
        left = [it for file in files for it in _files.decode(file.read_bytes())]
        found: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
        for (family, name, labels), value, _ in sorted(left, key=itemgetter(2)):
            series = found.setdefault(family, {})
            series[name, labels] = value if family in gauges else series.get((name, labels), 0.0) + value
        return found
