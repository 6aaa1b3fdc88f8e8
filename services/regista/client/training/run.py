"""``regista.capture()``: what a training run records about itself, ready to be registered."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, SupportsFloat, TypeAlias

from regista.client.session import plain
from regista.client.settings import ANONYMOUS, default_actor
from regista.client.training import data as digests
from regista.client.training import git, machine, seeds
from regista.client.training.snapshot import Snapshot, main_source, take
from regista.domain.errors import Invalid, NotFound

Packages: TypeAlias = Literal["loaded", "installed"]
"""Which packages are recorded: those that a module was loaded from, or all."""
FORMAT = "regista-run"


@dataclass(kw_only=True)
class Run:
    """One training run. Made by ``capture``; what it cannot see it is told.

    ``body`` is the request that it makes up so far, in the words of ``POST …/versions``; ``no_code`` says why the
    commit could not be told. As a context manager it notes the time at which training ended. ``live``: this process is
    the one that trains; a run that was read from a file is not, and nothing of this process is added to it.
    """

    body: dict[str, Any] = field(default_factory=dict)
    code_snapshot: Snapshot | None = None
    no_code: str | None = None
    packages: Packages = "loaded"
    live: bool = True
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.finish()

    def finish(self, at: datetime | None = None) -> None:
        """Training ended, now or at a time with its zone: that is when the model was trained."""
        self.body["trained_at"] = plain("trained_at", at or datetime.now(UTC))
        self._look_around()

    def seed(self, value: int | None = None) -> int:
        """Seed ``random`` and the libraries that are loaded (numpy, torch, tensorflow), and record the seed.

        Returns it, for ``random_state=`` and the like; without a value one is drawn.
        """
        value = seeds.draw() if value is None else int(value)
        seeds.plant(value)
        self._runtime["seed"] = value
        return value

    def dataset(
        self,
        name: str,
        data: Any = None,  # noqa: ANN401 - a path, a data frame, arrays, lists
        *,
        version: str | None = None,
        uri: str | None = None,
        digest: str | None = None,
    ) -> str | None:
        """A data set that was used. ``data`` is digested: a path, a data frame, arrays, a mapping or tuple of them.

        Returns the digest. The same name with the same contents is recorded once.

        Raises:
            Invalid: neither data, version nor digest was given: a name alone does not say which data it was.
        """
        entry = self._pinned(name, data, version=version, digest=digest, uri=uri)
        self._add("datasets", entry)
        return entry.get("digest")

    def features(
        self,
        name: str,
        data: Any = None,  # noqa: ANN401 - as in dataset
        *,
        version: str | None = None,
        digest: str | None = None,
    ) -> str | None:
        """A feature set that was used; as ``dataset``."""
        entry = self._pinned(name, data, version=version, digest=digest)
        self._add("features", entry)
        return entry.get("digest")

    def params(self, values: Mapping[str, object] | None = None, /, **named: object) -> None:
        """Hyperparameters: text, numbers, truth values. Later ones of a name win."""
        self._merge("params", values, named)

    def configuration(self, values: Mapping[str, object] | None = None, /, **named: object) -> None:
        """What can change without training anew: thresholds, calibration, limits."""
        self._merge("configuration", values, named)

    def metrics(self, values: Mapping[str, SupportsFloat] | None = None, /, **named: SupportsFloat) -> None:
        """Metrics of the model; later ones of a name win."""
        self._merge("metrics", values, named)

    def evaluation(
        self,
        dataset: str | Mapping[str, str | None] | None,
        values: Mapping[str, SupportsFloat] | None = None,
        /,
        *,
        slice: str | None = None,  # noqa: A002 - the name in the API
        **named: SupportsFloat,
    ) -> None:
        """Metrics on one data set, and maybe one slice of it.

        ``dataset`` is its name, or a mapping with name and any of version, uri and digest.
        """
        metrics = plain("evaluations.metrics", {**(values or {}), **named})
        source = {"name": dataset} if isinstance(dataset, str) else plain("evaluations.dataset", dataset)
        entry = {"dataset": source, "slice": slice, "metrics": metrics}
        self._add("evaluations", {name: value for name, value in entry.items() if value is not None})

    def tags(self, values: Mapping[str, str] | None = None, /, **named: str) -> None:
        """Tags of the version."""
        self._merge("tags", values, named)

    def code(
        self,
        *,
        repository: str | None = None,
        commit: str | None = None,
        dirty: bool | None = None,
        path: str | None = None,
    ) -> None:
        """Name the code where it cannot be seen from here (a container, a job that got a copy of the files)."""
        found = {
            "repository": git.strip_credentials(repository) if repository else None,
            "commit": commit,
            "dirty": dirty,
            "path": path,
        }
        self.body.setdefault("code", {}).update({name: value for name, value in found.items() if value is not None})

    def related_code(self, role: str, commit: str, repository: str | None = None) -> None:
        """Code beside the training code, by its role: features, evaluation, serving."""
        entry = {"role": role, "commit": commit}
        self._add("related_code", entry | ({"repository": git.strip_credentials(repository)} if repository else {}))

    def tracked_by(self, tracker: str, id: str, url: str | None = None) -> None:  # noqa: A002 - the name in the API
        """The run of an experiment tracker that this is."""
        self.body["run"] = {"tracker": tracker, "id": id} | ({"url": git.strip_credentials(url)} if url else {})

    def parent(self, model: str, version: str, relation: str = "derived-from") -> None:
        """A registered version that this one was made from: fine-tuned, distilled, merged."""
        self._add("parents", {"model": model, "version": version, "relation": relation})

    def dependency(self, model: str, version: str, role: str) -> None:
        """A registered version that this one needs when it serves: tokenizer, preprocessor."""
        self._add("dependencies", {"model": model, "version": version, "role": role})

    def describe(self, text: str) -> None:
        """What is to be said of this version."""
        self.body["description"] = text

    def author(self, identifier: str) -> None:
        """Who trained it, by an identifier: not a name, not an address."""
        self.body["author"] = identifier

    def metadata(self) -> dict[str, Any]:
        """All that is known, for ``POST …/versions``. A live run that was not finished counts as finished now."""
        if self.live and "trained_at" not in self.body:
            self.finish()
        found = dict(self.body)
        if self.code_snapshot is not None:
            found["code"] = {**found.get("code", {}), "snapshot": self.code_snapshot.digest}
        return found

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the run as JSON, for ``regista register MODEL PATH --from run.json`` or ``Run.load``."""
        document = {
            "format": FORMAT,
            "version": 1,
            "started_at": plain("started_at", self.started_at),
            "metadata": self.metadata(),
            "snapshot": None if self.code_snapshot is None else self.code_snapshot.to_json(),
            "no_code": self.no_code,
        }
        temporary = Path(path).with_name(f".{Path(path).name}.new")
        temporary.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        temporary.replace(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Run:
        """Read what ``save`` wrote; a bare JSON object is taken as metadata, in the words of ``POST …/versions``.

        Raises:
            NotFound: there is no such file.
            Invalid: ``bad_run``, when it is something else.
        """
        try:
            document = json.loads(Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise NotFound(f"there is no run at {os.fspath(path)!r}", code="path_not_found") from None
        except (ValueError, OSError) as error:
            raise _bad_run(path, str(error)) from error
        if not isinstance(document, dict):
            raise _bad_run(path, "it is no JSON object")
        if document.get("format") != FORMAT:
            return cls(body=document, live=False)
        try:
            taken = document["snapshot"]
            return cls(
                body=dict(document["metadata"]),
                code_snapshot=None if taken is None else Snapshot.from_json(taken),
                no_code=document.get("no_code"),
                live=False,
                started_at=datetime.fromisoformat(document["started_at"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise _bad_run(path, f"{type(error).__name__}: {error}") from error

    @property
    def _runtime(self) -> dict[str, Any]:
        runtime: dict[str, Any] = self.body.setdefault("runtime", {})
        return runtime

    def _look_around(self) -> None:
        runtime = self._runtime
        runtime["python"] = machine.python_version()
        look = machine.loaded_packages if self.packages == "loaded" else machine.installed_packages
        runtime["packages"] = look()
        runtime.setdefault("hardware", machine.hardware())

    def _pinned(self, name: str, data: Any, **more: str | None) -> dict[str, Any]:  # noqa: ANN401 - as in dataset
        if data is not None:
            computed = digests.digest(data, name)
            if more.get("digest") not in {None, computed}:
                raise Invalid(
                    f"{name} has the digest {computed}, not the given {more['digest']}",
                    code="digest_mismatch",
                    hint="Leave digest= out, or give the data that it belongs to.",
                )
            more["digest"] = computed
        if not (more.get("version") or more.get("digest")):
            raise Invalid(
                f"{name!r} alone does not say which data it was",
                code="not_pinned",
                hint=f'Write run.dataset("{name}", df), or give version="2026-05" or digest="sha256:…".',
            )
        return {"name": name, **{key: value for key, value in more.items() if value is not None}}

    def _add(self, key: str, entry: dict[str, Any]) -> None:
        entries: list[dict[str, Any]] = self.body.setdefault(key, [])
        if entry not in entries:
            entries.append(entry)

    def _merge(self, key: str, values: Mapping[str, Any] | None, named: Mapping[str, Any]) -> None:
        self.body.setdefault(key, {}).update(plain(key, {**(values or {}), **named}))


def capture(
    *,
    snapshot: bool | str | os.PathLike[str] = False,
    author: str | None = None,
    directory: str | os.PathLike[str] | None = None,
    packages: Packages = "loaded",
) -> Run:
    """Begin to record a training run.

    ::

        with regista.capture() as run:
            seed = run.seed(42)
            run.dataset("transactions", df, version="2026-05")
            model = train(df, random_state=seed)
            run.metrics(auc=0.93)
        client.register("fraud", model, run=run)

    Seen at once: the git commit of the running script's folder (else of the current one, or ``directory``) and whether
    the files differ from it, the author (``REGISTA_ACTOR``, else the user of the system), with ``snapshot`` the script
    or notebook itself (True: the one that runs; or a path). Seen at the end: the time, Python, the packages in use,
    the hardware. No environment variables, no credentials.
    """
    named = Path(snapshot).resolve() if isinstance(snapshot, str | os.PathLike) else None
    script = named or main_source()
    run = Run(packages=packages)
    if snapshot is not False:
        run.code_snapshot = take(script)
    _record_code(run, script, Path(directory) if directory else None)
    identifier = author or default_actor()
    if identifier != ANONYMOUS:
        run.author(identifier)
    return run


def _record_code(run: Run, script: Path | None, directory: Path | None) -> None:
    """The commit of the folder named, else of the script's, else of the current one."""
    places = [directory] if directory else [*([script.parent] if script else []), Path.cwd()]
    for place in places:
        try:
            state = git.read_state(place, script)
        except git.NoGit as error:
            run.no_code = run.no_code or str(error)
        else:
            run.no_code = None
            run.code(repository=state.repository, commit=state.commit, dirty=state.dirty, path=state.path)
            return


def _bad_run(path: str | os.PathLike[str], why: str) -> Invalid:
    return Invalid(
        f"{os.fspath(path)} is no saved run: {why}",
        code="bad_run",
        hint="run.save(PATH) writes one; so does any JSON object with the fields of POST /v1/models/{model}/versions.",
    )
