"""``manage.py capacity``: the sizing table for a given demand (docs/operations.md)."""

import dataclasses
import json
from argparse import ArgumentParser
from typing import Any, Final

from django.core.management import CommandError
from django.core.management.base import BaseCommand

from messaging.domain.capacity import GB, TB, Demand, Prices, Sizing, size

MB: Final = 10**6
PB: Final = 10**15

_HELP: Final = {
    "connections": "sockets open at once",
    "messages_per_day": "messages a day",
    "bytes_per_message": "bytes stored of a message",
    "peak_factor": "peak over mean",
    "fan_out": "deliveries per message",
    "offline_share": "part of the messages whose recipient is away",
    "connections_per_pod": "sockets one gateway pod holds",
    "kib_per_connection": "KiB of memory of an idle socket",
    "messages_per_router": "messages/s one router process handles",
    "messages_per_partition": "messages/s one partition takes",
    "partitions_per_broker": "partition replicas one broker carries",
    "log_days": "days the log keeps",
    "replicas": "copies in log and store",
    "hot_days": "days on fast disks",
    "years": "years messages are kept",
    "dedupe_minutes": "minutes Redis remembers a dedupe key (CHAT_DEDUPE_CACHE_S)",
}


def _rows(sizing: Sizing) -> list[tuple[str, str]]:
    return [
        ("messages, mean", f"{sizing.mean_messages:,.0f}/s"),
        ("messages, peak", f"{sizing.peak_messages:,.0f}/s"),
        ("deliveries, mean", f"{sizing.mean_deliveries:,.0f}/s"),
        ("pushes, mean", f"{sizing.mean_pushes:,.0f}/s"),
        ("gateway pods", f"{sizing.gateway_pods:,}"),
        ("memory of a pod's connections", f"{sizing.pod_memory / MB:,.0f} MB"),
        ("router processes", f"{sizing.router_pods:,}"),
        ("partitions of the topic messages", f"{sizing.partitions:,}"),
        ("Kafka brokers", f"{sizing.brokers:,}"),
        ("log on disk, all copies", f"{sizing.log_bytes / TB:,.0f} TB"),
        ("Redis memory, both copies", f"{sizing.redis_bytes / GB:,.1f} GB"),
        ("new messages a day", f"{sizing.bytes_per_day / TB:,.1f} TB"),
        ("new messages a year", f"{sizing.bytes_per_year / PB:,.1f} PB"),
        ("messages kept in the end", f"{sizing.bytes_kept / PB:,.1f} PB"),
        ("hot store, all copies", f"{sizing.hot_bytes / TB:,.0f} TB"),
        ("cold store after a year", f"{sizing.cold_bytes / TB:,.0f} TB"),
        *((f"cost: {name}", f"{amount:,.0f}/month") for name, amount in sizing.monthly_cost.items()),
        ("cost: one region", f"{sizing.monthly_total:,.0f}/month"),
    ]


class Command(BaseCommand):
    """Print what a demand takes: connections, pods, partitions, storage, cost."""

    help = "Compute pods, partitions, storage and cost of a demand. Without options: 10 million connections."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take every figure of the demand, and every price as ``--price-…``."""
        for shape, prefix in ((Demand, "--"), (Prices, "--price-")):
            for field in dataclasses.fields(shape):
                if field.name == "prices":
                    continue
                parser.add_argument(
                    prefix + field.name.replace("_", "-"),
                    type=field.type if isinstance(field.type, type) else float,
                    default=field.default,
                    dest=(prefix + field.name).lstrip("-").replace("-", "_"),
                    help=f"{_HELP.get(field.name, 'a month')} (default: {field.default:,})",
                )
        parser.add_argument("--json", action="store_true", help="Print JSON: demand and sizing.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Compute and print."""
        prices = Prices(**{field.name: options[f"price_{field.name}"] for field in dataclasses.fields(Prices)})
        given = {field.name: options[field.name] for field in dataclasses.fields(Demand) if field.name != "prices"}
        demand = Demand(**given, prices=prices)
        try:
            sizing = size(demand)
        except ValueError as error:
            raise CommandError(str(error)) from None
        if options["json"]:
            self.stdout.write(
                json.dumps({"demand": dataclasses.asdict(demand), "sizing": dataclasses.asdict(sizing)}, indent=2)
            )
            return
        width = max(len(name) for name, _ in _rows(sizing))
        for name, value in _rows(sizing):
            self.stdout.write(f"{name:<{width}}  {value:>18}")
