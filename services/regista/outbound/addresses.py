"""Which addresses may be called: what only this machine or its network reaches is not, unless that is allowed."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Iterator
from typing import TypeAlias

from yarl import URL

from regista.domain.errors import Forbidden

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
"""RFC 6052 and RFC 8215: the last 32 bits are an IPv4 address."""
_HINT = "Register an address on the public network, or allow private ones in the settings of the process that calls it."
_HOST = re.compile(r"[A-Za-z0-9._:-]+")
_ESCAPED = re.compile(r"[!-~]+")


def is_public(address: str) -> bool:
    """Whether an address belongs to the public network, and so does every IPv4 address that it carries within."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return all(_is_global(one) for one in _unwrapped(parsed))


def address_problem(url: str, *, allow_private: bool) -> str | None:
    """Why an address can never be called; None when only its name remains to be resolved."""
    try:
        parsed = parsed_address(url)
        host = parsed.host or ""
        port = parsed.port
    except (ValueError, TypeError):
        return f"{url[:200]!r} is no address"
    if parsed.scheme not in {"http", "https"} or port is None or not _HOST.fullmatch(parsed.raw_host or ""):
        return f"{url[:200]!r} does not begin with http:// or https:// and a host"
    if parsed.user is not None or parsed.password is not None:
        return f"the address of {host} has a password in it"
    if not allow_private and is_literal(host) and not is_public(host):
        return f"{host} is not on the public network"
    return None


async def check_address(url: str) -> None:
    """Return where every address that a name has now is on the public network: for clients that connect by themselves.

    The name may have another one a moment later: what goes through ``outbound_client`` cannot be misled by that.

    Raises:
        Forbidden: ``private_address``.
        OSError: it has no address.
    """
    host = parsed_address(url).host or ""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    if private := [str(entry[4][0]) for entry in found if not is_public(str(entry[4][0]))]:
        raise private_address(f"{host} ({private[0]})")


def private_address(shown: str) -> Forbidden:
    """The refusal to call an address."""
    return Forbidden(f"{shown} is not on the public network", code="private_address", hint=_HINT)


def parsed_address(url: str) -> URL:
    """An address as it is called: what is escaped in it stays so, since it may be signed.

    Raises:
        ValueError: it is none.
    """
    return URL(url, encoded=_ESCAPED.fullmatch(url) is not None)


def _is_global(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address.is_site_local:
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _unwrapped(address: Address) -> Iterator[Address]:
    """The address that traffic would go to: an IPv6 address may carry an IPv4 one, in four ways."""
    if isinstance(address, ipaddress.IPv6Address):
        carried = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if any(address in network for network in _NAT64):
            carried.append(ipaddress.IPv4Address(address.packed[-4:]))
        if found := [one for one in carried if one is not None]:
            yield from found
            return
    yield address


def is_literal(host: str) -> bool:
    """Whether a host is an address already, and no name."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
