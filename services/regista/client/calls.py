"""What an operation is, written down once: one request and what answers it.

Most operations are a value of these classes and nothing more. Those of several requests are generators (``Steps``) and
join in through ``Performable`` and ``Plannable``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from regista.client.exchange import Emit, Steps
from regista.client.retry import send
from regista.client.session import Session, parse
from regista.wire.base import Resource
from regista.wire.resources import Page, Plan

R = TypeVar("R", bound=Resource)
S = TypeVar("S", bound=Resource)
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
IfMatch: TypeAlias = int | str | None
Structure: TypeAlias = Mapping[str, Any]
"""A part of a request as a mapping; the classes of ``regista.wire`` serve as well."""


class Performable(Protocol[T_co]):
    """An operation with one answer."""

    def perform(self, session: Session) -> Steps[T_co]:
        """Do it."""
        ...


class Plannable(Performable[T_co], Protocol[T_co]):
    """A write."""

    def plan(self, session: Session) -> Steps[Plan]:
        """Say which events it would append, and append nothing (``?dry_run=true``)."""
        ...


class Listable(Protocol[T]):
    """A list of the registry."""

    def perform(self, session: Session) -> Steps[Page[T]]:
        """Get one page."""
        ...

    def walk(self, session: Session) -> Steps[None]:
        """Emit every item, page by page."""
        ...


@dataclass(frozen=True, slots=True)
class Read(Generic[R]):
    """A GET. ``fresh`` where the answer comes from views, which may have to catch up first."""

    answer: type[R]
    path: str
    query: Mapping[str, object] = field(default_factory=dict)
    fresh: bool = True

    def perform(self, session: Session) -> Steps[R]:
        """Do it."""
        return session.ask(session.reading(self.path, self.query, fresh=self.fresh), self.answer)


@dataclass(frozen=True, slots=True)
class ReadText:
    """A GET whose answer is text, such as a diagram."""

    path: str
    query: Mapping[str, object] = field(default_factory=dict)

    def perform(self, session: Session) -> Steps[str]:
        """Do it."""
        response = yield from session.exchange(session.reading(self.path, self.query))
        return response.content.decode()


@dataclass(frozen=True, slots=True)
class List(Generic[R]):
    """A GET of a list. ``page`` is the opaque token of the first page wanted."""

    answer: type[Page[R]]
    path: str
    query: Mapping[str, object] = field(default_factory=dict)
    page: str | None = None

    def perform(self, session: Session) -> Steps[Page[R]]:
        """Get one page."""
        return session.ask(session.reading(self.path, {**self.query, "page": self.page}), self.answer)

    def walk(self, session: Session) -> Steps[None]:
        """Emit every item, page by page."""
        token = self.page
        while True:
            request = session.reading(self.path, {**self.query, "page": token})
            page = yield from session.ask(request, self.answer)
            yield Emit(page.items)
            if page.next is None:
                return
            token = page.next


@dataclass(frozen=True, slots=True)
class Write(Generic[R]):
    """A write in one request."""

    answer: type[R]
    method: str
    path: str
    body: Mapping[str, object] | None = None
    query: Mapping[str, object] = field(default_factory=dict)
    if_match: IfMatch = None
    command_id: str | None = None
    cause: str | None = None

    def perform(self, session: Session) -> Steps[R]:
        """Do it, once, however often it has to be sent."""
        return self._send(session, self.answer, self.query)

    def plan(self, session: Session) -> Steps[Plan]:
        """Say which events it would append."""
        return self._send(session, Plan, {**self.query, "dry_run": True})

    def _send(self, session: Session, answer: type[S], query: Mapping[str, object]) -> Steps[S]:
        request = session.writing(
            self.method,
            self.path,
            self.body,
            query=query,
            if_match=self.if_match,
            command_id=self.command_id,
            cause=self.cause,
        )
        return session.ask(request, answer)


@dataclass(frozen=True, slots=True)
class Ask(Generic[R]):
    """Something that is asked for and makes no event: it is sent once, for no key would tell that it came twice."""

    answer: type[R]
    path: str
    body: Mapping[str, object]

    def perform(self, session: Session) -> Steps[R]:
        """Ask for it.

        Raises:
            Unreachable: it may have been taken all the same: look before asking again.
        """
        patience = replace(session.patience, attempts=1)
        response = yield from send(session.writing("POST", self.path, self.body), patience)
        return parse(self.answer, response.content)


@dataclass(frozen=True, slots=True)
class Emitting(Generic[T]):
    """An operation that emits values of a type as it goes."""

    steps: Callable[[Session], Steps[None]]
