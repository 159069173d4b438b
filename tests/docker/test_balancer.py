"""docker/haproxy.cfg, in a real HAProxy before two real gateways."""

import json
import os
import signal
import sys
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from chatproject.env import VARIABLES
from tests.servers.base import Server, wait_until
from tests.servers.haproxy import HaproxyServer

pytestmark = [pytest.mark.process, pytest.mark.slow]

Start = Callable[[Callable[[Path], Any]], Any]


def ask(port: int, method: str, path: str, body: object = None, **headers: str) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    sent = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    connection.request(method, path, json.dumps(body) if body else None, sent)
    answer = connection.getresponse()
    status, content = answer.status, answer.read()
    connection.close()
    return status, content


class Pod(Server):
    """A gateway on embedded engines."""

    name = "pod"

    def install(self) -> None:
        pass

    def command(self) -> tuple[list[str], dict[str, str]]:
        ours = {variable.name: variable.default for variable in VARIABLES if variable.name in os.environ}
        arguments = ["run", "--no-worker", "--port", str(self.port())]
        command = [sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments]
        return command, {**ours, "CHAT_DATA_DIR": str(self.directory / "data")}

    def answers(self) -> bool:
        try:
            return ask(self.port(), "GET", "/readyz")[0] == 200
        except OSError:
            return False

    def environment(self) -> dict[str, str]:
        return {}


@pytest.fixture
def pods(own_service: Start) -> list[Pod]:
    return [own_service(Pod), own_service(Pod)]


@pytest.fixture
def balancer(own_service: Start, pods: list[Pod]) -> HaproxyServer:
    started = own_service(lambda directory: HaproxyServer(directory, pods=[pod.port() for pod in pods]))
    assert isinstance(started, HaproxyServer)
    return started


def test_numbers_are_not_for_the_world(balancer: HaproxyServer, pods: list[Pod]) -> None:
    assert ask(pods[0].port(), "GET", "/metrics")[0] == 200
    assert ask(balancer.port(), "GET", "/healthz")[0] == 200
    for path in ("/metrics", "/metrics?x", "/metrics/", "//metrics", "/%6detrics"):
        assert ask(balancer.port(), "GET", path) == (404, b"not found"), path


def test_a_killed_pod_is_not_noticed_by_requests(balancer: HaproxyServer, pods: list[Pod]) -> None:
    pods[0].kill()
    assert [ask(balancer.port(), "GET", "/healthz")[0] for _ in range(20)] == [200] * 20


def test_sockets_pass_and_a_draining_pod_gets_no_new_ones(balancer: HaproxyServer, pods: list[Pod]) -> None:
    pods[1].kill()
    account = {"username": "nina", "password": "four-wet-boots"}
    status, content = ask(balancer.port(), "POST", "/v1/accounts", account)
    assert status == 201, content
    with connect(
        f"ws://127.0.0.1:{balancer.port()}/ws",
        subprotocols=[Subprotocol("chat.v1.json")],
        additional_headers={"Authorization": f"Bearer {json.loads(content)['token']}"},
        proxy=None,
    ) as socket:
        assert json.loads(socket.recv(timeout=10))["op"] == "ready"
        pid = pods[0].pid()
        assert pid is not None
        os.kill(pid, signal.SIGTERM)
        assert json.loads(socket.recv(timeout=10))["op"] == "drain"
    assert wait_until(lambda: ask(balancer.port(), "GET", "/readyz")[0] == 503, timeout_s=10)


def test_the_requests_of_a_session_go_to_the_pod_that_has_it(balancer: HaproxyServer, pods: list[Pod]) -> None:
    status, content = ask(pods[0].port(), "POST", "/v1/accounts", {"username": "olga", "password": "four-wet-boots"})
    assert status == 201, content
    bearer = f"Bearer {json.loads(content)['token']}"
    met = []
    for number in range(6):
        # Only the first pod knows the token, so that the answer says which one was asked.
        name = f"session-of-the-test-{number}"
        answers = {
            ask(balancer.port(), "POST", "/v1/poll", {"open": True}, Authorization=bearer, Chat_Session=name)[0]
            for _ in range(4)
        }
        assert len(answers) == 1, answers
        met += answers
    assert set(met) == {204, 401}
