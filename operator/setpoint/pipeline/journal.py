"""Owns the record of an apply whose effect comes in stages: each is in the trail, and on its target, before it acts."""

from setpoint.api.target import AppliedStatus
from setpoint.api.v1alpha1.change import Change
from setpoint.domain import audit_actions
from setpoint.pipeline.passes import Pass
from setpoint.pipeline.seals import Seals


class StageJournal:
    """The stages of the apply of one pass. An apply that has none leaves no trace of it."""

    def __init__(self, work: Pass, record: Change, applying: AppliedStatus, seals: Seals) -> None:
        self._work = work
        self._record = record
        self._seals = seals
        self.applying = applying

    @property
    def staged(self) -> bool:
        """True where the apply was ever accepted."""
        return bool(self.applying.stage)

    def keep(self) -> None:
        """Names on the target what is being applied, sealed, until nothing is left to do of it."""
        self.applying = self._seals.seal(self.applying, self._work.target.ref)
        self._work.draft.set(applying=self.applying)

    async def intent(self, stage: str) -> None:
        """Writes down that a stage begins: in one write where the home can, and else in the trail no later."""
        if self.applying.stage == stage:
            return
        work, record = self._work, self._record
        self.applying = self.applying.model_copy(update={"stage": stage})
        self.keep()
        row = audit_actions.stage_intended(
            work.target.ref, record.metadata.name, record.spec.subject, run=work.run, stage=stage
        )
        await work.stored.write(work.draft.status, audit=(row,))
