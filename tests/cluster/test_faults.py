"""Faults under the operator, and that it ends at the setpoint with nothing applied twice and nothing lost."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.apiserver import NAMESPACE, PATIENT, ApiServer, Cluster
from tests.cluster.operators import Operator, People, environment, running, slow, until

APPLY_SECONDS = 6.0
OUTAGE_SECONDS = 60.0


@pytest.fixture(scope="module", autouse=True)
def _lease_namespace(cluster: Cluster, crds: None) -> None:
    cluster.kubectl("create", "namespace", NAMESPACE, check=False)


@pytest.fixture
def people(api_server: ApiServer, namespace: str) -> People:
    return People(api_server, namespace)


@pytest.fixture
def operator(api_server: ApiServer, people: People, tmp_path: Path) -> Iterator[Operator]:
    with running(api_server, tmp_path) as operator:
        yield operator
        api_server.recover()
        if not operator.process.running:
            operator.process.start()
        people.cluster.kubectl("delete", "environments", "--all", "-n", people.namespace, PATIENT)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """The file where each create of the slow resource leaves a line."""
    path = tmp_path / "ledger"
    path.touch()
    return path


def begun(ledger: Path) -> bool:
    return bool(ledger.read_text())


def begin_apply(people: People, ledger: Path) -> str:
    """Leaves an apply running; returns its Change."""
    people.apply(environment("shop", slow(ledger, APPLY_SECONDS)))
    change = people.approve("shop")
    until(lambda: begun(ledger))
    return change


def ends_at_the_setpoint(people: People, ledger: Path) -> None:
    people.until_reason("shop", "AtSetpoint")
    assert ledger.read_text().count("created") == 1
    assert people.get("environment", "shop")["status"]["state"]["resources"] == 2


def test_the_api_server_is_killed_in_the_middle_of_an_apply(
    api_server: ApiServer, people: People, operator: Operator, ledger: Path
) -> None:
    begin_apply(people, ledger)
    api_server.api.kill()
    until(lambda: operator.metric('setpoint_applies_total{result="Succeeded"}') == 1)
    api_server.recover()
    ends_at_the_setpoint(people, ledger)


def test_the_api_server_is_away_for_a_minute_in_the_middle_of_an_apply(
    api_server: ApiServer, people: People, operator: Operator, ledger: Path
) -> None:
    other = ledger.with_name("other")
    people.apply(environment("other", slow(other, 0)))
    people.until_reason("other", "ApprovalRequired")
    begin_apply(people, ledger)
    # The other's approval is on its way to the operator, or there, when the server goes.
    operator.process.pause()
    people.approve("other")
    api_server.api.kill()
    operator.process.resume()
    time.sleep(OUTAGE_SECONDS)
    assert ledger.read_text().count("created") == 1
    assert not other.exists(), "what was approved waits for the server"
    api_server.recover()
    people.until_reason("other", "AtSetpoint")
    assert other.read_text().count("created") == 1
    ends_at_the_setpoint(people, ledger)


def test_etcd_is_restarted_in_the_middle_of_an_apply(
    api_server: ApiServer, people: People, operator: Operator, ledger: Path
) -> None:
    begin_apply(people, ledger)
    api_server.etcd.kill()
    api_server.recover()
    ends_at_the_setpoint(people, ledger)


def test_the_operator_is_killed_in_the_middle_of_an_apply(people: People, operator: Operator, ledger: Path) -> None:
    first = begin_apply(people, ledger)
    assert people.condition("shop", "Reconciling")["reason"] == "Progressing"
    operator.process.kill()
    operator.process.start()
    # An interrupted apply spends its approval, and what is left needs another.
    until(lambda: people.get("environment", "shop").get("status", {}).get("change") != first)
    until(lambda: people.condition("shop").get("reason") in {"ApprovalRequired", "AtSetpoint"})
    if people.condition("shop")["reason"] == "ApprovalRequired":
        people.approve("shop")
    people.until_reason("shop", "AtSetpoint")
    state = people.get("environment", "shop")["status"]
    assert state["state"]["resources"] == 2
    # The watchdog interrupts Terraform: a create that it broke off is in the state as tainted, and replaced.
    assert ledger.read_text().count("created") <= 2


def test_an_environment_is_deleted_while_the_operator_is_down(people: People, operator: Operator, ledger: Path) -> None:
    people.apply(environment("shop"))
    people.approve("shop")
    people.until_reason("shop", "AtSetpoint")
    operator.process.kill()
    people.cluster.kubectl("delete", "environment", "shop", "-n", people.namespace, "--wait=false")
    operator.process.start()
    until(lambda: people.all("environments") == [])


def test_a_crd_is_removed_and_put_back(api_server: ApiServer, people: People, operator: Operator) -> None:
    root = Path(__file__).parents[2]
    definition = str(root / "crds" / "setpoint.dev_policysets.yaml")
    people.cluster.kubectl("delete", "-f", definition)
    try:
        people.apply(environment("shop"))
        people.until_reason("shop", "ApprovalRequired")
    finally:
        people.cluster.kubectl("apply", "--server-side", "-f", definition)
    people.approve("shop")
    people.until_reason("shop", "AtSetpoint")


def test_the_operator_starts_before_the_api_server(api_server: ApiServer, people: People, tmp_path: Path) -> None:
    people.apply(environment("shop"))
    for round_ in range(3):
        api_server.api.kill()
        api_server.api.start()
        with running(api_server, tmp_path, f"early-{round_}", state=tmp_path / "state"):
            people.apply(environment("shop", f'resource "terraform_data" "a" {{ input = {round_} }}'))
            generation = people.get("environment", "shop")["metadata"]["generation"]
            until(
                lambda now=generation: (
                    people.get("environment", "shop").get("status", {}).get("observedGeneration") == now
                )
            )
    with running(api_server, tmp_path, "last", state=tmp_path / "state"):
        people.cluster.kubectl("delete", "environment", "shop", "-n", people.namespace, PATIENT)
