"""What can be asked of a registry: models, versions, events, lineage, differences."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from regista.client.bind import listing, read, stream
from regista.client.calls import Emitting, List, Read, ReadText
from regista.client.deployment_reads import DeploymentReads
from regista.client.errors import Unreachable
from regista.client.exchange import Emit, Steps
from regista.client.follow import follow
from regista.client.retry import send
from regista.client.session import Moment, Session, path
from regista.client.subscriptions import SubscriptionReads
from regista.domain.errors import Unavailable
from regista.wire.relations import Comparison, Diff, Lineage
from regista.wire.resources import (
    Alias,
    Event,
    EventPage,
    Model,
    Page,
    StageTenure,
    Status,
    Version,
    VersionSummary,
    Written,
)

Direction = Literal["upstream", "downstream", "both"]
Order = Literal["asc", "desc"]


@dataclass(frozen=True, slots=True)
class EventList:
    """The list of events, which is paged by position."""

    query: dict[str, object] = field(default_factory=dict)

    def perform(self, session: Session) -> Steps[Page[Event]]:
        """Get one page; ``next`` is the position to go on after, as text."""
        page = yield from self._page(session, self.query.get("after"))
        return Page[Event](items=page.items, next=None if page.next is None else str(page.next))

    def walk(self, session: Session) -> Steps[None]:
        """Emit every event up to the end of the log as it is then."""
        after = self.query.get("after")
        while True:
            page = yield from self._page(session, after)
            yield Emit(page.items)
            if page.next is None:
                return
            after = page.next

    def _page(self, session: Session, after: object) -> Steps[EventPage]:
        return session.ask(session.reading("/v1/events", {**self.query, "after": after}), EventPage)


@dataclass(frozen=True, slots=True)
class Visible:
    """One attempt to read at a position."""

    position: int | None

    def perform(self, session: Session) -> Steps[bool]:
        """Ask once: the registry waits by itself."""
        if self.position is not None:
            session.saw(self.position)
        request = session.reading("/v1/events", {"limit": 1})
        try:
            yield from send(request, replace(session.patience, attempts=1))
        except (Unavailable, Unreachable):
            return False
        return True


class Reads(DeploymentReads, SubscriptionReads):
    """The queries, of both clients; others are in ``deployment_reads`` and ``subscriptions``.

    ``at`` is a position of the log, or a time with its zone.
    """

    @read
    def model(self, model: str, *, at: Moment | None = None) -> Read[Model]:
        """A model: who holds its stages and aliases, how many versions it has, now or at a moment in the past."""
        return Read(Model, path("models", model), {"at": at})

    @listing
    def models(self, *, page_size: int | None = None, page_token: str | None = None) -> List[Model]:
        """All models, by name."""
        return List(Page[Model], path("models"), {"limit": page_size}, page_token)

    @read
    def version(self, model: str, ref: str, *, at: Moment | None = None) -> Read[Version]:
        """Everything known of a version. ``ref``: ``1.4.0``, ``7``, ``@champion``, ``@production``, ``sha256:…``."""
        return Read(Version, path("models", model, "versions", ref), {"at": at})

    @listing
    def versions(
        self,
        model: str,
        filter: str | None = None,  # noqa: A002 - the name in the API
        *,
        order: Order | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
    ) -> List[VersionSummary]:
        """The versions of a model that a filter lets through, the newest first."""
        query = {"filter": filter, "order": order, "limit": page_size}
        return List(Page[VersionSummary], path("models", model, "versions"), query, page_token)

    @read
    def alias(self, model: str, alias: str, *, at: Moment | None = None) -> Read[Alias]:
        """Where an alias points."""
        return Read(Alias, path("models", model, "aliases", alias), {"at": at})

    @listing
    def aliases(
        self,
        model: str,
        *,
        at: Moment | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
    ) -> List[Alias]:
        """The aliases of a model, by name."""
        return List(Page[Alias], path("models", model, "aliases"), {"at": at, "limit": page_size}, page_token)

    @listing
    def stage(
        self,
        model: str,
        stage: str,
        *,
        at: Moment | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
    ) -> List[StageTenure]:
        """What held a stage when, the newest first; with ``at`` only what held it then."""
        query = {"at": at, "limit": page_size}
        return List(Page[StageTenure], path("models", model, "stages", stage), query, page_token)

    @listing
    def search(
        self,
        filter: str | None = None,  # noqa: A002 - the name in the API
        *,
        page_size: int | None = None,
        page_token: str | None = None,
    ) -> List[VersionSummary]:
        """Versions of all models that a filter lets through: ``tags.team = 'risk' AND metrics.auc > 0.9``."""
        return List(Page[VersionSummary], path("versions"), {"filter": filter, "limit": page_size}, page_token)

    @listing
    def events(
        self,
        *,
        after: int | None = None,
        model: str | None = None,
        stream: str | None = None,
        actor: str | None = None,
        type: str | None = None,  # noqa: A002 - the name in the API
        since: Moment | None = None,
        until: Moment | None = None,
        version: str | None = None,
        endpoint: str | None = None,
        environment: str | None = None,
        order: Order | None = None,
        page_size: int | None = None,
    ) -> EventList:
        """The events of the log in order, behind a position, up to the present end.

        ``type`` may be short (``version.promoted``); ``version``, with ``model``, names those that touched a version.
        ``endpoint`` is written ``prod/fraud``; ``environment`` means it and all endpoints in it.
        With ``order="desc"`` the newest come first, and ``after`` means before.
        """
        return EventList(
            {
                "after": after,
                "model": model,
                "stream": stream,
                "actor": actor,
                "type": type,
                "since": since,
                "until": until,
                "version": version,
                "endpoint": endpoint,
                "environment": environment,
                "order": order,
                "limit": page_size,
            }
        )

    @listing
    def history(self, model: str, *, after: int | None = None, page_size: int | None = None) -> EventList:
        """All that ever happened to a model, oldest first: when, who, what, why."""
        return EventList({"model": model, "after": after, "limit": page_size})

    @stream
    def follow(
        self,
        *,
        after: int = 0,
        model: str | None = None,
        stream: str | None = None,
        actor: str | None = None,
        type: str | None = None,  # noqa: A002 - the name in the API
    ) -> Emitting[Event]:
        """The events behind a position, and then each as it becomes visible, without end.

        A connection that breaks is opened again behind the last event received: none is missed, none comes twice. The
        iteration ends with ``Unreachable`` when the registry does not come back within the deadline.
        """
        query = {"model": model, "stream": stream, "actor": actor, "type": type}
        return Emitting(lambda session: follow(session, after, query))

    @read
    def lineage(self, node: str, *, direction: Direction | None = None, depth: int | None = None) -> Read[Lineage]:
        """What a node was made of, and what was made of it. ``node``: ``version:fraud/1.4.0``, ``code:<commit>``."""
        return Read(Lineage, path("lineage"), {"node": node, "direction": direction, "depth": depth})

    @read
    def lineage_diagram(
        self,
        node: str,
        *,
        format: Literal["mermaid", "dot"] = "mermaid",  # noqa: A002 - the name in the API
        direction: Direction | None = None,
        depth: int | None = None,
    ) -> ReadText:
        """The same as the text of a diagram."""
        query = {"node": node, "direction": direction, "depth": depth, "format": format}
        return ReadText(path("lineage"), query)

    @read
    def compare(self, left: str, right: str) -> Read[Comparison]:
        """What differs between two versions, each written ``MODEL/REF``."""
        return Read(Comparison, path("compare"), {"left": left, "right": right})

    @read
    def diff(self, start: Moment, end: Moment | None = None, *, model: str | None = None) -> Read[Diff]:
        """What changed hands between two moments; ``end`` is now unless it is given."""
        return Read(Diff, path("diff"), {"from": start, "to": end, "model": model})

    @read
    def status(self) -> Read[Status]:
        """How the registry stands: log, views, whether it takes writes."""
        return Read(Status, path("status"), fresh=False)

    @read
    def command(self, command_id: str) -> Read[Written]:
        """What became of a write of this actor, by its idempotency key. A refused one leaves no trace."""
        return Read(Written, path("commands", command_id), fresh=False)

    @read
    def visible(self, position: int | None = None) -> Visible:
        """Whether the registry's views hold a position (left out: all that this client has seen); waits up to 2 s."""
        return Visible(position)
