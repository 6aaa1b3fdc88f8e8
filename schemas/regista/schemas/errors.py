"""What can go wrong between a record and its bytes.

::

    SchemaError (ValueError)
    ├── UnknownSchema    no schema of this name or fingerprint is known here
    ├── Undecodable      the bytes are not a value of their schema: truncated, trailing, damaged, not ours
    └── NotEncodable     the record is not a value of its schema; the message names the field
        └── TooLarge     it is, but its bytes would be over the limit
"""

from __future__ import annotations


class SchemaError(ValueError):
    """The base: bytes and schema do not go together."""


class UnknownSchema(SchemaError):
    """No schema of this name or fingerprint is known here. A newer release may have written the value."""


class Undecodable(SchemaError):
    """The bytes are not one value of their schema."""


class NotEncodable(SchemaError):
    """The record is not a value of its schema. The message starts with the path of the first field that is not."""


class TooLarge(NotEncodable):
    """The encoded value is over the limit. ``size`` and ``limit`` are bytes."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"the value takes {size} bytes, the limit is {limit}")
        self.size = size
        self.limit = limit
