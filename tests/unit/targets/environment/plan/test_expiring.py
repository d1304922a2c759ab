"""The changes in a plan that expire data, and those that do not."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.plans import analyse_plan, change, plan, plans
from tests.soak import dear_examples

from setpoint.domain.model import Change
from setpoint.targets.environment.plan.expiring import Expiring, find_expiring
from setpoint.targets.environment.reset_plans import known_types


def expiring(*items: dict[str, Any]) -> dict[str, Expiring]:
    return expiring_in(plan(*items))


def expiring_in(document: dict[str, Any]) -> dict[str, Expiring]:
    analysis = analyse_plan(document)
    made = Change(
        target=None,  # type: ignore[arg-type]
        cause="SpecChanged",
        digest="",
        base="1",
        configuration="",
        generation=1,
        actions=analysis.actions,
        summary=analysis.summary,
    )
    return dict(find_expiring(document, made, known_types()))


def updated(type_: str, before: dict[str, Any], after: dict[str, Any], **more: Any) -> dict[str, Expiring]:
    return expiring(change(f"{type_}.a", ["update"], before, after, **more))


@pytest.mark.parametrize(
    ("type_", "attribute", "before", "after", "expires"),
    [
        ("aws_cloudwatch_log_group", "retention_in_days", 365, 7, True),
        ("aws_cloudwatch_log_group", "retention_in_days", 7, 365, False),
        ("aws_cloudwatch_log_group", "retention_in_days", 0, 365, True),
        ("aws_cloudwatch_log_group", "retention_in_days", None, 365, True),
        ("aws_cloudwatch_log_group", "retention_in_days", 365, 0, False),
        ("aws_cloudwatch_log_group", "tags", {}, None, False),
        ("google_pubsub_subscription", "message_retention_duration", "604800s", "600s", True),
        ("google_pubsub_subscription", "message_retention_duration", "600s", "604800s", False),
        ("google_pubsub_subscription", "message_retention_duration", "600s", "P1D", True),
        ("aws_db_instance", "backup_retention_period", 7, 0, True),
        ("aws_db_instance", "backup_retention_period", 0, 7, False),
        ("aws_db_instance", "backup_retention_period", 7, 3, True),
        ("aws_dynamodb_table", "ttl", [{"enabled": False}], [{"enabled": True}], True),
        ("aws_dynamodb_table", "ttl", [{"enabled": True}], [{"enabled": False}], False),
        ("aws_s3_bucket_lifecycle_configuration", "rule", [], [{"id": "old"}], True),
        ("aws_s3_bucket_lifecycle_configuration", "rule", [{"id": "old"}], [], False),
        ("google_storage_bucket", "lifecycle_rule", [], [{"condition": [{"age": 3}]}], True),
        ("aws_instance", "retention_in_days", 365, 7, False),
        ("aws_cloudwatch_log_group", "retention_in_days_of_others", 365, 7, False),
    ],
)
def test_an_update_expires_data(type_: str, attribute: str, before: Any, after: Any, expires: bool) -> None:
    assert bool(updated(type_, {attribute: before, "id": 1}, {attribute: after, "id": 1})) is expires


def test_blocks_have_no_order() -> None:
    one, other = ({"lifecycle": [{"delete_after": days}]} for days in (9, 30))
    assert not updated("aws_backup_plan", {"rule": [one, other]}, {"rule": [other, one]})
    assert updated("aws_backup_plan", {"rule": [other, other]}, {"rule": [other, one]})


@pytest.mark.parametrize(
    ("actions", "before", "after", "expires"),
    [
        (["update"], "Enabled", "Suspended", True),
        (["update"], "Suspended", "Enabled", False),
        (["delete"], "Enabled", None, True),
        (["delete"], "Suspended", None, False),
        (["create"], None, "Enabled", False),
    ],
)
def test_versioning_that_is_switched_off_keeps_less_and_takes_nothing_at_once(
    actions: list[str], before: str | None, after: str | None, expires: bool
) -> None:
    field = "versioning_configuration"
    sides = [{"bucket": "b", field: [{"status": status}]} if status else None for status in (before, after)]
    found = expiring(change("aws_s3_bucket_versioning.a", actions, *sides))
    told = {"aws_s3_bucket_versioning.a": Expiring((f"{field}.status",), at_once=False)}
    assert found == (told if expires else {})


RULES = {"bucket": "shop", "rule": [{"id": "old", "expiration": [{"days": 1}]}]}


def test_rules_for_a_bucket_that_is_there_expire_what_is_in_it() -> None:
    found = expiring(change("aws_s3_bucket_lifecycle_configuration.a", ["create"], None, RULES))
    assert found == {"aws_s3_bucket_lifecycle_configuration.a": Expiring(("rule",), at_once=True)}


@pytest.mark.parametrize("known", [True, False])
def test_rules_for_a_bucket_that_is_made_with_them_expire_nothing(known: bool) -> None:
    rules = RULES if known else {"rule": RULES["rule"]}
    unknown = {} if known else {"after_unknown": {"bucket": True}}
    found = expiring(
        change("aws_s3_bucket.shop", ["create"], None, {"bucket": "shop"}),
        change("aws_s3_bucket_lifecycle_configuration.a", ["create"], None, rules, **unknown),
    )
    assert found == {}


def test_a_value_that_only_the_apply_tells_counts_as_shorter() -> None:
    before, after = {"retention_in_days": 7, "name": "x"}, {"name": "x"}
    assert updated("aws_cloudwatch_log_group", before, after, after_unknown={"retention_in_days": True})


@settings(max_examples=dear_examples(100))
@given(plans(), st.sampled_from(["aws_s3_bucket", "aws_s3_bucket_versioning", "aws_sqs_queue", "x_thing"]))
def test_any_plan_is_read_and_names_only_what_acts(document: dict[str, Any], type_: str) -> None:
    for one in document["resource_changes"]:
        one["type"] = type_
    assert set(expiring_in(document)) <= {one["address"] for one in document["resource_changes"]}


def test_what_is_only_read_has_no_type_that_is_looked_at() -> None:
    assert expiring({**change("aws_x.a", ["read"]), "mode": "data", "type": ["odd"]}) == {}
