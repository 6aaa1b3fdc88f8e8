"""The versions whose bytes are looked for before a command is decided: at least those that it brings in."""

from __future__ import annotations

import pytest
from tests.support.endpoint_book import EndpointBook, steps, variant

from regista.domain.endpoint import commands as c
from regista.domain.endpoint import entering
from regista.domain.errors import Invalid


def found(book: EndpointBook, command: c.Command) -> list[str]:
    return [str(version.number) for version in entering(book.state, command, book.model.state)]


def served() -> EndpointBook:
    book = EndpointBook("1.0.0", "1.1.0", "1.2.0", follow="@production")
    book.change(promote="1.0.0")
    book.change(promote="1.1.0")
    book.change(variant("1.1.0", 90), variant("1.2.0", 10), canary=steps(10, 100))
    return book


@pytest.mark.parametrize(
    ("command", "versions"),
    [
        (c.ChangeTraffic("prod", "fraud", (variant("1"), variant("v1.0.0"), variant("9.0.0"))), ["1.0.0"]),
        (c.ChangeTraffic("prod", "fraud", promote="1.2.0"), ["1.2.0"]),
        (c.ChangeTraffic("prod", "fraud", advance=True), ["1.1.0", "1.2.0"]),
        (c.RollBackEndpoint("prod", "fraud"), ["1.1.0", "1.0.0"]),
        (c.RollBackEndpoint("prod", "fraud", 2), ["1.0.0", "1.1.0"]),
        (c.RollBackEndpoint("prod", "fraud", 99), ["1.1.0", "1.0.0"]),
        (c.FollowVersion("prod", "fraud", "@production"), []),
        (c.RetireEndpoint("prod", "fraud"), []),
    ],
    ids=str,
)
def test_a_command_tells_what_it_may_bring_in(command: c.Command, versions: list[str]) -> None:
    assert found(served(), command) == versions


def test_a_follower_brings_in_what_the_stage_names() -> None:
    book = served()
    book.model.promote("1.2.0", "production")
    assert found(book, c.FollowVersion("prod", "fraud", "@production")) == ["1.2.0"]


@pytest.mark.parametrize(
    "command",
    [
        c.ChangeTraffic("prod", "fraud", (variant("1.0.0\x00"),)),
        c.ChangeTraffic("prod", "fraud", (variant("1.0.0", region="e\x1bu"),)),
        c.ConcludeExperiment("prod", "fraud", 4, "promote", explanation=("a\x00",)),
    ],
    ids=lambda command: type(command).__name__,
)
def test_texts_that_cannot_be_printed_are_refused(command: c.Command) -> None:
    book = served()
    book.refused(Invalid, "invalid_text", command)
    book.refused(Invalid, "invalid_text", c.ChangeTraffic("prod", "fraud", promote="1.0.0"), "a\x00")
