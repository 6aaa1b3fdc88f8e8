"""What the deployer keeps, as JSON in its tables and back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TypeVar

from pydantic import TypeAdapter

from regista.deployer.reactions import Endpoint, Intent, TargetDefinition
from regista.domain.endpoint.commands import ObservedVariant

T = TypeVar("T")
_ENDPOINT: TypeAdapter[Endpoint] = TypeAdapter(Endpoint)
_INTENT: TypeAdapter[Intent] = TypeAdapter(Intent)
_TARGET: TypeAdapter[TargetDefinition] = TypeAdapter(TargetDefinition)
_OBSERVED: TypeAdapter[tuple[ObservedVariant, ...]] = TypeAdapter(tuple[ObservedVariant, ...])


def endpoint_text(endpoint: Endpoint) -> str:
    """An endpoint as text."""
    return _ENDPOINT.dump_json(endpoint).decode()


def endpoint_of(text: str) -> Endpoint:
    """The endpoint of a text."""
    return _ENDPOINT.validate_json(text)


def intent_text(intent: Intent) -> str:
    """An intent as text."""
    return _INTENT.dump_json(intent).decode()


def intent_of(text: str) -> Intent:
    """The intent of a text."""
    return _INTENT.validate_json(text)


def target_text(target: TargetDefinition) -> str:
    """A target as text."""
    return _TARGET.dump_json(target).decode()


def target_of(text: str) -> TargetDefinition:
    """The target of a text."""
    return _TARGET.validate_json(text)


def observed_text(observed: Iterable[ObservedVariant]) -> str:
    """What runs somewhere as text: the same text for the same variants, in whichever order they were seen."""
    whole = json.loads(_OBSERVED.dump_json(tuple(observed)))
    return json.dumps(sorted(whole, key=lambda variant: json.dumps(variant, sort_keys=True)), sort_keys=True)
