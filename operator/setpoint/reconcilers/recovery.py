"""Owns what a killed manager left behind: runs are settled, open intents closed by an outcome that says so.

Runs once, before any reconcile. Idempotent: killed half way, it does the rest at the next start.
"""

from setpoint.api.conditions import ConditionType, Reason
from setpoint.api.meta import ObjectRef
from setpoint.api.v1alpha1.change import Change
from setpoint.api.v1alpha1.environment import Environment
from setpoint.domain.audit import AuditEntry, AuditRow, Phase
from setpoint.domain.errors import NotFoundError
from setpoint.ports import AuditLog, ClusterClient, StateLocks, StateStore, Survivor, Terraform
from setpoint.reconcilers.changes import ChangeCondition, ChangeRegister, is_closed
from setpoint.reconcilers.environment_driver import read_addresses, save_errored_state
from setpoint.reconcilers.status import write_status

_MESSAGE = "the manager ended before the apply did"
_MAX_LISTED = 50


class Recovery:
    """Brings the trail, the Changes and the states in line with what happened while nobody watched."""

    def __init__(
        self,
        *,
        cluster: ClusterClient,
        audit: AuditLog,
        states: StateStore,
        locks: StateLocks,
        terraform: Terraform,
        changes: ChangeRegister,
    ) -> None:
        self._cluster = cluster
        self._audit = audit
        self._states = states
        self._terraform = terraform
        self._changes = changes
        self._locks = locks

    async def run(self) -> None:
        """Settles survivors first, so that nothing writes a state any more; then closes the intents."""
        survivors = {survivor.run: survivor for survivor in await self._terraform.settle()}
        for survivor in survivors.values():
            if survivor.errored_state is not None:
                await save_errored_state(self._states, survivor.target, survivor.errored_state, run=survivor.run)
        for intent in await self._audit.open_intents():
            await self._close(intent, survivors.get(intent.entry.run))
        for lock in await self._locks.held():
            await self._locks.release_run(lock.run)
        for survivor in survivors.values():
            self._terraform.forget(survivor.run, survivor.target)

    async def _close(self, intent: AuditRow, survivor: Survivor | None) -> None:
        ref = intent.entry.target
        if ref is None:
            return
        orphans = await self._orphans(ref, survivor)
        outcome = AuditEntry(
            intent.entry.action,
            Phase.OUTCOME,
            "setpoint",
            ref,
            run=intent.entry.run,
            result=Reason.INTERRUPTED,
            digests=dict(intent.entry.digests),
            payload={"message": _MESSAGE, "orphans": list(orphans)},
        )
        await self._mark_change(ref, intent.entry.run, intent.entry.digests.get("subject", ""), orphans)
        await self._mark_environment(ref, orphans)
        await self._audit.append(outcome)

    async def _orphans(self, ref: ObjectRef, survivor: Survivor | None) -> tuple[str, ...]:
        if survivor is None:
            return ()
        known = set(await read_addresses(self._states, ref.key))
        return tuple(sorted(set(survivor.started) - known))

    async def _mark_change(self, ref: ObjectRef, run: str, subject: str, orphans: tuple[str, ...]) -> None:
        for item in (await self._cluster.list("Change", namespace=ref.namespace)).items:
            change = Change.model_validate(item)
            if change.spec.subject == subject and not is_closed(change):
                interrupted: ChangeCondition = (ConditionType.APPLIED, "False", Reason.INTERRUPTED, _MESSAGE)
                await self._changes.mark(change, interrupted, run=run, orphans=orphans[:_MAX_LISTED])

    async def _mark_environment(self, ref: ObjectRef, orphans: tuple[str, ...]) -> None:
        try:
            environment = Environment.model_validate(await self._cluster.get(ref))
        except NotFoundError:
            return
        status = environment.status
        listed = sorted({*status.orphans, *orphans})[:_MAX_LISTED]
        update = {"failures": status.failures + 1, "orphans": listed, "change": None}
        await write_status(self._cluster, ref, status.model_copy(update=update).as_json())
