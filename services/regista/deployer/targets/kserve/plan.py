"""What KServe can express, and the InferenceService that says it. Pure.

KServe splits between two revisions: the latest, which gets ``canaryTrafficPercent``, and the one that had everything
last. So a champion beside a canary must have been rolled out alone before; where it was not, that comes first. To
end a canary, its share becomes 0: taking it out of the specification would send everything to the latest revision
that is ready, the canary, until another is. (kserve.github.io, Canary Rollout Strategy.)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from regista.deployer.targets.base import TargetFailed, Wanted
from regista.deployer.targets.guard import outdated
from regista.deployer.targets.kserve.options import KServeOptions
from regista.domain.endpoint.commands import ObservedVariant
from regista.domain.events import Role, Variant

API_VERSION = "serving.kserve.io/v1beta1"
KIND = "InferenceService"
PREFIX = "regista.dev/"
_EVERYTHING = 10_000


@dataclass(frozen=True, slots=True)
class Served:
    """A version as the annotations of an InferenceService name it."""

    version: str
    ordinal: int
    digest: str
    role: Role = "champion"


@dataclass(frozen=True, slots=True)
class Step:
    """An InferenceService: ``latest`` in its specification with ``percent`` of the traffic, the rest for ``stable``.

    ``percent`` None: ``latest`` is rolled out to everything. ``final``: this is what is wanted; else something is
    to follow when it is rolled out.
    """

    latest: Served
    percent: int | None
    stable: Served | None
    final: bool = True

    @property
    def rolled_out(self) -> str | None:
        """The digest of what had everything last, once this is ready."""
        return self.latest.digest if self.percent is None else self.stable.digest if self.stable else None


def plan(current: Step | None, wanted: Wanted, options: KServeOptions) -> Step:
    """The next InferenceService on the way from ``current`` to what is wanted.

    Raises:
        TargetFailed: ``not_expressible``.
    """
    champion, canary = _pair(wanted, options)
    if canary is None:
        if current and current.percent is not None and current.rolled_out == champion.digest != current.latest.digest:
            return Step(current.latest, 0, champion)
        return Step(champion, None, None)
    other, percent = canary
    if current is None or current.rolled_out != champion.digest:
        return Step(champion, None, None, final=False)
    return Step(other, percent, champion)


def rendered(step: Step, wanted: Wanted, options: KServeOptions) -> dict[str, Any]:
    """The whole object."""
    uri = options.storage_uri.format(
        model=wanted.model,
        version=step.latest.version,
        ordinal=step.latest.ordinal,
        digest=step.latest.digest.rpartition(":")[2],
    )
    model = {
        **options.model,
        "modelFormat": options.model_format.model_dump(exclude_none=True),
        "storageUri": uri,
    }
    annotations = {**options.predictor.get("annotations", {}), f"{PREFIX}artifact-digest": step.latest.digest}
    predictor = {**options.predictor, "annotations": annotations, "model": model}
    if step.percent is not None:
        predictor["canaryTrafficPercent"] = step.percent
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": options.name_of(wanted.environment, wanted.endpoint),
            "namespace": options.namespace,
            "labels": {**options.labels, "app.kubernetes.io/managed-by": "regista"},
            "annotations": {
                **options.annotations,
                f"{PREFIX}endpoint": f"{wanted.environment}/{wanted.endpoint}".lower(),
                f"{PREFIX}log": wanted.log,
                f"{PREFIX}change": str(wanted.change),
                f"{PREFIX}latest": json.dumps(asdict(step.latest), sort_keys=True),
                f"{PREFIX}stable": json.dumps(asdict(step.stable), sort_keys=True) if step.stable else "",
            },
        },
        "spec": {"predictor": predictor},
    }


def step_of(value: dict[str, Any]) -> Step | None:
    """The step that an object was made for; None for one that was not made here."""
    annotations = value.get("metadata", {}).get("annotations") or {}
    try:
        latest = Served(**json.loads(annotations[f"{PREFIX}latest"]))
        stable = annotations.get(f"{PREFIX}stable")
        percent = value["spec"]["predictor"].get("canaryTrafficPercent")
        return Step(latest, percent, Served(**json.loads(stable)) if stable else None)
    except (KeyError, ValueError, TypeError):
        return None


def check_turn(value: dict[str, Any], wanted: Wanted) -> None:
    """Go on with a change that is not older than the one that an object was made for.

    Raises:
        TargetFailed: ``outdated``, or ``name_taken`` by another endpoint or by somebody else.
    """
    annotations = value.get("metadata", {}).get("annotations") or {}
    owner = annotations.get(f"{PREFIX}endpoint")
    if owner != f"{wanted.environment}/{wanted.endpoint}".lower():
        name = value.get("metadata", {}).get("name")
        raise TargetFailed(
            f"the InferenceService {name} belongs to {owner or 'somebody else'}",
            code="name_taken",
            hint="Choose other names: the setting name.",
            retryable=False,
        )
    newest = annotations.get(f"{PREFIX}change", "0")
    if annotations.get(f"{PREFIX}log") == wanted.log and newest.isdigit() and int(newest) > wanted.change:
        raise outdated(wanted, int(newest))


def observed(value: dict[str, Any], region: str | None) -> tuple[ObservedVariant, ...]:
    """What the status of an object says is served, by revisions; nothing where no revision is ready yet."""
    step = step_of(value)
    component = value.get("status", {}).get("components", {}).get("predictor", {})
    if step is None:
        return ()
    traffic = component.get("traffic")
    if not traffic:
        # Without Knative there are no revisions: what is ready has everything.
        return (_seen(step.latest, _EVERYTHING, region),) if ready(value) else ()
    created = component.get("latestCreatedRevision")
    shares: dict[Served, int] = {}
    for entry in traffic:
        # A revision that is not ready has no traffic: latestRevision then means the one before.
        newest = entry.get("revisionName") == created
        which = step.latest if newest else step.stable
        if which is not None and entry.get("percent"):
            shares[which] = shares.get(which, 0) + entry["percent"] * 100
    return tuple(_seen(which, weight, region) for which, weight in shares.items())


def ready(value: dict[str, Any]) -> bool:
    """Whether the controller has seen the newest specification, and everything of it runs."""
    status = value.get("status", {})
    conditions = {entry["type"]: entry["status"] for entry in status.get("conditions", ())}
    current = status.get("observedGeneration") == value["metadata"].get("generation")
    return current and conditions.get("Ready") == "True"


def _seen(which: Served, weight: int, region: str | None) -> ObservedVariant:
    return ObservedVariant(which.digest, which.role, weight, 0, region)


def _pair(wanted: Wanted, options: KServeOptions) -> tuple[Served, tuple[Served, int] | None]:
    """The champion, and what stands beside it with how many percent."""
    variants = [v for v in wanted.variants if options.region is None or v.region in {None, options.region}]
    if options.region is None and any(v.region is not None for v in variants):
        raise _not_expressible(
            "an InferenceService has no regions", "Give each region a target with the setting region."
        )
    if shadows := [v.version for v in variants if v.mirror or v.role == "shadow"]:
        raise _not_expressible(f"KServe mirrors no traffic ({', '.join(shadows)} is a shadow)", "Leave the shadow out.")
    if not variants or len(variants) > 2:
        raise _not_expressible(
            f"KServe splits between two revisions, not {len(variants)}", "Serve a champion and one canary at most."
        )
    champion, *others = sorted(variants, key=lambda v: (v.role != "champion", -v.weight))
    if not others:
        return _served(champion), None
    (other,) = others
    if other.weight % 100:
        raise _not_expressible(
            f"KServe splits by whole percents, not {other.weight / 100:g} %", "Choose a weight without decimals."
        )
    return _served(champion), (_served(other), other.weight // 100)


def _served(variant: Variant) -> Served:
    return Served(variant.version, variant.ordinal, variant.artifact_digest, variant.role)


def _not_expressible(detail: str, hint: str) -> TargetFailed:
    return TargetFailed(detail, code="not_expressible", hint=hint, retryable=False)


def matches(found: Sequence[ObservedVariant], step: Step) -> bool:
    """Whether what is observed is what a step says."""
    share = _EVERYTHING if step.percent is None else step.percent * 100
    expected = {step.latest.digest: share}
    if step.stable:
        expected[step.stable.digest] = expected.get(step.stable.digest, 0) + _EVERYTHING - share
    return {v.artifact_digest: v.weight for v in found} == {k: weight for k, weight in expected.items() if weight}
