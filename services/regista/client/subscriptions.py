"""Webhooks: whom events are sent to, what was sent, and sending it again.

``types``, ``models``, ``streams``, ``environments`` and ``actors`` say which events: those that are in each of them; an
empty one lets every event through. Addresses and secrets are kept apart: nobody reads them back, and no event, answer
or topic has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from regista.client.bind import listing, read, write
from regista.client.calls import Ask, IfMatch, List, Read, Write
from regista.client.session import given, path
from regista.wire.resources import Page

if TYPE_CHECKING:
    from regista.wire import deliveries as w  # a tenth of the SDK's loading time, for types alone
    from regista.wire import deployment_views as v
    from regista.wire import subscriptions as s


class SubscriptionWrites:
    """The commands on subscriptions, of both clients."""

    @write
    def create_subscription(
        self,
        url: str,
        *,
        id: str | None = None,  # noqa: A002 - the name in the API
        secret: str | None = None,
        types: Sequence[str] | None = None,
        models: Sequence[str] | None = None,
        streams: Sequence[str] | None = None,
        environments: Sequence[str] | None = None,
        actors: Sequence[str] | None = None,
        template: Literal["cloudevents", "slack"] | None = None,
        description: str | None = None,
        reason: str | None = None,
        if_match: IfMatch = None,
        command_id: str | None = None,
        cause: str | None = None,
    ) -> Write[s.SubscriptionWritten]:
        """Have events sent to an address. The answer has the ``secret`` where it was made, this once and never again.

        ``secret`` is what deliveries are signed with: ``whsec_`` and 24 to 64 bytes in base64 (Standard Webhooks).
        """
        body = given(
            url=url,
            id=id,
            secret=secret,
            types=types,
            models=models,
            streams=streams,
            environments=environments,
            actors=actors,
            template=template,
            description=description,
            reason=reason,
        )
        return Write(_written(), "POST", path("subscriptions"), body, {}, if_match, command_id, cause)

    @write
    def update_subscription(
        self,
        subscription: str,
        *,
        url: str | None = None,
        types: Sequence[str] | None = None,
        models: Sequence[str] | None = None,
        streams: Sequence[str] | None = None,
        environments: Sequence[str] | None = None,
        actors: Sequence[str] | None = None,
        template: Literal["cloudevents", "slack"] | None = None,
        description: str | None = None,
        disabled: bool | None = None,
        reason: str | None = None,
        if_match: IfMatch = None,
        command_id: str | None = None,
        cause: str | None = None,
    ) -> Write[s.SubscriptionWritten]:
        """Change a subscription; what is left out stays. ``disabled``: nothing is sent; either way with a reason."""
        body = given(
            url=url,
            types=types,
            models=models,
            streams=streams,
            environments=environments,
            actors=actors,
            template=template,
            description=description,
            disabled=disabled,
            reason=reason,
        )
        where = path("subscriptions", subscription)
        return Write(_written(), "PATCH", where, body, {}, if_match, command_id, cause)

    @write
    def rotate_subscription_secret(
        self,
        subscription: str,
        *,
        secret: str | None = None,
        keep_seconds: int | None = None,
        reason: str | None = None,
        if_match: IfMatch = None,
        command_id: str | None = None,
        cause: str | None = None,
    ) -> Write[s.SubscriptionWritten]:
        """Sign with another secret; the one before counts for ``keep_seconds`` more (a day, unless said).

        The answer has the ``secret`` where it was made, this once and never again.
        """
        body = given(secret=secret, keep_seconds=keep_seconds, reason=reason)
        where = path("subscriptions", subscription, "rotate")
        return Write(_written(), "POST", where, body, {}, if_match, command_id, cause)

    @write
    def remove_subscription(
        self,
        subscription: str,
        *,
        reason: str,
        if_match: IfMatch = None,
        command_id: str | None = None,
        cause: str | None = None,
    ) -> Write[s.SubscriptionWritten]:
        """Send nothing any more."""
        where = path("subscriptions", subscription)
        return Write(_written(), "DELETE", where, None, given(reason=reason), if_match, command_id, cause)


class SubscriptionReads:
    """The queries on subscriptions and deliveries, and sending again, of both clients."""

    @read
    def subscription(self, subscription: str) -> Read[v.Subscription]:
        """A subscription: of its address the host, of its secrets the fingerprints."""
        return Read(_views().Subscription, path("subscriptions", subscription))

    @listing
    def subscriptions(self, *, page_size: int | None = None, page_token: str | None = None) -> List[v.Subscription]:
        """All subscriptions."""
        answer = cast("type[Page[v.Subscription]]", _page(_views().Subscription))
        return List(answer, path("subscriptions"), {"limit": page_size}, page_token)

    @listing
    def deliveries(
        self,
        subscription: str,
        *,
        state: str | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
    ) -> List[w.Delivery]:
        """What was sent to a subscription, and is to be, that of the newest event first.

        ``state``: pending, running, delivered, failed (it is tried again), dead (it is not), skipped.
        """
        query = {"state": state, "limit": page_size}
        answer = cast("type[Page[w.Delivery]]", _page(_deliveries().Delivery))
        return List(answer, path("subscriptions", subscription, "deliveries"), query, page_token)

    @read
    def delivery(self, subscription: str, delivery: int) -> Read[w.DeliveryDetail]:
        """One delivery, named by its event's position: what is sent, and every attempt."""
        return Read(_deliveries().DeliveryDetail, path("subscriptions", subscription, "deliveries", str(delivery)))

    @read
    def redeliver(self, subscription: str, delivery: int, *, reason: str | None = None) -> Ask[w.DeliveryDetail]:
        """Send a delivery again, whatever became of it; one that waits for another attempt has it now."""
        where = path("subscriptions", subscription, "deliveries", str(delivery), "redeliver")
        return Ask(_deliveries().DeliveryDetail, where, given(reason=reason))

    @read
    def replay(
        self, subscription: str, start: int, end: int | None = None, *, reason: str | None = None
    ) -> Ask[w.Resending]:
        """Send the events of these positions, both included, that pass the filters; up to the newest without ``end``.

        What was delivered of them is delivered again, with the ids of the first time.
        """
        where = path("subscriptions", subscription, "replay")
        return Ask(_deliveries().Resending, where, {"from": start, **given(to=end, reason=reason)})

    @listing
    def replays(
        self, subscription: str, *, page_size: int | None = None, page_token: str | None = None
    ) -> List[w.Resending]:
        """The replays and redeliveries that were asked for, the newest first."""
        answer = cast("type[Page[w.Resending]]", _page(_deliveries().Resending))
        return List(answer, path("subscriptions", subscription, "replays"), {"limit": page_size}, page_token)


def _page(answer: Any) -> Any:  # noqa: ANN401 - a class of the wire
    return Page.__class_getitem__(answer)


def _written() -> type[s.SubscriptionWritten]:
    from regista.wire.subscriptions import SubscriptionWritten  # noqa: PLC0415 - only those who subscribe others load it

    return SubscriptionWritten


def _deliveries() -> Any:  # noqa: ANN401 - a module
    from regista.wire import deliveries  # noqa: PLC0415 - as above

    return deliveries


def _views() -> Any:  # noqa: ANN401 - a module
    from regista.wire import deployment_views  # noqa: PLC0415 - as above

    return deployment_views
