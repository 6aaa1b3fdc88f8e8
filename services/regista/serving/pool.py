"""Model servers on this machine: one process for each artifact, started, watched, and ended with this process.

Each has a pipe from here as its standard input, and ends when that ends: also when this process is killed. A server
that dies or stops answering is started again at its address, so that whoever was told the address need not be told
again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from regista.domain.errors import RegistaError, Unavailable
from regista.serving.__main__ import CANNOT_LOAD

logger = logging.getLogger("regista.serving")
_POLL = 0.05
_CHECK_EVERY = 5.0
_MISSED = 3
_STOP_WITHIN = 40.0
_BACK_OFF = 1.0
_LONGEST = 30.0


class CannotServe(RegistaError):
    """An artifact cannot be served: its server says why. ``final``: it never will be."""

    default_code = "cannot_serve"

    def __init__(self, detail: str, *, final: bool = False) -> None:
        super().__init__(detail)
        self.final = final


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """How servers are started: where artifacts come from, and what is allowed."""

    data: Path
    url: str
    token: str | None = None
    allow_pickle: bool = False
    start_within: float = 120.0


class Pool:
    """Servers by digest. Belongs to one event loop."""

    def __init__(self, settings: PoolSettings) -> None:
        self._settings = settings
        self._servers: dict[str, _Server] = {}
        self._client = httpx.AsyncClient(timeout=5, trust_env=False)
        self._lock = asyncio.Lock()

    async def ensure(self, digests: Collection[str]) -> Mapping[str, str]:
        """The address of a ready server for each digest; those that are not there are started.

        Raises:
            CannotServe: the artifact cannot be had or loaded.
            Unavailable: ``not_ready``, when one was not ready in time.
        """
        async with self._lock:
            missing = [digest for digest in dict.fromkeys(digests) if digest not in self._servers]
            starting = {digest: _Server(digest, self._settings, self._client) for digest in missing}
            self._servers |= starting
            try:
                results = await asyncio.gather(
                    *(self._servers[digest].ready() for digest in dict.fromkeys(digests)), return_exceptions=True
                )
            except asyncio.CancelledError:
                await self._stop(starting)
                raise
            failures = [result for result in results if isinstance(result, BaseException)]
            if failures:
                await self._stop(starting)
                raise failures[0]
            return {digest: self._servers[digest].url for digest in digests}

    async def keep(self, digests: Collection[str]) -> None:
        """Stop all servers but these, each after it has answered what it was asked."""
        async with self._lock:
            await self._stop([digest for digest in self._servers if digest not in digests])

    @property
    def running(self) -> Mapping[str, int]:
        """The process ids by digest."""
        return {digest: server.pid for digest, server in self._servers.items() if server.pid}

    async def aclose(self) -> None:
        """Stop all of them."""
        await self.keep(())
        await self._client.aclose()

    async def _stop(self, digests: Collection[str]) -> None:
        servers = [self._servers.pop(digest) for digest in digests]
        await asyncio.gather(*(server.stop() for server in servers))


class _Server:
    """One process after the other, all at one address."""

    def __init__(self, digest: str, settings: PoolSettings, client: httpx.AsyncClient) -> None:
        self._digest = digest
        self._settings = settings
        self._client = client
        self._process: Process | None = None
        self._watching: asyncio.Task[None] | None = None
        self._port = 0
        self.url = ""

    @property
    def pid(self) -> int:
        alive = self._process is not None and self._process.returncode is None
        return self._process.pid if alive and self._process else 0

    async def ready(self) -> None:
        """Return when the model is loaded and says the digest that it should."""
        try:
            async with asyncio.timeout(self._settings.start_within):
                if self._watching is None:
                    await self._start()
                    await self._loaded()
                    self._watching = asyncio.create_task(self._watch(), name=f"model server {self._digest[:19]}")
                else:
                    await self._answering()
        except TimeoutError as error:
            raise Unavailable(
                f"the server of {self._digest} was not ready within {self._settings.start_within:g} s: {self._said()}",
                code="not_ready",
            ) from error

    async def stop(self) -> None:
        if self._watching:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        await self._end()

    async def _start(self) -> None:
        self._settings.data.mkdir(parents=True, exist_ok=True)
        arguments = ["--digest", self._digest, "--url", self._settings.url, "--port", str(self._port), "--with-parent"]
        arguments += ["--data", str(self._settings.data), *(["--allow-pickle"] if self._settings.allow_pickle else [])]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("REGISTA_")}
        token = {"REGISTA_TOKEN": self._settings.token} if self._settings.token else {}
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "regista.serving", *arguments,
                stdin=PIPE, stdout=PIPE, stderr=log, env={**kept, **token}, start_new_session=True,
            )  # fmt: skip
        assert self._process.stdout is not None
        line = (await self._process.stdout.readline()).decode().strip()
        if not line:
            await self._process.wait()
            raise CannotServe(f"the server of {self._digest} did not start: {self._said()}")
        self.url, self._port = line, httpx.URL(line).port or 0

    async def _loaded(self) -> None:
        assert self._process is not None
        while not await self._answers("/readyz"):
            if self._process.returncode is not None:
                final = self._process.returncode == CANNOT_LOAD
                kind = "it cannot be served" if final else "its server has ended"
                raise CannotServe(f"{self._digest}: {kind}: {self._said()}", final=final)
            await asyncio.sleep(_POLL)
        told = (await self._client.get(f"{self.url}/model")).json()["artifact_digest"]
        if told != self._digest:
            raise CannotServe(f"the server at {self.url} runs {told}, not {self._digest}", final=True)

    async def _watch(self) -> None:
        """Start it again when it has died, or does not answer three times."""
        pause, missed = _BACK_OFF, 0
        while True:
            assert self._process is not None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), _CHECK_EVERY)
            missed = 0 if await self._answers("/healthz") else missed + 1
            if self._process.returncode is None and missed < _MISSED:
                pause = _BACK_OFF if not missed else pause
                continue
            logger.warning("the server of %s has ended (%s); it is started again", self._digest, self._said())
            try:
                await self._end()
                await self._start()
                await self._loaded()
            except Exception as error:  # noqa: BLE001 - a full disk, no more processes: it passes, and nobody else looks
                said = error.detail if isinstance(error, RegistaError) else repr(error)
                logger.warning("%s; again in %g s", said, pause)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST)

    async def _answering(self) -> None:
        while True:
            if await self._answers("/readyz"):
                return
            await asyncio.sleep(_POLL)

    async def _answers(self, path: str) -> bool:
        try:
            return (await self._client.get(f"{self.url}{path}")).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    async def _end(self) -> None:
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _STOP_WITHIN)
        except TimeoutError:
            process.kill()
            await process.wait()

    @property
    def _log(self) -> Path:
        return self._settings.data / f"{self._digest.rpartition(':')[2][:16]}.log"

    def _said(self) -> str:
        try:
            lines = self._log.read_text(errors="replace").strip().splitlines()
        except OSError:
            return "nothing"
        return lines[-1][:500] if lines else "nothing"
