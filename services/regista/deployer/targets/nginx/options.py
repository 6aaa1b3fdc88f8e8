"""Settings of the kind ``nginx``."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from regista.deployer.targets.options import Options, checked_address, checked_place

_LISTEN = re.compile(r"(?:(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]|\*):)?(?P<port>[0-9]{1,5})")
_UPSTREAM = re.compile(r"http://[A-Za-z0-9._{}-]+(?::[A-Za-z0-9{}]+)?")
FIELDS = ("environment", "endpoint", "model", "version", "ordinal", "digest", "region")
_WILDCARDS = {None: "127.0.0.1", "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - compared
Token = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
Seconds = Annotated[float, Field(gt=0, le=3600)]


class Sticky(Options):
    """What keeps a client with a variant: the content of a header, or of a cookie."""

    header: Token | None = None
    cookie: Token | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.header is None) == (self.cookie is None):
            msg = "sticky is a header or a cookie"
            raise ValueError(msg)
        return self


class Existing(Options):
    """An nginx that is run by somebody else: its ``http`` block includes ``include``, which is written here.

    ``configuration`` is its main file, for ``nginx -t``; ``pid`` the file with the id of its master.
    """

    configuration: str
    include: str
    pid: str

    @field_validator("include")
    @classmethod
    def _include(cls, value: str, info: ValidationInfo) -> str:
        return str(checked_place(value, info.context)) if info.context else value


class NginxOptions(Options):
    """How nginx is reached, where the models are, and who is sent where.

    ``upstream`` is the address of a variant's model server, with the fields environment, endpoint, model, version,
    ordinal, digest (its hexadecimal digits) and region in braces; without it, servers are started on this machine.
    ``region``: this nginx serves that one alone; else the header ``region_header`` names it, and without the header
    it is ``default_region``. ``keep_running``: nginx goes on when the deployer ends. A change waits for connections that
    are idle, for ``keepalive_timeout`` seconds at the longest.
    """

    listen: str = "127.0.0.1:8088"
    upstream: str | None = None
    existing: Existing | None = None
    sticky: Sticky | None = None
    region: Annotated[str, Field(max_length=128)] | None = None
    region_header: Token = "Regista-Region"
    default_region: Annotated[str, Field(max_length=128)] | None = None
    keep_running: bool = False
    workers: Annotated[int, Field(ge=1, le=256)] = 2
    keepalive_timeout: Annotated[float, Field(ge=1, le=300)] = 5.0
    proxy_timeout: Seconds = 60.0
    shadow_timeout: Seconds = 2.0
    start_within: Seconds = 120.0
    max_body: Annotated[int, Field(gt=0, le=1 << 30)] = 16 << 20
    allow_pickle: bool = False

    @field_validator("listen")
    @classmethod
    def _listen(cls, value: str) -> str:
        found = _LISTEN.fullmatch(value)
        if not found or not 0 < int(found["port"]) < 65_536:
            msg = f"{value} is no address to listen on: 127.0.0.1:8088"
            raise ValueError(msg)
        return value

    @field_validator("upstream")
    @classmethod
    def _upstream(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        try:
            shown = value.format(**dict.fromkeys(FIELDS, "1"))
        except (KeyError, IndexError, ValueError) as error:
            msg = f"it has a field that is none of {', '.join(FIELDS)}: {error}"
            raise ValueError(msg) from error
        if not _UPSTREAM.fullmatch(value):
            msg = f"{value} is not http://host:port, with fields in braces"
            raise ValueError(msg)
        if info.context:
            checked_address(shown, info.context)
        return value

    @model_validator(mode="after")
    def _kept(self) -> Self:
        if self.keep_running and self.upstream is None:
            msg = "model servers end with the deployer: keep_running needs an upstream"
            raise ValueError(msg)
        return self

    @property
    def url(self) -> str:
        """Where this machine reaches it."""
        found = _LISTEN.fullmatch(self.listen)
        assert found
        host = _WILDCARDS.get(found["host"], found["host"])
        return f"http://{host}:{found['port']}"

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.listen.rpartition(":")[2])

    @property
    def host(self) -> str:
        """The address that calls from this machine come from."""
        return self.url.removeprefix("http://").rpartition(":")[0].strip("[]")
