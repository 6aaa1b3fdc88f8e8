"""The digest of a view: what two folds of the same events must agree on."""

from __future__ import annotations

from hashlib import sha256

import orjson

from regista.projections.reader import Reader
from regista.projections.views.base import View


def view_digest(reader: Reader, view: View, generation: int) -> str:
    """SHA-256 over all rows of a view's tables, table by table, in the order of their primary keys.

    A row is one line of canonical JSON, bytes in hexadecimal; the place on disk and the order of writing do not
    matter. Streams: memory does not grow with the view.
    """
    digest = sha256()
    for table in view.tables:
        digest.update(f"{table.name}\n".encode())
        columns = ", ".join(column.name for column in table.columns)
        key = ", ".join(column.name for column in table.primary_key.columns)
        name = view.physical_name(table.name, generation)
        for row in reader.iterate(f"SELECT {columns} FROM {name} ORDER BY {key}"):
            digest.update(orjson.dumps(row, default=_hexadecimal, option=orjson.OPT_APPEND_NEWLINE))
    return digest.hexdigest()


def _hexadecimal(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(type(value).__name__)
