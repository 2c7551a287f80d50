"""Which addresses may be spoken to, and how names become addresses."""

import asyncio
import socket
import threading
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmt_pass.endpoint import addresses
from hmt_pass.endpoint.addresses import Resolver, is_public, public_socket


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "9.255.255.255",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "223.255.255.255",
        "2001:200::1",
        "2606:4700::1111",
        "2400:3200::1",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
    ],
)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "0.1.2.3",
        "10.1.2.3",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.255",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.255.255",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::8.8.8.8",
        "::ffff:127.0.0.1",
        "::ffff:0:127.0.0.1",
        "::ffff:a9fe:a9fe",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:0:7f00:1::1",
        "2001:10::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2002:808:808::1",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%1",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
    ],
)
def test_a_special_address_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "text", ["", "localhost", "127.1", "0x7f000001", "2130706433", "1.1.1.1 ", "[::1]", "1.1.1.1/8"]
)
def test_what_is_no_address_in_its_usual_form_is_not_public(text: str) -> None:
    assert not is_public(text)


@given(st.ip_addresses())
def test_what_python_calls_private_is_never_public(address: IPv4Address | IPv6Address) -> None:
    assert not (address.is_private and is_public(str(address)))


@given(st.ip_addresses(v=4), st.sampled_from(["::ffff:", "64:ff9b::"]))
def test_a_wrapped_address_counts_as_the_one_within(address: IPv4Address, prefix: str) -> None:
    assert is_public(str(address)) == is_public(f"{prefix}{address}")


@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, ("127.0.0.1", 80)), (socket.AF_INET6, ("::1", 80, 0, 0))]
)
def test_no_socket_is_made_for_an_address_that_is_not_public(
    family: int, address: tuple[str, int] | tuple[str, int, int, int]
) -> None:
    with pytest.raises(PermissionError):
        public_socket((family, socket.SOCK_STREAM, 0, "", address))


def test_a_name_has_all_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2606:4700::1", 443, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", 443)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    answer = asyncio.run(Resolver().resolve("a.test", 443))
    assert [("2606:4700::1", socket.AF_INET6), ("1.1.1.1", socket.AF_INET)] == [
        (a["host"], a["family"]) for a in answer
    ]


@pytest.mark.parametrize("error", [socket.gaierror(socket.EAI_NONAME, "unknown"), UnicodeError("label too long")])
def test_a_name_without_an_address_says_so(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(type(error)):
        asyncio.run(Resolver().resolve("a.test"))


class SlowNames:
    """A name server that answers when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go = threading.Event()
        self.asked = threading.Event()
        monkeypatch.setattr(socket, "getaddrinfo", self)

    def __call__(self, *_: object) -> list[object]:
        self.asked.set()
        self.go.wait(10)
        return []


def test_a_slow_lookup_can_be_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    names = SlowNames(monkeypatch)

    async def scenario() -> None:
        lookup = asyncio.create_task(Resolver().resolve("slow.test"))
        await asyncio.to_thread(names.asked.wait, 10)
        lookup.cancel()
        with pytest.raises(asyncio.CancelledError):
            await lookup

    asyncio.run(scenario())
    names.go.set()


def test_lookups_are_bounded_and_their_places_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "_LOOKUPS_AT_ONCE", 1)
    names = SlowNames(monkeypatch)

    async def scenario() -> list[object]:
        resolver = Resolver()
        first = asyncio.create_task(resolver.resolve("slow.test"))
        await asyncio.to_thread(names.asked.wait, 10)
        with pytest.raises(OSError, match="too many"):
            await resolver.resolve("another.test")
        names.go.set()
        return [await first, await resolver.resolve("another.test")]

    assert [[], []] == asyncio.run(scenario())
