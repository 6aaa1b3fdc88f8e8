"""The routes of environments, targets, endpoints and subscriptions."""

from __future__ import annotations

from typing import Final

from regista.projections.api import deployments, endpoints, environments, standing, subscriptions
from regista.projections.api import parameters as p
from regista.projections.api.route import LIST, Route
from regista.wire import deployment_views as d
from regista.wire import resources as w

_ENDPOINT_FILTERS = (
    p.Parameter("environment", "Of this environment."),
    p.Parameter("model", "That serve versions of this model."),
    p.Parameter("target", "That are deployed to this target."),
    p.words(
        "state",
        "That are in this state; of failed, drifting and pending also those with a target that is.",
        *standing.STATES,
    ),
)
DEPLOYMENT_ROUTES: Final = (
    Route(
        "/v1/environments",
        "list_environments",
        "All environments, by name, now or at a moment",
        environments.environments,
        w.Page[d.Environment],
        (*LIST, p.AT),
    ),
    Route(
        "/v1/environments/{environment}",
        "get_environment",
        "An environment, now or at a moment",
        environments.environment,
        d.Environment,
        (p.AT,),
    ),
    Route("/v1/targets", "list_targets", "All targets, by name", environments.targets, w.Page[d.Target], LIST),
    Route("/v1/targets/{target}", "get_target", "A target; of secrets the fingerprints", environments.target, d.Target),
    Route(
        "/v1/endpoints",
        "list_endpoints",
        "Endpoints with what is wanted and what runs, now or at a moment",
        endpoints.endpoints,
        w.Page[d.Endpoint],
        (*LIST, p.AT, *_ENDPOINT_FILTERS),
    ),
    Route(
        "/v1/endpoints/{environment}/{endpoint}",
        "get_endpoint",
        "An endpoint: what is wanted, pending and actual, now or at a moment",
        endpoints.endpoint,
        d.Endpoint,
        (p.AT,),
    ),
    Route(
        "/v1/endpoints/{environment}/{endpoint}/changes",
        "list_endpoint_changes",
        "What was to be served from when to when, the newest first",
        deployments.changes,
        w.Page[d.EndpointChange],
        LIST,
    ),
    Route(
        "/v1/endpoints/{environment}/{endpoint}/deployments",
        "list_deployments",
        "What became of every change on every target, the newest first",
        deployments.deployments,
        w.Page[d.Deployment],
        (*LIST, p.Parameter("target", "On this target only.")),
    ),
    Route(
        "/v1/subscriptions",
        "list_subscriptions",
        "All subscriptions, by id",
        subscriptions.subscriptions,
        w.Page[d.Subscription],
        LIST,
    ),
    Route(
        "/v1/subscriptions/{subscription}",
        "get_subscription",
        "A subscription; of secrets the fingerprints",
        subscriptions.subscription,
        d.Subscription,
    ),
)
