"""The Resets of a target: which is due, which can never be, and how they end."""

import datetime as dt
from collections.abc import Awaitable, Callable

import pytest
from tests.fakes.cluster import InMemoryCluster
from tests.fakes.examples import condition, example
from tests.fakes.reconciling import FakeClock

from setpoint.api.conditions import Reason
from setpoint.api.meta import ObjectRef
from setpoint.api.v1alpha1.environment import Environment
from setpoint.api.v1alpha1.reset import Reset
from setpoint.reconcilers.resets import ResetRegister


@pytest.fixture
async def register(cluster: InMemoryCluster, clock: FakeClock) -> ResetRegister:
    """Over a cluster that holds a snapshot of shop-prod, and one of another target."""
    await cluster.add(example("Snapshot", name="mine"))
    await cluster.add(example("Snapshot", name="theirs", targetRef={"kind": "Environment", "name": "shop-dev"}))
    return ResetRegister(cluster, clock)


async def ask(
    cluster: InMemoryCluster, name: str, snapshot: str = "mine", target: str = "shop-prod", **frame: object
) -> Reset:
    spec = {"snapshotRef": {"name": snapshot}, "targetRef": {"kind": "Environment", "name": target}}
    return Reset.model_validate(await cluster.add(example("Reset", name=name, **spec, **frame)))


async def ending(cluster: InMemoryCluster, name: str, namespace: str = "default") -> tuple[str, str] | None:
    found = await cluster.get(ObjectRef("Reset", namespace, name))
    conditions = (found.get("status") or {}).get("conditions") or []
    return next(((one["status"], one["reason"]) for one in conditions if one["type"] == "Complete"), None)


async def test_the_oldest_is_due(
    register: ResetRegister, cluster: InMemoryCluster, clock: FakeClock, environment: Environment
) -> None:
    await ask(cluster, "b-first")
    clock.instant += dt.timedelta(seconds=1)
    await ask(cluster, "a-second")
    found = await register.due(environment)
    assert found is not None
    assert [one.metadata.name for one in found] == ["b-first", "mine"]


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param({"target": "shop-dev"}, id="another target's"),
        pytest.param({"namespace": "other"}, id="another namespace's"),
        pytest.param({"status": {"conditions": [condition("Complete", "True", "ResetComplete")]}}, id="complete"),
        pytest.param({"status": {"conditions": [condition("Complete", "False", "Rejected")]}}, id="rejected"),
    ],
)
async def test_one_that_is_not_due(
    register: ResetRegister, cluster: InMemoryCluster, environment: Environment, asked: dict
) -> None:
    await ask(cluster, "back", **asked)
    writes = cluster.writes
    assert await register.due(environment) is None
    assert cluster.writes == writes


@pytest.mark.parametrize(
    ("snapshot", "reason"), [("gone", "SnapshotNotFound"), ("theirs", "SnapshotOfAnotherTarget")], ids=str
)
async def test_one_that_can_never_be_is_closed_and_the_next_is_due(
    register: ResetRegister, cluster: InMemoryCluster, environment: Environment, snapshot: str, reason: str
) -> None:
    await ask(cluster, "a", snapshot)
    await ask(cluster, "b")
    found = await register.due(environment)
    assert found is not None
    assert found[0].metadata.name == "b"
    assert await ending(cluster, "a") == ("False", reason)
    assert await ending(cluster, "b") is None


@pytest.mark.parametrize(
    ("end", "shown"),
    [
        (ResetRegister.complete, ("True", "ResetComplete")),
        (lambda it, reset: it.refuse(reset, Reason.REJECTED, "no"), ("False", "Rejected")),
    ],
    ids=["complete", "never"],
)
async def test_it_ends_and_keeps_the_change_that_carried_it_out(
    register: ResetRegister,
    cluster: InMemoryCluster,
    environment: Environment,
    end: Callable[[ResetRegister, Reset], Awaitable[None]],
    shown: tuple[str, str],
) -> None:
    reset = await ask(cluster, "back")
    await register.link(reset, "shop-prod-1")
    assert await ending(cluster, "back") == ("Unknown", "ResetRequested")
    await end(register, reset)
    assert await ending(cluster, "back") == shown
    assert (await cluster.get(reset.ref))["status"]["change"] == "shop-prod-1"
    assert await register.due(environment) is None


async def test_the_same_change_again_is_no_write(register: ResetRegister, cluster: InMemoryCluster) -> None:
    reset = await ask(cluster, "back", status={"change": "shop-prod-1"})
    writes = cluster.writes
    await register.link(reset, "shop-prod-1")
    assert cluster.writes == writes
