"""Targets that an operator observes as it begins, and those that are fresh from one before it."""

from pathlib import Path

import pytest
from tests.cluster.apiserver import NAMESPACE, PATIENT, Cluster
from tests.cluster.operators import Operator, People, environment, running, until

READER = 'variable "who" {}\nresource "terraform_data" "a" { input = var.who }'
AT_SETPOINT = 'setpoint_targets{kind="Environment",ready="True",reason="AtSetpoint"}'


@pytest.fixture
def people(cluster: Cluster, crds: None, namespace: str) -> People:
    cluster.kubectl("create", "namespace", NAMESPACE, check=False)
    return People(cluster, namespace)


def looked_at(operator: Operator, name: str) -> bool:
    """True where there was a pass over an Environment."""
    return f"environment/{name} " in operator.process.said()


def secret(who: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "who"}, "stringData": {"who": who}}


def test_what_rests__rests_on__and_what_moved_meanwhile_is_looked_at(people: People, tmp_path: Path) -> None:
    auto = {"apply": {"mode": "Auto"}, "approvals": {"required": 0}, "interval": "1h"}
    options = {"state": tmp_path / "state", "settings": {"SETPOINT_LOG_LEVEL": "debug"}}
    people.apply(secret("me"))
    people.apply(
        environment("calm", **auto),
        environment("calm-reader", READER, **auto, variablesFrom=[{"secretRef": {"name": "other"}}]),
        environment("reader", READER, **auto, variablesFrom=[{"secretRef": {"name": "who"}}]),
        environment("edited", **auto),
        environment("back", **auto),
        {**secret("you"), "metadata": {"name": "other"}},
    )
    with running(people.cluster, tmp_path, "first", **options):
        for name in ("calm", "calm-reader", "reader", "edited", "back"):
            people.until_reason(name, "AtSetpoint")
        snapshot = people.get("environment", "back")["status"]["snapshot"]
    people.apply(secret("someone else"), environment("edited", 'resource "terraform_data" "b" {}', **auto))
    people.setpoint("reset", "environment/back", "--to", snapshot, "--reason", "test", "-n", people.namespace)
    with running(people.cluster, tmp_path, "second", **options) as operator:
        until(lambda: all(looked_at(operator, name) for name in ("reader", "edited", "back")))
        people.until_reason("edited", "AtSetpoint")
        until(lambda: operator.metric(AT_SETPOINT) >= 3)
        assert not looked_at(operator, "calm")
        assert not looked_at(operator, "calm-reader")
        people.setpoint("reconcile", "environment/calm", "-n", people.namespace)
        until(lambda: looked_at(operator, "calm"))
        people.cluster.kubectl("delete", "environments", "--all", "-n", people.namespace, PATIENT)
