"""Verifying bytes that lie outside the store, against the manifest they were registered with."""

from __future__ import annotations

import hashlib
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit
from urllib.request import url2pathname

import httpx

from regista.artifacts.digests import CHUNK
from regista.artifacts.local_files import in_thread
from regista.artifacts.upkeep import Verified
from regista.domain.errors import Invalid, Reason, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from regista.artifacts.manifest import FileEntry, Manifest

MAX_REDIRECTS = 5
TIMEOUT = httpx.Timeout(10.0, read=30.0)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


async def verify_external(uri: str, manifest: Manifest, *, client: httpx.AsyncClient | None = None) -> Verified:
    """Read every file at ``uri`` (``file://``, ``http://``, ``https://``) and compare its digest.

    A manifest of one file may name the file itself; otherwise files are looked for below the URI, by their paths. At most one byte
    more than announced is read of each. Redirects are followed within one scheme and from http to https, never elsewhere.
    ``Invalid`` with a reason for each file that differs (``digest_mismatch``), or for an unsupported URI (``uri_unsupported``);
    ``Unavailable`` (``artifact_unreachable``) when it cannot be read now.
    """
    scheme = urlsplit(uri).scheme.lower()
    if scheme not in ("file", "http", "https"):
        raise Invalid(
            f"Bytes at {uri[:200]!r} cannot be read from here.",
            code="uri_unsupported",
            hint="file:, http: and https: can be verified; for others, download the files and compare: sha256sum.",
        )
    async with AsyncExitStack() as stack:
        if scheme != "file" and client is None:
            client = await stack.enter_async_context(httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False))
        faults = [(entry, await _fault(uri, entry, manifest, client)) for entry in manifest.files]
    reasons = [Reason("digest_mismatch", f"{e.path} {fault}.", field=e.path) for e, fault in faults if fault]
    if reasons:
        raise Invalid(
            f"{len(reasons)} of {len(manifest.files)} files at {uri} are not what was registered.",
            code="digest_mismatch",
            reasons=reasons,
            hint="The bytes behind the URI were changed or moved: restore them, or register them as a new version.",
        )
    return Verified(manifest.digest, len(manifest.files), manifest.size)


async def _fault(uri: str, entry: FileEntry, manifest: Manifest, client: httpx.AsyncClient | None) -> str | None:
    found, length = hashlib.sha256(), 0
    single = len(manifest.files) == 1
    chunks = _local(uri, entry, single=single) if client is None else _remote(client, uri, entry, single=single)
    async with aclosing(chunks):
        async for chunk in chunks:
            found.update(chunk)
            length += len(chunk)
            if length > entry.size:
                return f"has more than {entry.size} bytes"
    if length != entry.size:
        return f"has {length} bytes instead of {entry.size}"
    return None if f"sha256:{found.hexdigest()}" == entry.sha256 else f"has the digest sha256:{found.hexdigest()}"


async def _local(uri: str, entry: FileEntry, *, single: bool) -> AsyncGenerator[bytes, None]:
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost"):
        raise Invalid(f"{uri[:200]!r} names another host.", code="uri_unsupported", hint="Write file:///path.")
    base = Path(url2pathname(parts.path))
    path = base if single and await in_thread(base.is_file) else base.joinpath(*entry.path.split("/"))
    try:
        file = await in_thread(path.open, "rb", 0)
        with file:
            while data := await in_thread(file.read, CHUNK):
                yield data
    except OSError as error:
        raise _unreachable(uri, entry, error.strerror or "it cannot be read") from error


async def _remote(
    client: httpx.AsyncClient, uri: str, entry: FileEntry, *, single: bool
) -> AsyncGenerator[bytes, None]:
    url = uri if single and not _is_folder(uri) else _below(uri, entry.path)
    try:
        for _ in range(MAX_REDIRECTS + 1):
            # Bytes as they are stored: a transfer compression would be undone by the client, without any bound on its result.
            async with client.stream(
                "GET", url, headers={"Accept-Encoding": "identity"}, follow_redirects=False
            ) as answer:
                if answer.status_code in _REDIRECTS and "location" in answer.headers:
                    url = _redirected(url, answer.headers["location"])
                    continue
                if answer.status_code != httpx.codes.OK:
                    raise _unreachable(uri, entry, f"it answered {answer.status_code}")
                async for chunk in answer.aiter_raw(CHUNK):
                    yield chunk
                return
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _unreachable(uri, entry, str(error) or type(error).__name__) from error
    raise _unreachable(uri, entry, f"it redirects more than {MAX_REDIRECTS} times")


def _below(uri: str, path: str) -> str:
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{quote(path)}"))


def _is_folder(uri: str) -> bool:
    return unquote(urlsplit(uri).path).endswith("/")


def _redirected(url: str, location: str) -> str:
    target = urljoin(url, location)
    old, new = urlsplit(url).scheme.lower(), urlsplit(target).scheme.lower()
    if new != old and (old, new) != ("http", "https"):
        raise Invalid(f"{url} redirects to another scheme, {new[:20]!r}.", code="uri_unsupported")
    return target


def _unreachable(uri: str, entry: FileEntry, why: str) -> Unavailable:
    return Unavailable(
        f"{entry.path} at {uri} cannot be read: {why}.",
        code="artifact_unreachable",
        hint="Check that the URI is right and that you may read it from this machine.",
        retry_after=10.0,
    )
