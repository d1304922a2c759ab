import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest

from setpoint.api.meta import ObjectRef
from setpoint.domain.value_paths import SENSITIVE
from setpoint.runtime.logging import ReconcileContext, SecretFilter, configure_logging, reconcile_context

LOGGER = logging.getLogger("setpoint.test")
CONTEXT = ReconcileContext("1c2d3e4f5a6b", ObjectRef("Environment", "default", "shop-prod"))


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    # pytest's own handlers must not be closed by a new configuration.
    root.handlers.clear()
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def _in_reconcile() -> Iterator[None]:
    token = reconcile_context.set(CONTEXT)
    yield
    reconcile_context.reset(token)


def fail() -> None:
    raise LookupError("no hunter22 here")


def log_failure() -> None:
    try:
        fail()
    except LookupError:
        LOGGER.exception("Failed")


@pytest.mark.usefixtures("_in_reconcile")
def test_json__one_object_a_line_with_the_reconcile() -> None:
    configure_logging(format="json", stream=(stream := io.StringIO()))
    LOGGER.info("Planning %s", "changes", extra={"reason": "DriftDetected", "retryIn": 3})
    (line,) = stream.getvalue().splitlines()
    record = json.loads(line)
    assert record.pop("time").endswith("+00:00")
    assert record == {
        "level": "INFO",
        "logger": "setpoint.test",
        "message": "Planning changes",
        "reason": "DriftDetected",
        "retryIn": 3,
        "reconcileID": "1c2d3e4f5a6b",
        "kind": "Environment",
        "namespace": "default",
        "name": "shop-prod",
    }


def test_json__outside_a_reconcile__no_object() -> None:
    configure_logging(format="json", stream=(stream := io.StringIO()))
    LOGGER.info("Starting", extra={"home": object})
    assert set(json.loads(stream.getvalue())) == {"time", "level", "logger", "message", "home"}


@pytest.mark.usefixtures("_in_reconcile")
def test_console__one_short_line() -> None:
    configure_logging(stream=(stream := io.StringIO()))
    LOGGER.warning("Planning %s", "changes", extra={"reason": "DriftDetected"})
    time, rest = stream.getvalue().split(" ", 1)
    assert len(time) == len("12:03:04")
    assert rest == "WARNING environment/shop-prod Planning changes reason=DriftDetected [1c2d3e4f5a6b]\n"


def test_console__foreign_line_breaks_and_controls_stay_in_the_line() -> None:
    configure_logging(stream=(stream := io.StringIO()))
    LOGGER.info("bad\n12:00:00 INFO    forged\x1b[31m", extra={"file": "a\rb"})
    assert stream.getvalue().count("\n") == 1
    assert r"bad\n12:00:00 INFO    forged\x1b[31m file=a\rb" in stream.getvalue()


@pytest.mark.parametrize("format_", ["console", "json"])
def test_traceback__is_there_and_redacted(format_) -> None:
    secrets = configure_logging(format=format_, stream=(stream := io.StringIO()))
    secrets.add(["hunter22"])
    log_failure()
    assert "Traceback (most recent call last)" in stream.getvalue()
    assert f"no {SENSITIVE} here" in stream.getvalue()
    assert "hunter22" not in stream.getvalue()


@pytest.mark.parametrize("format_", ["console", "json"])
@pytest.mark.parametrize(
    "secret",
    ["hunter22", 'quote"and\\slash', "line one\nline two", "snow\u2603man", "tab\tbed secret"],
    ids=["plain", "quoted", "lines", "unicode", "tab"],
)
def test_secrets__appear_nowhere_in_any_form(format_, secret: str) -> None:
    secrets = SecretFilter()
    secrets.add([secret])
    configure_logging(format=format_, stream=(stream := io.StringIO()), secrets=secrets)
    LOGGER.info("value %s", secret, extra={"token": secret, "nested": {"deep": [secret]}})
    text = stream.getvalue()
    assert SENSITIVE in text
    for form in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1]):
        assert form not in text


@pytest.mark.parametrize(("level", "whole"), [(logging.INFO, False), (logging.DEBUG, True)])
@pytest.mark.parametrize("format_", ["json", "console"])
def test_traceback__of_what_is_begun_anew__is_for_who_debugs(format_, level: int, whole: bool) -> None:
    configure_logging(format=format_, level=level, stream=(stream := io.StringIO()))
    try:
        fail()
    except LookupError:
        logging.getLogger("kopf._core.reactor").exception("The watch of %s failed", "policysets")
    assert "The watch of policysets failed" in stream.getvalue()
    assert "LookupError('no hunter22 here')" in stream.getvalue() or whole
    assert ("Traceback" in stream.getvalue()) == whole


def test_redact__the_longer_of_two_leaves_nothing() -> None:
    secrets = SecretFilter()
    secrets.add(["hunter22"])
    secrets.add(["hunter22-and-more", "hunter22"])
    assert secrets.redact("a hunter22-and-more b hunter22 c") == f"a {SENSITIVE} b {SENSITIVE} c"


@pytest.mark.parametrize(("value", "secret"), [("12345", False), ("  1234  ", False), ("123456", True), ("", False)])
def test_add__short_values_are_no_secrets(value: str, secret: bool) -> None:
    secrets = SecretFilter()
    secrets.add([value])
    assert (SENSITIVE in secrets.redact(f"<{value}>")) is secret


def test_add__surrounding_space_does_not_matter() -> None:
    secrets = SecretFilter()
    secrets.add(["hunter22\n"])
    assert secrets.redact("password hunter22.") == f"password {SENSITIVE}."


def test_spare__types_and_names_of_addresses_stay() -> None:
    secrets = SecretFilter()
    secrets.add(["postgres"])
    secrets.spare(['module.db.postgresql_role.admins["postgres"]'])
    secrets.add(["hunter22"])
    said = 'postgresql_role.admins["postgres"] of postgres: hunter22'
    assert secrets.redact(said) == f'postgresql_role.admins["{SENSITIVE}"] of {SENSITIVE}: {SENSITIVE}'


def test_configure__again__replaces_the_first() -> None:
    configure_logging(stream=(first := io.StringIO()))
    configure_logging(stream=(second := io.StringIO()), level="WARNING")
    LOGGER.info("quiet")
    LOGGER.warning("loud")
    assert first.getvalue() == ""
    assert "loud" in second.getvalue()
    assert "quiet" not in second.getvalue()


def test_warnings__go_to_the_log() -> None:
    configure_logging(stream=(stream := io.StringIO()))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old thing", DeprecationWarning, stacklevel=1)
    assert "old thing" in stream.getvalue()


def test_default_stream__is_standard_error_of_that_moment(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging()
    LOGGER.info("hello")
    out, err = capsys.readouterr()
    assert out == ""
    assert "hello" in err
