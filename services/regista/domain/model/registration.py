"""The decision to register a version: is everything there, is it right, and which number does it get."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from regista.domain import commands as c
from regista.domain import events as e
from regista.domain.errors import Invalid, NotFound, Reason, Refused
from regista.domain.metadata import Artifact, Dependency, Parent
from regista.domain.model.context import Context
from regista.domain.model.evolve import fold
from regista.domain.model.lookup import find_version, open_model
from regista.domain.model.metadata_rules import metadata_problems, missing_metadata
from regista.domain.model.models import register_model
from regista.domain.model.state import ModelState, VersionState
from regista.domain.model.texts import text_problems
from regista.domain.numbering import AUTO, Base, Candidate, choose, contradiction
from regista.domain.references import model_stream
from regista.domain.versions import VersionNumber

NO_ARTIFACT = Artifact(uri="", digest="", size=0, format="unknown")
"""What an incomplete import holds in place of an artifact."""


def register_version(state: ModelState, command: c.RegisterVersion, context: Context) -> list[e.Event]:
    """Register a version, or refuse with everything that is missing or wrong. With ``create`` a new name is taken first.

    Raises:
        Invalid: ``missing_metadata`` or ``invalid_metadata``, with one reason for each field.
        Refused: ``version_taken``, ``number_contradicts_signature``, ``unknown_parent``.
    """
    taken: list[e.Event] = []
    if command.create and not state.exists:
        taken = register_model(state, c.RegisterModel(command.model), context)
        state = fold(taken, state)
    open_model(state, command.model)
    missing = missing_metadata(command, context.artifact)
    problems = metadata_problems(command, context.artifact)
    if not context.plain:
        problems += text_problems(command, context.reason)
    importing = command.origin is not None
    if problems or (missing and not importing):
        reasons = [*missing, *problems] if not importing else problems
        code = "missing_metadata" if missing and not importing else "invalid_metadata"
        raise Invalid(_summary(reasons), code=code, hint="Each reason says how to mend it.", reasons=reasons)
    signature = command.signature or context.artifact.signature
    artifact = context.artifact.artifact or NO_ARTIFACT
    candidate = Candidate(signature, artifact.weights_digest, command.change)
    number, numbering = _number(state, command, candidate)
    parents, dependencies = _resolve_others(command, context, state)
    return [
        *taken,
        e.VersionRegistered(
            model=state.name,
            version=number,
            ordinal=_ordinal(state, command),
            stage=state.policy.entry,
            policy=state.policy.name,
            numbering=numbering,
            change=command.change,
            artifact=artifact,
            code=command.code,
            related_code=command.related_code,
            datasets=command.datasets,
            features=command.features,
            metrics=_floats(command.metrics),
            evaluations=tuple(replace(ev, metrics=_floats(ev.metrics)) for ev in command.evaluations),
            params=dict(command.params),
            configuration=dict(command.configuration),
            signature=signature,
            runtime=command.runtime,
            run=command.run,
            parents=parents,
            dependencies=dependencies,
            author=command.author,
            trained_at=command.trained_at,
            tags=dict(command.tags),
            custom=command.custom,
            description=command.description,
            incomplete=tuple(reason.field or reason.code for reason in missing),
        ),
    ]


def named_models(command: c.RegisterVersion) -> list[str]:
    """The streams of other models that the decision looks at: those of parents and dependencies."""
    own = model_stream(command.model)
    names = [p.model for p in command.parents] + [d.model for d in command.dependencies]
    return sorted({model_stream(name) for name in names} - {own})


def _floats(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items()}


def _summary(reasons: list[Reason]) -> str:
    fields = ", ".join(dict.fromkeys(reason.field or reason.code for reason in reasons))
    return f"the registration does not hold: {fields}"


def _ordinal(state: ModelState, command: c.RegisterVersion) -> int:
    if command.ordinal is None:
        return state.last_ordinal + 1
    if command.origin is None:
        raise Invalid("only an import names its ordinal", code="ordinal_given", hint="Leave ordinal out.")
    if command.ordinal <= state.last_ordinal:
        raise Refused(
            f"ordinal {command.ordinal} does not follow {state.last_ordinal}",
            code="ordinal_taken",
            hint="Import versions in the order of their ordinals.",
        )
    return command.ordinal


def _number(state: ModelState, command: c.RegisterVersion, candidate: Candidate) -> tuple[str, e.Numbering]:
    named_base = find_version(state, command.base) if command.base is not None else None
    if command.version == AUTO:
        base = named_base or state.highest
        return choose(candidate, _base(base), state.ordered)
    number = VersionNumber.parse(command.version)
    if str(number) in state.numbers:
        raise Refused(
            f"{state.name} {number} is taken: version numbers are never reused",
            code="version_taken",
            hint=f"The highest is {state.highest.number if state.highest else number}; 'auto' picks the next.",
        )
    below = state.ordered.below(number)
    base = named_base or (None if below is None else state.versions[state.numbers[str(below)]])
    objection = contradiction(number, candidate, _of(base)) if base is not None else None
    if objection is not None:
        raise Refused(
            f"{number} contradicts the signature: {objection}",
            code="number_contradicts_signature",
            hint="Name a number that fits, or 'auto'.",
        )
    explanation = (f"{number} was named by the caller.",)
    return str(number), e.Numbering(command.version, "named", str(base.number) if base else None, explanation)


def _base(version: VersionState | None) -> Base | None:
    return None if version is None else _of(version)


def _of(version: VersionState) -> Base:
    return Base(version.number, version.signature, version.weights_digest)


def _resolve_others(
    command: c.RegisterVersion, context: Context, state: ModelState
) -> tuple[tuple[Parent, ...], tuple[Dependency, ...]]:
    """Parents and dependencies with the references resolved to numbers; all must exist before their children."""
    problems: list[Reason] = []

    def resolve(model: str, ref: str, field: str) -> tuple[str, str]:
        stream = model_stream(model)
        other = state if stream == model_stream(command.model) else context.others[stream]
        try:
            if not other.exists:
                problems.append(Reason("unknown_parent", f"there is no model {model}", field, "Register it first."))
                return model, ref
            return other.name, str(find_version(other, ref).number)
        except (Invalid, Refused) as error:
            problems.append(Reason(error.code, error.detail, field, error.hint))
        except NotFound as error:
            problems.append(Reason("unknown_parent", error.detail, field, "Parents must exist before their children."))
        return model, ref

    parents = tuple(
        Parent(*resolve(p.model, p.version, f"parents[{i}]"), p.relation) for i, p in enumerate(command.parents)
    )
    dependencies = tuple(
        Dependency(*resolve(d.model, d.version, f"dependencies[{i}]"), d.role)
        for i, d in enumerate(command.dependencies)
    )
    if problems:
        raise Refused(
            f"{len(problems)} version(s) named as parent or dependency cannot be used",
            code="unknown_parent",
            hint="Parents must exist before their children.",
            reasons=problems,
        )
    return parents, dependencies
