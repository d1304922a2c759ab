"""Two targets of one name and namespace, but of two kinds: what is one's is none of the other's."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from tests.fakes.beacon import Beacon, beacon
from tests.fakes.beacon_bench import beacons
from tests.fakes.cluster import InMemoryCluster
from tests.fakes.examples import example, taken
from tests.fakes.reconciling import FakeClock
from tests.fakes.store import Stores, memory_stores
from tests.fakes.target import FakeDriver, World

from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.api.target import Target
from setpoint.api.v1alpha1.change import Change, ChangeSpec
from setpoint.api.v1alpha1.environment import Environment
from setpoint.api.v1alpha1.reset import Reset
from setpoint.domain.audit import AuditEntry, Phase
from setpoint.domain.errors import InvalidError, NotFoundError
from setpoint.domain.model import Run
from setpoint.pipeline.changes import ChangeRegister
from setpoint.pipeline.names import TARGET_LABEL, earlier_label, target_label
from setpoint.pipeline.recovery import Recovery
from setpoint.pipeline.resets import ResetRegister
from setpoint.pipeline.retention import BlobCollector
from setpoint.pipeline.routing import Router, open_resets
from setpoint.pipeline.snapshots import SnapshotPruner
from setpoint.ports import WatchEvent

__all__ = ["beacons"]
pytestmark = pytest.mark.usefixtures("beacons")

NAME = "shop-prod"
ENVIRONMENT = ObjectRef("Environment", "default", NAME)
BEACON = ObjectRef("Beacon", "default", NAME)
SUBJECTS = {ENVIRONMENT: "sha256:" + "a" * 64, BEACON: "sha256:" + "b" * 64}
LABELS = {"of today": target_label, "of an earlier version": earlier_label}
"""With the earlier label, an object is found for both targets."""

both = pytest.mark.parametrize(("mine", "theirs"), [(ENVIRONMENT, BEACON), (BEACON, ENVIRONMENT)], ids=str)
labelled = pytest.mark.parametrize("label", LABELS.values(), ids=LABELS)
Label = Callable[[ObjectRef], str]


class BeaconDriver(FakeDriver):
    """The make-believe driver, for Beacons."""

    kind = Beacon  # type: ignore[assignment]


def target(ref: ObjectRef, **more: Any) -> JsonObject:
    """The object of a target."""
    return beacon(**more) if ref.kind == "Beacon" else example("Environment", **more)


def typed(ref: ObjectRef, **more: Any) -> Target:
    kind: type[Target] = Beacon if ref.kind == "Beacon" else Environment
    return kind.model_validate(target(ref, **more))


def about(ref: ObjectRef) -> JsonObject:
    """The reference by which an object names a target."""
    return {"targetRef": {"kind": ref.kind, "name": ref.name}}


def change(ref: ObjectRef, label: Label = target_label, **more: Any) -> JsonObject:
    """A Change of a target, named after its kind."""
    given = {"name": ref.kind.lower(), "labels": {TARGET_LABEL: label(ref)}, "subject": SUBJECTS[ref], **about(ref)}
    return example("Change", **{**given, **more})


async def conditions(cluster: InMemoryCluster, name: str, kind: str = "Change") -> dict[str, str]:
    status = (await cluster.get(ObjectRef(kind, "default", name))).get("status") or {}
    return {one["type"]: one["status"] for one in status.get("conditions", [])}


# --- Changes ------------------------------------------------------------------------------------------------------


@both
@labelled
async def test_a_new_change_of_one_leaves_that_of_the_other_open(
    cluster: InMemoryCluster, clock: FakeClock, mine: ObjectRef, theirs: ObjectRef, label: Label
) -> None:
    for ref in (mine, theirs):
        await cluster.add(change(ref, label))
    spec = ChangeSpec.model_validate(change(mine, subject="sha256:" + "c" * 64)["spec"])
    made, new = await ChangeRegister(cluster, clock).ensure(typed(mine), spec)
    assert (new, made.spec.target_ref.within("default")) == (True, mine)
    assert await conditions(cluster, mine.kind.lower()) == {"Superseded": "True"}
    assert await conditions(cluster, theirs.kind.lower()) == {}


async def test_a_change_of_each_is_one_of_its_own_though_all_else_is_alike(
    cluster: InMemoryCluster, clock: FakeClock
) -> None:
    register = ChangeRegister(cluster, clock)
    for ref in (ENVIRONMENT, BEACON):
        spec = ChangeSpec.model_validate(change(ref)["spec"])
        await register.ensure(typed(ref), spec)
        (found,) = await register.open_changes(typed(ref))
        assert found.metadata.labels == {TARGET_LABEL: f"{ref.kind.lower()}.{NAME}"}
        assert found.spec == spec


@both
async def test_the_pass_that_finds_an_old_label_brings_it_up_to_date(
    cluster: InMemoryCluster, clock: FakeClock, mine: ObjectRef, theirs: ObjectRef
) -> None:
    for ref in (mine, theirs):
        await cluster.add(change(ref, earlier_label))
    register = ChangeRegister(cluster, clock)
    (found,) = await register.open_changes(typed(mine))
    assert found.metadata.labels == {TARGET_LABEL: target_label(mine)}
    listed = await cluster.list("Change")
    assert {one["metadata"]["labels"][TARGET_LABEL] for one in listed.items} == {target_label(mine), NAME}
    writes = cluster.writes
    assert await register.open_changes(typed(mine)) == [found]
    assert cluster.writes == writes


async def test_an_object_whose_label_can_not_be_changed_is_found_all_the_same(
    cluster: InMemoryCluster, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(obj: JsonObject, **_: object) -> JsonObject:
        raise InvalidError("the label setpoint.dev/target never changes")

    await cluster.add(change(ENVIRONMENT, earlier_label))
    monkeypatch.setattr(cluster, "update", refuse)
    (found,) = await ChangeRegister(cluster, clock).open_changes(typed(ENVIRONMENT))
    assert found.metadata.labels == {TARGET_LABEL: NAME}


# --- Snapshots and Resets -----------------------------------------------------------------------------------------


@both
@labelled
async def test_the_snapshots_of_one_are_not_pruned_for_the_other(
    cluster: InMemoryCluster, clock: FakeClock, mine: ObjectRef, theirs: ObjectRef, label: Label
) -> None:
    for ref in (mine, theirs):
        for number in (1, 2):
            name = f"{ref.kind.lower()}-{number}"
            labels = {TARGET_LABEL: label(ref)}
            await cluster.add(example("Snapshot", name=name, labels=labels, **about(ref)))
            clock.instant += dt.timedelta(minutes=1)
    await SnapshotPruner(cluster).prune(typed(mine, snapshots={"keep": 1}), newest=None)
    left = {one["metadata"]["name"] for one in (await cluster.list("Snapshot")).items}
    kinds = mine.kind.lower(), theirs.kind.lower()
    assert left == {f"{kinds[0]}-2", f"{kinds[1]}-1", f"{kinds[1]}-2"}


@both
async def test_a_reset_of_one_is_not_carried_out_by_the_other(
    cluster: InMemoryCluster, clock: FakeClock, mine: ObjectRef, theirs: ObjectRef
) -> None:
    await cluster.add(taken(name="snapshot", **about(theirs)))
    await cluster.add(example("Reset", name="theirs", snapshotRef={"name": "snapshot"}, **about(theirs)))
    register = ResetRegister(cluster, clock)
    assert await register.due(typed(mine)) is None
    assert await conditions(cluster, "theirs", "Reset") == {}
    due = await register.due(typed(theirs))
    assert due is not None
    assert due[0].metadata.name == "theirs"


@both
async def test_neither_is_reset_to_a_snapshot_of_the_other(
    cluster: InMemoryCluster, clock: FakeClock, mine: ObjectRef, theirs: ObjectRef
) -> None:
    await cluster.add(taken(name="snapshot", **about(theirs)))
    asked = example("Reset", name="mine", snapshotRef={"name": "snapshot"}, **about(mine))
    await cluster.add(asked)
    assert await ResetRegister(cluster, clock).due(typed(mine)) is None
    found = Reset.model_validate(await cluster.get(ObjectRef.of(asked)))
    (complete,) = found.status.conditions
    assert (complete.status, complete.reason) == ("False", "SnapshotOfAnotherTarget")
    assert complete.message == f"spec.snapshotRef: snapshot was taken of {theirs}, not of {mine}"


# --- Wake-ups -----------------------------------------------------------------------------------------------------


@both
async def test_what_is_about_one_wakes_that_one_alone(
    cluster: InMemoryCluster, mine: ObjectRef, theirs: ObjectRef
) -> None:
    for ref in (mine, theirs):
        await cluster.add(change(ref))
    approval = example("Approval", changeRef={"name": mine.kind.lower()})
    reset = example("Reset", **about(mine))
    for moved in (target(mine), approval, reset):
        requests = await Router(cluster).route(WatchEvent("ADDED", moved))
        assert [request.ref for request in requests] == [mine]
    assert [request.ref for request in await Router(cluster).route(WatchEvent("DELETED", target(mine)))] == [mine]
    assert [request.ref for request in open_resets([reset])] == [mine]


async def test_a_policy_wakes_all_that_wait_of_any_kind(cluster: InMemoryCluster) -> None:
    for ref in (ENVIRONMENT, BEACON):
        await cluster.add(target(ref, status={"change": ref.kind.lower()}))
    woken = {request.ref for request in await Router(cluster).waiting_targets()}
    assert woken == {ENVIRONMENT, BEACON}


# --- At a start ---------------------------------------------------------------------------------------------------


def recovery(cluster: InMemoryCluster, clock: FakeClock, stores: Stores, *drivers: FakeDriver) -> Recovery:
    changes = ChangeRegister(cluster, clock)
    return Recovery(cluster=cluster, audit=stores.trail, changes=changes, drivers=drivers)


@both
async def test_a_start_closes_the_strays_of_each_and_nothing_that_the_other_knows(
    cluster: InMemoryCluster, clock: FakeClock, mine: ObjectRef, theirs: ObjectRef
) -> None:
    """`theirs` names a Change of its own kind; `mine` has one that it knows nothing of."""
    await cluster.add(target(mine))
    await cluster.add(target(theirs, status={"change": theirs.kind.lower()}))
    for ref in (mine, theirs):
        await cluster.add(change(ref))
    # It has the name that the other target's status says, and is none of its.
    await recovery(cluster, clock, memory_stores(), FakeDriver(World()), BeaconDriver(World())).run()
    assert await conditions(cluster, mine.kind.lower()) == {"Superseded": "True"}
    assert await conditions(cluster, theirs.kind.lower()) == {}


@both
async def test_a_change_that_only_the_other_names_is_a_stray(
    cluster: InMemoryCluster, clock: FakeClock, mine: ObjectRef, theirs: ObjectRef
) -> None:
    await cluster.add(target(mine))
    await cluster.add(target(theirs, status={"change": mine.kind.lower()}))
    await cluster.add(change(mine))
    await recovery(cluster, clock, memory_stores(), FakeDriver(World()), BeaconDriver(World())).run()
    assert await conditions(cluster, mine.kind.lower()) == {"Superseded": "True"}


@both
async def test_an_interrupted_run_of_one_says_nothing_of_the_other(
    cluster: InMemoryCluster, clock: FakeClock, mine: ObjectRef, theirs: ObjectRef
) -> None:
    """Even where the Changes of both had one subject."""
    stores, drivers = memory_stores(), {ENVIRONMENT: FakeDriver(World()), BEACON: BeaconDriver(World())}
    subject = SUBJECTS[mine]
    for ref in (mine, theirs):
        await cluster.add(target(ref, status={"change": ref.kind.lower()}))
        await cluster.add(change(ref, subject=subject))
    intent = AuditEntry("apply", Phase.INTENT, "setpoint", mine, run="run-1", digests={"subject": subject})
    await stores.trail.append(intent)
    drivers[mine].traces["run-1"] = Run("run-1", mine, ())
    await recovery(cluster, clock, stores, *drivers.values()).run()
    assert await conditions(cluster, mine.kind.lower()) == {"Applied": "False"}
    assert await conditions(cluster, theirs.kind.lower()) == {}
    ours, other = [(await cluster.get(ref))["status"] for ref in (mine, theirs)]
    assert (ours["failures"], ours.get("change")) == (1, None)
    assert (other.get("failures", 0), other["change"]) == (0, theirs.kind.lower())
    assert await stores.trail.open_intents() == ()


# --- Blobs --------------------------------------------------------------------------------------------------------


@both
async def test_what_either_of_them_names_is_kept(cluster: InMemoryCluster, mine: ObjectRef, theirs: ObjectRef) -> None:
    blobs = memory_stores().blobs
    needed, surplus = await blobs.put(b"needed"), await blobs.put(b"surplus")
    for ref, status in ((mine, {"applied": {"blob": needed}}), (theirs, {})):
        await cluster.plant({**target(ref), "status": status})
    blobs.age()
    drivers = [FakeDriver(World()), BeaconDriver(World())]
    assert await BlobCollector(blobs=blobs, cluster=cluster, drivers=drivers, references=[]).collect() == 1
    assert await blobs.get(needed) == b"needed"
    with pytest.raises(NotFoundError):
        await blobs.get(surplus)


async def test_a_home_of_beacons_alone_is_no_empty_one(cluster: InMemoryCluster) -> None:
    blobs = memory_stores().blobs
    await cluster.add(beacon())
    await blobs.put(b"surplus")
    blobs.age()
    drivers = [FakeDriver(World()), BeaconDriver(World())]
    assert await BlobCollector(blobs=blobs, cluster=cluster, drivers=drivers, references=[]).collect() == 1


# --- The types ----------------------------------------------------------------------------------------------------


@both
def test_the_kind_of_a_reference_counts(mine: ObjectRef, theirs: ObjectRef) -> None:
    ours, other = (Change.model_validate(change(ref)).spec.target_ref for ref in (mine, theirs))
    assert ours != other
