"""Errors as problems, by kind."""

import json

import pytest

from lycosa import errors
from lycosa.errors import LycosaError, Unavailable
from lycosa.rest.problems import STATUS, internal, of_error, of_status, respond

KINDS = [
    (errors.Invalid, 422),
    (errors.Denied, 403),
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (errors.Exhausted, 429),
    (errors.Unavailable, 503),
    (errors.TimedOut, 504),
    (errors.Internal, 500),
]


@pytest.mark.parametrize(("kind", "status"), KINDS)
def test_the_kind_decides_the_status(kind: type[LycosaError], status: int) -> None:
    found = of_error(kind("what is wrong", code="SOME_CODE", details={"field": "имя"}), "r-1")
    assert found.status == status
    assert found.model_dump() == {
        "type": "urn:lycosa:problem:some-code",
        "title": found.title,
        "status": status,
        "detail": "what is wrong",
        "code": "SOME_CODE",
        "kind": kind.kind,
        "details": {"field": "имя"},
        "request_id": "r-1",
    }


def test_every_kind_has_a_status() -> None:
    kinds = {getattr(errors, name).kind for name in errors.__all__}
    assert kinds == set(STATUS)


@pytest.mark.parametrize(("retry_after", "header"), [(0.2, "1"), (1.5, "2"), (30, "30"), (None, "1")])
def test_retry_after_is_whole_seconds(retry_after: float | None, header: str) -> None:
    error = Unavailable("not now", code="AWAY", retry_after=retry_after)
    response = respond(of_error(error, "r"), error.retry_after)
    assert response.headers["retry-after"] == header
    assert response.media_type == "application/problem+json"


def test_only_where_waiting_helps() -> None:
    assert "retry-after" not in respond(of_status(404, "no such route", "r")).headers
    assert "retry-after" in respond(of_error(errors.Exhausted("spent", code="X"), "r"), 5).headers


def test_text_that_is_not_unicode_is_still_answered() -> None:
    found = of_error(errors.Invalid("half \ud800", code="X", details={"field": "\udfff"}), "r")
    assert json.loads(bytes(respond(found).body))["detail"] == "half ?"


def test_a_fault_of_ours_names_only_the_id() -> None:
    found = internal("r-9")
    assert found.status == 500
    assert "r-9" in found.detail
    assert found.details == {}
