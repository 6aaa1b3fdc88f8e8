"""Publishing commands on Kafka, for pipelines that reach no registry over HTTP, or want their commands kept until one is up."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from regista.bus.chosen import chosen_kafka
from regista.bus.commands.transport import OverKafka
from regista.client.drivers import AsyncDriver
from regista.client.session import Session, to_json
from regista.client.settings import Settings, default_actor
from regista.client.writes import Writes
from regista.domain.errors import Invalid, Unavailable
from regista.domain.identifiers import new_id
from regista.wire.orders import BODILESS, CommandResult, Order

if TYPE_CHECKING:
    from regista.bus.commands.channel import Channel
    from regista.bus.settings import KafkaSettings


class Published:
    """A command that Kafka keeps. ``place`` says where: ``topic/partition/offset``."""

    def __init__(self, order: Order, place: str, answer: asyncio.Future[CommandResult], within: float) -> None:
        self.order = order
        self.place = place
        self._answer = answer
        self._within = within

    @property
    def command_id(self) -> str:
        """The command's id: publish it again with the same one where its result did not come."""
        return self.order.command_id

    async def result(self, timeout: float | None = None) -> CommandResult:  # noqa: ASYNC109 - what is known is told
        """What became of the command, done or refused: look at ``done``. Waits ``timeout`` seconds at most.

        Raises:
            Unavailable: ``result_not_seen``: the command is on Kafka, and may still be carried out.
        """
        seconds = self._within if timeout is None else timeout
        await asyncio.wait([self._answer], timeout=seconds)
        if self._answer.done() and not self._answer.cancelled():
            return self._answer.result()
        raise Unavailable(
            f"Command {self.command_id} is on Kafka at {self.place}; no result came within {seconds:g} s.",
            code="result_not_seen",
            hint="It is carried out once a registrar reads it. Ask result() again, publish it again with the same "
            "command_id, which is harmless, or ask the registry: GET /v1/commands/{id}.",
        )


class CommandPublisher(Writes, AsyncDriver):
    """Commands over Kafka, with the write methods of ``AsyncClient``.

    ::

        async with CommandPublisher("127.0.0.1:9092", actor="ci/train") as commands:
            await commands.promote("fraud", "1.4.0", to="staging", reason="nightly")        # waits for the result
            sent = await commands.send("Archive", {"model": "fraud", "ref": "1.2.0"}, reason="superseded")
            print(sent.command_id, (await sent.result()).status)

    A method publishes, waits for the result up to ``timeout`` seconds, and returns what ``AsyncClient`` would or raises
    the refusal. ``publish`` and ``send`` return as soon as Kafka keeps the command. Files are not sent this way: upload
    them to a registry first and name them by digest, as over HTTP.

    ``kafka`` is ``HOST:PORT``, with all else from ``REGISTA_KAFKA_…``, or a ``KafkaSettings``; ``actor`` is
    ``REGISTA_ACTOR`` unless given.

    Raises:
        Invalid: ``bad_settings``, ``extra_missing``.
    """

    def __init__(
        self, kafka: str | KafkaSettings | None = None, *, actor: str | None = None, timeout: float = 30.0
    ) -> None:
        self._kafka = chosen_kafka(kafka, "publishing on")
        self._within = timeout
        self._channel: Channel | None = None
        settings = Settings(actor=actor or default_actor(), deadline=timeout, attempts=1, fresh=False)
        super().__init__(Session(settings), OverKafka(self._carry_out))

    @property
    def actor(self) -> str:
        """Who gives the commands."""
        return self._session.settings.actor

    async def __aenter__(self) -> Self:
        """Connect: results of commands published from now on are heard.

        Raises:
            Unavailable: Kafka does not answer, or lacks the topics.
            Forbidden, Unauthenticated: it does not allow it.
        """
        from regista.bus.commands.channel import Channel  # noqa: PLC0415 - needs the client of Kafka

        channel = Channel(self._kafka)
        try:
            await channel.open()
        except BaseException:
            await channel.close()
            raise
        self._channel = channel
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()
        await self.aclose()

    async def publish(self, order: Order) -> Published:
        """Publish a command. Once this returns, Kafka keeps it; publishing it again is harmless.

        Raises:
            Unavailable: ``not_published``: whether Kafka has it is not known.
            TooLarge, Invalid: it can never be published; ``secret_over_kafka``.
            Forbidden, Unauthenticated: Kafka does not allow it.
        """
        if order.gives_secrets:
            raise Invalid(
                f"{order.type} gives a secret, and a topic forgets nothing.",
                code="secret_over_kafka",
                hint="Nothing was published. Send it over HTTP: regista.Client has the same methods.",
            )
        if self._channel is None:
            raise Invalid("The publisher is not open.", code="not_open", hint="async with CommandPublisher(…) as …:")
        answer = self._channel.expect(order)
        try:
            place = await self._channel.send(order, self._within)
        except BaseException:
            self._channel.forget(order, answer)
            raise
        return Published(order, place, answer, self._within)

    async def send(
        self,
        type: str,  # noqa: A002 - the name in the record
        target: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        *,
        reason: str | None = None,
        parameters: Mapping[str, str] | None = None,
        command_id: str | None = None,
        if_match: int | str | None = None,
        expires_in: timedelta | None = None,
        cause: str | None = None,
    ) -> Published:
        """Publish a command of any type: ``target`` and ``parameters`` are what the API has in path and query.

        ``expires_in``: a registrar that first sees it later refuses it. ``cause``: the event that led to it, as
        ``<stream>@<sequence>``.

        Raises:
            RegistaError: as ``publish``.
        """
        has_body = type not in BODILESS
        return await self.publish(
            Order(
                command_id=command_id or new_id(),
                actor=self.actor,
                type=type,
                target=target or {},
                parameters=parameters or {},
                body=to_json(body or {}).decode() if has_body or body else None,
                reason=reason,
                if_match=f'"{if_match}"' if isinstance(if_match, int) else if_match,
                expires_at=None if expires_in is None else datetime.now(UTC) + expires_in,
                cause=cause,
            )
        )

    async def _carry_out(self, order: Order) -> CommandResult:
        sent = await self.publish(order)
        return await sent.result()
