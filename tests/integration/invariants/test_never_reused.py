"""Invariant 8: names and version numbers stay taken after retirement; a number means the same bytes for ever."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.registrar import registration, running

from regista.domain import commands as c
from regista.domain.errors import Refused, Retired


async def test_a_retired_name_stays_taken_in_every_spelling(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        await one.do(c.RegisterModel("Fraud"))
        await one.do(c.RetireModel("fraud"))
        for name in ("Fraud", "fraud", "FRAUD"):
            with pytest.raises(Refused) as refused:
                await one.do(c.RegisterModel(name))
            assert refused.value.code == "name_taken"


async def test_a_revived_model_goes_on_with_its_numbers(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        await one.do(c.RegisterModel("fraud"))
        await one.do(registration("fraud"))
        await one.do(c.RetireModel("fraud"))
        with pytest.raises(Retired):
            await one.do(registration("fraud", 1))
        await one.do(c.ReviveModel("fraud"))
        answer = (await one.do(registration("fraud", 1))).answer
        assert (answer["version"], answer["ordinal"]) == ("1.1.0", 2)


async def test_an_archived_number_is_not_given_again(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        await one.do(c.RegisterModel("fraud"))
        first = (await one.do(registration("fraud"))).answer
        await one.do(c.Archive("fraud", "1.0.0"))
        for version in ("1.0.0", "v1.0.0"):
            with pytest.raises(Refused) as refused:
                await one.do(registration("fraud", 1, version=version))
            assert refused.value.code == "version_taken"
        promoted = (await one.do(c.Promote("fraud", "1.0.0", "candidate"))).answer
        assert promoted["artifact"] == first["artifact"]
