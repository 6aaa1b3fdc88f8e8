"""Secrets of targets and subscriptions, as events know them: by an id, a fingerprint, and until when they count.

What a secret is, only the private table knows. Ids are never used twice, so one that an event displaced can be erased.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from regista.domain.errors import Reason
from regista.domain.events import (
    Event,
    SecretRef,
    SubscriptionChanged,
    SubscriptionRemoved,
    TargetChanged,
    TargetRemoved,
)

DISPLACING: Final = frozenset({TargetChanged, TargetRemoved, SubscriptionChanged, SubscriptionRemoved})
"""The events after which a secret may not count any more."""
MAX_SECRETS = 100
"""Of one target or subscription."""


@dataclass(frozen=True, slots=True)
class GivenSecret:
    """A secret that a command brings: what it is called, and the fingerprint of its content.

    Without a fingerprint it is one that is made for the command: what it is does not belong to what was asked for.
    """

    name: str
    fingerprint: str = ""


def secret_problems(given: Sequence[GivenSecret], kept: Mapping[str, SecretRef]) -> Iterator[Reason]:
    """What is wrong with the secrets that a command brings; ``kept``: where each of them lies, by its name."""
    names = [secret.name for secret in given]
    if len(given) > MAX_SECRETS:
        yield Reason("too_many_secrets", f"there are over {MAX_SECRETS} secrets", "secrets", "Give fewer.")
    for i, secret in enumerate(given):
        if not secret.name.strip():
            yield Reason("bad_secret", "a secret has a name", f"secrets[{i}]", "Name it.")
        elif secret.name not in kept:
            yield Reason("bad_secret", f"{secret.name} is not kept anywhere", f"secrets[{i}]", "Send it over HTTP.")
        elif secret.name in names[:i]:
            yield Reason("named_twice", f"{secret.name} is named twice", f"secrets[{i}]", "Name it once.")


def merged(
    before: Iterable[SecretRef],
    given: Iterable[GivenSecret],
    forget: Collection[str],
    kept: Mapping[str, SecretRef],
) -> tuple[SecretRef, ...]:
    """The secrets afterwards, by name: what is given is put, what is to be forgotten goes, all others stay.

    One that is given as it is stays the same, id included.
    """
    after = {secret.name: secret for secret in before if secret.name not in forget}
    for secret in given:
        new, known = kept[secret.name], after.get(secret.name)
        if known is None or known.fingerprint != new.fingerprint:
            after[secret.name] = new
    return tuple(sorted(after.values(), key=lambda secret: secret.name))


def displaced(event: Event) -> frozenset[str]:
    """The ids of secrets that counted before an event and never will again."""
    match event:
        case TargetChanged():
            return _ids(event.previous_secrets) - _ids(event.secrets)
        case TargetRemoved():
            return _ids(event.previous_secrets)
        case SubscriptionChanged():
            return _ids(event.previous.secrets) - _ids(event.secrets)
        case SubscriptionRemoved():
            return _ids(event.previous.secrets)
        case _:
            return frozenset()


def _ids(secrets: Iterable[SecretRef]) -> frozenset[str]:
    return frozenset(secret.id for secret in secrets)
