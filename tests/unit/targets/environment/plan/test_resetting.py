"""The inverse of each action, and what is lost by going there and back."""

import dataclasses

import pytest
from tests.fakes.plans import analyse_plan, recorded

from setpoint.api.v1alpha1.change import ActionSummary, Cause, ResetAction
from setpoint.targets.environment.plan.expiring import Expiring
from setpoint.targets.environment.plan.resetting import plan_reset
from setpoint.targets.environment.reset_plans import known_types

TYPES = known_types()


def back(action: str, *, type_: str = "t_thing", cause: str = "pending", of: Cause = "SpecChanged") -> ResetAction:
    summary = ActionSummary.model_validate({"address": f"{type_}.a", "action": action, "cause": cause})
    return plan_reset([summary], of, TYPES)[0]


@pytest.mark.parametrize(
    ("action", "type_", "cause", "of", "expected"),
    [
        ("create", "t_thing", "pending", "SpecChanged", ("delete", "Reversible")),
        ("update", "t_thing", "pending", "SpecChanged", ("update", "Reversible")),
        ("delete", "t_thing", "pending", "SpecChanged", ("create", "ReversibleNewId")),
        ("delete", "t_bucket", "pending", "Destroy", ("create", "DataLoss")),
        ("replace", "t_thing", "pending", "Reset", ("replace", "ReversibleNewId")),
        ("replace", "t_database", "pending", "SpecChanged", ("replace", "DataLoss")),
        ("forget", "t_thing", "pending", "SpecChanged", ("create", "NotRestorable")),
        ("import", "t_thing", "pending", "SpecChanged", ("delete", "DataLoss")),
        ("move", "t_thing", "pending", "SpecChanged", ("replace", "ReversibleNewId")),
        ("move", "t_bucket", "pending", "SpecChanged", ("replace", "DataLoss")),
        ("update", "t_thing", "actionable", "Drift", ("none", "NotRestorable")),
        ("update", "t_thing", "actionable", "SpecChanged", ("update", "NotRestorable")),
        ("create", "t_bucket", "actionable", "Drift", ("none", "Reversible")),
        ("create", "t_bucket", "actionable", "SpecChanged", ("none", "Reversible")),
        ("replace", "t_thing", "actionable", "Drift", ("none", "ReversibleNewId")),
        ("replace", "t_bucket", "cascade", "Drift", ("none", "DataLoss")),
        ("replace", "t_thing", "cascade", "SpecChanged", ("replace", "ReversibleNewId")),
        ("update", "t_thing", "cascade", "Drift", ("none", "Reversible")),
        ("update", "t_thing", "cascade", "SpecChanged", ("update", "Reversible")),
        ("delete", "aws_iam_access_key", "pending", "SpecChanged", ("create", "NotRestorable")),
        ("replace", "aws_acm_certificate", "pending", "SpecChanged", ("replace", "NotRestorable")),
        ("replace", "aws_iam_access_key", "actionable", "Drift", ("none", "NotRestorable")),
        ("create", "aws_iam_access_key", "pending", "SpecChanged", ("delete", "Reversible")),
        ("delete", "postgresql_role", "pending", "SpecChanged", ("create", "ReversibleNewId")),
    ],
)
def test_each_action_has_its_reset_action(
    action: str, type_: str, cause: str, of: Cause, expected: tuple[str, str]
) -> None:
    found = back(action, type_=type_, cause=cause, of=of)
    assert (found.action, found.reversibility) == expected
    assert found.note or found.reversibility == "Reversible"


@pytest.mark.parametrize("action", ["create", "update", "replace"])
def test_the_inverse_of_the_inverse_is_the_action(action: str) -> None:
    assert back(back(action).action).action == action


def test_what_is_deleted_comes_back_and_may_go_again() -> None:
    assert back(back("delete").action).action == "delete"


@pytest.mark.parametrize(("type_", "expected"), [("t", "NotRestorable"), ("aws_db_instance", "DataLoss")])
def test_what_an_interrupted_replacement_left_is_gone_for_good_and_nothing_is_made(type_: str, expected: str) -> None:
    left = ActionSummary(address=f"{type_}.a", action="delete", deposed="01234567")
    (found,) = plan_reset([left], "SpecChanged", TYPES, moved=[left.address])
    assert (found.action, found.reversibility, found.deposed) == ("none", expected, "01234567")
    assert "the object in use stays" in found.note


def test_the_reset_plan_runs_backwards() -> None:
    actions = [ActionSummary(address=f"t.{name}", action="create") for name in "abc"]
    assert [action.address for action in plan_reset(actions, "SpecChanged", TYPES)] == ["t.c", "t.b", "t.a"]


def test_what_the_earlier_configuration_does_not_know_would_be_destroyed() -> None:
    """Seen with Terraform 1.11.4: under the configuration before, both are planned as deletions."""
    analysis = analyse_plan(recorded("rearranged"))
    found = plan_reset(analysis.actions, "SpecChanged", TYPES, moved=analysis.moved, imported=analysis.imported)
    assert {action.address: (action.action, action.reversibility) for action in found} == {
        "fakecloud_bucket.adopted": ("delete", "DataLoss"),
        "fakecloud_bucket.adopted_and_changed": ("delete", "DataLoss"),
        "fakecloud_bucket.forgotten": ("create", "NotRestorable"),
        "fakecloud_bucket.removed": ("create", "DataLoss"),
        "terraform_data.new_and_changed": ("replace", "ReversibleNewId"),
        "terraform_data.new_name": ("replace", "ReversibleNewId"),
    }


def test_the_type_counts_and_not_the_name() -> None:
    summary = ActionSummary(address='module.database["db"].aws_subnet.database', action="delete")
    assert plan_reset([summary], "SpecChanged", TYPES)[0].reversibility == "ReversibleNewId"


@pytest.mark.parametrize("cause", ["pending", "actionable", "cascade"])
@pytest.mark.parametrize(("at_once", "expected"), [(True, "DataLoss"), (False, "NotRestorable")])
def test_an_update_by_which_data_expires_can_not_be_undone(cause: str, at_once: bool, expected: str) -> None:
    summary = ActionSummary.model_validate({"address": "aws_sqs_queue.a", "action": "update", "cause": cause})
    expiring = {"aws_sqs_queue.a": Expiring(("message_retention_seconds",), at_once)}
    (found,) = plan_reset([summary], "Drift", TYPES, expiring=expiring)
    assert found.reversibility == expected
    assert found.note.startswith("message_retention_seconds ")


@pytest.mark.parametrize(
    ("words", "action", "expected"),
    [
        ({"t_*": "Data"}, "delete", ("DataLoss", "t_*: Data")),
        ({"t_thing": "Identity"}, "replace", ("NotRestorable", "t_thing: Identity")),
        ({"aws_*": "Data"}, "delete", ("ReversibleNewId", None)),
        ({"t_*": "Data"}, "update", ("Reversible", None)),
    ],
)
def test_the_environments_word_is_shown_where_it_counts(
    words: dict[str, str], action: str, expected: tuple[str, str | None]
) -> None:
    types = dataclasses.replace(TYPES, words=words)
    summary = ActionSummary.model_validate({"address": "t_thing.a", "action": action})
    (found,) = plan_reset([summary], "SpecChanged", types)
    assert (found.reversibility, found.classed_by) == expected


def test_an_expiry_that_the_environment_waves_through_is_shown_with_its_word() -> None:
    types = dataclasses.replace(TYPES, words={"aws_sqs_*": "Settings"})
    summary = ActionSummary(address="aws_sqs_queue.a", action="update")
    expiring = {"aws_sqs_queue.a": Expiring(("message_retention_seconds",), True)}
    (found,) = plan_reset([summary], "SpecChanged", types, expiring=expiring)
    assert (found.reversibility, found.classed_by) == ("Reversible", "aws_sqs_*: Settings")
