"""Owns the one path of every change: observe, analyse, plan, guard, gate, apply, verify (design, section 1).

The steps are a tuple of methods, each of which may end the pass; the reconciler records what they drafted. Only
this module calls `apply`, and only with a GateDecision that passed. It must not know how a target is observed.
"""

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Awaitable, Callable, Sequence

from setpoint.api.conditions import ConditionType, Reason
from setpoint.api.v1alpha1.change import Change as ChangeObject
from setpoint.api.v1alpha1.change import ChangeSpec
from setpoint.api.v1alpha1.enforcementgates import GateStage
from setpoint.api.v1alpha1.environment import BundleStatus, DriftStatus, Environment, StateStatus
from setpoint.api.v1alpha1.reset import Reset
from setpoint.domain import audit_actions, model
from setpoint.domain.drift_policy import drift_condition
from setpoint.domain.errors import TransientError, WaitingError
from setpoint.domain.findings import DriftClass, count_classes, drifted_names
from setpoint.domain.gates import stages_of
from setpoint.domain.gating import GateDecision
from setpoint.domain.goals import Goal, GoalKind
from setpoint.pipeline.changes import ChangeRegister, describe_change, show_content
from setpoint.pipeline.draft import Notice, StatusDraft
from setpoint.pipeline.gate_conditions import accepted_undrilled, change_conditions, reopened, show_decision
from setpoint.pipeline.gatekeeper import GateContext, Gatekeeper
from setpoint.pipeline.seals import Seals
from setpoint.pipeline.settlement import Settlement, held_message
from setpoint.pipeline.snapshots import SnapshotTaker
from setpoint.ports import AuditLog, ClusterClient, TargetSession
from setpoint.runtime.metric_specs import Step as StepName
from setpoint.runtime.metrics import Metrics
from setpoint.runtime.status import write_status

_MAX_ADDRESSES = 20
_MAX_ATTEMPTS = 2**31
"""More than were ever begun, so somebody else wrote it; the API server would refuse a number that is much larger."""
_MAX_WARNINGS = 20
_MAX_WARNING = 1024
_MAX_PATHS = 5
_MAX_PATH = 120
_APART = 2.0
"""Seconds between two looks, so that what moves by the second is seen to."""
_AGAIN = dt.timedelta(seconds=1)


@dataclasses.dataclass(slots=True)
class Pass:
    """Holds what one pass has learnt so far; each step fills in its part."""

    environment: Environment
    goal: Goal
    session: TargetSession
    draft: StatusDraft
    observation: model.Observation = dataclasses.field(init=False)
    change: model.Change = dataclasses.field(init=False)
    snapshot: model.Snapshot = dataclasses.field(init=False)
    reset_plan: model.ResetPlan = dataclasses.field(init=False)
    gates: GateContext = dataclasses.field(init=False)
    required: int = 0
    proposed: ChangeSpec = dataclasses.field(init=False)
    """The Change as this pass computed it: decided on, approved, spent, recorded; `record` is where people see it."""
    record: ChangeObject = dataclasses.field(init=False)
    decision: GateDecision = dataclasses.field(init=False)
    outcome: model.Outcome = dataclasses.field(init=False)
    notices: list[Notice] = dataclasses.field(default_factory=list)
    violations: tuple[str, ...] = ()
    """The world's changes that violate a policy."""
    done: bool = False
    gone: bool = False
    completed: Reset | None = None
    """The Reset that this pass is the end of; it is closed once the hold that keeps what it brought is written."""

    def tell(self, reason: Reason, message: str, type_: str = "Normal") -> None:
        """Adds something that people should hear of, whatever the conditions say."""
        self.notices.append(Notice("Warning" if type_ == "Warning" else "Normal", reason, message))

    @property
    def warnings(self) -> list[str]:
        """Warnings for whoever decides on the Change: an apply takes what it does not put back into the state."""
        return [*self.violations, *self.draft.status.warnings][:_MAX_WARNINGS]

    def warn(self, warnings: Sequence[str]) -> None:
        """Shows what Terraform warns of, and tells of what is new."""
        shown = [one[:_MAX_WARNING] for one in warnings[:_MAX_WARNINGS]]
        for one in shown:
            if one not in self.draft.status.warnings:
                self.tell(Reason.WARNED, one, "Warning")
        self.draft.set(warnings=shown)


Step = Callable[[Pass], Awaitable[bool]]
"""A step; True where it ends the pass."""


class Pipeline:
    """Runs the steps in order. The same for every kind of target."""

    def __init__(
        self,
        *,
        cluster: ClusterClient,
        gatekeeper: Gatekeeper,
        changes: ChangeRegister,
        settlement: Settlement,
        snapshots: SnapshotTaker,
        seals: Seals,
        trail: AuditLog,
        metrics: Metrics,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._cluster = cluster
        self._gatekeeper = gatekeeper
        self._changes = changes
        self._settlement = settlement
        self._snapshots = snapshots
        self._seals = seals
        self._trail = trail
        self._metrics = metrics
        self._pause = pause
        self._steps: tuple[tuple[StepName, Step], ...] = (
            ("observe", self.observe),
            ("analyse", self.analyse),
            ("plan", self.plan),
            ("guard", self.guard),
            ("gate", self.gate),
            ("apply", self.apply),
            ("verify", self.verify),
        )

    async def run(self, work: Pass) -> None:
        """All steps, until one ends the pass. Errors go to the caller, with the draft as far as it got."""
        await self._run(work, self._steps)

    async def preview(self, work: Pass) -> None:
        """The steps that change nothing outside: up to what the gates say."""
        await self._run(work, self._steps[:-2])

    async def _run(self, work: Pass, steps: Sequence[tuple[StepName, Step]]) -> None:
        for name, step in steps:
            try:
                with self._metrics.time_step(name):
                    ended = await step(work)
            finally:
                for notice in work.session.take_notices():
                    work.tell(notice.reason, notice.text, "Warning")
            if ended:
                return

    # --- observe, analyse, plan -----------------------------------------------------------------------------

    async def observe(self, work: Pass) -> bool:
        """Observes what is, by one plan."""
        work.observation = seen = await work.session.observe()
        work.warn(seen.warnings)
        work.draft.set(
            bundle=BundleStatus(digest=seen.bundle, revision=seen.revision),
            state=StateStatus(
                version=seen.state_version, serial=seen.serial, lineage=seen.lineage, resources=seen.resources
            ),
        )
        return False

    async def analyse(self, work: Pass) -> bool:
        """Names what differs, by class; Drifted is about actionable drift, and about any that violates a policy."""
        findings = work.observation.findings
        actionable = drifted_names(findings)
        before = work.environment.status.drift.since
        since = (before or work.draft.now_text) if actionable else None
        verdict = await self._gatekeeper.judge_drift(work)
        work.violations = verdict.violations
        work.draft.set(
            drift=DriftStatus(
                **dataclasses.asdict(count_classes(findings)),
                addresses=actionable[:_MAX_ADDRESSES],
                since=since,
                violations=len(verdict.violations),
            )
        )
        condition = drift_condition(verdict, actionable)
        known = work.draft.get(ConditionType.DRIFTED)
        if verdict.violations and known and known.reason == Reason.POLICY_VIOLATED and known.message != condition[-1]:
            work.tell(Reason.POLICY_VIOLATED, condition[-1], "Warning")
        work.draft.condition(ConditionType.DRIFTED, *condition)
        return False

    async def plan(self, work: Pass) -> bool:
        """The change, if there is one to propose."""
        change = await work.session.plan(work.observation)
        if change is None:
            await self._settlement.at_setpoint(work)
            return True
        work.change = change
        return self._rests(work) or await self._unstable(work)

    def _rests(self, work: Pass) -> bool:
        if not work.goal.proposes:
            work.draft.ready("False", Reason.HELD, _held_message(work.environment))
        elif _known_not_to_converge(work):
            addresses = ", ".join(work.environment.status.not_converging[:5])
            work.draft.ready("False", Reason.NOT_CONVERGING, f"still different after they were applied: {addresses}")
        elif work.change.cause == "Drift" and work.environment.spec.drift.mode == "Detect":
            work.draft.ready("False", Reason.DRIFT_DETECTED, "drift.mode is Detect: nothing is proposed")
        else:
            return False
        return True

    async def _unstable(self, work: Pass) -> bool:
        """Rule 19: another content on the same base is looked at again, so that noise is told from a moved world."""
        name = work.environment.status.change
        known = await self._changes.get(work.environment.metadata.namespace, name) if name else None
        if known is None or not _same_base(known, work.change) or known.spec.digest == work.change.digest:
            return False
        await self._pause(_APART)
        moving = await work.session.observe_again()
        if not moving:
            return False
        work.draft.ready("False", Reason.PLAN_UNSTABLE, _unstable_message(moving))
        return True

    # --- guard and gate -------------------------------------------------------------------------------------

    async def guard(self, work: Pass) -> bool:
        """Snapshot and drilled way back; without it nothing is applied."""
        captured = await work.session.capture(work.environment.status.applied)
        work.snapshot = await self._snapshots.take(work.environment, captured)
        work.reset_plan = plan = await work.session.plan_reset(work.change, work.snapshot)
        work.draft.set(snapshot=work.snapshot.name)
        reasons = {
            "Passed": Reason.DRILL_PASSED,
            "Failed": Reason.DRILL_FAILED,
            "NotDrilled": Reason.NOT_DRILLED,
        }
        status = "True" if plan.ready else "False"
        reason = reasons.get(plan.drill, Reason.NOT_DRILLABLE)
        work.draft.condition(ConditionType.RESET_READY, status, reason, plan.message)  # type: ignore[arg-type]
        return False

    async def gate(self, work: Pass) -> bool:
        """Policies, protection, blast radius and approvals over the subject; the Change that people see."""
        work.gates = await self._gatekeeper.gather(work.environment, work.change.cause)
        undrilled = work.reset_plan.acceptable or work.reset_plan.drill == "NotDrilled"
        work.required = work.gates.required_approvals(
            work.change, work.goal, work.observation.findings, undrilled=undrilled
        )
        subject = work.gates.subject(
            work.change,
            work.snapshot,
            work.reset_plan,
            variables=work.observation.variables_digest,
            required=work.required,
        )
        by = work.gates.requester(work.change, work.goal)
        work.proposed = spec = describe_change(work.change, subject, work.snapshot, work.reset_plan, work.required, by)
        work.record, new = await self._changes.ensure(work.environment, spec)
        work.draft.set(change=work.record.metadata.name)
        if new:
            work.tell(Reason.CHANGE_CREATED, f"Change {work.record.metadata.name}: {spec.summary.text} ({spec.cause})")
        await self._settlement.link_reset(work)
        return await self._decide(work, stages_of(work.change.cause)[0])

    async def _decide(self, work: Pass, stage: GateStage) -> bool:
        """Asks the gates of a stage and shows what they say; True where the Change may not go on."""
        work.decision = decision = await self._gatekeeper.decide(work, stage)
        name = work.record.metadata.name
        conditions = change_conditions(decision)
        accepted = accepted_undrilled(work.record, work.proposed, decision)
        work.record = await self._changes.mark(
            work.record,
            *conditions,
            *reopened(work.record, decision),
            gates=decision.results,
            content=show_content(work.change),
            approved_by=decision.approved_by,
            barred=decision.barred,
            undrilled_accepted_by=decision.accepted,
            warnings=work.warnings,
            # One that is decided was not carried out: each apply makes another Change of it.
            dropped=(ConditionType.APPLIED, ConditionType.VERIFIED),
            audit=accepted,
        )
        for row in accepted:
            message = f"Change {name}: {row.actor} accepted that its way back is not drilled"
            work.tell(Reason.UNDRILLED_ACCEPTED, message, "Warning")
        if decision.rejected_by:
            await self._settlement.rejected(work)
        return show_decision(work, decision)

    # --- apply and verify -----------------------------------------------------------------------------------

    async def apply(self, work: Pass) -> bool:
        """Gates once more, intent durable first, then the effect, then its outcome, whatever happens."""
        if await self._decide(work, stages_of(work.change.cause)[-1]):
            return True
        await self._trail.require_standing()
        await self._refuse_spent(work)
        await self._changes.confirm(work.record, work.proposed)
        await self._announce(work)
        work.outcome = await work.session.apply(work.decision)
        self._metrics.count_apply(work.outcome.result)
        if work.change.cause == "Reset":
            self._metrics.count_reset(work.outcome.result)
        await self._settlement.applied(work)
        if work.outcome.result is model.Result.SUCCEEDED:
            return False
        reason = Reason.INTERRUPTED if work.outcome.result is model.Result.INTERRUPTED else Reason.APPLY_FAILED
        raise TransientError(reason, work.outcome.message or "the apply did not finish")

    async def _refuse_spent(self, work: Pass) -> None:
        """An approval is spent by the apply that it began: by the trail, whatever the target's status says.

        Where that was set back, the Change is proposed anew. Raises WaitingError then.
        """
        if await self._trail.applies_begun(work.environment.ref, work.proposed.subject):
            applies = await self._trail.applies_begun(work.environment.ref)
            work.draft.set(attempts=max(applies, work.environment.status.attempts + 1))
            message = f"Change {work.record.metadata.name} was begun before, so its approval is spent"
            raise WaitingError(Reason.PROGRESSING, message, requeue_after=_AGAIN)

    async def _announce(self, work: Pass) -> None:
        """Spends the approval and writes the intent, in one durable write where the home can."""
        work.draft.set(attempts=max(0, work.environment.status.attempts) % _MAX_ATTEMPTS + 1)
        name = work.record.metadata.name
        applying = await work.session.configuration(change=name, at=work.draft.now_text)
        work.draft.set(applying=self._seals.seal(applying, work.environment.ref))
        message = f"applying {name}"
        work.draft.ready("False", Reason.PROGRESSING, message)
        work.draft.condition(ConditionType.RECONCILING, "True", Reason.PROGRESSING, message)
        ref, approved_by = work.environment.ref, work.decision.approved_by
        intent = audit_actions.apply_intended(ref, name, work.proposed, run=work.session.run, approved_by=approved_by)
        status = work.draft.status.as_json()
        await write_status(self._cluster, work.environment.ref, status, audit=(intent,))

    async def verify(self, work: Pass) -> bool:
        """A second look; what fails goes by spec.reset.onVerifyFailure."""
        verification = await work.session.verify(work.change)
        if verification.warnings is not None:
            work.warn(verification.warnings)
        await self._settlement.verified(work, verification)
        return True


def _held_message(environment: Environment) -> str:
    hold = environment.status.hold
    return held_message(environment, hold.snapshot if hold else None)


def _known_not_to_converge(work: Pass) -> bool:
    """True where nothing differs but what differed right after it was applied (rule 26)."""
    status = work.environment.status
    applied = status.applied
    if work.goal.kind is not GoalKind.SPEC or not status.not_converging or applied is None:
        return False
    same = applied.bundle == work.observation.bundle and applied.variables == work.observation.variables_digest
    differing = {
        f.name for f in work.observation.findings if not f.ignored and f.drift_class is not DriftClass.INFORMATIONAL
    }
    return same and differing <= set(status.not_converging)


def _same_base(known: ChangeObject, change: model.Change) -> bool:
    spec = known.spec
    return (spec.bundle, spec.state_version, spec.generation, spec.cause) == (
        change.bundle,
        change.state_version,
        change.generation,
        change.cause,
    )


def _unstable_message(moving: Sequence[str]) -> str:
    more = f" and {len(moving) - _MAX_PATHS} more" if len(moving) > _MAX_PATHS else ""
    listed = "; ".join(path[:_MAX_PATH] for path in moving[:_MAX_PATHS])
    remedy = "no approval could ever match, so list these paths in spec.drift.ignore or make the code's values steady"
    return f"two plans of the same inputs, seconds apart, differ in {listed}{more}; {remedy}"
