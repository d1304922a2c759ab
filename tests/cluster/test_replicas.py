"""Replicas that share a PostgreSQL store: one leads, and whatever becomes of it, no target has two."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.apiserver import NAMESPACE, PATIENT, Cluster
from tests.cluster.operators import Operator, People, environment, until
from tests.cluster.replicas import Replicas

from setpoint.domain.audit import Phase


@pytest.fixture(scope="module", autouse=True)
def _lease_namespace(cluster: Cluster, crds: None) -> None:
    cluster.kubectl("create", "namespace", NAMESPACE, check=False)


@pytest.fixture
def replicas(cluster: Cluster, postgres_url: str, tmp_path: Path) -> Iterator[Replicas]:
    made = Replicas(cluster, tmp_path, postgres_url)
    try:
        for one in made.all:
            one.process.start()
            one.process.wait_ready()
            until(lambda: bool(made.holder()))
        yield made
    finally:
        made.close()


@pytest.fixture
def people(cluster: Cluster, namespace: str, replicas: Replicas) -> Iterator[People]:
    people = People(cluster, namespace)
    yield people
    cluster.kubectl("delete", "environments", "--all", "-n", namespace, PATIENT)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """The file where each create notes that it began, and whether another was still going on."""
    path = tmp_path / "ledger"
    path.touch()
    return path


def watched(ledger: Path, seconds: float) -> str:
    """Terraform that takes its time, and tells of two that run at once."""
    running = ledger.with_suffix(".pid")
    script = (
        f"if kill -0 $(cat {running} 2>/dev/null || echo none) 2>/dev/null; then echo overlap >> {ledger}; fi; "
        f"echo $$ > {running}; echo created >> {ledger}; sleep {seconds}; rm -f {running}"
    )
    return f"""
resource "terraform_data" "a" {{
  provisioner "local-exec" {{
    command = "{script}"
  }}
}}
"""


def begin_apply(people: People, ledger: Path, seconds: float) -> str:
    people.apply(environment("shop", watched(ledger, seconds)))
    change = people.approve("shop")
    until(lambda: "created" in ledger.read_text())
    return change


def approve_the_rest(people: People, ledger: Path, interrupted: str) -> None:
    """An interrupted apply spends its approval; what is left to do needs another."""
    people.apply(environment("shop", watched(ledger, 0)))
    until(lambda: people.get("environment", "shop").get("status", {}).get("change") not in {None, interrupted})
    people.approve("shop")
    people.until_reason("shop", "AtSetpoint")


def test_a_standby_takes_over_from_one_killed(people: People, replicas: Replicas) -> None:
    people.apply(environment("shop"))
    people.approve("shop")
    people.until_reason("shop", "AtSetpoint")
    heir = replicas.standby
    replicas.leader.process.kill()
    killed = time.monotonic()
    until(lambda: replicas.holder() == heir.name)
    assert time.monotonic() - killed < 30
    people.apply(environment("shop", 'resource "terraform_data" "b" {}'))
    people.approve("shop")
    until(lambda: people.get("environment", "shop")["status"]["observedGeneration"] == 2)
    people.until_reason("shop", "AtSetpoint")


def test_a_leader_that_stops_hands_over_at_once(people: People, replicas: Replicas) -> None:
    heir = replicas.standby
    replicas.leader.process.stop()
    stopped = time.monotonic()
    until(lambda: replicas.holder() == heir.name)
    assert time.monotonic() - stopped < 10


async def test_a_leader_is_killed_in_the_middle_of_an_apply(people: People, replicas: Replicas, ledger: Path) -> None:
    change = begin_apply(people, ledger, 60)
    killed, heir = replicas.leader, replicas.standby
    killed.process.kill()
    approve_the_rest(people, ledger, change)
    assert ledger.read_text().split() == ["created", "created"]
    await each_run_has_one_outcome(replicas)
    # The one that was killed has a state in its folder that was never saved, and that is of the past by now.
    killed.process.start()
    killed.process.wait_ready()
    heir.process.stop()
    until(lambda: replicas.holder() == killed.name)
    people.apply(environment("shop", 'resource "terraform_data" "b" {}'))
    until(lambda: people.get("environment", "shop")["status"]["observedGeneration"] == 3)
    people.approve("shop")
    people.until_reason("shop", "AtSetpoint")


async def test_a_leader_is_paused_past_its_lease_and_continued(
    people: People, replicas: Replicas, ledger: Path
) -> None:
    change = begin_apply(people, ledger, 60)
    paused, heir = replicas.leader, replicas.standby
    paused.process.pause()
    until(lambda: replicas.holder() == heir.name)
    approve_the_rest(people, ledger, change)
    before = people.get("environment", "shop")["status"]
    paused.process.resume()
    until(paused.ready)
    until(lambda: "Lost the Lease" in paused.process.log.read_text())
    assert replicas.holder() == heir.name
    # Overlap would be Terraform of the paused leader that still ran when the other's began.
    assert ledger.read_text().split() == ["created", "created"]
    assert people.get("environment", "shop")["status"] == before
    await each_run_has_one_outcome(replicas)
    applies = [row.entry for row in await replicas.rows() if row.entry.action == "apply"]
    assert [entry.result for entry in applies if entry.phase is Phase.OUTCOME] == ["Interrupted", "Succeeded"]


async def test_who_holds_the_lease_begins_another_term_where_its_own_was_ended(
    people: People, replicas: Replicas, ledger: Path
) -> None:
    begin_apply(people, ledger, 3)
    leader = replicas.leader
    await replicas.depose()
    until(lambda: "was ended by another's" in leader.process.log.read_text())
    people.until_reason("shop", "AtSetpoint")
    assert replicas.leader.name == leader.name
    assert ledger.read_text().split() == ["created"], "the state that was refused is saved by the new term"
    await each_run_has_one_outcome(replicas)


async def each_run_has_one_outcome(replicas: Replicas) -> None:
    entries = [row.entry for row in await replicas.rows()]
    intents = sorted(entry.run for entry in entries if entry.phase is Phase.INTENT)
    assert intents == sorted(entry.run for entry in entries if entry.phase is Phase.OUTCOME)
    assert len(intents) == len(set(intents))


def test_on_sqlite_a_second_replica_refuses_to_start(cluster: Cluster, tmp_path: Path) -> None:
    first, second = (Operator(cluster, tmp_path, name, state=tmp_path / "state") for name in ("first", "second"))
    try:
        first.process.start()
        first.process.wait_ready()
        second.process.start()
        with pytest.raises(RuntimeError, match=r"another operator works on .*SETPOINT_STORE_URL"):
            second.process.wait_ready()
    finally:
        first.close()
        second.close()
