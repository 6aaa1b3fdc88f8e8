"""The lock: a released schema never changes, nothing stands outside it, and its fingerprints are Avro's."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastavro.schema import fingerprint, to_parsing_canonical_form
from tests.support.sample_events import example

from regista.domain.events import VersionPromoted
from regista.domain.records import meta_to_record, to_record
from regista.schemas import lock
from regista.schemas.catalogue import Catalogue, Entry
from regista.schemas.codec import Codec
from regista.schemas.errors import SchemaError, UnknownSchema

SHIPPED = Path(lock.__file__).parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two schemas, locked and released."""
    for name in ("ModelRevived", "VersionPromoted"):
        (tmp_path / "avro").mkdir(exist_ok=True)
        shutil.copy(SHIPPED / "avro" / f"{name}.avsc", tmp_path / "avro")
    lock.add(tmp_path)
    lock.release(tmp_path, "0.1.0")
    return tmp_path


def schema(folder: Path, name: str) -> Any:
    return json.loads((folder / "avro" / f"{name}.avsc").read_text(encoding="utf-8"))


def write(folder: Path, file: str, document: Any) -> None:
    (folder / "avro" / file).write_text(json.dumps(document), encoding="utf-8")


def second_revision(folder: Path) -> Any:
    document = schema(folder, "VersionPromoted")
    document["fields"].append({"name": "note", "doc": "New.", "type": ["null", "string"], "default": None})
    return document


def rabin(canonical: str) -> bytes:
    """CRC-64-AVRO as its specification gives it, little endian, written anew."""
    empty = 0xC15D213AA4D7A795
    result = empty
    for byte in canonical.encode():
        low = (result ^ byte) & 0xFF
        for _ in range(8):
            low = (low >> 1) ^ (empty if low & 1 else 0)
        result = (result >> 8) ^ low
    return result.to_bytes(8, "little")


ORDER = ("name", "type", "fields", "symbols", "items", "values", "size")


def canonical(document: Any, namespace: str = "") -> Any:
    """The Parsing Canonical Form as its specification gives it, written anew."""
    if isinstance(document, list):
        return [canonical(branch, namespace) for branch in document]
    if not isinstance(document, dict):
        return document
    if "logicalType" in document:
        return document["type"]
    kept = dict(document)
    if document["type"] in ("record", "enum", "fixed"):
        kept["name"] = ".".join(filter(None, (document.get("namespace", namespace), document["name"])))
        namespace = kept["name"].rpartition(".")[0]
    if "fields" in kept:
        kept["fields"] = [
            {"name": field["name"], "type": canonical(field["type"], namespace)} for field in kept["fields"]
        ]
    for inside in ("items", "values"):
        if inside in kept:
            kept[inside] = canonical(kept[inside], namespace)
    return {key: kept[key] for key in ORDER if key in kept}


def test_the_fingerprint_of_int_is_that_of_the_specification() -> None:
    assert rabin('"int"').hex() == "8f5c393f1ad57572"  # 0x7275d51a3f395c8f in Avro's own tests
    assert fingerprint(to_parsing_canonical_form("int"), "CRC-64-AVRO") == rabin('"int"').hex()


@pytest.mark.parametrize("entry", lock.read(SHIPPED).values(), ids=lambda entry: entry.file)
def test_every_locked_fingerprint_is_crc_64_avro_of_the_canonical_form(entry: Entry) -> None:
    document = schema(SHIPPED, entry.file.removesuffix(".avsc"))
    text = json.dumps(canonical(document), separators=(",", ":"), ensure_ascii=False)
    assert text == to_parsing_canonical_form(document)
    assert rabin(text).hex() == entry.fingerprint


def test_a_locked_folder_is_well(folder: Path) -> None:
    assert lock.check(folder) == []
    assert lock.add(folder) == []


@pytest.mark.parametrize("change", ["a default", "a doc", "a space"])
def test_a_released_file_never_changes(folder: Path, change: str) -> None:
    path = folder / "avro" / "VersionPromoted.avsc"
    text = path.read_text(encoding="utf-8")
    changed = {
        "a default": text.replace('"default": false', '"default": true'),
        "a doc": text.replace("entered a stage", "got into a stage"),
        "a space": text + " ",
    }[change]
    assert changed != text
    path.write_text(changed, encoding="utf-8")
    before = (folder / "lock.json").read_bytes()
    assert lock.check(folder) == ["VersionPromoted.avsc: changed after it was released"]
    with pytest.raises(SchemaError, match=r"released and cannot change: write VersionPromoted\.2\.avsc"):
        lock.add(folder)
    assert (folder / "lock.json").read_bytes() == before


def test_a_missing_file_is_named_and_a_released_one_cannot_be_forgotten(folder: Path) -> None:
    (folder / "avro" / "ModelRevived.avsc").unlink()
    assert lock.check(folder) == ["ModelRevived.avsc: in the lock, but the file is missing"]
    with pytest.raises(SchemaError, match="released and cannot change"):
        lock.add(folder)


def test_a_file_outside_the_lock_is_named_until_it_is_added(folder: Path) -> None:
    write(folder, "VersionPromoted.2.avsc", second_revision(folder))
    assert lock.check(folder) == ["VersionPromoted.2.avsc: not in the lock"]
    assert lock.add(folder) == ["VersionPromoted.2.avsc"]
    assert lock.check(folder) == []
    entry = lock.read(folder)["VersionPromoted.2.avsc"]
    assert (entry.record, entry.revision, entry.released) == ("VersionPromoted", 2, None)


def test_what_is_not_released_may_still_change_or_go(folder: Path) -> None:
    write(folder, "VersionPromoted.2.avsc", second_revision(folder))
    lock.add(folder)
    changed = second_revision(folder)
    changed["fields"][-1]["name"] = "remark"
    write(folder, "VersionPromoted.2.avsc", changed)
    assert lock.check(folder) == ["VersionPromoted.2.avsc: changed after it was locked"]
    assert lock.add(folder) == ["VersionPromoted.2.avsc"]
    (folder / "avro" / "VersionPromoted.2.avsc").unlink()
    assert lock.add(folder) == []
    assert set(lock.read(folder)) == {"ModelRevived.avsc", "VersionPromoted.avsc"}


def test_a_release_marks_only_what_is_new(folder: Path) -> None:
    write(folder, "VersionPromoted.2.avsc", second_revision(folder))
    lock.add(folder)
    assert lock.release(folder, "0.2.0") == ["VersionPromoted.2.avsc"]
    assert {file: entry.released for file, entry in lock.read(folder).items()} == {
        "ModelRevived.avsc": "0.1.0",
        "VersionPromoted.avsc": "0.1.0",
        "VersionPromoted.2.avsc": "0.2.0",
    }


def test_nothing_is_released_that_is_not_well(folder: Path) -> None:
    write(folder, "VersionPromoted.2.avsc", second_revision(folder))
    with pytest.raises(SchemaError, match="not in the lock"):
        lock.release(folder, "0.2.0")
    with pytest.raises(SchemaError, match="not a version number"):
        lock.release(folder, "next")


def test_an_incompatible_revision_is_not_added(folder: Path) -> None:
    broken = schema(folder, "VersionPromoted")
    broken["fields"] = broken["fields"][:-2]
    del broken["fields"][1]
    write(folder, "VersionPromoted.2.avsc", broken)
    with pytest.raises(SchemaError, match="removed, and older readers"):
        lock.add(folder)
    assert "VersionPromoted.2.avsc" not in lock.read(folder)


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("versionPromoted.avsc", "{}", "is called Record.avsc"),
        ("VersionPromoted.02.avsc", "{}", "is called Record.avsc"),
        ("notes.txt", "x", "is called Record.avsc"),
        ("Broken.avsc", "{", "not JSON"),
        ("Broken.avsc", '"string"', "an event schema is a record"),
        ("Broken.avsc", '{"type": "record"}', "not an Avro schema"),
        (
            "Other.avsc",
            '{"type": "record", "name": "regista.events.Another", "fields": []}',
            "holds the record Another",
        ),
    ],
)
def test_a_file_that_is_no_event_schema_is_named(folder: Path, file: str, content: str, said: str) -> None:
    (folder / "avro" / file).write_text(content, encoding="utf-8")
    (problem,) = lock.check(folder)
    assert said in problem


def test_the_newest_revision_is_the_one_that_is_written(folder: Path) -> None:
    write(folder, "VersionPromoted.2.avsc", second_revision(folder))
    lock.add(folder)
    catalogue = Catalogue(folder)
    assert catalogue.newest("VersionPromoted").revision == 2
    assert catalogue.record(catalogue.newest("VersionPromoted")).fields[-1].name == "note"
    first = lock.read(folder)["VersionPromoted.avsc"]
    assert catalogue.entry(first.fingerprint) == first
    assert catalogue.names == ("ModelRevived", "VersionPromoted")
    with pytest.raises(UnknownSchema):
        catalogue.entry("00" * 8)
    with pytest.raises(UnknownSchema):
        catalogue.newest("VersionLost")


def test_a_value_of_an_older_revision_is_read_as_the_newest(folder: Path) -> None:
    meta, event = example(VersionPromoted, "full")
    record = {"meta": meta_to_record(meta), **to_record(event)}
    old = Codec(Catalogue(folder)).encode("VersionPromoted", record)
    write(folder, "VersionPromoted.2.avsc", second_revision(folder))
    lock.add(folder)
    codec = Codec(Catalogue(folder))
    assert codec.decode(old) == ("VersionPromoted", record | {"note": None})
    new = codec.encode("VersionPromoted", record | {"note": "a\u00e9"})
    assert new[:10] != old[:10]
    assert codec.decode(new).record["note"] == "a\u00e9"
    assert codec.decode_meta(old) == codec.decode_meta(new) == record["meta"]


@pytest.mark.parametrize("text", ["", "{}", '{"schemas": {"00": {"file": "x"}}}', '{"schemas": []}'])
def test_a_lock_that_cannot_be_read_is_said_so(folder: Path, text: str) -> None:
    (folder / "lock.json").write_text(text, encoding="utf-8")
    (problem,) = lock.check(folder)
    assert problem.startswith("lock.json")


def test_the_command_says_what_it_found_and_ends_with_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lock.main(["check"], folder) == 0
    write(folder, "VersionPromoted.2.avsc", second_revision(folder))
    assert lock.main(["check"], folder) == 1
    assert capsys.readouterr().out == "VersionPromoted.2.avsc: not in the lock\n"
    assert lock.main(["add"], folder) == 0
    assert lock.main(["release", "0.2.0"], folder) == 0
    assert capsys.readouterr().out == "VersionPromoted.2.avsc\n" * 2
    (folder / "avro" / "VersionPromoted.2.avsc").write_text("{", encoding="utf-8")
    assert lock.main(["add"], folder) == 1
    assert "not JSON" in capsys.readouterr().err


def test_the_module_runs_as_a_command() -> None:
    done = subprocess.run([sys.executable, "-m", "regista.schemas.lock", "check"], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
