"""Bytes to record: one function per pair of schemas (written with, read as), compiled once like the writer.

Every byte is checked: lengths stand inside the value, booleans are 0 or 1, symbols and branches exist, text is UTF-8.
Fields that are left out are passed over without looking at what their text and numbers say. Nothing is allocated by a declared length: slices end where the value ends, and an array item takes at least one
byte. Schema resolution follows Avro 1.12 for the changes that ``compatibility`` allows: fields added with a default,
renamed with an alias or left out, number promotion, unions widened, enums grown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Any, Final, TypeAlias

from regista.schemas.errors import SchemaError
from regista.schemas.schema import (
    NO_DEFAULT,
    TIMESTAMP,
    Array,
    Enumeration,
    Field,
    Fixed,
    Map,
    Primitive,
    Record,
    Type,
    Union,
    python_kind,
)
from regista.schemas.source import Source
from regista.schemas.writer import EPOCH

_EIGHT_BYTES: Final = Struct("<Q").unpack_from
_MORE: Final = 0x8080808080808080
"""The bit of each of eight bytes that says that the number goes on."""
_FIRST_TIME: Final = (datetime.min.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
_LAST_TIME: Final = (datetime.max.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
Reader: TypeAlias = Callable[[bytes, int], tuple[dict[str, Any], int]]
"""From the value and an offset: the record, and the offset behind it."""


TIME_AS_NUMBER: Final = Primitive("long", "number-of-micros")
"""What a time is read as that is to stay what it is in the bytes, microseconds since 1970. No schema has it."""


class Broken(Exception):
    """The bytes are not a value of the schema."""


def _varint(value: bytes, offset: int) -> tuple[int, int]:
    """The zig-zag number at ``offset`` and the offset behind it; 64 bits at most."""
    shift = number = 0
    while True:
        byte = value[offset]
        offset += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift > 63:
            raise Broken
    if number >> 64:
        raise Broken
    return (number >> 1) ^ -(number & 1), offset


def _long(value: bytes, offset: int) -> tuple[int, int]:
    """As ``_varint``, in half the time where the number takes eight bytes, as times do."""
    if len(value) - offset >= 8:
        (number,) = _EIGHT_BYTES(value, offset)
        if number & _MORE == _MORE >> 8:
            # seven bits of each byte: brought together by two, by four, and all eight
            number = number & 0x007F007F007F007F | number >> 1 & 0x3F803F803F803F80
            number = number & 0x00003FFF00003FFF | number >> 2 & 0x0FFFC0000FFFC000
            number = number & 0x000000000FFFFFFF | number >> 4 & 0x00FFFFFFF0000000
            return number >> 1 ^ -(number & 1), offset + 8
    return _varint(value, offset)


def _length(value: bytes, offset: int) -> tuple[int, int]:
    """The length of a string at ``offset`` and the offset behind it."""
    low, high = value[offset], value[offset + 1]
    if low > 127 and high < 128 and not low & 1:  # 64 to 8191 bytes, as digests have
        number, offset = (low & 127 | high << 7) >> 1, offset + 2
    else:
        number, offset = _varint(value, offset)
    if not 0 <= number <= len(value) - offset:
        raise Broken
    return number, offset


def _block(value: bytes, offset: int) -> tuple[int, int]:
    """The number of items in the block at ``offset``, 0 at the end, and the offset of the first of them."""
    number, offset = _varint(value, offset)
    if number < 0:
        number = -number
        _, offset = _length(value, offset)  # the block's bytes: for readers that skip it
    if number > len(value) - offset:
        raise Broken
    return number, offset


_NAMES: Final[Mapping[str, Any]] = {
    "Broken": Broken,
    "varint": _varint,
    "long": _long,
    "length": _length,
    "block": _block,
    "double": Struct("<d").unpack_from,
    "EPOCH": EPOCH,
    "timedelta": timedelta,
    "deepcopy": deepcopy,
    "BOOLEAN": (False, True),
}


def compile_reader(written: Record, read: Record) -> Reader:
    """A function that reads a record of the schema ``written`` as one of ``read``, from an offset on.

    It raises ``Broken``, IndexError, KeyError, ValueError, OverflowError or struct.error when the bytes are not one.

    Raises:
        SchemaError: when the one cannot be read as the other.
    """
    source = Source(dict(_NAMES))
    source.function("read", "b, p", [*_record(source, written, read, "r"), "return r, p"])
    reader: Reader = source.compile(f"<reader of {read.name}>")["read"]
    return reader


def _record(source: Source, written: Record, read: Record, v: str) -> list[str]:
    """Lines that read a record into ``v``. They stand in line: a call for each would cost a quarter more."""
    if read.name != written.name:
        raise _mismatch(written, read)
    lines: list[str] = []
    entries: dict[str, str] = {}
    for index, field in enumerate(written.fields):
        target = _counterpart(field, read)
        if target is None:
            lines += _skip(source, field.type, f"{v}_{index}")
        else:
            lines += _value(source, field.type, target.type, f"{v}_{index}")
            entries[target.name] = f"{v}_{index}"
    for field in read.fields:
        if field.name not in entries:
            entries[field.name] = _default(source, field)
    # in the order of the schema it is read as, whatever the order on the wire
    items = ", ".join(f"{field.name!r}: {entries[field.name]}" for field in read.fields)
    return [*lines, f"{v} = {{{items}}}"]


def _counterpart(field: Field, read: Record) -> Field | None:
    for candidate in read.fields:
        if candidate.name == field.name:
            return candidate
    for candidate in read.fields:
        if field.name in candidate.aliases:
            return candidate
    return None


def _default(source: Source, field: Field) -> str:
    if field.default is NO_DEFAULT:
        msg = f"{field.name} has no default, and the older schema does not have it"
        raise SchemaError(msg)
    kind = field.type.branches[0] if isinstance(field.type, Union) else field.type
    value = field.default
    match kind:
        case Primitive(logical="timestamp-micros"):
            value = EPOCH + timedelta(microseconds=value)
        case Primitive("double"):
            value = float(value)
        case Fixed():
            value = value.encode("latin-1")
    if value in ({}, []):
        return repr(value)
    name = source.constant(value)
    return f"deepcopy({name})" if isinstance(value, (dict, list)) else name


def _value(source: Source, written: Type, read: Type, v: str) -> list[str]:
    """Lines that read a value at ``p`` of ``b`` into the variable ``v`` and move ``p`` behind it."""
    if isinstance(written, Union):
        return _union([_value(source, branch, read, v) for branch in written.branches])
    if isinstance(read, Union):
        read = _branch(written, read)
    match written, read:
        case Primitive(), Primitive():
            return _primitive(written, read, v)
        case Fixed(size=size), Fixed() if read == written:
            return [f"{v} = b[p:p + {size}]", f"p += {size}", f"if len({v}) != {size}: raise Broken"]
        case Enumeration(symbols=symbols), Enumeration():
            names = {i << 1: _symbol(s, read) for i, s in enumerate(symbols)}
            return [f"{v} = {source.constant(names)}[b[p]]", "p += 1"]
        case Record(), Record():
            return _record(source, written, read, v)
        case Array(), Array():
            inner = _value(source, written.items, read.items, f"{v}_i")
            return [f"{v} = []", *_blocks([*inner, f"{v}.append({v}_i)"], f"{v}_n")]
        case Map(), Map():
            inner = _value(source, written.values, read.values, f"{v}_i")
            return [f"{v} = {{}}", *_blocks([*_string(f"{v}_k"), *inner, f"{v}[{v}_k] = {v}_i"], f"{v}_n")]
    raise _mismatch(written, read)


def _skip(source: Source, written: Type, v: str) -> list[str]:
    """Lines that move ``p`` behind a value that nobody wants. What ends too early leaves ``p`` behind the end."""
    match written:
        case Union(branches=branches):
            return _union([_skip(source, branch, v) for branch in branches])
        case Record(fields=fields):
            return [line for field in fields for line in _skip(source, field.type, v)]
        case Array(items=items):
            return _blocks(_skip(source, items, f"{v}_i"), f"{v}_n")
        case Map(values=values):
            return _blocks([*_PASSED["string"], *_skip(source, values, f"{v}_i")], f"{v}_n")
        case Fixed(size=size):
            return [f"p += {size}"]
        case Enumeration(symbols=symbols):
            return [f"if b[p] & 1 or b[p] >= {len(symbols) << 1}: raise Broken", "p += 1"]
        case Primitive(name):
            return _PASSED[name]


def _blocks(lines: list[str], count: str) -> list[str]:
    """Do ``lines`` for every item of every block; ``count`` is a variable to count with."""
    return [
        f"{count} = b[p]",
        "p += 1",
        f"while {count}:",
        # up to 63 items: the count is one byte, even
        f"  if {count} > 127 or {count} & 1: {count}, p = block(b, p - 1)",
        f"  else: {count} >>= 1",
        f"  for _ in range({count}):",
        *("    " + line for line in lines),
        f"  {count} = b[p]",
        "  p += 1",
    ]


def _string(v: str) -> list[str]:
    return [
        "n = b[p]",
        "p += 1",
        # up to 63 bytes: the length is one byte, even. A slice that ends too early leaves p behind the end.
        "if n > 127 or n & 1: n, p = length(b, p - 1)",
        "else: n >>= 1",
        f"{v} = b[p:p + n].decode()",
        "p += n",
    ]


_NUMBER: Final = ["if b[p] > 127: n, p = varint(b, p)", "else: p += 1"]
_PASSED: Final[Mapping[str, list[str]]] = {
    "string": ["n = b[p]", "if n > 127 or n & 1: n, p = length(b, p); p += n", "else: p += 1 + (n >> 1)"],
    "null": ["pass"],
    "boolean": ["if b[p] > 1: raise Broken", "p += 1"],
    "double": ["p += 8"],
    "int": _NUMBER,
    "long": _NUMBER,
}
"""Lines that move ``p`` behind a value, by the name of its type."""


def _primitive(written: Primitive, read: Primitive, v: str) -> list[str]:
    if read.logical != written.logical and (written.logical, read) != (TIMESTAMP, TIME_AS_NUMBER):
        raise _mismatch(written, read)
    match written.name, read.name:
        case "string", "string":
            return _string(v)
        case "null", "null":
            return [f"{v} = None"]
        case "boolean", "boolean":
            return [f"{v} = BOOLEAN[b[p]]", "p += 1"]
        case "double", "double":
            return [f"{v}, = double(b, p)", "p += 8"]
        case ("int", "int" | "long") | ("long", "long"):
            return _integer(written, read, v)
        case (("int" | "long"), "double"):
            return [f"{v}, p = varint(b, p)", f"{v} = float({v})"]
    raise _mismatch(written, read)


def _integer(written: Primitive, read: Primitive, v: str) -> list[str]:
    longer = "long" if written.logical == TIMESTAMP else "varint"
    lines = [
        f"{v} = b[p]",
        f"if {v} > 127: {v}, p = {longer}(b, p)",
        f"else: p += 1; {v} = {v} >> 1 ^ -({v} & 1)",
    ]
    if written.name == "int":
        lines.append(f"if not -2147483648 <= {v} <= 2147483647: raise Broken")
    if read == TIME_AS_NUMBER:
        lines.append(f"if not {_FIRST_TIME} <= {v} <= {_LAST_TIME}: raise Broken")
    elif read.logical == TIMESTAMP:
        lines.append(f"{v} = EPOCH + timedelta(microseconds={v})")
    return lines


def _union(branches: list[list[str]]) -> list[str]:
    lines = ["n = b[p]", "p += 1"]
    for index, branch in enumerate(branches):
        lines.append(f"{'el' if index else ''}if n == {index << 1}:")
        lines += ("  " + line for line in branch)
    return [*lines, "else: raise Broken"]


def _branch(written: Type, read: Union) -> Type:
    """The branch of ``read`` that takes a value of ``written``: its own kind, else a wider number."""
    kind = python_kind(written)
    for wanted in (kind, "double") if kind == "integer" else (kind,):
        for branch in read.branches:
            if python_kind(branch) == wanted:
                return branch
    raise _mismatch(written, read)


def _symbol(symbol: str, read: Enumeration) -> str:
    if symbol in read.symbols:
        return symbol
    if read.default is None:
        msg = f"{read.name} does not know {symbol} and has no default"
        raise SchemaError(msg)
    return read.default


def _mismatch(written: Type, read: Type) -> SchemaError:
    return SchemaError(f"{written} cannot be read as {read}")
