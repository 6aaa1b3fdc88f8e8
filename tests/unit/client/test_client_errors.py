"""What the registry refuses arrives as the error that it raised, with everything it said."""

import traceback

import pytest

import regista
from regista.client.errors import Unreachable, from_response
from regista.client.exchange import Response
from regista.domain import errors
from regista.domain.errors import Reason, RegistaError

ALL = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, RegistaError) and value is not RegistaError
]


@pytest.mark.parametrize("kind", ALL)
def test_every_error_of_the_tree_comes_back_as_itself(kind: type[RegistaError]) -> None:
    content = f'{{"code": "{kind.default_code}", "detail": "so it is"}}'.encode()
    error = from_response(Response(kind.status, {}, content))
    assert (type(error), error.detail, error.code) == (kind, "so it is", kind.default_code)


def test_reasons_and_hints_arrive() -> None:
    content = b"""{"code": "missing_metadata", "detail": "two fields", "hint": "see below", "reasons": [
      {"code": "missing", "detail": "code is required", "field": "code", "hint": "commit"},
      {"code": "missing", "detail": "author is required", "field": "author", "hint": null}]}"""
    error = from_response(Response(422, {}, content))
    assert isinstance(error, errors.Invalid)
    assert error.hint == "see below"
    assert error.reasons == (
        Reason("missing", "code is required", "code", "commit"),
        Reason("missing", "author is required", "author"),
    )


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, errors.Unauthenticated),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (429, errors.Unavailable),
        (500, errors.Internal),
        (502, errors.Unavailable),
        (418, RegistaError),
    ],
)
def test_an_answer_of_something_else_says_so(status: int, kind: type[RegistaError]) -> None:
    error = from_response(Response(status, {"content-type": "text/html"}, b"<h1>Bad   gateway</h1>"))
    assert type(error) is kind
    assert error.code == f"http_{status}"
    assert "REGISTA_URL" in (error.hint or "")
    assert "<h1>Bad gateway</h1>" in error.detail


def test_a_code_that_this_release_does_not_know_keeps_its_text() -> None:
    error = from_response(Response(409, {}, b'{"code": "held_by_policy", "detail": "a hold"}'))
    assert type(error) is errors.Refused
    assert error.code == "held_by_policy"


def test_unavailable_says_when_to_come_back() -> None:
    error = from_response(Response(503, {"retry-after": "7"}, b'{"code": "log_full", "detail": "full"}'))
    assert isinstance(error, errors.Unavailable)
    assert error.retry_after == 7


def test_unreachable_is_one_of_the_tree() -> None:
    assert issubclass(Unreachable, RegistaError)


def test_a_traceback_says_what_is_missing_and_what_supplies_it() -> None:
    with regista.Client() as client, pytest.raises(errors.Invalid) as raised:
        client.register("fraud", __file__)
    shown = "".join(traceback.format_exception_only(raised.value))
    assert "- metrics is required: run.metrics(auc=0.93)" in shown
    assert shown.rstrip().endswith("regista.capture() supplies most.")


async def test_an_awaited_error_is_explained_too() -> None:
    async with regista.AsyncClient() as client:
        with pytest.raises(errors.Invalid) as raised:
            await client.register("fraud", __file__)
    assert raised.value.hint in raised.value.__notes__
