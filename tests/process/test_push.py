"""A message to somebody who is away, from the socket to the browser maker's server, on ``manage.py run`` as it is."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from websockets.asyncio.client import connect

from push.vapid import new_private_key
from tests.process.stacks import Running, wait_for
from tests.push.servers import Browser, PushService, closing
from tests.servers.redis import RedisServer

pytestmark = pytest.mark.process

#: From the ack to the push service, for whoever is away (the 99th percentile; here of a few).
LIMIT_S = 5.0


class Installation:
    """``manage.py run`` with a worker, and a push service that it may call."""

    def __init__(self, folder: Path, service: PushService, vapid: str, jobs: dict[str, str]) -> None:
        self.service = service
        variables = jobs | {
            "CHAT_VAPID_PRIVATE_KEY": vapid,
            "CHAT_PUSH_HOSTS": f"127.0.0.1:{service.port}",
            "CHAT_LOG_LEVEL": "INFO",
        }
        self.running = Running(folder / "data", variables=variables)
        self.running.wait_until_ready()
        wait_for(lambda: bool(self.running.workers()))
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.running.port}/v1/", trust_env=False, timeout=30)

    def call(self, method: str, path: str, token: str = "", body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = self.http.request(method, path, json=body, headers=headers)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def sign_up(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("POST", "accounts", body={"username": name, "password": "four-wet-boots"})
        return found

    def browser(self, account: dict[str, Any]) -> Browser:
        """Let the account's device get pushes; return the browser."""
        browser = self.service.browser()
        body = {"provider": "webpush", "endpoint": browser.endpoint, "keys": browser.keys}
        self.call("PUT", f"devices/{account['device']['id']}/push", account["token"], body)
        return browser

    def end(self) -> None:
        self.http.close()
        self.running.end()


@pytest.fixture(params=["embedded", "redis"])
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    """Return it with jobs in threads of one process, and in children of a worker that others may stand beside."""
    vapid = new_private_key()
    jobs = {"CHAT_JOBS": request.param}
    if request.param == "redis":
        server = request.getfixturevalue("own_service")(RedisServer)
        jobs["CHAT_REDIS_URL"] = server.environment()["CHAT_REDIS_URL"]
    with closing(lambda: PushService(vapid)) as service:
        installed = Installation(tmp_path, service, vapid, jobs)
        yield installed
        installed.end()


async def say(
    installation: Installation, account: dict[str, Any], conv: str, text: str, **more: Any
) -> tuple[float, str]:
    """Send over a socket; return when the ack came (Unix seconds), and the message's id."""
    url = f"ws://127.0.0.1:{installation.running.port}/ws"
    headers = {"Authorization": f"Bearer {account['token']}"}
    async with asyncio.timeout(20), connect(url, additional_headers=headers, proxy=None) as socket:
        await socket.send(json.dumps({"op": "send", "msg_id": str(uuid4()), "conv": conv, "body": text, **more}))
        async for raw in socket:
            frame = json.loads(raw)
            if frame["op"] == "ack":
                return time.time(), frame["server_id"]
    raise AssertionError("no ack")


def test_a_message_to_somebody_away_arrives_in_time_and_goes_when_it_is_read(installation: Installation) -> None:
    ann, bob = installation.sign_up("ann"), installation.sign_up("bob")
    phone = installation.browser(bob)
    tablet = installation.call("POST", "tokens", body={"username": "bob", "password": "four-wet-boots"})
    other = installation.browser(tablet)
    conv = installation.call("POST", "conversations", ann["token"], {"type": "dm", "members": [bob["user"]["id"]]})[
        "id"
    ]
    # The first push loads the providers' libraries, which takes a worker a second or two.
    installation.call("POST", f"devices/{bob['device']['id']}/push/test", bob["token"])
    service = installation.service
    assert service.wait(1, timeout_s=30)[0].token == phone.id
    delays = []
    for number in range(3):
        before = len(service.got)
        acked, server_id = asyncio.run(say(installation, ann, conv, f"number {number}"))
        got = service.wait(before + 2, timeout_s=30)[before:]
        assert {it.token for it in got} == {phone.id, other.id}
        for it in got:
            assert (it.body["title"], it.body["body"], it.body["conv"]) == ("ann", f"number {number}", conv)
            assert it.body["server_id"] == server_id
            delays.append(it.at - acked)
    assert max(delays) <= LIMIT_S, delays
    before = len(service.got)
    installation.call("PUT", f"conversations/{conv}/read", bob["token"], {"server_id": server_id})
    [withdrawn] = service.wait(before + 1, timeout_s=30)[before:]
    assert (withdrawn.token, withdrawn.body["read"], withdrawn.body["badge"]) == (other.id, server_id, 0)
    muted = {"until": "9999-12-31T00:00:00Z"}
    installation.call("PUT", f"conversations/{conv}/mute", bob["token"], muted)
    before = len(service.got)
    asyncio.run(say(installation, ann, conv, "muted"))
    asyncio.run(say(installation, ann, conv, "@bob!", mentions=[bob["user"]["id"]]))
    got = service.wait(before + 2, timeout_s=30)[before:]
    assert [it.body["body"] for it in got] == ["@bob!"] * 2, "a mention gets through a mute"
    shown = installation.call("GET", f"devices/{tablet['device']['id']}/push", tablet["token"])
    assert shown["last_success_at"]
    output = installation.running.output
    assert "Traceback" not in output
    assert phone.id not in output, "no address in a log"
    assert "number 0" not in output
