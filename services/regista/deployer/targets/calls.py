"""HTTP calls of targets: what an answer means, and whether the same call may succeed later."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from regista.deployer.targets.base import TargetFailed
from regista.domain.errors import Forbidden, Unavailable
from regista.domain.times import utc_now
from regista.outbound.client import Answer, Outbound

_LATER = frozenset({408, 423, 425, 429})
_LONGEST = 3600.0
"""Seconds that a ``Retry-After`` is believed."""


class Caller:
    """Calls one system. Its failures are ``TargetFailed``, and nothing else."""

    def __init__(self, who: str, *, allow_private: bool, within: float) -> None:
        self._who = who
        self._within = within
        self._outbound = Outbound(allow_private=allow_private, connect=within, read=within)

    async def call(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None = None, limit: int = 1 << 20
    ) -> Answer:
        """The answer of a call that went well (2xx).

        Raises:
            TargetFailed: it did not go well.
        """
        answer = await self.answer(method, url, headers=headers, content=content, limit=limit)
        if not answer.taken:
            raise self.failed(answer)
        return answer

    async def answer(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None = None, limit: int = 1 << 20
    ) -> Answer:
        """Whatever came back.

        Raises:
            TargetFailed: nothing did.
        """
        try:
            return await self._outbound.send(
                method, url, headers=headers, content=content, within=self._within, limit=limit
            )
        except TimeoutError as error:
            raise self._unreachable(f"did not answer within {self._within:g} s") from error
        except Unavailable as error:
            raise self._unreachable(f"cannot be reached: {error.detail}") from error
        except Forbidden as error:
            raise TargetFailed(
                f"{self._who}: {error.detail}", code=error.code, hint=error.hint, retryable=False
            ) from error

    def failed(self, answer: Answer) -> TargetFailed:
        """What an answer that is none of success means."""
        status = answer.status
        retryable = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _LATER
        wait = answer.retry_after(utc_now())
        said = " ".join(answer.body[:500].decode(errors="replace").split())
        return TargetFailed(
            f"{self._who} answered {status}{f': {said[:300]}' if said else ''}",
            code="unavailable" if retryable else "not_accepted",
            hint=None if retryable else "The same call will be answered the same: look at the target's settings.",
            retryable=retryable,
            retry_after=None if wait is None else min(wait, _LONGEST),
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._outbound.aclose()

    def _unreachable(self, what: str) -> TargetFailed:
        return TargetFailed(f"{self._who} {what}", code="unreachable", retryable=True)
