"""``python -m regista.serving --digest sha256:… [--url URL]``: serve one artifact of a registry.

It listens at once and prints where; ``/readyz`` is 200 when the model is loaded. ``REGISTA_URL`` and ``REGISTA_TOKEN`` name
the registry. It says why it ends: with status 3 when the artifact can never be served, and 4 when it cannot be now.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
import threading
from pathlib import Path

import uvicorn

from regista.artifacts.digests import hex_of, parse_digest
from regista.client import Client
from regista.client.errors import Unreachable
from regista.domain.errors import RegistaError, Unavailable
from regista.http.serving import listen, url_of
from regista.serving.application import Served, application
from regista.serving.loading import Loaded, load

CANNOT_LOAD = 3
LATER = 4
_KEEP_ALIVE = 75
"""Seconds: longer than any proxy before it keeps an idle connection, so that it is the proxy who closes."""
_LAST = 10.0


def main() -> int:
    """Serve until a signal comes, or until standard input ends where it was asked for."""
    given = _arguments()
    try:
        return asyncio.run(_serve(given))
    except RegistaError as error:
        return _failed(error)


async def _serve(given: argparse.Namespace) -> int:
    served = Served(given.digest, given.variant or given.digest)
    with listen(given.host, given.port) as listener:
        # asyncio leaves it out for a socket that was made elsewhere, and an answer in two parts would wait 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server = uvicorn.Server(
            uvicorn.Config(
                application(served),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE,
                timeout_graceful_shutdown=30,
            )
        )
        if given.with_parent:
            threading.Thread(target=_leave_with_parent, args=(server,), daemon=True).start()
        sys.stdout.write(f"{url_of(listener)}\n")
        sys.stdout.flush()
        loading = asyncio.create_task(_load(given, served, server))
        await server.serve([listener])
        loading.cancel()
    return _failed(served.failure) if served.failure else 0


def _failed(error: RegistaError) -> int:
    sys.stderr.write(f"{error.code}: {error.detail}\n")
    return LATER if isinstance(error, Unavailable | Unreachable) else CANNOT_LOAD


async def _load(given: argparse.Namespace, served: Served, server: uvicorn.Server) -> None:
    try:
        served.loaded = await asyncio.to_thread(fetch_and_load, given)
    except RegistaError as error:
        served.failure = error
        server.should_exit = True


def fetch_and_load(given: argparse.Namespace) -> Loaded:
    """Have the files, verified to the last bit, and load them. Blocks.

    Raises:
        RegistaError: the artifact cannot be had, is not what its digest says, or cannot be loaded.
    """
    folder = Path(given.data) / hex_of(parse_digest(given.digest))
    with Client(given.url) as registry:
        registry.pull_artifact(given.digest, folder)
    try:
        return load(folder, allow_pickle=given.allow_pickle)
    except (OSError, MemoryError) as error:
        raise Unavailable(f"{given.digest} cannot be loaded: {error}", code="cannot_load") from error


def _leave_with_parent(server: uvicorn.Server) -> None:
    """The parent holds the other end: it ends with the parent, however that ends."""
    # Not through sys.stdin: a thread that waits within its lock stops the interpreter from ending.
    while os.read(0, 4096):
        pass
    server.should_exit = True
    threading.Event().wait(_LAST)
    os._exit(0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m regista.serving", description="Serve one artifact of a registry.")
    parser.add_argument("--digest", required=True, help="of the artifact: sha256:…")
    parser.add_argument("--url", help="of the registry; else REGISTA_URL")
    parser.add_argument("--data", default=".regista/models", help="where files are kept (default: %(default)s)")
    parser.add_argument("--variant", help="named in the header Regista-Variant; else the digest")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any that is free (default)")
    parser.add_argument(
        "--allow-pickle", action="store_true", help="load pickles whose imports are all known to be data"
    )
    parser.add_argument("--with-parent", action="store_true", help="end when standard input ends")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
