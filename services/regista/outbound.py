"""HTTP to addresses that somebody registered: targets and webhooks, called with this process's place in the network.

Whoever may register an address must not reach through it what only this machine reaches: loopback, the private network,
the cloud's metadata service. A name is resolved here, every address that it has is looked at, and the connection goes
to one of the addresses that were looked at: a name that resolves to another address a moment later (DNS rebinding) gains
nothing. TLS still verifies the name. Redirects are not followed, and no proxy of the environment is used.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import httpcore
import httpx

from regista.domain.errors import Forbidden, Internal

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
"""RFC 6052 and RFC 8215: the last 32 bits are an IPv4 address."""
_HINT = "Register an address on the public network, or allow private ones in the settings of the process that calls it."
_HOST = re.compile(rb"[A-Za-z0-9._:-]+")
_KEEP_ALIVE = 30.0
_RESOLVERS = 32


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. ``body`` is its beginning, up to the limit; ``whole`` says whether there was no more."""

    status: int
    headers: httpx.Headers
    body: bytes
    whole: bool


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
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        return f"{url[:200]!r} is no address"
    if parsed.scheme not in {"http", "https"} or not _HOST.fullmatch(parsed.raw_host):
        return f"{url[:200]!r} does not begin with http:// or https:// and a host"
    if parsed.userinfo:
        return f"the address of {parsed.host} has a password in it"
    if not allow_private and _is_literal(parsed.host) and not is_public(parsed.host):
        return f"{parsed.host} is not on the public network"
    return None


async def check_address(url: str) -> None:
    """Return where every address that a name has now is on the public network: for clients that connect by themselves.

    The name may have another one a moment later: what goes through ``outbound_client`` cannot be misled by that.

    Raises:
        Forbidden: ``private_address``.
        OSError: it has no address.
    """
    host = httpx.URL(url).host
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    if private := [str(entry[4][0]) for entry in found if not is_public(str(entry[4][0]))]:
        raise Forbidden(f"{host} ({private[0]}) is not on the public network", code="private_address", hint=_HINT)


def outbound_client(
    *,
    allow_private: bool,
    timeout: float = 10.0,
    connections: int = 100,
    verify: ssl.SSLContext | None = None,
    headers: dict[str, str] | None = None,
) -> httpx.AsyncClient:
    """A client that calls registered addresses. ``timeout`` seconds hold for each step; ``send`` bounds the whole.

    Its requests raise ``Forbidden`` (``private_address``) where a name leads into the private network, unless
    ``allow_private``, and otherwise what httpx raises.
    """
    return httpx.AsyncClient(
        transport=GuardedTransport(allow_private=allow_private, connections=connections, verify=verify),
        timeout=timeout,
        follow_redirects=False,
        trust_env=False,
        headers={"User-Agent": "regista", **(headers or {})},
    )


async def send(client: httpx.AsyncClient, request: httpx.Request, *, within: float, limit: int = 65_536) -> Answer:
    """Send a request and read the beginning of the answer, all of it within so many seconds.

    A timeout of a step begins anew with every byte: alone it lets a receiver that drips hold the caller for ever.

    Raises:
        TimeoutError: it took longer.
        httpx.HTTPError: no answer.
        Forbidden: ``private_address``.
    """
    async with asyncio.timeout(within):
        response = await client.send(request, stream=True)
        try:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > limit:
                    break
        finally:
            await response.aclose()
    return Answer(response.status_code, response.headers, bytes(body[:limit]), len(body) <= limit)


class GuardedTransport(httpx.AsyncHTTPTransport):
    """httpx's transport, connecting to none but addresses that were looked at."""

    def __init__(self, *, allow_private: bool, connections: int = 100, verify: ssl.SSLContext | None = None) -> None:
        context = verify or httpx.create_ssl_context(trust_env=False)
        super().__init__(verify=context, trust_env=False)
        if not isinstance(getattr(self, "_pool", None), httpcore.AsyncConnectionPool):
            raise Internal("this release of httpx keeps its connections elsewhere", code="unguarded_transport")
        # httpx has no parameter for it: https://github.com/encode/httpx/discussions/3047
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=_KEEP_ALIVE,
            network_backend=_GuardedNetwork(allow_private=allow_private),
        )


class _GuardedNetwork(httpcore.AsyncNetworkBackend):
    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._inner = httpcore.AnyIOBackend()
        # Names that nobody answers for take half a minute each: they are not to hold the threads of everybody else.
        self._resolvers = ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="resolve")

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._addresses(host, port)
                return await self._first(addresses, port, timeout, local_address, socket_options)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"no connection to {host} within {timeout} s") from error

    async def connect_unix_socket(self, *_args: object, **_kwargs: object) -> httpcore.AsyncNetworkStream:
        raise Forbidden("sockets of this machine are not called", code="private_address", hint=_HINT)

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)

    async def _addresses(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        resolve = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        try:
            found = resolve() if _is_literal(host) else await loop.run_in_executor(self._resolvers, resolve)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} has no address: {error}") from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        private = [address for address in addresses if not is_public(address)]
        if private and not self._allow_private:
            shown = host if _is_literal(host) else f"{host} ({private[0]})"
            raise Forbidden(f"{shown} is not on the public network", code="private_address", hint=_HINT)
        return addresses

    async def _first(
        self, addresses: list[str], port: int, seconds: float | None, local: str | None, options: Iterable[Any] | None
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first address that takes one."""
        last: Exception = httpcore.ConnectError("no address")
        for address in addresses:
            try:
                return await self._inner.connect_tcp(address, port, seconds, local, options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        raise last


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


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
