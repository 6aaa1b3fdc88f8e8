"""Three model servers in one thread, at 127.0.0.1, .2 and .3: each answers which one it is, and counts its calls."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from time import monotonic

import orjson
import uvicorn
from starlette.types import Receive, Scope, Send

ORDINALS = (1, 2, 3)


def digest_of(ordinal: int) -> str:
    return f"sha256:{ordinal:064x}"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@dataclass
class Models:
    """Calls by ordinal, those of shadows apart. ``digests`` is what each says that it runs."""

    port: int
    calls: Counter[int] = field(default_factory=Counter)
    shadowed: Counter[int] = field(default_factory=Counter)
    digests: dict[int, str] = field(default_factory=lambda: {ordinal: digest_of(ordinal) for ordinal in ORDINALS})
    paths: list[str] = field(default_factory=list)
    delay: dict[int, float] = field(default_factory=dict)

    @property
    def template(self) -> str:
        return f"http://127.0.0.{{ordinal}}:{self.port}"

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        ordinal = int(scope["server"][0].rpartition(".")[2])
        body, more = bytearray(), True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if scope["path"] == "/model":
            answer: dict[str, object] = {"artifact_digest": self.digests[ordinal]}
        else:
            shadow = any(name == b"regista-shadow" for name, _ in scope["headers"])
            (self.shadowed if shadow else self.calls)[ordinal] += 1
            self.paths.append(f"{scope['method']} {scope['path']}?{scope['query_string'].decode()}")
            await asyncio.sleep(self.delay.get(ordinal, 0))
            answer = {"ordinal": ordinal, "echo": len(body)}
        content = orjson.dumps(answer)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})


@contextmanager
def models_served() -> Iterator[Models]:
    """Serve them until the block ends."""
    with ExitStack() as stack:
        first = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1024))
        models = Models(first.getsockname()[1])
        others = [
            stack.enter_context(socket.create_server((f"127.0.0.{ordinal}", models.port), backlog=1024))
            for ordinal in ORDINALS[1:]
        ]
        for listener in (first, *others):
            # asyncio leaves it out for sockets that are made so: each answer in two parts would wait 40 ms.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = uvicorn.Config(
            models.app,
            interface="asgi3",
            proxy_headers=False,
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_keep_alive=75,
            ws="none",
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([first, *others])))
        thread.start()
        try:
            deadline = monotonic() + 20
            while not server.started:
                assert monotonic() < deadline
                threading.Event().wait(0.01)
            yield models
        finally:
            server.should_exit = True
            thread.join()
