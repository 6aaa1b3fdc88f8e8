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
        ("Promote it to staging first.", "Promote it to staging first."),
    ],
)
def test_a_hint_names_commands_and_options(hint: str, said: str) -> None:
    assert in_options(hint) == said
