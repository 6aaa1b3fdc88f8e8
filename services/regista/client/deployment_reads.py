"""What can be asked of what serves models: environments, targets, endpoints, what was to be served when, what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from regista.client.bind import listing, read
from regista.client.calls import List, Read
from regista.client.session import Moment, path
from regista.wire.resources import Page

if TYPE_CHECKING:
    from regista.wire import deployment_views as v  # a tenth of the SDK's loading time, for types alone


class DeploymentReads:
    """The queries on environments, targets and endpoints, of both clients."""

    @read
    def environment(self, environment: str, *, at: Moment | None = None) -> Read[v.Environment]:
        """An environment: which stages it serves, in which regions; now or at a moment in the past."""
        return Read(_views().Environment, path("environments", environment), {"at": at})

    @listing
    def environments(
        self, *, at: Moment | None = None, page_size: int | None = None, page_token: str | None = None
    ) -> List[v.Environment]:
        """All environments, by name; now or at a moment in the past."""
        return List(_page("Environment"), path("environments"), {"at": at, "limit": page_size}, page_token)

    @read
    def target(self, target: str) -> Read[v.Target]:
        """A target: of its secrets the names and fingerprints."""
        return Read(_views().Target, path("targets", target))

    @listing
    def targets(self, *, page_size: int | None = None, page_token: str | None = None) -> List[v.Target]:
        """All targets, by name."""
        return List(_page("Target"), path("targets"), {"limit": page_size}, page_token)

    @read
    def endpoint(self, environment: str, endpoint: str, *, at: Moment | None = None) -> Read[v.Endpoint]:
        """An endpoint: what is wanted, what is pending, what runs; now or at a moment in the past."""
        return Read(_views().Endpoint, path("endpoints", environment, endpoint), {"at": at})

    @listing
    def endpoints(
        self,
        *,
        environment: str | None = None,
        model: str | None = None,
        target: str | None = None,
        state: str | None = None,
        at: Moment | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
    ) -> List[v.Endpoint]:
        """The endpoints, by environment and name, that all of what is given lets through; now or at a moment.

        ``state`` is that of the endpoint: deployed, pending, drifting, failed, idle, untargeted or retired.
        """
        query = {
            "environment": environment,
            "model": model,
            "target": target,
            "state": state,
            "at": at,
            "limit": page_size,
        }
        return List(_page("Endpoint"), path("endpoints"), query, page_token)

    @listing
    def production(
        self,
        model: str | None = None,
        *,
        environment: str | None = None,
        at: Moment | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
    ) -> List[v.Production]:
        """What is in production, since when, by whom and why, what was before, and which endpoints serve the model.

        With ``environment`` only the endpoints that are there.
        """
        query = {"model": model, "environment": environment, "at": at, "limit": page_size}
        return List(_page("Production"), path("production"), query, page_token)

    @listing
    def endpoint_changes(
        self, environment: str, endpoint: str, *, page_size: int | None = None, page_token: str | None = None
    ) -> List[v.EndpointChange]:
        """What was to be served from when to when, the newest first."""
        where = path("endpoints", environment, endpoint, "changes")
        return List(_page("EndpointChange"), where, {"limit": page_size}, page_token)

    @listing
    def deployments(
        self,
        environment: str,
        endpoint: str,
        *,
        target: str | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
    ) -> List[v.Deployment]:
        """What became of each change on each target, or on one, the newest first."""
        where = path("endpoints", environment, endpoint, "deployments")
        return List(_page("Deployment"), where, {"target": target, "limit": page_size}, page_token)


def _page(answer: str) -> type[Page[Any]]:
    return cast("type[Page[Any]]", Page.__class_getitem__(getattr(_views(), answer)))


def _views() -> Any:  # noqa: ANN401 - the module of the answers, which only those who look at deployments load
    from regista.wire import deployment_views  # noqa: PLC0415 - as above

    return deployment_views
