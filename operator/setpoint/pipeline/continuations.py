"""Owns finding an accepted apply that is to go on: by the trail, and never by what a status alone says."""

import dataclasses

from setpoint.api.target import AppliedStatus, Target
from setpoint.api.v1alpha1.change import Change
from setpoint.domain import audit_actions, model
from setpoint.domain.audit import Phase
from setpoint.domain.goals import Goal, continued_goal
from setpoint.pipeline.changes import ChangeRegister
from setpoint.pipeline.resets import ResetRegister
from setpoint.ports import AuditLog

VERIFYING = "verify"
"""The last stage of an apply: its outcome is recorded, and it was too early to verify."""


@dataclasses.dataclass(frozen=True, slots=True)
class Begun:
    """An accepted apply that is to go on: its Change, its run, and what it brings about, at its last stage.

    `ended`: its outcome is recorded, and it is to be verified yet.
    """

    record: Change
    run: str
    applying: AppliedStatus
    ended: bool

    @property
    def told(self) -> str:
        """The sentence on it for people."""
        doing = "was carried out, and is to be verified" if self.ended else "is being carried out"
        since = f"at stage {self.applying.stage}, begun at {self.applying.at}"
        return f"Change {self.record.metadata.name} {doing} ({since})"

    def resumed(self) -> model.Applying:
        """The apply as its driver knows it."""
        return model.Applying(
            change=self.record.metadata.name,
            run=self.run,
            stage=self.applying.stage or "",
            at=self.applying.at,
            configuration=self.applying.configuration_name,
        )

    def change(self) -> model.Change:
        """The Change as its object tells of it, for a second observation."""
        spec = self.record.spec
        return model.Change(
            target=spec.target_ref.within(self.record.metadata.namespace),
            cause=spec.cause,
            digest=spec.digest,
            base="",
            configuration=self.applying.configuration_name,
            generation=spec.generation,
            actions=tuple(spec.summary.actions),
            summary=spec.summary,
            orphans=tuple(spec.orphans),
        )


class Continuations:
    """The accepted applies of targets."""

    def __init__(self, trail: AuditLog, changes: ChangeRegister, resets: ResetRegister) -> None:
        self._trail = trail
        self._changes = changes
        self._resets = resets

    async def find(self, target: Target) -> Begun | None:
        """The accepted apply that goes on, of a target without what others wrote into its status; None: there is none.

        The trail decides: the last apply that was begun there has a stage, and no outcome, or one that is not verified
        yet. All of these rows bear the home's seal.
        """
        applying = target.status.applying
        if applying is None:
            return None
        rows = await self._trail.last_apply(target.ref)
        stages = [row.entry.result for row in rows if audit_actions.is_stage(row.entry)]
        if not stages or not all(row.vouched for row in rows):
            return None
        results = [row.entry.result for row in rows if row.entry.phase is Phase.OUTCOME]
        verified = any(audit_actions.is_accepted_verified(row.entry) for row in rows)
        if verified or (results and results != [model.Result.SUCCEEDED.value]):
            return None
        record = await self._changes.get(target.metadata.namespace, applying.change or "")
        if record is None or record.spec.subject != rows[0].entry.digests.get("subject"):
            return None
        staged = applying.model_copy(update={"stage": stages[-1]})
        return Begun(record, rows[0].entry.run, staged, ended=bool(results))

    async def goal(self, target: Target, begun: Begun) -> Goal:
        """The goal of the pass that goes on with it."""
        record = begun.record
        carried_out = await self._resets.carried_out_by(target, record.metadata.name)
        due = await self._resets.due(target) if record.spec.cause != "Reset" else None
        rejected_by = await self._changes.rejected_by(record)
        return continued_goal(
            target, record.spec.cause, carried_out, reset_due=due is not None, rejected_by=rejected_by
        )
