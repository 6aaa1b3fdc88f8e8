"""``make demo``: a registry from nothing to proof, in one command.

Starts a registry in a folder of its own, runs ``train_and_register.py`` against it, prints the timeline and what was in
production at three past moments, verifies the hashes, deletes the views and shows that the log gives them back, equal
in every row. Exits with 1 if anything is off.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import train_and_register
from rich.console import Console
from rich.table import Table

import regista

console = Console(width=140, soft_wrap=True)
CHANGES_OF_PRODUCTION = ("regista.version.promoted.v1", "regista.version.rolled-back.v1")


def main() -> int:
    """The demonstration; 0 when everything held."""
    with tempfile.TemporaryDirectory(prefix="regista-demo-") as folder:
        data = Path(folder)
        with registry(data) as client:
            console.rule("Train, register, promote, roll back, archive")
            train_and_register.main(client)
            console.rule("Who, when, why")
            show_timeline(client)
            console.rule("What was in production")
            show_production(client)
            console.rule("Proof")
            verified = client.verify()
            head = f"{verified.head.position}:{verified.head.digest}"
            console.print(
                f"{verified.head.count} events; every hash holds: {'yes' if verified.ok else 'NO'}. Head {head}"
            )
            before = client.digests()
        for views in data.glob("views.db*"):
            views.unlink()
        console.print("The views are deleted; the registry starts again and folds the log.")
        with registry(data) as client:
            again = client.verify(head)
            after = client.digests()
        console.print(f"The head still proves the {again.proven or 'NOTHING'}.")
        show_digests(before.digests, after.digests)
    held = verified.ok and again.ok and again.proven == "log" and before.digests == after.digests
    console.print("[green]Everything held.[/]" if held else "[red]Something is off.[/]")
    return 0 if held else 1


@contextmanager
def registry(data: Path) -> Iterator[regista.Client]:
    """A registry in a process of its own, on a free port, until the block ends."""
    program = Path(sys.executable).with_name("regista")  # of this environment, activated or not
    command = [str(program), "up", "--port", "0", "--data", str(data)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REGISTA_")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            with regista.Client(url_of(process), actor="demo") as client:
                yield client
        finally:
            process.terminate()


def url_of(process: subprocess.Popen[str]) -> str:
    """The address that the registry prints when it is ready."""
    assert process.stdout is not None
    for line in process.stdout:
        for word in line.split():
            if word.startswith("http://"):
                return word.rstrip(".,")
    raise SystemExit("the registry did not start")


def show_timeline(client: regista.Client) -> None:
    """Every event of both models, in the order of the log."""
    table = Table("position", "time", "who", "what", "version", "why", box=None)
    for event in client.events():
        if event.stream.startswith("model/"):
            what = event.type.removeprefix("regista.").removesuffix(".v1").replace(".", " ")
            more = (event.data.get(name) for name in ("to_stage", "stage", "alias", "check"))
            version = f"{event.data['model']} {event.data.get('version', '')}"
            table.add_row(
                str(event.position),
                f"{event.time:%H:%M:%S}",
                event.actor,
                " ".join([what, *filter(None, more)]),
                version,
                event.reason or event.data.get("summary") or "",
            )
    console.print(table)


def show_production(client: regista.Client) -> None:
    """The holders of production right after the first, a middle and the last change."""
    changes = [
        event.position
        for event in client.events()
        if event.type in CHANGES_OF_PRODUCTION and "production" in (event.data.get("to_stage"), event.data.get("stage"))
    ]
    table = Table("at position", "model", "version", "since", "by", "why", box=None)
    for moment in (changes[0], changes[len(changes) // 2], changes[-1]):
        for line in client.production(at=moment):
            table.add_row(
                str(moment), line.model, line.version, f"{line.since:%H:%M:%S}", line.actor, line.reason or ""
            )
    console.print(table)


def show_digests(before: dict[str, str], after: dict[str, str]) -> None:
    """The digest of every view before and after."""
    table = Table("view", "before", "rebuilt", "equal", box=None)
    for name, digest in before.items():
        table.add_row(name, digest[:16], after.get(name, "")[:16], "yes" if after.get(name) == digest else "NO")
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
