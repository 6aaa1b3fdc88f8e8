"""How one registry is: its log, its views, its writes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from regista.domain.errors import Reason, Unavailable
from regista.http.parts import Part
from regista.projections.generations import ViewState
from regista.projections.projection import Projection, ProjectorState
from regista.store.log import LogReader, newest_known
from regista.wire.resources import Head, Status, ViewStatus


class RegistryCondition:
    """Implements ``Condition`` over the parts of a running registry."""

    def __init__(
        self,
        version: str,
        log: LogReader,
        projector: Projection,
        *,
        check_writable: Callable[[], None],
        parts: Sequence[Part] = (),
    ) -> None:
        self._version = version
        self._log = log
        self._projector = projector
        self._check_writable = check_writable
        self._parts = parts
        self._started_at = datetime.now(UTC)

    def log_position(self) -> int:
        """The newest position; 0 while the log cannot be read."""
        return newest_known(self._log)

    def views(self) -> list[ViewStatus]:
        """How the views stand."""
        return view_statuses(self._projector.status(), self.log_position())

    def status(self, writes: str) -> Status:
        """All of it."""
        state = self._projector.status()
        return Status(
            version=self._version,
            log_id=self._log.log_id,
            log_position=self.log_position(),
            head=Head(position=state.head.position, count=state.head.count, digest=state.head.digest.hex()),
            views=self.views(),
            writes=writes,
            started_at=self._started_at,
            components={
                "projector": {
                    "error": state.error,
                    "hint": state.hint,
                    "rebuilding": state.rebuilding,
                    "skips": [asdict(skip) for skip in state.skips],
                },
                **{part.name: dict(part.state().shown) for part in self._parts},
            },
        )

    def hindrances(self) -> list[Reason]:
        """What the parts beside the registrar and the views say hinders them."""
        found = (part.state().hindrance for part in self._parts)
        return [hindrance for hindrance in found if hindrance is not None]

    async def check_writes(self) -> None:
        """Take the log's write lock and give it back, in a thread.

        Raises:
            Unavailable, Damaged: it cannot be written.
        """
        await asyncio.to_thread(self._check_writable)

    async def check_reads(self, within: float) -> None:
        """Wait for the views as a fresh read does.

        Raises:
            Unavailable: ``views_behind``, or why the log cannot be read.
        """
        end = await asyncio.to_thread(self._log.max_position)
        if not await self._projector.wait_for(end, within):
            state = self._projector.status()
            why = state.error or f"the views did not reach position {end} within {within:g} s"
            raise Unavailable(why, code="views_behind", hint=state.hint or "GET /v1/status shows every view")


def view_statuses(state: ProjectorState, end: int) -> list[ViewStatus]:
    """How views stand beside a log that ends at ``end``."""
    return [
        ViewStatus(
            name=view.name,
            version=view.version,
            position=view.position,
            lag=max(0, end - view.position),
            state=view.state,
            error=view.error,
            hint=_hint(view),
        )
        for view in state.views
    ]


def _hint(view: ViewState) -> str | None:
    if view.stands_before is None:
        return None
    return (
        f"Upgrade to a release that can apply position {view.stands_before}; or let the view pass over it: "
        f"regista skip {view.stands_before} --view {view.name} --reason WHY"
    )
