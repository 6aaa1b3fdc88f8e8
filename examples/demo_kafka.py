"""``make demo-kafka``: the registry of ``make demo``, to which Kafka is added later.

The story runs embedded first, without Kafka. Then the same registry is started with one: its whole history is published
from position 1, one record per act, which kcat prints. At last the views are deleted and built anew from Kafka alone, by
a process that never sees the log; they must equal those that came from the store, in every row. Exits with 1 otherwise.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import which

import train_and_register
from demo import console, show_digests, url_of
from rich.table import Table

import regista
from native_kafka import Cluster, prepare

TOPIC = "regista.events.v1"
PATIENCE = 60.0
"""Seconds until a step must have ended."""


def main() -> int:
    """The demonstration; 0 when everything held."""
    if which("kcat") is None:
        console.print("kcat prints what is on Kafka, and is not installed: apt-get install kcat")
        return 1
    with tempfile.TemporaryDirectory(prefix="regista-demo-") as folder, ExitStack() as stack:
        data = Path(folder) / "data"
        console.rule("Train, register, promote, roll back, archive: one process, no Kafka")
        with running(["up"], data) as client:
            train_and_register.main(client)
            client.visible()
            from_the_store = client.digests().digests
            head = client.status().head
        console.print(f"{head.count} events in the log, none of them on Kafka")
        console.rule("Kafka is added")
        prepare()
        broker = stack.enter_context(Cluster(Path(folder) / "kafka"))
        kafka = ["--kafka", broker.bootstrap]
        with running(["up", *kafka], data) as client:
            published(client, head.position)
        records = list(printed_by_kcat(broker.bootstrap))
        show_records(records)
        console.rule("The views are deleted, and built from Kafka alone")
        for views in data.glob("views.db*"):
            views.unlink()
        with running(["serve", *kafka], data, beside=[["project", *kafka]]) as client:
            client.visible(head.position)
            from_kafka = client.digests().digests
            compared = client.verify(kafka=True)
        show_digests(from_the_store, from_kafka)
        copy = compared.kafka
        console.print(f"Store and topic were compared record by record: {'equal' if compared.ok else 'DIFFERENT'}.")
    held = (
        [position for position, _, _ in records] == list(range(1, head.count + 1))
        and from_the_store == from_kafka
        and compared.ok
        and copy is not None
        and copy.head.digest == head.digest
    )
    console.print("[green]Everything held.[/]" if held else "[red]Something is off.[/]")
    return 0 if held else 1


@contextmanager
def running(command: Sequence[str], data: Path, beside: Sequence[Sequence[str]] = ()) -> Iterator[regista.Client]:
    """A registry, and processes beside it on the same data, until the block ends."""
    with ExitStack() as stack:
        for other in beside:
            url_of(stack.enter_context(process(other, data)))
        with regista.Client(url_of(stack.enter_context(process(command, data))), actor="demo") as client:
            yield client


@contextmanager
def process(command: Sequence[str], data: Path) -> Iterator[subprocess.Popen[str]]:
    """A process of ``regista`` on a free port."""
    program = str(Path(sys.executable).with_name("regista"))  # of this environment, activated or not
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REGISTA_")}
    arguments = [program, *command, "--port", "0", "--data", str(data), "--log-level", "error"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment) as started:
        try:
            yield started
        finally:
            started.terminate()


def published(client: regista.Client, position: int) -> None:
    """Return when the relay has published everything up to a position."""
    deadline = time.monotonic() + PATIENCE
    while (relay := client.status().components["relay"])["position"] < position:
        if time.monotonic() > deadline:
            raise SystemExit(f"the relay did not publish the log: {relay}")
        time.sleep(0.1)
    console.print(f"published up to position {position}")


def printed_by_kcat(bootstrap: str) -> Iterator[tuple[int, str, str]]:
    """Position, type and stream of each record, as kcat prints them."""
    options = ["-C", "-o", "beginning", "-e", "-q", "-X", "isolation.level=read_committed", "-f", r"%k\t%h\n"]
    printed = subprocess.run(
        ["kcat", "-b", bootstrap, "-t", TOPIC, *options],  # noqa: S607 - wherever it is installed
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    for line in printed.stdout.splitlines():
        stream, _, rest = line.partition("\t")
        headers = dict(header.partition("=")[::2] for header in rest.split(","))
        yield int(headers["ce_position"]), headers["ce_type"], stream


def show_records(records: Sequence[tuple[int, str, str]]) -> None:
    """One line for each record."""
    table = Table("position", "ce_type", "key", box=None, title=f"kcat -t {TOPIC}", title_justify="left")
    for position, kind, stream in records:
        table.add_row(str(position), kind, stream)
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
