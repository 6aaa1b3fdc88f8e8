"""The log as a whole: verify, rebuild, skip, export, import; of a running registry, most also offline on its data."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regista.cli.arguments import Data, Database, Reason
from regista.cli.command import command
from regista.cli.exits import REFUSED
from regista.cli.offline import offline_settings, server_part
from regista.cli.shell import Shell
from regista.domain.errors import Invalid, NotFound

if TYPE_CHECKING:
    from regista.wire.administration import Imported, Rebuilt, Verification

PANEL = "The log as a whole"


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    command(app, "verify", panel=PANEL)(verify)
    command(app, "rebuild", panel=PANEL)(rebuild)
    command(app, "digests", panel=PANEL)(digests)
    command(app, "skip", panel=PANEL)(skip)
    command(app, "export", panel=PANEL)(export)
    command(app, "import", panel=PANEL)(import_)


def verify(
    shell: Shell,
    head: Annotated[
        str | None,
        typer.Option("--head", metavar="POSITION:HASH", help="Kept from before: proves that nothing up to it is gone."),
    ] = None,
    kafka: Annotated[
        bool,
        typer.Option("--kafka", help="Compare with the topic as well, record by record; offline: REGISTA_KAFKA's."),
    ] = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """Check the hash of every stored event; what was edited, removed, inserted or swapped is named (exit code 1)."""
    found: Verification
    settings = offline_settings(data, database)
    with shell.out.progress("verifying") as report:
        if settings is None:
            found = shell.client.verify(head, kafka=kafka, report=report)
        else:
            offline = server_part("regista.offline")
            found = offline.offline_verify(settings, head=head, kafka=kafka, **_reporting(report))
    if shell.out.as_json:
        shell.out.json(found)
    else:
        _print_verification(shell, found)
    if not found.ok:
        raise typer.Exit(REFUSED)


def _print_verification(shell: Shell, found: Verification) -> None:
    if found.ok:
        proven = {"log": "; it proves the whole log up to it", "stream": "; it proves its stream up to it"}
        given = f"   The head holds{proven[found.proven]}." if found.proven else ""
        shell.out.line(f"{found.head.count} events are what was written.{given}", style="green")
    else:
        shell.out.line(f"{found.found} problems in {found.head.count} events", style="bold red")
        rows = ((p.position, p.stream, p.sequence, p.kind, p.detail) for p in found.problems)
        shell.out.table(("position", "stream", "sequence", "kind", "what is wrong"), rows)
        if found.found > len(found.problems):
            shell.out.note(f"and {found.found - len(found.problems)} more")
    shell.out.fields([("log", found.log_id), ("head", f"{found.head.position}:{found.head.digest}")])
    if found.kafka is not None:
        behind = f", {found.kafka.unpublished} to come" if found.kafka.unpublished else ""
        shell.out.fields([("kafka", f"{found.kafka.head.count} events up to {found.kafka.head.position}{behind}")])
    if found.ok:
        shell.out.note("Keep the head elsewhere: `regista verify --head` with it sees a log that was cut short.")


def rebuild(shell: Shell, data: Data = None, database: Database = None) -> None:
    """Fold all views anew from the first event, and compare their digests (exit code 1 where they differ)."""
    found: Rebuilt
    settings = offline_settings(data, database)
    with shell.out.progress("rebuilding") as report:
        if settings is None:
            found = shell.client.rebuild(report=report)
        else:
            found = server_part("regista.offline").offline_rebuild(settings, **_reporting(report))
    if shell.out.as_json:
        shell.out.json(found)
    else:
        rows = ((name, digest, _same(found, name)) for name, digest in found.digests.items())
        shell.out.table(("view", "digest", "compared with before"), rows)
        shell.out.note(f"{found.events} events in {found.seconds:.2f} s, up to position {found.position}")
    if not found.equal:
        raise typer.Exit(REFUSED)


def _same(found: Rebuilt, name: str) -> str:
    before = found.previous.get(name)
    if before is None:
        return "new"
    return "equal" if before == found.digests[name] else "DIFFERENT"


def digests(shell: Shell, data: Data = None, database: Database = None) -> None:
    """A digest over the content of every view: equal on every copy of the log."""
    settings = offline_settings(data, database)
    found = shell.client.digests() if settings is None else server_part("regista.offline").offline_digests(settings)
    if shell.out.as_json:
        shell.out.json(found)
        return
    shell.out.table(("view", "digest"), found.digests.items())
    shell.out.note(f"up to position {found.position}")


def skip(
    shell: Shell,
    position: Annotated[int, typer.Argument(metavar="POSITION", help="Of the event.", min=1, show_default=False)],
    reason: Annotated[str, typer.Option("--reason", metavar="WHY", help="Why; it is kept with the skip.")],
    view: Annotated[
        str | None,
        typer.Option(
            "--view", metavar="NAME", help="This view alone, even ahead of a rebuild; else all that stand there."
        ),
    ] = None,
) -> None:
    """Let views pass over an event that they cannot apply; they then answer as if it had not been."""
    found = shell.client.skip(position, reason, view=view)
    if shell.out.as_json:
        shell.out.json(found)
    else:
        shell.out.line(f"{', '.join(found.views)}: position {found.position} is passed over, as {found.actor} decided")


def export(
    shell: Shell,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; - is stdout.", show_default=False)],
    data: Data = None,
    database: Database = None,
) -> None:
    """Write the whole log as JSON Lines, with the very bytes of its events."""
    if (settings := offline_settings(data, database)) is not None:
        _export_offline(shell, file, settings)
        return
    with shell.out.progress("exporting") as report, _place(file) as place:
        found = shell.client.export_log(place, report=report)
        if str(file) == "-":
            _copy_to_stdout(place)
    if str(file) != "-":
        _print_export(
            shell, {"path": str(file), "log_id": found.log_id, "events": found.events, "digest": found.digest}
        )


def _export_offline(shell: Shell, file: Path, settings: Any) -> None:  # noqa: ANN401 - of the server, if installed
    from regista.client.landing import beside, finish  # noqa: PLC0415 - loads the SDK

    lines = server_part("regista.offline").offline_export(settings)
    if str(file) == "-":
        sys.stdout.writelines(lines)
        return
    count = -2  # the header and the footer are no events
    with beside(file) as (temporary, output):
        for line in lines:
            output.write(line.encode())
            count += 1
        finish(output, temporary, file)
    _print_export(shell, {"path": str(file), "events": count})


def _print_export(shell: Shell, found: dict[str, Any]) -> None:
    if shell.out.as_json:
        shell.out.json(found)
    else:
        shell.out.line(f"{found['events']} events in {found['path']}")


@contextmanager
def _place(file: Path) -> Iterator[Path]:
    """The file itself, or one that is gone afterwards where stdout is meant."""
    if str(file) != "-":
        yield file
        return
    from tempfile import TemporaryDirectory  # noqa: PLC0415 - only for a pipe

    with TemporaryDirectory(prefix="regista-") as directory:
        yield Path(directory) / "export"


def _copy_to_stdout(place: Path) -> None:
    import shutil  # noqa: PLC0415 - only for a pipe

    with place.open("rb") as source:
        shutil.copyfileobj(source, sys.stdout.buffer)
    sys.stdout.buffer.flush()


def import_(
    shell: Shell,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What an export wrote.", show_default=False)],
    copy: Annotated[
        bool, typer.Option("--copy", help="Go on as a log of its own, while the exported one goes on too.")
    ] = False,
    reason: Reason = None,
    data: Data = None,
    database: Database = None,
) -> None:
    """Fill an empty registry with an export: same positions, same hashes. All is checked before anything is visible."""
    found: Imported
    with shell.out.progress("importing") as report:
        if (settings := offline_settings(data, database)) is None:
            found = shell.client.import_log(file, copy=copy, reason=reason, report=report)
            shell.client.visible()
        else:
            found = _import_offline(shell, file, settings, copy=copy, reason=reason, report=report)
    if shell.out.as_json:
        shell.out.json(found)
        return
    own = "a log of its own" if found.copied else "the log it was exported from, which must not be written any more"
    shell.out.line(f"{found.events} events up to position {found.position}: this is {own}")
    shell.out.fields([("log", found.log_id)])


def _import_offline(
    shell: Shell,
    file: Path,
    settings: Any,  # noqa: ANN401 - of the server, if installed
    *,
    copy: bool,
    reason: str | None,
    report: Any,  # noqa: ANN401 - or None
) -> Imported:
    from regista.client.settings import default_actor  # noqa: PLC0415 - loads the SDK

    offline = server_part("regista.offline")
    try:
        source = file.open("rb")
    except FileNotFoundError:
        raise NotFound(f"there is no export at {os.fspath(file)!r}", code="path_not_found") from None
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror}", code="cannot_read") from error
    with source:
        actor = shell.options.actor or default_actor()
        found: Imported = offline.offline_import(
            settings, source, actor=actor, reason=reason, copy=copy, **_reporting(report)
        )
        return found


def _reporting(report: Any) -> dict[str, Any]:  # noqa: ANN401 - a progress report, or None
    return {} if report is None else {"report": report}
