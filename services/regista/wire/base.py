"""The base of all request and answer models, and the types they share."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints


class Request(BaseModel):
    """A request body: unknown fields, NaN and Infinity are refused, nothing is coerced between types."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class Resource(BaseModel):
    """An answer. Clients ignore fields they do not know, so that servers may add some."""

    model_config = ConfigDict(extra="ignore", frozen=True)


Text: TypeAlias = Annotated[str, StringConstraints(max_length=65_536)]
ShortText: TypeAlias = Annotated[str, StringConstraints(max_length=1_024)]
Name: TypeAlias = Annotated[str, StringConstraints(max_length=256)]
Reason: TypeAlias = Annotated[str, StringConstraints(max_length=4_096, min_length=1)]
Metrics: TypeAlias = Annotated[dict[Name, float], Field(max_length=10_000)]
Scalar: TypeAlias = bool | int | float | str | None
Scalars: TypeAlias = Annotated[dict[Name, Scalar], Field(max_length=10_000)]
Tags: TypeAlias = Annotated[dict[Name, ShortText], Field(max_length=1_000)]
Secret: TypeAlias = Annotated[SecretStr, Field(min_length=1, max_length=65_536)]
"""Printed, it stays hidden."""
JsonObject: TypeAlias = dict[str, Any]
