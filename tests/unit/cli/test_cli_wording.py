"""Whoever sits at a shell is told what to type, not which route to ask."""

import pytest

from regista.cli.wording import in_options


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        ("GET /v1/models/fraud/versions lists them.", "`regista ls fraud` lists them."),
        ("GET /v1/models lists them.", "`regista ls` lists them."),
        (
            "Promote another or roll back first, or say leave_empty.",
            "Promote another or roll back first, or say --leave-empty.",
        ),
        (
            "Supply code, or waive it with a reason: PATCH /v1/models/fraud/versions/1.0.0.",
            "Supply code, or waive it with a reason: `regista update fraud 1.0.0`.",
        ),
        (
            "repeating it with command_id='a-1' cannot make it twice",
            "repeating it with --command-id a-1 cannot make it twice",
        ),
        ("clients read it from REGISTA_TOKEN", "Set REGISTA_TOKEN, or give --token."),
        ("PUT /v1/environments/prod defines it.", "`regista environment define prod --stages …` defines it."),
        (
            "PUT /v1/environments/prod with the regions of then, or change the traffic.",
            "`regista environment define prod --stages …` with the regions of then, or change the traffic.",
        ),
        (
            "PUT /v1/targets/web.1 creates it; PATCH /v1/endpoints/… with other targets leaves it out.",
            "`regista target put web.1 --kind …` creates it; `regista endpoint update … --target …` leaves it out.",
        ),
        (
            "PATCH /v1/endpoints/prod/fraud with other targets",
            "`regista endpoint update prod/fraud --target …`",
        ),
        (
            "PATCH /v1/endpoints/prod/fraud with follow '@production' lets it.",
            "`regista endpoint update prod/fraud --follow @production` lets it.",
        ),
        (
            "Change it: PATCH /v1/endpoints/prod/fraud, or its traffic.",
            "Change it: `regista endpoint update prod/fraud`, or its traffic.",
        ),
        (
            "POST /v1/endpoints creates it; GET /v1/endpoints lists those there are.",
            "`regista endpoint create` creates it; `regista endpoint ls` lists those there are.",
        ),
        ("GET /v1/targets lists them.", "`regista target ls` lists them."),
        (
            "GET /v1/subscriptions lists them; POST creates one.",
            "`regista webhook ls` lists them; `webhook add` creates one.",
        ),
        ("POST /v1/subscriptions creates another.", "`regista webhook add` creates another."),
        (
            "Enable it first: PATCH /v1/subscriptions/ci with disabled false.",
            "Enable it first: `regista webhook enable ci --reason …`.",
        ),
        (
            "POST /v1/subscriptions/ci/replay sends events of the log again.",
            "`regista webhook replay ci --from N` sends events of the log again.",
        ),
        ("POST /v1/models with name 'fraud' registers it.", "`regista model create fraud` registers it."),
        ("Promote it to staging first.", "Promote it to staging first."),
    ],
)
def test_a_hint_names_commands_and_options(hint: str, said: str) -> None:
    assert in_options(hint) == said
