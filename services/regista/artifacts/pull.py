"""Downloading an artifact into a folder that is complete and checked, or not there at all."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from regista.artifacts.intake import Intake
from regista.artifacts.steps import Fetch, Meter, OnProgress, PullStep, PullSteps, Work
from regista.domain.errors import Invalid, Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from regista.artifacts.manifest import FileEntry, Manifest, Part


def pull_plan(
    manifest: Manifest, destination: str | os.PathLike[str], *, progress: OnProgress | None = None
) -> PullSteps[Path]:
    """Yield the downloads that make ``destination`` a folder with the artifact's files; the value is its path.

    Files are written into a folder beside it, every blob and every file checked, and renamed at the end; whatever goes wrong, that
    folder is removed. ``Refused`` (``destination_not_empty``) where something is in the way; ``Invalid`` (``digest_mismatch``,
    ``size_mismatch``) for bytes that are not what the manifest says.
    """
    target = Path(destination).absolute()
    workshop: Path = yield Work(lambda: _prepare(target))
    try:
        meter = Meter(manifest.size, progress)
        for entry in manifest.files:
            meter.at(entry.path)
            yield from _file(entry, workshop.joinpath(*entry.path.split("/")), meter)
        yield Work(lambda: _install(workshop, target))
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
    return target


def _file(entry: FileEntry, path: Path, meter: Meter) -> PullSteps[None]:
    whole = Intake(entry.sha256, entry.size)
    file: BinaryIO = yield Work(lambda: _create(path))
    with file:
        for part in entry.blobs:
            yield from _part(part, file, whole, meter)
    whole.finish()


def _part(part: Part, file: BinaryIO, whole: Intake, meter: Meter) -> PullSteps[None]:
    intake = Intake(part.sha256, part.size)

    def write(chunk: bytes) -> None:
        intake.take(chunk)
        whole.take(chunk)
        file.write(chunk)
        meter.add(len(chunk))

    if part.size:
        yield Fetch(part.sha256, part.size, write)
    intake.finish()


def _prepare(target: Path) -> Path:
    _require_empty(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    workshop = target.with_name(f".{target.name}-{secrets.token_hex(8)}.part")
    workshop.mkdir()  # not by tempfile, whose folders are for their owner alone: this one becomes the destination
    return workshop


def _require_empty(target: Path) -> None:
    if target.is_symlink() or (target.exists() and not target.is_dir()) or (target.is_dir() and any(target.iterdir())):
        raise Refused(
            f"{os.fspath(target)!r} is not an empty folder.",
            code="destination_not_empty",
            hint="Name a folder that does not exist yet: nothing is ever overwritten.",
        )


def _create(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return path.open("xb")
    except FileExistsError:
        raise Invalid(
            f"{path.name!r} and another file of the artifact have the same name on this file system.",
            code="path_invalid",
            hint="Pull onto a file system that tells upper from lower case.",
        ) from None


def _install(workshop: Path, target: Path) -> None:
    _require_empty(target)
    if target.exists():
        target.rmdir()
    workshop.rename(target)


def pull(
    fetch: Callable[[str, int, Callable[[bytes], None]], None],
    manifest: Manifest,
    destination: str | os.PathLike[str],
    *,
    progress: OnProgress | None = None,
) -> Path:
    """Carry out :func:`pull_plan`; ``fetch(digest, size, write)`` downloads one blob, handing its chunks to ``write``."""
    plan, result = pull_plan(manifest, destination, progress=progress), None
    try:
        while True:
            try:
                step: PullStep = plan.send(result)
            except StopIteration as end:
                return Path(end.value)
            result = None
            if isinstance(step, Work):
                result = step.call()
            else:
                fetch(step.digest, step.size, step.write)
    finally:
        plan.close()


async def pull_async(
    fetch: Callable[[str, int, Callable[[bytes], None]], Awaitable[None]],
    manifest: Manifest,
    destination: str | os.PathLike[str],
    *,
    progress: OnProgress | None = None,
) -> Path:
    """Carry out :func:`pull_plan` for asynchronous callers; ``fetch`` is awaited."""
    plan, result = pull_plan(manifest, destination, progress=progress), None
    try:
        while True:
            try:
                step: PullStep = plan.send(result)
            except StopIteration as end:
                return Path(end.value)
            result = None
            if isinstance(step, Work):
                result = await asyncio.to_thread(step.call)
            else:
                await fetch(step.digest, step.size, step.write)
    finally:
        plan.close()
