"""Snapshots: the same state under the same configuration is one of them, and none that is needed is pruned."""

import datetime as dt
import json
from typing import Any

import pytest
from tests.fakes.cluster import InMemoryCluster
from tests.fakes.examples import example
from tests.fakes.reconciling import FakeClock
from tests.fakes.store import Stores, memory_stores, state_file

from setpoint.api.conditions import Reason
from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.api.v1alpha1 import snapshot as api
from setpoint.api.v1alpha1.environment import Environment, EnvironmentApplied
from setpoint.domain.errors import StalledError
from setpoint.domain.model import Snapshot
from setpoint.pipeline.configurations import configuration_of
from setpoint.pipeline.snapshots import SnapshotPruner, SnapshotTaker, content_problem
from setpoint.targets.environment.capturing import capture_state

DIGEST = "sha256:" + "7e" * 32
APPLIED = EnvironmentApplied(bundle=DIGEST, archive=DIGEST, variables=DIGEST, generation=3, at="2026-01-01T00:00:00Z")
SECRET = "hunter2-very-secret"


@pytest.fixture
def stores() -> Stores:
    return memory_stores()


class Taker:
    """Takes snapshots of the example Environment."""

    def __init__(self, cluster: InMemoryCluster, stores: Stores, environment: Environment) -> None:
        self._cluster = cluster
        self._stores = stores
        self._environment = environment

    async def take(self, applied: EnvironmentApplied | None = APPLIED, **secrets: str) -> Snapshot:
        states, blobs, key = self._stores.states, self._stores.blobs, self._environment.ref.key
        configuration = configuration_of(applied)
        recorded = configuration.recorded if configuration else {}
        engine = "terraform 1.11.4"
        captured = await capture_state(states, blobs, key, recorded, engine=engine, secret_variables=secrets)
        return await SnapshotTaker(self._cluster).take(self._environment, applied, captured)

    async def save(self, data: bytes) -> None:
        await self._stores.states.append(self._environment.ref.key, data, run="run-1")

    async def kept(self) -> list[JsonObject]:
        return list((await self._cluster.list("Snapshot")).items)


@pytest.fixture
def taker(cluster: InMemoryCluster, stores: Stores, environment: Environment) -> Taker:
    return Taker(cluster, stores, environment)


async def test_one_before_the_first_apply_holds_nothing(taker: Taker) -> None:
    taken = await taker.take(None)
    assert taken.configuration is None
    (kept,) = await taker.kept()
    assert kept["spec"]["environment"]["stateVersion"] == 0
    assert kept["metadata"]["name"] == taken.name
    assert not {"bundle", "archive", "variables", "stateDigest", "outputs"} & kept["spec"]["environment"].keys()
    assert "configuration" not in kept["spec"]


async def test_one_holds_what_a_reset_needs(taker: Taker, cluster: InMemoryCluster, environment: Environment) -> None:
    await taker.save(state_file(4, resources=2))
    taken = await taker.take()
    (kept,) = await taker.kept()
    assert (kept["spec"]["generation"], kept["spec"]["configuration"]) == (3, APPLIED.configuration_name)
    own = kept["spec"]["environment"]
    assert (own["stateVersion"], own["resources"]) == (1, 2)
    assert own["bundle"] == own["archive"] == own["variables"] == DIGEST
    assert kept["metadata"]["labels"] == {"setpoint.dev/target": "environment.shop-prod"}
    (entry,) = cluster.audit
    assert (entry.action, entry.target, entry.result) == ("snapshot", environment.ref, taken.name)
    assert entry.digests == {"snapshot": taken.digest}


async def test_the_same_again_is_the_same_one(taker: Taker, cluster: InMemoryCluster) -> None:
    await taker.save(state_file(4))
    first, writes = await taker.take(token=SECRET), cluster.writes
    assert await taker.take(token=SECRET) == first
    assert cluster.writes == writes


@pytest.mark.parametrize(
    "move",
    [
        pytest.param({"state": state_file(5, resources=2)}, id="the state"),
        pytest.param({"applied": APPLIED.model_copy(update={"variables": "sha256:" + "1" * 64})}, id="the variables"),
        pytest.param({"applied": APPLIED.model_copy(update={"bundle": "sha256:" + "1" * 64})}, id="the code"),
        pytest.param({"secret": "another"}, id="a secret variable"),
    ],
)
async def test_what_moves_makes_another_one(taker: Taker, move: dict[str, Any]) -> None:
    await taker.save(state_file(4))
    first = await taker.take(token=SECRET)
    if "state" in move:
        await taker.save(move["state"])
    other = await taker.take(move.get("applied", APPLIED), token=move.get("secret", SECRET))
    assert other.digest != first.digest
    assert {one["metadata"]["name"] for one in await taker.kept()} == {first.name, other.name}


async def test_secrets_and_outputs_are_there_by_digest(taker: Taker, stores: Stores) -> None:
    document = json.loads(state_file(4))
    document["outputs"] = {"token": {"value": SECRET, "type": "string", "sensitive": True}}
    await taker.save(json.dumps(document).encode())
    await taker.take(token=SECRET)
    (kept,) = await taker.kept()
    assert SECRET not in json.dumps(kept)
    assert kept["spec"]["environment"]["secretVariables"] == {"token": stores.blobs.digest(SECRET.encode())}
    assert json.loads(await stores.blobs.get(kept["spec"]["environment"]["outputs"])) == document["outputs"]


@pytest.mark.parametrize(
    "moved",
    [
        pytest.param({"digest": "sha256:" + "1" * 64}, id="another digest"),
        pytest.param({"environment": {"archive": "sha256:" + "1" * 64}}, id="other code under the same digest"),
        pytest.param({"targetRef": {"kind": "Environment", "name": "shop-dev"}}, id="another target"),
    ],
)
async def test_another_under_the_name_is_no_way_back(
    taker: Taker, cluster: InMemoryCluster, moved: dict[str, Any]
) -> None:
    taken = await taker.take()
    (kept,) = await taker.kept()
    await cluster.delete(ObjectRef.of(kept))
    own = {**kept["spec"]["environment"], **moved.get("environment", {})}
    foreign = await cluster.add({**kept, "spec": {**kept["spec"], **moved, "environment": own}})
    writes = cluster.writes
    with pytest.raises(StalledError) as refused:
        await taker.take()
    assert refused.value.reason is Reason.NAME_TAKEN
    assert taken.name in refused.value.message
    assert cluster.writes == writes
    assert await taker.kept() == [foreign]


async def test_what_was_taken_is_what_its_digest_says(taker: Taker) -> None:
    await taker.save(state_file(4))
    await taker.take(token=SECRET)
    (kept,) = await taker.kept()
    taken = api.Snapshot.model_validate(kept)
    assert content_problem(taken) == ""
    moved = taken.spec.model_copy(update={"environment": taken.spec.member.model_copy(update={"state_version": 9})})
    assert "content" in content_problem(taken.model_copy(update={"spec": moved}))
    renamed = taken.metadata.model_copy(update={"name": f"shop-prod-snap-{'0' * 32}"})
    assert "name" in content_problem(taken.model_copy(update={"metadata": renamed}))


# --- Pruning ------------------------------------------------------------------------------------------------------


async def fill(cluster: InMemoryCluster, clock: FakeClock, count: int, **frame: Any) -> None:
    """So many snapshots, s1 the oldest."""
    for number in range(1, count + 1):
        clock.instant += dt.timedelta(minutes=1)
        labels = {"setpoint.dev/target": "shop-prod"}
        await cluster.add(example("Snapshot", **{"name": f"s{number}", "labels": labels, **frame}))


def keeping(count: int, **status: Any) -> Environment:
    return Environment.model_validate(example("Environment", snapshots={"keep": count}, status=status))


async def prune(cluster: InMemoryCluster, environment: Environment, newest: str | None = None) -> set[str]:
    await SnapshotPruner(cluster).prune(environment, newest=newest)
    return {one["metadata"]["name"] for one in (await cluster.list("Snapshot")).items}


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        pytest.param(1, {"s4"}, id="one"),
        pytest.param(3, {"s2", "s3", "s4"}, id="three"),
        pytest.param(4, {"s1", "s2", "s3", "s4"}, id="all"),
        pytest.param(9, {"s1", "s2", "s3", "s4"}, id="more than there are"),
    ],
)
async def test_the_newest_stay(cluster: InMemoryCluster, clock: FakeClock, keep: int, left: set[str]) -> None:
    await fill(cluster, clock, 4)
    assert await prune(cluster, keeping(keep)) == left
    gone = {"s1", "s2", "s3", "s4"} - left
    assert {one.result for one in cluster.audit if one.action == "snapshot.prune"} == gone


HOLD = {"reason": "ResetHold", "since": "2026-01-01T00:00:00Z", "generation": 1, "snapshot": "s1"}


@pytest.mark.parametrize(
    ("status", "needs"),
    [
        pytest.param({"snapshot": "s1"}, None, id="the target's newest"),
        pytest.param({"hold": HOLD}, None, id="what it is held at"),
        pytest.param({"change": "open"}, example("Change", name="open", snapshotRef="s1"), id="an open change's"),
        pytest.param({}, example("Reset", name="back", snapshotRef={"name": "s1"}), id="a reset's"),
    ],
)
async def test_one_in_use_stays(cluster: InMemoryCluster, clock: FakeClock, status: dict, needs: dict | None) -> None:
    await fill(cluster, clock, 4)
    if needs is not None:
        await cluster.add(needs)
    assert await prune(cluster, keeping(2, **status)) == {"s1", "s3", "s4"}


async def test_the_one_that_the_pass_has_just_taken_stays(cluster: InMemoryCluster, clock: FakeClock) -> None:
    await fill(cluster, clock, 3)
    assert await prune(cluster, keeping(1), newest="s2") == {"s2", "s3"}


async def test_a_change_that_is_gone_holds_nothing(cluster: InMemoryCluster, clock: FakeClock) -> None:
    await fill(cluster, clock, 2)
    assert await prune(cluster, keeping(1, change="gone")) == {"s2"}


@pytest.mark.parametrize(
    "frame",
    [
        {"labels": {"setpoint.dev/target": "shop-dev"}},
        {"namespace": "other"},
        {"targetRef": {"kind": "Environment", "name": "shop-dev"}},
    ],
    ids=["another target's", "another namespace's", "another target's under this label"],
)
async def test_others_are_left_alone(cluster: InMemoryCluster, clock: FakeClock, frame: dict) -> None:
    await fill(cluster, clock, 3, **frame)
    assert await prune(cluster, keeping(1)) == {"s1", "s2", "s3"}


async def test_one_that_somebody_else_deleted_is_no_matter(cluster: InMemoryCluster, clock: FakeClock) -> None:
    class Racing(InMemoryCluster):
        async def delete(self, ref: ObjectRef, **more: Any) -> None:
            await super().delete(ref)
            await super().delete(ref, **more)

    racing = Racing(now=clock.now)
    await fill(racing, clock, 3)
    assert await prune(racing, keeping(1)) == {"s3"}
