"""The Resets of a target: which is due, which can never be, and how they end."""

import contextlib
import datetime as dt
from collections.abc import Awaitable, Callable

import pytest
from tests.fakes.cluster import InMemoryCluster
from tests.fakes.examples import condition, example, taken
from tests.fakes.reconciling import FakeClock

from setpoint.api.conditions import Reason
from setpoint.api.meta import ObjectRef
from setpoint.api.v1alpha1.environment import Environment
from setpoint.api.v1alpha1.reset import Reset
from setpoint.domain.errors import NotFoundError
from setpoint.pipeline.resets import ResetRegister


@pytest.fixture
async def register(cluster: InMemoryCluster, clock: FakeClock) -> ResetRegister:
    """Over a cluster that holds a snapshot of shop-prod, and one of another target."""
    await cluster.add(taken(name="mine"))
    await cluster.add(taken(name="theirs", targetRef={"kind": "Environment", "name": "shop-dev"}))
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


SNAP = taken(name="mine")["spec"]["digest"]
OTHER_CODE = {"environment": {**example("Snapshot")["spec"]["environment"], "archive": "sha256:" + "0" * 64}}
NAMED = f"shop-prod-snap-{SNAP[7:39]}"


@pytest.mark.parametrize(
    ("name", "kept", "digest", "due"),
    [
        pytest.param("mine", {}, SNAP, True, id="the one that is meant"),
        pytest.param("mine", {}, None, True, id="by name alone"),
        pytest.param(NAMED, {}, SNAP, True, id="by a name that holds its digits"),
        pytest.param("mine", {}, "sha256:" + "0" * 64, False, id="another digest is asked for"),
        pytest.param("mine", OTHER_CODE, None, False, id="its content is another"),
        pytest.param(
            "mine",
            OTHER_CODE,
            SNAP,
            False,
            id="its content is another, by digest",
        ),
        pytest.param(f"shop-prod-snap-{'0' * 32}", {}, None, False, id="its name says another"),
    ],
)
async def test_a_snapshot_is_the_one_that_its_digest_names(
    register: ResetRegister,
    cluster: InMemoryCluster,
    environment: Environment,
    name: str,
    kept: dict,
    digest: str | None,
    due: bool,
) -> None:
    with contextlib.suppress(NotFoundError):
        await cluster.delete(ObjectRef("Snapshot", "default", name))
    found = taken(name=name)
    await cluster.add({**found, "spec": {**found["spec"], **kept}})
    wanted = {"name": name} | ({"digest": digest} if digest else {})
    reset = example("Reset", name="back", snapshotRef=wanted)
    await cluster.add(reset)
    assert (await register.due(environment) is not None) is due
    assert await ending(cluster, "back") == (None if due else ("False", "DigestMismatch"))


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
