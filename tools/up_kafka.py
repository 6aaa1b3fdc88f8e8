"""What docker-compose.yml starts, as processes of this machine: Kafka, and each service of ``regista``.

``python tools/up_kafka.py`` keeps everything in ./.regista-kafka and goes on with it the next time; log and views are
files there. Ctrl+C ends all. For a look without Docker: the broker's settings are those of tests.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import kafka_jars
import leash
from native_kafka import Cluster, Node, free_port, prepare

READY_WITHIN = 60.0
STOP_WITHIN = 40.0
LOOK_EVERY = 0.2


class Failed(Exception):
    """It cannot go on; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Service:
    """A running command of ``regista``, answering HTTP at ``url``."""

    name: str
    url: str
    log: Path
    process: subprocess.Popen[bytes]

    def says(self, path: str = "/readyz") -> bool:
        """Whether it answers with OK there. ``Failed`` when it has ended."""
        if (code := self.process.poll()) is not None:
            raise Failed(f"regista {self.name} has ended with {code}; the end of {self.log}:\n{_end(self.log)}")
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=5) as answer:  # noqa: S310 - http, this machine
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def ended(self) -> None:
        """Wait for its end; kill it when that does not come."""
        try:
            leash.ended(self.process, STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            leash.ended(self.process, STOP_WITHIN)


def start(name: str, folder: Path, port: int, environment: Mapping[str, str]) -> Service:
    """Start ``regista NAME`` on a port; what it says goes to a file of its name."""
    log = folder / f"{name}.log"
    with log.open("ab") as output:
        process = leash.start(
            [Path(sys.executable).with_name("regista"), name, "--port", str(port)], output, environment=environment
        )
    return Service(name, f"http://127.0.0.1:{port}", log, process)


def stop(services: Sequence[Service]) -> None:
    """Ask all to end, and wait for it."""
    for service in services:
        service.process.terminate()
    for service in services:
        service.ended()


def await_all(services: Sequence[Service], path: str) -> None:
    """Return when all answer there with OK. ``Failed`` when one ends, or takes too long."""
    until = time.monotonic() + READY_WITHIN
    for service in services:
        while not service.says(path):
            if time.monotonic() > until:
                raise Failed(f"regista {service.name} is not ready; it writes to {service.log}")
            time.sleep(LOOK_EVERY)


def run(folder: Path, port: int, kafka_port: int, version: str) -> None:
    """Start all, say how to use it, and stay until one ends (``Failed``) or Ctrl+C (``KeyboardInterrupt``)."""
    folder.mkdir(parents=True, exist_ok=True)
    print(f"Starting Apache Kafka {version} and the services; what they write is in {folder}/*.log", flush=True)
    with ExitStack() as stack:
        prepare(version)
        cluster = Cluster(folder / "kafka", version, ports=(kafka_port,))
        stack.callback(cluster.stop)
        cluster.start()
        (node,) = cluster.nodes
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("REGISTA_")}
        environment = inherited | {"REGISTA_DATA": str(folder / "data"), "REGISTA_KAFKA": cluster.bootstrap}
        services: list[Service] = []
        stack.callback(stop, services)
        environment["REGISTA_URL"] = f"http://127.0.0.1:{port}"
        for name in ("serve", "relay", "project", "deploy", "notify"):
            service = start(name, folder, port if name == "serve" else free_port(), environment)
            services.append(service)
            # The first one makes the log that the others read; it is ready only with them.
            await_all([service], "/healthz")
        await_all(services, "/readyz")
        tell(services, cluster.bootstrap)
        watch(node, services)


def tell(services: Sequence[Service], bootstrap: str) -> None:
    """What is there now, and what to do with it."""
    serve, *others = services
    beside = "".join(f"\n  {service.name:<8} {service.url}/v1/status" for service in others)
    print(f"""
Regista is ready: {serve.url}
  Kafka    {bootstrap}{beside}

In another terminal:
  . {Path(sys.executable).parent}/activate
  export REGISTA_URL={serve.url}
  regista --help
  kcat -b {bootstrap} -t regista.events.v1 -C -f '%o %k %h\\n'

Ctrl+C ends all; the data stays.""", flush=True)  # fmt: skip


def watch(node: Node, services: Sequence[Service]) -> None:
    """Look after all of them, until one ends. ``Failed``."""
    while True:
        for service in services:
            service.says()
        if not node.running:
            raise Failed(f"Kafka has ended:\n{node.log[-2000:]}")
        time.sleep(1)


def _end(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])


def main() -> int:
    """Run it; 1 when it cannot be started or a part of it ended by itself."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(".regista-kafka"), help="where everything is kept")
    parser.add_argument("--port", type=int, default=8080, help="of the registry")
    parser.add_argument("--kafka-port", type=int, default=9092, help="of Kafka, when the folder is new")
    parser.add_argument("--version", choices=kafka_jars.VERSIONS, default=kafka_jars.MAIN, help="of Kafka")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run(given.data.absolute(), given.port, given.kafka_port, given.version)
    except (Failed, kafka_jars.Unavailable, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nAll has ended.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
