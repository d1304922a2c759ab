"""Least privilege, shown: the rights that manifests/ grant the operator are those that the audit log shows it use."""

import copy
import dataclasses
import itertools
import json
import uuid
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.apiserver import NAMESPACE, PATIENT, ROLES, ApiServer, Cluster
from tests.cluster.manifests import MANIFESTS, applied, built, named, namespaced, overlay
from tests.cluster.operators import Operator, People, environment, running, until
from tests.fakes.examples import example

from setpoint.api.meta import RECONCILE_ANNOTATION

OPERATOR = ROLES["operator"].user
DECISION = "authorization.k8s.io/decision"


def rules_of(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The operator's rules, of its ClusterRole and of its Role."""
    return [*named(objects, "ClusterRole")["rules"], *named(objects, "Role")["rules"]]


def granted(rules: list[dict[str, Any]]) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for rule in rules:
        found |= {(json.dumps(rule, sort_keys=True), verb) for verb in rule["verbs"]}
    return found


def used(rules: list[dict[str, Any]], asked: set[tuple[str, str, str]]) -> set[tuple[str, str]]:
    """The rules, with their verbs, that requests (group, resource, verb) were let pass by."""
    return {
        (json.dumps(rule, sort_keys=True), verb)
        for rule, (group, resource, verb) in itertools.product(rules, asked)
        if group in rule["apiGroups"] and resource in rule["resources"] and verb in rule["verbs"]
    }


def requests(server: ApiServer, since: int) -> dict[str, set[tuple[str, str, str]]]:
    """The operator's requests to the API server: those that the rules `allow`, and those that they `forbid`.

    By that verdict and not by the answer: a namespace that ends answers 403, too.
    """
    found: dict[str, set[tuple[str, str, str]]] = defaultdict(set)
    for event in [*server.audited()][since:]:
        ref = event.get("objectRef", {})
        if event["user"]["username"] == OPERATOR and "resource" in ref:
            resource = "/".join(part for part in (ref["resource"], ref.get("subresource")) if part)
            found[event["annotations"][DECISION]].add((ref.get("apiGroup", ""), resource, event["verb"]))
    return found


UNHEALTHY = [{"http": {"url": "http://127.0.0.1:9/"}, "timeout": "1s"}]
OUTPUT = 'variable "a" {}\nresource "terraform_data" "a" { input = var.a }\noutput "a" { value = var.a }'


def left_by_an_earlier_version(kind: str) -> dict[str, Any]:
    """An object about the target shop, with the label of a version that knew one kind of target."""
    labels = {"setpoint.dev/target": "shop"}
    obj = example(kind, name="shop-of-before", labels=labels, targetRef={"kind": "Environment", "name": "shop"})
    del obj["metadata"]["namespace"]
    return obj


def test_the_rules_granted_are_the_rules_used(
    cluster: Cluster,
    controllers: None,
    crds: None,
    namespace: str,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """One story with everything that the operator does; least privilege is what the audit log shows of it."""
    if not isinstance(cluster, ApiServer):
        pytest.skip("the audit log of a cluster of yours is out of reach")
    people = People(cluster, namespace)
    since = len([*cluster.audited()])
    spec = {"outputsTo": {"secretRef": {"name": "out"}}, "snapshots": {"keep": 1}}
    people.apply(environment("shop", OUTPUT, variables={"a": "1"}, **spec))
    # Before the policies are there: what an earlier version left, and what is in a status that the operator takes away.
    people.apply(*(left_by_an_earlier_version(kind) for kind in ("Change", "Snapshot")))
    words = ("patch", "environment", "shop", "-n", namespace, "--subresource=status", "--type=merge")
    cluster.kubectl(*words, "-p", '{"status":{"drift":{"since":"2020-01-01T00:00:00Z"}}}')
    # Another test's operator may have left one: this one is to create it.
    cluster.kubectl("delete", "lease", "--all", "-n", NAMESPACE, "--ignore-not-found")
    folder = overlay(tmp_path_factory.mktemp("overlay"), "base", "group-bindings")
    rules = rules_of(built(cluster, folder))
    with applied(cluster, folder):
        cluster.kubectl("apply", "--server-side", "-k", str(MANIFESTS / "samples"))
        with running(cluster, tmp_path, role="operator"):
            for value in ("2", "3"):
                people.approve("shop", role="approver")
                people.until_reason("shop", "AtSetpoint")
                people.apply(environment("shop", OUTPUT, variables={"a": value}, **spec), role="platform-engineer")
            people.apply(environment("sick", OUTPUT, variables={"a": "1"}), role="platform-engineer")
            people.approve("sick", role="approver")
            people.until_reason("sick", "AtSetpoint")
            sick = environment("sick", OUTPUT, variables={"a": "2"}, health=UNHEALTHY)
            people.apply(sick, role="platform-engineer")
            people.approve("sick", role="approver")
            until(lambda: people.all("resets") != [])
            cluster.kubectl("delete", "environment", "sick", "-n", namespace, PATIENT, role="platform-engineer")
            wanted = granted(rules)
            until(
                lambda: used(rules, requests(cluster, since)["allow"]) >= wanted,
                lambda: wanted - used(rules, requests(cluster, since)["allow"]),
            )
        cluster.kubectl("delete", "environments", "--all", "-A", "--wait=false")
        cluster.kubectl("delete", "-k", str(MANIFESTS / "samples"), "--wait=false", role="admin", check=False)
    assert requests(cluster, since)["forbid"] == set()


# --- In some namespaces alone -----------------------------------------------------------------------------------------


def test_an_operator_of_some_namespaces_needs_rights_in_these_alone(
    cluster: Cluster, crds: None, namespace: str, tmp_path: Path
) -> None:
    """manifests/components/namespaced and manifests/served-namespace, as the how-to puts them together."""
    if not isinstance(cluster, ApiServer):
        pytest.skip("the audit log of a cluster of yours is out of reach")
    people, elsewhere = People(cluster, namespace), People(cluster, f"{namespace}-else")
    cluster.kubectl("create", "namespace", elsewhere.namespace)
    since = len([*cluster.audited()])
    folder = namespaced(tmp_path, namespace)
    out = {"outputsTo": {"secretRef": {"name": "out"}}, "snapshots": {"keep": 1}}
    with applied(cluster, folder):
        cluster.kubectl("apply", "--server-side", "-k", str(MANIFESTS / "samples"))
        with running(cluster, tmp_path, role="operator", settings={"SETPOINT_NAMESPACES": namespace}):
            elsewhere.apply(environment("shop", OUTPUT, variables={"a": "1"}))
            people.apply(environment("shop", OUTPUT, variables={"a": "1"}, **out))
            people.approve("shop")
            people.until_reason("shop", "AtSetpoint")
            until(lambda: people.all("events.events.k8s.io") != [])
            people.cluster.kubectl("delete", "environment", "shop", "-n", namespace, PATIENT)
        assert elsewhere.condition("shop") == {}, "another's namespace is left alone"
        cluster.kubectl("delete", "-k", str(MANIFESTS / "samples"), "--wait=false", check=False)
    assert requests(cluster, since)["forbid"] == set()


# --- Without one right after the other --------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Calm:
    """A target that nothing is to happen to."""

    people: People
    state: Path

    @property
    def ready(self) -> dict[str, Any]:
        """The condition Ready."""
        return self.people.condition("calm")

    def look(self) -> None:
        """Waits until the operator has looked at it once more."""
        asked = f"{RECONCILE_ANNOTATION}={uuid.uuid4()}"
        self.people.cluster.kubectl("annotate", "--overwrite", "environment", "calm", "-n", "calm", asked)
        wanted = asked.partition("=")[2]
        until(lambda: self.people.get("environment", "calm")["status"].get("handledReconcile") == wanted)


@pytest.fixture(scope="module")
def objects(cluster: Cluster, crds: None) -> Iterator[list[dict[str, Any]]]:
    """The operator's roles and their bindings on the server; who is not its ServiceAccount is an admin here."""
    kinds = {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}
    ours = [
        one
        for one in built(cluster, MANIFESTS / "base")
        if one["kind"] in kinds and one["metadata"]["name"] == "setpoint-operator"
    ]
    cluster.kubectl("create", "namespace", NAMESPACE, check=False)
    apply(cluster, ours)
    yield ours
    cluster.kubectl("delete", "--ignore-not-found", "-f", "-", given=yaml.safe_dump_all(ours))


def apply(cluster: Cluster, objects: list[dict[str, Any]]) -> None:
    """One after the other: a List would be checked as a whole."""
    given = yaml.safe_dump_all(objects)
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", given=given)


@pytest.fixture(scope="module")
def calm(cluster: Cluster, objects: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Calm]:
    """A target at its setpoint, and the state folder of the operator that brought it there."""
    folder = tmp_path_factory.mktemp("calm")
    cluster.kubectl("create", "namespace", "calm")
    people = People(cluster, "calm")
    people.apply(environment("calm"))
    with running(cluster, folder, role="operator", state=folder / "state"):
        people.approve("calm")
        people.until_reason("calm", "AtSetpoint")
    yield Calm(people, folder / "state")
    people.cluster.kubectl("patch", "environment", "calm", "-n", "calm", "--type=json", "-p", LET_GO, check=False)
    people.cluster.kubectl("delete", "namespace", "calm", "--wait=false")


LET_GO = '[{"op":"remove","path":"/metadata/finalizers"}]'
RULES = {
    "environments": "list",
    "approvals": "list",
    "changes": "list",
    "snapshots": "list",
    "resets": "list",
    "policysets": "list",
    "environments/status": "patch",
    "secrets": "get",
    "events": "create",
    "customresourcedefinitions": "list",
}
"""The first resource of each rule of the ClusterRole, and the verb that is missed first."""
NOT_EVERYBODYS = ("secrets", "events")
"""Resources that one target may need and another does without."""


def test_every_rule_is_tried(objects: list[dict[str, Any]]) -> None:
    assert [rule["resources"][0] for rule in named(objects, "ClusterRole")["rules"]] == [*RULES]


@pytest.mark.parametrize("resource", RULES)
def test_without_a_rule_the_operator_names_what_it_lacks(
    cluster: Cluster, objects: list[dict[str, Any]], calm: Calm, namespace: str, tmp_path: Path, resource: str
) -> None:
    role = copy.deepcopy(named(objects, "ClusterRole"))
    role["rules"] = [rule for rule in role["rules"] if resource not in rule["resources"]]
    people, missing = People(cluster, namespace), f'cannot {RULES[resource]} resource "{resource}"'
    apply(cluster, [role])
    operator = Operator(cluster, tmp_path, "operator", role="operator", state=calm.state)
    try:
        operator.process.start()
        cluster.kubectl("create", "secret", "generic", "values", "--from-literal=a=1", "-n", namespace)
        people.apply(environment("shop", OUTPUT, variablesFrom=[{"secretRef": {"name": "values"}}]))
        until(lambda: missing in said(operator, people), lambda: said(operator, people)[-3000:])
        assert operator.process.running
        if resource in NOT_EVERYBODYS:
            calm.look()
            assert calm.ready["status"] == "True"
        # Or it says why not: a right that every target needs.
        until(lambda: is_spared_or_told(calm.ready, missing), lambda: calm.ready)
    finally:
        operator.close()
        apply(cluster, [named(objects, "ClusterRole")])
        cluster.kubectl("patch", "environment", "shop", "-n", namespace, "--type=json", "-p", LET_GO, check=False)


@pytest.mark.parametrize("verb", ["create", "get"])
def test_without_a_right_on_leases_it_stands_by_and_names_it(
    cluster: Cluster, objects: list[dict[str, Any]], calm: Calm, tmp_path: Path, verb: str
) -> None:
    role = copy.deepcopy(named(objects, "Role"))
    role["rules"] = [rule for rule in role["rules"] if verb not in rule["verbs"]]
    cluster.kubectl("delete", "lease", "--all", "-n", NAMESPACE)
    apply(cluster, [role])
    operator = Operator(cluster, tmp_path, "operator", role="operator", state=calm.state)
    try:
        operator.process.start()
        until(lambda: f'cannot {verb} resource "leases"' in operator.process.said(), operator.process.said)
        assert not operator.leads()
        assert calm.ready["status"] == "True"
        apply(cluster, [named(objects, "Role")])
        until(operator.leads, operator.process.said)
    finally:
        operator.close()
        apply(cluster, [named(objects, "Role")])


def is_spared_or_told(ready: dict[str, Any], missing: str) -> bool:
    return ready["status"] == "True" or missing in ready["message"]


def said(operator: Operator, people: People) -> str:
    """The text of an operator's log and of the conditions of what it works on."""
    conditions = [one.get("status", {}).get("conditions") for one in people.all("environments")]
    return operator.process.log.read_text().replace('\\"', '"') + str(conditions)
