"""Reading a pickle opcode by opcode, without its payloads: those are skipped over, so memory does not grow with them."""

from __future__ import annotations

import pickletools
import struct
from typing import TYPE_CHECKING, BinaryIO

from regista.artifacts.pickle_values import OPAQUE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from regista.artifacts.pickle_values import Value

_TEXT_LIMIT = 1 << 16
_NUMBER_LIMIT = 32
_LENGTHS = {
    pickletools.TAKEN_FROM_ARGUMENT1: "<B",
    pickletools.TAKEN_FROM_ARGUMENT4: "<i",
    pickletools.TAKEN_FROM_ARGUMENT4U: "<I",
    pickletools.TAKEN_FROM_ARGUMENT8U: "<Q",
}
_TEXT = frozenset(
    {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE", "STRING", "BINSTRING", "SHORT_BINSTRING"}
)
_FIXED = {"BININT": "<i", "BININT1": "<B", "BININT2": "<H", "LONG_BINPUT": "<I", "LONG_BINGET": "<I"}
_FIXED |= {"BINPUT": "<B", "BINGET": "<B", "PROTO": "<B", "EXT1": "<B", "EXT2": "<H", "EXT4": "<i"}
PLAIN = _TEXT | _FIXED.keys() | {"INT", "LONG"}
"""Opcodes that push their argument as it stands."""

_OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}


class BrokenPickle(Exception):
    """The bytes are no complete pickle, or more than this machine follows."""


def read_opcodes(file: BinaryIO) -> Iterator[tuple[pickletools.OpcodeInfo, Value]]:
    """Yield each opcode before STOP with its argument: a number, a short text, or ``OPAQUE``. The file is left behind STOP.

    Raises :class:`BrokenPickle`, ``ValueError`` or ``struct.error`` where the bytes are no opcodes.
    """
    while (code := file.read(1)) != b".":
        opcode = _OPCODES.get(code)
        if opcode is None:
            raise BrokenPickle(f"opcode {code!r} is unknown" if code else "it ends without STOP")
        yield opcode, _argument(file, opcode)


def _argument(file: BinaryIO, opcode: pickletools.OpcodeInfo) -> Value:
    if opcode.arg is None:
        return OPAQUE
    if opcode.name in ("GLOBAL", "INST"):
        return _line(file), _line(file)
    if opcode.arg.n == pickletools.UP_TO_NEWLINE:
        return _line_argument(file, opcode.name)
    if opcode.arg.n in _LENGTHS:
        return _counted(file, opcode.name, _LENGTHS[opcode.arg.n])
    raw = exactly(file, opcode.arg.n)
    form = _FIXED.get(opcode.name)
    return struct.unpack(form, raw)[0] if form else OPAQUE


def _counted(file: BinaryIO, name: str, form: str) -> Value:
    (length,) = struct.unpack(form, exactly(file, struct.calcsize(form)))
    if length < 0:
        raise BrokenPickle("a length is negative")
    if name in _TEXT and length <= _TEXT_LIMIT:
        return exactly(file, length).decode("utf-8", "backslashreplace")
    skip(file, length)
    return OPAQUE


def _line_argument(file: BinaryIO, name: str) -> Value:
    if name in ("GET", "PUT"):
        return int(_line(file))
    line = file.readline(_TEXT_LIMIT)
    if not line.endswith(b"\n"):
        while (rest := file.readline(_TEXT_LIMIT)) and not rest.endswith(b"\n"):
            pass
        return OPAQUE
    if name in ("INT", "LONG"):
        return int(line.rstrip(b"L\n")) if len(line) < _NUMBER_LIMIT else OPAQUE
    if name == "STRING":
        return line.strip()[1:-1].decode("utf-8", "backslashreplace")
    return line[:-1].decode("raw-unicode-escape") if name == "UNICODE" else OPAQUE


def _line(file: BinaryIO) -> str:
    line = file.readline(_TEXT_LIMIT)
    if not line.endswith(b"\n"):
        raise BrokenPickle("a line is cut off or too long")
    return line[:-1].decode("utf-8", "backslashreplace")


def exactly(file: BinaryIO, length: int) -> bytes:
    """Read ``length`` bytes, or raise :class:`BrokenPickle`."""
    data = file.read(length)
    if len(data) != length:
        raise BrokenPickle("it is cut off")
    return data


def skip(file: BinaryIO, length: int) -> None:
    """Go over ``length`` bytes that must be there, without reading them where the file can jump."""
    if length:
        file.seek(length - 1, 1)
        exactly(file, 1)
