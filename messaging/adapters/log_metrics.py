"""What all logs count alike: how far their readers are behind, and records that were there before."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from prometheus_client import Counter, Gauge

LAG_RECORDS = Gauge(
    "chat_log_lag_records",
    "Records behind those that this process read last.",
    ["topic", "group", "partition"],
)
LAG_SECONDS = Gauge(
    "chat_log_lag_seconds",
    "Age of the oldest record that this process has still to deal with; 0 where it has none.",
    ["topic", "group", "partition"],
)
DEDUPE_HITS = Counter(
    "chat_log_dedupe_hits_total", "Appends of a record that was in the log before, by who knew it.", ["by"]
)


class Lag:
    """How far one reader is behind, as far as it says what it reads and commits.

    The age is computed when somebody asks, so that it grows while the reader holds its place. Written by one thread
    at a time, read from any.
    """

    def __init__(self, topic: str, group: str, *, now: Callable[[], float] = time.time) -> None:
        """``now`` gives Unix seconds."""
        self._topic = topic
        self._group = group
        self._now = now
        #: What was read and not committed, by partition: of each read, the append time (Unix ms) of its first record
        #: and the offset after its last.
        self._open: dict[int, deque[tuple[int, int]]] = {}
        #: Append time of the record read last, where there are more behind it.
        self._last: dict[int, int] = {}
        self._partitions: set[int] = set()

    def read(self, partition: int, *, first_ts_ms: int, last_ts_ms: int, next_offset: int, behind: int) -> None:
        """Note records of a partition, the offset after them, and how many are left behind them."""
        if partition not in self._partitions:
            self._partitions.add(partition)
            LAG_SECONDS.labels(self._topic, self._group, partition).set_function(partial(self._seconds, partition))
        self._open.setdefault(partition, deque()).append((first_ts_ms, next_offset))
        if behind:
            self._last[partition] = last_ts_ms
        else:
            self._last.pop(partition, None)
        LAG_RECORDS.labels(self._topic, self._group, partition).set(behind)

    def committed(self, next_offsets: Mapping[int, int]) -> None:
        """Note that what stands before these offsets is done. More may have been read by now."""
        for partition, next_offset in next_offsets.items():
            reads = self._open.get(partition)
            while reads and reads[0][1] <= next_offset:
                reads.popleft()

    def forget(self, partitions: Iterable[int]) -> None:
        """Forget partitions that are somebody else's now."""
        for partition in list(partitions):
            if partition in self._partitions:
                self._partitions.discard(partition)
                self._open.pop(partition, None)
                self._last.pop(partition, None)
                LAG_SECONDS.remove(self._topic, self._group, partition)
                LAG_RECORDS.remove(self._topic, self._group, partition)

    def close(self) -> None:
        """Forget everything."""
        self.forget(self._partitions)

    def _seconds(self, partition: int) -> float:
        reads = list(self._open.get(partition, ()))
        since_ms = reads[0][0] if reads else self._last.get(partition)
        return 0.0 if since_ms is None else max(0.0, self._now() - since_ms / 1000)
