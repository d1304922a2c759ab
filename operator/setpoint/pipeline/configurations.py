"""Owns the configuration in force: read with care, recorded under a seal, with a Snapshot of what it made."""

from setpoint.api.conditions import ConditionType
from setpoint.api.target import AppliedStatus, Target
from setpoint.api.v1alpha1.change import Change
from setpoint.domain.model import Configuration, Observation, Snapshot
from setpoint.pipeline.changes import ChangeRegister, is_marked
from setpoint.pipeline.journal import StageJournal
from setpoint.pipeline.passes import Pass
from setpoint.pipeline.seals import Seals
from setpoint.pipeline.snapshots import SnapshotPruner, SnapshotTaker


class Configurations:
    """The configurations that targets are held to."""

    def __init__(self, seals: Seals, changes: ChangeRegister, snapshots: SnapshotTaker, pruner: SnapshotPruner) -> None:
        self._seals = seals
        self._changes = changes
        self._snapshots = snapshots
        self._pruner = pruner

    # --- before a pass --------------------------------------------------------------------------------------

    def drop_unsealed(self, target: Target) -> Target:
        """The target as if nobody but Setpoint had said what is applied; the same object where nobody did."""
        return self._seals.drop_unsealed(target)

    async def finish_interrupted(self, target: Target) -> Target:
        """Finishes what a killed manager had begun to write down: the configuration of an apply that it ended.

        Where the Change does not say that the apply succeeded, nothing can be said of what is in force.
        """
        applying = target.status.applying
        if applying is None:
            return target
        change = await self._changes.get(target.metadata.namespace, applying.change or "")
        if change is not None and is_marked(change, ConditionType.APPLIED):
            update: dict[str, object] = {"applied": self._in_force(applying, target), "snapshot": None}
        else:
            update = {"failures": max(1, target.status.failures)}
        status = target.status.model_copy(update={**update, "applying": None})
        return target.model_copy(update={"status": status})

    def _in_force(self, applying: AppliedStatus, target: Target) -> AppliedStatus:
        """The configuration that an apply brought about, in as many stages as it took."""
        if applying.stage is None:
            return applying
        return self._seals.seal(applying.model_copy(update={"stage": None}), target.ref)

    # --- in a pass ------------------------------------------------------------------------------------------

    async def of_pass(self, work: Pass, *, change: str | None) -> AppliedStatus:
        """The configuration that the pass holds its target to, sealed; `change` is what applies it."""
        configuration = await work.session.configuration()
        applied = work.target.status.applied_type()(
            **configuration.recorded,
            configuration=configuration.name,
            revision=configuration.revision,
            generation=work.target.metadata.generation,
            change=change,
            at=work.draft.now_text,
        )
        return self._seals.seal(applied, work.target.ref)

    def journal(self, work: Pass, record: Change, applying: AppliedStatus) -> StageJournal:
        """The record of the stages of an apply, of which no more may ever be written."""
        return StageJournal(work, record, applying, self._seals)

    async def capture(self, work: Pass, applied: AppliedStatus | None) -> Snapshot:
        """A Snapshot of what is, as made under a configuration; None: nothing was applied."""
        return await self._snapshots.take(work.target, applied, await work.session.capture(configuration_of(applied)))

    async def captured(self, work: Pass, change: Change) -> Snapshot | None:
        """The Snapshot of before an open Change; None where it is lost."""
        return await self._snapshots.find(work.target, change.spec.snapshot_ref)

    async def record(self, work: Pass, seen: Observation, *, change: str | None) -> bool:
        """Records the configuration in force, for drills, resets and destroys to build on; takes a snapshot of it.

        True where it is another than before.
        """
        if work.goal.destroys:
            work.draft.set(applied=None, snapshot=None)
            return False
        known = work.draft.status.applied
        if known is None or change or known.configuration_name != seen.configuration:
            applied = await self.of_pass(work, change=change)
            work.draft.set(applied=applied)
            await self._snapshot(work, applied)
            return True
        before = work.target.status
        if before.snapshot is None or before.base != seen.base:
            await self._snapshot(work, known)
        return False

    async def record_staged(self, work: Pass, applying: AppliedStatus) -> None:
        """Records what an accepted apply brought about, which no observation of this pass tells of; once."""
        if work.goal.destroys:
            work.draft.set(applied=None, snapshot=None)
            return
        known, applied = work.draft.status.applied, self._in_force(applying, work.target)
        if known != applied:
            work.draft.set(applied=applied)
            await self._snapshot(work, applied)

    async def _snapshot(self, work: Pass, applied: AppliedStatus) -> None:
        snapshot = await self.capture(work, applied)
        work.draft.set(snapshot=snapshot.name)

    async def prune_snapshots(self, work: Pass) -> None:
        """Removes old Snapshots where this pass took another."""
        newest = work.draft.status.snapshot
        if newest != work.target.status.snapshot:
            await self._pruner.prune(work.target, newest=newest)


def configuration_of(applied: AppliedStatus | None) -> Configuration | None:
    """The configuration of a record, as its driver gave it."""
    if applied is None:
        return None
    own = type(applied).model_fields.keys() - AppliedStatus.model_fields.keys()
    recorded = {name: getattr(applied, name) for name in own}
    return Configuration(applied.configuration_name, applied.revision, recorded)
