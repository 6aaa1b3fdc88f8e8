"""The forms in which events are told: by the name that a subscription gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import orjson

from regista.notifier import cloudevents, slack


@dataclass(frozen=True, slots=True)
class Body:
    """What is sent, and as what."""

    content: bytes
    media_type: str


SLACK: Final = "slack"


def body_of(template: str, document: bytes) -> Body:
    """The body for a template, made of the event as ``cloudevents.encode`` gives it.

    The same event and template give the same bytes each time.
    """
    if template == SLACK:
        return Body(slack.encode(orjson.loads(document)), slack.MEDIA_TYPE)
    return Body(document, cloudevents.MEDIA_TYPE)
