"""Owns the one path of every change: observe, analyse, plan, guard, gate, apply, verify.

Each step hands a value on to the next, or ends the pass; the reconciler records what they drafted. Only this module
calls `apply`, and only with a GateDecision that passed. It must not know how a target is observed.
"""

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from setpoint.api.conditions import ConditionType, Reason
from setpoint.api.target import TargetStatus
from setpoint.api.v1alpha1.change import Change as ChangeObject
from setpoint.api.v1alpha1.enforcementgates import GateStage
from setpoint.domain import audit_actions, model
from setpoint.domain.drift_policy import DriftVerdict
from setpoint.domain.errors import TransientError, WaitingError
from setpoint.domain.findings import DriftClass, beyond_mending
from setpoint.domain.gates import stages_of
from setpoint.domain.goals import GoalKind
from setpoint.pipeline.changes import ChangeRegister, describe_change, show_content
from setpoint.pipeline.configurations import Configurations
from setpoint.pipeline.continuations import Begun, Continuations
from setpoint.pipeline.gate_conditions import accepted_undrilled, change_conditions, reopened, show_decision
from setpoint.pipeline.gatekeeper import Gated, Gatekeeper, Proposed
from setpoint.pipeline.holds import draft_held, hold_rejected, release_rejected
from setpoint.pipeline.journal import StageJournal
from setpoint.pipeline.outcomes import Outcomes
from setpoint.pipeline.passes import Applied, Guarded, Observed, Pass, Planned, Settled
from setpoint.pipeline.resets import ResetRegister
from setpoint.pipeline.reviews import Reviews
from setpoint.ports import AuditLog
from setpoint.runtime.metric_specs import Step as StepName
from setpoint.runtime.metrics import Metrics

_MAX_ATTEMPTS = 2**31
"""More than were ever begun, so somebody else wrote it; the API server would refuse a number that is much larger."""
_MAX_PATHS = 5
_MAX_PATH = 120
_APART = 2.0
"""Seconds between two observations, so that what moves by the second is seen to."""
_AGAIN = dt.timedelta(seconds=1)
_Value = TypeVar("_Value")

Reached = Settled | Planned | Gated
"""How far the steps come that change nothing outside: to the setpoint, to a change that waits, or to the gates."""


class Pipeline:
    """Runs the steps in order. The same for every kind of target."""

    def __init__(
        self,
        *,
        gatekeeper: Gatekeeper,
        changes: ChangeRegister,
        resets: ResetRegister,
        outcomes: Outcomes,
        configurations: Configurations,
        trail: AuditLog,
        metrics: Metrics,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._gatekeeper = gatekeeper
        self._changes = changes
        self._resets = resets
        self._outcomes = outcomes
        self._configurations = configurations
        self._reviews = Reviews(changes)
        self.continuations = Continuations(trail, changes, resets)
        self._trail = trail
        self._metrics = metrics
        self._pause = pause

    async def run(self, work: Pass) -> None:
        """All steps, until one ends the pass. Errors go to the caller, with the draft as far as it got."""
        reached = await self.reach(work)
        if isinstance(reached, Settled):
            await self._outcomes.call_off(work)
        elif isinstance(reached, Gated):
            reached = await self._show(work, reached)
        await self._reviews.withdraw(work)
        if isinstance(reached, Settled):
            await self._timed(work, "record", self._outcomes.nothing_to_change(work, reached))
        elif isinstance(reached, Gated) and reached.passes:
            applied = await self._timed(work, "apply", self._apply(work, reached.proposed))
            if applied is not None:
                change = reached.proposed.guarded.change
                await self._timed(work, "verify", self._verify(work, *applied, change))
        await work.session.publish(at_setpoint=work.ending.at_setpoint)
        await self._configurations.prune_snapshots(work)

    async def go_on(self, work: Pass, begun: Begun) -> None:
        """Goes on with an accepted apply, under the approval that began it: nothing is planned or gated anew."""
        record = begun.record
        await self._trail.require_standing()
        journal = self._configurations.journal(work, record, begun.applying)
        hold_rejected(work)
        before = await self._configurations.captured(work, record)
        doing = Applied(record, record.spec, before, record.spec.reset_plan.drill)
        applied: Applied | None = doing
        if begun.ended:
            await self._outcomes.recorded(work, journal)
        else:
            applied = await self._timed(work, "apply", self._resume(work, begun, doing, journal))
        if applied is not None:
            await self._timed(work, "verify", self._verify(work, applied, journal, begun.change()))
            await work.session.publish(at_setpoint=work.ending.at_setpoint)
        await self._configurations.prune_snapshots(work)

    async def reach(self, work: Pass) -> Reached:
        """The steps that change nothing outside: up to what the gates say. Returns how far they came."""
        seen = await self._timed(work, "observe", self._observe(work))
        observed = await self._timed(work, "analyse", self._analyse(work, seen))
        carried_out = await self._carried_out(work, seen)
        planned = await self._timed(work, "plan", self._plan(work, observed, carried_out))
        if isinstance(planned, Settled) or planned.waits:
            return planned
        guarded = await self._timed(work, "guard", self._guard(work, planned))
        return await self._timed(work, "gate", self._gate(work, guarded))

    async def _timed(self, work: Pass, name: StepName, step: Awaitable[_Value]) -> _Value:
        try:
            with self._metrics.time_step(name):
                return await step
        finally:
            for notice in work.session.take_notices():
                work.draft.notice(notice.reason, notice.text, "Warning")

    # --- observe, analyse, plan -----------------------------------------------------------------------------

    async def _observe(self, work: Pass) -> model.Observation:
        """Observes what is, by one plan."""
        seen = await work.session.observe()
        work.ending.observed = True
        work.draft.warn(seen.warnings)
        work.draft.show(seen.shown)
        return seen

    async def _analyse(self, work: Pass, seen: model.Observation) -> Observed:
        """Names what differs, by class, with what policies say of it."""
        gates, verdict = None, DriftVerdict()
        if seen.judged is not None and seen.judged.drifted:
            gates = await self._gatekeeper.gates.gather(work.target)
            verdict = await self._gatekeeper.judge_drift(work, seen.judged, gates.over("Drift"))
        work.draft.drift(seen.findings, verdict)
        return Observed(seen, verdict.violations, gates)

    async def _carried_out(self, work: Pass, seen: model.Observation) -> Applied | None:
        """The open Change that somebody carried out themselves, ended; as one that was applied."""
        record = await self._reviews.end_carried_out(work, seen)
        if record is None:
            return None
        snapshot = await self._configurations.captured(work, record)
        return Applied(record, record.spec, snapshot, record.spec.reset_plan.drill)

    async def _plan(self, work: Pass, observed: Observed, carried_out: Applied | None) -> Planned | Settled:
        """The change, unless there is none, or none can help."""
        plan = await work.session.plan(observed.seen)
        if not isinstance(plan, model.Proposal):
            left = plan.findings if isinstance(plan, model.Beyond) else beyond_mending(observed.seen.findings)
            return Settled(observed, left, carried_out)
        change = plan.change
        differs = carried_out is not None and await self._outcomes.carried_out_in_part(work, observed.seen, carried_out)
        waits = differs or self._stays_unproposed(work, observed.seen, change) or await self._is_unstable(work, change)
        return Planned(observed, change, waits)

    def _stays_unproposed(self, work: Pass, seen: model.Observation, change: model.Change) -> bool:
        status = work.target.status
        if not work.goal.proposes:
            draft_held(work.target, work.draft)
        elif work.goal.kind is GoalKind.SPEC and _known_not_to_converge(status, seen):
            addresses = ", ".join(status.not_converging[:5])
            work.draft.ready("False", Reason.NOT_CONVERGING, f"still different after they were applied: {addresses}")
        elif change.cause == "Drift" and work.target.spec.drift.mode == "Detect":
            work.draft.ready("False", Reason.DRIFT_DETECTED, "drift.mode is Detect: nothing is proposed")
        else:
            return False
        return True

    async def _is_unstable(self, work: Pass, change: model.Change) -> bool:
        """Another content on the same base is observed again, so that noise is told from a moved world."""
        name = work.target.status.change
        known = await self._changes.get(work.target.metadata.namespace, name) if name else None
        if known is None or not _same_base(known, change) or known.spec.digest == change.digest:
            return False
        await self._pause(_APART)
        again = await work.session.observe()
        if not again.moved:
            return False
        work.draft.ready("False", Reason.PLAN_UNSTABLE, _unstable_message(again.moved))
        return True

    # --- guard and gate -------------------------------------------------------------------------------------

    async def _guard(self, work: Pass, planned: Planned) -> Guarded:
        """Snapshot and drilled reset plan; without it nothing is applied."""
        snapshot = await self._configurations.capture(work, work.target.status.applied)
        plan = await work.session.plan_reset(planned.change, snapshot)
        work.draft.set(snapshot=snapshot.name)
        reasons = {
            "Passed": Reason.DRILL_PASSED,
            "Failed": Reason.DRILL_FAILED,
            "NotDrilled": Reason.NOT_DRILLED,
        }
        reason = reasons.get(plan.drill, Reason.NOT_DRILLABLE)
        work.draft.condition(ConditionType.RESET_READY, "True" if plan.ready else "False", reason, plan.message)
        return Guarded(planned.observed, planned.change, snapshot, plan)

    async def _gate(self, work: Pass, guarded: Guarded) -> Gated:
        """Policies, protection, blast radius and approvals over the subject; the Change that people see."""
        change, seen, plan = guarded.change, guarded.observed.seen, guarded.reset_plan
        gathered = guarded.observed.gates or await self._gatekeeper.gates.gather(work.target)
        gates = gathered.over(change.cause)
        undrilled = plan.acceptable or plan.drill == "NotDrilled"
        required = gates.required_approvals(change, work.goal, seen.findings, undrilled=undrilled)
        subject = gates.subject(change, guarded.snapshot, plan, required=required)
        by = gates.requester(change, work.goal)
        spec = describe_change(change, subject, guarded.snapshot, plan, required, by)
        record, new = await self._changes.ensure(work.target, spec)
        name = record.metadata.name
        work.draft.set(change=name)
        if new:
            work.draft.notice(Reason.CHANGE_CREATED, f"Change {name}: {spec.summary.text} ({spec.cause})")
        if work.goal.reset is not None:
            await self._resets.link(work.goal.reset, name)
        return await self._decide(work, Proposed(guarded, gates, required, spec, record), stages_of(change.cause)[0])

    async def _decide(self, work: Pass, proposed: Proposed, stage: GateStage) -> Gated:
        """Asks the gates of a stage and shows what they say."""
        decision = await self._gatekeeper.decide(work, proposed, stage)
        name = proposed.record.metadata.name
        conditions = change_conditions(decision)
        accepted = accepted_undrilled(proposed.record, proposed.spec, decision)
        record = await self._changes.mark(
            proposed.record,
            *conditions,
            *reopened(proposed.record, decision),
            gates=list(decision.results),
            content=show_content(proposed.guarded.change) or proposed.record.status.content,
            approved_by=sorted(decision.approved_by),
            barred=sorted(decision.barred),
            undrilled_accepted_by=sorted(decision.accepted),
            warnings=work.draft.warnings_of(proposed.guarded.observed.violations),
            # One that is decided was not carried out: each apply makes another Change of it.
            dropped=(ConditionType.APPLIED, ConditionType.VERIFIED),
            audit=accepted,
        )
        for row in accepted:
            message = f"Change {name}: {row.actor} accepted that its way back is not drilled"
            work.draft.notice(Reason.UNDRILLED_ACCEPTED, message, "Warning")
        if decision.rejected_by and work.goal.reset is not None:
            # A rejected reset is over; any other rejected change waits for the world or the spec to move.
            await self._resets.refuse(work.goal.reset, Reason.REJECTED, "its Change was rejected")
        show_decision(work.draft, proposed, decision)
        return Gated(dataclasses.replace(proposed, record=record), decision)

    async def _show(self, work: Pass, gated: Gated) -> Gated:
        """Shows the Change where its people look elsewhere; declined there, the gates say so like of any rejection."""
        record = await self._reviews.show(work, gated)
        proposed = dataclasses.replace(gated.proposed, record=record)
        if record.status.review is None or record.status.review.declined_by is None or gated.decision.rejected_by:
            return dataclasses.replace(gated, proposed=proposed)
        return await self._decide(work, proposed, gated.decision.stage)

    # --- apply and verify -----------------------------------------------------------------------------------

    async def _apply(self, work: Pass, proposed: Proposed) -> tuple[Applied, StageJournal] | None:
        """Gates once more, intent durable first, then the effect, then its outcome, whatever happens.

        None where the gates no longer pass, or where it was accepted and goes on in later passes. Raises TransientError
        where it did not succeed.
        """
        gated = await self._decide(work, proposed, stages_of(proposed.spec.cause)[-1])
        if not gated.passes:
            return None
        proposed = gated.proposed
        await self._trail.require_standing()
        await self._refuse_spent(work, proposed)
        await self._changes.confirm(proposed.record, proposed.spec)
        journal = await self._announce(work, gated)
        outcome = await work.session.apply(gated.decision, journal)
        doing = Applied(proposed.record, proposed.spec, proposed.guarded.snapshot, proposed.guarded.reset_plan.drill)
        applied = await self._record(work, doing, outcome, journal, proposed.guarded.observed.seen)
        return None if applied is None else (applied, journal)

    async def _record(
        self,
        work: Pass,
        doing: Applied,
        outcome: model.Outcome,
        journal: StageJournal,
        seen: model.Observation | None = None,
    ) -> Applied | None:
        """Writes down what an apply came to; None where it goes on, or went back. Raises TransientError: it failed."""
        if outcome.result is model.Result.ACCEPTED:
            await self._outcomes.accepted(work, doing, outcome, journal)
            return None
        self._metrics.count_apply(outcome.result)
        if doing.spec.cause == "Reset":
            self._metrics.count_reset(outcome.result)
        record = await self._outcomes.applied(work, doing, outcome, journal, seen)
        if outcome.result is model.Result.SUCCEEDED:
            release_rejected(work)
            return dataclasses.replace(doing, record=record)
        if work.goal.back and not outcome.declined:
            await self._outcomes.went_back(work, doing, outcome.message)
            return None
        if outcome.declined:
            raise TransientError(Reason.DECLINED, outcome.message or "people turned it down")
        reason = Reason.INTERRUPTED if outcome.result is model.Result.INTERRUPTED else Reason.APPLY_FAILED
        raise TransientError(reason, outcome.message or "the apply did not finish")

    async def _resume(self, work: Pass, begun: Begun, doing: Applied, journal: StageJournal) -> Applied | None:
        outcome = await work.session.resume(begun.resumed(), journal)
        return await self._record(work, doing, outcome, journal)

    async def _refuse_spent(self, work: Pass, proposed: Proposed) -> None:
        """An approval is spent by the apply that it began: by the trail, whatever the target's status says.

        Where that was set back, the Change is proposed anew. Raises WaitingError then.
        """
        ref = work.target.ref
        if await self._trail.applies_begun(ref, proposed.spec.subject):
            applies = await self._trail.applies_begun(ref)
            work.draft.set(attempts=max(applies, work.target.status.attempts + 1))
            message = f"Change {proposed.record.metadata.name} was begun before, so its approval is spent"
            raise WaitingError(Reason.PROGRESSING, message, requeue_after=_AGAIN)

    async def _announce(self, work: Pass, gated: Gated) -> StageJournal:
        """Spends the approval and writes the intent, in one durable write where the home can."""
        draft, proposed, name = work.draft, gated.proposed, gated.proposed.record.metadata.name
        draft.set(attempts=max(0, work.target.status.attempts) % _MAX_ATTEMPTS + 1)
        applying = await self._configurations.of_pass(work, change=name)
        draft.set(applying=applying)
        message = f"applying {name}"
        draft.ready("False", Reason.PROGRESSING, message)
        draft.condition(ConditionType.RECONCILING, "True", Reason.PROGRESSING, message)
        ref, by = work.target.ref, gated.decision.approved_by
        intent = audit_actions.apply_intended(ref, name, proposed.spec, run=work.run, approved_by=by)
        await work.stored.write(draft.status, audit=(intent,))
        return self._configurations.journal(work, proposed.record, applying)

    async def _verify(self, work: Pass, applied: Applied, journal: StageJournal, change: model.Change) -> None:
        """A second observation; what fails goes by spec.reset.onVerifyFailure."""
        verification = await work.session.verify(change)
        if verification.warnings is not None:
            work.draft.warn(verification.warnings)
        if verification.again_at is not None:
            name = applied.record.metadata.name
            await self._outcomes.verified_later(work, journal, verification.again_at, name)
            return
        await self._outcomes.verified(work, applied, verification, journal)


def _known_not_to_converge(status: TargetStatus, seen: model.Observation) -> bool:
    """True where nothing differs but what differed right after it was applied."""
    applied = status.applied
    if not status.not_converging or applied is None:
        return False
    differing = {f.name for f in seen.findings if not f.ignored and f.drift_class is not DriftClass.INFORMATIONAL}
    return applied.configuration_name == seen.configuration and differing <= set(status.not_converging)


def _same_base(known: ChangeObject, change: model.Change) -> bool:
    """True where both start from the same, for the same. A Change of an earlier version does not say for what."""
    spec = known.spec
    same = (spec.generation, spec.cause, spec.base) == (change.generation, change.cause, change.base)
    if spec.member is None or not same or spec.configuration not in {None, change.configuration}:
        return False
    return spec.member == type(spec.member).model_validate(change.stated)


def _unstable_message(moving: Sequence[str]) -> str:
    more = f" and {len(moving) - _MAX_PATHS} more" if len(moving) > _MAX_PATHS else ""
    listed = "; ".join(path[:_MAX_PATH] for path in moving[:_MAX_PATHS])
    remedy = "no approval could ever match, so list these paths in spec.drift.ignore or make the code's values steady"
    return f"two plans of the same inputs, seconds apart, differ in {listed}{more}; {remedy}"
