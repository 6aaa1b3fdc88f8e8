"""A data plane of nginx: one configuration after the other, none of which loses a request or mixes with another.

The one point where a configuration becomes the next is the replacement of its file. Before it nginx has tested it; after
it nginx is told, and it is over when the new workers answer with its number and the old ones take no more connections.
"""

from __future__ import annotations

import asyncio
import os
import pwd
from collections.abc import Callable
from pathlib import Path

import httpx
import orjson

from regista.artifacts.local_files import in_thread
from regista.deployer.targets import files
from regista.deployer.targets.base import TargetFailed
from regista.deployer.targets.nginx.options import NginxOptions
from regista.deployer.targets.nginx.process import Nginx, connections, gone, leaving
from regista.deployer.targets.nginx.render import GENERATION, Site, Upstreams, render
from regista.deployer.targets.nginx.state import State, States

_POLL = 0.02
_SWITCH_WITHIN = 30.0
LEAVE_WITHIN = 60.0
"""Seconds after which a worker that leaves drops what it still has."""


class Plane:
    """The configuration of one nginx, on disk and running. Its methods are called one at a time."""

    def __init__(self, folder: Path, options: NginxOptions, program: str) -> None:
        self._folder = folder
        self._options = options
        self._own = options.existing is None
        self._states = States(folder / "states")
        main = folder / "nginx.conf" if options.existing is None else Path(options.existing.configuration)
        pid = folder / "nginx.pid" if options.existing is None else Path(options.existing.pid)
        self._include = folder / "http.conf" if options.existing is None else Path(options.existing.include)
        self._nginx = Nginx(program, folder, main, pid)
        self._client = httpx.AsyncClient(
            base_url=options.url, timeout=5, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)
        )

    def on_disk(self) -> State:
        """What the configuration file says. Blocks."""
        return self._states.of_configuration(self._content())

    async def running(self) -> State | None:
        """What the workers that take connections serve; None when nginx does not run.

        Raises:
            TargetFailed: something else answers there.
        """
        told = await self._told()
        return None if told is None else await in_thread(self._states.get, told[1])

    def has_ended(self) -> bool:
        """Whether an nginx of our own that was configured does not run. Blocks."""
        return self._own and self._nginx.master() is None and bool(self._content())

    async def is_current(self, state: State, upstreams: Upstreams) -> bool:
        """Whether exactly this is on disk and running."""
        content = self._content()
        if content != self._rendered(state, upstreams).encode():
            return False
        return await self._told() == (state.generation, state.digest)

    async def install(self, state: State, upstreams: Upstreams) -> set[int]:
        """Serve a state from now on; the workers that still answer what they had taken before.

        Raises:
            TargetFailed: nothing has changed then, unless nginx itself does not run.
        """
        if not self._own:
            await self._nginx.check_started_with()
        before = self._content()
        text = self._rendered(state, upstreams)
        await in_thread(self._prepare, state, text)
        await self._nginx.test(self._folder / "candidate.conf")
        old = self._nginx.workers()
        told = await self._told() if old else None
        if told is not None:
            await self._drained(told[0])
        await in_thread(files.replace, self._include, text.encode(), self._include.parent)
        try:
            await self._switch(state, old)
        except TargetFailed:
            await in_thread(files.replace, self._include, before, self._include.parent)
            await in_thread(self._forget_drains, lambda generation: told is None or generation != told[0])
            if told is not None:
                self._drain(told[0]).unlink(missing_ok=True)
            raise
        return {worker for worker in old if worker in self._nginx.workers()}

    async def left(self, workers: set[int], state: State) -> None:
        """Wait until the workers of before have gone, and tidy up after them."""
        await gone(workers, LEAVE_WITHIN + 5)
        await in_thread(self._forget_drains, lambda generation: generation < state.generation)

    async def aclose(self) -> None:
        """End an nginx of our own, unless it is to go on."""
        await self._client.aclose()
        if self._own and not self._options.keep_running:
            await self._nginx.stop(LEAVE_WITHIN)

    async def _switch(self, state: State, old: set[int]) -> None:
        if self._own and self._nginx.master() is None:
            await self._nginx.start()
        elif self._own:
            self._nginx.reload()
        else:
            await self._nginx.test(self._nginx.configuration)
            self._nginx.reload()
        deadline = asyncio.get_running_loop().time() + _SWITCH_WITHIN
        expected = (state.generation, state.digest)
        while not all(map(leaving, old)) or await self._told() != expected:
            if asyncio.get_running_loop().time() > deadline:
                raise TargetFailed(
                    f"nginx does not take configuration {state.generation}: {self._last_error()}",
                    code="not_switched",
                    retryable=True,
                )
            await asyncio.sleep(_POLL)

    async def _drained(self, generation: int) -> None:
        """Have every answer close its connection, until all connections of before are closed.

        What was asked before the file was there may still be answered with keep-alive, so that no connection is idle
        at the moment proves nothing. One that stays idle comes to its timeout.
        """
        await in_thread(files.replace, self._drain(generation), b"", self._folder)
        before = await in_thread(connections, self._options.port)
        deadline = asyncio.get_running_loop().time() + self._options.keepalive_timeout + 1
        while before and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(_POLL)
            before &= await in_thread(connections, self._options.port)

    async def _told(self) -> tuple[int, str] | None:
        try:
            answer = await self._client.get(GENERATION)
        except httpx.ConnectError:
            return None
        except httpx.HTTPError as error:
            raise TargetFailed(f"nginx does not answer: {error!r}", code="unreachable", retryable=True) from error
        try:
            value = orjson.loads(answer.content)
            return int(value["generation"]), str(value["state"])
        except (ValueError, KeyError, TypeError) as error:
            if not self._own:
                return None
            raise TargetFailed(
                f"something else than this target's nginx answers at {self._options.url}",
                code="not_ours",
                hint="Choose another address: the setting listen.",
                retryable=False,
            ) from error

    def _rendered(self, state: State, upstreams: Upstreams) -> str:
        return render(Site(state, upstreams, self._options, str(self._drain(state.generation))))

    def _content(self) -> bytes:
        try:
            return self._include.read_bytes()
        except FileNotFoundError:
            return b""

    def _prepare(self, state: State, text: str) -> None:
        for name in ("temp", "drain"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        self._states.keep(state)
        files.replace(self._folder / "candidate-http.conf", text.encode(), self._folder)
        candidate = self._main("candidate-http.conf", "candidate.pid")
        files.replace(self._folder / "candidate.conf", candidate.encode(), self._folder)
        if self._own:
            files.replace(self._nginx.configuration, self._main(str(self._include), "nginx.pid").encode(), self._folder)

    def _main(self, include: str, pid: str) -> str:
        folder = self._folder
        user = f"user {pwd.getpwuid(0).pw_name};\n" if os.geteuid() == 0 else ""
        temporary = "".join(
            f"    {name}_temp_path {folder}/temp/{name};\n"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        return (
            f"{user}worker_processes {self._options.workers};\n"
            f"pid {folder}/{pid};\nerror_log {folder}/error.log warn;\nworker_shutdown_timeout {LEAVE_WITHIN:g}s;\n"
            "events { worker_connections 4096; }\n"
            "http {\n    map_hash_bucket_size 256;\n    map_hash_max_size 4096;\n    variables_hash_max_size 4096;\n"
            f"    server_tokens off;\n    access_log off;\n{temporary}"
            f"    include {folder / include};\n}}\n"
        )

    def _drain(self, generation: int) -> Path:
        return self._folder / "drain" / str(generation)

    def _forget_drains(self, chosen: Callable[[int], bool]) -> None:
        for place in (self._folder / "drain").glob("[0-9]*"):
            if chosen(int(place.name)):
                place.unlink(missing_ok=True)

    def _last_error(self) -> str:
        try:
            return (self._folder / "error.log").read_text(errors="replace").splitlines()[-1][-400:]
        except (OSError, IndexError):
            return "it says nothing"
