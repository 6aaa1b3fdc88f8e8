"""What targets say, without their secrets: it is told in events, which are kept for ever.

A system that is called may cite the call in its answer, with the token in it.
"""

from __future__ import annotations

from collections.abc import Iterable

from regista.deployer.targets.base import Applied, Target, TargetFailed, Wanted
from regista.domain.endpoint.commands import ObservedVariant
from regista.domain.errors import Invalid, Reason

_SHORTEST = 8
"""Characters: what is shorter stands in ordinary words too. What is cited may be cut off in the middle of a secret."""
_HIDDEN = "…"


class Discreet:
    """Implements ``Target``: another one, whose secrets are in nothing that it says."""

    def __init__(self, target: Target, secrets: Iterable[str]) -> None:
        self._target = target
        self._secrets = [secret for secret in secrets if secret]

    async def apply(self, wanted: Wanted) -> Applied:
        """See the protocol."""
        try:
            applied = await self._target.apply(wanted)
        except Exception as error:  # noqa: BLE001 - raised again
            raise self._without(error) from None
        return Applied(applied.observed, self._hidden(applied.detail))

    async def observe(self, environment: str, endpoint: str) -> tuple[ObservedVariant, ...] | None:
        """See the protocol."""
        try:
            return await self._target.observe(environment, endpoint)
        except Exception as error:  # noqa: BLE001 - raised again
            raise self._without(error) from None

    async def aclose(self) -> None:
        """See the protocol."""
        await self._target.aclose()

    def _without(self, error: Exception) -> Exception:
        said = f"{error} {error!r}"
        if self._hidden(said) == said:
            return error
        if isinstance(error, TargetFailed):
            return TargetFailed(
                self._hidden(error.detail),
                retryable=error.retryable,
                code=error.code,
                hint=None if error.hint is None else self._hidden(error.hint),
                retry_after=error.retry_after,
            )
        if isinstance(error, Invalid):
            reasons = [Reason(r.code, self._hidden(r.detail), r.field, r.hint) for r in error.reasons]
            return Invalid(self._hidden(error.detail), code=error.code, hint=error.hint, reasons=reasons)
        return TargetFailed(self._hidden(repr(error)), retryable=True, code="defect")

    def _hidden(self, text: str) -> str:
        for secret in self._secrets:
            for end in range(len(secret), min(_SHORTEST, len(secret)) - 1, -1):
                text = text.replace(secret[:end], _HIDDEN)
        return text
