"""What an nginx is to serve, all endpoints together: numbered, and kept on disk under the digest of its content.

A running nginx tells the number and the digest that it was configured with. The file of that digest says what this
is, whatever else was written since.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import orjson

from regista.deployer.targets import files
from regista.deployer.targets.base import TargetFailed, Wanted
from regista.domain.events import Variant

_FIRST_LINE = re.compile(rb"# regista generation (\d+) state ([0-9a-f]{64})\n")
_KEPT = 8


@dataclass(frozen=True, slots=True)
class Entry:
    """What one endpoint serves."""

    environment: str
    endpoint: str
    model: str
    change: int
    variants: tuple[Variant, ...]


@dataclass(frozen=True, slots=True)
class State:
    """Everything that is served. ``generation`` rises with every configuration."""

    generation: int = 0
    endpoints: Mapping[str, Entry] = field(default_factory=dict)

    def serving(self, wanted: Wanted) -> State:
        """The next one, with this change in it."""
        key = key_of(wanted.environment, wanted.endpoint)
        others = {name: entry for name, entry in self.endpoints.items() if name != key}
        if wanted.variants:
            others[key] = Entry(wanted.environment, wanted.endpoint, wanted.model, wanted.change, wanted.variants)
        return replace(self, endpoints=dict(sorted(others.items())))

    def numbered(self, generation: int) -> State:
        """The same under another number."""
        return replace(self, generation=generation)

    def encoded(self) -> bytes:
        """Equal for equal states."""
        entries = {name: asdict(entry) for name, entry in self.endpoints.items()}
        return orjson.dumps({"generation": self.generation, "endpoints": entries}, option=orjson.OPT_SORT_KEYS)

    @property
    def digest(self) -> str:
        """SHA-256 of ``encoded``, in hexadecimal."""
        return hashlib.sha256(self.encoded()).hexdigest()


def key_of(environment: str, endpoint: str) -> str:
    """The name of an endpoint among all."""
    return f"{environment}/{endpoint}".lower()


def first_line(state: State) -> str:
    """What the configuration of a state begins with."""
    return f"# regista generation {state.generation} state {state.digest}\n"


class States:
    """States on disk, by their digest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, state: State) -> None:
        """Write it, and forget the oldest."""
        files.replace(self._folder / f"{state.digest}.json", state.encoded(), self._folder)
        found = sorted(self._folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for old in found[_KEPT:]:
            old.unlink(missing_ok=True)

    def of_configuration(self, content: bytes) -> State:
        """The state of a configuration by its first line; the empty one where there is none."""
        found = _FIRST_LINE.match(content)
        return self.get(found[2].decode()) if found else State()

    def get(self, digest: str) -> State:
        """The state of a digest.

        Raises:
            TargetFailed: ``state_lost``.
        """
        try:
            value = orjson.loads((self._folder / f"{digest}.json").read_bytes())
        except (FileNotFoundError, ValueError) as error:
            raise TargetFailed(
                f"what was configured under {digest[:12]} is not known any more",
                code="state_lost",
                hint="Apply the newest change of each endpoint again.",
                retryable=False,
            ) from error
        return State(value["generation"], {name: _entry(entry) for name, entry in value["endpoints"].items()})


def _entry(value: dict[str, object]) -> Entry:
    variants = value.pop("variants")
    assert isinstance(variants, list)
    return Entry(**value, variants=tuple(Variant(**variant) for variant in variants))  # type: ignore[arg-type]  # own file
