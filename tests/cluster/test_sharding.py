"""Targets divided among leaders: every one has exactly one, and the share of a lost replica is taken over."""

import collections
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.apiserver import NAMESPACE, Cluster
from tests.cluster.operators import Operator, People, environment, until
from tests.cluster.replicas import Replicas

from setpoint.api.meta import ObjectRef
from setpoint.domain.sharding import shard_of

SHARDS = 3
NAMES = tuple(f"shop-{number}" for number in range(6))


@pytest.fixture
def replicas(cluster: Cluster, crds: None, postgres_url: str, tmp_path: Path) -> Iterator[Replicas]:
    cluster.kubectl("create", "namespace", NAMESPACE, check=False)
    made = Replicas(cluster, tmp_path, postgres_url, shards=SHARDS)
    yield made
    made.close()


@pytest.fixture
def people(cluster: Cluster, namespace: str, replicas: Replicas) -> People:
    return People(cluster, namespace)


def counted(ledger: Path, round_: int) -> str:
    """Terraform that notes each of its creates."""
    return f"""
resource "terraform_data" "a" {{
  triggers_replace = {round_}
  provisioner "local-exec" {{
    command = "echo {round_} >> {ledger}"
  }}
}}
"""


def test_each_target_has_one_leader_and_a_lost_share_is_taken_over(
    people: People, replicas: Replicas, tmp_path: Path
) -> None:
    first, second = replicas.all
    first.process.start()
    first.process.wait_ready()
    until(lambda: replicas.holders() == ["replica-0"] * SHARDS, replicas.holders)
    roll_out(people, tmp_path, 1)
    assert worked(first, people) == set(NAMES)

    second.process.start()
    until(lambda: collections.Counter(replicas.holders()) == {"replica-0": 2, "replica-1": 1}, replicas.holders)
    roll_out(people, tmp_path, 2)
    shares = [worked(one, people) for one in replicas.all]
    assert set.union(*shares) == set(NAMES)
    assert set.intersection(*shares) == set()
    assert shares[1] == {name for name in NAMES if replicas.holder(shard(people, name)) == "replica-1"}

    first.process.kill()
    until(lambda: replicas.holders() == ["replica-1"] * SHARDS, replicas.holders)
    roll_out(people, tmp_path, 3)
    assert worked(second, people) == set(NAMES)
    for name in NAMES:
        assert ledger(tmp_path, name).read_text().split() == ["1", "2", "3"], "each change was applied once"


def roll_out(people: People, folder: Path, round_: int) -> None:
    """Brings all targets to a new setpoint."""
    people.apply(*(environment(name, counted(ledger(folder, name), round_)) for name in NAMES))
    for name in NAMES:
        until(lambda name=name: people.get("environment", name).get("status", {}).get("observedGeneration") == round_)
        people.approve(name)
    for name in NAMES:
        people.until_reason(name, "AtSetpoint")


def ledger(folder: Path, name: str) -> Path:
    return folder / f"{name}.ledger"


def shard(people: People, name: str) -> int:
    return shard_of(ObjectRef("Environment", people.namespace, name).key, SHARDS)


def worked(one: Operator, people: People) -> set[str]:
    """The targets that a replica's metrics show: those of its own shards alone."""
    return {
        name
        for name in NAMES
        if one.series(f'setpoint_target_info{{kind="Environment",name="{name}",namespace="{people.namespace}"')
    }
