"""Owns what a pass came to: the setpoint, an apply with its outcome, a verification. Plans and applies nothing."""

import dataclasses
import datetime as dt

from setpoint.api.conditions import ConditionType, Reason
from setpoint.api.model import format_time
from setpoint.api.v1alpha1.change import Change as ChangeObject
from setpoint.domain import audit_actions, model
from setpoint.domain.audit import AuditEntry
from setpoint.domain.drift_policy import DriftVerdict
from setpoint.domain.findings import not_conforming
from setpoint.domain.goals import GoalKind
from setpoint.domain.reviews import ended, is_in_force, judge_carried_out
from setpoint.pipeline.changes import ChangeCondition, ChangeRegister, list_orphans
from setpoint.pipeline.configurations import Configurations
from setpoint.pipeline.continuations import VERIFYING
from setpoint.pipeline.draft import Status
from setpoint.pipeline.holds import draft_held, hold_at_snapshot, hold_unverified
from setpoint.pipeline.journal import StageJournal
from setpoint.pipeline.lifecycle import Lifecycle
from setpoint.pipeline.passes import Applied, Pass, Settled
from setpoint.pipeline.resets import ResetRegister
from setpoint.ports import ClusterClient

_REASONS = {
    model.Result.SUCCEEDED: Reason.APPLIED,
    model.Result.FAILED: Reason.APPLY_FAILED,
    model.Result.INTERRUPTED: Reason.INTERRUPTED,
}
_MAX_LISTED = 50
_SOON = dt.timedelta(seconds=1)


class Outcomes:
    """Records what passes came to."""

    def __init__(
        self,
        cluster: ClusterClient,
        changes: ChangeRegister,
        lifecycle: Lifecycle,
        configurations: Configurations,
        resets: ResetRegister,
    ) -> None:
        self._cluster = cluster
        self._changes = changes
        self._lifecycle = lifecycle
        self._configurations = configurations
        self._resets = resets

    # --- nothing left to do ---------------------------------------------------------------------------------

    async def call_off(self, work: Pass) -> None:
        """Closes what waited, where there is no change."""
        if work.target.status.change:
            called_off = await self._changes.supersede(work.target, "nothing is left to change")
            if any(change.spec.cause == "Destroy" for change in called_off):
                work.draft.notice(Reason.DELETION_TAKEN_BACK, "its manifest is back: nothing is destroyed")

    async def nothing_to_change(self, work: Pass, settled: Settled) -> None:
        """There is no change: record what is in force, say so."""
        held = work.goal.kind is GoalKind.HOLD
        if settled.carried_out is not None and not held:
            await self._carried_out(work, settled, settled.carried_out)
            return
        work.draft.set(change=None)
        if held:
            draft_held(work.target, work.draft)
            return
        if await self._configurations.record(work, settled.observed.seen, change=None):
            await self._drill_anew(work)
        work.draft.set(not_converging=[], failures=0)
        await self._reach(work, dataclasses.replace(await self._confirm(work), left=settled.left))

    async def _carried_out(self, work: Pass, settled: Settled, applied: Applied) -> None:
        """Somebody else brought the goal about: recorded and verified as after an apply, by this very look."""
        await self._record_carried_out(work, settled.observed.seen, applied)
        verified = model.Verification(ok=True, reason=Reason.VERIFIED, message="")
        health = verified if work.goal.destroys else await work.session.verify(None)
        await self.verified(work, applied, dataclasses.replace(health, left=settled.left))

    async def carried_out_in_part(self, work: Pass, seen: model.Observation, applied: Applied) -> bool:
        """True where somebody else brought the goal about and something differs yet: that is told as after an apply.

        Where the goal is another by now, the Change has ended, and what is in force is not known.
        """
        if not is_in_force(applied.spec, work.goal, seen):
            work.draft.set(change=None)
            return False
        await self._record_carried_out(work, seen, applied)
        verification = judge_carried_out(applied.spec.summary.actions, seen.findings)
        if not verification.ok:
            await self.verified(work, applied, verification)
        return not verification.ok

    async def _record_carried_out(self, work: Pass, seen: model.Observation, applied: Applied) -> None:
        """Records what is in force; until then the target's status names the Change, so that a kill loses nothing."""
        await self._configurations.record(work, seen, change=applied.record.metadata.name)
        work.draft.set(change=None, not_converging=[], failures=0, orphans=[])

    async def _confirm(self, work: Pass) -> model.Verification:
        """A target that was unhealthy is asked again; else the empty plan is the proof."""
        verified = work.draft.get(ConditionType.VERIFIED)
        if verified is not None and verified.reason == Reason.UNHEALTHY and not work.goal.destroys:
            return await work.session.verify(None)
        return model.Verification(ok=True, reason=Reason.VERIFIED, message="")

    async def _reach(self, work: Pass, verification: model.Verification) -> None:
        """The goal is reached: conditions, outputs, and what the goal itself asks for.

        It is not where something is left that no Change can mend: then neither a reset nor a destruction ends either.
        """
        if not verification.ok:
            _draft_unverified(work, verification)
            return
        work.draft.condition(ConditionType.VERIFIED, "True", Reason.VERIFIED)
        work.draft.condition(ConditionType.GATED, "True", Reason.GATES_PASSED)
        if verification.left:
            work.draft.ready("False", Reason.NOT_CONFORMING, not_conforming(verification.left))
            return
        if meanwhile := _came_meanwhile(work):
            work.draft.ready("False", Reason.PROGRESSING, f"what was being applied is there; {meanwhile} meanwhile")
            return
        if work.goal.aim is GoalKind.SNAPSHOT:
            hold_at_snapshot(work)
        elif work.goal.aim is GoalKind.DESTROY:
            await self._lifecycle.end_destroyed(work.target, work.draft, work.ending)
        else:
            work.draft.drop(ConditionType.HELD)
            work.draft.set(hold=None)
            work.draft.ready("True", Reason.AT_SETPOINT)
        work.ending.at_setpoint = not work.goal.destroys

    # --- a change -------------------------------------------------------------------------------------------

    async def accepted(self, work: Pass, doing: Applied, outcome: model.Outcome, journal: StageJournal) -> None:
        """Says how far an apply has come that goes on in later passes. No outcome is written, no attempt counted."""
        stage, name = outcome.stage or journal.applying.stage or "accepted", doing.record.metadata.name
        await journal.intent(stage)
        going = "going back" if work.goal.back else "being carried out"
        message = f"{name} is {going}, at stage {stage}{_looked_at_again(outcome.wake_at)}"
        unknown: ChangeCondition = (ConditionType.APPLIED, "Unknown", Reason.PROGRESSING, message)
        await self._changes.mark(doing.record, unknown, run=work.run)
        work.draft.show(outcome.shown)
        _draft_going_on(work, journal, message, outcome.wake_at)

    async def verified_later(self, work: Pass, journal: StageJournal, again_at: dt.datetime, name: str) -> None:
        """Says that an apply, whose outcome is recorded, is verified again: its last stage."""
        await journal.intent(VERIFYING)
        message = f"{name} was carried out, and is verified again{_looked_at_again(again_at)}"
        _draft_going_on(work, journal, message, again_at)

    async def applied(
        self, work: Pass, doing: Applied, outcome: model.Outcome, journal: StageJournal, seen: model.Observation | None
    ) -> ChangeObject:
        """Writes the outcome of an apply: trail first, then the Change, then the draft; returns the Change.

        `seen` is the observation that the apply began with, None where an earlier pass made it.
        """
        name = doing.record.metadata.name
        entry = audit_actions.apply_ended(
            work.target.ref,
            doing.spec.subject,
            run=work.run,
            result=outcome.result.value,
            completed=outcome.completed,
            orphans=outcome.left_behind,
        )
        succeeded = outcome.result is model.Result.SUCCEEDED
        reason = Reason.DECLINED if outcome.declined else _REASONS[outcome.result]
        message = outcome.message if not succeeded else _count(len(outcome.completed))
        record = await self._changes.mark(
            doing.record,
            (ConditionType.APPLIED, "True" if succeeded else "False", reason, message),
            run=work.run,
            orphans=list_orphans(outcome.left_behind),
            # A failed one is shown elsewhere yet: the next pass withdraws it.
            review=ended(doing.record.status.review) if succeeded else doing.record.status.review,
            audit=(entry,),
        )
        work.session.outcome_recorded()
        work.draft.notice(reason, f"{name}: {message}", "Normal" if succeeded else "Warning")
        self._draft_outcome(work, outcome)
        if succeeded and journal.staged:
            await self.recorded(work, journal)
        elif succeeded and seen is not None:
            await self._configurations.record(work, seen, change=name)
        return record

    async def recorded(self, work: Pass, journal: StageJournal) -> None:
        """Records what an accepted apply brought about; it is still named as being applied until it is verified."""
        await self._configurations.record_staged(work, journal.applying)
        journal.keep()

    async def went_back(self, work: Pass, doing: Applied, message: str) -> None:
        """Says that an accepted apply went back, and sees to it that what came meanwhile is next."""
        name, why = doing.record.metadata.name, work.goal.back
        work.draft.ready("False", Reason.PROGRESSING, f"Change {name} went back, since {why}: {message}")
        work.ending.wake_at = work.draft.now + _SOON
        if work.goal.rejected and work.goal.reset is not None:
            await self._resets.refuse(work.goal.reset, Reason.REJECTED, "its Change was rejected")

    def _draft_outcome(self, work: Pass, outcome: model.Outcome) -> None:
        work.draft.set(
            change=None,
            applying=None,
            not_converging=[],
        )
        work.draft.show(outcome.shown)
        if outcome.result is model.Result.SUCCEEDED:
            work.draft.set(failures=0, orphans=[])
            return
        work.draft.set(failures=work.target.status.failures + 1, orphans=list_orphans(outcome.left_behind))
        if outcome.left_behind:
            listed = ", ".join(outcome.left_behind[:5])
            work.draft.notice(Reason.ORPHANS_SUSPECTED, f"perhaps made, and in no state: {listed}", "Warning")

    async def verified(
        self, work: Pass, applied: Applied, verification: model.Verification, journal: StageJournal | None = None
    ) -> None:
        """Writes what the second observation found, and acts on it. `journal` is that of an apply of Setpoint's own."""
        status: Status = "True" if verification.ok else "False"
        reason = Reason(verification.reason)
        verified = (ConditionType.VERIFIED, status, reason, verification.message)
        await self._changes.mark(applied.record, verified, audit=self._last_row(work, applied, journal, reason))
        work.ending.done = verification.ok
        if journal is not None and journal.staged:
            work.draft.set(applying=None)
            work.ending.wake_at = work.draft.now + _SOON
        if verification.ok:
            work.draft.drift(verification.left, DriftVerdict())
            await self._drill_first(work, applied.drill)
            await self._reach(work, verification)
            return
        _draft_unverified(work, verification)
        if reason is Reason.NOT_CONVERGING:
            work.draft.set(not_converging=list(verification.paths[:_MAX_LISTED]))
        elif reason is not Reason.DRIFT_DETECTED:
            await hold_unverified(work, applied, self._cluster)

    @staticmethod
    def _last_row(work: Pass, applied: Applied, journal: StageJournal | None, reason: Reason) -> tuple[AuditEntry, ...]:
        """The row that ends an accepted apply, so that it is not gone on with."""
        if journal is None or not journal.staged:
            return ()
        name, subject = applied.record.metadata.name, applied.spec.subject
        return (audit_actions.accepted_verified(work.target.ref, name, subject, run=work.run, reason=reason),)

    # --- drills after the fact ------------------------------------------------------------------------------

    async def _drill_first(self, work: Pass, drill: str) -> None:
        """The first apply had nothing to drill before it, so its destroy is planned right after."""
        if drill != "NotDrillable" or work.goal.destroys:
            work.draft.condition(ConditionType.RESET_READY, "True", Reason.DRILL_PASSED)
            return
        await self._drill_destroy(work)

    async def _drill_anew(self, work: Pass) -> None:
        """An obstacle to going back may stand in the code alone, and no longer do so."""
        ready = work.draft.get(ConditionType.RESET_READY)
        if ready is not None and ready.reason == Reason.DRILL_FAILED:
            await self._drill_destroy(work)

    async def _drill_destroy(self, work: Pass) -> None:
        plan = await work.session.plan_reset(None, None)
        if plan.ready:
            work.draft.condition(ConditionType.RESET_READY, "True", Reason.DRILL_PASSED)
        else:
            work.draft.condition(ConditionType.RESET_READY, "False", Reason.DRILL_FAILED, plan.message)


def _draft_unverified(work: Pass, verification: model.Verification) -> None:
    reason = Reason(verification.reason)
    work.draft.condition(ConditionType.VERIFIED, "False", reason, verification.message)
    work.draft.ready("False", reason, verification.message)


def _came_meanwhile(work: Pass) -> str:
    """The reason for which what an accepted apply brought about is not what is asked for now; else empty."""
    if work.goal.back or work.goal.began is not GoalKind.SPEC:
        return work.goal.back
    applying = work.target.status.applying
    moved = applying is not None and applying.generation != work.target.metadata.generation
    return "the spec was changed" if moved else ""


def _draft_going_on(work: Pass, journal: StageJournal, message: str, wake_at: dt.datetime | None) -> None:
    journal.keep()
    work.draft.ready("False", Reason.PROGRESSING, message)
    work.draft.condition(ConditionType.RECONCILING, "True", Reason.PROGRESSING, message)
    work.ending.wake_at = wake_at or work.draft.now + work.target.spec.interval


def _looked_at_again(at: dt.datetime | None) -> str:
    return f"; it is looked at again at {format_time(at)}" if at else "; it is looked at again at the interval"


def _count(resources: int) -> str:
    return f"{resources} resource" + "s" * (resources != 1)
