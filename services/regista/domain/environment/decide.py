"""``decide`` on one environment: what may be served there, and in which regions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from regista.domain import events as e
from regista.domain.context import Context
from regista.domain.environment.commands import Command
from regista.domain.environment.state import EnvironmentState
from regista.domain.errors import Invalid, Reason
from regista.domain.model.lookup import stage_name
from regista.domain.policy import DEFAULT_POLICY
from regista.domain.references import check_name
from regista.domain.texts import check_texts

_JUDGED_ELSEWHERE = frozenset({"environment", "stages", "regions"})
MAX_REGIONS = 100


def decide(state: EnvironmentState, command: Command, context: Context) -> list[e.Event]:
    """Define an environment, or define it anew. What is served in it stays until the next change there.

    Saying again what holds already is recorded too: somebody said so.

    Raises:
        Invalid: ``invalid_environment`` with every reason, ``bad_name``, ``invalid_text``.
    """
    if not context.plain:
        check_texts(command, context.reason, _JUDGED_ELSEWHERE)
    check_name(command.environment, "environment name")
    stages = tuple(stage_name(stage) for stage in command.stages)
    regions = tuple(region.lower() for region in command.regions)
    if reasons := [*_stage_problems(stages), *_region_problems(regions)]:
        raise Invalid(
            f"environment {command.environment}: {'; '.join(reason.detail for reason in reasons[:3])}",
            code=reasons[0].code if len(reasons) == 1 else "invalid_environment",
            hint=reasons[0].hint,
            reasons=reasons,
        )
    return [
        e.EnvironmentDefined(
            environment=state.name or command.environment,
            description=command.description,
            stages=stages,
            regions=regions,
            previous_description=state.description if state.exists else None,
            previous_stages=state.stages,
            previous_regions=state.regions,
        )
    ]


def _stage_problems(stages: Sequence[str]) -> Iterator[Reason]:
    served = DEFAULT_POLICY.stages[:-1]
    hint = f"Name stages of {', '.join(served)}."
    if not stages:
        yield Reason("no_stages", "it serves no stage", "stages", hint)
    for i, stage in enumerate(stages):
        if stage == DEFAULT_POLICY.archive:
            yield Reason("stage_not_served", f"what is {stage} is not served", f"stages[{i}]", hint)
        elif stage not in served:
            yield Reason("unknown_stage", f"{stage[:160]!r} is not a stage", f"stages[{i}]", hint)
        elif stage in stages[:i]:
            yield Reason("named_twice", f"{stage} is named twice", f"stages[{i}]", "Name it once.")


def _region_problems(regions: Sequence[str]) -> Iterator[Reason]:
    if len(regions) > MAX_REGIONS:
        yield Reason("too_many_regions", f"{len(regions)} regions", "regions", f"Name {MAX_REGIONS} at most.")
        return
    for i, region in enumerate(regions):
        try:
            check_name(region, "region")
        except Invalid as error:
            yield Reason("bad_region", error.detail, f"regions[{i}]", error.hint)
        else:
            if region in regions[:i]:
                yield Reason("named_twice", f"{region} is named twice", f"regions[{i}]", "Name it once.")
