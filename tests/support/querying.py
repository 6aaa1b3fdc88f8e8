"""Asking the query API of a projection, and reading all pages of an answer."""

from __future__ import annotations

from typing import Any

from tests.support.projecting import Projection


async def get(projection: Projection, path: str, **parameters: object) -> Any:
    response = await projection.client.get(path, params={k: str(v) for k, v in parameters.items()})
    assert response.status_code == 200, response.text
    return response.json()


async def everything(projection: Projection, path: str, limit: int, **parameters: object) -> list[Any]:
    items, following = [], None
    while True:
        page: dict[str, str] = {} if following is None else {"page": following}
        answer = await get(projection, path, limit=limit, **parameters, **page)
        items += answer["items"]
        assert len(answer["items"]) <= limit
        if (following := answer["next"]) is None:
            return items
