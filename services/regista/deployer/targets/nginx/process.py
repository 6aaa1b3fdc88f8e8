"""The nginx processes: tested, started, reloaded, ended, and told apart by their ids (``/proc``)."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from regista.deployer.targets.base import TargetFailed
from regista.domain.errors import Invalid

_POLL = 0.02
_OPEN = frozenset({"01", "08"})
"""ESTABLISHED, and CLOSE_WAIT: the other side has closed."""
_TEST_WITHIN = 30.0
_CONFIGURATION = re.compile(r" -c ?(\S+)")
_PREFIX = re.compile(r" -p ?(\S+)")
_BUILT_IN = re.compile(r"--conf-path=(\S+)")
_LATER = ("host not found in upstream", "Address already in use", "bind()")


def executable() -> str:
    """The program: on the PATH, or where Debian puts it. Never from a target's settings: they are no right to run things.

    Raises:
        Invalid: ``no_nginx``.
    """
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise Invalid("there is no nginx on this machine", code="no_nginx", hint="apt-get install nginx-light")
    return found


@dataclass(frozen=True, slots=True)
class Nginx:
    """One master, by the file with its id. ``prefix`` is what relative paths in ``configuration`` are relative to."""

    program: str
    prefix: Path
    configuration: Path
    pid_file: Path

    async def test(self, configuration: Path) -> None:
        """Return when nginx finds nothing wrong with it.

        Raises:
            TargetFailed: ``configuration_refused``, with what nginx says.
        """
        await self._run("-t", "-q", "-c", str(configuration))

    async def start(self) -> None:
        """Return when it listens."""
        await self._run("-c", str(self.configuration))

    def reload(self) -> None:
        """Ask for new workers with the configuration as it is now.

        Raises:
            TargetFailed: ``not_running``.
        """
        master = self.master()
        if master is None:
            raise self._not_running()
        os.kill(master, signal.SIGHUP)

    async def stop(self, within: float) -> None:
        """End it when every request is answered, or at the latest then."""
        for number in (signal.SIGQUIT, signal.SIGTERM):
            master = self.master()
            if master is None:
                return
            with suppress(ProcessLookupError):
                os.kill(master, number)
            if await gone([master], within):
                return

    def master(self) -> int | None:
        """The id of the master, if it runs. An id that another program has by now is none."""
        try:
            pid = int(self.pid_file.read_text())
            return pid if b"nginx: master" in Path(f"/proc/{pid}/cmdline").read_bytes() else None
        except (OSError, ValueError):
            return None

    async def check_started_with(self) -> None:
        """Return where the master was started with this very configuration.

        nginx loads programs where its configuration says so, also in a test of it, and cites what it does not
        understand: what a target's settings name is no configuration unless somebody of this machine runs nginx by it.

        Raises:
            TargetFailed: ``not_running``; ``not_its_configuration``.
        """
        master = self.master()
        if master is None:
            raise self._not_running()
        if not _is_started_with(self.configuration, _title(master), await self._built_in()):
            raise TargetFailed(
                f"the nginx of {self.pid_file} was not started with {self.configuration}",
                code="not_its_configuration",
                hint="Set existing.configuration to the file that it was started with: nginx -c FILE.",
                retryable=False,
            )

    async def _built_in(self) -> str:
        """The configuration of an nginx that is told none."""
        process = await asyncio.create_subprocess_exec(
            self.program, "-V", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, said = await process.communicate()
        found = _BUILT_IN.search(said.decode(errors="replace"))
        return found[1] if found else ""

    def _not_running(self) -> TargetFailed:
        return TargetFailed(f"no nginx runs by {self.pid_file}", code="not_running", retryable=True)

    def workers(self) -> set[int]:
        """The ids of its workers, those that are leaving too."""
        master = self.master()
        if master is None:
            return set()
        try:
            children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        except OSError:
            return set()
        return {int(child) for child in children}

    async def _run(self, *arguments: str) -> None:
        # Into a file: what nginx starts goes on and may keep a pipe open, whose end would then not come.
        with TemporaryFile() as output:
            process = await asyncio.create_subprocess_exec(
                self.program,
                "-p",
                f"{self.prefix}/",
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
            )
            try:
                async with asyncio.timeout(_TEST_WITHIN):
                    await process.wait()
            except TimeoutError:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
                raise TargetFailed("nginx did not come to an end", code="nginx_hangs", retryable=True) from None
            output.seek(0)
            said = output.read()
        if process.returncode:
            text = " ".join(said.decode(errors="replace").split())[-600:]
            raise TargetFailed(
                f"nginx refuses the configuration: {text}",
                code="configuration_refused",
                retryable=any(sign in text for sign in _LATER),
            )


def _is_started_with(configuration: Path, title: str, built_in: str) -> bool:
    named, prefix = _CONFIGURATION.search(title), _PREFIX.search(title)
    used = Path(prefix[1] if prefix else "/") / (named[1] if named else built_in)
    return used.resolve() == configuration.resolve()


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode(errors="replace")
    except OSError:
        return ""


def leaving(pid: int) -> bool:
    """Whether a worker takes no more connections, or has gone."""
    try:
        return b"shutting down" in (line := Path(f"/proc/{pid}/cmdline").read_bytes()) or not line
    except OSError:
        return True


def connections(port: int) -> set[str]:
    """The connections to a port of this machine that its program has not closed, by their addresses (``proc_net_tcp``)."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            _, local, remote, state, *_ = line.split()
            if state in _OPEN and local.endswith(f":{port:04X}"):
                found.add(f"{local} {remote}")
    return found


async def gone(pids: Iterable[int], within: float) -> bool:
    """Wait for processes to end: whether they did."""
    deadline = asyncio.get_running_loop().time() + within
    while any(map(_exists, pids := list(pids))):
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(_POLL)
    return True


def _exists(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
