"""Schemathesis over the OpenAPI document: whatever is sent, no answer is a server error, and each is as documented."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.support.server import RunningServer

ENDLESS = "/v1/events/stream"
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
"""Not whether what fits the document is accepted: the rules of the registry say more than a schema can."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A registry with a model and a version, so that some requests meet what they name."""
    running = RunningServer(tmp_path_factory.mktemp("schemathesis"))
    try:
        with running.client() as client:
            client.post("/v1/models", json={"name": "0"}).raise_for_status()
            version = {"origin": {"system": "test", "id": "0"}, "version": "0.0.0"}
            client.post("/v1/models/0/versions", json=version).raise_for_status()
        yield running
    finally:
        running.close()


def check(server: RunningServer, examples: int) -> None:
    """Send generated requests, good and bad, to every operation of the document; all failures are raised together."""
    document = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    failures = []
    for found in document.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        if operation.path == ENDLESS:
            continue

        @given(case=operation.as_strategy())
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def send(case: schemathesis.Case[Any]) -> None:
            case.call_and_validate(base_url=server.url, checks=list(CHECKS))

        try:
            send()
        except (AssertionError, ExceptionGroup) as failure:
            failures.append(RuntimeError(f"{operation.label}: {failure}"))
    if failures:
        raise ExceptionGroup("operations that answered otherwise than documented", failures)


def test_no_request_leads_to_a_server_error(server: RunningServer) -> None:
    check(server, 10)


@pytest.mark.soak
def test_no_request_of_many_leads_to_a_server_error(server: RunningServer) -> None:
    check(server, 60)
