"""A name stands for no digest on an API server either: what others put under it is neither used nor written over."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.cluster.apiserver import NAMESPACE, PATIENT, Cluster
from tests.cluster.operators import Operator, People, environment, running

OTHER = "sha256:" + "0" * 64


@pytest.fixture(scope="module", autouse=True)
def operator(cluster: Cluster, crds: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    cluster.kubectl("create", "namespace", NAMESPACE, check=False)
    with running(cluster, tmp_path_factory.mktemp("operator")) as operator:
        yield operator


@pytest.fixture
def people(cluster: Cluster, namespace: str) -> Iterator[People]:
    yield People(cluster, namespace)
    cluster.kubectl("delete", "environments", "--all", "-n", namespace, PATIENT)


def forge(people: People, kind: str, name: str, **spec: Any) -> dict[str, Any]:
    """Puts another object in the place of one of the operator's; returns it as the server keeps it."""
    found = people.get(kind, name)
    people.cluster.kubectl("delete", kind, name, "-n", people.namespace)
    metadata = {"name": name, "labels": found["metadata"]["labels"]}
    people.apply({**found, "metadata": metadata, "spec": {**found["spec"], **spec}})
    return people.get(kind, name)


def look(people: People, name: str) -> None:
    people.setpoint("reconcile", f"environment/{name}", "-n", people.namespace)


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param({"subject": OTHER}, id="another subject"),
        pytest.param({"summary": {"text": "+0 ~0 -0"}}, id="another summary under the subject"),
    ],
)
def test_another_change_under_the_name_is_not_carried_out(people: People, forged: dict[str, Any]) -> None:
    people.apply(environment("shop"))
    people.until_reason("shop", "ApprovalRequired")
    name = people.get("environment", "shop")["status"]["change"]
    subject = people.get("change", name)["spec"]["subject"]
    assert name == f"shop-{subject[7:39]}"
    foreign = forge(people, "change", name, **forged)

    look(people, "shop")
    people.until_reason("shop", "NameTaken", "Stalled")
    assert subject in people.condition("shop", "Stalled")["message"]
    people.setpoint("approve", name, "-n", people.namespace, check=False)
    look(people, "shop")
    people.until_reason("shop", "NameTaken", "Stalled")
    assert people.get("change", name) == foreign
    assert "applied" not in people.get("environment", "shop")["status"]

    people.cluster.kubectl("delete", "approvals", "--all", "-n", people.namespace)
    people.cluster.kubectl("delete", "change", name, "-n", people.namespace)
    look(people, "shop")
    assert people.approve("shop") == name
    people.until_reason("shop", "AtSetpoint")


def test_another_snapshot_under_the_name_is_no_way_back(people: People) -> None:
    people.apply(environment("shop", apply={"mode": "Auto"}))
    people.until_reason("shop", "AtSetpoint")
    name = people.get("environment", "shop")["status"]["snapshot"]
    captured = people.get("snapshot", name)["spec"]["environment"]
    foreign = forge(people, "snapshot", name, environment={**captured, "archive": OTHER})

    people.setpoint("reset", "environment/shop", "--to", name, "--reason", "to what it was", "-n", people.namespace)
    (reset,) = people.all("resets")
    refused = people.cluster.kubectl(
        "wait", "--for=condition=Complete=False", f"reset/{reset['metadata']['name']}", "-n", people.namespace,
        PATIENT,
    )  # fmt: skip
    assert refused.returncode == 0
    assert people.all("resets")[0]["status"]["conditions"][0]["reason"] == "DigestMismatch"

    people.apply(environment("shop", 'resource "terraform_data" "b" {}', apply={"mode": "Auto"}))
    people.until_reason("shop", "NameTaken", "Stalled")
    assert people.get("snapshot", name) == foreign
    assert "no way back" in people.condition("shop", "Stalled")["message"]
