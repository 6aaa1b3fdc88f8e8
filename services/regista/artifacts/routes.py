"""Artifacts over HTTP: upload of blobs and manifests, streamed download with ranges, verification.

Bodies are streamed both ways and never held whole, manifests excepted. Errors leave as :class:`RegistaError`, for the server to write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from regista.artifacts.digests import parse_digest
from regista.artifacts.manifest import MANIFEST_LIMIT, MANIFEST_TYPE
from regista.artifacts.ranges import parse_range
from regista.domain.errors import Malformed, TooLarge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from regista.artifacts.uploads import ArtifactStore, OpenedFile

_FORM = r"^sha256:[0-9a-f]{64}$"
_PATTERN: dict[str, Any] = {"pattern": _FORM}
"""For the document only: parse_digest judges, so that a malformed digest has the same code everywhere."""
Digest = Annotated[str, Path(description="`sha256:` and 64 hexadecimal digits", json_schema_extra=_PATTERN)]
FilePath = Annotated[str, Path(description="a file's path in the manifest")]
_BYTES: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}


class Stored(BaseModel):
    """A blob or manifest that is stored now."""

    digest: str = Field(pattern=_FORM)
    size: int = Field(ge=0, description="bytes; of a manifest, those of all its files")


class PickleImports(BaseModel):
    """What the pickles of an artifact import when they are loaded."""

    imports: list[str] = Field(description="`module.name`, sorted; `?` for a name that is computed")
    disallowed: list[str] = Field(description="those outside the allowlist: what they do, nobody has vouched for")
    complete: bool = Field(description="false: not all could be followed, and there may be more")
    problem: str | None = Field(default=None, description="why it is not complete")


class Checked(BaseModel):
    """What was read and found to be what its digests say."""

    digest: str = Field(pattern=_FORM)
    blobs: int = Field(description="how many blobs were read: of a manifest, itself and every distinct one it names")
    size: int = Field(description="bytes read")
    pickle: PickleImports | None = Field(default=None, description="of a manifest with pickles in its files")


def artifact_routes(store: ArtifactStore, *, max_bytes: int) -> APIRouter:
    """Return the routes below ``/v1/artifacts``; ``max_bytes`` limits one upload, beside the store's part size."""
    router = APIRouter(prefix="/v1/artifacts", tags=["artifacts"])
    limit = min(max_bytes, store.part_size)

    @router.post(
        "",
        operation_id="upload_artifact",
        summary="Upload a blob, or a manifest of uploaded blobs",
        status_code=201,
        response_model=Stored,
        responses={200: {"model": Stored, "description": "The same bytes were there already"}},
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/octet-stream": _BYTES, MANIFEST_TYPE: {"schema": {"type": "object"}}},
            }
        },
    )
    async def upload(
        request: Request,
        digest: Annotated[
            str | None, Query(description="of the body; required but for a manifest", json_schema_extra=_PATTERN)
        ] = None,
    ) -> Response:
        """Store the body under its digest, which is checked on the way in. Bytes are stored once, and never replaced.

        With the content type of an OCI image manifest the body is a manifest: it names an artifact by the digests of its files,
        all of which must have been uploaded before.
        """
        if _media_type(request) == MANIFEST_TYPE:
            data = b"".join([chunk async for chunk in _body(request, MANIFEST_LIMIT)])
            manifest, created = await store.put_manifest(data, digest=digest)
            return _stored(manifest.digest, manifest.size, created=created)
        if digest is None:
            raise Malformed(
                "The digest of the body is missing.",
                code="digest_missing",
                hint="POST /v1/artifacts?digest=sha256:<64 hexadecimal digits>",
            )
        created = await store.put_blob(digest, _body(request, limit), _length(request))
        opened = await store.open_blob(digest)
        return _stored(digest, opened.size, created=created)

    @router.post(
        "/{digest}/verify",
        operation_id="verify_artifact",
        summary="Read the stored bytes again and compare their digests",
        response_model=Checked,
    )
    async def verify(digest: Digest) -> Checked:
        """Hash a blob, or a manifest and every blob it names. Takes as long as reading them does.

        Pickles among a manifest's files are followed without being loaded, to say what they import.
        """
        verified = await store.verify(parse_digest(digest))
        found = await store.scan_pickles(verified.digest)
        pickle = None
        if found is not None:
            pickle = PickleImports(
                imports=list(found.imports),
                disallowed=list(found.disallowed),
                complete=found.complete,
                problem=found.problem,
            )
        return Checked(digest=verified.digest, blobs=verified.blobs, size=verified.size, pickle=pickle)

    @router.head(
        "/{digest}",
        operation_id="head_artifact",
        summary="Ask whether a blob or manifest is stored",
        response_class=Response,
        responses=_download_responses(),
    )
    async def head_blob(request: Request, digest: Digest) -> Response:
        """Answer size and ETag. Keeps an orphan from being collected for another day, so that its upload can be left out."""
        await store.head(parse_digest(digest))
        return _answer(request, await store.open_blob(digest), None, body=False)

    @router.get(
        "/{digest}",
        operation_id="get_artifact",
        summary="Download a blob or a manifest",
        response_class=StreamingResponse,
        responses=_download_responses(),
    )
    async def get_blob(request: Request, digest: Digest) -> Response:
        """Stream the bytes under a digest, or one range of them."""
        return _answer(request, await store.open_blob(parse_digest(digest)), None, body=True)

    @router.head(
        "/{digest}/{path:path}",
        operation_id="head_artifact_file",
        summary="Ask for the size of a file of an artifact",
        response_class=Response,
        responses=_download_responses(),
    )
    async def head_file(request: Request, digest: Digest, path: FilePath) -> Response:
        """Answer size and ETag of a file, named by its manifest and path."""
        return _answer(request, await store.open_file(parse_digest(digest), path), path, body=False)

    @router.get(
        "/{digest}/{path:path}",
        operation_id="get_artifact_file",
        summary="Download a file of an artifact",
        response_class=StreamingResponse,
        responses=_download_responses(),
    )
    async def get_file(request: Request, digest: Digest, path: FilePath) -> Response:
        """Stream a file, named by its manifest and path, or one range of it."""
        return _answer(request, await store.open_file(parse_digest(digest), path), path, body=True)

    return router


def _answer(request: Request, opened: OpenedFile, path: str | None, *, body: bool) -> Response:
    etag = f'"{opened.digest}"'
    name = path.rsplit("/", 1)[-1] if path else opened.digest.replace(":", "-")
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=31536000, immutable",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "Content-Type": opened.media_type,
        "X-Content-Type-Options": "nosniff",
    }
    if _matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers={k: headers[k] for k in ("ETag", "Cache-Control")})
    wanted = None
    if request.headers.get("if-range", etag) == etag:
        wanted = parse_range(request.headers.get("range"), opened.size)
    start, stop = wanted or (0, opened.size)
    headers["Content-Length"] = str(stop - start)
    if wanted:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{opened.size}"
    status = 206 if wanted else 200
    if not body:
        return Response(status_code=status, headers=headers)
    return StreamingResponse(opened.stream(start, stop), status_code=status, headers=headers)


def _matches(header: str | None, etag: str) -> bool:
    if header is None:
        return False
    tags = {tag.strip().removeprefix("W/") for tag in header.split(",")}
    return "*" in tags or etag in tags


async def _body(request: Request, limit: int) -> AsyncIterator[bytes]:
    """Yield the request's body; ``TooLarge`` beyond the limit, before anything is read where the length is announced."""
    received = 0
    if (_length(request) or 0) > limit:
        raise _too_large(limit)
    try:
        async for chunk in request.stream():
            received += len(chunk)
            if received > limit:
                raise _too_large(limit)
            yield chunk
    except ClientDisconnect as error:
        raise Malformed("The upload broke off.", code="upload_interrupted", hint="Send it again.") from error


def _length(request: Request) -> int | None:
    announced = request.headers.get("content-length", "")
    return int(announced) if announced.isascii() and announced.isdecimal() else None


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").split(";", 1)[0].strip().lower()


def _stored(digest: str, size: int, *, created: bool) -> JSONResponse:
    return JSONResponse(
        {"digest": digest, "size": size}, 201 if created else 200, {"Location": f"/v1/artifacts/{digest}"}
    )


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"One upload may have {limit} bytes.",
        hint="Larger files are sent in parts of 4 GiB that the manifest puts together: regista register does so.",
    )


def _download_responses() -> dict[int | str, dict[str, Any]]:
    content = {"application/octet-stream": _BYTES}
    return {
        200: {"content": content, "description": "The bytes"},
        206: {"content": content, "description": "The range that was asked for"},
        304: {"description": "The caller has it already"},
        416: {"description": "The range lies beyond the end"},
    }
