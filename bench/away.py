"""``python -m bench away``: from a message's writing to the browser maker's server, for people who are away.

``manage.py run`` as it is, embedded, with its worker; people whose browsers subscribed and who are not there; and one
who writes to them over a socket, in turn, each message due at a fixed time from which its time counts. The push service
is in this process.
"""

import asyncio
import os
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from clients.python.chat_client import Client

_PASSWORD: Final = "four-wet-boots"
#: How long after the last message pushes are waited for.
_PATIENCE_S: Final = 30.0


class AwayReport(msgspec.Struct, frozen=True):
    """What came of it. ``provider_ms``: from due to received by the push service (percentiles)."""

    messages: int
    arrived: int
    provider_ms: dict[str, float]


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the scenario."""
    parser.add_argument("--people", type=int, default=40, help="who are away, with a browser each")
    parser.add_argument("--rate", type=float, default=10.0, help="messages a second, all together")
    parser.add_argument("--seconds", type=int, default=30, help="for how long")
    parser.add_argument("--json", type=Path, help="write the report there, too")


def run(args: Namespace) -> int:
    """Measure, print and return the exit code: 1 where a push was lost."""
    import django

    with tempfile.TemporaryDirectory(prefix="bench-away-") as folder:
        os.environ |= {"DJANGO_SETTINGS_MODULE": "chatproject.settings", "CHAT_DATA_DIR": f"{folder}/own"}
        django.setup()
        report = _measure(Path(folder), args)
    print(f"{'messages':12}{report.messages:>8,}\n{'arrived':12}{report.arrived:>8,}")
    for name, value in report.provider_ms.items():
        print(f"{name + ' ms':12}{value:>8,}")
    if args.json is not None:
        args.json.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    return 0 if report.arrived == report.messages else 1


def _measure(folder: Path, args: Namespace) -> AwayReport:
    from push.vapid import new_private_key
    from tests.process.stacks import Running, wait_for
    from tests.push.servers import PushService, closing

    vapid = new_private_key()
    with closing(lambda: PushService(vapid)) as service:
        variables = {
            "CHAT_VAPID_PRIVATE_KEY": vapid,
            "CHAT_PUSH_HOSTS": f"127.0.0.1:{service.port}",
            "CHAT_SIGNUP_RATE": "100000/hour",
            "CHAT_SEND_RATE": "10000",
            "CHAT_LOG_LEVEL": "WARNING",
        }
        running = Running(folder / "data", variables=variables)
        try:
            running.wait_until_ready()
            wait_for(lambda: bool(running.workers()))
            with httpx.Client(base_url=f"http://127.0.0.1:{running.port}/v1/", trust_env=False, timeout=30) as http:
                token, talks = _people(http, service, args.people)
            # The worker loads the providers' libraries with the first push.
            asyncio.run(_write(running.port, token, talks[:1], per_s=1.0, count=1))
            service.wait(1, timeout_s=_PATIENCE_S)
            due = asyncio.run(_write(running.port, token, talks, per_s=args.rate, count=int(args.rate * args.seconds)))
            deadline = time.monotonic() + _PATIENCE_S
            while len(delays := _delays(service.got[1:], due)) < len(due) and time.monotonic() < deadline:
                time.sleep(0.1)
        finally:
            running.end()
    return AwayReport(
        messages=len(due),
        arrived=len(delays),
        provider_ms={f"p{part}": round(1000 * delays[len(delays) * part // 100], 1) for part in (50, 99)},
    )


def _people(http: httpx.Client, service: Any, count: int) -> tuple[str, list[str]]:
    """Return the writer's token, and the conversations with people whose browsers wait for pushes."""

    def call(method: str, path: str, body: Any, token: str = "") -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = http.request(method, path, json=body, headers=headers)
        answer.raise_for_status()
        return answer.json()

    def sign_up(name: str) -> Any:
        return call("POST", "accounts", {"username": name, "password": _PASSWORD})

    writer = sign_up("writer")
    talks = []
    for number in range(count):
        reader, browser = sign_up(f"reader{number}"), service.browser()
        subscription = {"provider": "webpush", "endpoint": browser.endpoint, "keys": browser.keys}
        call("PUT", f"devices/{reader['device']['id']}/push", subscription, reader["token"])
        members = {"type": "dm", "members": [reader["user"]["id"]]}
        talks.append(str(call("POST", "conversations", members, writer["token"])["id"]))
    return str(writer["token"]), talks


async def _write(
    port: int, token: str, talks: Sequence[str], *, per_s: float, count: int
) -> list[tuple[str, int, float]]:
    """Write to the conversations in turn; return (conversation, number, when due) of each, once all are acked."""
    due: list[tuple[str, int, float]] = []
    async with asyncio.timeout(count / per_s + _PATIENCE_S), Client([f"http://127.0.0.1:{port}"], token) as writer:
        await writer.until(lambda: writer.up)
        began = time.time()
        written = []
        for number in range(count):
            conv, at = talks[number % len(talks)], began + number / per_s
            await asyncio.sleep(at - time.time())
            written.append(await writer.send(conv, str(number)))
            due.append((conv, number, at))
        await writer.settled(*written)
    return due


def _delays(got: Sequence[Any], due: Sequence[tuple[str, int, float]]) -> list[float]:
    """Return, sorted, how long (s) each took that arrived; a later one of its conversation may have taken its place."""
    arrived: dict[str, list[tuple[int, float]]] = {}
    for one in got:
        arrived.setdefault(one.body["conv"], []).append((int(one.body["body"]), one.at))
    found = []
    for conv, number, at in due:
        times = [when for said, when in arrived.get(conv, ()) if said >= number]
        if times:
            found.append(min(times) - at)
    return sorted(found)
