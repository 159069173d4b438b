"""The capacity arithmetic: from what people do to pods, partitions, storage and money (docs/operations.md).

Pure numbers. The defaults are those of the design exercise this system answers; replace them by what
``bench/`` measured on your machines and by what your provider charges.
"""

from dataclasses import dataclass, field
from math import ceil
from typing import Final

DAY_S: Final = 86_400
KIB: Final = 1024


@dataclass(frozen=True, slots=True)
class Prices:
    """What one unit costs a month, in one currency; a terabyte as stored, one of its copies."""

    gateway_pod: float = 150.0
    router_pod: float = 100.0
    kafka_broker: float = 500.0
    redis_gb: float = 24.0
    hot_tb: float = 10.0
    cold_tb: float = 2.0
    million_pushes: float = 0.0067


@dataclass(frozen=True, slots=True)
class Demand:
    """What the system has to carry, and what one unit of it carries."""

    connections: int = 10_000_000
    messages_per_day: int = 50_000_000_000
    #: Text, metadata and the index's overhead.
    bytes_per_message: int = 500
    #: Peak hour over daily mean.
    peak_factor: float = 3.0
    #: Deliveries per message: 1.2 where nearly all is between two, 10 with many groups.
    fan_out: float = 1.2
    #: Part of the messages whose recipient is away.
    offline_share: float = 0.3
    connections_per_pod: int = 50_000
    #: Memory of one idle connection: TLS, buffers and the user's state.
    kib_per_connection: float = 10.0
    #: Messages per second that one router process stores and fans out.
    messages_per_router: int = 35_000
    #: Messages per second that one partition takes with its replicas.
    messages_per_partition: int = 2_000
    partitions_per_broker: int = 100
    log_days: int = 7
    #: Copies in the log, and in the store of each region.
    replicas: int = 3
    #: Days on fast disks; older messages are compressed and moved.
    hot_days: int = 90
    #: How long messages are kept.
    years: int = 7
    #: How long Redis remembers where a message's dedupe key stands (CHAT_DEDUPE_CACHE_S); the store remembers for
    #: seven days.
    dedupe_minutes: int = 60
    prices: Prices = field(default_factory=Prices)


@dataclass(frozen=True, slots=True)
class Sizing:
    """What it takes. Rates per second; sizes in bytes, of one copy unless said otherwise; cost a month in year one."""

    mean_messages: float
    peak_messages: float
    mean_deliveries: float
    mean_pushes: float
    gateway_pods: int
    pod_memory: float
    router_pods: int
    partitions: int
    brokers: int
    #: With all replicas.
    log_bytes: float
    bytes_per_day: float
    bytes_per_year: float
    bytes_kept: float
    #: The newest days, with all replicas.
    hot_bytes: float
    #: The rest of the first year, one copy.
    cold_bytes: float
    #: Connections and dedupe keys, with one replica.
    redis_bytes: float
    monthly_cost: dict[str, float]

    @property
    def monthly_total(self) -> float:
        """Return the sum of one region's costs."""
        return sum(self.monthly_cost.values())


#: Bytes in Redis of a connection (user, pod, id, time, and the hash around them) and of a dedupe key with its place.
_CONNECTION_BYTES: Final = 250
_DEDUPE_BYTES: Final = 100
_REDIS_COPIES: Final = 2
_DIVISORS: Final = (
    "connections_per_pod",
    "messages_per_router",
    "messages_per_partition",
    "partitions_per_broker",
    "replicas",
)
GB: Final = 10**9
TB: Final = 10**12


def size(demand: Demand) -> Sizing:
    """Return what ``demand`` takes.

    Raises:
        ValueError: a figure is negative, or zero where that has no meaning.
    """
    for name in _DIVISORS:
        if getattr(demand, name) <= 0:
            raise ValueError(f"{name} must be positive")
    negative = [name for name in demand.__dataclass_fields__ if name != "prices" and getattr(demand, name) < 0]
    if negative:
        raise ValueError(f"{negative[0]} must not be negative")
    mean = demand.messages_per_day / DAY_S
    peak = mean * demand.peak_factor
    per_day = float(demand.messages_per_day * demand.bytes_per_message)
    gateway_pods = ceil(demand.connections / demand.connections_per_pod)
    router_pods = ceil(peak / demand.messages_per_router)
    partitions = ceil(peak / demand.messages_per_partition)
    brokers = max(demand.replicas, ceil(partitions * demand.replicas / demand.partitions_per_broker))
    hot = per_day * demand.hot_days * demand.replicas
    cold = per_day * max(0, 365 - demand.hot_days)
    dedupe = mean * demand.dedupe_minutes * 60 * _DEDUPE_BYTES
    redis = _REDIS_COPIES * (demand.connections * _CONNECTION_BYTES + dedupe)
    pushes = mean * demand.offline_share
    prices = demand.prices
    return Sizing(
        mean_messages=mean,
        peak_messages=peak,
        mean_deliveries=mean * demand.fan_out,
        mean_pushes=pushes,
        gateway_pods=gateway_pods,
        pod_memory=demand.connections_per_pod * demand.kib_per_connection * KIB,
        router_pods=router_pods,
        partitions=partitions,
        brokers=brokers,
        log_bytes=per_day * demand.log_days * demand.replicas,
        bytes_per_day=per_day,
        bytes_per_year=per_day * 365,
        bytes_kept=per_day * 365 * demand.years,
        hot_bytes=hot,
        cold_bytes=cold,
        redis_bytes=redis,
        monthly_cost={
            "gateway pods": gateway_pods * prices.gateway_pod,
            "router pods": router_pods * prices.router_pod,
            "Kafka brokers": brokers * prices.kafka_broker,
            "Redis": redis / GB * prices.redis_gb,
            "messages, hot": hot / TB * prices.hot_tb,
            "messages, cold": cold / TB * prices.cold_tb,
            "push": pushes * DAY_S * 30 / 10**6 * prices.million_pushes,
        },
    )
