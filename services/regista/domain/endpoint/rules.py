"""What a whole set of variants must keep: shares and roles in each region, and which versions may be served at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from regista.domain.context import Context
from regista.domain.endpoint.drafts import EVERYTHING, Draft
from regista.domain.endpoint.lookup import Surroundings
from regista.domain.environment.state import EnvironmentState
from regista.domain.errors import Reason
from regista.domain.events import Variant
from regista.domain.model.state import ModelState, VersionState

_SHARES = range(EVERYTHING + 1)
_ROLES = ("champion", "challenger", "canary", "shadow")


def set_problems(found: Sequence[Draft]) -> Iterator[Reason]:
    """What is wrong with shares and roles, region by region."""
    for draft in found:
        yield from _share_problems(draft)
    for region in dict.fromkeys(draft.region for draft in found):
        yield from _region_problems([draft for draft in found if draft.region == region], region)


def version_problems(
    found: Sequence[Draft], around: Surroundings, present: Sequence[Variant], context: Context
) -> Iterator[Reason]:
    """What is wrong with the versions themselves.

    A version that is served already, and is to get no more than it has, is let be: a promotion archives the version
    before it while that one still serves, and traffic is to move away from it step by step.
    """
    if around.model is None:
        return
    for draft in found:
        version = draft.version
        if version is None:
            continue
        given = draft.request.digest
        if given is not None and given != version.digest:
            hint = f"{version.number} is {version.digest}: look which was meant."
            yield Reason("digest_mismatch", f"{version.number} is not {given[:100]}", draft.field, hint)
        if not _is_kept(draft, present):
            yield from _fitness_problems(draft, around.model, around.environment, context)


def unique(reasons: Sequence[Reason]) -> list[Reason]:
    """Each reason once: a version in three regions is archived once."""
    return list({(reason.code, reason.detail, reason.field): reason for reason in reasons}.values())


def percent(hundredths: int) -> str:
    """A share as people write it."""
    return f"{hundredths / 100:g} %"


def _share_problems(draft: Draft) -> Iterator[Reason]:
    name, field = draft.name, draft.field
    if draft.role not in _ROLES:
        yield Reason("bad_role", f"{name} cannot be {draft.role}", field, f"Name one of {', '.join(_ROLES)}.")
    elif draft.live:
        if draft.weight not in _SHARES:
            yield Reason("bad_weight", f"{name} has a weight of {draft.weight}", field, "Give 0 to 100 %.")
        if draft.mirror:
            hint = "Leave mirror out, or make it a shadow."
            yield Reason("mirror_without_shadow", f"{name} is a {draft.role}, and is mirrored nothing", field, hint)
    else:
        if draft.weight:
            hint = "Give it no weight; --shadow does."
            yield Reason("shadow_with_weight", f"{name} is a shadow, and answers nobody", field, hint)
        if draft.mirror not in _SHARES or draft.mirror == 0:
            hint = "Mirror more than 0 and up to 100 %."
            yield Reason("bad_mirror", f"{name} is mirrored {percent(draft.mirror)}", field, hint)


def _region_problems(there: Sequence[Draft], region: str | None) -> Iterator[Reason]:
    where = "" if region is None else f" in {region}"
    seen: set[int | str] = set()
    for draft in there:
        key = draft.request.ref if draft.version is None else draft.version.ordinal
        if key in seen:
            hint = "Name each version once, with one role."
            yield Reason("variant_twice", f"{draft.name} is there twice{where}", draft.field, hint)
        seen.add(key)
    champions = [draft.name for draft in there if draft.role == "champion"]
    if len(champions) > 1:
        hint = "Make one of them the champion, the others challengers."
        yield Reason("several_champions", f"{', '.join(champions)} are champions{where}", "variants", hint)
    lone = [draft for draft in there if draft.role in {"canary", "challenger"}]
    if lone and not champions:
        hint = "Name the champion beside it, or promote it: regista traffic … --promote."
        yield Reason("no_champion", f"{lone[0].name} is a {lone[0].role} without a champion{where}", "variants", hint)
    total = sum(draft.weight for draft in there if draft.live)
    if total != EVERYTHING:
        hint = "Weights are those of the whole set, shadows aside: let them sum to 100 % in each region."
        yield Reason("weights_do_not_sum", f"the weights{where} sum to {percent(total)}", "variants", hint)


def _is_kept(draft: Draft, present: Sequence[Variant]) -> bool:
    return any(
        draft.version is not None
        and variant.ordinal == draft.version.ordinal
        and variant.region == draft.region
        and draft.weight <= variant.weight
        and draft.mirror <= variant.mirror
        for variant in present
    )


def _fitness_problems(
    draft: Draft, model: ModelState, environment: EnvironmentState | None, context: Context
) -> Iterator[Reason]:
    version, field = draft.version, draft.field
    assert version is not None
    number = version.number
    if version.stage == model.policy.archive:
        hint = f"regista promote {model.name} {number} --to {model.policy.entry} --reason …"
        if environment is not None and model.policy.entry not in environment.stages:
            hint += f", and from there on to {' or '.join(environment.stages)}"
        yield Reason("version_archived", f"{number} is archived", field, hint)
    elif environment is not None and version.stage not in environment.stages:
        detail = f"{number} is in {version.stage}, and {environment.name} serves {' or '.join(environment.stages)}"
        yield Reason("stage_not_allowed", detail, field, _way_in(version, model, environment))
    if version.incomplete:
        hint = f"Supply it, or waive it with a reason: PATCH /v1/models/{model.name}/versions/{number}."
        yield Reason("incomplete", f"{number} lacks {', '.join(version.incomplete)} since its import", field, hint)
    if version.digest in context.missing_artifacts:
        hint = f"Upload the artifact {version.digest} again: the digest tells whether it is the same."
        yield Reason("artifact_missing", f"the bytes of {number} are gone", field, hint)


def _way_in(version: VersionState, model: ModelState, environment: EnvironmentState) -> str:
    """What to type for a version to be let in. No stage is skipped, so the next one may not be enough."""
    stages = model.policy.stages
    here = stages.index(version.stage)
    ahead = [stage for stage in stages[here + 1 : -1] if stage in environment.stages]
    if not ahead:
        return f"It is past them: PUT /v1/environments/{environment.name} says anew what is served there."
    step = f"regista promote {model.name} {version.number} --to {stages[here + 1]} --reason …"
    return step if stages[here + 1] == ahead[0] else f"{step}, and so on to {ahead[0]}"
