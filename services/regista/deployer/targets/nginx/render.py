"""nginx's configuration of a state. Pure.

Every request of an endpoint draws an arm with ``split_clients``: hundredths of a percent are its resolution, so shares
are what the log says. Arms are ordered so that the champion has the rest: a canary that grows keeps those that it has.
Shadows get a copy of a request by ``mirror``, whose answer nginx throws away; the share is drawn for each request.

A worker that is told to leave closes idle connections, and a request may be on its way on one of them. So before it is
told, a file appears, and from then on every answer says ``Connection: close``: location by location, since only there
can keep-alive be chosen. When all connections that there were have gone, nothing can be lost.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from regista.deployer.targets.nginx.options import NginxOptions
from regista.deployer.targets.nginx.state import Entry, State, first_line
from regista.domain.events import Variant

GENERATION = "/regista/generation"
Upstreams = Mapping[tuple[str, str, str | None], str]
"""The address of a variant's server, by endpoint, digest and region."""
_AWAY = "127.0.0.1:9"


@dataclass(frozen=True, slots=True)
class Site:
    """Everything that the configuration is made of. ``drain`` is the file that says that this generation leaves."""

    state: State
    upstreams: Upstreams
    options: NginxOptions
    drain: str


def drawn(variants: Iterable[Variant]) -> list[tuple[Variant, str]]:
    """Variants that answer, with their share: of all requests, the rest for the last."""
    arms = sorted((v for v in variants if v.weight), key=lambda v: (v.role == "champion", v.ordinal))
    return [(v, f"{v.weight / 100:.2f}%") for v in arms[:-1]] + [(v, "*") for v in arms[-1:]]


def served(entry: Entry, options: NginxOptions) -> tuple[Variant, ...]:
    """The variants that this nginx serves: of its region, where it has one."""
    return tuple(v for v in entry.variants if options.region is None or v.region in {None, options.region})


def render(site: Site) -> str:
    """What stands in the ``http`` block."""
    entries = list(enumerate(site.state.endpoints.values()))
    parts = [first_line(site.state), *_shared(site.options), *_groups(site)]
    locations: list[str] = []
    for number, entry in entries:
        variants = served(entry, site.options)
        if not variants:
            continue
        arms = _Arms(number, entry, variants, site)
        parts += arms.variables()
        locations += arms.locations()
    return "\n".join([*parts, *_server(site, locations), ""])


def _shared(options: NginxOptions) -> Iterator[str]:
    yield "map $request_uri $regista_path {"
    yield '    "~^/[^/?]+/[^/?]+(?<regista_rest>/.*)$" $regista_rest;'
    yield '    "~^/[^/?]+/[^/?]+(?<regista_query>\\?.*)$" /$regista_query;'
    yield "    default /;"
    yield "}"
    source = "$request_id"
    if options.sticky and options.sticky.header:
        source = f"$http_{options.sticky.header.lower().replace('-', '_')}"
    elif options.sticky:
        source = f"$cookie_{options.sticky.cookie}"
    yield f'map {source} $regista_key {{ "" $request_id; default {source}; }}'


def _groups(site: Site) -> Iterator[str]:
    for url in sorted(set(site.upstreams.values())):
        yield f"upstream {group(url)} {{ server {url.removeprefix('http://') or _AWAY}; keepalive 64; keepalive_timeout 30s; }}"


def group(url: str) -> str:
    """The name of the group of one server."""
    return f"regista_{hashlib.sha256(url.encode()).hexdigest()[:16]}"


def _server(site: Site, locations: Sequence[str]) -> Iterator[str]:
    options = site.options
    told = json.dumps({"generation": site.state.generation, "state": site.state.digest})
    allowed = "".join(f"allow {host}; " for host in dict.fromkeys(("127.0.0.0/8", "::1", options.host)))
    if options.host.startswith("127.") or options.host == "localhost":
        allowed = "allow 127.0.0.0/8; allow ::1; "
    yield "server {"
    yield f"    listen {options.listen};"
    yield "    access_log off;"
    yield f"    keepalive_timeout {options.keepalive_timeout:g}s;"
    yield "    keepalive_requests 1000000;"
    yield "    keepalive_time 24h;"
    yield f"    client_max_body_size {options.max_body};"
    yield "    client_body_buffer_size 128k;"
    yield "    proxy_http_version 1.1;"
    yield f"    proxy_read_timeout {options.proxy_timeout:g}s;"
    yield "    proxy_connect_timeout 5s;"
    yield f"    location = {GENERATION} {{ {allowed}deny all; keepalive_timeout 0; default_type application/json; return 200 '{told}'; }}"
    yield from (f"    {line}" for line in locations)
    yield '    location / { default_type application/json; return 404 \'{"code":"unknown_endpoint"}\'; }'
    yield "}"


class _Arms:
    """The part of one endpoint."""

    def __init__(self, number: int, entry: Entry, variants: Sequence[Variant], site: Site) -> None:
        self._number = number
        self._entry = entry
        self._site = site
        self._regional = site.options.region is None and any(v.region is not None for v in variants)
        self._variants = list(variants)
        self._regions = sorted({v.region or "" for v in variants}) if self._regional else [""]
        self._shadows = [v for v in variants if v.mirror]

    def variables(self) -> Iterator[str]:
        n = self._number
        if self._regional:
            header = self._site.options.region_header.lower().replace("-", "_")
            default = self._site.options.default_region
            known = " ".join(f'"{region}" "{region}";' for region in self._regions)
            fallback = default if default in self._regions else ""
            yield f'map $http_{header} $regista_region_{n} {{ "" "{fallback}"; default ""; {known} }}'
        for r, region in enumerate(self._regions):
            inside = [v for v in self._variants if not self._regional or v.region == region]
            arms = " ".join(f"{share} a{self._variants.index(v)};" for v, share in drawn(inside)) or '* "";'
            yield f'split_clients "${{regista_key}} {self._salt}" $regista_arm_{n}_{r} {{ {arms} }}'
        if self._regional:
            chosen = " ".join(f'"{region}" $regista_arm_{n}_{r};' for r, region in enumerate(self._regions))
            yield f'map $regista_region_{n} $regista_arm_{n} {{ default ""; {chosen} }}'
        else:
            yield f'map "" $regista_arm_{n} {{ default $regista_arm_{n}_0; }}'
        answering = [(i, v) for i, v in enumerate(self._variants) if v.weight]
        groups = " ".join(f"a{i} {self._group(v)};" for i, v in answering)
        names = " ".join(f'a{i} "{v.version}";' for i, v in answering)
        yield f'map $regista_arm_{n} $regista_group_{n} {{ default ""; {groups} }}'
        yield f'map $regista_arm_{n} $regista_variant_{n} {{ default ""; {names} }}'
        for k, shadow in enumerate(self._shadows):
            share = "*" if shadow.mirror >= 10_000 else f"{shadow.mirror / 100:.2f}%"
            rest = "" if share == "*" else ' * "";'
            yield f'split_clients "${{request_id}} shadow {k} {self._salt}" $regista_copy_{n}_{k} {{ {share} on;{rest} }}'
            region = f"$regista_region_{n}" if self._regional else ""
            hit = f"{shadow.region or ''}:on" if self._regional else ":on"
            yield f'map "{region}:$regista_copy_{n}_{k}" $regista_shadow_{n}_{k} {{ default ""; "{hit}" {self._group(shadow)}; }}'

    def locations(self) -> Iterator[str]:
        n = self._number
        place = re.escape(f"{self._entry.environment}/{self._entry.endpoint}").replace('"', "")
        yield f'location ~* "^/{place}(?:/|$)" {{'
        yield f'    if (-f "{self._site.drain}") {{ rewrite ^ /regista-leaving-{n} last; }}'
        yield from self._body()
        yield "}"
        yield f"location = /regista-leaving-{n} {{"
        yield "    internal;"
        yield "    keepalive_timeout 0;"
        yield from self._body()
        yield "}"
        for k in range(len(self._shadows)):
            variable = f"$regista_shadow_{n}_{k}"
            yield f"location = /regista-shadow-{n}-{k} {{"
            yield "    internal;"
            yield f'    if ({variable} = "") {{ return 204; }}'
            yield f"    proxy_pass http://{variable}$regista_path;"
            yield f"    proxy_read_timeout {self._site.options.shadow_timeout:g}s;"
            yield f"    proxy_connect_timeout {self._site.options.shadow_timeout:g}s;"
            yield from self._headers()
            yield "    proxy_set_header Regista-Shadow 1;"
            yield "}"

    def _body(self) -> Iterator[str]:
        n = self._number
        refusal = json.dumps({"code": "unknown_region", "hint": f"Name it in {self._site.options.region_header}."})
        yield "    default_type application/json;"
        yield f"    if ($regista_arm_{n} = \"\") {{ return 400 '{refusal}'; }}"
        for k in range(len(self._shadows)):
            yield f"    mirror /regista-shadow-{n}-{k};"
        yield f"    proxy_pass http://$regista_group_{n}$regista_path;"
        yield from self._headers()
        yield "    proxy_hide_header Regista-Variant;"
        yield f"    add_header Regista-Variant $regista_variant_{n} always;"
        yield f"    add_header Regista-Change {self._entry.change} always;"

    def _headers(self) -> Iterator[str]:
        yield '    proxy_set_header Connection "";'
        yield "    proxy_set_header Host $http_host;"
        yield "    proxy_set_header X-Request-Id $request_id;"
        yield "    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"

    def _group(self, variant: Variant) -> str:
        key = (self._salt, variant.artifact_digest, variant.region)
        return group(self._site.upstreams[key])

    @property
    def _salt(self) -> str:
        return f"{self._entry.environment}/{self._entry.endpoint}".lower()
