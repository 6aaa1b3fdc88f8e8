"""What follows from an event for targets: pure, and the same however the events come in batches."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from regista.deployer import following
from regista.deployer.reactions import Endpoint, Intent, TargetDefinition, of_endpoint, of_target
from regista.domain import events as e
from regista.work.logged import Logged

STREAM = "endpoint/prod/fraud"
ONE = e.Variant("1.0.0", 1, f"sha256:{1:064x}", "champion", 10_000, 0, None)
TWO = e.Variant("2.0.0", 2, f"sha256:{2:064x}", "champion", 10_000, 0, None)


class Log:
    """Events as they are taken, numbered as the log would."""

    def __init__(self) -> None:
        self.position = 100
        self.sequences: dict[str, int] = {}
        self.endpoint: Endpoint | None = None
        self.intents: list[Intent] = []

    def logged(self, event: e.Event, stream: str = STREAM) -> Logged:
        self.position += 7  # gaps are allowed
        self.sequences[stream] = self.sequences.get(stream, 0) + 1
        return Logged(
            self.position, stream, self.sequences[stream], datetime(2026, 1, 1, tzinfo=UTC), "ada", "asserted", "why",
            "id", None, event.TYPE, event, "", "log-1", "", None,
        )  # fmt: skip

    def happens(self, event: e.Event) -> tuple[Intent, ...]:
        self.endpoint, intents = of_endpoint(self.endpoint, self.logged(event))
        self.intents += intents
        return intents


def created(*targets: str) -> e.EndpointCreated:
    return e.EndpointCreated("prod", "fraud", "fraud", targets, None, False, (), "")


def updated(*targets: str, follow: str | None = None, before: str | None = None) -> e.EndpointUpdated:
    return e.EndpointUpdated("prod", "fraud", "fraud", targets, follow, False, (), "", (), before, False, (), "")


def served(*variants: e.Variant) -> e.TrafficChanged:
    return e.TrafficChanged("prod", "fraud", "fraud", variants, None, (), None, None)


RETIRED = e.EndpointRetired("prod", "fraud", "fraud", (), None, None)
REPORTED = e.DeploymentReported("prod", "fraud", "fraud", "edge", 2, "succeeded", (), "", 1, None, None)


def given(intents: Sequence[Intent]) -> dict[str, tuple[e.Variant, ...]]:
    return {intent.target: intent.variants for intent in intents}


def test_every_target_is_given_the_whole_set_of_each_change() -> None:
    log = Log()
    assert log.happens(created("a", "b")) == ()
    assert given(log.happens(served(ONE))) == {"a": (ONE,), "b": (ONE,)}
    back = e.EndpointRolledBack("prod", "fraud", "fraud", (TWO,), 2, (ONE,), None, 2)
    intents = log.happens(back)
    assert given(intents) == {"a": (TWO,), "b": (TWO,)}
    assert {(i.change, i.order, i.cause, i.actor, i.reason) for i in intents} == {(3, 3, f"{STREAM}@3", "ada", "why")}


def test_targets_that_join_and_leave_are_told_by_the_event_and_report_on_the_change() -> None:
    log = Log()
    log.happens(created("a"))
    assert log.happens(updated("a", "b")) == ()  # nothing is served yet
    log.happens(served(ONE))
    intents = log.happens(updated("B", "c"))
    assert given(intents) == {"c": (ONE,), "a": ()}
    assert {(i.change, i.order) for i in intents} == {(3, 4)}
    assert log.happens(updated("b", "c")) == ()  # in another spelling it is the same


def test_a_retired_endpoint_is_taken_away_and_one_created_anew_starts_with_nothing() -> None:
    log = Log()
    log.happens(created("a"))
    log.happens(served(ONE))
    assert given(log.happens(RETIRED)) == {"a": ()}
    assert log.happens(created("a")) == ()
    assert log.happens(updated("a", "b")) == ()
    [intent] = [i for i in log.happens(served(TWO)) if i.target == "a"]
    assert intent.order > 3


def test_one_that_never_served_anything_has_nothing_to_take_away() -> None:
    log = Log()
    log.happens(created("a"))
    assert log.happens(RETIRED) == ()


def test_reports_cause_nothing() -> None:
    log = Log()
    log.happens(created("edge"))
    log.happens(served(ONE))
    assert log.happens(REPORTED) == ()


def test_what_a_target_is_given_is_newer_each_time() -> None:
    log = Log()
    for event in (
        created("a"), served(ONE), updated(), updated("a"), REPORTED, served(TWO), RETIRED, created("a"), served(ONE),
    ):  # fmt: skip
        log.happens(event)
    orders = [intent.order for intent in log.intents]
    assert orders == sorted(set(orders))
    assert [intent.position for intent in log.intents] == sorted({intent.position for intent in log.intents})


def test_a_changed_target_is_given_once_more_what_each_of_its_endpoints_serves() -> None:
    log = Log()
    log.happens(created("edge"))
    log.happens(served(ONE))
    change = e.TargetChanged("edge", "nginx", "", "{}", (), "http", "", "{}", ())
    before = TargetDefinition("edge", "http", "{}", ())
    assert log.endpoint is not None
    retired = Endpoint("endpoint/prod/old", "prod", "old", "fraud", ("edge",), retired=True)
    after, intents = of_target(before, [log.endpoint, retired], log.logged(change, "target/edge"))
    assert (after, given(intents)) == (TargetDefinition("edge", "nginx", "{}", ()), {"edge": (ONE,)})
    assert (intents[0].change, intents[0].cause) == (2, "target/edge@1")
    removed = e.TargetRemoved("edge", "nginx", "", "{}", ())
    gone, nothing = of_target(after, [], log.logged(removed, "target/edge"))
    assert (gone is not None and gone.removed, nothing) == (True, ())


def test_a_promotion_moves_the_stages_that_versions_enter_and_leave() -> None:
    gone = e.Displaced("1.0.0", 1, "archived")
    digest = f"sha256:{2:064x}"
    promoted = e.VersionPromoted("fraud", "2.0.0", 2, digest, "staging", "production", "1.0.0", (gone,), False)
    assert [(move.followed, move.version) for move in following.moved(promoted)] == [
        ("@production", "2.0.0"),
        ("@staging", None),
        ("@archived", None),
    ]
    own = e.VersionPromoted("fraud", "2.0.0", 2, digest, "candidate", "Canary-Ring".lower(), None, (), False)
    assert following.moved(own)[0].followed == "stage:canary-ring"


def test_an_endpoint_looks_when_it_begins_to_follow_something_else_and_only_then() -> None:
    log = Log()
    follower, looks = following.of_endpoint(None, log.logged(created("a")))
    assert (follower and follower.followed, looks) == (None, False)
    follower, looks = following.of_endpoint(follower, log.logged(updated("a", follow="@champion")))
    assert (follower and follower.followed, looks) == ("@champion", True)
    same = updated("b", follow="@champion", before="@champion")
    assert following.of_endpoint(follower, log.logged(same))[1] is False
    assert following.of_endpoint(follower, log.logged(RETIRED)) == (None, False)
