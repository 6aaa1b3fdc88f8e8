"""Targets as the deployer opens them: the newest of what the log says, and silent on their secrets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tests.support.deploying import Recorder
from tests.support.serving import serving
from tests.support.target_subjects import variant, wanted

from regista.deployer.opening import Open, OpenTargets, Surroundings
from regista.deployer.reactions import TargetDefinition
from regista.deployer.targets import Registry, TargetFailed, open_target
from regista.domain.errors import Unavailable
from regista.domain.events import SecretRef
from regista.settings import Settings

TOKEN = "correct-horse-battery-staple"


class Kept:
    def get(self, id: str) -> str | None:  # noqa: A002, ARG002 - the port's signature
        return TOKEN


def targets(folder: Path, opens: Open) -> OpenTargets:
    return OpenTargets(Surroundings(folder, lambda: Registry("http://127.0.0.1:1"), Kept(), opens, allow_private=True))


def defined(**settings: str) -> TargetDefinition:
    return TargetDefinition("edge", "recorder", json.dumps(settings), ())


async def test_whoever_knows_an_older_definition_gets_the_newer_one(tmp_path: Path) -> None:
    """What looks at targets may have read what they are before it changed."""
    recorder = Recorder()
    opened = targets(tmp_path, recorder.open)
    before = await opened.get("edge", "log", 5, defined())
    newest = await opened.get("edge", "log", 9, defined(place="here"))
    assert newest is not before
    assert await opened.get("edge", "log", 5, defined()) is newest
    assert await opened.get("edge", "another log", 5, defined()) is not newest
    assert [dict(context.settings) for context in recorder.opened] == [{}, {"place": "here"}, {}]


async def test_nothing_is_opened_after_the_end(tmp_path: Path) -> None:
    recorder = Recorder()
    opened = targets(tmp_path, recorder.open)
    await opened.get("edge", "log", 5, defined())
    await opened.close()
    with pytest.raises(Unavailable):
        await opened.get("edge", "log", 5, defined())
    assert len(recorder.opened) == 1


@pytest.mark.parametrize("padding", [0, 270])
@pytest.mark.parametrize("status", [400, 503])
async def test_a_system_that_cites_the_call_tells_no_secret(tmp_path: Path, status: int, padding: int) -> None:
    """Details of failures become events. They are cut off, maybe in the middle of what was cited."""

    async def cite(request: Request) -> Response:
        return JSONResponse({"said": "x" * padding + request.headers["authorization"]}, status)

    with serving(Starlette(routes=[Route("/", cite, methods=["POST"])]), Settings()) as served:
        settings = json.dumps({"url": f"{served.url}/"})
        definition = TargetDefinition("edge", "http", settings, (SecretRef("token", "1", "f"),))
        opened = targets(tmp_path, open_target)
        target = await opened.get("edge", "log", 1, definition)
        with pytest.raises(TargetFailed) as failed:
            await target.apply(wanted(1, variant(1, 10_000)))
        await opened.close()
    assert str(status) in failed.value.detail
    assert TOKEN[:8] not in f"{failed.value!r}"
    assert failed.value.retryable == (status == 503)
