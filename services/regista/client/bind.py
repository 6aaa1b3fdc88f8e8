"""How an operation that is written once becomes a method of both clients, with the right type in each.

``@read``, ``@write``, ``@listing`` and ``@stream`` are descriptors. On a ``Client`` an operation returns its answer, on
an ``AsyncClient`` something to await; type checkers see which from the class of the client.

* a write also has ``client.promote.dry_run(…)``: the events it would append, nothing more;
* a list iterates over everything, and has ``client.models.page(…)`` for one page.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, ClassVar, Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload

from regista.client.calls import Emitting, Listable, Performable, Plannable
from regista.client.drivers import AsyncDriver, SyncDriver
from regista.wire.resources import Page, Plan

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class WriteMethod(Protocol[P, T_co]):
    """A write of a ``Client``: call it to make it, ``dry_run`` to see what it would do."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """Make the write."""
        ...

    def dry_run(self, *args: P.args, **kwargs: P.kwargs) -> Plan:
        """The events that the write would append. Nothing is changed; what would be refused is refused."""
        ...


class AsyncWriteMethod(Protocol[P, T_co]):
    """A write of an ``AsyncClient``: await it to make it, await ``dry_run`` to see what it would do."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T_co]:
        """Make the write."""
        ...

    def dry_run(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, Plan]:
        """The events that the write would append. Nothing is changed; what would be refused is refused."""
        ...


class ListMethod(Protocol[P, T]):
    """A list of a ``Client``: call it to iterate over everything, ``page`` for one page."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        """Every item, fetched page by page as they are used up."""
        ...

    def page(self, *args: P.args, **kwargs: P.kwargs) -> Page[T]:
        """One page; its ``next`` is the ``page_token`` of the following one, None on the last."""
        ...


class AsyncListMethod(Protocol[P, T]):
    """A list of an ``AsyncClient``: ``async for`` over everything, await ``page`` for one page."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        """Every item, fetched page by page as they are used up."""
        ...

    def page(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, Page[T]]:
        """One page; its ``next`` is the ``page_token`` of the following one, None on the last."""
        ...


class _Bound:
    """An operation of one client. What its methods return follows from the client's driver."""

    def __init__(self, function: Callable[..., Any], client: SyncDriver | AsyncDriver) -> None:
        self._function = function
        self._client = client
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__

    @property
    def __signature__(self) -> inspect.Signature:
        whole = inspect.signature(self._function)
        return whole.replace(parameters=list(whole.parameters.values())[1:])

    def _describe(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 - a call of its kind
        return self._function(self._client, *args, **kwargs)

    def _perform(self, call: Performable[Any]) -> Any:  # noqa: ANN401 - the answer, or something to await
        return self._client._run(call.perform(self._client._session))  # noqa: SLF001 - the client it is bound to


class _BoundRead(_Bound):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - typed by read.__get__
        return self._perform(self._describe(args, kwargs))


class _BoundWrite(_Bound):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - typed by write.__get__
        if "dry_run" in kwargs:
            raise TypeError(f"a dry run is a method of its own: client.{self.__name__}.dry_run(…) returns the plan")
        return self._perform(self._describe(args, kwargs))

    def dry_run(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - typed by write.__get__
        return self._client._run(self._describe(args, kwargs).plan(self._client._session))  # noqa: SLF001 - as above


class _BoundList(_Bound):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - typed by listing.__get__
        return self._client._iterate(self._describe(args, kwargs).walk(self._client._session))  # noqa: SLF001 - as above

    def page(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - typed by listing.__get__
        return self._perform(self._describe(args, kwargs))


class _BoundStream(_Bound):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - typed by stream.__get__
        return self._client._iterate(self._describe(args, kwargs).steps(self._client._session))  # noqa: SLF001 - as above


class _Operation:
    """What all decorators have in common: the name, the signature and the documentation of what they decorate."""

    bound: ClassVar[type[_Bound]]

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__
        self.__wrapped__ = function

    def _bind(self, client: SyncDriver | AsyncDriver | None) -> Any:  # noqa: ANN401 - typed by the overloads
        return self if client is None else self.bound(self._function, client)


class read(_Operation, Generic[P, T]):  # noqa: N801 - a decorator
    """An operation with one answer."""

    bound = _BoundRead

    def __init__(self, function: Callable[Concatenate[Any, P], Performable[T]]) -> None:
        super().__init__(function)

    @overload
    def __get__(self, client: None, owner: type) -> read[P, T]: ...
    @overload
    def __get__(self, client: SyncDriver, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: AsyncDriver, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, client: SyncDriver | AsyncDriver | None, owner: type) -> Any:
        return self._bind(client)


class write(_Operation, Generic[P, T]):  # noqa: N801 - a decorator
    """A write."""

    bound = _BoundWrite

    def __init__(self, function: Callable[Concatenate[Any, P], Plannable[T]]) -> None:
        super().__init__(function)

    @overload
    def __get__(self, client: None, owner: type) -> write[P, T]: ...
    @overload
    def __get__(self, client: SyncDriver, owner: type) -> WriteMethod[P, T]: ...
    @overload
    def __get__(self, client: AsyncDriver, owner: type) -> AsyncWriteMethod[P, T]: ...
    def __get__(self, client: SyncDriver | AsyncDriver | None, owner: type) -> Any:
        return self._bind(client)


class listing(_Operation, Generic[P, T]):  # noqa: N801 - a decorator
    """A list, page by page."""

    bound = _BoundList

    def __init__(self, function: Callable[Concatenate[Any, P], Listable[T]]) -> None:
        super().__init__(function)

    @overload
    def __get__(self, client: None, owner: type) -> listing[P, T]: ...
    @overload
    def __get__(self, client: SyncDriver, owner: type) -> ListMethod[P, T]: ...
    @overload
    def __get__(self, client: AsyncDriver, owner: type) -> AsyncListMethod[P, T]: ...
    def __get__(self, client: SyncDriver | AsyncDriver | None, owner: type) -> Any:
        return self._bind(client)


class stream(_Operation, Generic[P, T]):  # noqa: N801 - a decorator
    """An operation that emits as it goes."""

    bound = _BoundStream

    def __init__(self, function: Callable[Concatenate[Any, P], Emitting[T]]) -> None:
        super().__init__(function)

    @overload
    def __get__(self, client: None, owner: type) -> stream[P, T]: ...
    @overload
    def __get__(self, client: SyncDriver, owner: type) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, client: AsyncDriver, owner: type) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, client: SyncDriver | AsyncDriver | None, owner: type) -> Any:
        return self._bind(client)
