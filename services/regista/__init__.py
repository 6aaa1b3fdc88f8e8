"""Regista: an event-sourced registry for machine-learning models.

The public names are resolved on first use (PEP 562), so that ``import regista.domain`` loads no HTTP client and a
server process loads no SDK. ``regista`` is one package over three source roots; ``extend_path`` joins them, and this
is the only ``__init__`` directly under a ``regista`` folder.
"""

from importlib import import_module
from pkgutil import extend_path
from typing import TYPE_CHECKING

__path__ = extend_path(__path__, __name__)

if TYPE_CHECKING:
    from regista.bus.commands.publisher import CommandPublisher, Published
    from regista.bus.settings import KafkaSettings
    from regista.bus.subscriber.handling import Retries
    from regista.bus.subscriber.logged import Bookmark, LoggedEvent
    from regista.bus.subscriber.parking import Parked, ParkingFile
    from regista.bus.subscriber.positions import FilePositions, MemoryPositions, Positions
    from regista.bus.subscriber.subscriber import Subscriber
    from regista.client import AsyncClient, Client, InferenceRecorder, Unreachable, capture
    from regista.domain.errors import (
        AtUnsupported,
        BeyondLog,
        Damaged,
        Forbidden,
        Internal,
        Invalid,
        KeyReused,
        Malformed,
        NotFound,
        PreconditionFailed,
        Reason,
        Refused,
        RegistaError,
        Retired,
        TooLarge,
        Unauthenticated,
        Unavailable,
        UnsupportedMedia,
    )
    from regista.wire.orders import CommandResult, Order

    __version__: str

__all__ = [
    "AsyncClient",
    "AtUnsupported",
    "BeyondLog",
    "Bookmark",
    "Client",
    "CommandPublisher",
    "CommandResult",
    "Damaged",
    "FilePositions",
    "Forbidden",
    "InferenceRecorder",
    "Internal",
    "Invalid",
    "KafkaSettings",
    "KeyReused",
    "LoggedEvent",
    "Malformed",
    "MemoryPositions",
    "NotFound",
    "Order",
    "Parked",
    "ParkingFile",
    "Positions",
    "PreconditionFailed",
    "Published",
    "Reason",
    "Refused",
    "RegistaError",
    "Retired",
    "Retries",
    "Subscriber",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
    "Unreachable",
    "UnsupportedMedia",
    "__version__",
    "capture",
]

_HOMES = dict.fromkeys(("AsyncClient", "Client", "InferenceRecorder", "Unreachable", "capture"), "regista.client") | {
    "Bookmark": "regista.bus.subscriber.logged",
    "CommandPublisher": "regista.bus.commands.publisher",
    "CommandResult": "regista.wire.orders",
    "FilePositions": "regista.bus.subscriber.positions",
    "KafkaSettings": "regista.bus.settings",
    "LoggedEvent": "regista.bus.subscriber.logged",
    "MemoryPositions": "regista.bus.subscriber.positions",
    "Order": "regista.wire.orders",
    "Parked": "regista.bus.subscriber.parking",
    "ParkingFile": "regista.bus.subscriber.parking",
    "Positions": "regista.bus.subscriber.positions",
    "Published": "regista.bus.commands.publisher",
    "Retries": "regista.bus.subscriber.handling",
    "Subscriber": "regista.bus.subscriber.subscriber",
}
_ERRORS = "regista.domain.errors"


def __getattr__(name: str) -> object:
    """Load a public name from its home, once.

    Raises:
        AttributeError: ``name`` is not one of ``__all__``.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "__version__":
        value: object = import_module("importlib.metadata").version("regista")
    else:
        value = getattr(import_module(_HOMES.get(name, _ERRORS)), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
