"""The commands of the README, as written, but for the address and the person: there is no demo here."""

import json
import re
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.conf import settings
from websockets.sync.client import connect

from tests.e2e.conftest import PASSWORD
from tests.e2e.pages import name

if TYPE_CHECKING:
    from tests.e2e.conftest import Server


def test_the_tour_of_the_readme_works_as_written(server: "Server", account: Callable[[str], Any]) -> None:
    ann, bob = account(name("ann")), account(name("bob"))
    conv = ann.begin(bob.id)
    readme = (settings.BASE_DIR / "README.md").read_text()
    tour = readme.split("## Five minutes around it")[1].split("\n## ")[0]
    curl, socket = re.findall(r"```sh\n(.*?)```", tour, re.DOTALL)
    make_message, wscat = socket.strip().split("\n")
    curl = curl.replace("http://127.0.0.1:8000", server.url).replace('"bob"', f'"{bob.username}"')
    curl = curl.replace("chat-demo-1", PASSWORD)
    show = 'echo; echo "$TOKEN"; echo ws${HOST#http}/ws'
    assert show.split("echo ")[-1] in wscat
    ran = subprocess.run(
        ["/bin/sh", "-euc", f"{curl}\n{show}\n{make_message}"], capture_output=True, text=True, check=True, timeout=60
    )
    token, address, message = ran.stdout.strip().split("\n")[-3:]
    assert [one["body"] for one in ann.call("GET", f"conversations/{conv}/messages?limit=1")["results"]] == [
        "Hello from curl"
    ]

    with connect(address, subprotocols=["chat.v1.json"], additional_headers={"Authorization": f"Bearer {token}"}) as ws:

        def answer() -> Any:
            return json.loads(ws.recv(timeout=20))

        assert answer()["op"] == "ready"
        ws.send(message)
        first, echo = answer(), answer()
        assert (first["op"], echo["op"]) == ("ack", "msg")
        assert (echo["body"], echo["server_id"]) == ("Hello from a socket", first["server_id"])
        ws.send(message)
        assert answer()["server_id"] == first["server_id"]
        ws.send('{"op":"ping"}')
        assert answer()["op"] == "pong"
