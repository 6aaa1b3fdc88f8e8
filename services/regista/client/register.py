"""Registering a model in one call: files, metadata, number; and everything that is missing named before anything is sent."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import ValidationError

from regista.client.calls import Write
from regista.client.estimator import dump, guess_signature, hyperparameters
from regista.client.exchange import Run as RunStep
from regista.client.exchange import Steps
from regista.client.push import Progress, push, push_bytes, scanned
from regista.client.session import Session, path, plain, to_json
from regista.client.training.run import Run
from regista.domain.errors import Invalid, NotFound, Reason
from regista.wire.resources import Plan, VersionWritten

if TYPE_CHECKING:
    from regista.wire import requests

Source: TypeAlias = "str | os.PathLike[str] | object | None"

WAYS = {
    "artifact": 'client.register(MODEL, "model.onnx", …)   # a file, a folder, or the estimator itself',
    "code": "run = regista.capture(snapshot=True)   # stores the script; inside a git repository the commit is enough",
    "datasets": 'run.dataset("transactions", df, version="2026-05")   # a data frame, arrays, a path, or a version',
    "metrics": "run.metrics(auc=0.93)",
    "trained_at": "with regista.capture() as run: …   # or trained_at=datetime.now(UTC)",
    "author": 'regista.capture(author="m.rossi")   # or export REGISTA_ACTOR=m.rossi',
}
"""The line of code that supplies each piece of required metadata."""


@dataclass(frozen=True, slots=True)
class Register:
    """``Client.register``: see there. ``given`` is metadata in the words of ``POST …/versions``; it wins over the run's."""

    model: str
    source: Source
    run: Run | None
    given: Mapping[str, Any]
    create: bool
    example: Any
    if_match: int | str | None
    command_id: str | None
    progress: Progress | None

    def perform(self, session: Session) -> Steps[VersionWritten]:
        """Upload, and register; the model too where it is new: both or neither."""
        call = yield from self._prepare(session)
        return (yield from call.perform(session))

    def plan(self, session: Session) -> Steps[Plan]:
        """The events, after uploading what they would name: the bytes decide about the number."""
        call = yield from self._prepare(session)
        return (yield from call.plan(session))

    def _prepare(self, session: Session) -> Steps[Write[VersionWritten]]:
        """Everything up to the request: it is complete and well-formed, and the registry holds the bytes."""
        target = path("models", self.model, "versions")
        body = self._metadata()
        if isinstance(self.source, str | os.PathLike):
            place = Path(self.source)
            if not place.exists():  # a slip of the hand is told before anything else is asked for
                raise NotFound(f"There is nothing to read at {os.fspath(place)!r}.", code="path_not_found")
            checked(body, artifact=True)
            body["artifact"] = yield from self._uploaded(session, place, body)
        elif self.source is not None:
            body = self._described(body)
            checked(body, artifact=True)
            with tempfile.TemporaryDirectory(prefix="regista-") as directory:
                file: Path = yield RunStep(lambda: dump(self.source, Path(directory)))
                body["artifact"] = yield from self._uploaded(session, file, body)
        else:
            checked(body, artifact=False)
        if self.run is not None and self.run.code_snapshot is not None:
            yield from push_bytes(session, self.run.code_snapshot.content)
        command_id = self.command_id or session.new_id()
        query = {"create": "true"} if self.create else {}
        return Write(VersionWritten, "POST", target, body, query, self.if_match, command_id)

    def _metadata(self) -> dict[str, Any]:
        """The run's metadata and what was given: mappings are merged, all else is replaced."""
        body = self.run.metadata() if self.run is not None else {}
        for name, value in self.given.items():
            value = plain(name, value)  # noqa: PLW2901 - the same value, in JSON's types
            old = body.get(name)
            body[name] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
        return body

    def _described(self, body: dict[str, Any]) -> dict[str, Any]:
        """With what the object tells about itself, where nobody said otherwise."""
        params = plain("params", hyperparameters(self.source))
        body = {**body, "params": {**params, **body.get("params", {})}}
        if body.get("signature") is None and (signature := guess_signature(self.source, self.example)):
            body["signature"] = signature
        return body

    def _uploaded(self, session: Session, place: Path, body: Mapping[str, Any]) -> Steps[dict[str, Any]]:
        found = yield from scanned(place)
        announced = dict(body.get("artifact") or {})
        if announced.get("digest") not in {None, found.manifest.digest}:
            raise Invalid(
                f"{place} has the digest {found.manifest.digest}, not the given {announced['digest']}",
                code="digest_mismatch",
                hint="Leave artifact.digest out, or give the files that it belongs to.",
            )
        pushed = yield from push(session, found, self.progress)
        return announced | {"digest": pushed.digest}


def checked(body: Mapping[str, Any], *, artifact: bool) -> None:
    """Check a registration as far as it can be without the registry. ``artifact``: the files come besides.

    Raises:
        Invalid: ``missing_metadata`` with a reason for every required field that is not there, each with the line of
            code that supplies it; ``invalid`` with a reason for every field that is not what it should be.
    """
    from regista.wire import requests  # noqa: PLC0415 - a tenth of the SDK's loading time, for this check alone

    try:
        request = requests.RegisterVersion.model_validate_json(to_json(body))
    except ValidationError as error:
        reasons = [_wrong(one["loc"], one["msg"]) for one in error.errors(include_url=False, include_input=False)]
        fields = ", ".join(dict.fromkeys(reason.field or "" for reason in reasons))
        raise Invalid(f"these fields are not what they should be: {fields}", reasons=reasons) from error
    if request.origin is not None:  # an import may be incomplete
        return
    missing = [name for name, there in _supplied(request, artifact=artifact).items() if not there]
    if missing:
        raise Invalid(
            f"a registration needs {_listed(missing)}",
            code="missing_metadata",
            hint="Each reason has the line that supplies it; regista.capture() supplies most.",
            reasons=[Reason("missing", f"{name} is required", name, WAYS[name]) for name in missing],
        )


def _supplied(request: requests.RegisterVersion, *, artifact: bool) -> dict[str, bool]:
    announced = request.artifact
    return {
        "artifact": artifact or bool(announced.digest or announced.uri),
        "code": request.code is not None and bool(request.code.commit or request.code.snapshot),
        "datasets": bool(request.datasets),
        "metrics": bool(request.metrics or request.evaluations),
        "trained_at": request.trained_at is not None,
        "author": bool(request.author),
    }


def _wrong(location: tuple[int | str, ...], message: str) -> Reason:
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    return Reason("invalid", message, field)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
