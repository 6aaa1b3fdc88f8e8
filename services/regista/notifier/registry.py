"""The registry as the notifier needs it: over its HTTP API, within this process or across the network."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import httpx

from regista.domain.errors import NotFound, PreconditionFailed, RegistaError, Retired, Unavailable
from regista.notifier.chores import Gone

ACTOR: Final = "system:notifier"
_REASON: Final = "the receiver answered with 410 Gone"
_NOT_WANTED: Final[dict[int, type[RegistaError]]] = {404: NotFound, 410: Retired, 412: PreconditionFailed}


class HttpRegistry:
    """Implements ``Registry``. ``client`` knows the address, and the token where one is needed; it is closed with this."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def disable(self, gone: Gone) -> None:
        """As ``Registry.disable``: unless the subscription was changed since the delivery was sent."""
        headers = {
            "Regista-Actor": ACTOR,
            "Idempotency-Key": gone.key,
            "Regista-Cause": gone.cause,
            "If-Match": f'"{gone.sequence}"',
        }
        body = {"disabled": True, "reason": _REASON}
        path = f"/v1/subscriptions/{quote(gone.subscription, safe='')}"
        try:
            answer = await self._client.patch(path, json=body, headers=headers)
        except httpx.HTTPError as error:
            raise Unavailable(f"the registry cannot be reached: {type(error).__name__}") from error
        if not answer.is_success:
            kind = _NOT_WANTED.get(answer.status_code, Unavailable)
            raise kind(f"the registry does not disable {gone.subscription}: {answer.status_code} {answer.text[:300]}")

    async def aclose(self) -> None:
        """As ``Registry.aclose``."""
        await self._client.aclose()
