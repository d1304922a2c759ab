"""The pack on real OPA, which users have: it compiles, its tests pass, and it answers as regorus does."""

import itertools
import json
import os
import random
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.inputs import TWO_KINDS
from tools.resolve import OPA, ToolError, find

from setpoint.adapters.policy.loading import answers_for, load
from setpoint.adapters.policy.modules import read_folder

PACK = Path(__file__).parents[2] / "policies" / "baseline"
DOCUMENTS = 400
PARAMETERS: tuple[dict[str, Any], ...] = (
    {},
    {"max_destroyed": 1, "max_changed": 3, "required_tags": ["owner", "cost"], "unpinned_providers": ["hashicorp/aws"]},
    {"protected_types": ["t"], "unprotected_types": ["aws_s3_bucket"], "sensitive_ports": [80], "public_types": ["t"]},
)
TYPES = (
    *("aws_s3_bucket", "aws_db_instance", "aws_security_group", "aws_security_group_rule", "aws_s3_bucket_acl"),
    *("aws_vpc_security_group_ingress_rule", "google_compute_firewall", "google_sql_database_instance"),
    *("google_project_iam_member", "azurerm_network_security_group", "azurerm_storage_account", "t", "null_resource"),
    *("aws_network_acl_rule", "aws_sqs_queue", "aws_iam_role", "aws_lambda_permission", "aws_ec2_managed_prefix_list"),
    *("google_pubsub_topic_iam_member", "aws_s3_bucket_policy"),
)
POLICIES = (
    '{"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}}]}',
    '{"Statement": {"Effect": "allow", "Principal": "*", "Condition": {"StringEquals": {"aws:SourceVpc": "v-1"}}}}',
    '{"Statement": [{"Effect": "Allow", "NotPrincipal": "123456789012"}, {"Effect": 7, "Principal": [7]}, null]}',
    '{"Statement": [',
    None,
)
VALUES: dict[str, tuple[Any, ...]] = {
    "tags": (None, {}, {"owner": "a"}, {"owner": ""}, {"owner": "a", "cost": "b", "protected": "true"}),
    "labels": (None, {"owner": "a"}, {"protected": "true"}),
    "acl": (None, "private", "public-read"),
    "publicly_accessible": (None, True, False),
    "allow_nested_items_to_be_public": (True, False),
    "member": ("allUsers", "user:a@example.org", None),
    "role": ("roles/viewer",),
    "type": ("ingress", "egress"),
    "from_port": (22, 80, 0, "443", None),
    "to_port": (22, 80, 65535, "443", None),
    "protocol": ("tcp", "-1", "all"),
    "ip_protocol": ("tcp", "-1"),
    "cidr_blocks": (
        ["0.0.0.0/0"],
        ["10.0.0.0/8"],
        ["3.0.0.0/8"],
        ["4.0.0.0/8"],
        ["0.0.0.0/1", "128.0.0.0/1"],
        None,
        [],
    ),
    "cidr_ipv4": ("0.0.0.0/0", "10.0.0.0/8"),
    "direction": ("INGRESS", "Inbound", "EGRESS"),
    "access": ("Allow", "Deny"),
    "source_ranges": (["0.0.0.0/0"], ["10.0.0.0/8"]),
    "allow": ([{"protocol": "tcp", "ports": ["20-25"]}], [{"protocol": "all", "ports": []}]),
    "ingress": ([{"from_port": 0, "to_port": 0, "protocol": "-1", "cidr_blocks": ["0.0.0.0/0"]}], []),
    "policy": POLICIES,
    "assume_role_policy": POLICIES,
    "principal": ("*", "sns.amazonaws.com"),
    "grant": ([{"uri": "http://acs.amazonaws.com/groups/global/AllUsers"}], [{"uri": ""}], None),
    "cidr_block": ("0.0.0.0/0", "1.2.3.4/0", "banana", None),
    "ipv6_cidr_blocks": (["0::/0"], ["::ffff:0.0.0.0/96", "2001:db8::/32"], ["::/1", "8000::/1"], ["1::2::3"], None),
    "rule_action": ("allow", "deny"),
    "security_group_id": ("sg-1", "sg-2"),
    "entry": ([{"cidr": "0.0.0.0/1"}, {"cidr": "128.0.0.0/1"}], []),
    "prefix_list_ids": (["pl-1"], [], None),
    "settings": ([{"ip_configuration": [{"authorized_networks": [{"value": "0.0.0.0/0"}]}]}], []),
}
ACTIONS = (["create"], ["update"], ["delete"], ["delete", "create"], ["create", "delete"], ["no-op"], ["forget"])
VERBS = {
    ("create",): "create",
    ("update",): "update",
    ("delete",): "delete",
    ("delete", "create"): "replace",
    ("create", "delete"): "replace",
    ("no-op",): "move",
    ("forget",): "forget",
}
UNKNOWN: tuple[Any, ...] = (
    *({}, {"tags": True}, {"tags_all": True}, {"policy": True}, {"cidr_blocks": [False, True]}, {"ingress": True}),
    *({"ingress": [{"cidr_blocks": True, "from_port": True}]}, {"from_port": True}, {"member": True}, True),
)
CONSTRAINTS = ("", "~> 5.0", ">= 5", "= 5.1", ">= 5, < 6")


def opa_here() -> Path | None:
    try:
        return find(OPA, os.environ)
    except ToolError:
        return None


FOUND = opa_here()
pytestmark = pytest.mark.skipif(FOUND is None, reason="needs OPA: `make tools` builds it, or set SETPOINT_OPA")


def opa(*words: str | Path, given: Any = None) -> Any:
    """Runs OPA; what it answers in JSON."""
    command = [str(FOUND), *map(str, words)]
    text = None if given is None else json.dumps(given)
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None


def test_it_compiles() -> None:
    opa("check", PACK)


def test_its_tests_pass() -> None:
    ran = opa("test", "--format", "json", PACK)
    assert len(ran) > 110
    assert [one for one in ran if one.get("fail") or one.get("error")] == []


def documents() -> Iterator[dict[str, Any]]:
    """Plans of all sorts, the same in each run."""
    chance = random.Random(20)
    for _ in range(DOCUMENTS):
        changes = [resource(chance, number) for number in range(chance.randrange(8))]
        providers = [
            {
                "name": "aws",
                "full_name": chance.choice(["", "registry.terraform.io/hashicorp/aws"]),
                "version_constraint": one,
            }
            for one in chance.sample(CONSTRAINTS, chance.randrange(3))
        ]
        plan = {"resource_changes": changes, "providers": providers}
        judged = [{"address": one["address"], "action": VERBS[tuple(one["change"]["actions"])]} for one in changes]
        yield {"target": {"kind": "Environment"}, "plan": plan, "document": plan, "changes": judged}


def resource(chance: random.Random, number: int) -> dict[str, Any]:
    actions = chance.choice(ACTIONS)
    type_ = chance.choice(TYPES)
    before, after, unknown = values(chance), values(chance), chance.choice(UNKNOWN)
    change = {
        "actions": actions,
        "before": None if actions == ["create"] else before,
        "after": None if actions in (["delete"], ["forget"]) else after,
        "after_unknown": unknown,
    }
    return {"address": f"{type_}.a[{number}]", "mode": "managed", "type": type_, "name": "a", "change": change}


def values(chance: random.Random) -> dict[str, Any]:
    return {name: chance.choice(VALUES[name]) for name in sorted(chance.sample(sorted(VALUES), chance.randrange(12)))}


def settled(answers: Any) -> list[tuple[str, str, list[str]]]:
    """Answers in an order of their own: a set has none."""
    return sorted((package, kind, sorted(map(json.dumps, found))) for package, kind, found in answers)


@pytest.mark.parametrize(
    ("kind", "word"),
    [*((kind, "") for kind in TWO_KINDS), ("Environment", "plan")],
    ids=lambda value: value or "as it is",
)
@pytest.mark.parametrize("params", PARAMETERS, ids=["defaults", "narrow", "other types"])
def test_both_engines_answer_the_same(params: dict[str, Any], kind: str, word: str, tmp_path: Path) -> None:
    """With a word for the document, of an input that lacks it; that is what the engine sends to its worker."""
    texts = {name: text for name, text in read_folder(PACK).items() if not name.endswith("_test.rego")}
    given = [{**document, "target": {"kind": kind}} for document in documents()]
    for document in given:
        document.pop(word, None)
    loaded = load(texts, params, TWO_KINDS)
    assert loaded.problems == []
    ours = []
    for document in given:
        loaded.engine.set_input_json(json.dumps(document))
        ours.append(settled(json.loads(loaded.engine.eval_rule_as_json(answers_for(kind, word)))))
    (tmp_path / "query.rego").write_text(loaded.query)
    given_to = f"with input as document with data.params as {json.dumps(params)}"
    ask = f"[answer | some document in input; answer := {answers_for(kind, word)} {given_to}]"
    told = opa("eval", "--format", "json", "--stdin-input", "--data", PACK, "--data", tmp_path, ask, given=given)
    theirs = [settled(answers) for answers in told["result"][0]["expressions"][0]["value"]]
    for document, one, other in zip(given, ours, theirs, strict=True):
        assert one == other, document
    counts: Counter[str] = Counter()
    for package, _, found in itertools.chain.from_iterable(ours):
        counts[package] += len(found)
    if kind == "Environment":
        assert len(counts) >= 5, f"the documents violate too little to say anything: {counts}"
    else:
        # A package that looks at plans is not asked of a kind that has none.
        assert {package for package, _, _ in itertools.chain.from_iterable(ours)} == {"setpoint.baseline.blast_radius"}
