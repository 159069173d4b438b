"""Requests to addresses that users give: what is connected to is what was checked, and it is never of this network."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from messaging.hooks.outbound import Failed, Outbound, allowed, is_public
from messaging.outbound import Refused
from tests.hooks.receiver import Answer, Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    made.secret = "whsec_AAAA"
    yield made
    made.close()


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True), ("2606:4700::1111", True),
        ("127.0.0.1", False), ("10.1.2.3", False), ("172.16.0.1", False), ("192.168.1.1", False), ("0.0.0.0", False),
        ("169.254.169.254", False), ("100.64.0.1", False), ("224.0.0.1", False), ("255.255.255.255", False),
        ("::1", False), ("::", False), ("fe80::1%eth0", False), ("fc00::1", False), ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True), ("64:ff9b::7f00:1", False), ("2002:7f00:1::", False), ("2001:0:1::1", False),
        ("ff02::1", False),
    ],
)  # fmt: skip
def test_which_addresses_are_the_worlds(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_whom_the_operator_trusts() -> None:
    assert allowed("ci.lan", ["ci.lan"])
    assert allowed("a.lan", [".lan"])
    assert not allowed("lan", [".lan"])
    assert not allowed("evil-ci.lan", ["ci.lan"])


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Have every name lead to these addresses; return the names that are asked for."""
    asked: list[str] = []

    async def found(self: Any, host: str, port: int, **kwargs: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", found)
    return asked


async def test_a_name_that_leads_here_is_refused(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for addresses in (["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::ffff:10.0.0.1"]):
        resolve_to(monkeypatch, *addresses)
        async with Outbound(hosts=()) as out:
            with pytest.raises(Refused):
                await out.post("https://example.org/x", b"{}", {}, timeout_s=2)
    assert receiver.got == []


async def test_it_connects_to_what_it_looked_up_and_looks_once(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = resolve_to(monkeypatch, "127.0.0.1")
    port = receiver.url.split(":")[2].split("/")[0]
    headers = {"webhook-id": "evt_1", "webhook-timestamp": "1", "webhook-signature": "none"}
    async with Outbound(hosts=["trusted.example"]) as out:
        answer = await out.post(f"http://trusted.example:{port}/x", b'{"id": "evt_1"}', headers, timeout_s=5)
    assert answer.status == 401
    assert asked == ["trusted.example"]


async def test_a_redirection_is_not_followed(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver, "take", lambda headers, body: Answer(307, {"Location": receiver.url}))
    async with Outbound(hosts=["127.0.0.1"]) as out:
        assert (await out.post(receiver.url, b"{}", {}, timeout_s=5)).status == 307


async def test_all_of_it_has_one_time(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver, "take", lambda headers, body: Answer(delay_s=2))
    async with Outbound(hosts=["127.0.0.1"]) as out:
        with pytest.raises(Failed, match="no answer"):
            await out.post(receiver.url, b"{}", {}, timeout_s=0.2)


async def test_an_unknown_name_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(self: Any, host: str, port: int, **kwargs: Any) -> list[Any]:
        raise socket.gaierror

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", unknown)
    async with Outbound(hosts=()) as out:
        with pytest.raises(Failed, match="not known"):
            await out.post("https://example.org/", b"{}", {}, timeout_s=2)
