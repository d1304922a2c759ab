"""A namespace that is deleted with what is in it: it ends, and an Environment that can't end says why."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.apiserver import NAMESPACE, PATIENT, Cluster
from tests.cluster.operators import Operator, People, environment, running, until


@pytest.fixture(scope="module")
def operator(
    cluster: Cluster, controllers: None, crds: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    cluster.kubectl("create", "namespace", NAMESPACE, check=False)
    with running(cluster, tmp_path_factory.mktemp("operator")) as operator:
        until(operator.leads)
        yield operator


@pytest.fixture
def going(cluster: Cluster, operator: Operator) -> Iterator[People]:
    """A namespace of this test's own, which it deletes."""
    people = People(cluster, f"going-{uuid.uuid4().hex[:8]}")
    cluster.kubectl("create", "namespace", people.namespace)
    yield people
    cluster.kubectl("wait", "--for=delete", f"namespace/{people.namespace}", PATIENT)


def make(people: People, log: Path, policy: str) -> None:
    """An Environment at its setpoint, whose one resource leaves a line when it is destroyed."""
    main = f"""
resource "terraform_data" "a" {{
  provisioner "local-exec" {{
    when    = destroy
    command = "echo destroyed >> {log}"
  }}
}}
"""
    people.apply(environment("shop", main, protection={"deletionPolicy": policy}))
    people.approve("shop")
    people.until_reason("shop", "AtSetpoint")


def test_it_goes_with_an_environment_that_is_retained(going: People, tmp_path: Path) -> None:
    make(going, tmp_path / "log", "Retain")
    going.cluster.kubectl("delete", "namespace", going.namespace, PATIENT)
    assert not (tmp_path / "log").exists()


def test_one_to_be_destroyed_says_that_it_can_not_be_and_goes_once_it_is_retained(
    going: People, tmp_path: Path
) -> None:
    """The policy setpoint-protected-namespaces refuses the deletion; it is not in force here."""
    make(going, tmp_path / "log", "Destroy")
    going.cluster.kubectl("delete", "namespace", going.namespace, "--wait=false")
    going.until_reason("shop", "NamespaceTerminating")
    assert going.condition("shop", "Stalled")["status"] == "True"
    assert "set spec.protection.deletionPolicy to Retain" in going.condition("shop")["message"]
    retain = '{"spec":{"protection":{"deletionPolicy":"Retain"}}}'
    going.cluster.kubectl("patch", "environment", "shop", "-n", going.namespace, "--type=merge", "-p", retain)
    going.cluster.kubectl("wait", "--for=delete", f"namespace/{going.namespace}", PATIENT)
    assert not (tmp_path / "log").exists()
