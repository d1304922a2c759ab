"""Owns Beacon: a kind of target that lives in the tests alone, to show what is about any kind and what about one."""

import contextlib
import dataclasses
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from tests.fakes.board import ShownOnBoard
from tests.fakes.stages import InStages
from tests.fakes.target import World

from setpoint.api.conditions import Reason
from setpoint.api.meta import API_VERSION, JsonObject, KindMeta, ObjectRef
from setpoint.api.model import Digest
from setpoint.api.target import AppliedStatus, Member, Target, TargetSpec, TargetStatus
from setpoint.api.v1alpha1.change import ActionSummary, ChangeSummary, ResetAction
from setpoint.domain import model
from setpoint.domain.digests import digest
from setpoint.domain.errors import ConflictError, LostBlobError
from setpoint.domain.findings import DriftClass, Finding, beyond_mending
from setpoint.domain.gating import GateDecision
from setpoint.domain.goals import Goal, GoalKind, cause_of
from setpoint.domain.judged import JudgedChange, PlainDocument
from setpoint.ports import Notice


class BeaconSpec(TargetSpec):
    """The text that is to be shown."""

    text: Annotated[str, Field(max_length=1024)] = Field(default="", description="What it shows.")


class BeaconApplied(AppliedStatus):
    """The text that was shown."""

    blob: Digest = Field(description="Where the text is in the store.")


class BeaconStatus(TargetStatus):
    """The beacon as last seen."""

    applied: BeaconApplied | None = None
    applying: BeaconApplied | None = None
    shown: str | None = None

    @property
    def base(self) -> str | None:
        return self.shown


class BeaconSnapshot(Member):
    """The text as it was."""

    shown: Digest


class Beacon(Target):
    """Something that shows a text."""

    META: ClassVar[KindMeta] = KindMeta(plural="beacons", short_names=("bcn",), summary="Something that shows a text.")

    SNAPSHOT: ClassVar[type[Member]] = BeaconSnapshot
    kind: Literal["Beacon"] = "Beacon"
    spec: BeaconSpec
    status: BeaconStatus = Field(default_factory=BeaconStatus)


def beacon(name: str = "shop-prod", *, status: JsonObject | None = None, **spec: Any) -> JsonObject:
    """A Beacon, as the API shows it."""
    head = {"apiVersion": API_VERSION, "kind": "Beacon", "metadata": {"name": name, "namespace": "default"}}
    return {**head, "spec": {"stage": "dev", "text": "on", **spec}, **({"status": status} if status else {})}


# --- Its driver -------------------------------------------------------------------------------------------------------


class BeaconDriver:
    """Drives the one Beacon of a world by its text, one `name=value` a line; the rest of the world is as in `World`.

    There is no state: drift is what differs from the text that was applied. Each text is kept as a blob.
    """

    kind = Beacon
    inputs = frozenset({"document.text"})

    def __init__(self, world: World) -> None:
        self.world = world
        self.traces: dict[str, model.Run] = {}

    async def abandoned(self) -> Collection[model.Run]:
        return tuple(self.traces.values())

    async def recover(self, runs: Collection[model.Run]) -> Mapping[str, model.Outcome]:
        outcome = model.Outcome(model.Result.INTERRUPTED, "", left_behind=self.world.orphans)
        accepted = model.Outcome(model.Result.ACCEPTED, "", stage="send")
        sent = self.world.stages.sent if self.world.stages else {}
        ended = {run.id: outcome for run in runs if run.id in self.traces}
        return ended | {run.id: accepted for run in runs if run.id in sent}

    async def recorded(self, runs: Collection[model.Run]) -> None:
        for run in runs:
            self.traces.pop(run.id, None)

    async def references(self) -> frozenset[str]:
        """None: a Snapshot names the blob of its text."""
        return frozenset()

    async def holdings(self, ref: ObjectRef) -> tuple[str, ...]:
        return tuple(sorted(self.world.actual)) if ref == self.world.target else ()

    @contextlib.asynccontextmanager
    async def session(self, target: Beacon, goal: Goal, run: str, progress: Any) -> AsyncIterator["BeaconSession"]:
        self.world.target = target.ref
        yield BeaconSession(self.world, target, goal, run)


class BeaconSession(ShownOnBoard, InStages):
    """One pass over the text."""

    def __init__(self, world: World, target: Beacon, goal: Goal, run: str) -> None:
        self._world = world
        self._target = target
        self._applied = target.status.applied
        self._goal = goal
        self._run = run
        self._wanted = self._read_goal()
        self._looked: list[Any] | None = None

    def _read_goal(self) -> dict[str, str]:
        if self._goal.destroys:
            return {}
        if self._goal.snapshot is not None:
            return self._kept(self._goal.snapshot.spec.configuration)
        if self._goal.kind is GoalKind.CONTINUE:
            return self._kept(self._target.status.applying.blob if self._target.status.applying else None)
        if self._goal.kind is GoalKind.HOLD:
            return self._kept(self._applied.blob if self._applied else None)
        return lines_of(self._target.spec.text)

    def _kept(self, blob: str | None) -> dict[str, str]:
        try:
            return self._world.configurations[blob or ""]
        except KeyError:
            raise LostBlobError.gone("a text", blob or "") from None

    def _differing(self) -> tuple[Finding, ...]:
        is_, wanted = self._world.actual, self._wanted
        applied = self._kept(self._applied.blob) if self._applied else is_
        return tuple(
            Finding(
                name,
                DriftClass.PENDING if is_.get(name) == applied.get(name) else DriftClass.ACTIONABLE,
                "delete" if name not in wanted else "update" if name in is_ else "create",
                ("value",),
                mendable=name not in self._world.beyond,
            )
            for name in sorted({*is_, *wanted})
            if is_.get(name) != wanted.get(name)
        )

    def _content(self, found: Sequence[Finding]) -> list[Any]:
        noise = [] if self._world.noise is None else [next(self._world.noise)]
        return [[one.name, self._world.actual.get(one.name), self._wanted.get(one.name)] for one in found] + noise

    # --- the steps ------------------------------------------------------------------------------------------

    async def observe(self) -> model.Observation:
        world = self._world
        if world.fail_observe:
            raise world.fail_observe
        base, found = text_of(world.actual), self._differing()
        before, self._looked = self._looked, self._content(found)
        changes = [JudgedChange(one.name, "line", one.action, one.paths, one.drift_class.value) for one in found]
        return model.Observation(
            base=base,
            configuration=world.record(self._wanted),
            findings=found,
            judged=PlainDocument({"text": base}, changes),
            shown={"shown": base},
            warnings=world.warnings,
            moved=() if before in (None, self._looked) else ("a: value.stamp",),
            carried_out_by=self.carried_out_by(),
        )

    async def plan(self, seen: model.Observation) -> model.Plan:
        found = [one for one in seen.findings if one.mendable]
        if not found:
            left = beyond_mending(seen.findings)
            return model.Beyond(left) if left else model.AtSetpoint()
        actions = [ActionSummary(address=one.name, action=one.action, paths=["value"]) for one in found]
        counts = Counter(one.action for one in found)
        text = f"+{counts['create']} ~{counts['update']} -{counts['delete']}"
        in_force = self._applied is not None and self._applied.configuration_name == seen.configuration
        change = model.Change(
            target=self._target.ref,
            cause=cause_of(self._goal, seen.findings, in_force=in_force),
            digest=digest(self._content(found)),
            base=seen.base,
            configuration=seen.configuration,
            generation=self._target.metadata.generation,
            actions=tuple(actions),
            summary=ChangeSummary(**counts, actions=actions, text=text),
            orphans=tuple(self._target.status.orphans),
            types=dict.fromkeys((one.name for one in found), "line"),
            named={"base": seen.base, "configuration": seen.configuration},
        )
        return model.Proposal(change)

    async def capture(self, configuration: model.Configuration | None) -> model.Captured:
        return model.Captured({"shown": digest(text_of(self._world.actual))})

    async def plan_reset(self, change: model.Change | None, snapshot: model.Snapshot | None) -> model.ResetPlan:
        world = self._world
        if change is None or snapshot is None:
            return world.plan_destruction()
        drill = world.drill if snapshot.configuration else "NotDrillable"
        back = [ResetAction(address=one.address, action="none", reversibility="Reversible") for one in change.actions]
        message = "it no longer plans" if drill == "Failed" else ""
        acceptable = drill == "Failed" and world.acceptable
        return model.ResetPlan(digest([one.address for one in back]), tuple(back), drill, message, acceptable)

    async def apply(self, decision: GateDecision, journal: Any) -> model.Outcome:
        decision.require_pass()
        world, change = self._world, decision.change
        mendable = [one for one in self._differing() if one.mendable]
        if world.move_before_apply or text_of(world.actual) != change.base:
            raise ConflictError("the text moved")
        if digest(self._content(mendable)) != change.digest:
            raise ConflictError("another plan")
        world.applies += 1
        if world.result is not model.Result.SUCCEEDED:
            return model.Outcome(world.result, "quota exceeded", left_behind=world.orphans)
        if world.stages is not None and not world.stages.at_once:
            return await self.send(self._wanted, journal)
        for one in mendable:
            world.actual.pop(one.name, None)
            world.actual |= {one.name: self._wanted[one.name]} if one.name in self._wanted else {}
        self.take_down_applied(decision.subject)
        shown = {"shown": text_of(world.actual)}
        return model.Outcome(world.result, "", completed=tuple(one.name for one in mendable), shown=shown)

    def outcome_recorded(self) -> None:
        """Leaves no traces."""

    def take_notices(self) -> tuple[Notice, ...]:
        taken, self._world.notices = tuple(self._world.notices), []
        return taken

    async def verify(self, change: model.Change | None) -> model.Verification:
        stages = self._world.stages
        if stages is not None and stages.again_at is not None and change is not None:
            stages.verified += 1
            again, stages.again_at = stages.again_at, None
            return model.Verification(ok=False, reason=Reason.PROGRESSING, message="too early", again_at=again)
        if change is None:
            return self._world.health
        found = self._differing()
        paths = tuple(one.name for one in found if one.mendable)
        again = model.Verification(ok=False, reason=Reason.NOT_CONVERGING, message="still different", paths=paths)
        verification = self._world.verification or (again if paths else self._world.health)
        return dataclasses.replace(verification, left=beyond_mending(found))

    async def configuration(self) -> model.Configuration:
        blob = self._world.record(self._wanted)
        return model.Configuration(blob, recorded={"blob": blob})

    async def publish(self, *, at_setpoint: bool) -> bool:
        world = self._world
        if not at_setpoint:
            return False
        new = world.produced != world.actual
        world.produced, world.published = dict(world.actual), world.published + new
        return new


def lines_of(text: str) -> dict[str, str]:
    """The values of a text by their names."""
    return {name: value for name, _, value in (line.partition("=") for line in text.splitlines())}


def text_of(lines: Mapping[str, str]) -> str:
    """The text that shows these values."""
    return "\n".join(f"{name}={value}" for name, value in sorted(lines.items()))
