"""Bytes elsewhere are compared with what was registered, over real files and real connections."""

from __future__ import annotations

import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from regista.artifacts.digests import digest_of
from regista.artifacts.external import verify_external
from regista.artifacts.manifest import FileEntry, Manifest
from regista.domain.errors import Invalid, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    (root / "sub ü").mkdir(parents=True)
    (root / "a").write_bytes(b"first")
    (root / "sub ü" / "b").write_bytes(b"second")
    return root


class Files(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - the base class names it so


class Redirects(BaseHTTPRequestHandler):
    """Redirects to what follows ``?to=``; ``/endless`` redirects to itself; ``/large`` sends more than it should."""

    def do_GET(self) -> None:
        if self.path.startswith("/large"):
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(bytes(65_536))
            except OSError:
                return
        self.send_response(302)
        self.send_header("Location", self.path.partition("?to=")[2] or self.path)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - the base class names it so


@pytest.fixture
def files(folder: Path) -> Iterator[str]:
    yield from served(partial(Files, directory=str(folder.parent)))


@pytest.fixture
def redirects() -> Iterator[str]:
    yield from served(Redirects)


def served(handler: object) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:  # type: ignore[arg-type]  # partial of a handler
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


async def test_files_below_a_uri_and_one_file_are_verified(folder: Path, files: str) -> None:
    whole, single = Manifest.scan(folder), Manifest.scan(folder / "a")
    for uri in (folder.as_uri(), folder.as_uri() + "/", f"{files}/model", f"{files}/model/"):
        verified = await verify_external(uri, whole)
        assert (verified.digest, verified.blobs, verified.size) == (whole.digest, 2, 11)
    for uri in ((folder / "a").as_uri(), folder.as_uri(), f"{files}/model/a", f"{files}/model/"):
        assert (await verify_external(uri, single)).digest == single.digest


async def test_every_file_that_differs_is_named(folder: Path, files: str) -> None:
    manifest = Manifest.scan(folder)
    (folder / "a").write_bytes(b"First")
    (folder / "sub ü" / "b").write_bytes(b"second and more")
    for uri in (folder.as_uri(), f"{files}/model"):
        with pytest.raises(Invalid) as refusal:
            await verify_external(uri, manifest)
        assert refusal.value.code == "digest_mismatch"
        assert [reason.field for reason in refusal.value.reasons] == ["a", "sub ü/b"]


async def test_a_file_cut_short_differs(folder: Path) -> None:
    manifest = Manifest.scan(folder / "a")
    (folder / "a").write_bytes(b"fir")
    with pytest.raises(Invalid, match="digest_mismatch"):
        await verify_external((folder / "a").as_uri(), manifest)


async def test_what_cannot_be_read_is_unreachable_not_wrong(folder: Path, files: str) -> None:
    manifest = Manifest.scan(folder)
    (folder / "a").unlink()
    for uri in (folder.as_uri(), f"{files}/model", "http://127.0.0.1:1/model"):
        with pytest.raises(Unavailable, match="artifact_unreachable"):
            await verify_external(uri, manifest)


@pytest.mark.parametrize("uri", ["s3://bucket/key", "ftp://host/x", "model.onnx", "file://elsewhere/etc/hostname", ""])
async def test_other_uris_are_refused(uri: str) -> None:
    with pytest.raises(Invalid, match="uri_unsupported"):
        await verify_external(uri, Manifest((FileEntry("a", 5, digest_of(b"first")),)))


async def test_redirects_are_followed_within_the_scheme_and_not_for_ever(
    folder: Path, files: str, redirects: str
) -> None:
    manifest = Manifest.scan(folder / "a")
    assert await verify_external(f"{redirects}/go?to={files}/model/a", manifest)
    with pytest.raises(Invalid, match="uri_unsupported"):
        await verify_external(f"{redirects}/go?to={(folder / 'a').as_uri()}", manifest)
    with pytest.raises(Unavailable, match="redirects more than"):
        await verify_external(f"{redirects}/endless", manifest)


async def test_no_more_is_read_than_was_announced(folder: Path, redirects: str) -> None:
    with pytest.raises(Invalid, match="digest_mismatch"):
        await verify_external(f"{redirects}/large", Manifest.scan(folder / "a"))
