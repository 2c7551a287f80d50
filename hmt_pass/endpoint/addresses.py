"""Which IP addresses may be spoken to for a caller, and how their names are looked up.

The ranges are those of the IANA special-purpose registries (RFC 6890), written out: what `ipaddress.is_global` answers
changes between patch releases of Python, and 3.11.7 still takes 2002::/16, 3fff::/20 and 64:ff9b:1::/48 for public.
"""

import asyncio
import socket
import threading
from concurrent.futures import Future
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from aiohttp.abc import AbstractResolver, ResolveResult

AddressInfo = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]
"""Family, type, protocol, canonical name and address, as `socket.getaddrinfo` has them."""

_NOT_PUBLIC_IPV4 = [
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",
        "100.64.0.0/10",  # carriers' shared space; a cloud's metadata at 100.100.100.200
        "127.0.0.0/8",
        "168.63.129.16/32",  # public by its number, but in Azure it is the machine's own host
        "169.254.0.0/16",  # link-local; most clouds' metadata at 169.254.169.254
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments; a cloud's metadata at 192.0.0.192
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and the broadcast address
    )
]
# The only part that is given out to be reached by everyone: ::1, fc00::/7, fe80::/10 and ff00::/8 lie outside.
_PUBLIC_IPV6 = IPv6Network("2000::/3")
_NOT_PUBLIC_IPV6 = [
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments; Teredo, which wraps IPv4
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which wraps IPv4
        "3fff::/20",  # documentation
    )
]
# Their last 32 bits are the IPv4 address that is really spoken to: mapped addresses, NAT64 (RFC 6052).
_IPV4_WITHIN = [IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96")]

_LOOKUPS_AT_ONCE = 64


def is_public(address: str) -> bool:
    """Whether `address`, in its usual numeric form, is one that anybody on the internet could speak to.

    False for private, loopback, link-local, multicast, reserved and documentation addresses, for what wraps one of
    these, and for everything that is not an address.
    """
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return _is_public_ipv4(found) if isinstance(found, IPv4Address) else _is_public_ipv6(found)


def _is_public_ipv4(address: IPv4Address) -> bool:
    return not any(address in network for network in _NOT_PUBLIC_IPV4)


def _is_public_ipv6(address: IPv6Address) -> bool:
    if any(address in network for network in _IPV4_WITHIN):
        return _is_public_ipv4(IPv4Address(address.packed[-4:]))
    return address in _PUBLIC_IPV6 and not any(address in network for network in _NOT_PUBLIC_IPV6)


def public_socket(address_info: AddressInfo) -> socket.socket:
    """A socket for this address. Raises PermissionError when it is not public.

    Called for the very address that is connected to next, so a name cannot change its mind between check and use.
    """
    family, kind, protocol, _, (address, *_) = address_info
    if not is_public(str(address)):
        raise PermissionError
    return socket.socket(family, kind, protocol)


class Resolver(AbstractResolver):
    """Looks names up as the system does (hosts file, DNS), each in a thread of its own.

    A lookup cannot be stopped and a slow name server holds it for half a minute. So they do not share the event loop's
    threads with other work, and the process can end without them.
    """

    def __init__(self) -> None:
        self._free = threading.Semaphore(_LOOKUPS_AT_ONCE)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a name. Raises OSError: there are none, or too many lookups are under way."""
        if not self._free.acquire(blocking=False):
            raise OSError("too many lookups are under way")
        answer: Future[list[ResolveResult]] = Future()
        answer.add_done_callback(lambda _: self._free.release())
        answer.set_running_or_notify_cancel()  # a caller that gives up does not make it done
        threading.Thread(target=_look_up, args=(answer, host, port, family), daemon=True).start()
        return await asyncio.wrap_future(answer)

    async def close(self) -> None:
        """Nothing to let go of: lookups end by themselves."""


def _look_up(answer: Future[list[ResolveResult]], host: str, port: int, family: socket.AddressFamily) -> None:
    try:
        answer.set_result(_addresses(host, port, family))
    except (OSError, ValueError) as error:  # ValueError: a name that no name server could be asked for
        answer.set_exception(error)


def _addresses(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
    return [
        ResolveResult(
            hostname=host, host=str(address[0]), port=port, family=kin, proto=protocol, flags=socket.AI_NUMERICHOST
        )
        for kin, _, protocol, _, address in found
    ]
