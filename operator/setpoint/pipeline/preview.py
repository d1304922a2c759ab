"""Owns what `setpoint plan` shows: the pipeline's steps up to the gates, over a cluster that keeps no write."""

import dataclasses
from collections.abc import Mapping, Sequence

from setpoint.api.meta import ObjectRef
from setpoint.api.target import target_type
from setpoint.api.v1alpha1.change import ActionSummary, ChangeSummary, GateResult, ResetPlanSummary
from setpoint.domain.errors import ReasonedError
from setpoint.domain.findings import not_conforming
from setpoint.domain.goals import Goal, GoalKind, choose_goal
from setpoint.domain.reading import parse
from setpoint.domain.shown_content import ShownContent
from setpoint.pipeline.draft import StatusDraft
from setpoint.pipeline.gatekeeper import Gated
from setpoint.pipeline.passes import Ending, Pass, Planned, Settled, new_run
from setpoint.pipeline.path import Pipeline, Reached
from setpoint.pipeline.resets import ResetRegister
from setpoint.pipeline.seals import Seals
from setpoint.pipeline.stored import StoredStatus
from setpoint.ports import Clock, ClusterClient, OnProgress, TargetDriver


@dataclasses.dataclass(frozen=True, slots=True)
class PlanReport:
    """The pending change and why. `cause` is None at the setpoint; `error` says why nothing could be planned."""

    target: ObjectRef
    cause: str | None = None
    summary: ChangeSummary = dataclasses.field(default_factory=ChangeSummary)
    actions: Sequence[ActionSummary] = ()
    content: ShownContent | None = None
    reset_plan: ResetPlanSummary | None = None
    gates: Sequence[GateResult] = ()
    approvals_required: int = 0
    subject: str = ""
    findings: Mapping[str, int] = dataclasses.field(default_factory=dict)
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()
    error: str = ""


class Previewer:
    """Computes reports. Everything given to it works on an OverlayCluster."""

    def __init__(
        self,
        *,
        cluster: ClusterClient,
        driver: TargetDriver,
        pipeline: Pipeline,
        resets: ResetRegister,
        seals: Seals,
        clock: Clock,
    ) -> None:
        self._cluster = cluster
        self._driver = driver
        self._pipeline = pipeline
        self._resets = resets
        self._seals = seals
        self._clock = clock

    async def preview(self, ref: ObjectRef, progress: OnProgress) -> PlanReport:
        """The report on one target. Raises NotFoundError."""
        target = self._seals.drop_unsealed(parse(target_type(ref.kind), await self._cluster.get(ref)))
        begun = await self._pipeline.continuations.find(target)
        if begun is not None:
            return PlanReport(ref, notes=[f"{begun.told}: nothing else is planned before its end"])
        due = await self._resets.due(target)
        goal = choose_goal(target, *(due or (None, None)), governs=True)
        if goal.kind in {GoalKind.SUSPENDED, GoalKind.RELEASE, GoalKind.HOLD}:
            goal = Goal(GoalKind.SPEC)
        draft = StatusDraft(target, self._clock.now())
        run = new_run()
        try:
            async with self._driver.session(target, goal, run, progress) as session:
                stored = StoredStatus(self._cluster, target)
                reached = await self._pipeline.reach(Pass(target, goal, run, session, draft, stored, Ending()))
        except ReasonedError as error:
            return PlanReport(ref, error=f"{error.reason}: {error.message}")
        return _report(ref, draft, reached)


def _report(ref: ObjectRef, draft: StatusDraft, reached: Reached) -> PlanReport:
    drift = draft.status.drift
    findings = {
        "actionable": drift.actionable,
        "informational": drift.informational,
        "pending": drift.pending,
        "cascade": drift.cascade,
    }
    match reached:
        case Settled(observed, left):
            notes = [not_conforming(left)] if left else []
            return PlanReport(ref, findings=findings, warnings=draft.warnings_of(observed.violations), notes=notes)
        case Planned(observed, change):
            shown = (change.cause, change.summary, change.actions, change.shown)
            warnings = draft.warnings_of(observed.violations)
            return PlanReport(ref, *shown, findings=findings, warnings=warnings, notes=change.notes)
        case Gated(proposed, decision):
            spec, change = proposed.spec, proposed.guarded.change
            return PlanReport(
                target=ref,
                cause=spec.cause,
                summary=spec.summary,
                actions=change.actions,
                content=change.shown,
                reset_plan=spec.reset_plan,
                gates=decision.results,
                approvals_required=proposed.required,
                subject=spec.subject,
                findings=findings,
                warnings=draft.warnings_of(proposed.guarded.observed.violations),
                notes=change.notes,
            )
