"""Ways to be public, each with its harmless twin, as `terraform show -json` tells of them."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.inputs import INPUTS

from setpoint.adapters.policy.answers import PackageDefaults, read_answers
from setpoint.adapters.policy.loading import LoadedSet, answers_for, load
from setpoint.domain.policies import Violation
from setpoint.domain.scrubbing import NO_SECRETS
from setpoint.targets.environment.plan.judged_plan import judged_plan

PACK = Path(__file__).parents[3] / "policies" / "baseline"
RECORDED = Path(__file__).parents[2] / "data" / "provider_plans"
PACKAGES = ("open-", "public-", "unjudged", "unreadable-", "policy-")
ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"

Resource = tuple[str, dict[str, Any], dict[str, Any]]
"""A type, what is known of it after the apply, and what is not."""


@pytest.fixture(scope="module")
def pack() -> LoadedSet:
    texts = {path.name: path.read_text() for path in PACK.glob("*.rego") if not path.name.endswith("_test.rego")}
    return load(texts, {}, INPUTS)


def document(*resources: Resource) -> dict[str, Any]:
    """A plan that creates these, as the configuration sets them."""
    changes, configuration = [], []
    for index, (type_, after, unknown) in enumerate(resources):
        address = f"{type_}.r{index}"
        item = {"address": address, "mode": "managed", "type": type_, "name": f"r{index}"}
        expressions = {name: {} for name in (*after, *unknown) if name not in {"id", "arn"}}
        configuration.append({**item, "expressions": expressions})
        change = {"actions": ["create"], "before": None, "after": after, "after_unknown": {"id": True, **unknown}}
        changes.append({**item, "change": {**change, "before_sensitive": False, "after_sensitive": {}}})
    root = {"resources": configuration}
    return {"format_version": "1.2", "resource_changes": changes, "configuration": {"root_module": root}}


def found(pack: LoadedSet, plan: dict[str, Any]) -> list[Violation]:
    """The violations that the pack finds on publicness."""
    pack.engine.set_input_json(json.dumps({"plan": plan}))
    packages = {one["package"]: PackageDefaults(one) for one in pack.packages}
    answer = read_answers(pack.engine.eval_rule_as_json(answers_for("Environment")).encode(), packages)
    assert answer.error == ""
    return [one for one in answer.violations if one.rule.startswith(PACKAGES)]


def policy(principal: Any, **more: Any) -> str:
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": principal, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def ingress(**more: Any) -> Resource:
    block = {"description": "", "from_port": 22, "to_port": 22, "protocol": "tcp", "self": False, "security_groups": []}
    block |= {"cidr_blocks": [], "ipv6_cidr_blocks": [], "prefix_list_ids": []}
    return "aws_security_group", {"name": "a", "ingress": [{**block, **more}]}, {"egress": True}


def rule(cidr: str) -> Resource:
    after = {"type": "ingress", "from_port": 22, "to_port": 22, "protocol": "tcp", "cidr_blocks": [cidr]}
    return "aws_security_group_rule", after, {"security_group_id": True, "source_security_group_id": True}


def acl(cidr: str) -> Resource:
    after = {"network_acl_id": "acl-1", "rule_number": 1, "egress": False, "rule_action": "allow", "protocol": "6"}
    return "aws_network_acl_rule", {**after, "cidr_block": cidr, "from_port": 22, "to_port": 22}, {}


def grant(uri: str) -> Resource:
    grants = [{"id": "", "type": "Group", "uri": uri, "permissions": ["READ"]}]
    return "aws_s3_bucket", {"bucket": "b", "grant": grants}, {"grant": [{"permissions": [False]}]}


def guarded_by(type_: str, name: str = "policy") -> tuple[Resource, Resource]:
    """A resource that anyone may use, and one that an account may."""
    account = {"AWS": "arn:aws:iam::123456789012:root"}
    return (type_, {name: policy({"AWS": ["*"]})}, {}), (type_, {name: policy(account)}, {})


OWN = {"StringEquals": {"aws:SourceOwner": "123456789012"}}
WAYS: dict[str, tuple[tuple[Resource, ...], tuple[Resource, ...]]] = {
    "all of IPv4": ((ingress(cidr_blocks=["0.0.0.0/0"]),), (ingress(cidr_blocks=["10.0.0.0/8"]),)),
    "all ports": (
        (ingress(cidr_blocks=["0.0.0.0/0"], protocol="-1", from_port=0, to_port=0),),
        (ingress(cidr_blocks=["0.0.0.0/0"], protocol="icmp", from_port=-1, to_port=-1),),
    ),
    "two halves": (
        (ingress(cidr_blocks=["0.0.0.0/1", "128.0.0.0/1"]),),
        (ingress(cidr_blocks=["203.0.113.0/25", "203.0.113.128/25"]),),
    ),
    "two halves, a rule each": ((rule("0.0.0.0/1"), rule("128.0.0.0/1")), (rule("192.0.2.0/24"), rule("10.0.0.0/9"))),
    "IPv6 in other words": ((ingress(ipv6_cidr_blocks=["0::/0"]),), (ingress(ipv6_cidr_blocks=["2001:db8::/32"]),)),
    "IPv4 as IPv6": (
        (ingress(ipv6_cidr_blocks=["::ffff:0:0/96"]),),
        (ingress(ipv6_cidr_blocks=["::ffff:10.0.0.0/104"]),),
    ),
    "network ACL": ((acl("0.0.0.0/0"),), (acl("10.0.0.0/8"),)),
    "bucket grant": ((grant(ALL_USERS),), (grant("http://acs.amazonaws.com/groups/s3/LogDelivery"),)),
    "bucket ACL": (
        (("aws_s3_bucket_acl", {"acl": "public-read"}, {}),),
        (("aws_s3_bucket_acl", {"acl": "private"}, {}),),
    ),
    "database": (
        (("aws_db_instance", {"publicly_accessible": True}, {}),),
        (("aws_db_instance", {"publicly_accessible": False}, {"address": True}),),
    ),
    "topic, narrowed": (
        (("aws_sns_topic_policy", {"policy": policy({"AWS": "*"}, Condition={})}, {}),),
        (("aws_sns_topic_policy", {"policy": policy({"AWS": "*"}, Condition=OWN)}, {}),),
    ),
    "function": (
        (("aws_lambda_permission", {"action": "a", "principal": "*"}, {}),),
        (("aws_lambda_permission", {"action": "a", "principal": "*", "principal_org_id": "o-abc123"}, {}),),
    ),
    "Google": (
        (("google_storage_bucket_iam_member", {"member": "allUsers", "role": "r"}, {}),),
        (("google_storage_bucket_iam_member", {"member": "user:a@example.org", "role": "r"}, {"etag": True}),),
    ),
    **{
        type_: tuple((one,) for one in guarded_by(type_, name))
        for type_, name in {
            "aws_s3_bucket_policy": "policy",
            "aws_sqs_queue_policy": "policy",
            "aws_sqs_queue": "policy",
            "aws_sns_topic": "policy",
            "aws_ecr_repository_policy": "policy",
            "aws_ecr_registry_policy": "policy",
            "aws_ecr_repository_creation_template": "repository_policy",
            "aws_secretsmanager_secret_policy": "policy",
            "aws_kms_key": "policy",
            "aws_kms_key_policy": "policy",
            "aws_iam_role": "assume_role_policy",
            "aws_cloudwatch_log_resource_policy": "policy_document",
            "aws_opensearch_domain": "access_policies",
        }.items()
    },
}


@pytest.mark.parametrize("way", WAYS)
def test_the_way_is_seen_and_its_twin_is_not(pack: LoadedSet, way: str) -> None:
    public, harmless = WAYS[way]
    said = found(pack, judged_plan(document(*public), NO_SECRETS).document)
    assert {one.severity for one in said} == {"critical"}
    assert len({one.resource for one in said}) == len(public)
    assert found(pack, judged_plan(document(*harmless), NO_SECRETS).document) == []


UNKNOWN: dict[str, tuple[Resource, ...]] = {
    "networks of a rule": (("aws_security_group_rule", {**rule("")[1], "cidr_blocks": None}, {"cidr_blocks": True}),),
    "one network of many": (
        (
            "aws_security_group_rule",
            {**rule("")[1], "cidr_blocks": ["10.0.0.0/8", None]},
            {"cidr_blocks": [False, True]},
        ),
    ),
    "network of a new rule": (
        (
            "aws_vpc_security_group_ingress_rule",
            {"ip_protocol": "tcp", "from_port": 22, "to_port": 22},
            {"cidr_ipv4": True},
        ),
    ),
    "network of an inline rule": (
        (*ingress()[:2], {"ingress": [{"cidr_blocks": True, "ipv6_cidr_blocks": [], "security_groups": []}]}),
    ),
    "all of a dynamic block": (
        ("aws_security_group", {"ingress": [{"self": False}]}, {"ingress": [{"cidr_blocks": True, "from_port": True}]}),
    ),
    "all rules": (("aws_security_group", {"name": "a"}, {"ingress": True}),),
    "network of an ACL": (("aws_network_acl_rule", {**acl("")[1], "cidr_block": None}, {"cidr_block": True}),),
    "policy": (("aws_s3_bucket_policy", {"bucket": "b"}, {"policy": True}),),
    "trust": (("aws_iam_role", {"name": "a"}, {"assume_role_policy": True}),),
    "member": (("google_storage_bucket_iam_member", {"role": "r"}, {"member": True}),),
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_the_apply_will_tell_is_no_pass(pack: LoadedSet, what: str) -> None:
    said = found(pack, judged_plan(document(*UNKNOWN[what]), NO_SECRETS).document)
    assert [(one.rule, one.severity, one.unknown) for one in said] == [("unjudged", "high", True)]


def test_what_the_code_leaves_to_the_provider_is_closed(pack: LoadedSet) -> None:
    plan = document(
        ("aws_security_group", {"name": "a"}, {}), ("aws_kms_key", {}, {}), ("aws_s3_bucket", {"bucket": "b"}, {})
    )
    for item in plan["resource_changes"]:
        item["change"]["after_unknown"] |= {"ingress": True, "policy": True, "grant": True, "acl": True}
    assert found(pack, judged_plan(plan, NO_SECRETS).document) == []
    del plan["configuration"]
    said = found(pack, judged_plan(plan, NO_SECRETS).document)
    assert {one.resource for one in said if one.unknown} == {item["address"] for item in plan["resource_changes"]}


@pytest.mark.parametrize(
    ("text", "rule_"),
    [
        ('{"Statement": [{"Principal": "*"', "policy-unreadable"),
        ("Principal: *", "policy-unreadable"),
        ("{" + " " * 200_000 + "}", "policy-too-large"),
        ('{"Statement": ' + "[" * 100 + "]" * 100 + "}", None),
        ('{"Statement": [{"Effect": 1, "Principal": {"AWS": [7, null, {}]}, "Condition": []}, null, 3]}', None),
        ('"{\\"Statement\\": 1}"', None),
    ],
)
def test_policies_that_are_none_have_a_verdict(pack: LoadedSet, text: str, rule_: str | None) -> None:
    said = found(pack, judged_plan(document(("aws_sqs_queue", {"policy": text}, {})), NO_SECRETS).document)
    assert [one.rule for one in said] == ([rule_] if rule_ else [])


def test_drift_is_judged(pack: LoadedSet) -> None:
    plan = document()
    item = {"address": "aws_security_group.a", "mode": "managed", "type": "aws_security_group", "name": "a"}
    change = {"actions": ["update"], "before": {"ingress": []}, "after": ingress(cidr_blocks=["0.0.0.0/0"])[1]}
    plan["resource_drift"] = [{**item, "change": change}]
    judged = judged_plan(plan, NO_SECRETS)
    assert [one.rule for one in found(pack, judged.of_drift())] == ["open-port"]
    assert found(pack, judged.without_drift()) == []
    assert found(pack, judged.document) == []


def test_thousands_of_networks_have_a_verdict(pack: LoadedSet) -> None:
    narrow = [f"{first}.{second}.0.0/16" for first, second in itertools.product(range(11, 13), range(200))]
    assert found(pack, judged_plan(document(ingress(cidr_blocks=narrow[:200])), NO_SECRETS).document) == []
    said = found(pack, judged_plan(document(ingress(cidr_blocks=narrow)), NO_SECRETS).document)
    assert [one.rule for one in said] == ["open-port"]


@pytest.mark.parametrize(
    ("name", "drifted", "planned"),
    [
        (
            "acl-public",
            [("aws_s3_bucket.assets", "public-grant", False)],
            [("aws_s3_bucket_policy.assets", "unjudged", True)],
        ),
        ("queue-deleted", [], [("aws_sqs_queue_policy.orders", "unjudged", True)]),
        ("tag-changed", [], []),
        ("pg-limit-changed", [], []),
    ],
)
def test_recorded_plans(pack: LoadedSet, name: str, drifted: list[Any], planned: list[Any]) -> None:
    judged = judged_plan(json.loads((RECORDED / f"{name}.json").read_text()), NO_SECRETS)
    for plan, expected in ((judged.of_drift(), drifted), (judged.document, planned)):
        assert [(one.resource, one.rule, one.unknown) for one in found(pack, plan)] == expected
    assert found(pack, judged.without_drift()) == []
