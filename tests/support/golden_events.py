"""The golden files: what the released code wrote, byte by byte, beside what it meant.

``python -m tests.support.golden_events`` writes the missing ones, for the newest revision of every event, and never
touches one that is there: what differs from a golden file is a break, not a golden file out of date.

A file is called ``<record>.<revision>.<full or minimal>.json``. Times stand as ``{"$time": RFC 3339}``, bytes as
``{"$hex": …}``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tests.support.sample_events import example

from regista.domain.events import EVENT_TYPES
from regista.domain.records import meta_to_record, to_record
from regista.schemas import codec
from regista.schemas.catalogue import shipped

FOLDER: Final = Path(__file__).parents[1] / "contract" / "golden"
KINDS: Final = ("full", "minimal")


@dataclass(frozen=True, slots=True)
class Golden:
    """One golden file: the record with its ``meta``, and its value."""

    name: str
    revision: int
    kind: str
    record: Mapping[str, Any]
    value: bytes

    @property
    def file(self) -> str:
        """The name of the file."""
        return f"{self.name}.{self.revision}.{self.kind}.json"


def load(path: Path) -> Golden:
    """The content of a golden file."""
    name, revision, kind, _ = path.name.split(".")
    content = json.loads(path.read_text(encoding="utf-8"))
    return Golden(name, int(revision), kind, _typed(content["record"]), bytes.fromhex(content["value"]))


def newest() -> Iterator[Golden]:
    """What the code would write now, for every event."""
    catalogue = shipped()
    for cls in EVENT_TYPES.values():
        for kind in KINDS:
            meta, event = example(cls, kind)
            record = {"meta": meta_to_record(meta), **to_record(event)}
            entry = catalogue.newest(cls.__name__)
            yield Golden(cls.__name__, entry.revision, kind, record, codec.encode(cls.__name__, record))


def write_missing(folder: Path = FOLDER) -> list[Path]:
    """Write the golden files that are not there; their paths. What is there stays as it is."""
    written = []
    for golden in newest():
        path = folder / golden.file
        content = {"record": _plain(golden.record), "value": golden.value.hex()}
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
        except FileExistsError:
            continue
        written.append(path)
    return written


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"$time": value.astimezone(UTC).isoformat()}
    if isinstance(value, bytes):
        return {"$hex": value.hex()}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _typed(value: Any) -> Any:
    if isinstance(value, list):
        return [_typed(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"$time"}:
        return datetime.fromisoformat(value["$time"])
    if set(value) == {"$hex"}:
        return bytes.fromhex(value["$hex"])
    return {key: _typed(item) for key, item in value.items()}


if __name__ == "__main__":
    sys.stdout.writelines(f"{path.name}\n" for path in write_missing())
