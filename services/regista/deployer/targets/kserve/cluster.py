"""InferenceServices in a cluster, by server-side apply with the field manager ``regista``.

An object that somebody changes between our look and our write is not overwritten: the write names the version that it
is based on. Returns when the controller says that the traffic is as wanted.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
from lightkube import ApiError, AsyncClient
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.config.models import Cluster, User
from lightkube.core.exceptions import ConfigError
from lightkube.generic_resource import create_namespaced_resource

from regista.artifacts.local_files import in_thread
from regista.deployer.targets.base import Applied, TargetContext, TargetFailed, Wanted
from regista.deployer.targets.guard import Guard
from regista.deployer.targets.kserve.options import KServeOptions
from regista.deployer.targets.kserve.plan import Step, check_turn, matches, observed, plan, ready, rendered, step_of
from regista.deployer.targets.options import bad_target
from regista.domain.endpoint.commands import ObservedVariant
from regista.domain.errors import Forbidden, Reason
from regista.outbound.addresses import check_address

FIELD_MANAGER = "regista"
_POLL = 0.5
_STEPS = 3
_LATER = frozenset({408, 409, 425, 429})
_InferenceService = create_namespaced_resource("serving.kserve.io", "v1beta1", "InferenceService", "inferenceservices")


class ClusterTarget:
    """One namespace of a cluster."""

    def __init__(self, context: TargetContext, options: KServeOptions) -> None:
        self._name = context.name
        self._options = options
        self._guard = Guard(context.data / "newest")
        self._checked = None if context.allow_private else options.server
        self._config = _configuration(context, options)
        self._client: AsyncClient | None = None

    async def apply(self, wanted: Wanted) -> Applied:
        """Put the InferenceService, in two steps where its champion is not rolled out yet, and wait for the traffic."""
        await self._check_address()
        await in_thread(self._guard.admit, wanted)
        if not wanted.variants:
            return await self._remove(wanted)
        found: tuple[ObservedVariant, ...] = ()
        for _ in range(_STEPS):
            current = await self._get(wanted.environment, wanted.endpoint)
            if current is not None:
                check_turn(current, wanted)
            before = step_of(current) if current else None
            step = plan(before, wanted, self._options)
            if before and before.percent is None and step.percent is not None:
                # Until the one before has everything, the rest would go to a revision before that.
                await self._served(wanted, before)
                current = await self._get(wanted.environment, wanted.endpoint)
            await self._put(rendered(step, wanted, self._options), current)
            found = await self._served(wanted, step)
            if step.final:
                return Applied(found, f"{self._options.name_of(wanted.environment, wanted.endpoint)} is ready")
        raise TargetFailed("the champion is not rolled out", code="not_ready", retryable=True)

    async def observe(self, environment: str, endpoint: str) -> tuple[ObservedVariant, ...]:
        """What the status says."""
        await self._check_address()
        found = await self._get(environment, endpoint)
        return observed(found, self._options.region) if found else ()

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    async def _check_address(self) -> None:
        if self._checked is None:
            return
        try:
            await check_address(self._checked)
        except Forbidden as error:
            raise TargetFailed(error.detail, code=error.code, hint=error.hint, retryable=False) from error
        except OSError as error:
            raise TargetFailed(
                f"{self._checked} has no address: {error}", code="unreachable", retryable=True
            ) from error

    async def _remove(self, wanted: Wanted) -> Applied:
        current = await self._get(wanted.environment, wanted.endpoint)
        if current is None:
            return Applied((), "there is none")
        check_turn(current, wanted)
        name = self._options.name_of(wanted.environment, wanted.endpoint)
        try:
            await self._api().delete(_InferenceService, name, namespace=self._options.namespace)
        except ApiError as error:
            if error.status.code != 404:
                raise self._failed(error) from error
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error
        return Applied((), f"{name} is removed")

    async def _get(self, environment: str, endpoint: str) -> dict[str, Any] | None:
        name = self._options.name_of(environment, endpoint)
        try:
            found = await self._api().get(_InferenceService, name, namespace=self._options.namespace)
        except ApiError as error:
            if error.status.code == 404 and (error.status.details is None or error.status.details.name == name):
                return None
            raise self._failed(error) from error
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error
        value: dict[str, Any] = found.to_dict()  # type: ignore[no-untyped-call]  # lightkube's
        return value

    async def _put(self, value: dict[str, Any], current: dict[str, Any] | None) -> None:
        if current is not None:
            value["metadata"]["resourceVersion"] = current["metadata"]["resourceVersion"]
        try:
            await self._api().apply(
                _InferenceService.from_dict(value), field_manager=FIELD_MANAGER, force=self._options.force
            )
        except ApiError as error:
            raise self._failed(error) from error
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error

    async def _served(self, wanted: Wanted, step: Step) -> tuple[ObservedVariant, ...]:
        """Wait for the controller."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._options.ready_within
        while True:
            value = await self._get(wanted.environment, wanted.endpoint)
            if value is None:
                raise TargetFailed("the InferenceService was removed meanwhile", code="conflict", retryable=True)
            found = observed(value, self._options.region)
            if ready(value) and matches(found, step):
                return found
            if value.get("status", {}).get("modelStatus", {}).get("transitionStatus") == "InvalidSpec":
                raise TargetFailed(_why(value), code="invalid_spec", retryable=False)
            if loop.time() > deadline:
                raise TargetFailed(
                    f"not ready after {self._options.ready_within:g} s: {_why(value)}", code="not_ready", retryable=True
                )
            await asyncio.sleep(min(_POLL, self._options.ready_within / 10))

    def _api(self) -> AsyncClient:
        if self._client is None:
            self._client = AsyncClient(self._config, field_manager=FIELD_MANAGER, trust_env=False)
        return self._client

    def _failed(self, error: ApiError) -> TargetFailed:
        status = error.status
        owned = any(
            cause.reason == "FieldManagerConflict" for cause in (status.details and status.details.causes) or ()
        )
        code = status.code or 500
        return TargetFailed(
            f"the Kubernetes API of target {self._name} answered {code}: {status.message or status.reason}",
            code="field_conflict" if owned else "conflict" if code == 409 else "kubernetes",
            hint="Another manager has set these fields: set force, or leave them out." if owned else None,
            retryable=not owned and (code >= 500 or code in _LATER),
        )

    def _unreachable(self, error: httpx2.HTTPError) -> TargetFailed:
        return TargetFailed(
            f"the Kubernetes API of target {self._name} cannot be reached: {error or type(error).__name__}",
            code="unreachable",
            retryable=True,
        )


def _configuration(context: TargetContext, options: KServeOptions) -> SingleConfig:
    """That of the settings, else that of the pod or of the operator.

    Raises:
        Invalid: ``no_cluster`` among the reasons.
    """
    if options.server is not None:
        certificate = context.secrets.get("ca")
        cluster = Cluster(server=options.server, certificate_auth_data=certificate)
        chosen = KubeConfig.from_one(cluster=cluster, user=User(token=context.secrets.get("token"))).get()
        assert chosen is not None
        return chosen
    try:
        found, why = KubeConfig.from_env().get(), "no context is chosen"
    except ConfigError as error:
        found, why = None, str(error)
    if found is None:
        hint = "Set server and the secret token, or run the deployer in the cluster."
        raise bad_target(context.name, [Reason("no_cluster", f"no cluster is known: {why}", "settings.server", hint)])
    return found


def _why(value: dict[str, Any]) -> str:
    status = value.get("status", {})
    failure = status.get("modelStatus", {}).get("lastFailureInfo", {}).get("message")
    waiting = [c.get("message") or c["type"] for c in status.get("conditions", ()) if c["status"] != "True"]
    return failure or "; ".join(waiting) or "the traffic is not as wanted"
