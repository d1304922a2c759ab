"""The verdict of policies on drift: only what the world changed counts, and what can't be judged is not passed over."""

import pytest

from setpoint.api.conditions import Reason
from setpoint.domain.drift_policy import DriftVerdict, caused_by_drift, drift_condition, drift_verdict
from setpoint.domain.policies import PolicyResult, Violation

OPEN, TAGS = Violation("open", "port 22", "t.a", "critical"), Violation("tags", "no owner", "t.a")


def said(*violations: Violation, error: str = "") -> PolicyResult:
    return PolicyResult(violations, error)


NOWHERE = Violation("open", "a port is open")


@pytest.mark.parametrize(
    ("found", "recorded", "nothing", "left"),
    [
        pytest.param([OPEN, TAGS], [TAGS], [], [OPEN], id="so before"),
        pytest.param([OPEN], [], [], [OPEN], id="new"),
        pytest.param([TAGS], [TAGS], [], [], id="nothing is new"),
        pytest.param([NOWHERE], [NOWHERE], [], [NOWHERE], id="another resource may have become what one was"),
        pytest.param([NOWHERE], [NOWHERE], [NOWHERE], [], id="said without any drift"),
    ],
)
def test_what_was_so_before_is_not_about_the_drift(
    found: list[Violation], recorded: list[Violation], nothing: list[Violation], left: list[Violation]
) -> None:
    assert caused_by_drift(said(*found), said(*recorded), said(*nothing)) == said(*left)


def test_what_could_not_be_asked_of_the_record_is_an_error() -> None:
    assert caused_by_drift(said(OPEN), said(error="late"), said()).error == "late"
    assert caused_by_drift(said(OPEN), said(), said(error="late")).error == "late"
    assert caused_by_drift(said(error="down"), said(error="late"), said()).error == "down"


def test_each_violation_is_said_once_and_warnings_are_none() -> None:
    warned = Violation("w", "m", kind="warn")
    verdict = drift_verdict({"one": [said(OPEN), said(OPEN, TAGS)], "two": [said(OPEN, warned)]}, ())
    assert verdict.violations == (
        "gate one: [critical] open: t.a: port 22",
        "gate one: [medium] tags: t.a: no owner",
    )
    assert verdict.problems == ()


def test_what_cant_be_judged_is_a_problem() -> None:
    unknown = Violation("u", "m", "t.a", unknown=True)
    verdict = drift_verdict({"one": [said(unknown), said(error="late")]}, ["gates.yaml:3: no YAML"])
    assert verdict.violations == ()
    assert verdict.problems == (
        "gates.yaml:3: no YAML",
        "gate one: late",
        "gate one: [medium] u: t.a: can't be judged before the apply: m",
    )


@pytest.mark.parametrize(
    ("verdict", "drifted", "expected"),
    [
        pytest.param(DriftVerdict(), [], ("False", Reason.NO_DRIFT, ""), id="none"),
        pytest.param(DriftVerdict(), ["t.a"], ("True", Reason.DRIFT_DETECTED, "1 drifted: t.a"), id="actionable"),
        pytest.param(DriftVerdict(("v",)), [], ("True", Reason.POLICY_VIOLATED, "v"), id="informational"),
        pytest.param(DriftVerdict(("v",)), ["t.a"], ("True", Reason.POLICY_VIOLATED, "v; 1 drifted: t.a"), id="both"),
        pytest.param(DriftVerdict((), ("p",)), [], ("Unknown", Reason.GATE_ERROR, "p"), id="not judged"),
        pytest.param(
            DriftVerdict((), ("p",)), ["t.a"], ("True", Reason.DRIFT_DETECTED, "p; 1 drifted: t.a"), id="drifted anyway"
        ),
        pytest.param(DriftVerdict(("v",), ("p",)), [], ("True", Reason.POLICY_VIOLATED, "v; p"), id="worst first"),
        pytest.param(
            DriftVerdict(tuple("abcde")), [], ("True", Reason.POLICY_VIOLATED, "a; b; c and 2 more"), id="many"
        ),
    ],
)
def test_the_condition(verdict: DriftVerdict, drifted: list[str], expected: tuple[str, Reason, str]) -> None:
    assert drift_condition(verdict, drifted) == expected


def test_a_long_message_is_cut() -> None:
    _, _, message = drift_condition(DriftVerdict(("v" * 5000,)), [])
    assert len(message) == 1024
