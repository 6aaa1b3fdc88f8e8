"""What a receiver answers brings no address and no key to light."""

from __future__ import annotations

import pytest

from regista.notifier.redaction import without_secrets
from regista.notifier.sender import EXCERPT, Reply

URL = "https://hooks.example.org/services/T0001/B%2D0002/s3cr3tpath?token=abcdef&x=1"
KEYS = ("whsec_YSBrZXkgb2YgdGhlIHRlc3Rz", "whsec_YW5vdGhlcg==")


@pytest.mark.parametrize(
    "said",
    [
        f"Cannot POST {URL}",
        "Cannot POST /services/T0001/B%2D0002/s3cr3tpath?token=abcdef&x=1",
        "Cannot POST /services/T0001/B-0002/s3cr3tpath",
        "no such hook: s3cr3tpath, token abcdef",
        f"signed with {KEYS[0]} and {KEYS[1].removeprefix('whsec_')}",
    ],
)
def test_parts_of_the_address_and_keys_are_hidden(said: str) -> None:
    reply = without_secrets(Reply(404, 0.1, said, said), URL, KEYS)
    for text in (reply.excerpt, str(reply.error)):
        for secret in ("s3cr3tpath", "abcdef", "T0001", "0002", "YSBrZXk", "YW5vdGhl"):
            assert secret not in text
    assert reply.status == 404


def test_everything_else_stays_up_to_the_limit() -> None:
    reply = without_secrets(Reply(500, 0.1, None, "no channel " + "x" * 3_000), "https://hooks.example.org/in", KEYS)
    assert reply.excerpt.startswith("no channel xxx")
    assert len(reply.excerpt) == EXCERPT
    assert reply.error is None
