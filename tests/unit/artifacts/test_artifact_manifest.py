"""The identity of an artifact: one byte string for one set of files, and nothing else is read as one."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.artifacts.digests import digest_of
from regista.artifacts.manifest import MANIFEST_LIMIT, FileEntry, Manifest, Part
from regista.artifacts.scan import scan
from regista.domain.errors import Invalid, NotFound, RegistaError, TooLarge

HELLO = digest_of(b"hello")


def tree(root: Path, **files: bytes) -> Path:
    for name, data in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def changed(manifest: Manifest, **fields: object) -> bytes:
    document = json.loads(manifest.to_bytes()) | fields
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def test_the_form_is_fixed_for_ever() -> None:
    manifest = Manifest((FileEntry("model.onnx", 5, HELLO),))
    assert manifest.to_bytes() == (
        b'{"artifactType":"application/vnd.regista.model.v1","config":{"data":"e30=","digest":'
        b'"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",'
        b'"mediaType":"application/vnd.oci.empty.v1+json","size":2},"layers":[{"annotations":'
        b'{"org.opencontainers.image.title":"model.onnx"},"digest":'
        b'"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",'
        b'"mediaType":"application/octet-stream","size":5}],'
        b'"mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2}'
    )
    assert manifest.digest == "sha256:" + hashlib.sha256(manifest.to_bytes()).hexdigest()


def test_a_folder_and_what_is_announced_of_it_have_one_identity(tmp_path: Path) -> None:
    root = tree(tmp_path / "m", b=b"2", a=b"1", sub__c=b"", sub__deep__ü=b"4")
    scanned = Manifest.scan(root)
    announced = Manifest.announced(
        FileEntry(name, (root / name).stat().st_size, digest_of((root / name).read_bytes()))
        for name in ("sub/deep/ü", "sub/c", "b", "a")
    )
    assert scanned.digest == announced.digest
    assert [entry.path for entry in scanned.files] == ["a", "b", "sub/c", "sub/deep/ü"]
    assert scanned.size == 3
    assert Manifest.from_bytes(scanned.to_bytes(), digest=scanned.digest) == scanned


def test_names_sizes_and_bytes_are_covered() -> None:
    base = FileEntry("a", 5, HELLO)
    others = [FileEntry("b", 5, HELLO), FileEntry("a", 6, HELLO), FileEntry("a", 5, digest_of(b"other"))]
    assert len({Manifest((entry,)).digest for entry in [base, *others]}) == 4


def test_a_single_file_is_named_after_itself(tmp_path: Path) -> None:
    path = tree(tmp_path, model=b"hello") / "model"
    assert Manifest.scan(path).files == (FileEntry("model", 5, HELLO),)


@pytest.mark.parametrize("length", [0, 9, 10, 11, 20, 21, 35])
def test_files_over_the_part_size_are_cut_alike_everywhere(tmp_path: Path, length: int) -> None:
    data = os.urandom(length)
    manifest = Manifest.scan(tree(tmp_path, m=data) / "m", part_size=10)
    (entry,) = manifest.files
    pieces = [data[i : i + 10] for i in range(0, length, 10)] or [b""]
    assert entry.sha256 == digest_of(data)
    assert entry.size == length
    assert entry.blobs == tuple(Part(len(piece), digest_of(piece)) for piece in pieces)
    assert bool(entry.parts) == (length > 10)
    assert Manifest.from_bytes(manifest.to_bytes(), part_size=10) == manifest


def test_parts_of_another_size_are_refused(tmp_path: Path) -> None:
    manifest = Manifest.scan(tree(tmp_path, m=os.urandom(35)) / "m", part_size=10)
    for other in (5, 12, 35):
        with pytest.raises(Invalid, match="manifest_invalid"):
            Manifest.from_bytes(manifest.to_bytes(), part_size=other)


def test_a_large_file_elsewhere_needs_no_parts() -> None:
    entry = FileEntry("m", 40 << 30, HELLO)
    assert Manifest.announced([entry]).files == (entry,)
    with pytest.raises(Invalid, match="cut in parts"):
        Manifest.from_bytes(Manifest.announced([entry]).to_bytes())


BAD_PATHS = [
    *("", "/a", "../a", "a/../b", "a/..", "./a", "a/./b", "a//b", "a/", "a\\b", "C:/a", "c:a", "a\0b", "a\nb", "\x7f"),
    *("e\u0301", "\u212b", "a\u2028b", "\ud800", "x" * 256, "/".join(["d" * 200] * 6)),
]


@pytest.mark.parametrize("path", BAD_PATHS, ids=ascii)
def test_paths_that_not_every_system_holds_are_refused(path: str) -> None:
    with pytest.raises(Invalid, match="path_invalid"):
        FileEntry(path, 5, HELLO)


@pytest.mark.parametrize("path", ["a", "a/b.c", "ü/日本.onnx", "a b", "...", ".hidden", "a..b", "sub/.keep"])
def test_ordinary_paths_are_taken(path: str) -> None:
    assert Manifest((FileEntry(path, 5, HELLO),)).file(path) is not None


@pytest.mark.parametrize("paths", [("a", "a"), ("a", "a/b"), ("a/b/c", "a/b")])
def test_paths_that_no_folder_holds_together_are_refused(paths: tuple[str, ...]) -> None:
    with pytest.raises(Invalid, match="path_invalid"):
        Manifest(tuple(FileEntry(path, 5, HELLO) for path in paths))


def test_an_empty_artifact_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(Invalid, match="artifact_empty"):
        Manifest.scan(tmp_path / "empty")


BASE = Manifest((FileEntry("a", 5, HELLO), FileEntry("b", 5, HELLO)))
LAYER = json.loads(BASE.to_bytes())["layers"][0]
NOT_CANONICAL = {
    "white space": BASE.to_bytes().replace(b",", b", "),
    "trailing line": BASE.to_bytes() + b"\n",
    "byte order mark": b"\xef\xbb\xbf" + BASE.to_bytes(),
    "other order": changed(BASE, layers=json.loads(BASE.to_bytes())["layers"][::-1]),
    "extra field": changed(BASE, annotations={"x": "y"}),
    "other type": changed(BASE, artifactType="application/other"),
    "other config": changed(BASE, config={"digest": HELLO, "mediaType": "application/json", "size": 5}),
    "schema 1": changed(BASE, schemaVersion=1),
    "no layers": changed(BASE, layers=[]),
    "layers no list": changed(BASE, layers={"0": LAYER}),
    "layer no object": changed(BASE, layers=["x"]),
    "no title": changed(BASE, layers=[LAYER | {"annotations": {}}]),
    "title no text": changed(BASE, layers=[LAYER | {"annotations": {"org.opencontainers.image.title": 7}}]),
    "size no number": changed(BASE, layers=[LAYER | {"size": "5"}]),
    "size a float": changed(BASE, layers=[LAYER | {"size": 5.0}]),
    "size true": changed(BASE, layers=[LAYER | {"size": True}]),
    "size negative": changed(BASE, layers=[LAYER | {"size": -5}]),
    "digest malformed": changed(BASE, layers=[LAYER | {"digest": "sha256:XYZ"}]),
    "digest missing": changed(BASE, layers=[{k: v for k, v in LAYER.items() if k != "digest"}]),
    "media type malformed": changed(BASE, layers=[LAYER | {"mediaType": "x\r\ny: z"}]),
    "same path twice": changed(BASE, layers=[LAYER, LAYER]),
    "path upwards": changed(BASE, layers=[LAYER | {"annotations": {"org.opencontainers.image.title": "../a"}}]),
    "key twice": BASE.to_bytes()[:-1] + b',"schemaVersion":2}',
    "deep": b"[" * 100_000,
    "no JSON": b"hello",
    "list": b"[]",
    "null": b"null",
    "not UTF-8": b"\xff\xfe",
    "huge number": b'{"layers":' + b"9" * 10_000 + b"}",
    "empty": b"",
}


@pytest.mark.parametrize("case", NOT_CANONICAL)
def test_whatever_is_not_canonical_is_refused(case: str) -> None:
    with pytest.raises(Invalid) as refusal:
        Manifest.from_bytes(NOT_CANONICAL[case])
    assert refusal.value.code in ("manifest_invalid", "path_invalid", "digest_malformed", "artifact_empty")


def test_other_bytes_than_asked_for_are_refused() -> None:
    with pytest.raises(Invalid, match="digest_mismatch"):
        Manifest.from_bytes(BASE.to_bytes(), digest=HELLO)


def test_a_manifest_has_a_limit() -> None:
    with pytest.raises(TooLarge, match="manifest_too_large"):
        Manifest.from_bytes(b" " * (MANIFEST_LIMIT + 1))
    with pytest.raises(TooLarge, match="manifest_too_large"):
        Manifest(tuple(FileEntry(f"{number:0200}", 5, HELLO) for number in range(12_000)))


@given(
    st.binary()
    | st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists).map(
        lambda v: json.dumps(v).encode()
    )
)
def test_fuzzed_bytes_give_a_clear_error(data: bytes) -> None:
    with pytest.raises(RegistaError):
        Manifest.from_bytes(data)


@given(st.data())
def test_damaged_bytes_give_a_clear_error_or_another_manifest(data: st.DataObject) -> None:
    damaged = bytearray(BASE.to_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        manifest = Manifest.from_bytes(bytes(damaged))
    except RegistaError:
        return
    assert manifest.to_bytes() == bytes(damaged)


@given(st.dictionaries(st.text("abü./", min_size=1, max_size=8), st.binary(max_size=3), max_size=5))
def test_a_manifest_reads_back_as_itself(files: dict[str, bytes]) -> None:
    try:
        manifest = Manifest(tuple(FileEntry(path, len(data), digest_of(data)) for path, data in files.items()))
    except Invalid:
        return
    assert Manifest.from_bytes(manifest.to_bytes(), digest=manifest.digest) == manifest


def test_links_inside_the_folder_are_followed(tmp_path: Path) -> None:
    root = tree(tmp_path / "m", real__data=b"hello")
    (root / "link").symlink_to("real/data")
    (root / "folder").symlink_to("real")
    assert [(e.path, e.sha256) for e in Manifest.scan(root).files] == [
        ("folder/data", HELLO),
        ("link", HELLO),
        ("real/data", HELLO),
    ]


def test_a_link_to_the_whole_is_followed(tmp_path: Path) -> None:
    tree(tmp_path / "m", a=b"hello")
    (tmp_path / "latest").symlink_to("m")
    assert Manifest.scan(tmp_path / "latest").digest == Manifest.scan(tmp_path / "m").digest


@pytest.mark.parametrize("target", ["../outside", "/etc/hostname", "nowhere", ".", "loop"])
def test_links_out_in_a_circle_or_to_nothing_are_refused(tmp_path: Path, target: str) -> None:
    tree(tmp_path, outside=b"secret", m__a=b"hello")
    (tmp_path / "m" / "loop").symlink_to(target)
    with pytest.raises(Invalid, match="link_refused"):
        Manifest.scan(tmp_path / "m")


def test_pipes_and_sockets_are_refused_and_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree(tmp_path / "m", a=b"hello")
    os.mkfifo(root / "pipe")
    with pytest.raises(Invalid, match="file_refused"):
        Manifest.scan(root)
    (root / "pipe").unlink()
    monkeypatch.chdir(root)  # a socket's whole path has a limit of some 100 bytes
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        with pytest.raises(Invalid, match="file_refused"):
            Manifest.scan(root)


def test_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    root = tree(tmp_path / "m", a=b"hello")
    (root / os.fsdecode(b"\xff")).write_bytes(b"")
    with pytest.raises(Invalid, match="path_invalid"):
        Manifest.scan(root)


def test_hidden_files_count_and_folders_without_files_are_named(tmp_path: Path) -> None:
    root = tree(tmp_path / "m", a=b"hello")
    (root / ".hidden").write_bytes(b"hello")
    (root / "assets").mkdir()
    found = scan(root)
    assert [entry.path for entry in found.manifest.files] == [".hidden", "a"]
    assert found.empty_folders == ("assets",)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="path_not_found"):
        Manifest.scan(tmp_path / "nothing")
