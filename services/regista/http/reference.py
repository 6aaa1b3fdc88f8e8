"""``/docs``: the API reference as one page without scripts. It loads nothing, from nowhere."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

from fastapi import APIRouter
from starlette.responses import HTMLResponse, RedirectResponse, Response

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
h2{margin-top:2.5rem;border-bottom:1px solid #d0d7de}code{font:14px ui-monospace,monospace}
details{border:1px solid #d0d7de;border-radius:6px;margin:.5rem 0;padding:.4rem .8rem}summary{cursor:pointer}
b{display:inline-block;min-width:4.5rem}table{border-collapse:collapse;width:100%}
td{border-top:1px solid #eaeef2;padding:.3rem .6rem .3rem 0;vertical-align:top}small{color:#57606a}
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}h2,details{border-color:#30363d}
td{border-color:#21262d}small{color:#8b949e}a{color:#58a6ff}}
"""
_HEADERS = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'", "cache-control": "no-cache"}


def reference_routes(document: Callable[[], dict[str, Any]]) -> APIRouter:
    """``/docs``, and ``/`` that leads there."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    async def docs() -> Response:
        return HTMLResponse(page(document()), headers=_HEADERS)

    @router.get("/")
    async def root() -> Response:
        return RedirectResponse("/docs")

    return router


def page(document: dict[str, Any]) -> str:
    """The reference of an OpenAPI document as HTML."""
    info = document["info"]
    sections = "".join(_section(tag, document) for tag in document["tags"])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style>"
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info['description'])}</p>"
        f'<p>The same for programs: <a href="/openapi.json">openapi.json</a></p>{sections}</html>'
    )


def _section(tag: dict[str, str], document: dict[str, Any]) -> str:
    operations = [
        _operation(path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if tag["name"] in operation["tags"]
    ]
    head = f"<h2>{escape(tag['name'].capitalize())}</h2><p>{escape(tag.get('description', ''))}</p>"
    return head + "".join(operations)


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    text = operation.get("description") or operation.get("summary", "")
    body = operation.get("requestBody", {}).get("content", {})
    rows = [_row(parameter["name"], parameter["in"], parameter) for parameter in operation["parameters"]]
    rows += [_row(_type(media.get("schema", {})), f"body, {kind}", {}) for kind, media in body.items()]
    answers = ", ".join(f"{code} {escape(answer['description'])}" for code, answer in operation["responses"].items())
    return (
        f'<details id="{escape(operation["operationId"])}"><summary><b>{method.upper()}</b><code>{escape(path)}</code>'
        f" <small>{escape(operation.get('summary', ''))}</small></summary><p>{escape(text)}</p>"
        f"<table>{''.join(rows)}</table><p><small>{answers}</small></p></details>"
    )


def _row(name: str, place: str, parameter: dict[str, Any]) -> str:
    required = ", required" if parameter.get("required") else ""
    return (
        f"<tr><td><code>{escape(name)}</code><td><small>{escape(place)}{required}</small>"
        f"<td>{escape(parameter.get('description', ''))}"
    )


def _type(schema: dict[str, Any]) -> str:
    reference = str(schema.get("$ref", ""))
    return reference.rpartition("/")[2] or str(schema.get("type", "any"))
