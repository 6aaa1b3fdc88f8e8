"""Artifacts over HTTP: what a client may rely on, request by request."""

from __future__ import annotations

import os
import pickle
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from starlette.requests import Request

from regista.artifacts.digests import digest_of
from regista.artifacts.manifest import MANIFEST_LIMIT, MANIFEST_TYPE, FileEntry, Manifest
from regista.artifacts.memory import MemoryBlobStore
from regista.artifacts.ranges import parse_range
from regista.artifacts.routes import artifact_routes
from regista.artifacts.uploads import ArtifactStore
from regista.domain.errors import RegistaError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, MutableMapping

PART, LIMIT = 1 << 20, 100_000
DATA = os.urandom(50_000)
DIGEST = digest_of(DATA)
OCTETS = {"content-type": "application/octet-stream"}


async def problem(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RegistaError)
    reasons = [{"code": reason.code, "field": reason.field} for reason in error.reasons]
    return JSONResponse({"code": error.code, "reasons": reasons}, error.status)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    store = ArtifactStore(MemoryBlobStore(), part_size=PART)
    app = FastAPI()
    app.include_router(artifact_routes(store, max_bytes=LIMIT))
    app.add_exception_handler(RegistaError, problem)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as connection:
        yield connection
    store.close()


async def upload(client: httpx.AsyncClient, data: bytes, digest: str | None = None) -> httpx.Response:
    return await client.post(
        "/v1/artifacts", params={"digest": digest or digest_of(data)}, content=data, headers=OCTETS
    )


async def upload_manifest(client: httpx.AsyncClient, manifest: Manifest) -> httpx.Response:
    return await client.post("/v1/artifacts", content=manifest.to_bytes(), headers={"content-type": MANIFEST_TYPE})


def manifest_of(**files: bytes) -> Manifest:
    return Manifest(tuple(FileEntry(name, len(data), digest_of(data)) for name, data in files.items()))


async def test_an_upload_is_new_once(client: httpx.AsyncClient) -> None:
    first, second = await upload(client, DATA), await upload(client, DATA)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json() == {"digest": DIGEST, "size": len(DATA)}
    assert first.headers["location"] == f"/v1/artifacts/{DIGEST}"


async def test_a_stream_without_length_is_taken(client: httpx.AsyncClient) -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield DATA[:100]
        yield DATA[100:]

    answer = await client.post("/v1/artifacts", params={"digest": DIGEST}, content=stream(), headers=OCTETS)
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("digest", "size", "status", "code"),
    [
        (digest_of(b"other"), 100, 422, "digest_mismatch"),
        ("sha256:123", 100, 422, "digest_malformed"),
        ("sha256:../../../../etc/passwd", 100, 422, "digest_malformed"),
        ("", 100, 422, "digest_malformed"),
        (None, 100, 400, "digest_missing"),
        (digest_of(bytes(LIMIT + 1)), LIMIT + 1, 413, "too_large"),
    ],
)
async def test_uploads_that_are_refused_store_nothing(
    client: httpx.AsyncClient, digest: str | None, size: int, status: int, code: str
) -> None:
    data = bytes(size)
    params = {} if digest is None else {"digest": digest}
    answer = await client.post("/v1/artifacts", params=params, content=data, headers=OCTETS)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await client.head(f"/v1/artifacts/{digest_of(data)}")).status_code == 404


async def test_a_stream_over_the_limit_is_cut_off(client: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100 * LIMIT:
            sent += 10_000
            yield bytes(10_000)

    answer = await client.post("/v1/artifacts", params={"digest": DIGEST}, content=endless(), headers=OCTETS)
    assert answer.status_code == 413
    assert sent <= LIMIT + 20_000


async def test_an_upload_that_breaks_off_stores_nothing() -> None:
    blobs = MemoryBlobStore()
    store = ArtifactStore(blobs)
    app = FastAPI()
    app.include_router(artifact_routes(store, max_bytes=LIMIT))
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": DATA[:100], "more_body": True},
        {"type": "http.disconnect"},
    ]
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/v1/artifacts",
        "query_string": f"digest={DIGEST}".encode(),
    }
    scope |= {"headers": [(b"content-type", b"application/octet-stream")], "asgi": {"version": "3.0"}}

    async def receive() -> MutableMapping[str, Any]:
        return messages.pop(0)

    async def send(_: MutableMapping[str, Any]) -> None: ...

    with pytest.raises(RegistaError, match="upload_interrupted"):
        await app(scope, receive, send)
    assert [info async for info in blobs.walk()] == []
    store.close()


async def test_a_manifest_is_taken_when_its_blobs_are_there(client: httpx.AsyncClient) -> None:
    manifest = manifest_of(a=DATA, b=b"second")
    await upload(client, DATA)
    refused = await upload_manifest(client, manifest)
    assert (refused.status_code, refused.json()["code"]) == (409, "blobs_missing")
    assert [reason["field"] for reason in refused.json()["reasons"]] == [digest_of(b"second")]
    await upload(client, b"second")
    assert [(await upload_manifest(client, manifest)).status_code for _ in range(2)] == [201, 200]
    stored = await client.get(f"/v1/artifacts/{manifest.digest}")
    assert stored.content == manifest.to_bytes()
    assert stored.headers["content-type"] == MANIFEST_TYPE


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff", b"[" * 10_000])
async def test_what_is_no_manifest_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post(
        "/v1/artifacts", content=body, headers={"content-type": MANIFEST_TYPE + "; charset=utf-8"}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "manifest_invalid")


async def test_a_manifest_has_its_own_limit(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/v1/artifacts", content=bytes(MANIFEST_LIMIT + 1), headers={"content-type": MANIFEST_TYPE}
    )
    assert answer.status_code == 413


async def test_a_download_says_what_it_is_and_that_it_is_no_page(client: httpx.AsyncClient) -> None:
    await upload(client, DATA)
    answer = await client.get(f"/v1/artifacts/{DIGEST}")
    assert answer.content == DATA
    assert answer.headers["etag"] == f'"{DIGEST}"'
    assert answer.headers["content-length"] == str(len(DATA))
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"].startswith("attachment")
    head = await client.head(f"/v1/artifacts/{DIGEST}")
    assert head.content == b""
    assert dict(head.headers) == dict(answer.headers)


async def test_files_are_downloaded_by_path(client: httpx.AsyncClient) -> None:
    files = {"a": DATA, "sub/ü ber.onnx": b"second", "empty": b""}
    manifest = manifest_of(**files)
    for data in files.values():
        await upload(client, data)
    await upload_manifest(client, manifest)
    for path, data in files.items():
        answer = await client.get(f"/v1/artifacts/{manifest.digest}/{path}")
        assert answer.content == data
        assert answer.headers["etag"] == f'"{digest_of(data)}"'
        assert (await client.head(f"/v1/artifacts/{manifest.digest}/{path}")).headers["content-length"] == str(
            len(data)
        )
    named = await client.get(f"/v1/artifacts/{manifest.digest}/sub/ü ber.onnx")
    assert named.headers["content-disposition"] == "attachment; filename*=UTF-8''%C3%BC%20ber.onnx"
    for path in ("nothing", "sub", "%2e%2e/a", "a/", ""):
        assert (await client.get(f"/v1/artifacts/{manifest.digest}/{path}")).status_code == 404


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("Bytes=49999-", 49_999, 50_000),
        ("bytes=-10", 49_990, 50_000),
        ("bytes=-999999", 0, 50_000),
        ("bytes=10-999999", 10, 50_000),
    ],
)
async def test_single_ranges_are_sent_alone(client: httpx.AsyncClient, header: str, start: int, stop: int) -> None:
    await upload(client, DATA)
    answer = await client.get(f"/v1/artifacts/{DIGEST}", headers={"range": header})
    assert (answer.status_code, answer.content) == (206, DATA[start:stop])
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/50000"
    assert answer.headers["content-length"] == str(stop - start)


@pytest.mark.parametrize("header", ["bytes=0-1,5-6", "bytes=5-1", "bytes=-", "lines=0-1", "bytes=a-b", "bytes"])
async def test_other_ranges_are_answered_with_the_whole(client: httpx.AsyncClient, header: str) -> None:
    await upload(client, DATA)
    answer = await client.get(f"/v1/artifacts/{DIGEST}", headers={"range": header})
    assert (answer.status_code, len(answer.content)) == (200, len(DATA))


@pytest.mark.parametrize("header", ["bytes=50000-", "bytes=-0", "bytes=99999999999999999999-"])
async def test_ranges_beyond_the_end_are_refused(client: httpx.AsyncClient, header: str) -> None:
    await upload(client, DATA)
    answer = await client.get(f"/v1/artifacts/{DIGEST}", headers={"range": header})
    assert (answer.status_code, answer.json()["code"]) == (416, "range_unsatisfiable")


async def test_a_range_of_something_else_is_answered_with_the_whole(client: httpx.AsyncClient) -> None:
    await upload(client, DATA)
    for condition, status in ((f'"{DIGEST}"', 206), ('"other"', 200)):
        answer = await client.get(f"/v1/artifacts/{DIGEST}", headers={"range": "bytes=0-9", "if-range": condition})
        assert answer.status_code == status


@pytest.mark.parametrize(("header", "status"), [('"{}"', 304), ('"x", W/"{}"', 304), ("*", 304), ('"x"', 200)])
async def test_what_the_caller_has_is_not_sent(client: httpx.AsyncClient, header: str, status: int) -> None:
    await upload(client, DATA)
    answer = await client.get(f"/v1/artifacts/{DIGEST}", headers={"if-none-match": header.format(DIGEST)})
    assert answer.status_code == status
    assert answer.headers["etag"] == f'"{DIGEST}"'


@pytest.mark.parametrize(("digest", "status"), [(digest_of(b"nothing"), 404), ("sha256:12", 422), ("latest", 422)])
async def test_unknown_and_malformed_digests(client: httpx.AsyncClient, digest: str, status: int) -> None:
    for path in (digest, f"{digest}/file"):
        assert (await client.get(f"/v1/artifacts/{path}")).status_code == status
        assert (await client.head(f"/v1/artifacts/{path}")).status_code == status
    assert (await client.post(f"/v1/artifacts/{digest}/verify")).status_code == status


async def test_verification_reads_everything(client: httpx.AsyncClient) -> None:
    manifest = manifest_of(a=DATA)
    await upload(client, DATA)
    await upload_manifest(client, manifest)
    answer = await client.post(f"/v1/artifacts/{manifest.digest}/verify")
    read = {"digest": manifest.digest, "blobs": 2, "size": len(DATA) + len(manifest.to_bytes())}
    assert answer.json() == {**read, "pickle": None}


async def test_verification_names_what_pickles_import_and_loads_none(client: httpx.AsyncClient) -> None:
    data = pickle.dumps([Fraction(1, 2)])
    manifest = manifest_of(a=data, b=DATA)
    await upload(client, data)
    await upload(client, DATA)
    await upload_manifest(client, manifest)
    found = (await client.post(f"/v1/artifacts/{manifest.digest}/verify")).json()["pickle"]
    assert "fractions.Fraction" in found["imports"]
    assert set(found["disallowed"]) <= set(found["imports"])
    assert (found["complete"], found["problem"]) == (True, None)
    alone = await client.post(f"/v1/artifacts/{manifest.files[0].sha256}/verify")
    assert alone.json()["pickle"] is None


async def test_the_document_names_every_operation_once(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    operations = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert sorted(operations) == sorted(set(operations))
    assert set(document["paths"]) == {
        "/v1/artifacts",
        "/v1/artifacts/{digest}",
        "/v1/artifacts/{digest}/verify",
        "/v1/artifacts/{digest}/{path}",
    }
    assert all(operation["summary"] for path in document["paths"].values() for operation in path.values())
    body = document["paths"]["/v1/artifacts"]["post"]["requestBody"]["content"]
    assert set(body) == {"application/octet-stream", MANIFEST_TYPE}


def test_a_range_of_an_empty_file_cannot_be_satisfied() -> None:
    with pytest.raises(RegistaError) as refusal:
        parse_range("bytes=0-0", 0)
    assert refusal.value.status == 416
