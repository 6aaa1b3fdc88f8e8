"""The lock of the schemas: ``python -m regista.schemas.lock check | add | release VERSION``.

``check`` names every file that is not what the lock says. ``add`` writes new and changed schemas into the lock, after
the compatibility rules; it never touches a released one. ``release VERSION`` marks what is not released yet: from
then on these files do not change for ever, a next revision is a file of its own.

Events, commands and metrics lie in folders of their own, each with its lock; the command looks at all of them.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Final

from fastavro.schema import fingerprint, to_parsing_canonical_form

from regista.schemas.catalogue import Entry, as_record, entries
from regista.schemas.compatibility import Candidate, judge
from regista.schemas.errors import SchemaError
from regista.schemas.schema import Document

FORMAT: Final = 1
SHIPPED: Final = tuple(Path(__file__).parent / folder for folder in ("", "commands", "metrics"))
"""The folders of this package."""
_FILE: Final = re.compile(r"(?P<record>[A-Z][A-Za-z0-9]*)(?:\.(?P<revision>[1-9][0-9]*))?\.avsc")
_RELEASE: Final = re.compile(r"\d+\.\d+\.\d+(?:[-.a-z0-9]+)?")


def read(folder: Path) -> dict[str, Entry]:
    """The lock's entries by file name; none where there is no lock yet.

    Raises:
        SchemaError: the lock cannot be read.
    """
    path = folder / "lock.json"
    if not path.exists():
        return {}
    return {entry.file: entry for entry in entries(_document(path, path.read_bytes()))}


def found(folder: Path) -> dict[str, Entry]:
    """What the files are, by file name, as entries that nothing is said about being released.

    Raises:
        SchemaError: a file is not an event schema, or its name does not say record and revision.
    """
    return {path.name: _entry(path) for path in sorted((folder / "avro").iterdir()) if not path.name.startswith(".")}


def check(folder: Path) -> list[str]:
    """Everything that is not as the lock says, compatibility included; empty when all is well."""
    try:
        locked, there = read(folder), found(folder)
    except SchemaError as error:
        return [str(error)]
    problems = [f"{file}: in the lock, but the file is missing" for file in locked.keys() - there.keys()]
    problems += [f"{file}: not in the lock" for file in there.keys() - locked.keys()]
    for file in sorted(locked.keys() & there.keys()):
        entry = locked[file]
        if replace(there[file], released=entry.released) != entry:
            problems.append(f"{file}: changed after it was {'released' if entry.released else 'locked'}")
    return sorted(problems) + judge(_candidates(folder, there.values(), locked))


def add(folder: Path) -> list[str]:
    """Lock every file that is new, or changed and not released. The files that were.

    Raises:
        SchemaError: a released file changed or is gone, or a rule of ``compatibility`` is broken. The lock is as before.
    """
    locked, there = read(folder), found(folder)
    for file, entry in locked.items():
        now = there.get(file)
        if entry.released and (now is None or replace(now, released=entry.released) != entry):
            number = entry.revision + 1
            msg = f"{file} is released and cannot change: write {entry.record}.{number}.avsc beside it"
            raise SchemaError(msg)
    if problems := judge(_candidates(folder, there.values(), locked)):
        raise SchemaError("\n".join(problems))
    kept = {
        file: replace(entry, released=locked[file].released if file in locked else None)
        for file, entry in there.items()
    }
    _write(folder, kept)
    return [file for file, entry in kept.items() if locked.get(file) != entry]


def release(folder: Path, version: str) -> list[str]:
    """Mark every schema that is not released yet as released with ``version``. The files that were.

    Raises:
        SchemaError: the version is no version, or ``check`` finds something.
    """
    if not _RELEASE.fullmatch(version):
        msg = f"{version!r} is not a version number"
        raise SchemaError(msg)
    if problems := check(folder):
        raise SchemaError("\n".join(problems))
    locked = read(folder)
    _write(folder, {file: replace(entry, released=entry.released or version) for file, entry in locked.items()})
    return [file for file, entry in locked.items() if not entry.released]


def _entry(path: Path) -> Entry:
    match = _FILE.fullmatch(path.name)
    if match is None:
        msg = f"{path.name}: a schema file is called Record.avsc or Record.2.avsc"
        raise SchemaError(msg)
    content = path.read_bytes()
    document = _document(path, content)
    record = as_record(document)
    if record.short_name != match["record"]:
        msg = f"{path.name}: holds the record {record.short_name}"
        raise SchemaError(msg)
    return Entry(
        fingerprint=fingerprint(to_parsing_canonical_form(document), "CRC-64-AVRO"),
        record=record.short_name,
        revision=int(match["revision"] or 1),
        file=path.name,
        sha256=sha256(content).hexdigest(),
        released=None,
    )


def _document(path: Path, content: bytes) -> Document:
    try:
        return json.loads(content)
    except ValueError as error:
        msg = f"{path.name}: not JSON: {error}"
        raise SchemaError(msg) from error


def _candidates(folder: Path, there: Iterable[Entry], locked: Mapping[str, Entry]) -> list[Candidate]:
    return [
        Candidate(
            entry.file,
            entry.revision,
            entry.fingerprint,
            as_record(_document(folder / "avro" / entry.file, (folder / "avro" / entry.file).read_bytes())),
            released=entry.file in locked and locked[entry.file].released is not None,
        )
        for entry in there
    ]


def _write(folder: Path, files: Mapping[str, Entry]) -> None:
    schemas = {}
    for entry in sorted(files.values(), key=lambda entry: (entry.record, entry.revision)):
        fields = asdict(entry)
        schemas[fields.pop("fingerprint")] = fields
    if len(schemas) != len(files):
        msg = "two files have the same fingerprint"
        raise SchemaError(msg)
    text = json.dumps({"format": FORMAT, "schemas": schemas}, indent=2) + "\n"
    (folder / "lock.json").write_text(text, encoding="utf-8")


def main(arguments: Sequence[str] | None = None, folder: Path | None = None) -> int:
    """The command. 0: done, nothing found; 1: problems, each on its line; 2: usage."""
    parser = argparse.ArgumentParser(prog="python -m regista.schemas.lock", description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="name every file that is not what the lock says")
    commands.add_parser("add", help="lock new files, and changed ones that are not released")
    commands.add_parser("release", help="mark all as released").add_argument("version")
    chosen = parser.parse_args(arguments)
    folders = (folder,) if folder else SHIPPED
    try:
        if chosen.command == "check":
            problems = [problem for one in folders for problem in check(one)]
            sys.stdout.writelines(f"{problem}\n" for problem in problems)
            return 1 if problems else 0
        files = [f for one in folders for f in (add(one) if chosen.command == "add" else release(one, chosen.version))]
    except SchemaError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.writelines(f"{file}\n" for file in files)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
