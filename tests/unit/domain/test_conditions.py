import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from setpoint.api.conditions import ConditionType, Reason
from setpoint.api.meta import Condition
from setpoint.domain.conditions import (
    MAX_MESSAGE,
    get_condition,
    is_true,
    mark_ready,
    mark_stalled,
    remove_condition,
    set_condition,
)

T0 = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
T1 = dt.datetime(2030, 1, 1, 1, tzinfo=dt.UTC)
READY, DRIFTED = ConditionType.READY, ConditionType.DRIFTED
RECONCILING, STALLED = ConditionType.RECONCILING, ConditionType.STALLED

statements = st.tuples(
    st.sampled_from(list(ConditionType)), st.sampled_from(["True", "False", "Unknown"]), st.sampled_from(list(Reason))
)


def truths(conditions: tuple[Condition, ...]) -> dict[str, tuple[str, str]]:
    return {condition.type: (condition.status, condition.reason) for condition in conditions}


def test_set__new__has_all_that_was_said() -> None:
    (condition,) = set_condition((), READY, "True", Reason.AT_SETPOINT, "All is well", 3, T0)
    assert condition == Condition(
        type="Ready",
        status="True",
        reason="AtSetpoint",
        message="All is well",
        observed_generation=3,
        last_transition_time="2030-01-01T00:00:00Z",
    )


@pytest.mark.parametrize(
    ("status", "moved"), [("True", False), ("False", True), ("Unknown", True)], ids=["same", "other", "unknown"]
)
def test_set__again__transition_time_moves_with_the_status_alone(status, moved: bool) -> None:
    before = set_condition((), READY, "True", Reason.AT_SETPOINT, "", 1, T0)
    (after,) = set_condition(before, READY, status, Reason.PLAN_FAILED, "other", 2, T1)
    assert (after.reason, after.message, after.observed_generation) == ("PlanFailed", "other", 2)
    assert after.last_transition_time == ("2030-01-01T01:00:00Z" if moved else "2030-01-01T00:00:00Z")


@given(st.lists(statements, max_size=30))
def test_list__one_of_each_type_ready_first_then_by_name(said: list) -> None:
    conditions: tuple[Condition, ...] = ()
    for type_, status, reason in said:
        conditions = set_condition(conditions, type_, status, reason, "", 1, T0)
    types = [condition.type for condition in conditions]
    rest = sorted({str(type_.value) for type_, _, _ in said} - {"Ready"})
    assert types == ["Ready"] * any(type_ is READY for type_, _, _ in said) + rest


@given(st.permutations([(READY, "True"), (DRIFTED, "False"), (RECONCILING, "True"), (ConditionType.HELD, "True")]))
def test_list__the_order_of_saying_does_not_matter(said: list) -> None:
    conditions: tuple[Condition, ...] = ()
    for type_, status in said:
        conditions = set_condition(conditions, type_, status, Reason.HELD, "", 1, T0)
    assert [condition.type for condition in conditions] == ["Ready", "Drifted", "Held", "Reconciling"]


@pytest.mark.parametrize("length", [0, MAX_MESSAGE, MAX_MESSAGE + 1, 40_000])
def test_set__message_is_trimmed(length: int) -> None:
    (condition,) = set_condition((), READY, "True", Reason.AT_SETPOINT, "é" * length, 1, T0)
    assert len(condition.message) == min(length, MAX_MESSAGE)
    assert condition.message.endswith("…") is (length > MAX_MESSAGE)


def test_get_remove_is_true() -> None:
    conditions = set_condition((), READY, "True", Reason.AT_SETPOINT, "", 1, T0)
    conditions = set_condition(conditions, DRIFTED, "Unknown", Reason.NO_DRIFT, "", 1, T0)
    assert get_condition(conditions, READY) is conditions[0]
    assert get_condition(conditions, STALLED) is None
    assert [is_true(list(conditions), type_) for type_ in (READY, DRIFTED, STALLED)] == [True, False, False]
    assert remove_condition(conditions, READY) == conditions[1:]
    assert remove_condition(conditions, STALLED) == conditions


BEFORE = {
    "nothing": (),
    "ready": mark_ready((), Reason.AT_SETPOINT, "", 1, T0),
    "reconciling": set_condition((), ConditionType.RECONCILING, "True", Reason.PROGRESSING, "", 1, T0),
    "stalled": mark_stalled((), Reason.INVALID_SPEC, "", 1, T0),
}


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE.keys())
def test_marks__reconciling_and_stalled_are_there_only_when_true(before: tuple[Condition, ...]) -> None:
    assert truths(mark_ready(before, Reason.AT_SETPOINT, "", 2, T1)) == {"Ready": ("True", "AtSetpoint")}
    assert truths(mark_stalled(before, Reason.INVALID_SPEC, "", 2, T1)) == {
        "Ready": ("False", "InvalidSpec"),
        "Stalled": ("True", "InvalidSpec"),
    }


def test_marks__leave_other_conditions_alone() -> None:
    held = set_condition((), ConditionType.HELD, "True", Reason.RESET_HOLD, "", 1, T0)
    for mark in (mark_ready, mark_stalled):
        assert get_condition(mark(held, Reason.HELD, "", 2, T1), ConditionType.HELD) == held[0]
