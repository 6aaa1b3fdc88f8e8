"""Connections to nobody but addresses that were looked at.

A name is resolved here, every address that it has is looked at, and the connection goes to one of the addresses that
were looked at: a name that resolves to another address a moment later (DNS rebinding) gains nothing. TLS still verifies
the name. Redirects are not followed, no cookie is kept, and no proxy of the environment is used.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import aiohttp
import certifi
from aiohttp.abc import AbstractResolver, ResolveResult

from regista.domain.errors import Unavailable
from regista.outbound.addresses import is_literal, is_public, parsed_address, private_address

_NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
_KEEP_ALIVE = 30.0
_RESOLVERS = 32


class Connections:
    """Connections that are kept for the next request; see ``Outbound``."""

    def __init__(self, *, allow_private: bool, connect: float, read: float, limit: int, agent: str) -> None:
        self._allow_private = allow_private
        self._connect = connect
        self._read = read
        self._resolver = _GuardedResolver(allow_private=allow_private)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=limit,
                keepalive_timeout=_KEEP_ALIVE,
                resolver=self._resolver,
                use_dns_cache=False,
                ssl=ssl.create_default_context(cafile=certifi.where()),
            ),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect, sock_read=read),
            headers={"Accept-Encoding": "identity", "User-Agent": agent},
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, limit: int
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of the answer; of a longer body more than ``limit`` bytes, and not all.

        Raises:
            Forbidden: ``private_address``.
            Unavailable: ``no_answer``.
        """
        try:
            parsed = parsed_address(url)
            host = parsed.host or ""
            # An address is not resolved: aiohttp connects to it without asking the resolver.
            if not self._allow_private and is_literal(host) and not is_public(host):
                raise private_address(host)
            asking = self._session.request(method, parsed, headers=headers, data=content, allow_redirects=False)
            async with asking as response:
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > limit:
                        response.close()
                        break
                return response.status, response.headers, bytes(body)
        except (aiohttp.ClientError, ValueError) as error:
            raise Unavailable(self._words(error), code="no_answer") from error

    async def aclose(self) -> None:
        """Close them."""
        await self._session.close()
        await self._resolver.close()

    def _words(self, error: aiohttp.ClientError | ValueError) -> str:
        """What went wrong, without the address: its path may be a secret of the receiver's."""
        match error:
            case aiohttp.ConnectionTimeoutError():
                return f"no connection within {self._connect:g} s"
            case aiohttp.SocketTimeoutError():
                return f"nothing came for {self._read:g} s"
            case aiohttp.ClientConnectorCertificateError():
                return f"no connection to {error.host}:{error.port}: {error.certificate_error}"
            case aiohttp.ClientConnectorError():
                return f"no connection to {error.host}:{error.port}: {error.os_error.strerror or error.os_error}"
            case aiohttp.ServerDisconnectedError():
                return "the connection was closed before there was an answer"
        text = str(error)
        return f"{type(error).__name__}: {text[:300]}" if text and "://" not in text else type(error).__name__


class _GuardedResolver(AbstractResolver):
    """Every address of a name is looked at, and the connection goes to one of those."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        # Names that nobody answers for take half a minute each: they are not to hold the threads of everybody else.
        self._resolvers = ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="resolve")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        resolve = partial(socket.getaddrinfo, host, port, family=family, type=socket.SOCK_STREAM)
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._resolvers, resolve)
        except UnicodeError as error:
            raise OSError(f"{host!r} is no name") from error
        results = {
            str(address[0]): ResolveResult(
                hostname=host, host=str(address[0]), port=port, family=kind, proto=protocol, flags=_NUMERIC
            )
            for kind, _, protocol, _, address in found
        }
        if not results:
            raise OSError(f"{host} has no address")
        private = [address for address in results if not is_public(address)]
        if private and not self._allow_private:
            raise private_address(f"{host} ({private[0]})")
        return list(results.values())

    async def close(self) -> None:
        self._resolvers.shutdown(wait=False)
