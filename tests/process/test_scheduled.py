"""What was scheduled is sent within seconds and once, whatever is killed at that moment."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest

from tests.process.stacks import EmbeddedStack, wait_for

pytestmark = [pytest.mark.process, pytest.mark.slow]

MESSAGES: Final = 60
#: From its time to its being in the history, on a machine that does other things beside.
LATE_S: Final = 20.0


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[EmbeddedStack]:
    with EmbeddedStack(tmp_path / "data", CHAT_API_RATE="100000/min") as started:
        yield started


def test_it_is_sent_once_whatever_is_killed_meanwhile(stack: EmbeddedStack) -> None:
    people = stack.people({"ann": 1, "ben": 1})
    [ann], [ben] = people["ann"], people["ben"]
    http = httpx.Client(base_url=f"http://{stack.gateways[0]}/v1/", trust_env=False, timeout=30)

    def call(method: str, path: str, token: str, body: Any = None) -> Any:
        answer = http.request(method, path, json=body, headers={"Authorization": f"Bearer {token}"})
        answer.raise_for_status()
        return answer.json()

    conv = call("POST", "conversations", ann.token, {"type": "dm", "members": [ben.user]})["id"]

    def said() -> list[str]:
        found = call("GET", f"conversations/{conv}/messages?limit=200", ben.token)["results"]
        return [message["body"] for message in found if message["kind"] == "text"]

    def schedule(text: str, at: datetime) -> None:
        body = {"conversation": conv, "msg_id": str(uuid4()), "body": text, "send_at": at.isoformat()}
        call("POST", "scheduled", ann.token, body)

    # By itself, with nobody connected.
    at = datetime.now(UTC) + timedelta(seconds=1)
    schedule("alone", at)
    wait_for(lambda: said() == ["alone"])
    late_s = (datetime.now(UTC) - at).total_seconds()
    print(f"late by {late_s:.1f} s")
    assert late_s < LATE_S
    # And in the middle of everything.
    at = datetime.now(UTC) + timedelta(seconds=4)
    texts = {f"number {number}" for number in range(MESSAGES)}
    for text in texts:
        schedule(text, at)
    wait_for(lambda: len(said()) > 1)
    for _ in range(3):
        stack.kill(*stack.names)
        stack.restart(*stack.names)
    wait_for(lambda: len(set(said())) == 1 + MESSAGES, timeout_s=120)
    wait_for(lambda: call("GET", "scheduled", ann.token)["results"] == [], timeout_s=120)
    assert sorted(said()) == sorted(["alone", *texts])
    http.close()
