"""Owns a make-believe cloud and its TargetDriver: the pipeline's other side, without Terraform.

A configuration is `spec.variables["resources"]`: address to value. The world, the state and the configurations that
were recorded are plain dicts, so that a test can say what is and see what became of it.
"""

import asyncio
import contextlib
import dataclasses
import itertools
from collections.abc import AsyncIterator, Callable, Collection, Mapping

from tests.fakes.board import Board
from tests.fakes.stages import Stages

from setpoint.api.conditions import Reason
from setpoint.api.meta import ObjectRef
from setpoint.api.target import member_name
from setpoint.api.v1alpha1.change import ActionSummary, ChangeSummary, ResetAction
from setpoint.api.v1alpha1.environment import (
    BundleStatus,
    Environment,
    StateStatus,
    name_configuration,
)
from setpoint.api.v1alpha1.snapshot import SnapshotSpec
from setpoint.domain.digests import digest
from setpoint.domain.errors import ConflictError, LostBlobError
from setpoint.domain.findings import DriftClass, Finding, beyond_mending
from setpoint.domain.goals import Goal, GoalKind, cause_of
from setpoint.domain.model import (
    Applying,
    AtSetpoint,
    Beyond,
    Captured,
    Change,
    Configuration,
    Observation,
    Outcome,
    Plan,
    Proposal,
    ResetPlan,
    ResourceProgress,
    Result,
    Review,
    Run,
    Snapshot,
    Verification,
)
from setpoint.pipeline.snapshots import content_digest
from setpoint.ports import Notice
from setpoint.targets.environment.plan.judged_plan import JudgedPlan

Resources = dict[str, str]
HEALTHY = Verification(ok=True, reason="Verified", message="")


@dataclasses.dataclass
class World:
    """The actual resources, those in the state, and what tests want to go wrong."""

    actual: Resources = dataclasses.field(default_factory=dict)
    state: Resources = dataclasses.field(default_factory=dict)
    version: int = 0
    target: ObjectRef | None = None
    """The target that had the last pass."""
    applies: int = 0
    published: int = 0
    produced: Resources | None = None
    """The resources when they were last published."""
    configurations: dict[str, Resources] = dataclasses.field(default_factory=dict)
    fail_observe: Exception | None = None
    result: Result = Result.SUCCEEDED
    orphans: tuple[str, ...] = ()
    notices: list[Notice] = dataclasses.field(default_factory=list)
    drill: str = "Passed"
    acceptable: bool = False
    drill_destroy: str = ""
    beyond: frozenset[str] = frozenset()
    """Addresses that stay as they are, whatever is applied: no Change can mend them."""
    verification: Verification | None = None
    health: Verification = HEALTHY
    warnings: tuple[str, ...] = ()
    noise: itertools.count | None = None
    move_before_apply: bool = False
    drift: tuple[dict, ...] = ()
    """The changes by the world, as policies are shown them."""
    kept: set[str] = dataclasses.field(default_factory=set)
    waits: tuple[ResourceProgress, ...] = ()
    """The resources that the first observation waits for, as they are told."""
    board: Board | None = None
    """The place where people look at Changes elsewhere; None: there is none."""
    stages: Stages | None = None
    """The stages of each apply; None: it ends in the pass that begins it."""
    verify_waits: tuple[ResourceProgress, ...] = ()
    """The same of the look after an apply."""

    def record(self, resources: Resources) -> str:
        """Keeps a configuration under its digest."""
        name = digest(resources)
        self.configurations[name] = dict(resources)
        return name

    def plan_destruction(self) -> ResetPlan:
        """The reset plan back to nothing."""
        return ResetPlan(digest([]), (), "Failed" if self.drill_destroy else "Passed", self.drill_destroy)


class FakeDriver:
    """Opens sessions on one world. `traces` are the runs that it knows of; of others it can't say how they ended."""

    kind = Environment

    def __init__(self, world: World) -> None:
        self.world = world
        self.open_sessions = 0
        self.traces: dict[str, Run] = {}

    async def abandoned(self) -> Collection[Run]:
        """All that there are traces of."""
        return tuple(self.traces.values())

    async def recover(self, runs: Collection[Run]) -> Mapping[str, Outcome]:
        """They were interrupted, and may have lost what the world says."""
        lost = self.world.orphans
        return {run.id: Outcome(Result.INTERRUPTED, "", left_behind=lost) for run in runs if run.id in self.traces}

    async def recorded(self, runs: Collection[Run]) -> None:
        """Their traces go."""
        for run in runs:
            self.traces.pop(run.id, None)

    async def references(self) -> frozenset[str]:
        """The names and values of the world."""
        return frozenset(self.world.kept)

    async def holdings(self, ref: ObjectRef) -> tuple[str, ...]:
        """The resources in the state of the target that had a pass."""
        return tuple(sorted(self.world.state)) if ref == self.world.target else ()

    @contextlib.asynccontextmanager
    async def session(self, target: Environment, goal: Goal, run: str, progress) -> AsyncIterator["FakeSession"]:
        """Counts the sessions that are open."""
        self.open_sessions += 1
        self.world.target = target.ref
        try:
            yield FakeSession(self.world, target, goal, progress)
        finally:
            self.open_sessions -= 1


class FakeSession:
    """One pass over the world."""

    def __init__(
        self, world: World, target: Environment, goal: Goal, progress: Callable[[ResourceProgress], None]
    ) -> None:
        self._world = world
        self._progress = progress
        self._target = target
        self._goal = goal
        self._declared = self._configuration()
        self._seen: dict[str, object] | None = None

    def _configuration(self) -> Resources:
        applied = self._target.status.applied
        if self._goal.destroys:
            return {}
        if self._goal.snapshot is not None:
            return self._recorded(self._goal.snapshot.spec.member.bundle)
        if self._goal.kind is GoalKind.HOLD and applied is not None:
            return self._recorded(applied.bundle)
        return dict(self._target.spec.variables.get("resources", {}))

    def _recorded(self, bundle: str) -> Resources:
        try:
            return self._world.configurations[bundle]
        except KeyError:
            raise LostBlobError.gone("a configuration", bundle) from None

    async def observe(self) -> Observation:
        world = self._world
        await self._wait_for(world.waits)
        if world.fail_observe:
            raise world.fail_observe
        before, self._seen = self._seen, self._content()
        bundle = world.record(self._declared)
        return Observation(
            base=str(world.version),
            configuration=name_configuration(bundle, bundle),
            findings=tuple(self._findings()),
            judged=JudgedPlan({"resource_changes": [], "resource_drift": []}, world.drift),
            shown={"bundle": BundleStatus(digest=bundle, revision="r1"), "state": self._state()},
            warnings=world.warnings,
            moved=() if before in (None, self._seen) else ("a: value.stamp",),
        )

    async def _wait_for(self, waits: tuple[ResourceProgress, ...]) -> None:
        for wait in waits:
            self._progress(wait)
            await asyncio.sleep(0)

    def _state(self) -> StateStatus:
        version = self._world.version
        return StateStatus(version=version, serial=version, lineage="lineage", resources=len(self._world.state))

    def _content(self) -> dict[str, object] | None:
        actual, declared = self._world.actual, self._declared
        moves = {a: [actual.get(a), declared.get(a)] for a in {*actual, *declared} if actual.get(a) != declared.get(a)}
        moves = {address: move for address, move in moves.items() if address not in self._world.beyond}
        if not moves:
            return None
        noise = {} if self._world.noise is None else {"noise": next(self._world.noise)}
        return {"moves": moves, **noise}

    def _findings(self):
        actual, state = self._world.actual, self._world.state
        for address in sorted({*actual, *state, *self._declared}):
            if actual.get(address) == self._declared.get(address):
                continue
            drifted = actual.get(address) != state.get(address)
            kind = DriftClass.ACTIONABLE if drifted else DriftClass.PENDING
            mendable = address not in self._world.beyond
            yield Finding(address, kind, self._verb(address), ("value",), mendable=mendable)

    def _verb(self, address: str) -> str:
        if address not in self._declared:
            return "delete"
        return "update" if address in self._world.actual else "create"

    async def plan(self, observation: Observation) -> Plan:
        seen = self._seen
        if seen is None:
            left = beyond_mending(observation.findings)
            return Beyond(left) if left else AtSetpoint()
        actions = tuple(ActionSummary(address=a, action=self._verb(a), paths=["value"]) for a in sorted(seen["moves"]))
        counts = {verb: sum(a.action == verb for a in actions) for verb in ("create", "update", "delete")}
        text = f"+{counts['create']} ~{counts['update']} -{counts['delete']}"
        change = Change(
            target=self._target.ref,
            cause=cause_of(self._goal, observation.findings, in_force=self._target.status.applied is not None),
            digest=digest(seen),
            base=observation.base,
            configuration=observation.configuration,
            generation=self._target.metadata.generation,
            actions=actions,
            summary=ChangeSummary(**counts, actions=list(actions), text=text),
            orphans=tuple(self._target.status.orphans),
            types={action.address: action.address.partition(".")[0] for action in actions},
            stated=(stated := {"bundle": observation.shown["bundle"].digest, "stateVersion": self._world.version}),
            named=stated,
        )
        return Proposal(change)

    async def capture(self, configuration: Configuration | None) -> Captured:
        bundle = configuration.recorded["bundle"] if configuration else None
        return Captured({"stateVersion": self._world.version, **_blobs(bundle)})

    async def plan_reset(self, change: Change | None, snapshot: Snapshot | None) -> ResetPlan:
        if change is None or snapshot is None:
            return self._world.plan_destruction()
        drill = self._world.drill if snapshot.configuration else "NotDrillable"
        actions = tuple(
            ResetAction(address=a.address, action="none", reversibility="Reversible") for a in change.actions
        )
        message = "it no longer plans" if drill == "Failed" else ""
        identity = digest([a.address for a in actions])
        return ResetPlan(identity, actions, drill, message, acceptable=drill == "Failed" and self._world.acceptable)

    shows_changes = False

    async def propose(self, decision, name: str) -> Review:
        del name
        decision.require_review()
        return Review()

    async def withdraw(self, name: str) -> None:
        """Shows nothing."""

    async def apply(self, decision, journal) -> Outcome:
        del journal
        decision.require_pass()
        world = self._world
        if world.move_before_apply or decision.change.base != str(world.version):
            raise ConflictError("the state moved")
        if digest(self._content()) != decision.change.digest:
            raise ConflictError("another plan")
        world.applies += 1
        if world.result is Result.SUCCEEDED:
            world.actual, world.state = self._applied_to(world.actual), self._applied_to(world.state)
            world.version += 1
        message = "" if world.result is Result.SUCCEEDED else "quota exceeded"
        return Outcome(
            world.result,
            message,
            left_behind=world.orphans,
            shown={"state": self._state()},
        )

    async def resume(self, applying: Applying, journal) -> Outcome:
        raise AssertionError(applying)

    def _applied_to(self, resources: Resources) -> Resources:
        beyond = self._world.beyond
        kept = {address: value for address, value in resources.items() if address in beyond}
        return {address: value for address, value in self._declared.items() if address not in beyond} | kept

    def outcome_recorded(self) -> None:
        """Leaves no traces anyway."""

    def take_notices(self) -> tuple[Notice, ...]:
        taken, self._world.notices = tuple(self._world.notices), []
        return taken

    async def verify(self, change: Change | None) -> Verification:
        if change is None:
            return self._world.health
        await self._wait_for(self._world.verify_waits)
        found = tuple(self._findings())
        differing = tuple(finding.address for finding in found if finding.mendable)
        again = Verification(ok=False, reason=Reason.NOT_CONVERGING, message="still different", paths=differing)
        verification = self._world.verification or (again if differing else self._world.health)
        return dataclasses.replace(verification, left=beyond_mending(found))

    async def configuration(self) -> Configuration:
        bundle = self._world.record(self._declared)
        recorded = {"bundle": bundle, "archive": bundle, "variables": bundle}
        return Configuration(name_configuration(bundle, bundle), recorded=recorded)

    async def publish(self, *, at_setpoint: bool) -> bool:
        world = self._world
        if not at_setpoint or world.produced == world.state:
            return False
        world.produced = dict(world.state)
        world.published += 1
        return True


def snapshot_manifest(target: ObjectRef, bundle: str | None, version: int, name: str) -> dict[str, object]:
    """A Snapshot object for a reset."""
    about = {"kind": target.kind, "name": target.name}
    own = {"stateVersion": version, "engine": name, **_blobs(bundle)}
    if target.kind != "Environment":
        own = {"shown": digest([name])}
    spec = {"targetRef": about, "configuration": bundle, member_name(target.kind): own}
    described = SnapshotSpec.model_validate({**spec, "digest": digest([name])})
    spec = described.model_copy(update={"digest": content_digest(described)}).as_json()
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Snapshot", "metadata": metadata, "spec": spec}


def _blobs(bundle: str | None) -> dict[str, str]:
    return dict.fromkeys(("bundle", "archive", "variables"), bundle) if bundle else {}
