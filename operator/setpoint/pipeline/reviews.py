"""Owns Changes that people look at elsewhere: shown, looked after, withdrawn, and carried out by somebody else.

All that is done there is in the trail. A Change says that it may be shown before it is, so that one of which nobody
knows what became of it is shown again, or withdrawn. Decides nothing: who declined is asked for by the gates.
"""

from collections.abc import Sequence

from setpoint.api.conditions import ConditionType, Reason
from setpoint.api.target import Target
from setpoint.api.v1alpha1.change import Change, ReviewStatus
from setpoint.domain import audit_actions
from setpoint.domain.audit import AuditEntry
from setpoint.domain.conditions import get_condition
from setpoint.domain.model import Observation, Review
from setpoint.domain.reviews import ended, is_up, noted, told_carried_out
from setpoint.pipeline.changes import ChangeRegister, is_closed, is_marked
from setpoint.pipeline.gatekeeper import Gated
from setpoint.pipeline.passes import Pass, new_run

_BY_OTHERS = frozenset({Reason.CARRIED_OUT, Reason.CARRIED_OUT_UNGATED})


class Reviews:
    """Keeps what is shown elsewhere in step with the Changes of targets."""

    def __init__(self, changes: ChangeRegister) -> None:
        self._changes = changes

    # --- shown, and looked after ----------------------------------------------------------------------------

    async def show(self, work: Pass, gated: Gated) -> Change:
        """Shows a Change where its people look, where there is such a place and its gates permit it.

        Returns the Change as it is now. Where somebody declined it there, the gates have to be asked once more.
        """
        record = gated.proposed.record
        if not work.session.shows_changes or not gated.decision.permits_review:
            return record
        if is_up(record.status.review):
            return await self._mark(work, record, await work.session.propose(gated.decision, record.metadata.name))
        return await self._put_up(work, gated)

    async def _put_up(self, work: Pass, gated: Gated) -> Change:
        """Intent durable first, then the effect, then its outcome, whatever happens."""
        target, spec, name = work.target.ref, gated.proposed.spec, gated.proposed.record.metadata.name
        # Of its own: the pass may go on to an apply, whose run must stay open until that ended.
        run = new_run()
        known = gated.proposed.record.status.review or ReviewStatus()
        meant = {"url": "", "shown": True}
        record = await self._changes.mark(
            gated.proposed.record,
            review=known.model_copy(update=meant),
            audit=(audit_actions.proposal_intended(target, name, spec, run=run),),
        )
        try:
            review = await work.session.propose(gated.decision, name)
        except Exception:
            failed = audit_actions.proposal_ended(target, name, spec.subject, run=run, result="Failed", where="")
            await self._changes.mark(record, audit=(failed,))
            raise
        work.draft.notice(Reason.CHANGE_SHOWN, f"Change {name} is shown at {review.url}")
        shown = audit_actions.proposal_ended(target, name, spec.subject, run=run, result="Succeeded", where=review.url)
        return await self._mark(work, record, review, audit=(shown,))

    async def _mark(self, work: Pass, record: Change, review: Review, *, audit: Sequence[AuditEntry] = ()) -> Change:
        """Writes down where the Change is shown, and who declined it there: once."""
        known, now = record.status.review, noted(record.status.review, review)
        if now.declined_by is not None and (known is None or known.declined_by is None):
            by, why, where = now.declined_by, now.why, now.url
            told = audit_actions.declined(
                work.target.ref, record.metadata.name, record.spec, who=by, why=why, where=where
            )
            audit = (*audit, told)
        return await self._changes.mark(record, review=now, audit=audit) if audit or now != known else record

    # --- withdrawn ------------------------------------------------------------------------------------------

    async def withdraw(self, work: Pass) -> None:
        """Ends what is shown of Changes that are no more; what fails is tried again by the next pass.

        Nothing else is applied before: what was called off must not be there for people to carry out as well.
        """
        if not work.session.shows_changes:
            return
        for change in await self._changes.of_target(work.target):
            review = change.status.review
            if review is not None and review.shown and is_closed(change):
                await work.session.withdraw(change.metadata.name)
                told = audit_actions.withdrawn(work.target.ref, change.metadata.name, change.spec, where=review.url)
                await self._changes.mark(change, review=ended(review), audit=(told,))

    # --- carried out by somebody else -----------------------------------------------------------------------

    async def end_carried_out(self, work: Pass, seen: Observation) -> Change | None:
        """Ends the open Change that somebody carried out themselves, by what was seen, and says so.

        None where there is no such Change, so that what is seen is drift. No approval is spent, and no attempt counted.
        """
        found = seen.carried_out_by
        change = await self._named(work.target, found.subject) if found else None
        if found is None or change is None:
            return None
        ungated, name = not is_marked(change, ConditionType.GATED), change.metadata.name
        reason = Reason.CARRIED_OUT_UNGATED if ungated else Reason.CARRIED_OUT
        message = told_carried_out(found, ungated=ungated)
        told = audit_actions.carried_out(
            work.target.ref, name, change.spec, who=found.by, evidence=found.evidence, ungated=ungated
        )
        record = await self._changes.mark(
            change,
            (ConditionType.APPLIED, "True", reason, message),
            review=ended(change.status.review),
            audit=() if is_marked(change, ConditionType.APPLIED) else (told,),
        )
        work.draft.notice(reason, f"Change {name} was {message}", "Warning" if ungated else "Normal")
        return record

    async def _named(self, target: Target, subject: str) -> Change | None:
        """The open Change of that subject, or one that was ended so by a pass that did not come to tell its target."""
        for change in await self._changes.of_target(target):
            applied = get_condition(tuple(change.status.conditions), ConditionType.APPLIED)
            by_others = applied is not None and applied.reason in _BY_OTHERS
            untold = by_others and target.status.change == change.metadata.name
            if change.spec.subject == subject and (untold or not is_closed(change)):
                return change
        return None
