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
    CONTINUE = "Continue"


@dataclasses.dataclass(frozen=True, slots=True)
class Goal:
    """The goal of a pass. `snapshot` and `reset` are set for SNAPSHOT alone; an empty one means: nothing.

    Of CONTINUE, `began` is the goal of the pass that began what goes on. `back` is the reason for which it is to go
    back, as a clause; empty: it is not. `rejected`: people asked for that.
    """

    kind: GoalKind
    reset: Reset | None = None
    snapshot: Snapshot | None = None
    began: GoalKind | None = None
    back: str = ""
    rejected: bool = False

    @property
    def aim(self) -> GoalKind:
        """The kind of goal that is reached where the pass ends well."""
        return self.began or self.kind

    @property
    def destroys(self) -> bool:
        """True where the goal is that nothing is left: a Destroy, or the snapshot from before the first apply."""
        return self.aim is GoalKind.DESTROY or (self.snapshot is not None and self.snapshot.spec.is_empty)

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


_BEGAN: dict[Cause, GoalKind] = {"Destroy": GoalKind.DESTROY, "Reset": GoalKind.SNAPSHOT}


def continued_goal(
    target: Target,
    cause: Cause,
    carried_out: tuple[Reset, Snapshot] | None,
    *,
    reset_due: bool,
    rejected_by: Iterable[str],
) -> Goal:
    """The goal of a pass that goes on with an accepted apply, of a Change with this cause.

    It is chosen before any other: what came meanwhile asks it to go back, and is seen to once it ended. `carried_out`
    is the Reset that the Change carries out, `reset_due` whether another one waits.
    """
    began, names = _BEGAN.get(cause, GoalKind.SPEC), sorted(set(rejected_by))
    back = f"it was rejected by {', '.join(names)}" if names else _came_meanwhile(target, began, carried_out, reset_due)
    reset, snapshot = carried_out or (None, None)
    return Goal(GoalKind.CONTINUE, reset, snapshot, began=began, back=back, rejected=bool(names))


def _came_meanwhile(target: Target, began: GoalKind, carried_out: object, reset_due: bool) -> str:
    deleted = bool(target.metadata.deletion_timestamp)
    if began is GoalKind.DESTROY:
        return "" if deleted else "the deletion was taken back"
    if deleted:
        return f"the {target.kind} was deleted"
    if is_suspended(target):
        return f"the {target.kind} was suspended"
    if began is GoalKind.SNAPSHOT:
        return "" if carried_out else "its Reset is gone"
    if reset_due:
        return "a reset was asked for"
    held = target.status.hold is not None and not hold_released(target)
    return f"the {target.kind} is held" if held else ""


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
