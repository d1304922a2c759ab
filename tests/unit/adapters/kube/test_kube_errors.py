"""The meaning of an API server's refusals. The bodies are a real server's (1.36), shortened."""

import json
from typing import Any

import pytest

from setpoint.adapters.kube.errors import error_of, retry_after, watch_error
from setpoint.domain.errors import (
    AlreadyExistsError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    NamespaceTerminatingError,
    NotFoundError,
    SetpointError,
    TransientError,
)


def status(code: int, reason: str, message: str = "m", **details: Any) -> bytes:
    return json.dumps(
        {"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}
    ).encode()


def cause(field: str, message: str = "wrong") -> list[dict[str, str]]:
    return [{"reason": "FieldValueInvalid", "field": field, "message": message}]


@pytest.mark.parametrize(
    ("code", "body", "error"),
    [
        pytest.param(404, status(404, "NotFound", name="shop"), NotFoundError, id="no such object"),
        pytest.param(404, b"404 page not found\n", TransientError, id="no such kind"),
        pytest.param(404, status(404, "NotFound", "the server could not find it"), TransientError, id="kind removed"),
        pytest.param(409, status(409, "AlreadyExists"), AlreadyExistsError, id="exists"),
        pytest.param(409, status(409, "Conflict"), ConflictError, id="conflict"),
        pytest.param(410, status(410, "Expired"), GoneError, id="expired"),
        pytest.param(422, status(422, "Invalid", causes=cause("spec.stage")), InvalidError, id="invalid"),
        pytest.param(400, status(400, "BadRequest"), InvalidError, id="bad request"),
        pytest.param(413, b"too large", InvalidError, id="too large"),
        pytest.param(403, status(403, "Forbidden"), ForbiddenError, id="forbidden"),
        pytest.param(
            403,
            status(403, "Forbidden", causes=[{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]),
            NamespaceTerminatingError,
            id="a namespace that ends",
        ),
        pytest.param(401, status(401, "Unauthorized"), TransientError, id="unauthorized"),
        pytest.param(429, status(429, "TooManyRequests"), TransientError, id="too many"),
        pytest.param(500, status(500, "InternalError"), TransientError, id="internal"),
        pytest.param(500, status(500, "", "failed to create typed patch object (x)"), InvalidError, id="apply"),
        pytest.param(503, b"", TransientError, id="nothing said"),
        pytest.param(502, b"<html>\xff", TransientError, id="a proxy's page"),
        pytest.param(500, b"[]", TransientError, id="no object"),
    ],
)  # fmt: skip
def test_each_answer_has_its_error(code: int, body: bytes, error: type[SetpointError]) -> None:
    assert type(error_of(code, body, "environment/shop")) is error


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param(status(422, "Invalid", causes=cause("spec.health[0].url")), "spec.health[0].url", id="cause"),
        pytest.param(status(422, "Invalid", causes=cause("<nil>")), "", id="nil"),
        pytest.param(
            status(400, "BadRequest", 'strict decoding error: unknown field "spec.colour"'), "spec.colour", id="unknown"
        ),
        pytest.param(
            status(500, "", "failed to create typed patch object (a; b): .spec.colour: field not declared in schema"),
            "spec.colour",
            id="undeclared in an apply",
        ),
    ],
)  # fmt: skip
def test_an_invalid_object_names_its_field(body: bytes, field: str) -> None:
    found = error_of(422 if b"Invalid" in body else 400, body, "environment/shop")
    assert isinstance(found, InvalidError)
    assert found.field == field


def test_a_message_is_bounded() -> None:
    assert len(error_of(422, status(422, "Invalid", "x" * 100_000), "s").message) < 1100


def test_a_watch_tells_that_it_is_too_old() -> None:
    assert isinstance(watch_error({"code": 410, "reason": "Expired"}, "environments"), GoneError)
    assert isinstance(watch_error({}, "environments"), TransientError)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("5", 5.0), ("0.5", 0.5), ("-3", 0.0), ("9999", 60.0), ("soon", 0.0), (None, 0.0)],
)
def test_retry_after_is_bounded(header: str | None, seconds: float) -> None:
    assert retry_after({"Retry-After": header} if header is not None else {}) == seconds
