"""A small Kubernetes API for InferenceServices, with a controller that behaves as KServe's does.

There is no cluster where these tests run. This server keeps to the documented rules of server-side apply (content type,
field manager, conflicts of managers, resourceVersion, generation), validates against the published definition, and
moves revisions and traffic as KServe's canary strategy says. What a real API server does beyond that is not shown here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tests.support.inference_services import problems

BASE = "/apis/serving.kserve.io/v1beta1/namespaces/{namespace}/inferenceservices/{name}"
DIGEST = "regista.dev/artifact-digest"


@dataclass
class Stored:
    value: dict[str, Any]
    revisions: list[str] = field(default_factory=list)
    rolled_out: int = 0
    """Digests of the revisions in their order; which had everything last (1 is the first)."""


@dataclass
class KubernetesApi:
    """``failing``: answer this status to everything. ``ready``: whether new revisions come up."""

    objects: dict[str, Stored] = field(default_factory=dict)
    failing: int | None = None
    ready: bool = True
    taken: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    version: int = 0
    traffic: list[dict[str, int]] = field(default_factory=list)
    before_write: Any = None

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route(BASE, self.handle, methods=["GET", "PATCH", "DELETE"])])

    async def handle(self, request: Request) -> Response:
        self.requests.append((request.method, request.headers.get("authorization", "")))
        name = request.path_params["name"]
        if self.failing is not None:
            return status(self.failing, "told to fail")
        stored = self.objects.get(name)
        if request.method == "PATCH":
            return self._apply(name, request, json.loads(await request.body()))
        if stored is None:
            return status(404, f'inferenceservices "{name}" not found', name=name)
        if request.method == "DELETE":
            del self.objects[name]
            return status(200, "deleted", name=name)
        self._reconcile(stored)
        return JSONResponse(stored.value)

    def served(self, name: str) -> dict[str, int]:
        """The share of each digest in whole percents, as the network sees it."""
        stored = self.objects.get(name)
        if stored is None:
            return {}
        self._reconcile(stored)
        traffic = stored.value["status"]["components"]["predictor"]["traffic"]
        return {stored.revisions[int(t["revisionName"][-5:]) - 1]: t["percent"] for t in traffic if t["percent"]}

    def _apply(self, name: str, request: Request, value: dict[str, Any]) -> Response:
        manager = request.query_params.get("fieldManager")
        if request.headers["content-type"] != "application/apply-patch+yaml":
            return status(415, "the body of the request was in an unknown format")
        if not manager:
            return status(422, "fieldManager is required for apply patch")
        if self.before_write is not None:
            self.before_write()
        stored = self.objects.get(name)
        wanted = value["metadata"].pop("resourceVersion", None)
        if wanted is not None and (stored is None or wanted != stored.value["metadata"]["resourceVersion"]):
            return status(409, "the object has been modified; please apply your changes to the latest version")
        if value["metadata"]["name"] != name or value["metadata"]["namespace"] != request.path_params["namespace"]:
            return status(400, "the name of the object does not match the name on the URL")
        if found := problems(value):
            return status(422, "; ".join(found[:3]))
        clash = [path for path, other in self.taken.items() if other != manager and _has(value, path)]
        if clash and request.query_params.get("force") != "true":
            causes = [{"reason": "FieldManagerConflict", "field": path, "message": "conflict"} for path in clash]
            return status(409, f"Apply failed with {len(clash)} conflict", causes=causes)
        created = stored is None
        stored = stored or Stored({"status": {}, "metadata": {"generation": 0}})
        self._store(stored, value)
        self.objects[name] = stored
        return JSONResponse(stored.value, 201 if created else 200)

    def _store(self, stored: Stored, value: dict[str, Any]) -> None:
        before = stored.value
        self.version += 1
        changed = before.get("spec") != value["spec"]
        value["metadata"]["generation"] = before["metadata"]["generation"] + changed
        value["metadata"]["resourceVersion"] = str(self.version)
        value["status"] = before["status"]
        template = {k: v for k, v in value["spec"]["predictor"].items() if k != "canaryTrafficPercent"}
        old = {k: v for k, v in before.get("spec", {}).get("predictor", {}).items() if k != "canaryTrafficPercent"}
        if template != old:
            stored.revisions.append(template["annotations"][DIGEST])
        stored.value = value

    def _reconcile(self, stored: Stored) -> None:
        """What the controller makes of it, by KServe's rules."""
        if not self.ready:
            return
        percent = stored.value["spec"]["predictor"].get("canaryTrafficPercent")
        latest = len(stored.revisions)
        if percent is None or percent == 100 or stored.rolled_out == 0:
            stored.rolled_out, shares = latest, {latest: 100}
        else:
            shares = {latest: percent, stored.rolled_out: 100 - percent}
        traffic = [
            {"revisionName": f"r-{number:05}", "percent": share, "latestRevision": number == latest}
            for number, share in shares.items()
        ]
        seen = {stored.revisions[number - 1]: share for number, share in shares.items() if share}
        if not self.traffic or self.traffic[-1] != seen:
            self.traffic.append(seen)
        stored.value["status"] = {
            "observedGeneration": stored.value["metadata"]["generation"],
            "conditions": [{"type": "Ready", "status": "True"}],
            "components": {
                "predictor": {
                    "latestCreatedRevision": f"r-{latest:05}",
                    "latestReadyRevision": f"r-{latest:05}",
                    "latestRolledoutRevision": f"r-{stored.rolled_out:05}",
                    "traffic": traffic,
                }
            },
        }


def status(code: int, message: str, *, name: str | None = None, causes: list[dict[str, str]] | None = None) -> Response:
    details = {"name": name, "causes": causes or []}
    value = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}
    return JSONResponse({**value, "details": details}, code)


def _has(value: Any, path: str) -> bool:
    for part in path.split("."):
        if not isinstance(value, dict) or part not in value:
            return False
        value = value[part]
    return True
