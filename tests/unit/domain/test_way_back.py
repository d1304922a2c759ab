"""The inverse of each action, and what is lost by going there and back."""

import pytest
from tests.fakes.plans import analyse_plan, recorded

from setpoint.api.v1alpha1.change import ActionSummary, Cause, ResetAction
from setpoint.domain.way_back import is_stateful, plan_way_back


def back(action: str, *, type_: str = "t_thing", cause: str = "pending", of: Cause = "SpecChanged") -> ResetAction:
    summary = ActionSummary.model_validate({"address": f"{type_}.a", "action": action, "cause": cause})
    return plan_way_back([summary], of)[0]


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
    ],
)
def test_each_action_has_its_way_back(
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
    (found,) = plan_way_back([left], "SpecChanged", moved=[left.address])
    assert (found.action, found.reversibility, found.deposed) == ("none", expected, "01234567")
    assert "the object in use stays" in found.note


def test_the_way_back_runs_backwards() -> None:
    actions = [ActionSummary(address=f"t.{name}", action="create") for name in "abc"]
    assert [action.address for action in plan_way_back(actions, "SpecChanged")] == ["t.c", "t.b", "t.a"]


def test_what_the_earlier_configuration_does_not_know_would_be_destroyed() -> None:
    """Seen with Terraform 1.11.4: under the configuration before, both are planned as deletions."""
    analysis = analyse_plan(recorded("rearranged"))
    found = plan_way_back(analysis.actions, "SpecChanged", moved=analysis.moved, imported=analysis.imported)
    assert {action.address: (action.action, action.reversibility) for action in found} == {
        "fakecloud_bucket.adopted": ("delete", "DataLoss"),
        "fakecloud_bucket.adopted_and_changed": ("delete", "DataLoss"),
        "fakecloud_bucket.forgotten": ("create", "NotRestorable"),
        "fakecloud_bucket.removed": ("create", "DataLoss"),
        "terraform_data.new_and_changed": ("replace", "ReversibleNewId"),
        "terraform_data.new_name": ("replace", "ReversibleNewId"),
    }


@pytest.mark.parametrize(
    "type_",
    [
        "aws_db_instance",
        "aws_s3_bucket",
        "aws_ebs_volume",
        "aws_dynamodb_table",
        "aws_elasticache_replication_group",
        "aws_kms_key",
        "aws_sqs_queue",
        "aws_secretsmanager_secret",
        "azurerm_storage_account",
        "azurerm_mssql_database",
        "azurerm_key_vault",
        "google_sql_database_instance",
        "google_compute_disk",
        "google_bigquery_dataset",
        "google_container_cluster",
        "kubernetes_persistent_volume_claim",
        "kubernetes_stateful_set",
        "kubernetes_namespace",
        "postgresql_database",
        "github_repository",
    ],
)
def test_types_that_hold_data(type_: str) -> None:
    assert is_stateful(type_)


@pytest.mark.parametrize(
    "type_",
    [
        "aws_route_table",
        "aws_s3_bucket_policy",
        "aws_instance",
        "aws_iam_role",
        "aws_volume_attachment",
        "local_file",
        "null_resource",
        "terraform_data",
        "aws_security_group_rule",
        "dbus_thing",
    ],
)
def test_types_that_hold_none(type_: str) -> None:
    assert not is_stateful(type_)


def test_the_type_counts_and_not_the_name() -> None:
    summary = ActionSummary(address='module.database["db"].aws_instance.database', action="delete")
    assert plan_way_back([summary], "SpecChanged")[0].reversibility == "ReversibleNewId"
