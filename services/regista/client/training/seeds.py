"""Seeding the sources of chance that a training run has loaded."""

from __future__ import annotations

import random
import secrets
import sys

_NUMPY_LIMIT = 2**32


def draw() -> int:
    """A seed that every library takes: 32 bits."""
    return secrets.randbits(32)


def plant(seed: int) -> tuple[str, ...]:
    """Seed ``random`` and, where they are loaded, numpy, torch and tensorflow; which ones.

    A library imported later is not seeded: call it after the imports. Generators made by hand
    (``numpy.random.default_rng``, ``random_state=``) take the seed themselves.
    """
    random.seed(seed)
    planted = ["random"]
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed(seed % _NUMPY_LIMIT)
        planted.append("numpy")
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(seed)
        planted.append("torch")
    if (tensorflow := sys.modules.get("tensorflow")) is not None:
        tensorflow.random.set_seed(seed)
        planted.append("tensorflow")
    return tuple(planted)
