"""Each kind of stream has a state and a fold; the state says how far it is."""

from __future__ import annotations

import pytest
from tests.support.sample_events import full

from regista.domain import events as e
from regista.domain.errors import Internal
from regista.domain.kinds import KINDS, kind_of

FIRST: dict[str, type[e.Event]] = {
    "model/fraud": e.ModelRegistered,
    "environment/prod": e.EnvironmentDefined,
    "target/edge": e.TargetCreated,
    "endpoint/prod/fraud": e.EndpointCreated,
    "subscription/risk": e.SubscriptionCreated,
}


@pytest.mark.parametrize("stream", FIRST)
def test_a_stream_is_folded_by_its_kind(stream: str) -> None:
    kind, event = kind_of(stream), full(FIRST[stream])
    assert (kind.empty.sequence, kind.empty.exists, kind.empty.name) == (0, False, "")
    state = kind.evolve(kind.empty, event)
    assert (state.sequence, state.exists) == (1, True)
    assert state.name
    folded = kind.fold([event], kind.empty)
    assert (folded.sequence, folded.name) == (1, state.name)


def test_every_kind_is_tried_here() -> None:
    assert {stream.partition("/")[0] for stream in FIRST} == set(KINDS)


def test_nobody_decides_on_the_stream_of_the_log() -> None:
    with pytest.raises(Internal, match="unknown_kind"):
        kind_of("log/01jd3zk7m9")
