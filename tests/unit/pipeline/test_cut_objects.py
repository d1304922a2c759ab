"""Changes and Snapshots of before of which an API server kept too little: void, and in nobody's way."""

from typing import Any

import pytest
from tests.fakes.cluster import InMemoryCluster
from tests.fakes.examples import example, taken
from tests.fakes.reconciling import Bench, FakeClock
from tests.fakes.store import memory_stores

from setpoint.api.conditions import Reason
from setpoint.api.meta import ObjectRef
from setpoint.api.v1alpha1.change import ChangeSpec
from setpoint.api.v1alpha1.environment import Environment
from setpoint.domain.errors import StalledError
from setpoint.domain.model import Captured
from setpoint.pipeline.changes import CUT, ChangeRegister
from setpoint.pipeline.names import TARGET_LABEL, target_label
from setpoint.pipeline.recovery import Recovery
from setpoint.pipeline.resets import ResetRegister
from setpoint.pipeline.snapshots import SnapshotTaker

SUBJECT = "sha256:" + "a" * 64
NAME = f"shop-prod-{'a' * 32}"


def cut(obj: dict[str, Any]) -> dict[str, Any]:
    """The rest that an API server with the schema of today has of an object that an earlier version made."""
    gone = {"environment", "beacon", "base", *(("configuration",) if obj["kind"] in {"Change", "Snapshot"} else ())}
    return {**obj, "spec": {name: value for name, value in obj["spec"].items() if name not in gone}}


@pytest.fixture
def register(cluster: InMemoryCluster, clock: FakeClock) -> ChangeRegister:
    return ChangeRegister(cluster, clock)


@pytest.fixture
def spec() -> ChangeSpec:
    return ChangeSpec.model_validate(example("Change", subject=SUBJECT)["spec"])


async def keep(cluster: InMemoryCluster, environment: Environment, obj: dict[str, Any], name: str) -> ObjectRef:
    labels = {TARGET_LABEL: target_label(environment.ref)}
    metadata = {"uid": name, "generation": 1, **obj["metadata"], "name": name, "labels": labels}
    await cluster.plant({**cut(obj), "metadata": metadata})
    return ObjectRef(obj["kind"], "default", name)


async def test_a_change_is_made_anew_beside_the_one_that_was_cut(
    register: ChangeRegister, cluster: InMemoryCluster, environment: Environment, spec: ChangeSpec
) -> None:
    older = await keep(cluster, environment, example("Change", subject=SUBJECT), NAME)
    for new in (True, False):
        made, is_new = await register.ensure(environment, spec)
        assert (made.metadata.name, is_new) == (f"shop-prod-{'a' * 40}", new)
        assert made.spec == spec
    status = (await cluster.get(older))["status"]
    assert (status["outcome"], status["conditions"][0]["message"]) == ("Superseded", CUT)


async def test_what_was_cut_is_never_what_was_decided_on(
    register: ChangeRegister, cluster: InMemoryCluster, environment: Environment, spec: ChangeSpec
) -> None:
    made, _ = await register.ensure(environment, spec)
    await keep(cluster, environment, example("Change", subject=SUBJECT), made.metadata.name)
    with pytest.raises(StalledError, match=r"spec\.environment"):
        await register.confirm(made, spec)


async def test_a_start_says_of_it_that_it_is_void_though_its_target_has_no_pass(
    register: ChangeRegister, cluster: InMemoryCluster, environment: Environment
) -> None:
    older = await keep(cluster, environment, example("Change", subject=SUBJECT), NAME)
    suspended = example("Environment", suspend=True, status={"change": NAME})
    await cluster.add(suspended)
    recovery = Recovery(cluster=cluster, audit=memory_stores().trail, changes=register, drivers=())
    for _ in range(2):
        await recovery.run()
        status = (await cluster.get(older))["status"]
        assert (status["outcome"], status["conditions"][0]["message"]) == ("Superseded", CUT)


async def test_a_snapshot_is_taken_anew_beside_the_one_that_was_cut(
    cluster: InMemoryCluster, environment: Environment
) -> None:
    captured, taker = Captured({"stateVersion": 7}), SnapshotTaker(cluster)
    first = await taker.take(environment, None, captured)
    found = await cluster.get(ObjectRef("Snapshot", "default", first.name))
    await keep(cluster, environment, found, first.name)
    assert await taker.find(environment, first.name) is None
    for _ in range(2):
        again = await taker.take(environment, None, captured)
        assert (again.digest, len(again.name)) == (first.digest, len(first.name) + 8)
    assert await taker.find(environment, again.name) == again


async def test_nothing_is_reset_to_one_that_was_cut(
    cluster: InMemoryCluster, clock: FakeClock, environment: Environment
) -> None:
    """Without its member it would pass for one of before the first apply: a reset there destroys everything."""
    await keep(cluster, environment, taken(), "older")
    await cluster.add(example("Reset", name="back", snapshotRef={"name": "older"}))
    assert await ResetRegister(cluster, clock).due(environment) is None
    (condition,) = (await cluster.get(ObjectRef("Reset", "default", "back")))["status"]["conditions"]
    assert (condition["status"], condition["reason"]) == ("False", Reason.SNAPSHOT_NOT_FOUND)
    assert "nothing can be reset to it" in condition["message"]


async def test_a_target_whose_open_change_was_cut_goes_on(bench: Bench) -> None:
    await bench.declare({"a": "1"})
    assert (await bench.run()).reason == "ApprovalRequired"
    (change,) = (await bench.cluster.list("Change")).items
    (snapshot,) = (await bench.cluster.list("Snapshot")).items
    await bench.approve()
    for obj in (change, snapshot):
        await bench.cluster.plant(cut(obj))
    assert (await bench.run()).reason == "ApprovalRequired", "what was approved is void"
    assert bench.world.applies == 0
    older = await bench.cluster.get(ObjectRef.of(change))
    assert (older["status"]["outcome"], older["status"]["conditions"][-1]["message"]) == ("Superseded", CUT)
    await bench.approve()
    assert (await bench.run()).reason == "AtSetpoint"
    assert (bench.world.applies, bench.world.actual) == (1, {"a": "1"})
