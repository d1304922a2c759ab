"""Owns what a killed manager left behind: runs are settled, open intents closed by an outcome that says so.

Runs before any reconcile of the targets concerned. Idempotent: killed half way, it does the rest at the next start.
"""

import functools
import itertools
import logging
from collections.abc import Awaitable, Callable

from setpoint.api.conditions import ConditionType, Reason
from setpoint.api.meta import ObjectRef
from setpoint.api.v1alpha1.change import Change
from setpoint.api.v1alpha1.environment import Environment
from setpoint.domain import audit_actions
from setpoint.domain.audit import AuditRow
from setpoint.domain.errors import InvalidError, NotFoundError
from setpoint.domain.reading import parse, text_at
from setpoint.pipeline.changes import ChangeCondition, ChangeRegister, is_closed, list_orphans
from setpoint.pipeline.objects import list_typed
from setpoint.ports import AuditLog, ClusterClient, StateLocks, StateStore
from setpoint.runtime.status import write_status
from setpoint.targets.environment.plan.orphans import Creation
from setpoint.targets.environment.ports import ErroredState, Survivor, Terraform
from setpoint.targets.environment.sight import Sight
from setpoint.targets.environment.states import save_errored_state, suspect_orphans

_LOGGER = logging.getLogger(__name__)

_MESSAGE = "the manager ended before the apply did"
_STRAY = "the manager ended before its target knew of it"


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
        sight: Sight,
    ) -> None:
        self._cluster = cluster
        self._audit = audit
        self._states = states
        self._terraform = terraform
        self._changes = changes
        self._locks = locks
        self._sight = sight

    async def run(self, concerns: Callable[[str], bool] = lambda _key: True) -> None:
        """Settles survivors first, so that nothing writes a state any more; then closes the intents.

        Of the targets whose key (ObjectRef.key) `concerns` names, and of no others.
        """
        survivors = {one.run: one for one in await self._terraform.settle() if concerns(one.target)}
        problems = {run: await self._save_state(survivor) for run, survivor in survivors.items()}
        locks = await self._locks.held()
        locked = {lock.run for lock in locks}
        for intent in await self._audit.open_intents():
            run, target = intent.entry.run, intent.entry.target
            if target is not None and concerns(target.key):
                message = "; ".join(filter(None, (_MESSAGE, problems.get(run))))
                orphans = await self._orphans(intent, target, survivors.get(run), locked=run in locked)
                await self._close(intent, target, orphans, message)
        for lock in locks:
            if concerns(lock.target):
                await self._locks.release_run(lock.run)
        await self._close_strays(concerns)
        for survivor in survivors.values():
            self._terraform.forget(survivor.run, survivor.target)

    async def find_doubtful(self) -> frozenset[str]:
        """The keys of targets with an open run that was none of this machine's: it may still go on elsewhere."""
        known = {survivor.run for survivor in await self._terraform.settle()}
        intents = [row.entry for row in await self._audit.open_intents()]
        runs = {(entry.run, entry.target.key) for entry in intents if entry.target is not None}
        runs |= {(lock.run, lock.target) for lock in await self._locks.held()}
        return frozenset(target for run, target in runs if run not in known)

    async def _save_state(self, survivor: Survivor) -> str:
        """The message to people about the state that an apply left behind, empty where there is none or it is saved."""
        run, target, data = survivor.run, survivor.target, survivor.errored_state
        if data is None:
            return ""
        set_aside = functools.partial(self._terraform.set_errored_state_aside, run, target)
        errored = ErroredState(run, data, survivor.base)
        return await save_errored_state(self._states, target, errored, set_aside=set_aside)

    async def _close_strays(self, concerns: Callable[[str], bool]) -> None:
        """Changes that were made, and whose target does not know of them. The next pass reopens what is due again."""
        known = {
            (item["metadata"].get("namespace", ""), text_at(item, "status", "change"))
            for item in (await self._cluster.list("Environment")).items
        }
        changes, _ = await list_typed(self._cluster, Change)
        for change in changes:
            target = ObjectRef(change.spec.target_ref.kind, change.metadata.namespace, change.spec.target_ref.name)
            if not concerns(target.key) or is_closed(change):
                continue
            if (change.metadata.namespace, change.metadata.name) not in known:
                stray: ChangeCondition = (ConditionType.SUPERSEDED, "True", Reason.SUPERSEDED, _STRAY)
                await _spare_others(target, self._changes.mark(change, stray))

    async def _close(self, intent: AuditRow, ref: ObjectRef, orphans: tuple[str, ...], message: str) -> None:
        interrupted: ChangeCondition = (ConditionType.APPLIED, "False", Reason.INTERRUPTED, message)
        await _spare_others(ref, self._mark_changes(intent, interrupted, orphans))
        await _spare_others(ref, self._mark_environment(ref, orphans))
        await self._audit.append(audit_actions.interrupted(intent.entry, message=message, orphans=orphans))

    async def _orphans(
        self, intent: AuditRow, ref: ObjectRef, survivor: Survivor | None, *, locked: bool
    ) -> tuple[str, ...]:
        """The objects that the apply may have made and lost.

        Where this machine doesn't know what it began, as after a power cut or the loss of an operator's disk: all that
        its Change was to make, if it had come as far as to lock or to write the state.
        """
        run = intent.entry.run
        if survivor is not None and survivor.created is not None:
            created, base = survivor.created, survivor.base
            secrets = await self._sight(ref)
            return await suspect_orphans(self._states, ref.key, run=run, base=base, created=created, secrets=secrets)
        if not locked and await self._states.head(ref.key, run=run) is None:
            return ()
        found = [
            await suspect_orphans(
                self._states, ref.key, run=run, base=change.spec.state_version, created=_planned(change)
            )
            for change in await self._changes_of(intent)
        ]
        return tuple(itertools.chain.from_iterable(found))

    async def _changes_of(self, intent: AuditRow) -> list[Change]:
        entry = intent.entry
        namespace = entry.target.namespace if entry.target else ""
        changes, _ = await list_typed(self._cluster, Change, namespace=namespace)
        return [change for change in changes if change.spec.subject == entry.digests.get("subject", "")]

    async def _mark_changes(self, intent: AuditRow, interrupted: ChangeCondition, orphans: tuple[str, ...]) -> None:
        for change in await self._changes_of(intent):
            if not is_closed(change):
                listed = list_orphans(orphans)
                await self._changes.mark(change, interrupted, run=intent.entry.run, orphans=listed)

    async def _mark_environment(self, ref: ObjectRef, orphans: tuple[str, ...]) -> None:
        try:
            environment = parse(Environment, await self._cluster.get(ref))
        except (NotFoundError, InvalidError):
            return
        status = environment.status
        listed = list_orphans({*status.orphans, *orphans})
        update = {"failures": status.failures + 1, "orphans": listed, "change": None}
        await write_status(self._cluster, ref, status.model_copy(update=update).as_json())


def _planned(change: Change) -> tuple[Creation, ...]:
    """The objects that a Change was to make, as far as it lists them."""
    summary = change.spec.summary
    listed = [Creation(one.address) for one in summary.actions if one.action in {"create", "replace"}]
    more = summary.create + summary.replace - len(listed)
    unlisted = [Creation(f"{more} more that {change.metadata.name} was to make")] if more > 0 else []
    return (*listed, *unlisted)


async def _spare_others(target: ObjectRef, marking: Awaitable[object]) -> None:
    """Keeps a target that the API server takes no status of, or knows no more, from holding up the start of others."""
    try:
        await marking
    except (InvalidError, NotFoundError) as error:
        _LOGGER.warning("%s: how an earlier run ended can't be written down: %s", target, error.message)
