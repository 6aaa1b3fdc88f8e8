"""Run the ``console`` blocks of a document and compare what they print with what the document shows.

A block is fenced with three backticks and ``console``. A line ``$ command`` is run, in one bash session for the whole
document, so that ``cd`` and ``export`` carry on; a command that ends in a backslash goes on in the next line. The
lines below it are what it must print, standard error included: ``…`` stands for anything within a line, a line with
only ``…`` for any number of lines, a time such as ``2026-05-04 12:00:00Z`` for any time, and 64 hexadecimal digits for
any hash. A command that shows no output may print anything. Every command must exit with 0;
``console exit=1`` says that those of its block exit with 1.

A command in ``SERVERS`` is started beside the session and stopped at its end; the session goes on when it is ready.
A command in ``REPLACED`` is checked in another way, because running it would take long, or would call itself.

Needs nothing but the standard library, for it runs before anything is installed.
"""

import os
import re
import select
import shlex
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

SERVERS = ("make up", "regista up")
REPLACED = {"make test": "make -n test"}
_FENCE = re.compile(r"^(?P<fence>`{3,})\s*(?P<info>.*)$")
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ")
_HASH = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Mismatch(Exception):
    """A command did not do what the document says; the text says which, and shows both sides."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a document: the line it stands in, what it must print, and the status it must exit with."""

    line: int
    command: str
    expected: tuple[str, ...]
    status: int = 0


def steps(document: str) -> Iterator[Step]:
    """The commands of all console blocks, in order."""
    fence, status = "", None
    block: list[tuple[int, str]] = []
    for number, line in enumerate(document.splitlines(), 1):
        match = _FENCE.match(line)
        if not fence and match:
            fence, info = match["fence"], match["info"].split()
            status = _status(info[1:]) if info[:1] == ["console"] else None
            block = []
        elif fence and match and match["fence"] == fence and not match["info"]:
            if status is not None:
                yield from _block(block, status)
            fence = ""
        elif fence:
            block.append((number, line))


def _status(options: list[str]) -> int:
    return next((int(option.removeprefix("exit=")) for option in options if option.startswith("exit=")), 0)


def _block(lines: list[tuple[int, str]], status: int) -> Iterator[Step]:
    rest = list(lines)
    while rest:
        number, text = rest.pop(0)
        if not text.startswith("$ "):
            raise ValueError(f"line {number}: a console block begins with '$ ', not with {text!r}")
        command = text[2:]
        while command.endswith("\\") and rest:
            command = f"{command}\n{rest.pop(0)[1]}"
        expected = []
        while rest and not rest[0][1].startswith("$ "):
            expected.append(rest.pop(0)[1])
        yield Step(number, command.strip(), tuple(_trimmed("\n".join(expected))), status)


def _trimmed(text: str) -> list[str]:
    """Lines without colour, trailing blanks, and blank lines at either end."""
    return [line.rstrip() for line in _COLOUR.sub("", text).strip("\n").splitlines()] if text.strip() else []


def matches(expected: tuple[str, ...], output: str) -> bool:
    """Whether an output is what a document shows; a document that shows nothing is content with anything."""
    pattern = "".join(
        r"(?:.*\n)*" if line.strip() == "…" else ".*".join(map(re.escape, _alike(line).split("…"))) + r"\n"
        for line in expected
    )
    return not expected or re.fullmatch(pattern, "".join(f"{_alike(line)}\n" for line in _trimmed(output))) is not None


def _alike(line: str) -> str:
    """The line with every time and every hash replaced by the same one: no two runs have them in common."""
    return _HASH.sub("0" * 64, _TIME.sub("2026-05-04 12:00:00Z", line))


class Session:
    """One bash, fed command by command; what it sets stays set until it closes."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],  # noqa: S607  (found on the PATH, as a reader's shell is)
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, command: str, timeout: float) -> tuple[int, str]:
        """Run one command to its end.

        Returns:
            Its exit status and all that it printed.

        Raises:
            Mismatch: it did not end within ``timeout`` seconds, or it ended the shell.
        """
        mark = f"regista-console-{os.urandom(8).hex()}"
        script = f"eval {shlex.quote(command)} </dev/null\nprintf '\\n%s %d\\n' {mark} $?\n"
        assert self._shell.stdin is not None
        self._shell.stdin.write(script.encode())
        self._shell.stdin.flush()
        found = self._read_until(re.compile(rf"\n{mark} (\d+)\n".encode()), timeout)
        return int(found[1]), found.string[: found.start()].decode(errors="replace")

    def _read_until(self, end: re.Pattern[bytes], timeout: float) -> re.Match[bytes]:
        assert self._shell.stdout is not None
        output, deadline = b"", time.monotonic() + timeout
        while not (found := end.search(output)):
            ready, _, _ = select.select([self._shell.stdout], [], [], max(0, deadline - time.monotonic()))
            chunk = os.read(self._shell.stdout.fileno(), 65536) if ready else b""
            if not chunk:
                why = "the shell ended" if ready else f"not done after {timeout:.0f} s"
                raise Mismatch(f"{why}; printed so far:\n{output.decode(errors='replace')}")
            output += chunk
        return found

    def close(self) -> None:
        """End the shell and what it left running."""
        _stop(self._shell, signal.SIGKILL)


class Server:
    """A command that keeps running; its output is kept."""

    def __init__(self, command: str, folder: Path, environment: Mapping[str, str]) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (close() closes it)
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-c", command],  # noqa: S607  (found on the PATH, as a reader's shell is)
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def output(self) -> str:
        """All that it printed so far."""
        return os.pread(self._log.fileno(), 1 << 24, 0).decode(errors="replace")

    def wait_until(self, condition: Callable[[], bool], timeout: float, what: str) -> None:
        """Return when ``condition`` holds.

        Raises:
            Mismatch: the command ended, or ``timeout`` seconds went by.
        """
        deadline = time.monotonic() + timeout
        while not condition():
            try:
                status = self._process.wait(timeout=0.05)
            except subprocess.TimeoutExpired:
                if time.monotonic() < deadline:
                    continue
                raise Mismatch(f"{what}: not so after {timeout:.0f} s; printed so far:\n{self.output()}") from None
            raise Mismatch(f"{what}: it ended with {status}; it printed:\n{self.output()}")

    def close(self) -> None:
        """Ask it to stop, and wait until it has."""
        _stop(self._process, signal.SIGTERM)
        self._log.close()


def _stop(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    """End a process and all that it started; after 15 seconds by force."""
    for signal_, timeout in ((how, 15), (signal.SIGKILL, None)):
        try:
            os.killpg(process.pid, signal_)
        except ProcessLookupError:
            break
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            continue
        if how is signal.SIGKILL:
            break
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def answers(url: str) -> bool:
    """Whether a GET is answered with 200 (proxies are not asked: the server is on this machine)."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


class Reader:
    """Someone who follows a document word for word.

    Args:
        folder: where the document's commands run.
        environment: all that the commands see.
        url: where the server answers that the document starts.
        rewrite: turns what was printed into what the document shows, where a run must differ (a free port).
        timeout: seconds that one command may take.
    """

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        *,
        url: str = "http://127.0.0.1:8080",
        rewrite: Callable[[str], str] = str,
        timeout: float = 120,
    ) -> None:
        self._folder, self._environment = folder, environment
        self._url, self._rewrite, self._timeout = url, rewrite, timeout
        self._session = Session(folder, environment)
        self._servers: list[Server] = []

    def follow(self, step: Step) -> None:
        """Do one step.

        Raises:
            Mismatch: it did not do what the document says.
        """
        try:
            if step.command.startswith(SERVERS):
                self._start(step)
            elif step.command in REPLACED:
                self._run(Step(step.line, REPLACED[step.command], (), step.status))
            else:
                self._run(step)
        except Mismatch as error:
            raise Mismatch(f"line {step.line}: $ {step.command}\n{error}") from None

    def output(self, command: str) -> str:
        """What a command prints that the document does not have.

        Raises:
            Mismatch: it failed.
        """
        status, output = self._session.run(command, self._timeout)
        if status:
            raise Mismatch(f"$ {command}\nexited with {status}; it printed:\n{output}")
        return output

    def _start(self, step: Step) -> None:
        if answers(f"{self._url}/healthz"):
            raise Mismatch(f"something else answers on {self._url}; stop it first")
        server = Server(step.command, self._folder, self._environment)
        self._servers.append(server)
        server.wait_until(lambda: answers(f"{self._url}/readyz"), self._timeout, "ready")
        shown = "\n".join(step.expected)
        server.wait_until(
            lambda: matches(step.expected, self._rewrite(server.output())), 5, f"prints what is shown:\n{shown}\n"
        )

    def _run(self, step: Step) -> None:
        status, output = self._session.run(step.command, self._timeout)
        output = self._rewrite(output)
        if status != step.status:
            raise Mismatch(f"exited with {status}, not {step.status}; it printed:\n{output}")
        if not matches(step.expected, output):
            shown = "\n".join(step.expected)
            raise Mismatch(f"the document shows:\n{shown}\n\nit printed:\n{output}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()
        for server in reversed(self._servers):
            server.close()
