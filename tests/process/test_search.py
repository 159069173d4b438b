"""A message is found a moment after it was said, on ``manage.py run`` as it is; also where its worker was killed."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.process.stacks import Running, wait_for

pytestmark = pytest.mark.process

#: From the answer to a send until it is found, here.
LIMIT_S = 30.0


def test_what_is_said_is_found_whoever_dies_meanwhile(tmp_path: Path) -> None:
    running = Running(tmp_path / "data", variables={"CHAT_SEARCH_RATE": "100000/min"})
    running.wait_until_ready()
    wait_for(lambda: bool(running.workers()))
    http = httpx.Client(base_url=f"http://127.0.0.1:{running.port}/v1/", trust_env=False, timeout=30)

    def call(method: str, path: str, token: str = "", body: Any = None, **params: str) -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = http.request(method, path, json=body, headers=headers, params=params)
        answer.raise_for_status()
        return answer.json()

    def sign_up(name: str) -> tuple[str, str]:
        found = call("POST", "accounts", body={"username": name, "password": "four-wet-boots"})
        return found["user"]["id"], found["token"]

    def found(token: str, q: str) -> int:
        return len(call("GET", "search", token, q=q)["results"])

    try:
        (_, ann), (ben, bens) = sign_up("ann"), sign_up("ben")
        conv = call("POST", "conversations", ann, {"type": "dm", "members": [ben]})["id"]

        def say(text: str) -> None:
            call("POST", f"conversations/{conv}/messages", ann, {"msg_id": str(uuid4()), "body": text})

        say("a first heron")
        wait_for(lambda: found(bens, "heron") == 1, timeout_s=LIMIT_S)
        for worker in running.workers():
            worker.kill()
        for number in range(20):
            say(f"heron number {number}")
        wait_for(lambda: found(bens, "number") == 20, timeout_s=LIMIT_S)
        assert found(bens, '"heron number"') == 20
    finally:
        http.close()
        running.end()
