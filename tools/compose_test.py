"""Bring docker-compose.yml up as it stands, follow the README against it, kill its processes, and take it down.

``python tools/compose_test.py`` needs an engine that answers and ``docker compose``. Its project, its volumes, its
secrets and its ports are of its own, so that it disturbs no registry that runs here. Images are built and pulled as
the file says; REGISTA_IMAGE, PYTHON_IMAGE, KAFKA_IMAGE and POSTGRES_IMAGE name others, and ``--override FILE`` is laid
over the file. Fails when a service does not become healthy, when a command of the README does not print what the
README shows, when after a kill anything answered is missing, or anything that was to follow from it, or when a process
that is told to end does not.
"""

from __future__ import annotations

import argparse
import base64
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from compose_effects import Effects
from regista import Client
from walkthrough import REPLACED, SERVERS, Mismatch, Reader, Step, steps

ROOT = Path(__file__).resolve().parents[1]
HEALTHY_WITHIN = 300
"""Seconds for all services, once the images are there."""
OWN = ("api", "relay", "projector", "deployer", "notifier")
KILLS = (("deployer", "notifier"), OWN, ("postgres", "kafka"))
RECEIVER = ROOT / "tools" / "compose_receiver.yml"


class Failed(Exception):
    """What the file promises does not hold; the text says what."""


class Compose:
    """The services of docker-compose.yml as a project of their own."""

    def __init__(self, environment: dict[str, str], overrides: Sequence[Path]) -> None:
        self._environment = environment
        files = [argument for path in (ROOT / "docker-compose.yml", *overrides) for argument in ("--file", str(path))]
        # No .env of the checkout: what holds is what is given here.
        self._command = ["docker", "compose", "--env-file", os.devnull, "--project-directory", str(ROOT), *files]

    def __call__(self, *arguments: str, quiet: bool = False) -> str:
        """Run a command of compose; what it printed, if it is quiet.

        Raises:
            Failed: it exited with another status than 0.
        """
        answer = subprocess.run(
            [*self._command, *arguments],
            env=self._environment,
            text=True,
            stdout=subprocess.PIPE if quiet else None,
            check=False,
        )
        if answer.returncode:
            raise Failed(f"docker compose {' '.join(arguments)} exited with {answer.returncode}")
        return answer.stdout or ""

    def up(self) -> None:
        """Build, start, and wait until all of it is healthy."""
        self("up", "--build", "--detach", "--wait", "--wait-timeout", str(HEALTHY_WITHIN))

    def revive(self, *services: str) -> None:
        """Start what was killed, and wait until all services are healthy again.

        Not with ``up``, which gives up as soon as one is unhealthy, as those are that need what was killed.

        Raises:
            Failed: they are not in time.
        """
        self("start", *services)
        until = time.monotonic() + HEALTHY_WITHIN
        while unlike := [line for line in self._health() if not line.endswith(" healthy")]:
            if time.monotonic() > until:
                raise Failed(f"after {HEALTHY_WITHIN} s: {', '.join(unlike)}")
            time.sleep(1)

    def _health(self) -> list[str]:
        return self("ps", "--all", "--format", "{{.Service}} {{.Health}}", quiet=True).splitlines()


def free_ports(number: int) -> list[str]:
    """Different ports of this machine that nobody listens on now."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [str(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@contextmanager
def started(environment: dict[str, str], overrides: Sequence[Path]) -> Iterator[Compose]:
    """All services, healthy; with the block they are gone, volumes and all. Their logs are shown if it failed."""
    compose = Compose(environment, overrides)
    try:
        compose.up()
        yield compose
    except (Failed, Mismatch):
        compose("ps", "--all")
        compose("logs", "--no-color", "--tail", "100")
        raise
    finally:
        compose("down", "--volumes", "--remove-orphans", "--timeout", "60")


def todo() -> list[Step]:
    """The commands of the README for a registry that is running already."""
    document = (ROOT / "README.md").read_text(encoding="utf-8")
    return [step for step in steps(document) if not step.command.startswith(SERVERS) and step.command not in REPLACED]


def checkout(folder: Path) -> Path:
    """HEAD in a folder of its own; the environment of this interpreter stands in for the one that make would install."""
    target = folder / "regista"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(target)], check=True)  # noqa: S607
    (target / ".venv").mkdir()
    (target / ".venv" / "bin").symlink_to(Path(sys.prefix, "bin"))
    return target


def survives(compose: Compose, reader: Reader, effects: Effects) -> None:
    """Kill at once what stands together, with work under way: what was answered is still there, and all follows from it."""
    before = reader.output("regista --json history iris")
    for killed in KILLS:
        effects.change()
        compose("kill", "--signal", "SIGKILL", *killed)
        if not {"api", "postgres"} & set(killed):
            effects.change()
        compose.revive(*killed)
        if missing := effects.settle():
            raise Failed(f"after a kill of {', '.join(killed)}: {missing}")
        if (after := reader.output("regista --json history iris")) != before:
            raise Failed(f"after a kill of {', '.join(killed)} there was\n{after}\nand before it\n{before}")
        print(f"killed {', '.join(killed)}: nothing is missing", flush=True)


def ends(compose: Compose) -> None:
    """Told to end, every process of Regista does so by itself, having finished what it had in hand."""
    compose("stop", *OWN)
    codes = compose("ps", "--all", "--format", "{{.Service}} {{.ExitCode}}", *OWN, quiet=True).splitlines()
    if sorted(codes) != sorted(f"{service} 0" for service in OWN):
        raise Failed(f"of the processes that were told to end, not all ended with 0: {', '.join(codes)}")


def folds_alike(reader: Reader) -> None:
    """The views are those that a registry makes of the exported log from its beginning."""
    reader.output("regista export build/all.jsonl && regista import build/all.jsonl --data build/all")
    here, there = (reader.output(f"regista --json digests {where}") for where in ("", "--data build/all"))
    if here != there:
        raise Failed(f"the views are\n{here}\nand those of the exported log\n{there}")


def run(overrides: Sequence[Path]) -> int:
    """The whole test; how many commands of the README were followed."""
    api, kafka = free_ports(2)
    token = secrets.token_hex(32)
    environment = os.environ | {
        "COMPOSE_PROJECT_NAME": f"regista-test-{secrets.token_hex(4)}",
        "REGISTA_TOKEN": token,
        "POSTGRES_PASSWORD": secrets.token_hex(24),
        "REGISTA_ALLOW_PRIVATE": "true",
        "WEBHOOK_SECRET": (secret := f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"),
        "REGISTA_PORT": api,
        "KAFKA_PORT": kafka,
    }
    url = f"http://127.0.0.1:{api}"
    commands = todo()
    with (
        tempfile.TemporaryDirectory(prefix="regista-compose-") as scratch,
        started(environment, [RECEIVER, *overrides]) as compose,
    ):
        client = {"PATH": os.environ["PATH"], "HOME": scratch, "REGISTA_URL": url, "REGISTA_TOKEN": token}
        with Reader(checkout(Path(scratch)), client, url=url, rewrite=lambda text: text.replace(api, "8080")) as reader:
            for step in commands:
                begun = time.monotonic()
                reader.follow(step)
                print(f"{time.monotonic() - begun:6.1f} s  $ {step.command}", flush=True)
            with Client(url, token=token, actor="m.rossi") as registry:
                effects = Effects(registry, partial(compose, quiet=True), secret=secret, versions=("1.0.0", "1.2.0"))
                survives(compose, reader, effects)
            folds_alike(reader)
            print(reader.output("regista verify --kafka"), flush=True)
            compose("ps")
        ends(compose)
    return len(commands)


def main() -> int:
    """0 when the file does what it promises."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what was started is taken down
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--override", type=Path, action="append", default=[], metavar="FILE", help="laid over the file")
    started_at = time.monotonic()
    try:
        number = run(parser.parse_args().override)
    except (Failed, Mismatch) as error:
        print(f"compose: {error}", file=sys.stderr)
        return 1
    print(f"{time.monotonic() - started_at:6.1f} s  in all; {number} commands did what the README says")
    return 0


if __name__ == "__main__":
    sys.exit(main())
