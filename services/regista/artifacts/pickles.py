"""Which imports a pickle asks for, told without loading it, and which of them nobody has vouched for.

A pickle is a program: loading one runs what it names. So nothing is resolved or called here
(:mod:`regista.artifacts.pickle_machine`); names are compared with an allowlist of exact names, because lists of forbidden ones
and patterns have been got around again and again (picklescan: CVE-2025-1716).
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, BinaryIO, cast

from regista.artifacts.containers import Unreadable, allowance, bounded, decompressed, open_zip
from regista.artifacts.pickle_machine import Machine
from regista.artifacts.pickle_opcodes import BrokenPickle
from regista.artifacts.source import open_file

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from regista.artifacts.pickle_values import Name
    from regista.artifacts.source import Source

OPCODE_LIMIT = 20_000_000
"""Opcodes followed in one file: some 20 s. What has more is reported as incomplete."""

PICKLED_FORMATS = frozenset({"pickle", "joblib", "pytorch", "torchscript"})
_MORE = b"\x80"


@dataclass(frozen=True, slots=True)
class PickleReport:
    """Imports as ``module.name``, sorted (``?`` for a computed one), and those that are not on the allowlist.

    ``complete`` is False, and ``problem`` says why, when not all of the file could be followed: then there may be others.
    """

    imports: tuple[str, ...]
    disallowed: tuple[str, ...]
    complete: bool = True
    problem: str | None = None


@lru_cache(maxsize=1)
def default_allowlist() -> frozenset[tuple[str, str]]:
    """Pairs of module and name that hold or rebuild data: of Python, NumPy, SciPy, pandas, scikit-learn, joblib and PyTorch."""
    text = files("regista.artifacts").joinpath("pickle_allowlist.txt").read_text(encoding="utf-8")
    lines = [line.split(": ") for line in text.splitlines() if line and not line.startswith("#")]
    return frozenset((module, name) for module, names in lines for name in names.split())


def scan_pickle(
    file: BinaryIO,
    *,
    allowed: Collection[tuple[str, str]] | None = None,
    opcode_limit: int = OPCODE_LIMIT,
) -> PickleReport:
    """Follow the pickle at the file's position, and those that stand right behind it, as legacy PyTorch files do."""
    machine = Machine(file, opcode_limit)
    problem = _follow(machine)
    return _report(machine.imports, problem, allowed)


def scan_file(
    source: Source, path: str, *, allowed: Collection[tuple[str, str]] | None = None, opcode_limit: int = OPCODE_LIMIT
) -> PickleReport:
    """Follow every pickle in a file: plain or compressed, or the members ``*.pkl`` of a PyTorch archive."""
    return scan_files(source, [path], allowed=allowed, opcode_limit=opcode_limit)


def scan_files(
    source: Source,
    paths: Iterable[str],
    *,
    allowed: Collection[tuple[str, str]] | None = None,
    opcode_limit: int = OPCODE_LIMIT,
) -> PickleReport:
    """Follow every pickle in some files: together no more opcodes than the limit. One report; the first problem stands."""
    imports: dict[Name, None] = {}
    problem: str | None = None
    for path in paths:
        wrong, opcode_limit = _scan(source, path, imports, opcode_limit)
        if wrong is not None and problem is None:
            problem = f"{path}: {wrong}"
    return _report(imports, problem, allowed)


def _scan(source: Source, path: str, imports: dict[Name, None], opcode_limit: int) -> tuple[str | None, int]:
    """Follow one file; what went wrong, and the opcodes that are left."""
    with open_file(source, path) as file:
        try:
            with open_zip(file) as archive:
                if archive is not None:
                    return _follow_members(archive, imports, opcode_limit, allowance(source.files[path]))
            machine = Machine(decompressed(file), opcode_limit, imports=imports)
            return _follow(machine), machine.opcodes_left
        except (Unreadable, OSError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
            return f"it cannot be unpacked: {error}", opcode_limit


def _follow(machine: Machine) -> str | None:
    try:
        machine.run()
        while machine.file.read(1) == _MORE:
            machine.file.seek(-1, 1)
            machine.run()
    except BrokenPickle as error:
        return str(error)
    return None


def _follow_members(
    archive: zipfile.ZipFile, imports: dict[Name, None], opcode_limit: int, limit: int
) -> tuple[str | None, int]:
    """Follow the members together no further than to the limits: they may overlap in the archive."""
    problem = None
    for name in archive.namelist():
        if name.endswith(".pkl"):
            packed = cast("zipfile.ZipExtFile", archive.open(name))
            with packed, bounded(packed, limit) as member:
                machine = Machine(member, opcode_limit, imports=imports)
                problem = _follow(machine) or problem
                opcode_limit, limit = machine.opcodes_left, limit - member.tell()
    return problem, opcode_limit


def _report(
    imports: dict[Name, None], problem: str | None, allowed: Collection[tuple[str, str]] | None
) -> PickleReport:
    allowed = default_allowlist() if allowed is None else allowed
    return PickleReport(
        imports=tuple(sorted(str(name) for name in imports)),
        disallowed=tuple(sorted(str(name) for name in imports if (name.module, name.name) not in allowed)),
        complete=problem is None,
        problem=problem,
    )
