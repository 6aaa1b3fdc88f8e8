"""HTTP calls of targets: what an answer means, and whether the same call may succeed later."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from time import time

import httpx

from regista.deployer.targets.base import TargetFailed
from regista.domain.errors import Forbidden
from regista.outbound import Answer, outbound_client, send

_LATER = frozenset({408, 423, 425, 429})
_LONGEST = 3600.0
"""Seconds that a ``Retry-After`` is believed."""


class Caller:
    """Calls one system. Its failures are ``TargetFailed``, never what httpx raises."""

    def __init__(self, who: str, *, allow_private: bool, within: float) -> None:
        self._who = who
        self._within = within
        self._client = outbound_client(allow_private=allow_private, timeout=within)

    async def call(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None = None, limit: int = 1 << 20
    ) -> Answer:
        """The answer of a call that went well (2xx).

        Raises:
            TargetFailed: it did not go well.
        """
        answer = await self.answer(method, url, headers=headers, content=content, limit=limit)
        if not httpx.codes.is_success(answer.status):
            raise self.failed(answer)
        return answer

    async def answer(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None = None, limit: int = 1 << 20
    ) -> Answer:
        """Whatever came back.

        Raises:
            TargetFailed: nothing did.
        """
        request = self._client.build_request(method, url, headers=dict(headers), content=content)
        try:
            return await send(self._client, request, within=self._within, limit=limit)
        except TimeoutError as error:
            raise self._unreachable(f"did not answer within {self._within:g} s") from error
        except httpx.HTTPError as error:
            raise self._unreachable(f"cannot be reached: {error or type(error).__name__}") from error
        except Forbidden as error:
            raise TargetFailed(
                f"{self._who}: {error.detail}", code=error.code, hint=error.hint, retryable=False
            ) from error

    def failed(self, answer: Answer) -> TargetFailed:
        """What an answer that is none of success means."""
        status = answer.status
        retryable = status >= httpx.codes.INTERNAL_SERVER_ERROR or status in _LATER
        said = " ".join(answer.body[:500].decode(errors="replace").split())
        return TargetFailed(
            f"{self._who} answered {status}{f': {said[:300]}' if said else ''}",
            code="unavailable" if retryable else "not_accepted",
            hint=None if retryable else "The same call will be answered the same: look at the target's settings.",
            retryable=retryable,
            retry_after=retry_after(answer.headers.get("Retry-After")),
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _unreachable(self, what: str) -> TargetFailed:
        return TargetFailed(f"{self._who} {what}", code="unreachable", retryable=True)


def retry_after(value: str | None) -> float | None:
    """Seconds of a ``Retry-After`` (RFC 9110, section 10.2.3): a number, or a moment."""
    if value is None:
        return None
    try:
        seconds = float(value) if value.strip().isdigit() else parsedate_to_datetime(value).timestamp() - time()
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), _LONGEST)
