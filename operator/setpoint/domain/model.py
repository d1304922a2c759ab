"""Owns the values that pass between the steps of the pipeline. Pure, frozen."""

import dataclasses
import datetime as dt
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal

from setpoint.api.meta import ObjectRef
from setpoint.api.v1alpha1.change import ActionSummary, Cause, ChangeSummary, ResetAction, Reversibility
from setpoint.api.v1alpha1.change import Change as ChangeObject
from setpoint.domain.findings import Finding
from setpoint.domain.judged import Judged
from setpoint.domain.shown_content import ShownContent


@dataclasses.dataclass(frozen=True, slots=True)
class ResourceProgress:
    """One step of an apply, as it happens, or what a plan waits for.

    `id` is the object's, where it is told: of what it made, once that is there.
    """

    address: str
    action: str
    state: Literal["started", "completed", "failed", "waiting"]
    seconds: float = 0.0
    id: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class CarriedOut:
    """A Change that somebody carried out themselves, named by its subject: who they are, and what shows it, as a link.

    Both texts come from outside: they are shown, and nothing is decided by them.
    """

    subject: str
    by: str
    evidence: str


@dataclasses.dataclass(frozen=True, slots=True)
class Observation:
    """The target as it is at one instant, named by its `base`, under the configuration that it was compared with.

    `judged` is what policies judge, which is never stored. `shown` are the kind's own fields of a status, opaque to
    the path. `moved` are the places, as `address: path`, where the content is another than the time before in the same
    pass; there should be none. `carried_out_by` is set while what is seen comes of a Change as it was last proposed,
    and not of an apply.
    """

    base: str
    configuration: str
    findings: tuple[Finding, ...]
    judged: Judged | None
    shown: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    carried_out_by: CarriedOut | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Configuration:
    """The configuration that a pass holds its target to, named by all digests that it consists of.

    `recorded` are the kind's own fields of `status.applied`, by their Python names: opaque to the path.
    """

    name: str
    revision: str = ""
    recorded: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Captured:
    """Everything that a reset needs: the kind's member of a Snapshot's spec, as JSON, opaque to the path."""

    digests: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """The index entry of what was captured. `configuration` is None where nothing had been applied."""

    name: str
    digest: str
    configuration: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class ResetPlan:
    """The actions back, each with its class; whether they were shown to plan.

    `acceptable`: they were not, and people may pass that knowingly.
    """

    digest: str
    actions: tuple[ResetAction, ...]
    drill: str
    message: str = ""
    acceptable: bool = False

    @property
    def ready(self) -> bool:
        """True where nothing stands in the way of going back."""
        return self.drill != "Failed"

    @property
    def worst(self) -> Reversibility:
        """The worst class of all actions."""
        order: tuple[Reversibility, ...] = ("Reversible", "ReversibleNewId", "NotRestorable", "DataLoss")
        return max((action.reversibility for action in self.actions), key=order.index, default="Reversible")


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """The exact actions, their cause, their base and configuration; `digest` names the content.

    `stated` is the kind's own member of the spec that people approve, as JSON, `named` what the subject names of it and
    of the configuration: both opaque to the path.
    `shown` is what people may see of the content, and `kept` the sealed blob that holds it whole.
    `real_addresses` has those that people must not see as they are, by how the actions show them. `types` says of each
    action's address what it is of: what has none can't be told from what is protected by its type. `notes` say what is
    out of the ordinary: how the plan came about, what is lost already.
    """

    target: ObjectRef
    cause: Cause
    digest: str
    base: str
    configuration: str
    generation: int
    actions: tuple[ActionSummary, ...]
    summary: ChangeSummary
    orphans: tuple[str, ...] = ()
    shown: ShownContent | None = None
    kept: str | None = None
    real_addresses: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    types: Mapping[str, str] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    stated: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    named: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class AtSetpoint:
    """Nothing differs that counts."""


@dataclasses.dataclass(frozen=True, slots=True)
class Beyond:
    """Differences that no Change can mend, and no others."""

    findings: tuple[Finding, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Proposal:
    """A Change would mend what differs, or as much of it as can be mended."""

    change: Change


Plan = AtSetpoint | Beyond | Proposal
"""The answer to an observation."""


@dataclasses.dataclass(frozen=True, slots=True)
class Review:
    """The place where people look at a Change elsewhere, as a link; empty where it is shown nowhere else.

    `declined_by` is who turned it down there, None where nobody did, and `why` their words: texts from outside.
    """

    url: str = ""
    declined_by: str | None = None
    why: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """One run on a target. `changes` are the Changes that its intent names: one, unless somebody deleted it."""

    id: str
    target: ObjectRef
    changes: tuple[ChangeObject, ...] = ()


class Result(StrEnum):
    """How an apply ended; accepted, it has not: its effect comes later."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    INTERRUPTED = "Interrupted"
    ACCEPTED = "Accepted"


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of an apply. `left_behind` is what it began to make and nothing knows of; `shown` as there.

    Of an accepted one, `stage` is what goes on now, and `wake_at` when to look at it again; None: at the interval.
    `declined`: people turned it down where it went on, so that it failed.
    """

    result: Result
    message: str
    completed: tuple[str, ...] = ()
    left_behind: tuple[str, ...] = ()
    shown: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    stage: str = ""
    wake_at: dt.datetime | None = None
    declined: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Applying:
    """An accepted apply that is to go on: of a Change by its name, under the run that began it.

    `stage` is the last one whose intent was written down: its effect is there, or not. `at` is when the apply began.
    """

    change: str
    run: str
    stage: str
    at: str
    configuration: str


@dataclasses.dataclass(frozen=True, slots=True)
class Verification:
    """The result of a second observation. `paths` are those that do not converge; `warnings` is None without a plan.

    `left` are the findings that count beside it, and that no Change can mend. With `again_at`, it is too early to tell
    before then.
    """

    ok: bool
    reason: str
    message: str
    paths: tuple[str, ...] = ()
    warnings: tuple[str, ...] | None = None
    left: tuple[Finding, ...] = ()
    again_at: dt.datetime | None = None
