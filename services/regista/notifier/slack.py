"""An event as a message of Slack: a sentence, who and why below it, and the same as plain text for notifications.

Block Kit's limits (api.slack.com/reference/block-kit): 3,000 characters in a section. ``&``, ``<`` and ``>`` are escaped,
so that no name or reason becomes a link or calls for somebody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from regista.domain.sentences import sentence

MEDIA_TYPE = "application/json"
_SECTION = 2_900
_REASON = 500


def message(document: Mapping[str, Any]) -> dict[str, Any]:
    """The message for an event in the form of ``cloudevents.document``."""
    actor = _escaped(document["actor"])
    what = _words(document)
    text = _cut(f"*{actor}* {what}", _SECTION)
    about = [_escaped(document["subject"]), f"position {document['position']}", _escaped(document["time"])]
    blocks: list[dict[str, Any]] = [{"type": "section", "text": {"type": "mrkdwn", "text": text}}]
    if reason := document.get("reason"):
        quoted = "\n".join(f">{line}" for line in _escaped(_cut(reason, _REASON)).splitlines())
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": quoted}})
    blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": "  ·  ".join(about)}]})
    return {"text": _cut(f"{actor} {what}", _SECTION), "blocks": blocks}


def encode(document: Mapping[str, Any]) -> bytes:
    """The bytes that are signed and sent."""
    return orjson.dumps(message(document))


def _words(document: Mapping[str, Any]) -> str:
    """What happened; where the sentence alone does not say of which model, that too."""
    data = document.get("data")
    said = sentence(document["type"], data) if data is not None else document["type"]
    model = (data or {}).get("model")
    of = f"{model}: " if model and document["subject"].startswith("model/") and model not in said else ""
    return _escaped(of + said)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
