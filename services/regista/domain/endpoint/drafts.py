"""Variants on their way into a set: looked up, put in their regions, given the roles that were not said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

from regista.domain.endpoint.commands import VariantRequest
from regista.domain.environment.state import EnvironmentState
from regista.domain.errors import Reason, RegistaError
from regista.domain.events import Role, Variant
from regista.domain.model.lookup import find_version
from regista.domain.model.state import ModelState, VersionState

EVERYTHING = 10_000
"""Hundredths of a percent."""
_RANKS = {"champion": 0, "challenger": 1, "canary": 2, "shadow": 3}


@dataclass(frozen=True, slots=True)
class Draft:
    """A variant in one region. ``field`` is what a refusal names; ``version`` None: there is none of this reference."""

    field: str
    request: VariantRequest
    version: VersionState | None
    region: str | None
    role: Role | None
    weight: int
    mirror: int

    @property
    def name(self) -> str:
        """The version as people write it."""
        return self.request.ref if self.version is None else str(self.version.number)

    @property
    def live(self) -> bool:
        """Whether clients get its answers."""
        return self.role != "shadow"

    def variant(self) -> Variant:
        """What goes into the event, once no rule says no."""
        assert self.version is not None, "a version that does not exist is refused"
        version = self.version
        role = cast("Role", self.role)
        return Variant(
            str(version.number), version.ordinal, version.digest, role, self.weight, self.mirror, self.region
        )


def request_of(variant: Variant) -> VariantRequest:
    """The request that asks for what is there."""
    return VariantRequest(
        variant.version, variant.weight, variant.role, variant.region, variant.mirror, variant.artifact_digest
    )


def drafts(
    requests: Sequence[tuple[str, VariantRequest]], model: ModelState | None, environment: EnvironmentState | None
) -> tuple[list[Draft], list[Reason]]:
    """The drafts of requests, each with the field it stands in, and what is wrong with references and regions.

    A region that is not one of the environment's has no drafts: nothing can be said of what is there.
    """
    found: list[Draft] = []
    problems: list[Reason] = []
    for field, request in requests:
        version = None
        if model is not None:
            try:
                version = find_version(model, request.ref)
            except RegistaError as error:
                problems.append(Reason(error.code, error.detail, field, error.hint))
        regions, wrong = _regions(field, request, environment)
        problems += wrong
        mirror = request.mirror
        if mirror is None:
            mirror = EVERYTHING if request.role == "shadow" else 0
        found += [Draft(field, request, version, region, request.role, request.weight, mirror) for region in regions]
    return found, problems


def with_roles(found: Sequence[Draft], present: Sequence[Variant], *, scheduled: bool) -> list[Draft]:
    """The drafts, none without a role, in the order of the event: by region, role and version."""
    assigned: list[Draft] = []
    for region in dict.fromkeys(draft.region for draft in found):
        there = [draft for draft in found if draft.region == region]
        now = {variant.ordinal: variant.role for variant in present if variant.region == region}
        assigned += _roles_in(there, now, scheduled=scheduled)
    return sorted(assigned, key=_order)


def _regions(
    field: str, request: VariantRequest, environment: EnvironmentState | None
) -> tuple[Sequence[str | None], list[Reason]]:
    if environment is None:
        return (request.region,), []
    if request.region is None:
        return environment.places, []
    region = request.region.lower()
    if region in environment.regions:
        return (region,), []
    hint = f"Its regions are {', '.join(environment.regions)}." if environment.regions else "It has none: leave it out."
    return (), [Reason("bad_region", f"{environment.name} has no region {request.region[:160]!r}", field, hint)]


def _roles_in(there: Sequence[Draft], now: dict[int, Role], *, scheduled: bool) -> Iterator[Draft]:
    open_roles = [draft for draft in there if draft.role is None]
    champion: Draft | None = None
    if open_roles and not any(draft.role == "champion" for draft in there):
        standing = [d for d in open_roles if d.version is not None and now.get(d.version.ordinal) == "champion"]
        champion = standing[0] if standing else max(open_roles, key=lambda draft: draft.weight)
    other: Role = "canary" if scheduled else "challenger"
    for draft in there:
        if draft.role is not None:
            yield draft
        elif draft is champion:
            yield replace(draft, role="champion")
        else:
            before = None if draft.version is None or scheduled else now.get(draft.version.ordinal)
            yield replace(draft, role=before if before in {"canary", "challenger"} else other)


def _order(draft: Draft) -> tuple[str, int, int]:
    return draft.region or "", _RANKS.get(draft.role or "", len(_RANKS)), draft.version.ordinal if draft.version else 0
