"""Kinds of targets beside their real counterparts, for the one suite that holds for all of them."""

from __future__ import annotations

import json
import socket
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tests.support.inference_services import problems
from tests.support.kubernetes_api import KubernetesApi
from tests.support.model_doubles import Models, digest_of, free_port, models_served
from tests.support.serving import serving

from regista.deployer.targets import Registry, Target, TargetContext, Wanted, open_target
from regista.domain.endpoint.commands import ObservedVariant
from regista.domain.events import Role, Variant
from regista.settings import Settings

LOG = "0f4c1a52"
NOBODY = Registry("http://127.0.0.1:1")


def variant(
    ordinal: int, weight: int, role: Role = "champion", *, mirror: int = 0, region: str | None = None
) -> Variant:
    """Version 1.<ordinal>.0; weights are hundredths of a percent."""
    return Variant(f"1.{ordinal}.0", ordinal, digest_of(ordinal), role, weight, mirror, region)


def wanted(change: int, *variants: Variant, endpoint: str = "fraud", log: str = LOG) -> Wanted:
    return Wanted(
        environment="prod",
        endpoint=endpoint,
        model="Fraud",
        change=change,
        position=change * 10,
        idempotency_key=f"{log}:{change * 10}:target",
        variants=variants,
        actor="someone",
        reason="as it should be",
        time=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    )


def seen(*variants: Variant) -> set[ObservedVariant]:
    """What is observed where exactly these are served."""
    return {ObservedVariant(v.artifact_digest, v.role, v.weight, v.mirror, v.region) for v in variants}


def read_variants(variants: list[dict[str, Any]]) -> set[ObservedVariant]:
    return {
        ObservedVariant(
            v["artifact_digest"], v["role"], round(v["weight"] * 100), round(v["mirror"] * 100), v["region"]
        )
        for v in variants
    }


class Subject(ABC):
    """A kind and its counterpart. ``observable``: the kind can be asked what is served."""

    kind: str
    observable = True
    shadows = True
    stride = 1
    """Where to crash: after every so many steps on the disk."""
    champion_first = False
    """Whether a canary can only come beside a champion that was applied alone before."""
    files: Path | None = None
    """Where the counterpart is nothing but files: a crash can be had at every step."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings: dict[str, Any] = {}
        self.secrets: dict[str, str] = {}
        self.private = True
        self.opened: list[Target] = []

    def open(self) -> Target:
        """Open it, or open it again: with what is on disk."""
        self.opened.append(open_target(self.kind, self.context()))
        return self.opened[-1]

    def context(self) -> TargetContext:
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        return TargetContext("t", self.settings, self.secrets, data, NOBODY, allow_private=self.private)

    def versions(self) -> tuple[Variant, Variant]:
        """A champion with 87.5 % and a canary with the rest."""
        return variant(1, 8750), variant(2, 1250, "canary")

    @abstractmethod
    async def served(self, endpoint: str = "fraud") -> set[ObservedVariant]:
        """What the counterpart itself serves."""

    @abstractmethod
    def down(self) -> AbstractContextManager[None]:
        """While this lasts, a deployment fails and may succeed later."""

    @abstractmethod
    def refusing(self) -> AbstractContextManager[None]:
        """While this lasts, a deployment fails in a way that a retry does not mend. Open the target within."""


@contextmanager
def blocked(folder: Path | None) -> Iterator[None]:
    """A disk that takes no more, as far as that can be had as any user: a file where a folder is to be."""
    assert folder is not None
    folder.write_text("in the way")
    yield
    folder.unlink()


class Directory(Subject):
    kind = "directory"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.files = folder / "data" / "files"

    async def served(self, endpoint: str = "fraud") -> set[ObservedVariant]:
        assert self.files is not None
        place = self.files / "prod" / f"{endpoint}.json"
        return read_variants(json.loads(place.read_bytes())["variants"]) if place.exists() else set()

    def down(self) -> AbstractContextManager[None]:
        return blocked(self.files)

    @contextmanager
    def refusing(self) -> Iterator[None]:
        self.settings = {"templates": {"values.yaml": "{{ nothing_of_this_name }}"}}
        yield
        self.settings = {}


class Templates(Directory):
    """Several files of an endpoint, which change together."""

    async def served(self, endpoint: str = "fraud") -> set[ObservedVariant]:
        assert self.files is not None
        place = self.files / "prod" / endpoint
        if not place.exists():
            return set()
        documents = [json.loads((place / name).read_bytes()) for name in ("deployment.json", "a.json", "b.json")]
        assert documents[1] == documents[2] == {"change": documents[0]["change"]}, "a mixture"
        return read_variants(documents[0]["variants"])

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.settings = {"templates": dict.fromkeys(("a.json", "b.json"), '{"change": {{ change }}}')}


class Http(Subject):
    kind = "http"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.response: Response | None = None
        self.received: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.states: dict[str, dict[str, Any]] = {}
        self.app = Starlette(routes=[Route("/apply", self._apply, methods=["POST"]), Route("/observe", self._observe)])

    async def _apply(self, request: Request) -> Response:
        if self.response is not None:
            return self.response
        document = json.loads(await request.body())
        self.received.append((dict(request.headers), document))
        self.states[document["endpoint"]] = document
        return JSONResponse({"observed": document["variants"]})

    async def _observe(self, request: Request) -> Response:
        state = self.states.get(request.query_params["endpoint"], {"variants": []})
        return JSONResponse({"observed": state["variants"]})

    async def served(self, endpoint: str = "fraud") -> set[ObservedVariant]:
        return read_variants(self.states.get(endpoint, {"variants": []})["variants"])

    @contextmanager
    def _answering(self, status: int) -> Iterator[None]:
        self.response = JSONResponse({"detail": "not now"}, status)
        yield
        self.response = None

    def down(self) -> AbstractContextManager[None]:
        return self._answering(503)

    def refusing(self) -> AbstractContextManager[None]:
        return self._answering(400)


Beside: TypeAlias = Callable[[Path], AbstractAsyncContextManager[Subject]]


@asynccontextmanager
async def directory(folder: Path) -> AsyncIterator[Subject]:
    yield Directory(folder)


@asynccontextmanager
async def templates(folder: Path) -> AsyncIterator[Subject]:
    yield Templates(folder)


@asynccontextmanager
async def http(folder: Path) -> AsyncIterator[Http]:
    subject = Http(folder)
    with serving(subject.app, Settings()) as served:
        subject.settings = {"url": f"{served.url}/apply", "observe_url": f"{served.url}/observe"}
        yield subject


class Nginx(Subject):
    """A real nginx in front of three servers that say what they are."""

    kind = "nginx"
    stride = 7

    def __init__(self, folder: Path, models: Models) -> None:
        super().__init__(folder)
        self.models = models
        self.url = f"http://127.0.0.1:{free_port()}"
        self.settings = {
            "listen": self.url.removeprefix("http://"),
            "upstream": models.template,
            "keepalive_timeout": 2,
            "workers": 1,
        }

    async def served(self, endpoint: str = "fraud") -> set[ObservedVariant]:
        """What the workers say that they are configured with, and whether requests really come to each variant."""
        async with httpx.AsyncClient(base_url=self.url, timeout=10) as client:
            try:
                told = (await client.get("/regista/generation")).json()
            except httpx.ConnectError:
                return set()
            state = json.loads((self.folder / "data" / "nginx" / "states" / f"{told['state']}.json").read_bytes())
            entry = state["endpoints"].get(f"prod/{endpoint}".lower())
            answer = await client.post(f"/prod/{endpoint}/predict", json={})
            if entry is None:
                assert answer.status_code == httpx.codes.NOT_FOUND
                return set()
            variants = entry["variants"]
            for region in {variant["region"] for variant in variants}:
                here = {v["ordinal"]: v["weight"] for v in variants if v["region"] == region and v["weight"]}
                sure = {ordinal for ordinal, weight in here.items() if weight > 1}
                headers = {"Regista-Region": region} if region else {}
                answers = [
                    (await client.post(f"/prod/{endpoint}/predict", json={}, headers=headers)) for _ in range(60)
                ]
                assert sure <= {answer.json()["ordinal"] for answer in answers} <= set(here)
        return {
            ObservedVariant(v["artifact_digest"], v["role"], v["weight"], v["mirror"], v["region"]) for v in variants
        }

    @contextmanager
    def down(self) -> Iterator[None]:
        """The address is another program's."""
        with socket.create_server(("127.0.0.1", int(self.url.rpartition(":")[2]))):
            yield

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """The servers of the models are where they may not be called."""
        before = self.settings
        self.settings = {**before, "upstream": before["upstream"].replace("127.0.0.{ordinal}", "localhost")}
        self.private = False
        yield
        self.settings, self.private = before, True


@asynccontextmanager
async def nginx(folder: Path) -> AsyncIterator[Nginx]:
    with models_served() as models:
        subject = Nginx(folder, models)
        try:
            yield subject
        finally:
            for target in subject.opened:
                await target.aclose()


class KServe(Subject):
    """KServe splits whole percents between two revisions, and has no shadows."""

    kind = "kserve"
    shadows = False

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.settings = {
            "storage_uri": "s3://models/{model}/{digest}",
            "model_format": {"name": "sklearn"},
            "ready_within": 5,
        }

    def versions(self) -> tuple[Variant, Variant]:
        return variant(1, 8_700), variant(2, 1_300, "canary")


class Cluster(KServe):
    """Beside an API that keeps to Kubernetes' rules; there is no cluster here."""

    def __init__(self, folder: Path, api: KubernetesApi, url: str) -> None:
        super().__init__(folder)
        self.api = api
        self.settings["server"] = url
        self.secrets = {"token": "for-the-cluster"}

    async def served(self, endpoint: str = "fraud") -> set[ObservedVariant]:
        name = f"prod-{endpoint}".lower().replace(".", "-")
        shares = self.api.served(name)
        annotations = self.api.objects[name].value["metadata"]["annotations"] if shares else {}
        told = [json.loads(annotations[f"regista.dev/{key}"] or "{}") for key in ("latest", "stable") if annotations]
        roles = {one["digest"]: one["role"] for one in told if one}
        return {ObservedVariant(digest, roles[digest], share * 100) for digest, share in shares.items()}

    @contextmanager
    def _answering(self, status: int) -> Iterator[None]:
        self.api.failing = status
        yield
        self.api.failing = None

    def down(self) -> AbstractContextManager[None]:
        return self._answering(503)

    def refusing(self) -> AbstractContextManager[None]:
        return self._answering(403)


class GitOps(KServe):
    """Files of InferenceServices. A canary comes beside a champion that the file before rolled out alone."""

    observable = False
    champion_first = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.files = folder / "data" / "gitops"
        self.settings["path"] = "gitops"

    async def served(self, endpoint: str = "fraud") -> set[ObservedVariant]:
        assert self.files is not None
        place = self.files / "default" / f"prod-{endpoint}.yaml".lower().replace(".v2", "-v2")
        if not place.exists():
            return set()
        value = yaml.safe_load(place.read_bytes())
        assert problems(value) == []
        percent = value["spec"]["predictor"].get("canaryTrafficPercent")
        latest = json.loads(value["metadata"]["annotations"]["regista.dev/latest"])
        stable = json.loads(value["metadata"]["annotations"]["regista.dev/stable"] or "null")
        shares = [(latest, 100 if percent is None else percent), *([(stable, 100 - percent)] if stable else [])]
        return {ObservedVariant(one["digest"], one["role"], share * 100) for one, share in shares if share}

    def down(self) -> AbstractContextManager[None]:
        return blocked(self.files)

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """A name that somebody else has."""
        assert self.files is not None
        place = self.files / "default" / "prod-fraud.yaml"
        place.parent.mkdir(parents=True)
        place.write_text("kind: InferenceService")
        yield


@asynccontextmanager
async def cluster(folder: Path) -> AsyncIterator[Cluster]:
    api = KubernetesApi()
    with serving(api.app, Settings()) as served:
        subject = Cluster(folder, api, served.url)
        try:
            yield subject
        finally:
            for target in subject.opened:
                await target.aclose()


@asynccontextmanager
async def gitops(folder: Path) -> AsyncIterator[GitOps]:
    yield GitOps(folder)


class GitHub(Subject):
    """An API that takes dispatches by GitHub's rules."""

    kind = "github"
    observable = False

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.secrets = {"token": "ghp_x"}
        self.answer: Response | None = None
        self.received: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.app = Starlette(routes=[Route("/repos/acme/models/dispatches", self._dispatch, methods=["POST"])])

    async def _dispatch(self, request: Request) -> Response:
        if self.answer is not None:
            return self.answer
        if request.headers["authorization"] != "Bearer ghp_x":
            return JSONResponse({"message": "Bad credentials"}, 401)
        body = json.loads(await request.body())
        if len(body["client_payload"]) > 10:
            return JSONResponse({"message": "No more than 10 properties are allowed"}, 422)
        self.received.append((dict(request.headers), body))
        return Response(status_code=204)

    async def served(self, endpoint: str = "fraud") -> set[ObservedVariant]:
        documents = [body["client_payload"]["deployment"] for _, body in self.received]
        newest = [document for document in documents if document["endpoint"] == endpoint][-1:]
        return read_variants(newest[0]["variants"]) if newest else set()

    @contextmanager
    def _answering(self, status: int) -> Iterator[None]:
        self.answer = Response(status_code=status)
        yield
        self.answer = None

    def down(self) -> AbstractContextManager[None]:
        return self._answering(502)

    def refusing(self) -> AbstractContextManager[None]:
        return self._answering(404)


@asynccontextmanager
async def github(folder: Path) -> AsyncIterator[GitHub]:
    subject = GitHub(folder)
    with serving(subject.app, Settings()) as served:
        subject.settings = {"repository": "acme/models", "api_url": served.url}
        yield subject


SUBJECTS: dict[str, Beside] = {
    "directory": directory,
    "templates": templates,
    "http": http,
    "nginx": nginx,
    "kserve": cluster,
    "gitops": gitops,
    "github": github,
}
ENGINES: dict[str, str] = {"nginx": "nginx"}
"""What a machine may lack, by subject."""
