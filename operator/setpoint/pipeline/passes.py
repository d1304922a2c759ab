"""Owns what a pass over a target works with, and the values that its steps hand on, each made whole at once."""

import dataclasses
import datetime as dt
import uuid

from setpoint.api.target import Target
from setpoint.api.v1alpha1.change import Change as ChangeObject
from setpoint.api.v1alpha1.change import ChangeSpec
from setpoint.api.v1alpha1.reset import Reset
from setpoint.domain import model
from setpoint.domain.findings import Finding
from setpoint.domain.goals import Goal
from setpoint.pipeline.draft import StatusDraft
from setpoint.pipeline.gates import GateContext
from setpoint.pipeline.stored import StoredStatus
from setpoint.ports import TargetSession


def new_run() -> str:
    """The id that joins the intent of what a pass applies with its outcome: 32 letters and digits."""
    return uuid.uuid4().hex


@dataclasses.dataclass(slots=True)
class Ending:
    """The facts of a pass that its one exit must know of, however the pass ended.

    `done`: something was carried out and verified. `at_setpoint`: the goal is reached, and it is not that nothing is
    left. `gone`: the object is no more. `completed` is the Reset that this pass is the end of; it is closed once the
    hold that keeps what it brought is written. `wake_at` is when an accepted apply goes on, or what came meanwhile is
    seen to.
    """

    observed: bool = False
    done: bool = False
    at_setpoint: bool = False
    gone: bool = False
    completed: Reset | None = None
    wake_at: dt.datetime | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Pass:
    """The things that every step of one pass works with. `run` is the id of what it applies."""

    target: Target
    goal: Goal
    run: str
    session: TargetSession
    draft: StatusDraft
    stored: StoredStatus
    ending: Ending


@dataclasses.dataclass(frozen=True, slots=True)
class Observed:
    """The actual state; `violations` are the world's changes that violate a policy.

    `gates` are those that were gathered to find these; None where nothing drifted, so that none were.
    """

    seen: model.Observation
    violations: tuple[str, ...]
    gates: GateContext | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Applied:
    """A Change that was carried out, or is being so; `record` says which.

    `snapshot` is of before, None where it is lost; `drill` is how the reset plan to it was shown.
    """

    record: ChangeObject
    spec: ChangeSpec
    snapshot: model.Snapshot | None
    drill: str


@dataclasses.dataclass(frozen=True, slots=True)
class Settled:
    """Nothing is to change; what is `left`, no Change can mend. `carried_out` is the Change that somebody else did."""

    observed: Observed
    left: tuple[Finding, ...]
    carried_out: Applied | None


@dataclasses.dataclass(frozen=True, slots=True)
class Planned:
    """The change to be made. `waits`: it is shown, and for now not proposed."""

    observed: Observed
    change: model.Change
    waits: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Guarded:
    """A change with its snapshot and reset plan."""

    observed: Observed
    change: model.Change
    snapshot: model.Snapshot
    reset_plan: model.ResetPlan
