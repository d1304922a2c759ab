"""The status in the making: what it states, when it began, and what of it is news."""

import datetime as dt
from collections.abc import Callable

import pytest
from tests.fakes.examples import condition, example
from tests.fakes.reconciling import START

from setpoint.api.conditions import ConditionType, Reason
from setpoint.api.v1alpha1.environment import Environment
from setpoint.pipeline.draft import StatusDraft

READY, DRIFTED, STALLED = ConditionType.READY, ConditionType.DRIFTED, ConditionType.STALLED
LATER = START + dt.timedelta(hours=1)
Draft = Callable[..., StatusDraft]


@pytest.fixture
def draft() -> Draft:
    """A draft an hour later over these conditions, of generation 3."""

    def begin(*conditions: dict, **status: object) -> StatusDraft:
        obj = example("Environment", status={"conditions": list(conditions), **status})
        obj["metadata"]["generation"] = 3
        return StatusDraft(Environment.model_validate(obj), LATER)

    return begin


def test_what_is_not_touched_stays(draft: Draft) -> None:
    before = {"attempts": 4, "change": "shop-prod-1", "snapshot": "shop-prod-snap-1"}
    opened = draft(condition("Verified", "True", "Verified"), **before)
    opened.set(change=None)
    status = opened.status
    assert (status.attempts, status.change, status.snapshot) == (4, None, "shop-prod-snap-1")
    assert [one.type for one in status.conditions] == ["Verified"]
    assert status.observed_generation == 3
    assert opened.now_text == "2026-01-01T01:00:00Z"


@pytest.mark.parametrize(
    ("status", "since"),
    [("True", "2020-01-01T00:00:00Z"), ("False", "2026-01-01T01:00:00Z")],
    ids=["the same status", "another status"],
)
def test_the_time_moves_with_the_status(draft: Draft, status: str, since: str) -> None:
    opened = draft(condition("Verified", "True", "Verified"))
    opened.condition(ConditionType.VERIFIED, status, Reason.UNHEALTHY, "status 500")
    stated = opened.get(ConditionType.VERIFIED)
    assert (stated.reason, stated.message, stated.observed_generation) == ("Unhealthy", "status 500", 3)
    assert stated.last_transition_time == since


@pytest.mark.parametrize("status", ["True", "False", "Unknown"])
def test_ready_ends_working_and_stuck(draft: Draft, status: str) -> None:
    kept = condition("Drifted", "False", "NoDrift")
    opened = draft(
        kept,
        condition("Reconciling", "True", "Progressing"),
        condition("Stalled", "True", "SourceNotFound"),
    )
    opened.ready(status, Reason.AT_SETPOINT)
    assert [one.type for one in opened.status.conditions] == ["Ready", "Drifted"]


NOT_READY = condition("Ready", "False", "ApprovalRequired")
DRIFT = condition("Drifted", "True", "DriftDetected")


@pytest.mark.parametrize(
    ("before", "stated", "told"),
    [
        pytest.param([], (READY, "True", Reason.AT_SETPOINT), "Normal", id="at the setpoint, for the first time"),
        pytest.param([], (READY, "False", Reason.APPROVAL_REQUIRED), "Normal", id="waiting is not alarming"),
        pytest.param([], (READY, "False", Reason.GATE_BLOCKED), "Warning", id="blocked"),
        pytest.param([], (READY, "Unknown", Reason.SUSPENDED), "Normal", id="suspended"),
        pytest.param([NOT_READY], (READY, "False", Reason.APPROVAL_REQUIRED), None, id="the same again"),
        pytest.param([NOT_READY], (READY, "False", Reason.REJECTED), "Warning", id="another reason"),
        pytest.param([], (DRIFTED, "False", Reason.NO_DRIFT), None, id="no drift is no news"),
        pytest.param([], (DRIFTED, "True", Reason.DRIFT_DETECTED), "Warning", id="drift"),
        pytest.param([DRIFT], (DRIFTED, "False", Reason.NO_DRIFT), "Normal", id="no drift any more"),
        pytest.param([], (ConditionType.HELD, "True", Reason.VERIFY_HOLD), "Warning", id="held"),
        pytest.param([], (ConditionType.RESET_READY, "False", Reason.DRILL_FAILED), "Warning", id="no way back"),
        pytest.param([], (ConditionType.RESET_READY, "True", Reason.DRILL_PASSED), None, id="a way back is no news"),
        pytest.param([], (STALLED, "True", Reason.SOURCE_NOT_FOUND), None, id="stalled is told by Ready"),
    ],
)
def test_what_is_news(draft: Draft, before: list, stated: tuple, told: str | None) -> None:
    opened = draft(*before)
    opened.condition(*stated, "because")
    expected = [] if told is None else [(told, stated[2], "because")]
    assert [(one.type, one.reason, one.message) for one in opened.notices()] == expected


def test_what_was_taken_back_is_no_news(draft: Draft) -> None:
    opened = draft(condition("Held", "True", "VerifyHold"))
    opened.drop(ConditionType.HELD)
    assert list(opened.notices()) == []
