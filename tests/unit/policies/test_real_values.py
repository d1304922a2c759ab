"""No Secret and no `sensitive` makes a rule of the pack pass, and what it says of such a plan shows none of it."""

import copy
import dataclasses
import functools
import itertools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.inputs import INPUTS
from tests.fakes.plans import analyse_plan, change, plan, update
from tests.soak import examples
from tests.unit.policies.test_ways_to_be_public import UNKNOWN, WAYS, policy
from tests.unit.policies.test_ways_to_be_public import document as planned

from setpoint.adapters.policy.answers import PackageDefaults, read_answers
from setpoint.adapters.policy.loading import LoadedSet, answers_for, load
from setpoint.domain.policies import PolicyResult
from setpoint.domain.policy_input import Question, policy_input
from setpoint.domain.scrubbing import NO_SECRETS, Scrubber
from setpoint.domain.secret_values import known_texts
from setpoint.domain.value_paths import MIN_SECRET, leaves
from setpoint.targets.environment.plan.judged_plan import judged_plan

PACK = Path(__file__).parents[3] / "policies" / "baseline"
REAL = Path(__file__).parents[2] / "data" / "provider_plans"
POLICIES = {path.name: path.read_text() for path in PACK.glob("*.rego") if not path.name.endswith("_test.rego")}
TARGET = {"kind": "Environment", "namespace": "default", "name": "e", "stage": "prod", "labels": {}}
QUESTION = Question(target=TARGET, cause="Drift", stage="plan", now="2026-01-01T00:00:00Z")
PROVIDER = {"name": "aws", "full_name": "registry.terraform.io/hashicorp/aws", "version_constraint": ">= 5.0"}


def create(type_: str, **after: Any) -> dict[str, Any]:
    return change(f"{type_}.it", ["create"], None, {"tags": {"owner": "platform-team"}, **after})


def ingress(**rule: Any) -> dict[str, Any]:
    return create("aws_security_group", ingress=[{"from_port": 22, "to_port": 22, "protocol": "tcp", **rule}])


def unpinned() -> dict[str, Any]:
    document = plan(create("aws_instance", ami="ami-0123456789"))
    document["configuration"]["provider_config"] = {"aws": PROVIDER}
    return document


MANY = [change(f"aws_instance.n{n}", ["delete"], {"id": f"i-{n:08}", "tags": {"owner": "x"}}) for n in range(120)]
SERVER = {"tags": {"protected": "true"}, "id": "server-one"}
NETWORK = [{"name": "everybody", "value": "0.0.0.0/0"}]
DATABASE = [{"ip_configuration": [{"authorized_networks": NETWORK}]}]

FAILING: dict[str, tuple[str, dict[str, Any]]] = {
    "a type that is protected": ("protected-type", plan(change("aws_db_instance.it", ["delete"], {"id": "orders-db"}))),
    "a label that protects": ("protected-label", plan(change("aws_instance.it", ["delete"], SERVER))),
    "too much goes": ("too-many-destroyed", plan(*MANY)),
    "too much changes": ("too-many-changed", plan(*MANY)),
    "no owner": ("required-tags", plan(create("aws_instance", tags={"team": "platform"}))),
    "a port that is open": ("open-port", plan(ingress(cidr_blocks=["0.0.0.0/0"]))),
    "a port that is open by IPv6": ("open-port", plan(ingress(ipv6_cidr_blocks=["::/0"]))),
    "a firewall": (
        "open-port",
        plan(
            create(
                "google_compute_firewall",
                direction="INGRESS",
                source_ranges=["0.0.0.0/0"],
                allow=[{"protocol": "tcp", "ports": ["20-25"]}],
            )
        ),
    ),
    "a rule of a security group": (
        "open-port",
        plan(
            create(
                "azurerm_network_security_rule",
                access="Allow",
                direction="Inbound",
                protocol="Tcp",
                source_address_prefix="Internet",
                destination_port_range="3389",
            )
        ),
    ),
    "a flag": ("public-flag", plan(create("aws_db_instance", publicly_accessible=True))),
    "a type of access": ("public-flag", plan(create("azurerm_storage_container", container_access_type="container"))),
    "an access list": ("public-acl", plan(create("aws_s3_bucket_acl", acl="public-read-write"))),
    "a grant": (
        "public-grant",
        plan(create("google_storage_bucket_iam_member", role="roles/storage.admin", member="allUsers")),
    ),
    "a database": ("public-database", plan(create("google_sql_database_instance", settings=DATABASE))),
    "a provider without an upper bound": ("unpinned-provider", unpinned()),
}


@functools.cache
def pack() -> LoadedSet:
    loaded = load(POLICIES, {}, INPUTS)
    assert loaded.problems == []
    return loaded


def ask(document: Any, secrets: Scrubber = NO_SECRETS) -> PolicyResult:
    """The findings of the pack on the changes and the drift of a plan, as it is shown."""
    analysis = analyse_plan(document, (), secrets)
    judged = judged_plan(document, analysis.hidden, secrets, changes=analysis.judged)
    packages = {one["package"]: PackageDefaults(one) for one in pack().packages}
    found = []
    for part, changes in ((judged.document, judged.changes), (judged.of_drift(), ())):
        question = dataclasses.replace(QUESTION, changes=changes)
        given = policy_input(question, gate="g", document=part, alias=judged.alias)
        pack().engine.set_input_json(json.dumps(given))
        result = read_answers(pack().engine.eval_rule_as_json(answers_for("Environment")).encode(), packages)
        assert result.error == ""
        found += judged.disclosure.show(result, POLICIES.values()).violations
    return PolicyResult(tuple(found))


def rules(result: PolicyResult) -> list[tuple[str, str, bool]]:
    return sorted((one.rule, one.resource, one.unknown) for one in result.violations)


def entries(document: Any) -> Iterator[dict[str, Any]]:
    for key in ("resource_changes", "resource_drift"):
        yield from (item for item in document.get(key) or ())


def strings(value: Any) -> Iterator[str]:
    """Every text of a JSON value, keys included."""
    for path, leaf in leaves(value).items():
        yield from (part for part in (*path, leaf) if isinstance(part, str))


def structure(document: Any) -> set[str]:
    """The words that stay: types, names, addresses but for their keys, providers, attributes, outputs."""
    found = {PROVIDER["full_name"], *(document.get("output_changes") or {})}
    for item in entries(document):
        named = [item["address"], item.get("previous_address") or "", item.get("provider_name") or ""]
        found |= set(itertools.chain.from_iterable(re.split(r'\["(?:[^"\\]|\\.)*"\]|\[\d+\]', text) for text in named))
        for side in ("before", "after"):
            found |= (item["change"].get(side) or {}).keys()
    return {*found, *itertools.chain.from_iterable(re.split(r"[./]", text) for text in found)}


def said(result: PolicyResult, document: Any) -> str:
    """All texts of the result, without the words of the structure and without the names of rules."""
    texts = list(
        itertools.chain.from_iterable((one.message, one.resource, one.remediation) for one in result.violations)
    )
    text = "\n".join(texts).replace("(sensitive)", "\0")
    for word in sorted(structure(document) - {""}, key=len, reverse=True):
        text = re.sub(rf"(?<![\w-]){re.escape(word)}(?![\w-])", "\0", text)
    return text


def assert_not_shown(hidden: set[str], result: PolicyResult, document: Any) -> None:
    text = said(result, document)
    for secret in hidden - structure(document):
        if len(secret.strip()) >= MIN_SECRET:
            assert secret not in text
        elif secret:
            assert not re.search(rf"(?<!\w){re.escape(secret)}(?!\w)", text), secret


def with_masks(document: Any, chosen: Callable[[], bool]) -> tuple[Any, set[str]]:
    """The plan with a mask over every leaf that is chosen, and what stands there, but for what only says yes or no."""
    masked, hidden = copy.deepcopy(document), set[str]()
    for item in entries(masked):
        for side in ("before", "after"):
            mask, values = _mask(item["change"].get(side), chosen)
            item["change"][f"{side}_sensitive"] = mask
            hidden |= values
    return masked, hidden


def _mask(value: Any, chosen: Callable[[], bool]) -> tuple[Any, set[str]]:
    if isinstance(value, dict):
        parts = {key: _mask(item, chosen) for key, item in value.items()}
        return {key: mask for key, (mask, _) in parts.items()}, set().union(*(values for _, values in parts.values()))
    if isinstance(value, list):
        items = [_mask(item, chosen) for item in value]
        return [mask for mask, _ in items], set().union(*(values for _, values in items))
    if not chosen():
        return False, set()
    is_shown = value is None or isinstance(value, bool)
    # Of JSON, what stands in it is secret, too.
    return True, set() if is_shown else set(known_texts([str(value)])) - {"true", "false"}


def real_plans() -> dict[str, Any]:
    """Plans that real providers made."""
    found = {path.stem: json.loads(path.read_text()) for path in REAL.glob("*.json")}
    return {name: document for name, document in found.items() if "resource_changes" in document}


PUBLIC = {
    **{f"public: {name}": planned(*public) for name, (public, _) in WAYS.items()},
    **{f"unknown: {name}": planned(*resources) for name, resources in UNKNOWN.items()},
    "a statement with a name": planned(("aws_sqs_queue_policy", {"policy": policy("*", Sid="LetsEverybodyIn")}, {})),
}
PLANS = {**{name: document for name, (_, document) in FAILING.items()}, **PUBLIC, **real_plans()}


@pytest.mark.parametrize("name", FAILING)
def test_the_plan_fails(name: str) -> None:
    rule, document = FAILING[name]
    assert rule in {one.rule for one in ask(document).violations}


def test_every_module_that_denies_fails_some_plan() -> None:
    rules_of = {name: set(re.findall(r'"rule": "([\w-]+)"', text)) for name, text in POLICIES.items()}
    failed = {rule for rule, _ in FAILING.values()}
    assert [name for name, found in rules_of.items() if found and not found & failed] == []


@pytest.mark.parametrize("name", PLANS)
def test_it_fails_with_every_string_of_it_in_a_secret(name: str) -> None:
    document = PLANS[name]
    hidden = set(itertools.chain.from_iterable(map(strings, entries(document))))
    secrets = Scrubber(hidden)
    result = ask(document, secrets)
    plain = sorted((rule, secrets.address(resource), unknown) for rule, resource, unknown in rules(ask(document)))
    assert rules(result) == plain
    assert_not_shown({text for text in hidden if len(text.strip()) >= MIN_SECRET}, result, document)


@pytest.mark.parametrize("name", PLANS)
def test_it_fails_with_every_leaf_marked_as_sensitive(name: str) -> None:
    document, hidden = with_masks(PLANS[name], lambda: True)
    result = ask(document)
    assert rules(result) == rules(ask(PLANS[name]))
    assert_not_shown(hidden, result, document)


@pytest.mark.parametrize("name", PLANS)
def test_it_fails_with_all_of_a_resource_marked_as_sensitive(name: str) -> None:
    document = copy.deepcopy(PLANS[name])
    for item in entries(document):
        item["change"] |= {"before_sensitive": True, "after_sensitive": True}
    hidden = with_masks(document, lambda: True)[1]
    result = ask(document)
    assert rules(result) == rules(ask(PLANS[name]))
    assert_not_shown(hidden, result, document)


@settings(max_examples=examples(25), deadline=None)
@given(name=st.sampled_from(sorted(FAILING)), data=st.data())
def test_it_fails_whatever_of_it_is_secret(name: str, data: st.DataObject) -> None:
    rule, plain = FAILING[name]
    texts = sorted(set(itertools.chain.from_iterable(map(strings, entries(plain)))))
    known = set(data.draw(st.lists(st.sampled_from(texts), max_size=5)))
    choices = itertools.cycle(data.draw(st.lists(st.booleans(), min_size=1, max_size=12)))
    document, hidden = with_masks(plain, lambda: next(choices))
    result = ask(document, Scrubber(known))
    assert rule in {one.rule for one in result.violations}
    assert_not_shown(hidden | {text for text in known if len(text.strip()) >= MIN_SECRET}, result, document)


# --- Bad input ----------------------------------------------------------------------------------------------------

OPEN = {"from_port": 22, "to_port": 22, "protocol": "tcp", "cidr_blocks": ["0.0.0.0/0"]}


@pytest.mark.parametrize(
    ("secrets", "shown"),
    [
        pytest.param(["aws_security_group"], "aws_security_group.it", id="a Secret that is a type"),
        pytest.param(["aws_security_group.it"], "aws_security_group.it", id="a Secret that is an address"),
        pytest.param(
            ["0.0.0.0/0", "cidr_blocks"], "aws_security_group.it", id="Secrets that are a constant and a name"
        ),
        pytest.param(["security", "setpoint", "create"], "aws_security_group.it", id="Secrets that are ordinary words"),
    ],
)
def test_a_secret_that_is_a_word_of_the_plan_changes_no_verdict(secrets: list[str], shown: str) -> None:
    (violation,) = ask(plan(create("aws_security_group", ingress=[OPEN])), Scrubber(secrets)).violations
    assert (violation.rule, violation.resource) == ("open-port", shown)


def test_the_keys_of_a_sensitive_map_are_not_shown() -> None:
    """By a policy that says them."""
    document = plan(update("t.a", {}, {"m": {"key-of-a-map": {"k2": "v-in-a-map"}}}, after_sensitive={"m": True}))
    judged = judged_plan(document, analyse_plan(document).hidden)
    loaded = load({"a.rego": SAYS_ALL}, {}, INPUTS)
    loaded.engine.set_input_json(json.dumps({"plan": judged.document}))
    packages = {one["package"]: PackageDefaults(one) for one in loaded.packages}
    shown = judged.disclosure.show(
        read_answers(loaded.engine.eval_rule_as_json(answers_for("Environment")).encode(), packages)
    )
    assert {one.message for one in shown.violations} == {"m", "(sensitive)"}


SAYS_ALL = """package a
deny contains key if {
	some rc in input.plan.resource_changes
	walk(rc.change.after, [path, _])
	some key in path
}
"""


def test_what_was_opened_beside_the_code_is_denied_as_drift() -> None:
    document = json.loads((REAL / "acl-public.json").read_text())
    judged = judged_plan(document, analyse_plan(document).hidden)
    packages = {one["package"]: PackageDefaults(one) for one in pack().packages}

    def rules_of(plan: Any) -> set[tuple[str, str]]:
        given = policy_input(QUESTION, gate="g", document=plan, alias="plan")
        pack().engine.set_input_json(json.dumps(given))
        found = read_answers(pack().engine.eval_rule_as_json(answers_for("Environment")).encode(), packages)
        return {(one.rule, one.resource) for one in found.violations}

    opened = rules_of(judged.of_drift()) - rules_of(judged.without_drift())
    assert ("public-grant", "aws_s3_bucket.assets") in opened
