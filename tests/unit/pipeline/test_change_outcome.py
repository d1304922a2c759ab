"""The outcome of a Change, in a word, from its conditions."""

import datetime as dt

import pytest

from setpoint.api.conditions import ConditionType, Reason
from setpoint.domain.conditions import set_condition
from setpoint.pipeline.changes import ChangeCondition, outcome_of

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
PENDING: ChangeCondition = (ConditionType.GATED, "False", Reason.GATES_PENDING, "")
BLOCKED: ChangeCondition = (ConditionType.GATED, "False", Reason.GATE_BLOCKED, "")
PASSED: ChangeCondition = (ConditionType.GATED, "True", Reason.GATES_PASSED, "")
APPLIED: ChangeCondition = (ConditionType.APPLIED, "True", Reason.APPLIED, "")


@pytest.mark.parametrize(
    ("conditions", "outcome"),
    [
        pytest.param((), "Waiting", id="new"),
        pytest.param((PENDING,), "Waiting", id="pending"),
        pytest.param((BLOCKED,), "Blocked", id="blocked"),
        pytest.param((PASSED,), "Approved", id="passed"),
        pytest.param((PENDING, (ConditionType.REJECTED, "True", Reason.REJECTED, "")), "Rejected", id="rejected"),
        pytest.param((BLOCKED, (ConditionType.SUPERSEDED, "True", Reason.SUPERSEDED, "")), "Superseded", id="old"),
        pytest.param(
            (PENDING, (ConditionType.SUPERSEDED, "False", Reason.PROGRESSING, "")), "Waiting", id="due again"
        ),
        pytest.param((PASSED, APPLIED), "Applied", id="applied"),
        pytest.param(
            (PASSED, APPLIED, (ConditionType.VERIFIED, "True", Reason.VERIFIED, "")), "Applied", id="verified"
        ),
        pytest.param(
            (PASSED, APPLIED, (ConditionType.VERIFIED, "False", Reason.UNHEALTHY, "")), "NotVerified", id="unhealthy"
        ),
        pytest.param((PASSED, (ConditionType.APPLIED, "False", Reason.APPLY_FAILED, "")), "Failed", id="failed"),
        pytest.param((PASSED, (ConditionType.APPLIED, "False", Reason.INTERRUPTED, "")), "Interrupted", id="killed"),
    ],
)  # fmt: skip
def test_outcome(conditions: tuple[ChangeCondition, ...], outcome: str) -> None:
    drafted: tuple = ()
    for type_, status, reason, message in conditions:
        drafted = set_condition(drafted, type_, status, reason, message, 1, NOW)
    assert outcome_of(drafted) == outcome
