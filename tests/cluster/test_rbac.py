"""Least privilege, shown: the rights that manifests/ grant the operator are those that the audit log shows it use."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.apiserver import NAMESPACE, ROLES, ApiServer, Cluster
from tests.cluster.manifests import MANIFESTS, applied, built, named, overlay
from tests.cluster.operators import People, environment, running, until

OPERATOR = ROLES["operator"].user


def rules_of(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The operator's rules, of its ClusterRole and of its Role."""
    return [*named(objects, "ClusterRole")["rules"], *named(objects, "Role")["rules"]]


def granted(rules: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(json.dumps(rule, sort_keys=True), verb) for rule in rules for verb in rule["verbs"]}


def used(rules: list[dict[str, Any]], asked: set[tuple[str, str, str]]) -> set[tuple[str, str]]:
    """The rules, with their verbs, that requests (group, resource, verb) were let pass by."""
    return {
        (json.dumps(rule, sort_keys=True), verb)
        for rule in rules
        for group, resource, verb in asked
        if group in rule["apiGroups"] and resource in rule["resources"] and verb in rule["verbs"]
    }


def requests(server: ApiServer, since: int) -> dict[int, set[tuple[str, str, str]]]:
    """What the operator asked of the API server, by the status of the answer."""
    found: dict[int, set[tuple[str, str, str]]] = defaultdict(set)
    for event in [*server.audited()][since:]:
        ref = event.get("objectRef", {})
        if event["user"]["username"] == OPERATOR and "resource" in ref:
            resource = "/".join(part for part in (ref["resource"], ref.get("subresource")) if part)
            found[event["responseStatus"]["code"]].add((ref.get("apiGroup", ""), resource, event["verb"]))
    return found


UNHEALTHY = [{"http": {"url": "http://127.0.0.1:9/"}, "timeout": "1s"}]
OUTPUT = 'variable "a" {}\nresource "terraform_data" "a" { input = var.a }\noutput "a" { value = var.a }'


@pytest.mark.timeout(240)
def test_the_rules_granted_are_the_rules_used(
    cluster: Cluster, crds: None, namespace: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One story with everything that the operator does; least privilege is what the audit log shows of it."""
    if not isinstance(cluster, ApiServer):
        pytest.skip("the audit log of a cluster of yours is out of reach")
    people = People(cluster, namespace)
    since = len([*cluster.audited()])
    spec = {"outputsTo": {"secretRef": {"name": "out"}}, "snapshots": {"keep": 1}}
    people.apply(environment("shop", OUTPUT, variables={"a": "1"}, **spec))
    # Before the policies are there: what the operator finds in a status, and takes away.
    words = ("patch", "environment", "shop", "-n", namespace, "--subresource=status", "--type=merge")
    cluster.kubectl(*words, "-p", '{"status":{"drift":{"since":"2020-01-01T00:00:00Z"}}}')
    # Another test's operator may have left one: this one is to create it.
    cluster.kubectl("delete", "lease", "--all", "-n", NAMESPACE, "--ignore-not-found")
    folder = overlay(tmp_path_factory.mktemp("overlay"), "base", "group-bindings")
    rules = rules_of(built(cluster, folder))
    with applied(cluster, folder):
        if cluster.controllers is None:
            cluster.start_controllers()
        cluster.kubectl("apply", "--server-side", "-k", str(MANIFESTS / "samples"))
        with running(cluster, tmp_path, role="operator"):
            for value in ("2", "3"):
                people.approve("shop", role="approver")
                people.until_reason("shop", "AtSetpoint")
                people.apply(environment("shop", OUTPUT, variables={"a": value}, **spec), role="platform-engineer")
            people.apply(environment("sick", health=UNHEALTHY), role="platform-engineer")
            people.approve("sick", role="approver")
            until(lambda: people.all("resets") != [])
            cluster.kubectl("delete", "environment", "sick", "-n", namespace, "--timeout=60s", role="platform-engineer")
            wanted = granted(rules)
            until(
                lambda: used(rules, set().union(*requests(cluster, since).values())) >= wanted,
                lambda: wanted - used(rules, set().union(*requests(cluster, since).values())),
            )
        cluster.kubectl("delete", "environments", "--all", "-A", "--wait=false")
        cluster.kubectl("delete", "-k", str(MANIFESTS / "samples"), "--wait=false", role="admin", check=False)
    assert requests(cluster, since)[403] == set()
