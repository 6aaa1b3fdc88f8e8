"""Kind ``directory``: what is wanted is written to files, for a tool that watches them.

Settings: ``path`` (default: a folder of the target's own) and ``templates``, by file name, in Jinja's language. Without
templates ``<environment>/<endpoint>.json`` is the document. With templates ``<environment>/<endpoint>`` is a link to a
folder with each of them rendered, and ``deployment.json``: all of them change together, by moving the link. Retired
endpoints have neither. Names are in lower case. Beside them ``.regista`` keeps the newest change of each endpoint, so
that whoever writes there next knows it too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import Field, ValidationInfo, field_validator

from regista.artifacts.local_files import in_thread
from regista.deployer.targets import files
from regista.deployer.targets.base import Applied, Target, TargetContext, TargetFailed, Wanted
from regista.deployer.targets.document import document, encoded, told
from regista.deployer.targets.guard import Guard
from regista.deployer.targets.options import Options, checked_place, read
from regista.domain.endpoint.commands import ObservedVariant

DOCUMENT = "deployment.json"
_KEPT = ".regista"


FileName: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$")]


class DirectoryOptions(Options):
    """Where to, and what each file holds."""

    path: str = "files"
    templates: Annotated[dict[FileName, str], Field(max_length=50)] = Field(default_factory=dict)

    @field_validator("path")
    @classmethod
    def _path(cls, value: str, info: ValidationInfo) -> str:
        return str(checked_place(value, info.context)) if info.context else value

    @field_validator("templates")
    @classmethod
    def _templates(cls, value: dict[str, str]) -> dict[str, str]:
        if DOCUMENT in value:
            msg = f"{DOCUMENT} is written in any case"
            raise ValueError(msg)
        for name, source in value.items():
            try:
                compiled(source)
            except TemplateError as error:
                msg = f"{name}: {error}"
                raise ValueError(msg) from error
        return value


def compiled(source: str) -> Template:
    """A template that reaches nothing but what it is given; what is not there is an error.

    Raises:
        TemplateError: it is none.
    """
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # what is rendered is configuration, not HTML
    )
    return environment.from_string(source)


def rendered(template: Template, name: str, values: Mapping[str, Any]) -> bytes:
    """What a template makes of the document.

    Raises:
        TargetFailed: ``template_failed``.
    """
    try:
        return template.render(values).encode()
    except Exception as error:
        # A template is a program: it may divide by zero, or ask for what is not there.
        raise TargetFailed(
            f"{name} cannot be rendered: {error}",
            code="template_failed",
            hint="It is given the fields of deployment.json; PUT /v1/targets/{name} changes the template.",
            retryable=False,
        ) from error


class DirectoryTarget:
    """Files in one directory. What is there is what was written: ``observe`` reads it."""

    def __init__(self, options: DirectoryOptions) -> None:
        self._root = Path(options.path)
        self._templates = {name: compiled(source) for name, source in options.templates.items()}
        self._guard = Guard(self._root / _KEPT / "newest")

    async def apply(self, wanted: Wanted) -> Applied:
        """Write the files, or take them away."""
        return await in_thread(self._apply, wanted)

    async def observe(self, environment: str, endpoint: str) -> tuple[ObservedVariant, ...]:
        """What the files say."""
        return await in_thread(self._observe, environment, endpoint)

    async def aclose(self) -> None:
        """Nothing is held."""

    def _apply(self, wanted: Wanted) -> Applied:
        try:
            contents = self._contents(wanted)
            with self._guard.admitted(wanted):
                place = self._place(wanted.environment, wanted.endpoint)
                if not wanted.variants:
                    files.remove(place)
                elif self._templates:
                    self._flip(place, contents)
                else:
                    files.replace(place, contents[DOCUMENT], self._root)
                self._sweep(wanted, place)
        except OSError as error:
            raise TargetFailed(
                f"{self._root} cannot be written: {error.strerror or error}",
                code="cannot_write",
                hint="The user that runs the deployer needs to write there, and there must be space.",
                retryable=True,
            ) from error
        return Applied(self._observe(wanted.environment, wanted.endpoint), f"{place} is written")

    def _contents(self, wanted: Wanted) -> dict[str, bytes]:
        values = document(wanted)
        if not wanted.variants:
            return {}
        return {
            DOCUMENT: encoded(values),
            **{name: rendered(template, name, values) for name, template in self._templates.items()},
        }

    def _flip(self, place: Path, contents: Mapping[str, bytes]) -> None:
        """Write a folder under the name of its content, then make the link lead there."""
        digest = hashlib.sha256(repr(sorted(contents.items())).encode()).hexdigest()[:24]
        folder = self._generations(place) / digest
        for name, content in contents.items():
            files.replace(folder / name, content, self._root)
        files.point(place, folder, self._root)

    def _sweep(self, wanted: Wanted, place: Path) -> None:
        """Keep the folder that the link leads to and the one before: somebody may be reading it."""
        generations = self._generations(place)
        current = place.resolve() if wanted.variants else None
        found = sorted(generations.glob("*"), key=lambda folder: folder.stat().st_mtime, reverse=True)
        for folder in [folder for folder in found if folder.resolve() != current][1:]:
            files.discard(folder)

    def _place(self, environment: str, endpoint: str) -> Path:
        folder = self._root / environment.lower()
        return folder / endpoint.lower() if self._templates else folder / f"{endpoint.lower()}.json"

    def _generations(self, place: Path) -> Path:
        return self._root / _KEPT / "generations" / place.parent.name / place.name

    def _observe(self, environment: str, endpoint: str) -> tuple[ObservedVariant, ...]:
        place = self._place(environment, endpoint)
        try:
            content = (place / DOCUMENT if self._templates else place).read_bytes()
        except FileNotFoundError:
            return ()
        return told(content, str(place), field="variants") or ()


def open_directory(context: TargetContext) -> Target:
    """The kind ``directory``."""
    return DirectoryTarget(read(DirectoryOptions, context))
