"""The drivers that the conformance suite of ports.TargetDriver runs on, each over a world that tests reach into."""

import contextlib
import dataclasses
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from tests.fakes.beacon_bench import BeaconBench
from tests.fakes.board import Board
from tests.fakes.cloud_terraform import Cloud, CloudTerraform
from tests.fakes.cluster import InMemoryCluster
from tests.fakes.mortality import Fuse, KilledError
from tests.fakes.reconciling import Bench
from tests.fakes.store import memory_stores
from tests.fakes.target import World
from tests.fakes.terraform import driver_over

from setpoint.adapters.store.state_versions import StateLock
from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.api.v1alpha1.snapshot import Snapshot
from setpoint.domain.approvals import ApprovalTally
from setpoint.domain.gating import GateDecision, GateInput, decide
from setpoint.domain.goals import Goal, GoalKind
from setpoint.domain.model import Change, Outcome, Plan, Proposal, ResetPlan, Run
from setpoint.domain.model import Snapshot as SnapshotIndex
from setpoint.pipeline.configurations import configuration_of
from setpoint.pipeline.passes import new_run
from setpoint.pipeline.snapshots import SnapshotTaker
from setpoint.ports import TargetDriver, TargetSession

AT = "2026-01-01T00:00:00Z"
SUBJECT = "sha256:" + "5" * 64
DRILLED = ResetPlan("sha256:" + "d" * 64, (), "Passed")
HERE, ELSEWHERE = "run-of-a-killed-manager", "run-of-another-machine"
_DIGEST = re.compile("sha256:[0-9a-f]{64}")
Wish = Mapping[str, str]
"""The values that a target is to hold: a name to a value."""


@dataclasses.dataclass(frozen=True)
class Taken:
    """A Snapshot, as the steps of a pass know it and as an object."""

    index: SnapshotIndex
    obj: Snapshot

    @property
    def digests(self) -> frozenset[str]:
        """All that it names, as the retention of blobs finds it."""
        return _digests_in(self.obj.as_json())


def _digests_in(obj: JsonObject) -> frozenset[str]:
    return frozenset(_DIGEST.findall(json.dumps(obj)))


class NoStages:
    """The Journal of an apply that has no stages."""

    async def intent(self, stage: str) -> None:
        raise AssertionError(stage)


@dataclasses.dataclass
class Place:
    """A driver, the cluster that it reads, and ways to do to its world what others than Setpoint do.

    `declare` gives the spec for a wish. `tamper` changes what is there. `interrupt` lets a manager die in the midst of
    an apply on this machine and gives its run; `linger` gives a run on another machine, which may go on.
    `drop_blobs` loses all that was kept, but what these digests name.
    """

    driver: TargetDriver
    cluster: InMemoryCluster
    declare: Callable[[Wish], JsonObject]
    tamper: Callable[[], Awaitable[None]]
    interrupt: Callable[[], Awaitable[Run]]
    linger: Callable[[], Awaitable[Run]]
    drop_blobs: Callable[[frozenset[str]], Awaitable[None]]
    world: World | None = None
    """The other things that tests can have go wrong, where it is make-believe."""
    name: str = "web"
    applied: JsonObject | None = None
    """The configuration in force, as the target's status has it."""

    async def kept_blobs(self) -> frozenset[str]:
        """The blobs kept of a home without Snapshots: those that the driver says, or the target's own status."""
        return await self.driver.references() | _digests_in(self.applied or {})

    @property
    def ref(self) -> ObjectRef:
        return ObjectRef(self.driver.kind.__name__, "default", self.name)

    def target(self, wish: Wish) -> Any:
        status = {} if self.applied is None else {"applied": self.applied}
        metadata = {"name": self.name, "namespace": "default", "generation": 1}
        manifest = {"apiVersion": "setpoint.dev/v1alpha1", "kind": self.ref.kind, "metadata": metadata}
        return self.driver.kind.model_validate({**manifest, "spec": self.declare(wish), "status": status})

    @contextlib.asynccontextmanager
    async def session(
        self, wish: Wish, kind: GoalKind = GoalKind.SPEC, taken: Taken | None = None, *, run: str | None = None
    ) -> AsyncIterator[TargetSession]:
        goal = Goal(kind, snapshot=taken.obj if taken else None)
        async with self.driver.session(self.target(wish), goal, run or new_run(), lambda _: None) as opened:
            yield opened

    async def plan(self, wish: Wish, kind: GoalKind = GoalKind.SPEC, taken: Taken | None = None) -> Plan:
        """The plan of a pass that ends with it."""
        async with self.session(wish, kind, taken) as session:
            return await session.plan(await session.observe())

    async def apply(
        self, wish: Wish, kind: GoalKind = GoalKind.SPEC, taken: Taken | None = None, *, run: str | None = None
    ) -> Outcome:
        """A whole pass with a Change in it, and the record of what is in force then."""
        async with self.session(wish, kind, taken, run=run) as session:
            change = await propose(session)
            outcome = await session.apply(passed(change), NoStages())
            session.outcome_recorded()
            await self.record(session)
            return outcome

    async def record(self, session: TargetSession) -> None:
        found = await session.configuration()
        applied = self.target({}).status.applied_type()(**found.recorded, configuration=found.name, at=AT)
        self.applied = applied.as_json()

    async def take_snapshot(self, wish: Wish) -> Taken:
        """The Snapshot of what is in force, as the path makes it."""
        target = self.target(wish)
        async with self.session(wish) as session:
            await session.observe()
            captured = await session.capture(configuration_of(target.status.applied))
        index = await SnapshotTaker(self.cluster).take(target, target.status.applied, captured)
        obj = await self.cluster.get(ObjectRef("Snapshot", "default", index.name))
        return Taken(index, Snapshot.model_validate(obj))


async def propose(session: TargetSession) -> Change:
    """The Change of a session in which nothing was done before."""
    return change_of(await session.plan(await session.observe()))


def change_of(plan: Plan) -> Change:
    """The Change of a plan that has one."""
    assert isinstance(plan, Proposal), plan
    # spec.protection.types can't rule out what has no type.
    assert {action.address for action in plan.change.actions} == plan.change.types.keys()
    return plan.change


def passed(change: Change, *, stage: Any = "apply") -> GateDecision:
    """The decision that lets a Change be applied, where the stage is the last."""
    return decision(change, required=0, stage=stage)


def waiting(change: Change) -> GateDecision:
    """The decision on a Change that waits for nothing but people."""
    return decision(change, required=1, stage="plan")


def decision(change: Change, *, required: int, stage: Any = "apply", protection: Sequence[str] = ()) -> GateDecision:
    """The decision where nobody has approved and no gate asks for more."""
    return decide(
        GateInput(
            stage=stage,
            change=change,
            subject=SUBJECT,
            reset_plan=DRILLED,
            gates=(),
            answers={},
            protection=protection,
            tally=ApprovalTally(),
            required=required,
        )
    )


def _over(bench: Bench) -> Place:
    """The driver of a bench, in its make-believe world."""
    driver: Any = bench.driver
    world = bench.world

    async def tamper() -> None:
        world.actual = dict.fromkeys(world.actual, "tampered")

    async def interrupt() -> Run:
        world.actual["torn"] = "half"
        driver.traces[HERE] = Run(HERE, bench.ref)
        return driver.traces[HERE]

    async def linger() -> Run:
        return Run(ELSEWHERE, bench.ref)

    async def drop_blobs(but: frozenset[str]) -> None:
        world.configurations = {name: kept for name, kept in world.configurations.items() if name in but}

    def declare(wish: Wish) -> JsonObject:
        return bench.wanted(wish, {})

    return Place(driver, bench.cluster, declare, tamper, interrupt, linger, drop_blobs, world)


def beacon_on_a_board() -> Place:
    """A Beacon whose Changes people look at elsewhere."""
    bench = BeaconBench()
    bench.world.board = Board()
    return _over(bench)


def _environment() -> Place:
    cluster, stores, cloud = InMemoryCluster(), memory_stores(), Cloud()
    terraform = CloudTerraform(cloud, stores.states, stores.locks, keeps_state=True)
    options = {"resolver": SimpleNamespace(resolve=_resolve), "lingering": 3600.0}

    async def tamper() -> None:
        cloud.objects = {name: (address, "tampered") for name, (address, _) in cloud.objects.items()}

    async def interrupt() -> Run:
        terraform.on_step = Fuse(2).tick
        with contextlib.suppress(KilledError):
            await place.apply({"torn": "half"}, run=HERE)
        terraform.on_step = lambda: None
        return Run(next(iter(terraform.left)), place.ref)

    async def linger() -> Run:
        await stores.locks.acquire(StateLock(place.ref.key, "lock-1", ELSEWHERE, "{}"))
        return Run(ELSEWHERE, place.ref)

    async def drop_blobs(but: frozenset[str]) -> None:
        async def kept() -> frozenset[str]:
            return but

        stores.blobs.age()
        await stores.blobs.prune(kept)

    driver = driver_over(cluster, stores, terraform, **options)
    place = Place(driver, cluster, _published_resources, tamper, interrupt, linger, drop_blobs)
    return place


async def _resolve(*_: Any, **__: Any) -> None:
    """The source of an Environment, which CloudTerraform does not read."""


def _published_resources(wish: Wish) -> JsonObject:
    return Bench().wanted(wish, {"outputsTo": {"secretRef": {"name": "outputs"}}})


PLACES: Mapping[str, Callable[[], Place]] = {
    "fake": lambda: _over(Bench()),
    "beacon": lambda: _over(BeaconBench()),
    "environment": _environment,
}
