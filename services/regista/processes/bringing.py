"""The events of the topic, brought to what follows them: first what is there already, then, by Faust, what comes.

Of several processes that share a work database one works, by its lock. Those that have one each would know nothing of
what the others took: one follows, and the others stand by until its group is empty. Where several come upon an empty
group at once, the group decides: what is there already is taken by the one that the events were assigned to.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from socket import gethostname
from typing import TYPE_CHECKING, Final

from regista.domain.chain import Row
from regista.domain.errors import Damaged, Forbidden, Unavailable
from regista.projections.feed import Feed
from regista.projections.waiting import Pause
from regista.settings import Settings
from regista.work.consumer import BATCH, Consumer, Overtaken
from regista.work.database import Work
from regista.work.taking import take_together

if TYPE_CHECKING:
    from regista.deployer.app import Count, EventsApp

_PATIENCE: Final = 30.0
"""Seconds that the work database, or the broker of the group, may be away before the process ends, for whoever watches it to start it anew."""
_AGAIN: Final = 0.5
_LOOK_EVERY: Final = 1.0
_SHARED: Final = "shared"
logger = logging.getLogger("regista.workers")


class Bringing:
    """Brings events to ``consumers``, and records of what is measured to ``count``. ``tick`` is called once a second.

    ``begins`` is called when it begins only after others had worked: what these were brought has no effects here.
    """

    def __init__(
        self,
        settings: Settings,
        work: Work,
        feed: Feed,
        consumers: Sequence[Consumer],
        *,
        tick: Callable[[], None],
        count: Count,
        begins: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._settings = settings
        self._work = work
        self._feed = feed
        self._consumers = consumers
        self._tick = tick
        self._count = count
        self._begins = begins
        self._place = _place_of(settings)
        self._pause = Pause()
        self._is_alone = self._is_told = self._is_forbidden = False
        self._is_assigned = self._place == _SHARED
        self._app: EventsApp | None = None

    async def run(self) -> None:
        """Catch up to the topic's end, as soon as nobody else can, then let Faust go on, until ``close``.

        Raises:
            Exception: what it cannot go on with.
        """
        try:
            from regista.deployer.app import EventsApp  # noqa: PLC0415 - an extra of its own
        except ModuleNotFoundError as error:
            raise Unavailable(
                "The packages for the deployer on Kafka are not installed.",
                code="extra_missing",
                hint="pip install 'regista[server,kafka,deployer]'",
            ) from error
        await self._stand_by()
        await self._await_log()
        if self._is_assigned:
            await self._catch_up()
        if self._pause.is_over:
            return
        await self._place_group()
        if self._pause.is_over:  # nobody would end what begins from here on
            return
        self._app = EventsApp(
            self._settings,
            self._settings.data,
            self._take,
            self._tick,
            self._count,
            place=self._place,
            assigned=self._assigned,
        )
        await self._app.run()

    async def close(self) -> None:
        """End ``run`` after what was brought."""
        self._pause.end()
        if self._app is not None:
            await self._app.close()

    async def _stand_by(self) -> None:
        """Return when nobody follows who has a work database of its own."""
        while not self._pause.is_over and not self._is_alone:
            await self._pause.until(self._look())
        if self._is_told and self._begins is not None and not self._pause.is_over:
            await self._begins()

    async def _await_log(self) -> None:
        """Return when the topic has its first event: by then it is known which log it is of."""
        while not self._pause.is_over:
            try:
                await self._feed.log_id()
            except Unavailable as error:
                if error.code == "log_empty":
                    await self._pause.until(asyncio.sleep(_AGAIN))
                    continue
            return

    async def _catch_up(self) -> None:
        """Take what is there already, with effects. What is to be done already is done from then on too."""
        for consumer in self._consumers:
            if not consumer.taking.is_claimed:
                await consumer.catch_up()

    async def _look(self) -> None:
        """Find out whether this one is alone; a moment later, where it is not or where that is not known yet."""
        try:
            found = await self._members()
        except Unavailable as error:
            logger.debug("whether another deployer works is not known yet: %s", error.detail)
            await asyncio.sleep(_AGAIN)
            return
        others = found - {self._name}
        self._is_alone = not others
        if found == {self._name}:  # left by a process that ended here: until it is given up nobody else follows
            self._is_assigned = True
        if others and not self._is_told:
            logger.warning("another deployer works, with a work database of its own: this one stands by")
            self._is_told = True
        if others:
            await asyncio.sleep(_LOOK_EVERY)

    @property
    def _name(self) -> str:
        """What those who work here are called in the group."""
        from regista.deployer.app import client_id  # noqa: PLC0415 - an extra of its own

        return client_id(self._settings, self._place)

    async def _members(self) -> frozenset[str]:
        """Those in the group, as far as this user may know.

        Raises:
            Unavailable: the group's broker does not answer.
        """
        from regista.bus.events.group import members  # noqa: PLC0415 - an extra of its own
        from regista.bus.topics.rights import deployer_id  # noqa: PLC0415 - as above

        try:
            return await members(self._settings, deployer_id(self._settings))
        except Forbidden as error:
            if not self._is_forbidden:
                logger.warning("whether another deployer works is not known: %s %s", error.detail, error.hint or "")
            self._is_forbidden = True
            return frozenset()

    async def _others_by_now(self) -> frozenset[str]:
        """Those in the group who work elsewhere, as soon as the group's broker answers.

        Raises:
            Unavailable: it does not for too long.
        """
        until = asyncio.get_running_loop().time() + _PATIENCE
        while True:
            try:
                return await self._members() - {self._name}
            except Unavailable:
                if asyncio.get_running_loop().time() > until:
                    raise
                await asyncio.sleep(_AGAIN)

    async def _place_group(self) -> None:
        from regista.bus.events.group import begin_behind  # noqa: PLC0415 - an extra of its own
        from regista.bus.topics.rights import deployer_id  # noqa: PLC0415 - as above

        try:
            if self._is_assigned:
                known = min(consumer.taking.mark.position for consumer in self._consumers)
            else:  # who is assigned the events catches up by itself first
                known = await self._feed.newest()
            await begin_behind(self._settings, "deployer", deployer_id(self._settings), known)
        except Unavailable as error:
            logger.warning("the group is not placed, it reads what is known already: %s", error.detail)

    async def _assigned(self, follows: bool) -> None:
        """Take what others were brought and acknowledged: Faust goes on behind that.

        Raises:
            Overtaken: another one follows, with a work database of its own.
            Damaged, Unavailable: as ``_take``.
        """
        if not follows:
            if await self._others_by_now():
                raise Overtaken(
                    "another deployer follows, with a work database of its own",
                    hint="This one stands by from its next start on. Deployers that share a database stand by at once.",
                )
            return
        await self._catch_up()
        if self._pause.is_over:
            await asyncio.Event().wait()  # nothing is taken any more, until this is cancelled
        for consumer in self._consumers:
            while rows := (await self._feed.read(consumer.taking.mark, BATCH)).rows:
                await self._taken((consumer,), rows)

    async def _take(self, log_id: str, rows: Sequence[Row]) -> None:
        """What Faust brings, to each that follows.

        Raises:
            Overtaken, Damaged: the process cannot go on.
            Unavailable: the work database is away for too long.
        """
        known = self._consumers[0].status().log_id
        if log_id != known:
            raise Damaged(
                f"the topic is of the log {log_id} by now, not of {known}",
                code="log_replaced",
                hint="The next start follows it anew.",
            )
        await self._taken(self._consumers, rows)

    async def _taken(self, consumers: Sequence[Consumer], rows: Sequence[Row]) -> None:
        until = asyncio.get_running_loop().time() + _PATIENCE
        takings = [consumer.taking for consumer in consumers]
        tried = False
        while True:
            try:
                if tried:
                    for taking in takings:
                        await taking.renew(rows)
                tried = True
                await take_together(self._work, takings, rows)
            except Unavailable:  # whether the commit came through is known only to the database
                if asyncio.get_running_loop().time() > until:
                    raise
                await asyncio.sleep(_AGAIN)
            else:
                return


def _place_of(settings: Settings) -> str:
    """What tells work databases apart: those of SQLite lie somewhere, that of PostgreSQL is everybody's."""
    if settings.log_url is not None:
        return _SHARED
    return sha256(f"{gethostname()}:{settings.data.resolve()}".encode()).hexdigest()[:12]
