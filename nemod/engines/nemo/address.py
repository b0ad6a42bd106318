"""Which addresses a result may be fetched from: the cloud names them, and must not make us knock at doors inside this network.

Rules kept here:
- only http and https, and every address of the host must be reachable for the whole world;
- except that a cloud which itself lives at a private address may name that address, and one on loopback any of loopback;
- what a name stood for when it was looked up may have changed since: the address that was connected to is checked before the
  request leaves. Behind a proxy the proxy connects, and only the look-up counts.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Protocol, cast

import httpx

from nemod.engines.nemo import fair

Address = IPv4Address | IPv6Address

#: Networks whose addresses carry an IPv4 address in their last 32 bits: NAT64, and what was once "IPv4-compatible".
_CARRYING = (IPv6Network("64:ff9b::/96"), IPv6Network("::/96"))
#: NAT64 of one's own network, and what was once "site-local": newer tables call them private, those of Python 3.11 do not.
_INSIDE = (IPv6Network("64:ff9b:1::/48"), IPv6Network("fec0::/10"))


class _Stream(Protocol):
    """What is used of a connection of httpcore's."""

    def get_extra_info(self, info: str) -> object: ...
    async def aclose(self) -> None: ...


class PrivateAddressError(Exception):
    """An address lies where the cloud has no business."""


class Guard:
    """Checks addresses against the one that the API lives at."""

    def __init__(self, api_url: str) -> None:
        """Nothing is looked up yet."""
        self._home = httpx.URL(api_url)

    async def check(self, place: httpx.URL) -> None:
        """Pass when a place may be fetched from, as far as its name tells; one that is not found is left to the connection.

        Raises:
            PrivateAddressError: it may not.
        """
        if place.scheme not in {"http", "https"} or not place.host:
            raise PrivateAddressError("it is no http or https address")
        await self._check(await _addresses(place))

    def watch(self, place: httpx.URL) -> Callable[[str, Mapping[str, object]], Awaitable[None]]:
        """A hook for httpx that checks what is connected to, before anything is sent there, and makes it fair."""
        host = _host(place)
        direct = True

        async def trace(event: str, info: Mapping[str, object]) -> None:
            nonlocal direct
            await fair.trace(event, info)
            if event == "connection.connect_tcp.started":
                direct = info.get("host") == host
            elif event == "connection.connect_tcp.complete" and direct:
                stream = cast("_Stream", info["return_value"])
                match stream.get_extra_info("server_addr"):
                    case (str(peer), *_):
                        try:
                            await self._check(frozenset({ip_address(peer)}))
                        except PrivateAddressError:
                            await stream.aclose()
                            raise
                    case _:
                        await stream.aclose()
                        raise PrivateAddressError("it cannot be told what was connected to")

        return trace

    async def _check(self, found: frozenset[Address]) -> None:
        inside = {address for address in found if not everywhere(address)}
        if not inside:
            return
        home = {_plain(address) for address in await _addresses(self._home)}
        here = bool(home) and all(address.is_loopback for address in home)
        if not all(_plain(address) in home or (here and _plain(address).is_loopback) for address in inside):
            raise PrivateAddressError("it lies in a private network")


def everywhere(address: Address) -> bool:
    """Whether an address means the same host for everybody; one that carries another is as good as the other."""
    address = _plain(address)
    if isinstance(address, IPv6Address):
        inner = address.sixtofour or (address.teredo[1] if address.teredo else None)
        if any(address in network for network in _CARRYING):
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None and not everywhere(inner):
            return False
        if any(address in network for network in _INSIDE):
            return False
    return address.is_global and not address.is_multicast


def _plain(address: Address) -> Address:
    """An IPv4 address in IPv6 clothes without them."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def _host(place: httpx.URL) -> str:
    return place.raw_host.decode("ascii")


async def _addresses(place: httpx.URL) -> frozenset[Address]:
    """Where a name leads, asked off the loop; nothing when it is not found."""
    port = place.port or (443 if place.scheme == "https" else 80)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(_host(place), port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return frozenset()
    return frozenset(ip_address(str(entry[4][0])) for entry in found)
