"""Decisions on following: the version that a stage or alias names comes in where the champion stands."""

from __future__ import annotations

from regista.domain import events as e
from regista.domain.context import Context, need_reason
from regista.domain.endpoint import commands as c
from regista.domain.endpoint.drafts import EVERYTHING, request_of
from regista.domain.endpoint.lookup import Surroundings, called, open_endpoint, surroundings
from regista.domain.endpoint.state import EndpointState
from regista.domain.endpoint.traffic import Requests, places, settled, traffic_changed
from regista.domain.errors import NotFound, PreconditionFailed, Reason, Refused
from regista.domain.model.lookup import find_version, unknown_model
from regista.domain.model.state import VersionState
from regista.domain.references import DEFAULT_STAGES, ByAlias, ByStage, parse_reference


def follow_version(state: EndpointState, command: c.FollowVersion, context: Context) -> list[e.Event]:
    """Serve what the reference names now; what the rules do not let in is recorded, and what is served stays.

    The shape of the endpoint stays: in every region that it serves the version takes the place of the champion, of a
    canary and of challengers; shadows remain, but for one of the same version.

    Raises:
        Refused: ``not_following``; ``already_served``, when there is nothing to do; ``nothing_to_follow``, when the
            reference names no version now.
        PreconditionFailed: ``follow_outdated``, when it names another version by now: that one is followed.
        NotFound: ``unknown_model``.
    """
    open_endpoint(state, command)
    followed = followed_name(command.followed)
    if followed != state.follow:
        said = "nothing" if state.follow is None else state.follow
        raise Refused(
            f"{called(state)} follows {said}, not {followed}",
            code="not_following",
            hint=f"PATCH /v1/endpoints/{called(state)} with follow {followed!r} lets it.",
        )
    need_reason(context, "a change of traffic")
    around = surroundings(context, state.environment, state.model)
    version = _named(state, around, command, followed)
    requests = _in_place_of_champions(state, around, version)
    if _is_served(state, around, requests):
        raise Refused(
            f"{called(state)} serves {version.number} already", code="already_served", hint="There is nothing to do."
        )
    variants, reasons = settled(state, around, requests, context)
    if reasons:
        return [_refusal(state, version, followed, reasons)]
    return [traffic_changed(state, variants)]


def followed_name(text: str) -> str:
    """A stage or an alias, as an endpoint keeps it: ``@production``, ``stage:x``, ``@champion``.

    Raises:
        Invalid: when it is no reference.
        Refused: ``bad_follow``, when it names a version that never moves.
    """
    match parse_reference(text):
        case ByAlias(alias):
            return f"@{alias}"
        case ByStage(stage):
            return f"@{stage}" if stage in DEFAULT_STAGES else f"stage:{stage}"
        case _:
            raise Refused(
                f"{text[:160]!r} never moves: there is nothing to follow",
                code="bad_follow",
                hint="Follow a stage (@production) or an alias (@champion), or change the traffic to this version.",
            )


def _named(state: EndpointState, around: Surroundings, command: c.FollowVersion, followed: str) -> VersionState:
    if around.model is None:
        raise unknown_model(state.model)
    try:
        version = find_version(around.model, followed)
    except NotFound as error:
        raise Refused(
            f"{followed} of {state.model} names no version now",
            code="nothing_to_follow",
            hint="What is served stays. Promote a version, or assign the alias.",
        ) from error
    if command.version is not None and find_version(around.model, command.version).ordinal != version.ordinal:
        raise PreconditionFailed(
            f"{followed} of {state.model} names {version.number} by now, not {command.version}",
            code="follow_outdated",
            hint="There is nothing to do: what it names now is followed by itself.",
        )
    return version


def _in_place_of_champions(state: EndpointState, around: Surroundings, version: VersionState) -> Requests:
    regions, number = places(state, around), str(version.number)
    champions = [("followed", c.VariantRequest(number, EVERYTHING, "champion", region)) for region in regions]
    shadows = [
        ("variants", request_of(variant))
        for variant in state.variants
        if variant.role == "shadow" and variant.region in regions and variant.ordinal != version.ordinal
    ]
    return [*champions, *shadows]


def _is_served(state: EndpointState, around: Surroundings, requests: Requests) -> bool:
    """Whether what is asked for is there: the version as the champion alone wherever something is served."""
    known = (None,) if around.environment is None else around.environment.places
    wanted = sorted((request.region or "", request.ref, request.role or "") for _, request in requests)
    there = sorted((variant.region or "", variant.version, variant.role) for variant in state.variants)
    return wanted == there and all(variant.region in known for variant in state.variants)


def _refusal(state: EndpointState, version: VersionState, followed: str, reasons: list[Reason]) -> e.FollowRefused:
    return e.FollowRefused(
        environment=state.environment,
        endpoint=state.name,
        model=state.model,
        followed=followed,
        version=str(version.number),
        ordinal=version.ordinal,
        artifact_digest=version.digest,
        code=reasons[0].code if len(reasons) == 1 else "traffic_refused",
        reasons=tuple(e.Hindrance(reason.code, reason.detail, reason.field, reason.hint) for reason in reasons),
        variants=state.variants,
        change=state.change,
    )
