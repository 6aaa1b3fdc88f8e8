"""Secrets on their way: out of a request into the private table, before anything is decided, logged or answered.

A secret is put before the event that names it, so that none is named that is nowhere. What no event came to name is
erased again at once; what a crash leaves behind, the upkeep of the private table finds.
"""

from __future__ import annotations

import asyncio
import logging
from base64 import b64encode
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from secrets import token_bytes
from typing import Final

from regista.domain.errors import Internal, RegistaError, Unavailable
from regista.domain.events import SecretRef
from regista.domain.identifiers import new_id
from regista.domain.secrets import GivenSecret
from regista.domain.subscription.commands import CreateSubscription, RotateSubscriptionSecret, UpdateSubscription
from regista.domain.target.commands import PutTarget
from regista.registrar.acknowledge import Executor
from regista.registrar.answers import Outcome
from regista.registrar.commands import Command
from regista.registrar.request import Request
from regista.registrar.subjects import subject_of
from regista.store.private import PrivateTable, fingerprint

MADE_BYTES: Final = 32
_log = logging.getLogger("regista.registrar")


@dataclass(frozen=True, slots=True)
class _Put:
    """A secret in hand: where it is kept, and what it is."""

    ref: SecretRef
    value: str = field(repr=False)


class Secrets:
    """The private table, as the registrar uses it. Blocking calls run in a thread."""

    def __init__(self, table: PrivateTable) -> None:
        """Read the key of fingerprints.

        Raises:
            Unavailable, Damaged: the table cannot be used.
        """
        self._table = table
        self._key = table.key()

    def seal(self, owner: str, name: str, value: str) -> SecretRef:
        """Where a secret of a stream is going to be kept."""
        return SecretRef(name, new_id(), fingerprint(self._key, owner, name, value))

    async def put(self, owner: str, secrets: Iterable[_Put]) -> None:
        """Keep secrets; durable when this returns.

        Raises:
            Unavailable: they cannot be kept now.
        """
        for secret in secrets:
            await asyncio.to_thread(self._table.put, secret.ref.id, owner, secret.ref.name, secret.value)

    async def erase(self, ids: Collection[str]) -> None:
        """Forget secrets that nothing names. Where that fails now, the upkeep does it later."""
        if not ids:
            return
        try:
            await asyncio.to_thread(self._table.erase, ids)
        except RegistaError as error:
            _log.warning("%d secrets that nothing names any more are erased later: %s", len(ids), error)


class Keeping:
    """An executor that takes the secrets out of a request and keeps them, before the command is carried out."""

    def __init__(self, executor: Executor, secrets: Secrets) -> None:
        self._executor = executor
        self._secrets = secrets

    async def execute(self, request: Request) -> Outcome:
        """Carry out a command. A secret that was made for it is in the answer, and in that of no replay.

        Raises:
            RegistaError: as the executor; ``private_unavailable``.
        """
        if not request.secrets:
            return await self._executor.execute(request)
        owner = subject_of(request.command).stream
        put = [self._taken(owner, name, value) for name, value in request.secrets.items()]
        kept = {secret.ref.name: secret.ref for secret in put}
        command = _with_fingerprints(request, kept)
        bare = replace(request, command=command, secrets={}, kept=kept)
        if request.dry_run:
            return await self._executor.execute(bare)
        await self._secrets.put(owner, put)
        try:
            outcome = await self._executor.execute(bare)
        except (Unavailable, Internal):
            raise  # whether an event names them is not known
        except RegistaError:
            await self._secrets.erase([secret.ref.id for secret in put])
            raise
        named = {secret["id"] for secret in outcome.answer["secrets"]}
        await self._secrets.erase([secret.ref.id for secret in put if secret.ref.id not in named])
        made = [s.value for s in put if request.secrets[s.ref.name] is None and s.ref.id in named]
        return replace(outcome, answer={**outcome.answer, "secret": made[0]}) if made else outcome

    async def find(self, actor: str, command_id: str) -> Outcome | None:
        """What an earlier command of this actor led to."""
        return await self._executor.find(actor, command_id)

    def _taken(self, owner: str, name: str, value: str | None) -> _Put:
        secret = new_secret() if value is None else value
        return _Put(self._secrets.seal(owner, name, secret), secret)


def new_secret() -> str:
    """A secret to sign with, as Standard Webhooks writes it: ``whsec_`` and 32 random bytes in base64."""
    return f"whsec_{b64encode(token_bytes(MADE_BYTES)).decode()}"


def _with_fingerprints(request: Request, kept: dict[str, SecretRef]) -> Command:
    """The command with what tells a given secret from another; one that is made is no part of what was asked for."""
    command = request.command
    if not isinstance(command, PutTarget | CreateSubscription | UpdateSubscription | RotateSubscriptionSecret):
        raise Internal(f"{type(command).__name__} takes no secrets", code="no_secrets")
    given = (
        GivenSecret(s.name, kept[s.name].fingerprint if request.secrets[s.name] is not None else "")
        for s in command.secrets
    )
    return replace(command, secrets=tuple(given))
