"""Finding out whether a registry is ready keeps nobody else waiting."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from regista.domain.errors import Reason
from regista.http.status import Readiness
from regista.wire.resources import Status, ViewStatus


class SlowLog:
    """The condition of a registry whose log is asked over a network when one wants to know how far the views are."""

    def __init__(self) -> None:
        self.asked_in: threading.Thread | None = None

    def status(self, writes: str) -> Status:
        raise NotImplementedError

    def views(self) -> Sequence[ViewStatus]:
        self.asked_in = threading.current_thread()
        return ()

    def hindrances(self) -> Sequence[Reason]:
        return ()

    async def check_writes(self) -> None:
        return

    async def check_reads(self, within: float) -> None:
        assert within > 0


async def test_the_event_loop_does_not_wait_for_how_far_the_views_are() -> None:
    condition = SlowLog()
    assert await Readiness(condition).hindrances() == []
    assert condition.asked_in not in (None, threading.current_thread())
