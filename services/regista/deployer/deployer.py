"""All of a deployer: it follows the log, deploys, looks, reports, and lets endpoints follow stages and aliases."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from regista.deployer import follower
from regista.deployer.attempts import Pace
from regista.deployer.effects import NAME, Deployments
from regista.deployer.follower import Followers
from regista.deployer.observer import Observer
from regista.deployer.opening import OpenTargets, Surroundings
from regista.deployer.runner import Runner
from regista.domain.errors import Reason
from regista.http.parts import Part, PartState
from regista.projections.feed import Feed
from regista.tasks import Tasks
from regista.work.consumer import Consumer, End
from regista.work.database import Work
from regista.work.outbox import Sender

if TYPE_CHECKING:
    from regista.client import AsyncClient

ACTORS: Final = {NAME: "system:deployer", follower.NAME: "system:follower"}
_REPORTS_LINGER: Final = 0.1
"""Seconds: a report hinders no call of a target, and many at once cost little more than one."""


@dataclass(frozen=True, slots=True)
class Tempo:
    """``pace`` of deployments, and the seconds between two looks at what runs."""

    pace: Pace = field(default_factory=Pace)
    look_every: float = 30.0


class Deployer:
    """Deploys while it is entered by ``start`` and until ``close``. Belongs to one event loop.

    Several on one work database are safe: one works, the others stand by.
    """

    def __init__(
        self,
        work: Work,
        feed: Feed,
        clients: Callable[[str], AsyncClient],
        around: Surroundings,
        *,
        tempo: Tempo | None = None,
        start: int | None = None,
        end: End | None = None,
    ) -> None:
        """``clients`` makes a client of the registry for an actor; ``start`` and ``end`` are as of ``Consumer``."""
        tempo = tempo or Tempo()
        self._clients = {name: clients(actor) for name, actor in ACTORS.items()}
        self._reports = Sender(work, NAME, self._clients[NAME], linger=_REPORTS_LINGER)
        self._follows = Sender(work, follower.NAME, self._clients[follower.NAME], nothing_to_do=follower.NOTHING_TO_DO)
        self._targets = OpenTargets(around)
        self._deploying = Consumer(work, Deployments(self._recorded), feed, start=start, end=end)
        self._following = Consumer(work, Followers(self._follows.wake), feed, start=start, end=end)
        taking = self._deploying.taking
        self._runner = Runner(work, taking, self._targets, pace=tempo.pace, reported=self._reports.wake)
        self._observer = Observer(
            work, taking, self._targets, self._runner, every=tempo.look_every, reported=self._reports.wake
        )

    @property
    def consumers(self) -> tuple[Consumer, ...]:
        """What follows the log: of deployments, and of what endpoints follow."""
        return self._deploying, self._following

    @property
    def parts(self) -> tuple[Part, ...]:
        """For the status of a process that does much beside it."""
        return self.parts_of(hindering=False)

    def parts_of(self, *, hindering: bool) -> tuple[Part, ...]:
        """For the status; ``hindering``: what hinders deployments hinders the process."""
        return DeployerPart(self, hindering=hindering), FollowerPart(
            self._following, self._follows, hindering=hindering
        )

    @property
    def runner(self) -> Runner:
        """What deploys."""
        return self._runner

    @property
    def reports(self) -> Sender:
        """What tells the registry of deployments."""
        return self._reports

    @property
    def follows(self) -> Sender:
        """What lets endpoints follow."""
        return self._follows

    def start(self, tasks: Tasks, *, following: bool = True) -> None:
        """Run everything; with ``following`` false somebody else brings the events to ``consumers``."""
        if following:
            for consumer in self.consumers:
                tasks.start(consumer.taking.name, consumer.run())
        tasks.start("the deployments", self._runner.run())
        tasks.start("the looks at what runs", self._observer.run())
        tasks.start("the reports of deployments", self._reports.run())
        tasks.start("the commands of followers", self._follows.run())

    async def rest(self) -> None:
        """Begin nothing more; what is under way is finished where that is soon, else by the next process.

        Before the place is left: whoever takes it would give targets what is newer, and this one what is older then.
        """
        await asyncio.gather(self._runner.close(), self._observer.close())
        await self._runner.ended()

    async def close(self) -> None:
        """End everything, after ``rest``."""
        await self.rest()
        await asyncio.gather(*(consumer.close() for consumer in self.consumers))
        await asyncio.gather(self._reports.close(), self._follows.close())

    async def release(self) -> None:
        """Let go of targets and connections, once all has ended."""
        await self._targets.close()
        await asyncio.gather(*(client.aclose() for client in self._clients.values()))

    def _recorded(self) -> None:
        self._runner.wake()
        self._reports.wake()  # what was replaced is reported too


class DeployerPart:
    """The deployments, as the status shows them."""

    name = NAME

    def __init__(self, deployer: Deployer, *, hindering: bool) -> None:
        self._deployer = deployer
        self._hindering = hindering

    def state(self) -> PartState:
        """How they stand. An overdue one hinders where deploying is all that the process does."""
        consumer = self._deployer.consumers[0].status()
        counts, reports = self._deployer.runner.counts, self._deployer.reports.status()
        trouble = self._deployer.runner.trouble
        shown = {
            "state": consumer.state,
            "position": consumer.position,
            "effects_from": consumer.effects_from,
            "pending": counts.pending,
            "running": counts.running,
            "overdue": counts.overdue,
            "failed": counts.failed,
            "reports_waiting": reports.waiting,
            "reports_refused": reports.refused,
            "code": consumer.code or (trouble.code if trouble else None) or reports.code,
            "error": consumer.error or (trouble.detail if trouble else None) or reports.error,
            "hint": consumer.hint,
        }
        if not self._hindering:
            return PartState(shown)
        return PartState(shown, self._hindrance(shown))

    def _hindrance(self, shown: dict[str, Any]) -> Reason | None:
        if shown["error"] is not None:
            return Reason(str(shown["code"]), str(shown["error"]), self.name, shown["hint"])
        if shown["overdue"]:
            words = f"{shown['overdue']} deployments are overdue"
            return Reason("deployments_overdue", words, self.name, "The log output and the endpoints' reports say why.")
        return None


class FollowerPart:
    """The endpoints that follow stages and aliases, as the status shows them."""

    name = follower.NAME

    def __init__(self, consumer: Consumer, sender: Sender, *, hindering: bool) -> None:
        self._consumer = consumer
        self._sender = sender
        self._hindering = hindering

    def state(self) -> PartState:
        """How it stands."""
        consumer, sender = self._consumer.status(), self._sender.status()
        code, error = consumer.code or sender.code, consumer.error or sender.error
        shown = {
            "state": consumer.state,
            "position": consumer.position,
            "effects_from": consumer.effects_from,
            "waiting": sender.waiting,
            "refused": sender.refused,
            "code": code,
            "error": error,
            "hint": consumer.hint,
        }
        hindrance = Reason(code or "follower", error, self.name, consumer.hint) if error is not None else None
        return PartState(shown, hindrance if self._hindering else None)
