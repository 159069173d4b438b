"""Nothing but the public internet is called, whatever name or redirect leads elsewhere."""

import asyncio
from ipaddress import ip_address
from typing import Any

import httpcore
import pytest
from django.conf import settings

from chatproject import env
from messaging.domain.limits import Limits
from messaging.outbound import Refused, is_public, resolve
from messaging.previews import services
from messaging.previews.fetching import Fetcher, Found
from messaging.previews.guard import GuardedBackend
from tests.previews.site import PAGE, Site, leading

CLOSED = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "172.16.0.1",
    "172.31.255.255", "192.168.1.1", "169.254.169.254", "169.254.0.1", "100.64.0.1", "100.100.100.200",
    "100.127.255.255", "168.63.129.16", "192.0.0.8", "192.0.0.192", "192.0.2.1", "192.88.99.1", "198.18.0.1",
    "198.19.255.255", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:7f00:1::", "2001:20::1", "2001:db8::1",
    "2002:7f00:1::", "2002:a00:1::", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fdff::1", "fe80::1",
    "fec0::1", "ff02::1", "ff0e::1", "4000::1",
]  # fmt: skip
OPEN = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "172.32.0.1", "100.128.0.1", "9.255.255.255", "2606:4700::1111", "2a00:1450:4001::1"]  # fmt: skip  # noqa: E501


@pytest.mark.parametrize("address", CLOSED)
def test_these_are_not_of_the_public_internet(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", OPEN)
def test_these_are(address: str) -> None:
    assert is_public(ip_address(address))


def test_we_are_no_more_open_than_python() -> None:
    """What the standard library calls private or special is closed here, at both ends of each of its networks."""
    import ipaddress

    for constants in (ipaddress._IPv4Constants, ipaddress._IPv6Constants):  # type: ignore[attr-defined]
        for network in (*constants._private_networks, constants._linklocal_network, constants._multicast_network):
            for address in (network[0], network[-1]):
                assert not is_public(address), network


def resolving(*answers: str | list[str]) -> Any:
    """Return a resolver that answers one after the other, the last one for ever."""
    left = list(answers)

    async def resolve(host: str, port: int) -> list[str]:
        found = left.pop(0) if len(left) > 1 else left[0]
        return [found] if isinstance(found, str) else found

    return resolve


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "10.1.2.3", "169.254.169.254", "::ffff:127.0.0.1", "fe80::1%eth0"]
)
@pytest.mark.parametrize("port", [80, 443])
async def test_a_name_that_leads_there_is_refused(address: str, port: int) -> None:
    with pytest.raises(Refused):
        await GuardedBackend(resolve=resolving(address)).connect_tcp("innocent.example", port, timeout=1)


async def test_one_bad_address_among_good_ones_is_enough() -> None:
    with pytest.raises(Refused):
        await GuardedBackend(resolve=resolving(["1.1.1.1", "10.0.0.1"])).connect_tcp("x.example", 80, timeout=1)


async def test_no_other_port_and_no_socket_file() -> None:
    for port in (22, 25, 6379, 8080, 9042):
        with pytest.raises(Refused):
            await GuardedBackend(resolve=resolving("1.1.1.1")).connect_tcp("x.example", port, timeout=1)
    with pytest.raises(Refused):
        await GuardedBackend().connect_unix_socket("/var/run/docker.sock")


async def test_a_name_without_an_address_is_no_fault_of_ours() -> None:
    for answers in (resolving([]), resolve):
        with pytest.raises(httpcore.ConnectError):
            await GuardedBackend(resolve=answers).connect_tcp("nobody-has-this.invalid", 80, timeout=1)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "0x7f.0.0.1", "2130706433", "017700000001", "localhost", "[::1]", "[::ffff:7f00:1]", "0"],
)
async def test_no_spelling_of_this_machine_helps(host: str) -> None:
    """By the system's own resolver, which knows them all."""
    async with Fetcher(limits=Limits()) as fetcher:
        assert await fetcher.fetch(f"http://{host}/") == Found()


async def test_what_was_looked_at_is_what_is_connected_to(site: Site, monkeypatch: Any) -> None:
    """A name that answers otherwise the second time (DNS rebinding) is asked once, and connected to by number."""
    asked, connected = [], []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        # Public for the first question, this machine for every later one.
        return ["1.1.1.1"] if len(asked) == 1 else ["127.0.0.1"]

    async def connect(self: Any, host: str, port: int, *_: Any, **__: Any) -> Any:
        connected.append((host, port))
        raise httpcore.ConnectError("no way out of here")

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connect)
    async with Fetcher(limits=Limits(), resolve=resolve) as fetcher:
        assert await fetcher.fetch("http://rebinding.example/") == Found()
    assert asked == ["rebinding.example"]
    assert connected == [("1.1.1.1", 80)]


async def test_a_redirect_is_looked_at_as_the_first_address_is(site: Site) -> None:
    port = site.address.rpartition(":")[2]
    site.pages["/secret"] = PAGE
    for at, to in enumerate(
        [
            # The site may be reached by this number only; all others are this machine as anybody has it.
            f"http://127.0.0.2:{port}/secret",
            f"http://localhost:{port}/secret",
            "http://127.0.0.1/secret",
            "http://169.254.169.254/latest/meta-data/",
            "http://[::1]/",
            "http://10.0.0.1/",
            "file:///etc/passwd",
            "ftp://127.0.0.1/",
            "gopher://127.0.0.1:6379/_PING",
            "//127.0.0.3/",
            "http://user:pw@127.0.0.1/",
            "http://",
            "http://[",
            "javascript:alert(1)",
            "",
        ]
    ):
        site.pages[f"/{at}"] = leading(to)
        async with site.fetcher(resolve=_only_numbers) as fetcher:
            assert await fetcher.fetch(f"{site.url}/{at}") == Found(), to
    assert "/secret" not in site.paths()


async def _only_numbers(host: str, port: int) -> list[str]:
    # As the system would: ``localhost`` is the machine, but not the number that is let through.
    return ["127.0.0.4"] if host == "localhost" else [host]


async def test_three_redirects_and_no_more(site: Site) -> None:
    site.pages["/end"] = PAGE
    for number in range(5):
        site.pages[f"/{number}"] = leading(
            f"/{number - 1}" if number else "/end", status=(301, 302, 303, 307, 308)[number]
        )
    async with site.fetcher() as fetcher:
        assert (await fetcher.fetch(f"{site.url}/2")).title == "A title"
        assert await fetcher.fetch(f"{site.url}/3") == Found()
    site.pages["/loop"] = leading("/loop")
    async with site.fetcher() as fetcher:
        assert await fetcher.fetch(f"{site.url}/loop") == Found()


async def test_without_the_exemption_nothing_here_is_reached(site: Site) -> None:
    site.pages["/"] = PAGE
    async with services.fetcher() as fetcher:
        assert await fetcher.fetch(f"{site.url}/") == Found()
        assert await fetcher.fetch("http://127.0.0.1/") == Found()
    assert site.asked == []


def test_the_product_has_no_exemption_and_no_variable_makes_one() -> None:
    assert settings.LINK_PREVIEW_TEST_ADDRESSES == ()
    assert [it.name for it in env.VARIABLES if "PREVIEW" in it.name] == ["CHAT_LINK_PREVIEWS"]
    assert settings.LINK_PREVIEWS is False, "a server that calls out is its operator's choice"


async def test_nothing_waits_for_a_resolver_for_ever(site: Site, monkeypatch: Any) -> None:
    monkeypatch.setattr("messaging.previews.fetching.DEADLINE_S", 0.05)

    async def resolve(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    async with Fetcher(limits=Limits(), resolve=resolve) as fetcher:
        async with asyncio.timeout(5):
            assert await fetcher.fetch("http://slow.example/") == Found()
