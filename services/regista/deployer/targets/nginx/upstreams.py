"""The model servers behind an nginx: addresses by a template, or servers started on this machine; and what they run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable
from typing import Protocol

import orjson

from regista.artifacts.digests import is_digest
from regista.deployer.targets.base import TargetContext, TargetFailed
from regista.deployer.targets.calls import Caller
from regista.deployer.targets.nginx.options import NginxOptions
from regista.deployer.targets.nginx.state import Entry
from regista.domain.errors import RegistaError
from regista.domain.events import Variant
from regista.serving.pool import CannotServe, Pool, PoolSettings

logger = logging.getLogger("regista.deployer.nginx")


class Upstreams(Protocol):
    """Where the server of a variant is."""

    async def addresses(self, entry: Entry, variants: Collection[Variant]) -> dict[Variant, str]:
        """A ready server for each.

        Raises:
            TargetFailed: there is none for one of them.
        """

    async def keep(self, digests: Collection[str]) -> None:
        """No request goes to servers of any other artifact from now on."""

    async def aclose(self) -> None:
        """Let go of everything."""


class Templated:
    """Servers that somebody else runs, found by an address that is made of the variant."""

    def __init__(self, template: str, probe: Probe) -> None:
        self._template = template
        self._probe = probe

    async def addresses(self, entry: Entry, variants: Collection[Variant]) -> dict[Variant, str]:
        """See the protocol. A server that tells its artifact must tell this one."""
        found = {variant: self._address(entry, variant) for variant in variants}
        told = await asyncio.gather(*(self._probe.digest(url) for url in found.values()))
        for (variant, url), digest in zip(found.items(), told, strict=True):
            if digest not in {None, variant.artifact_digest}:
                raise TargetFailed(
                    f"{url} runs {digest}, not {variant.artifact_digest} ({variant.version})",
                    code="wrong_model",
                    hint="Have that server run this version; it is tried again.",
                    retryable=True,
                )
        return found

    async def keep(self, digests: Collection[str]) -> None:
        """They are not ours."""

    async def aclose(self) -> None:
        """Nothing is held."""

    def _address(self, entry: Entry, variant: Variant) -> str:
        return self._template.format(
            environment=entry.environment.lower(),
            endpoint=entry.endpoint.lower(),
            model=entry.model.lower(),
            version=variant.version,
            ordinal=variant.ordinal,
            digest=variant.artifact_digest.rpartition(":")[2],
            region=(variant.region or "").lower(),
        )


class Started:
    """Servers on this machine, one for each artifact."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def addresses(self, entry: Entry, variants: Collection[Variant]) -> dict[Variant, str]:
        """See the protocol."""
        del entry
        try:
            urls = await self._pool.ensure([variant.artifact_digest for variant in variants])
        except CannotServe as error:
            raise TargetFailed(error.detail, code=error.code, hint=error.hint, retryable=not error.final) from error
        except RegistaError as error:
            raise TargetFailed(error.detail, code=error.code, hint=error.hint, retryable=True) from error
        return {variant: urls[variant.artifact_digest] for variant in variants}

    async def keep(self, digests: Collection[str]) -> None:
        """Stop the others."""
        await self._pool.keep(digests)

    async def aclose(self) -> None:
        """Stop all of them."""
        await self._pool.aclose()


class Probe:
    """Asks servers what they run (``GET /model``). Those that were started here are on this machine by intent."""

    def __init__(self, context: TargetContext, options: NginxOptions) -> None:
        allow_private = context.allow_private or options.upstream is None
        self._caller = Caller(f"target {context.name}: a model server", allow_private=allow_private, within=5)

    async def digest(self, url: str) -> str | None:
        """The artifact that a server says it runs; None when it is none that says so.

        Raises:
            TargetFailed: nobody answers there.
        """
        answer = await self._caller.answer("GET", f"{url}/model", headers={"Accept": "application/json"})
        try:
            told = orjson.loads(answer.body)["artifact_digest"]
        except (ValueError, KeyError, TypeError):
            return None
        return told if is_digest(told) else None

    async def digests(self, urls: Iterable[str]) -> dict[str, str | None]:
        """The same of several."""
        distinct = list(dict.fromkeys(urls))
        return dict(zip(distinct, await asyncio.gather(*map(self.digest, distinct)), strict=True))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._caller.aclose()


def upstreams_of(context: TargetContext, options: NginxOptions, probe: Probe) -> Upstreams:
    """The kind that the settings ask for."""
    if options.upstream is not None:
        return Templated(options.upstream, probe)
    settings = PoolSettings(
        data=context.data / "models",
        url=context.registry.url,
        token=context.registry.token,
        allow_pickle=options.allow_pickle,
        start_within=options.start_within,
    )
    return Started(Pool(settings))
