"""The numbers: all of them are documented, none has a label without bound, and every process shows its own."""

import asyncio
import os
import pkgutil
import re
import signal
import socket
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.test import Client
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

from chatproject import metrics, runtime
from messaging.adapters.log_metrics import Lag
from tests.servers.base import free_port

#: Each of these is one of a few, or of as many as there are partitions.
LABELS = frozenset(
    (
        "by",
        "code",
        "door",
        "engine",
        "error",
        "group",
        "kind",
        "partition",
        "provider",
        "reason",
        "result",
        "source",
        "state",
        "task",
        "topic",
        "what",
    )
)


def ours() -> dict[str, MetricWrapperBase]:
    """Return every metric that the program defines, by the name that Prometheus has for it."""
    found: dict[str, MetricWrapperBase] = {}
    for package in ("chatproject", "accounts", "messaging", "push"):
        if not (Path(settings.BASE_DIR) / package).is_dir():
            continue
        for module in pkgutil.walk_packages([str(Path(settings.BASE_DIR) / package)], prefix=f"{package}."):
            if ".migrations" in module.name:
                continue
            for value in vars(import_module(module.name)).values():
                # Those with labels already chosen are parts of others.
                if isinstance(value, MetricWrapperBase) and not value._labelvalues:
                    found[value.describe()[0].name + "_total" * (value._type == "counter")] = value
    return found


def test_the_table_is_that_of_the_registry() -> None:
    wanted = []
    for name, metric in sorted(ours().items()):
        labels = ", ".join(f"`{label}`" for label in metric._labelnames)
        wanted.append(f"| `{name}` | {metric._type} | {labels} | {metric._documentation} |")
    text = (Path(settings.BASE_DIR) / "docs" / "metrics.md").read_text()
    assert [line for line in text.splitlines() if line.startswith("| `chat_")] == wanted


def test_names_follow_prometheus_and_labels_are_few() -> None:
    for name, metric in ours().items():
        assert re.fullmatch(r"chat_[a-z_]+", name), name
        assert set(metric._labelnames) <= LABELS, name
        assert not re.search(r"_(ms|millis|minutes|kb|mb)(_|$)", name), name


@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("192.0.2.7", {}, 404),
        # A proxy on this machine.
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.7"}, 404),
        ("127.0.0.1", {"Forwarded": "for=192.0.2.7"}, 404),
        ("127.0.0.1", {"X-Forwarded-Proto": "https"}, 404),
    ],
)
def test_the_site_shows_them_to_this_machine_alone(
    client: Client, address: str, headers: dict[str, str], status: int
) -> None:
    assert client.get("/metrics", REMOTE_ADDR=address, headers=headers).status_code == status


async def scrape(port: int) -> str:
    async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
        return (await http.get(f"http://127.0.0.1:{port}/metrics")).text


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("role", [runtime.ROUTER, runtime.DISPATCHER, runtime.GATEWAY])
async def test_every_role_shows_its_own_on_a_port_of_its_own(role: str, settings: Any) -> None:
    port = free_port()
    settings.ENV = replace(settings.ENV, values={**settings.ENV.values, "CHAT_METRICS_PORT": port})
    ready = asyncio.Event()
    serving = asyncio.create_task(
        runtime.serve(host="127.0.0.1", port=free_port(), roles=frozenset({role}), on_ready=ready.set)
    )
    async with asyncio.timeout(20):
        await ready.wait()
        assert "chat_pod_batches_total" in await scrape(port)
        os.kill(os.getpid(), signal.SIGTERM)
        await serving
    with pytest.raises(httpx.ConnectError):
        await scrape(port)


def test_a_port_in_use_is_one_clear_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SystemExit, match="cannot serve metrics on"):
        metrics.listen(taken.getsockname()[1])


# --- lag ------------------------------------------------------------------------------------------


def lag_of(kind: str, partition: int = 3) -> float | None:
    labels = {"topic": "lagging", "group": "some", "partition": str(partition)}
    return REGISTRY.get_sample_value(f"chat_log_lag_{kind}", labels)


def test_lag_ages_while_its_reader_holds_its_place() -> None:
    now = 100.0
    lag = Lag("lagging", "some", now=lambda: now)
    lag.read(3, first_ts_ms=99_000, last_ts_ms=99_500, next_offset=7, behind=4)
    assert (lag_of("records"), lag_of("seconds")) == (4, 1.0)
    now = 160.0
    assert lag_of("seconds") == 61.0
    lag.committed({3: 7, 4: 9})
    # More are waiting behind the last one.
    assert lag_of("seconds") == 60.5
    lag.read(3, first_ts_ms=150_000, last_ts_ms=151_000, next_offset=9, behind=2)
    # Read ahead, before the commit of what was read first.
    lag.read(3, first_ts_ms=159_000, last_ts_ms=159_000, next_offset=11, behind=0)
    assert lag_of("seconds") == 10.0
    lag.committed({3: 9})
    assert lag_of("seconds") == 1.0
    lag.committed({3: 11})
    assert (lag_of("records"), lag_of("seconds")) == (0, 0.0)
    lag.forget([3])
    assert (lag_of("records"), lag_of("seconds")) == (None, None)
