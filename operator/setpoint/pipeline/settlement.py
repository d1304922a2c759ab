"""Owns what follows once a pass knows how it went: records, holds, resets, and the end of a target's life.

Called by the pipeline's steps; it never plans and never applies.
"""

from typing import TYPE_CHECKING

from setpoint.api.conditions import ConditionType, Reason
from setpoint.api.meta import API_VERSION, FINALIZER, JsonObject, ObjectRef
from setpoint.api.v1alpha1.environment import AppliedStatus, DriftStatus, Environment, HoldStatus, StateStatus
from setpoint.api.v1alpha1.reset import Reset
from setpoint.domain import audit_actions, model
from setpoint.domain.audit import AuditEntry
from setpoint.domain.errors import AlreadyExistsError, InvalidError, StalledError
from setpoint.domain.goals import GoalKind
from setpoint.domain.reading import parse
from setpoint.pipeline.changes import ChangeRegister, list_orphans
from setpoint.pipeline.draft import Status
from setpoint.pipeline.names import TARGET_LABEL, child_name, target_label
from setpoint.pipeline.resets import ResetRegister
from setpoint.pipeline.seals import Seals
from setpoint.pipeline.snapshots import SnapshotTaker
from setpoint.ports import ClusterClient

if TYPE_CHECKING:
    from setpoint.pipeline.path import Pass

_REASONS = {
    model.Result.SUCCEEDED: Reason.APPLIED,
    model.Result.FAILED: Reason.APPLY_FAILED,
    model.Result.INTERRUPTED: Reason.INTERRUPTED,
}
_MAX_LISTED = 50


class Settlement:
    """Settles a pass."""

    def __init__(
        self,
        *,
        cluster: ClusterClient,
        changes: ChangeRegister,
        resets: ResetRegister,
        snapshots: SnapshotTaker,
        seals: Seals,
    ) -> None:
        self._cluster = cluster
        self._changes = changes
        self._resets = resets
        self._snapshots = snapshots
        self._seals = seals

    # --- nothing left to do ---------------------------------------------------------------------------------

    async def at_setpoint(self, work: "Pass") -> None:
        """There is no change: close what waited, record what is in force, say so."""
        if work.environment.status.change:
            called_off = await self._changes.supersede(work.environment, "nothing is left to change")
            if any(change.spec.cause == "Destroy" for change in called_off):
                work.tell(Reason.DELETION_TAKEN_BACK, "its manifest is back: nothing is destroyed")
            work.draft.set(change=None)
        if work.goal.kind is GoalKind.HOLD:
            hold = work.environment.status.hold
            work.draft.ready("False", Reason.HELD, held_message(work.environment, hold.snapshot if hold else None))
            return
        if await self._record_configuration(work, change=None):
            await self._drill_anew(work)
        work.draft.set(not_converging=[], failures=0)
        await self._reach(work, await self._confirm(work))

    async def _confirm(self, work: "Pass") -> model.Verification:
        """A target that was unhealthy is asked again; else the empty plan is the proof."""
        verified = work.draft.get(ConditionType.VERIFIED)
        if verified is not None and verified.reason == Reason.UNHEALTHY and not work.goal.destroys:
            return await work.session.probe_health()
        return model.Verification(ok=True, reason=Reason.VERIFIED, message="")

    async def _reach(self, work: "Pass", verification: model.Verification) -> None:
        """The goal is reached: conditions, outputs, and what the goal itself asks for."""
        if not verification.ok:
            self._unverified(work, verification)
            return
        work.draft.condition(ConditionType.VERIFIED, "True", Reason.VERIFIED)
        work.draft.condition(ConditionType.GATED, "True", Reason.GATES_PASSED)
        if work.goal.kind is GoalKind.SNAPSHOT:
            self._complete_reset(work)
        elif work.goal.kind is GoalKind.DESTROY:
            await self._finish_destroy(work)
        else:
            work.draft.drop(ConditionType.HELD)
            work.draft.set(hold=None)
            work.draft.ready("True", Reason.AT_SETPOINT)
        if not work.goal.destroys:
            await work.session.publish()

    async def _record_configuration(self, work: "Pass", *, change: str | None) -> bool:
        """Records the configuration in force, for drills, resets and destroys to build on; takes a snapshot of it.

        True where it is another than before.
        """
        if work.goal.destroys:
            work.draft.set(applied=None, snapshot=None)
            return False
        known = work.draft.status.applied
        seen = work.observation
        if known is None or change or (known.bundle, known.variables) != (seen.bundle, seen.variables_digest):
            applied = await work.session.configuration(change=change, at=work.draft.now_text)
            applied = self._seals.seal(applied, work.environment.ref)
            work.draft.set(applied=applied)
            await self._snapshot(work, applied)
            return True
        if work.environment.status.snapshot is None or _state_moved(work):
            await self._snapshot(work, known)
        return False

    async def _snapshot(self, work: "Pass", applied: AppliedStatus) -> None:
        snapshot = await self._snapshots.take(work.environment, await work.session.capture(applied))
        work.draft.set(snapshot=snapshot.name)

    # --- a change -------------------------------------------------------------------------------------------

    async def link_reset(self, work: "Pass") -> None:
        """Shows on a Reset which Change carries it out."""
        if work.goal.reset is not None:
            await self._resets.link(work.goal.reset, work.record.metadata.name)

    async def rejected(self, work: "Pass") -> None:
        """A rejected reset is over; a rejected change waits for the world or the spec to move."""
        if work.goal.reset is not None:
            await self._resets.refuse(work.goal.reset, Reason.REJECTED, "its Change was rejected")

    async def applied(self, work: "Pass") -> None:
        """Writes the outcome of an apply: trail first, then the Change, then the draft."""
        outcome, change = work.outcome, work.record
        entry = audit_actions.apply_ended(
            work.environment.ref,
            work.proposed.subject,
            run=outcome.run,
            result=outcome.result.value,
            completed=outcome.completed,
            orphans=outcome.orphans,
        )
        succeeded = outcome.result is model.Result.SUCCEEDED
        message = outcome.message if not succeeded else _count(len(outcome.completed))
        work.record = await self._changes.mark(
            change,
            (ConditionType.APPLIED, "True" if succeeded else "False", _REASONS[outcome.result], message),
            run=outcome.run,
            orphans=list_orphans(outcome.orphans),
            audit=(entry,),
        )
        work.session.outcome_recorded()
        work.tell(_REASONS[outcome.result], f"{change.metadata.name}: {message}", "Normal" if succeeded else "Warning")
        self._draft_outcome(work)
        if succeeded:
            await self._record_configuration(work, change=change.metadata.name)

    def _draft_outcome(self, work: "Pass") -> None:
        outcome = work.outcome
        work.draft.set(
            change=None,
            applying=None,
            not_converging=[],
            state=StateStatus(
                version=outcome.state_version,
                serial=outcome.serial,
                lineage=outcome.lineage,
                resources=outcome.resources,
            ),
        )
        if outcome.result is model.Result.SUCCEEDED:
            work.draft.set(failures=0, orphans=[])
            return
        work.draft.set(failures=work.environment.status.failures + 1, orphans=list_orphans(outcome.orphans))
        if outcome.orphans:
            listed = ", ".join(outcome.orphans[:5])
            work.tell(Reason.ORPHANS_SUSPECTED, f"perhaps made, and in no state: {listed}", "Warning")

    async def verified(self, work: "Pass", verification: model.Verification) -> None:
        """Writes what the second look found, and acts on it."""
        status: Status = "True" if verification.ok else "False"
        reason = Reason(verification.reason)
        work.record = await self._changes.mark(
            work.record, (ConditionType.VERIFIED, status, reason, verification.message)
        )
        work.done = verification.ok
        if verification.ok:
            work.draft.set(drift=DriftStatus())
            work.draft.condition(ConditionType.DRIFTED, "False", Reason.NO_DRIFT)
            await self._drill_first(work)
            await self._reach(work, verification)
            return
        self._unverified(work, verification)
        if reason is Reason.NOT_CONVERGING:
            work.draft.set(not_converging=list(verification.paths[:_MAX_LISTED]))
        elif reason is not Reason.DRIFT_DETECTED:
            await self._hold(work)

    async def _drill_first(self, work: "Pass") -> None:
        """Rule 22: the first apply had nothing to drill before it, so its destroy is planned right after."""
        if work.reset_plan.drill != "NotDrillable" or work.goal.destroys:
            work.draft.condition(ConditionType.RESET_READY, "True", Reason.DRILL_PASSED)
            return
        await self._drill_destroy(work)

    async def _drill_anew(self, work: "Pass") -> None:
        """An obstacle to going back may stand in the code alone, and no longer do so."""
        ready = work.draft.get(ConditionType.RESET_READY)
        if ready is not None and ready.reason == Reason.DRILL_FAILED:
            await self._drill_destroy(work)

    async def _drill_destroy(self, work: "Pass") -> None:
        problem = await work.session.drill_destroy()
        if problem:
            work.draft.condition(ConditionType.RESET_READY, "False", Reason.DRILL_FAILED, problem)
        else:
            work.draft.condition(ConditionType.RESET_READY, "True", Reason.DRILL_PASSED)

    def _unverified(self, work: "Pass", verification: model.Verification) -> None:
        reason = Reason(verification.reason)
        work.draft.condition(ConditionType.VERIFIED, "False", reason, verification.message)
        work.draft.ready("False", reason, verification.message)

    # --- holds, resets and the end --------------------------------------------------------------------------

    async def _hold(self, work: "Pass") -> None:
        """A Change that did not verify is not applied again; a way back is asked for as the spec says.

        Where nothing was applied before, the way back would be to destroy everything: that is a person's to ask for.
        The target is looked at again as it is, and at its setpoint once it verifies.
        """
        if work.snapshot.configuration is None:
            return
        self._draft_hold(work, Reason.VERIFY_HOLD, snapshot=None)
        policy = work.environment.spec.reset.on_verify_failure
        if policy == "Never" or work.goal.kind is not GoalKind.SPEC:
            return
        name = await self._request_reset(work, automatic=policy == "Auto")
        work.tell(Reason.RESET_REQUESTED, f"Reset {name} to {work.snapshot.name} was asked for by policy", "Warning")

    async def _request_reset(self, work: "Pass", *, automatic: bool) -> str:
        name = child_name(work.environment.metadata.name, "reset", work.proposed.subject)
        wanted = _reset_manifest(work, name, automatic=automatic)
        try:
            await self._cluster.create(wanted)
        except AlreadyExistsError:
            found = await self._cluster.get(ObjectRef("Reset", work.environment.metadata.namespace, name))
            _require_same_reset(found, wanted)
        return name

    def _draft_hold(self, work: "Pass", reason: Reason, *, snapshot: str | None) -> None:
        generation = work.environment.metadata.generation
        hold = HoldStatus(reason=reason, since=work.draft.now_text, generation=generation, snapshot=snapshot)
        work.draft.set(hold=hold)
        message = "nothing is applied until the spec changes or a person resumes"
        work.draft.condition(ConditionType.HELD, "True", reason, message)

    def _complete_reset(self, work: "Pass") -> None:
        reset, snapshot = work.goal.reset, work.goal.snapshot
        if reset is None or snapshot is None:
            return
        self._draft_hold(work, Reason.RESET_HOLD, snapshot=snapshot.metadata.name)
        message = held_message(work.environment, snapshot.metadata.name)
        work.draft.ready("False", Reason.HELD, message)
        work.tell(Reason.RESET_COMPLETE, f"reset to {snapshot.metadata.name}")
        work.completed = reset
        work.done = True

    async def _finish_destroy(self, work: "Pass") -> None:
        work.draft.ready("True", Reason.DESTROYED, "nothing is left")
        work.tell(Reason.DESTROYED, "everything that it had was destroyed")
        await self.remove_finalizer(work, audit_actions.destroyed(work.environment.ref))
        if not work.gone:
            message = "everything was destroyed before its manifest was back; it is made anew"
            work.draft.ready("False", Reason.PROGRESSING, message)

    async def release(self, work: "Pass", addresses: tuple[str, ...]) -> None:
        """Lets go of a deleted target: everything that it governs stays, and the trail says what."""
        await self._changes.supersede(work.environment, "the Environment was deleted")
        work.draft.ready("True", Reason.RELEASED, _stays(addresses))
        await self.remove_finalizer(work, audit_actions.released(work.environment.ref, addresses))

    async def remove_finalizer(self, work: "Pass", entry: AuditEntry) -> None:
        """Takes our finalizer away, and with it the object.

        One whose deletion was taken back meanwhile stays, and its status says what became of it.
        """
        current = await self._cluster.get(work.environment.ref)
        held = current["metadata"].get("finalizers") or []
        work.gone = "deletionTimestamp" in current["metadata"]
        kept = [name for name in held if name != FINALIZER] if work.gone else held
        await self._cluster.set_finalizers(current, kept, audit=(entry,))


def held_message(environment: Environment, snapshot: str | None) -> str:
    """Why nothing is applied, and what ends that."""
    why = f"held at {snapshot} after a reset" if snapshot else "held: an apply did not verify"
    metadata = environment.metadata
    space = "" if metadata.namespace == "default" else f" -n {metadata.namespace}"
    return f"{why}; change the spec or run setpoint resume environment/{metadata.name}{space}"


def _stays(addresses: tuple[str, ...]) -> str:
    """The message on what was let go of."""
    if not addresses:
        return "Released; nothing stays"
    more = f" and {len(addresses) - 10} more" if len(addresses) > 10 else ""
    verb = "stays" if len(addresses) == 1 else "stay"
    return f"Released; {_count(len(addresses))} {verb}: {', '.join(addresses[:10])}{more}"


def _count(resources: int) -> str:
    return f"{resources} resource" + "s" * (resources != 1)


def _state_moved(work: "Pass") -> bool:
    before = work.environment.status.state
    return before is None or before.version != work.observation.state_version


def _reset_manifest(work: "Pass", name: str, *, automatic: bool) -> JsonObject:
    environment = work.environment
    spec = {
        "targetRef": {"kind": "Environment", "name": environment.metadata.name},
        "snapshotRef": {"name": work.snapshot.name, "digest": work.snapshot.digest},
        "reason": f"{work.record.metadata.name} did not verify",
        "requestedBy": "policy",
        "automatic": automatic,
    }
    labels = {TARGET_LABEL: target_label(environment.metadata.name)}
    metadata = {"name": name, "namespace": environment.metadata.namespace, "labels": labels}
    return {"apiVersion": API_VERSION, "kind": "Reset", "metadata": metadata, "spec": spec}


def _require_same_reset(found: JsonObject, wanted: JsonObject) -> None:
    """Raises StalledError where the Reset of that name asks for something else."""
    try:
        same = parse(Reset, found).spec == parse(Reset, wanted).spec
    except InvalidError:
        same = False
    if not same:
        message = (
            f"there is a Reset {found['metadata']['name']} that asks for something else than policy does. Find out who "
            "made it, then delete it"
        )
        raise StalledError(Reason.NAME_TAKEN, message)
