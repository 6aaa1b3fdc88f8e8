"""Which schemas exist: ``lock.json`` names every one by its fingerprint, the files beside it hold them.

A schema's fingerprint is CRC-64-AVRO of its Parsing Canonical Form, written as the 16 hex digits that stand in the
header of a value (little endian, as Avro's single-object encoding wants). That form leaves out docs, defaults,
aliases and logical types; the lock holds the file's own SHA-256 as well.

Revisions of one record stand beside each other: ``VersionPromoted.avsc``, ``VersionPromoted.2.avsc``, and so on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from regista.schemas.errors import SchemaError, UnknownSchema
from regista.schemas.schema import Document, Record, parse


@dataclass(frozen=True, slots=True)
class Entry:
    """One schema of the lock. ``released`` is the version that first carried it, None until then."""

    fingerprint: str
    record: str
    revision: int
    file: str
    sha256: str
    released: str | None


class Catalogue:
    """The schemas of one folder, read when they are first asked for."""

    def __init__(self, folder: Traversable) -> None:
        """``folder`` holds ``lock.json`` and ``avro/``."""
        self._folder = folder
        self._entries = {entry.fingerprint: entry for entry in entries(json.loads(_text(folder / "lock.json")))}
        self._newest: dict[str, Entry] = {}
        for entry in sorted(self._entries.values(), key=lambda entry: entry.revision):
            self._newest[entry.record] = entry
        self._records: dict[str, Record] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The records that exist, sorted."""
        return tuple(sorted(self._newest))

    def newest(self, name: str) -> Entry:
        """The newest revision of a record.

        Raises:
            UnknownSchema: no record of this name.
        """
        try:
            return self._newest[name]
        except (KeyError, TypeError):
            msg = f"no event record is called {name}"
            raise UnknownSchema(msg) from None

    def entry(self, fingerprint: str) -> Entry:
        """The schema of a fingerprint.

        Raises:
            UnknownSchema: none has it.
        """
        try:
            return self._entries[fingerprint]
        except KeyError:
            msg = f"no schema with fingerprint {fingerprint}: the value was written by a newer release, or is not ours"
            raise UnknownSchema(msg) from None

    def record(self, entry: Entry) -> Record:
        """The parsed schema of an entry."""
        found = self._records.get(entry.file)
        if found is None:
            found = self._records[entry.file] = as_record(json.loads(_text(self._folder / "avro" / entry.file)))
        return found


def entries(lock: Mapping[str, Any]) -> list[Entry]:
    """The entries of a lock file's content.

    Raises:
        SchemaError: the lock cannot be read.
    """
    try:
        return [Entry(fingerprint=fingerprint, **entry) for fingerprint, entry in lock["schemas"].items()]
    except (KeyError, TypeError, AttributeError) as error:
        msg = f"lock.json cannot be read: {error}"
        raise SchemaError(msg) from error


def as_record(document: Document) -> Record:
    """The record that a schema file holds.

    Raises:
        SchemaError: it holds something else.
    """
    schema = parse(document)
    if not isinstance(schema, Record):
        msg = "an event schema is a record"
        raise SchemaError(msg)
    return schema


def _text(file: Traversable) -> str:
    return file.read_text(encoding="utf-8")


@cache
def shipped() -> Catalogue:
    """The schemas of events that come with this package."""
    return Catalogue(files("regista.schemas"))


@cache
def shipped_commands() -> Catalogue:
    """The schemas of commands and their results, apart from the events: the table of those is closed."""
    return Catalogue(files("regista.schemas") / "commands")


@cache
def shipped_metrics() -> Catalogue:
    """The schemas of what is measured where models are served."""
    return Catalogue(files("regista.schemas") / "metrics")
