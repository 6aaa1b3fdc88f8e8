"""Pages of the query API: everything once and in order, while others write too."""

from __future__ import annotations

import pytest
from tests.support.histories import History
from tests.support.projecting import Places, Projection, memory_feed, running
from tests.support.querying import everything, get


@pytest.mark.parametrize("limit", [1, 3, 50])
async def test_pages_hold_everything_once_and_in_order(projection: Projection, limit: int) -> None:
    versions = await everything(projection, "/v1/models/fraud/versions", limit)
    assert [v["ordinal"] for v in versions] == list(range(len(versions), 0, -1))
    ascending = await everything(projection, "/v1/models/fraud/versions", limit, order="asc")
    assert ascending == versions[::-1]
    found = await everything(projection, "/v1/versions", limit)
    assert len(found) == len({(v["model"], v["ordinal"]) for v in found})
    assert {m["model"] for m in await everything(projection, "/v1/models", limit)} == {"Fraud", "churn"}
    tenures = await everything(projection, "/v1/models/fraud/stages/archived", limit)
    assert [t["since_position"] for t in tenures] == sorted((t["since_position"] for t in tenures), reverse=True)


async def test_pages_stay_stable_while_others_write(places: Places) -> None:
    history = History()
    history.register_model("fraud")
    for seed in range(30):
        history.register("fraud", seed)
    async with running(memory_feed(history.sets), places()) as projection:
        seen, following = [], None
        for round_ in range(100):
            page: dict[str, str] = {} if following is None else {"page": following}
            answer = await get(projection, "/v1/models/fraud/versions", limit=4, **page)
            seen += [v["ordinal"] for v in answer["items"]]
            history.register("fraud", 100 + round_)
            await projection.append(history.sets[-1:])
            if (following := answer["next"]) is None:
                break
    assert seen == list(range(30, 0, -1))


async def test_a_page_token_belongs_to_its_query(projection: Projection) -> None:
    token = (await get(projection, "/v1/models/fraud/versions", limit=1))["next"]
    for path in ("/v1/models/churn/versions", "/v1/versions", "/v1/models/fraud/versions?order=asc"):
        response = await projection.client.get(
            path, params={"page": token, "limit": 1, "order": "asc"} if "order" in path else {"page": token}
        )
        assert (response.status_code, response.json()["code"]) == (400, "bad_page")
