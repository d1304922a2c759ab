"""Owns the choice of what a pass over a target drives it to, before anything is observed. Pure."""

import dataclasses
from collections.abc import Iterable
from enum import StrEnum

from setpoint.api.meta import RECONCILE_ANNOTATION, RESUME_ANNOTATION, SUSPEND_ANNOTATION
from setpoint.api.model import parse_time
from setpoint.api.target import Target
from setpoint.api.v1alpha1.change import Cause
from setpoint.api.v1alpha1.reset import Reset, ResetStatus
from setpoint.api.v1alpha1.snapshot import Snapshot
from setpoint.domain.findings import DriftClass, Finding

_MAX_REQUEST = 1024


class GoalKind(StrEnum):
    """The kind of goal that a pass has."""

    SPEC = "Spec"
    SNAPSHOT = "Snapshot"
    HOLD = "Hold"
    DESTROY = "Destroy"
    RELEASE = "Release"
    SUSPENDED = "Suspended"


@dataclasses.dataclass(frozen=True, slots=True)
class Goal:
    """The goal of a pass. `snapshot` and `reset` are set for SNAPSHOT alone; an empty one means: nothing."""

    kind: GoalKind
    reset: Reset | None = None
    snapshot: Snapshot | None = None

    @property
    def destroys(self) -> bool:
        """True where the goal is that nothing is left: a Destroy, or the snapshot from before the first apply."""
        return self.kind is GoalKind.DESTROY or (self.snapshot is not None and self.snapshot.spec.is_empty)

    @property
    def proposes(self) -> bool:
        """False where differences are only reported."""
        return self.kind in {GoalKind.SPEC, GoalKind.SNAPSHOT, GoalKind.DESTROY}


def choose_goal(target: Target, reset: Reset | None, snapshot: Snapshot | None, *, governs: bool) -> Goal:
    """The goal of this pass. `reset` is the oldest that is not complete, `snapshot` the one that it names.

    `governs` is asked for of what is deleted: whether anything was ever made.
    """
    if target.metadata.deletion_timestamp:
        destroy = target.spec.protection.deletion_policy == "Destroy" and governs
        return Goal(GoalKind.DESTROY if destroy else GoalKind.RELEASE)
    if is_suspended(target):
        return Goal(GoalKind.SUSPENDED)
    if reset is not None and snapshot is not None:
        return Goal(GoalKind.SNAPSHOT, reset, snapshot)
    if target.status.hold is not None and not hold_released(target):
        return Goal(GoalKind.HOLD)
    return Goal(GoalKind.SPEC)


def is_suspended(target: Target) -> bool:
    """True where the spec or a person stopped all work on it."""
    return target.spec.suspend or SUSPEND_ANNOTATION in target.metadata.annotations


def asked_run(target: Target) -> str | None:
    """The last request for a run, as far as a status holds it: an annotation may be as long as it likes."""
    asked = target.metadata.annotations.get(RECONCILE_ANNOTATION)
    return None if asked is None else asked[:_MAX_REQUEST]


def hold_released(target: Target) -> bool:
    """True where the spec changed, or a person resumed, after the hold began."""
    hold = target.status.hold
    if hold is None or hold.generation != target.metadata.generation:
        return True
    resumed = target.metadata.annotations.get(RESUME_ANNOTATION, "")
    try:
        return bool(resumed) and parse_time(resumed) >= parse_time(hold.since)
    except ValueError:
        return False


def is_open(status: ResetStatus) -> bool:
    """True until the reset is complete, or is known never to become so."""
    return not any(condition.type == "Complete" and condition.status != "Unknown" for condition in status.conditions)


def oldest_open_reset(resets: Iterable[Reset], target: Target) -> Reset | None:
    """The reset of this target to carry out first."""
    mine = (
        reset
        for reset in resets
        if reset.spec.target_ref.within(reset.metadata.namespace) == target.ref and is_open(reset.status)
    )
    return min(mine, key=lambda reset: (reset.metadata.creation_timestamp or "", reset.metadata.name), default=None)


def cause_of(goal: Goal, findings: Iterable[Finding], *, in_force: bool) -> Cause:
    """Why a Change is made. A spec change that meets drift is a SpecChanged; cascades follow their cause.

    `in_force`: the configuration is the one that was applied last; under any other, nothing is mere drift.
    """
    if goal.kind is GoalKind.DESTROY:
        return "Destroy"
    if goal.kind is GoalKind.SNAPSHOT:
        return "Reset"
    classes = {finding.drift_class for finding in findings if not finding.ignored}
    drifted = DriftClass.ACTIONABLE in classes and DriftClass.PENDING not in classes
    return "Drift" if drifted and in_force else "SpecChanged"
