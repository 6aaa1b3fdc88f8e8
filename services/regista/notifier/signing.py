"""The headers of Standard Webhooks: who receives can tell that it was us, that nothing was changed, and how long ago.

Source: the specification at standardwebhooks.com and its own library. A key is what the library takes: base64, with or
without ``whsec_`` before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from standardwebhooks import Webhook

ID = "webhook-id"
TIMESTAMP = "webhook-timestamp"
SIGNATURE = "webhook-signature"


def signed(identifier: str, now: datetime, body: bytes, keys: Sequence[str]) -> dict[str, str]:
    """The headers of one attempt, signed with every key: during a rotation receivers may know either.

    Raises:
        ValueError: a key is none.
    """
    second = now.replace(microsecond=0)
    text = body.decode()
    return {
        ID: identifier,
        TIMESTAMP: str(int(second.timestamp())),
        SIGNATURE: " ".join(Webhook(key).sign(identifier, second, text) for key in keys),
    }


def message_id(log_id: str, position: int, subscription: str) -> str:
    """The ``webhook-id`` of an event for a subscription, the same however often it is delivered.

    Full stops separate it from the rest of what is signed, so it has none.
    """
    return f"{log_id}:{position}:{subscription}".replace(".", "%2E")
