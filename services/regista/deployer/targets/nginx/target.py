"""Kind ``nginx``: a data plane on this machine, in front of model servers.

``/<environment>/<endpoint>/predict`` goes to the server of the variant that is drawn for the request, as ``/predict``; the
answer names it in ``Regista-Variant``. Shadows get copies. Model servers that are needed no more end when no worker can
call them any more.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from regista.artifacts.local_files import in_thread
from regista.deployer.targets import files
from regista.deployer.targets.base import Applied, Target, TargetContext, TargetFailed, Wanted
from regista.deployer.targets.guard import Guard
from regista.deployer.targets.nginx.options import NginxOptions
from regista.deployer.targets.nginx.plane import Plane
from regista.deployer.targets.nginx.process import executable
from regista.deployer.targets.nginx.render import served
from regista.deployer.targets.nginx.state import Entry, State, key_of
from regista.deployer.targets.nginx.upstreams import Probe, upstreams_of
from regista.deployer.targets.options import bad_target, read
from regista.domain.endpoint.commands import ObservedVariant
from regista.domain.errors import Reason
from regista.domain.events import Variant

logger = logging.getLogger("regista.deployer.nginx")
_WRITABLE = re.compile(r"[A-Za-z0-9 ._+-]{0,256}")
_PATH = re.compile(r"[A-Za-z0-9 ._/+@=,-]+")
Addresses = dict[tuple[str, str, str | None], str]


class NginxTarget:
    """One nginx and its model servers. What was served is served again when this is opened again."""

    def __init__(self, context: TargetContext, options: NginxOptions, program: str) -> None:
        folder = (context.data / "nginx").resolve()
        self._folder = folder
        self._options = options
        self._plane = Plane(folder, options, program)
        self._probe = Probe(context, options)
        self._upstreams = upstreams_of(context, options, self._probe)
        self._guard = Guard(folder / "newest")
        self._turn = asyncio.Lock()
        self._restored = False
        self._addresses: Addresses = {}
        self._leaving: dict[asyncio.Task[None], set[str]] = {}

    async def apply(self, wanted: Wanted) -> Applied:
        """Configure it, and return when every new request is sent as wanted."""
        _check_names(wanted)
        async with self._alone():
            await in_thread(self._guard.admit, wanted)
            state = (await in_thread(self._plane.on_disk)).serving(wanted)
            await self._serve(state, key_of(wanted.environment, wanted.endpoint))
            self._restored = True
            observed = await self._observed(wanted.environment, wanted.endpoint)
        return Applied(observed, f"{self._options.url} serves it")

    async def observe(self, environment: str, endpoint: str) -> tuple[ObservedVariant, ...]:
        """What the running configuration says, with the digests that the servers themselves tell."""
        async with self._alone():
            await self._restore()
            return await self._observed(environment, endpoint)

    async def aclose(self) -> None:
        """Answer what was asked, then end what was started."""
        async with self._turn:
            leaving = list(self._leaving)
            for task in leaving:
                task.cancel()
            if leaving:
                await asyncio.wait(leaving)
            await self._plane.aclose()
            await self._upstreams.aclose()
            await self._probe.aclose()

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Alone in this process, and among all that have this folder."""
        async with self._turn:
            with ExitStack() as stack:
                await in_thread(lambda: stack.enter_context(files.locked(self._folder / "lock", self._folder)))
                yield

    async def _restore(self) -> None:
        """Serve again what the configuration says: once after the start, and when nginx has ended by itself."""
        if self._restored and not await in_thread(self._plane.has_ended):
            return
        state = await in_thread(self._plane.on_disk)
        if state.generation:
            await self._serve(state, None)
        self._restored = True

    async def _serve(self, state: State, strict: str | None) -> None:
        """Make it so. The servers of the endpoint ``strict`` must be there; others are done without."""
        addresses: Addresses = {}
        for key, entry in state.endpoints.items():
            addresses |= await self._servers(key, entry, needed=strict in {None, key} and strict is not None)
        before, self._addresses = self._addresses, addresses
        if await self._plane.is_current(state, addresses):
            return
        state = state.numbered(state.generation + 1)
        try:
            workers = await self._plane.install(state, addresses)
        except BaseException:
            self._addresses = before
            raise
        self._leave(workers, state, before)

    async def _servers(self, key: str, entry: Entry, *, needed: bool) -> Addresses:
        variants = served(entry, self._options)
        try:
            found = await self._upstreams.addresses(entry, variants)
        except TargetFailed as error:
            if needed:
                raise
            logger.warning("%s is configured without its model servers: %s", key, error.detail)
            found = dict.fromkeys(variants, "")
        return {(key, variant.artifact_digest, variant.region): url for variant, url in found.items()}

    def _leave(self, workers: set[int], state: State, before: Addresses) -> None:
        """When the workers of before have gone, servers that only they could call end."""

        async def wait() -> None:
            await self._plane.left(workers, state)
            async with self._turn:
                del self._leaving[task]
                await self._upstreams.keep(_digests(self._addresses).union(*self._leaving.values()))

        task = asyncio.create_task(wait(), name=f"workers before configuration {state.generation}")
        self._leaving[task] = _digests(before)

    async def _observed(self, environment: str, endpoint: str) -> tuple[ObservedVariant, ...]:
        running = await self._plane.running()
        if running is None:
            on_disk = await in_thread(self._plane.on_disk)
            if key_of(environment, endpoint) not in on_disk.endpoints:
                return ()
            raise TargetFailed(f"nginx does not run at {self._options.url}", code="unreachable", retryable=True)
        entry = running.endpoints.get(key_of(environment, endpoint))
        if entry is None:
            return ()
        return await self._told(key_of(environment, endpoint), served(entry, self._options))

    async def _told(self, key: str, variants: tuple[Variant, ...]) -> tuple[ObservedVariant, ...]:
        urls = {v: self._addresses.get((key, v.artifact_digest, v.region), "") for v in variants}
        if lacking := [v.version for v, url in urls.items() if not url]:
            raise TargetFailed(f"no model server runs for {', '.join(lacking)}", code="no_server", retryable=True)
        digests = await self._probe.digests(urls.values())
        return tuple(
            ObservedVariant(digests.get(urls[v]) or v.artifact_digest, v.role, v.weight, v.mirror, v.region)
            for v in variants
        )


def _digests(addresses: Addresses) -> set[str]:
    return {digest for _, digest, _ in addresses}


def _check_names(wanted: Wanted) -> None:
    """Names become part of a configuration; the registry lets in none that could not, others might."""
    names = [wanted.environment, wanted.endpoint]
    names += [text for v in wanted.variants for text in (v.version, v.region or "")]
    if bad := [name for name in names if not _WRITABLE.fullmatch(name)]:
        raise TargetFailed(f"{bad[0]!r} cannot be written into a configuration", code="bad_name", retryable=False)


def open_nginx(context: TargetContext) -> Target:
    """The kind ``nginx``."""
    options = read(NginxOptions, context)
    folder = Path(context.data).resolve()
    if not _PATH.fullmatch(str(folder)):
        detail = f"{folder} has characters that nginx would not take literally"
        raise bad_target(context.name, [Reason("bad_path", detail, None, "Choose another data directory.")])
    return NginxTarget(context, options, executable())
