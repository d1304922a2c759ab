"""Terraform's machine-readable stream: what proves that nothing differs, and what an apply has done."""

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from setpoint.domain.model import ResourceProgress
from setpoint.targets.environment.plan.stream import (
    Diagnostic,
    diagnostics,
    hook_of,
    is_quiet,
    read_line,
    read_stream,
    waits_in,
    warnings,
)

VERSION = {"type": "version", "terraform": "1.11.4", "ui": "1.2"}
SUMMARY = {"type": "change_summary", "changes": {"add": 0, "change": 0, "import": 0, "remove": 0, "operation": "plan"}}
REFRESH = [{"type": "refresh_start", "hook": {}}, {"type": "refresh_complete", "hook": {}}]
QUIET = [VERSION, *REFRESH, SUMMARY]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def outputs(**actions: Any) -> dict[str, Any]:
    return {"type": "outputs", "outputs": {name: {"action": action} for name, action in actions.items()}}


def summary(**changes: Any) -> dict[str, Any]:
    return {"type": "change_summary", "changes": {**SUMMARY["changes"], **changes}}


def step(*given: Any, **named: Any) -> ResourceProgress:
    """One of the creation of `a.b`."""
    return ResourceProgress("a.b", "create", *given, **named)


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param(QUIET, id="resources"),
        pytest.param([VERSION, SUMMARY], id="no-resources"),
        pytest.param([*QUIET, outputs(a="noop", b="noop")], id="idle-outputs"),
    ],
)
def test_a_stream_proves_that_nothing_differs(messages: list[dict[str, Any]]) -> None:
    assert is_quiet(messages, 0)
    assert not is_quiet(messages, 2), "never against the exit code"


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([], id="empty"),
        pytest.param([VERSION, *REFRESH], id="broken-off"),
        pytest.param([*QUIET, SUMMARY], id="two-summaries"),
        pytest.param([*QUIET, None], id="a-line-that-is-none"),
        pytest.param([VERSION, summary(add=1)], id="counts"),
        pytest.param([VERSION, summary(forget=1)], id="counts-of-a-new-kind"),
        pytest.param([VERSION, summary(add=None)], id="no-number"),
        pytest.param([VERSION, summary(operation="apply")], id="of-an-apply"),
        pytest.param([VERSION, {"type": "change_summary", "changes": {"operation": "plan"}}], id="no-counts"),
        pytest.param([VERSION, {"type": "change_summary"}], id="no-changes"),
        pytest.param([*QUIET, outputs(a="noop", b="update")], id="output"),
        pytest.param([*QUIET, {"type": "outputs", "outputs": {"a": {"value": 1}}}], id="output-without-action"),
        pytest.param([*QUIET, {"type": "outputs"}], id="no-outputs"),
        pytest.param([*QUIET, {"type": "planned_change", "change": {"action": "move"}}], id="move-counts-0-0-0"),
        pytest.param([*QUIET, {"type": "resource_drift", "change": {"action": "update"}}], id="informational-drift"),
        pytest.param([*QUIET, {"type": "diagnostic", "diagnostic": {"severity": "warning"}}], id="warning"),
        pytest.param([*QUIET, {"type": "from_a_later_terraform"}], id="unknown-type"),
    ],
)
def test_nothing_else_is_proof(messages: list[dict[str, Any] | None]) -> None:
    assert not is_quiet(messages, 0)


@given(st.lists(JSON, max_size=4))
def test_noise_is_never_proof(noise: list[Any]) -> None:
    lines = "\n".join(json.dumps(one) for one in noise)
    assert not is_quiet(read_stream(lines.encode()), 0)
    for message in read_stream(lines.encode()):
        assert hook_of(message) is None


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"version"',
        b"provider says hello",
        b"[1]",
        b"{}",
        b'{"type":1}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"type":"version","n":' + b"9" * 5000 + b"}",
    ],
    ids=["cut-off", "stray-print", "list", "no-type", "type-no-text", "bytes", "deep", "endless-number"],
)
def test_what_is_no_message_is_none(line: bytes) -> None:
    assert read_line(line) is None


def test_empty_lines_are_no_lines() -> None:
    assert list(read_stream(b'\n{"type":"version"}\r\n\n')) == [{"type": "version"}]


def hook(type_: str, **fields: Any) -> dict[str, Any]:
    return {"type": type_, "hook": {"resource": {"addr": "a.b"}, "action": "create", **fields}}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param(hook("apply_start"), step("started"), id="start"),
        pytest.param(
            hook("apply_complete", elapsed_seconds=3),
            step("completed", 3.0),
            id="complete",
        ),
        pytest.param(hook("apply_errored", elapsed_seconds=0.5), step("failed", 0.5), id="failed"),
        pytest.param(hook("apply_complete", elapsed_seconds="3"), step("completed"), id="text"),
        pytest.param(
            hook("apply_complete", elapsed_seconds=10**400),
            step("completed"),
            id="endless",
        ),
        pytest.param(
            hook("apply_complete", elapsed_seconds=float("nan")),
            step("completed"),
            id="no-number",
        ),
        pytest.param(hook("apply_complete", elapsed_seconds=-1), step("completed"), id="negative"),
        pytest.param(
            hook("apply_complete", id_key="id", id_value="i-1"),
            step("completed", id="i-1"),
            id="with an id",
        ),
        pytest.param(
            hook("apply_complete", id_key="name", id_value="n"),
            step("completed"),
            id="a name is no id",
        ),
        pytest.param(
            hook("apply_complete", id_key="id", id_value="\ud800"),
            step("completed"),
            id="half a letter",
        ),
        pytest.param(hook("apply_progress"), None, id="progress"),
        pytest.param({"type": "apply_start"}, None, id="no-hook"),
        pytest.param({"type": "apply_start", "hook": {"resource": "a.b"}}, None, id="no-resource"),
        pytest.param(None, None, id="no-message"),
    ],
)
def test_the_steps_of_an_apply(message: dict[str, Any] | None, expected: ResourceProgress | None) -> None:
    assert hook_of(message) == expected


RANGE = {"filename": "main.tf", "start": {"line": 3, "column": 1, "byte": 20}}


@pytest.mark.parametrize(
    ("one", "text"),
    [
        pytest.param({"summary": "No such thing", "range": RANGE}, "main.tf:3: No such thing", id="place"),
        pytest.param(
            {"summary": "Failed", "detail": "it\n  did", "address": "a.b"}, "a.b: Failed: it did", id="address-detail"
        ),
        pytest.param({"summary": "S", "range": {"filename": "main.tf"}}, "main.tf: S", id="no-line"),
        pytest.param({"summary": "S", "range": {"filename": [], "start": []}}, "S", id="odd-range"),
        pytest.param({"summary": {"a": 1}, "detail": [[]]}, "", id="odd-texts"),
    ],
)
def test_a_diagnostic_is_one_line(one: dict[str, Any], text: str) -> None:
    (found,) = diagnostics([VERSION, {"type": "diagnostic", "diagnostic": one}, None, {"type": "diagnostic"}])
    assert str(found) == text


def test_a_diagnostic_of_no_known_severity_is_an_error() -> None:
    found = diagnostics([{"type": "diagnostic", "diagnostic": {"summary": "S"}}])
    assert list(found) == [Diagnostic("error", "S")]


@given(JSON | st.fixed_dictionaries({"range": JSON}))
def test_any_diagnostic_is_read(diagnostic: Any) -> None:
    assert all(one.severity for one in diagnostics([{"type": "diagnostic", "diagnostic": diagnostic}]))


FAILED_CHECK = {
    "severity": "warning",
    "summary": "Check block assertion failed",
    "detail": "the network is\nanother one",
    "range": RANGE,
    "snippet": {"context": 'check "network"', "code": "x"},
}
UNREADABLE_CHECK = {**FAILED_CHECK, "summary": "Unable to find remote state", "detail": "No stored state."}
DEPRECATED = {"severity": "warning", "summary": "Deprecated", "detail": "use y", "range": RANGE, "address": "a.b"}


@pytest.mark.parametrize(
    ("diagnostic", "text"),
    [
        pytest.param(FAILED_CHECK, "check.network: the network is another one", id="check"),
        pytest.param({**FAILED_CHECK, "detail": ""}, "check.network: Check block assertion failed", id="no-message"),
        pytest.param(UNREADABLE_CHECK, "check.network: Unable to find remote state: No stored state.", id="its-data"),
        pytest.param(DEPRECATED, "main.tf:3 a.b: Deprecated: use y", id="any"),
        pytest.param({**DEPRECATED, "snippet": []}, "main.tf:3 a.b: Deprecated: use y", id="odd-snippet"),
        pytest.param({**DEPRECATED, "snippet": {"context": None}}, "main.tf:3 a.b: Deprecated: use y", id="no-context"),
    ],
)
def test_warnings_name_the_check_that_failed(diagnostic: dict[str, Any], text: str) -> None:
    message = {"type": "diagnostic", "diagnostic": diagnostic}
    error = {"type": "diagnostic", "diagnostic": {**diagnostic, "severity": "error"}}
    odd = {"type": "diagnostic", "diagnostic": []}
    assert warnings([VERSION, message, None, error, odd, message]) == (text,)


# --- What a plan waits for ----------------------------------------------------------------------------------------

NOW = dt.datetime(2026, 1, 1, 12, 1, tzinfo=dt.UTC).timestamp()


def hooked(type_: str, address: str, at: Any = "2026-01-01T12:00:00.000000Z") -> dict[str, Any]:
    return {"type": type_, "@timestamp": at, "hook": {"resource": {"addr": address}}}


def test_a_plan_waits_for_what_began_and_did_not_end_the_longest_first() -> None:
    stream = [
        VERSION,
        None,
        hooked("refresh_start", "a.done"),
        hooked("refresh_start", "a.short", "2026-01-01T12:00:50.5Z"),
        hooked("refresh_start", "a.long"),
        hooked("apply_start", "data.a.read", "2026-01-01T12:00:30Z"),
        hooked("refresh_complete", "a.done"),
    ]
    assert waits_in(stream, NOW) == (
        ResourceProgress("a.long", "read", "waiting", 60.0),
        ResourceProgress("data.a.read", "read", "waiting", 30.0),
        ResourceProgress("a.short", "read", "waiting", 9.5),
    )


@pytest.mark.parametrize("end", ["refresh_complete", "apply_complete", "apply_errored"])
def test_an_answer_of_any_kind_ends_a_wait(end: str) -> None:
    assert waits_in([hooked("apply_start", "a.b"), hooked(end, "a.b")], NOW) == ()


@pytest.mark.parametrize("at", [None, 5, "soon", "2026-13-01T00:00:00Z", "2030-01-01T00:00:00Z", ""])
def test_a_wait_whose_time_makes_no_sense_began_just_now(at: Any) -> None:
    assert waits_in([hooked("refresh_start", "a.b", at)], NOW) == (ResourceProgress("a.b", "read", "waiting", 0.0),)


@given(st.lists(JSON.map(lambda value: {"type": "refresh_start", "@timestamp": value, "hook": value}), max_size=4))
def test_any_stream_has_waits_or_none(messages: list[Any]) -> None:
    assert all(wait.seconds >= 0 for wait in waits_in(messages, NOW))
