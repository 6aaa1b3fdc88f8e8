"""Files: push, pull, verify-artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regista.cli.arguments import Model, Ref
from regista.cli.command import command
from regista.cli.shell import Shell

PANEL = "Files"


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    command(app, "pull", panel=PANEL)(pull)
    command(app, "push", panel=PANEL)(push)
    command(app, "verify-artifact", panel=PANEL)(verify_artifact)


def pull(
    shell: Shell,
    model: Model,
    ref: Ref,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where the files go.", show_default=False)],
) -> None:
    """Download the files of a version, and check the digest of each."""
    with shell.out.progress("downloading", size=True) as progress:
        pulled = shell.client.pull(model, ref, directory, progress=progress)
    if shell.out.as_json:
        shell.out.json(
            {
                "model": pulled.model,
                "version": pulled.version,
                "digest": pulled.digest,
                "directory": str(pulled.directory),
                "files": list(pulled.files),
                "size": pulled.size,
                "kept": pulled.kept,
            }
        )
        return
    count = len(pulled.files)
    files = f"{count} file{'' if count == 1 else 's'}"
    shell.out.line(f"{pulled.model} {pulled.version}  {files}, {pulled.size:,} bytes, every digest checked")
    for name in pulled.files:
        shell.out.line(f"  {pulled.directory / name}")


def push(
    shell: Shell,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A file or a folder.", show_default=False)],
) -> None:
    """Upload files without registering them, and print their digest. Unregistered, they are kept for a day."""
    with shell.out.progress("uploading", size=True) as progress:
        pushed = shell.client.push(path, progress=progress)
    if shell.out.as_json:
        shell.out.json({"digest": pushed.digest, "size": pushed.size, "files": pushed.files, "sent": pushed.sent})
        return
    shell.out.line(pushed.digest)
    shell.out.note(f"{pushed.files} files, {pushed.size:,} bytes, of which {pushed.sent:,} were sent")


def verify_artifact(shell: Shell, model: Model, ref: Ref) -> None:
    """Read the bytes of a version again, and compare them with their digests.

    The registry reads what it holds, and says what pickles import. What lies elsewhere (file:, http:, https:) is read
    from here, with your rights.
    """
    checked = shell.client.verify_version(model, ref)
    if shell.out.as_json:
        shell.out.json(checked)
        return
    where = f"in {checked.uri}" if checked.read_by == "client" else "in the registry"
    shell.out.line(f"{checked.model} {checked.version}  {checked.size:,} bytes {where}, every digest checked")
    if checked.pickle is None:
        return
    shell.out.line(f"imports outside the allowlist: {', '.join(checked.pickle.disallowed) or 'none'}")
    if not checked.pickle.complete:
        shell.out.line(f"there may be more imports: {checked.pickle.problem}")
