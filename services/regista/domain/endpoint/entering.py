"""Which versions a command may bring in: their bytes are looked for before it is decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from regista.domain.endpoint import commands as c
from regista.domain.endpoint.state import EndpointState, rollback_targets
from regista.domain.errors import RegistaError
from regista.domain.model.lookup import find_version
from regista.domain.model.state import ModelState, VersionState

LOOKAHEAD = 20
"""How many earlier changes are looked at for one rollback, which names the next that it could return to."""


def entering(state: EndpointState, command: c.Command, model: ModelState) -> list[VersionState]:
    """The versions, each once, as far as can be told beforehand; what names none is for the decision to say."""
    found: Iterable[VersionState]
    match command:
        case c.ChangeTraffic(variants=requests, promote=promote):
            named = [request.ref for request in requests] + ([] if promote is None else [promote])
            found = (*_named(model, named), *_pinned(model, state, advance=command.advance))
        case c.FollowVersion(followed=followed):
            found = _named(model, [followed])
        case c.RollBackEndpoint(to=to):
            found = _restored(state, to, model)
        case _:
            found = ()
    return list({version.ordinal: version for version in found}.values())


def _named(model: ModelState, refs: Iterable[str]) -> Iterator[VersionState]:
    for ref in refs:
        try:
            yield find_version(model, ref)
        except RegistaError:
            continue


def _pinned(model: ModelState, state: EndpointState, *, advance: bool) -> Iterator[VersionState]:
    return (
        model.versions[variant.ordinal] for variant in state.variants if advance and variant.ordinal in model.versions
    )


def _restored(state: EndpointState, to: int | None, model: ModelState) -> Iterator[VersionState]:
    named = None if to is None else state.find(to)
    changes = [*([] if named is None else [named]), *islice(rollback_targets(state), LOOKAHEAD)]
    for change in changes:
        for variant in change.variants:
            if variant.ordinal in model.versions:
                yield model.versions[variant.ordinal]
