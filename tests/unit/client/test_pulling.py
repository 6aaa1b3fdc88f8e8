"""Every file that was pulled is what its digest says, or it is not there."""

from pathlib import Path
from typing import Any

import pytest
from tests.support.scripted import Script

from regista.artifacts.digests import digest_of
from regista.artifacts.manifest import FileEntry, Manifest
from regista.client.errors import Unreachable
from regista.client.exchange import Opened, Response, TransportFault
from regista.client.pull import PullArtifact
from regista.client.session import Session
from regista.domain.errors import Damaged, Invalid, Refused

FILES = {"config.json": b"{}", "weights/a.bin": b"0123456789", "empty": b""}
MANIFEST = Manifest(tuple(FileEntry(path, len(data), digest_of(data)) for path, data in FILES.items()))
HEAD = Response(200, {}, MANIFEST.to_bytes())


def body(status: int = 200) -> Opened:
    return Opened(Response(status), object())


def whole(data: bytes) -> list[Any]:
    return [body(), *([data] if data else []), None]


EVERYTHING = [HEAD, *whole(b"{}"), *whole(b""), *whole(b"0123456789")]


def test_everything_arrives_and_nothing_else(script: Script, session: Session, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    pull = PullArtifact(MANIFEST.digest, tmp_path / "new", lambda done, total: told.append((done, total)))
    pulled = script.play(pull.perform(session), EVERYTHING).answer
    found = {p.relative_to(tmp_path / "new").as_posix(): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert found == FILES
    assert (pulled.files, pulled.size, pulled.kept) == (("config.json", "empty", "weights/a.bin"), 12, 0)
    assert told[-1] == (12, 12)


def test_what_is_there_is_checked_and_kept(script: Script, session: Session, tmp_path: Path) -> None:
    pull = PullArtifact(MANIFEST.digest, tmp_path)
    script.play(pull.perform(session), EVERYTHING)
    assert script.play(pull.perform(session), [HEAD]).answer.kept == 12


def test_another_file_is_not_overwritten(script: Script, session: Session, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b"[]")
    with pytest.raises(Refused, match=r"config\.json") as error:
        script.play(PullArtifact(MANIFEST.digest, tmp_path).perform(session), [HEAD])
    assert error.value.code == "would_overwrite"
    assert (tmp_path / "config.json").read_bytes() == b"[]"


def test_a_link_does_not_lead_out_of_the_directory(script: Script, session: Session, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "weights").symlink_to(tmp_path / "out")
    with pytest.raises(Refused, match="leads out"):
        script.play(PullArtifact(MANIFEST.digest, tmp_path / "in").perform(session), [HEAD])


def test_a_broken_download_goes_on_where_it_stopped(script: Script, session: Session, tmp_path: Path) -> None:
    broken = [body(), b"0123", TransportFault("ReadError"), body(206), b"456", None, body(206), b"789", None]
    answers = [HEAD, *whole(b"{}"), *whole(b""), *broken]
    played = script.play(PullArtifact(MANIFEST.digest, tmp_path).perform(session), answers)
    ranges = [request.headers.get("Range") for request in played.requests if request.path.endswith("a.bin")]
    assert ranges == [None, "bytes=4-", "bytes=7-"]
    assert (tmp_path / "weights" / "a.bin").read_bytes() == b"0123456789"


@pytest.mark.parametrize("data", [b"012345678X", b"0123456789more"])
def test_other_bytes_are_refused_and_leave_nothing(
    script: Script, session: Session, tmp_path: Path, data: bytes
) -> None:
    with pytest.raises(Damaged, match=r"weights/a\.bin"):
        script.play(
            PullArtifact(MANIFEST.digest, tmp_path).perform(session), [HEAD, *whole(b"{}"), *whole(b""), *whole(data)]
        )
    assert list((tmp_path / "weights").iterdir()) == []


def test_a_manifest_with_other_bytes_is_refused(script: Script, session: Session, tmp_path: Path) -> None:
    with pytest.raises(Invalid):
        script.play(PullArtifact(digest_of(b"other"), tmp_path).perform(session), [HEAD])


def test_a_registry_that_sends_nothing_any_more_is_unreachable(
    script: Script, session: Session, tmp_path: Path
) -> None:
    silent = [answer for _ in range(4) for answer in (body(), TransportFault("ReadError"))]
    with pytest.raises(Unreachable):
        script.play(PullArtifact(MANIFEST.digest, tmp_path).perform(session), [HEAD, *silent])
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_made_is_refused(script: Script, session: Session, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    pull = PullArtifact(MANIFEST.digest, tmp_path / "file" / "new")
    with pytest.raises(Invalid, match="cannot be written") as error:
        script.play(pull.perform(session), EVERYTHING)
    assert error.value.code == "cannot_write"
