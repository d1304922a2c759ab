"""Owns what an ended manager left behind: abandoned runs are settled, open intents closed by an outcome that says so.

Runs before any reconcile of the targets concerned. Idempotent: killed half way, it does the rest at the next start.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping

from setpoint.api.conditions import ConditionType, Reason
from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.api.target import TARGET_KINDS
from setpoint.api.v1alpha1.change import Change
from setpoint.domain import audit_actions
from setpoint.domain.audit import AuditEntry, AuditRow
from setpoint.domain.errors import InvalidError, NotFoundError
from setpoint.domain.model import Outcome, Result, Run
from setpoint.domain.reading import parse, text_at
from setpoint.pipeline.changes import CUT, ChangeCondition, ChangeRegister, is_closed, list_orphans
from setpoint.pipeline.objects import list_typed
from setpoint.ports import AuditLog, ClusterClient, TargetDriver
from setpoint.runtime.status import write_status

_LOGGER = logging.getLogger(__name__)

_MESSAGE = "the manager ended before the apply did"
_PROPOSAL = "the manager ended before it knew that the Change is shown"
_ACCEPTED = "accepted"
"""The stage of an apply of which its driver names none."""
_STRAY = "the manager ended before its target knew of it"


class Recovery:
    """Brings the trail, the Changes and the targets in line with what happened while nobody watched."""

    def __init__(
        self, *, cluster: ClusterClient, audit: AuditLog, changes: ChangeRegister, drivers: Collection[TargetDriver]
    ) -> None:
        self._cluster = cluster
        self._audit = audit
        self._changes = changes
        self._drivers = {driver.kind.__name__: driver for driver in drivers}

    async def run(self, concerns: Callable[[str], bool] = lambda _key: True) -> frozenset[str]:
        """Settles the abandoned runs of targets whose key (ObjectRef.key) `concerns` names, and of no others.

        Returns the keys of targets that have a run in doubt: nothing was done about them, and they have to wait.
        """
        intents: dict[str, AuditRow] = {}
        stages: dict[str, AuditEntry] = {}
        for intent in await self._audit.open_intents():
            if intent.entry.target is None or not concerns(intent.entry.target.key):
                continue
            if audit_actions.is_proposal(intent.entry):
                await self._close_proposal(intent.entry)
            elif audit_actions.is_stage(intent.entry):
                stages[intent.entry.run] = intent.entry
            else:
                intents[intent.entry.run] = intent
        settled: dict[str, list[Run]] = {}
        in_doubt: set[str] = set()
        for kind, driver in self._drivers.items():
            runs = await self._runs(kind, driver, intents, concerns)
            outcomes = await driver.recover(runs)
            in_doubt |= {run.target.key for run in runs if run.id not in outcomes}
            settled[kind] = []
            for run in runs:
                if run.id in outcomes and not (run.id in intents and await self._goes_on(run, outcomes, stages)):
                    settled[kind].append(run)
                    if run.id in intents:
                        await self._close(intents[run.id], run, outcomes[run.id])
        await self._close_strays(lambda key: concerns(key) and key not in in_doubt)
        for kind, driver in self._drivers.items():
            await driver.recorded(settled[kind])
        return frozenset(in_doubt)

    async def _goes_on(self, run: Run, outcomes: Mapping[str, Outcome], stages: Mapping[str, AuditEntry]) -> bool:
        """True of an accepted run, which its target's next pass finds out about: its intent stays open.

        One that its target does not say to be applied can't be gone on with. Its stage is written down where a manager
        was killed before that.
        """
        outcome = outcomes[run.id]
        if outcome.result is not Result.ACCEPTED:
            return False
        try:
            target = parse(self._drivers[run.target.kind].kind, await self._cluster.get(run.target))
        except (NotFoundError, InvalidError):
            return False
        applying = target.status.applying
        change = next((one for one in run.changes if applying and one.metadata.name == applying.change), None)
        if change is None or is_closed(change):
            return False
        if run.id not in stages:
            name, subject = change.metadata.name, change.spec.subject
            stage = outcome.stage or _ACCEPTED
            row = audit_actions.stage_intended(run.target, name, subject, run=run.id, stage=stage)
            await self._audit.append(row)
        return True

    async def _runs(
        self, kind: str, driver: TargetDriver, intents: Mapping[str, AuditRow], concerns: Callable[[str], bool]
    ) -> tuple[Run, ...]:
        """The runs that the trail has open, and those of which there is more than their outcome in the trail."""
        begun = [
            Run(run, target, tuple(await self._changes_of(intent, target)))
            for run, intent in intents.items()
            if (target := intent.entry.target) is not None and target.kind == kind
        ]
        known = await driver.abandoned()
        return (*begun, *(run for run in known if run.id not in intents and concerns(run.target.key)))

    async def _changes_of(self, intent: AuditRow, target: ObjectRef) -> list[Change]:
        changes, _ = await list_typed(self._cluster, Change, namespace=target.namespace)
        subject = intent.entry.digests.get("subject", "")
        mine = (change for change in changes if change.spec.target_ref.within(target.namespace) == target)
        return [change for change in mine if change.spec.subject == subject]

    async def _close_proposal(self, intent: AuditEntry) -> None:
        """Ends what was to be shown elsewhere: its Change says that it may be, and is shown again, or withdrawn."""
        await self._audit.append(audit_actions.interrupted(intent, message=_PROPOSAL, orphans=()))

    async def _close(self, intent: AuditRow, run: Run, outcome: Outcome) -> None:
        message = "; ".join(filter(None, (_MESSAGE, outcome.message)))
        interrupted: ChangeCondition = (ConditionType.APPLIED, "False", Reason.INTERRUPTED, message)
        await _spare_others(run.target, self._mark_changes(run, interrupted, outcome))
        await _spare_others(run.target, self._mark_target(run.target, outcome))
        entry = audit_actions.interrupted(intent.entry, message=message, orphans=outcome.left_behind)
        await self._audit.append(entry)

    async def _mark_changes(self, run: Run, interrupted: ChangeCondition, outcome: Outcome) -> None:
        for change in run.changes:
            if not is_closed(change):
                await self._changes.mark(change, interrupted, run=run.id, orphans=list_orphans(outcome.left_behind))

    async def _mark_target(self, ref: ObjectRef, outcome: Outcome) -> None:
        try:
            target = parse(self._drivers[ref.kind].kind, await self._cluster.get(ref))
        except (NotFoundError, InvalidError):
            return
        status = target.status
        listed = list_orphans({*status.orphans, *outcome.left_behind})
        update = {"failures": status.failures + 1, "orphans": listed, "change": None}
        await write_status(self._cluster, ref, status.model_copy(update=update).as_json())

    async def _close_strays(self, concerns: Callable[[str], bool]) -> None:
        """Closes Changes that were made, and whose target does not know of them, and those that were cut.

        The next pass reopens what is due again.
        """
        targets: list[JsonObject] = []
        for kind in TARGET_KINDS:
            targets += (await self._cluster.list(kind)).items
        known = {(ObjectRef.of(one), text_at(one, "status", "change")) for one in targets}
        changes, _ = await list_typed(self._cluster, Change)
        for change in changes:
            target = change.spec.target_ref.within(change.metadata.namespace)
            if not concerns(target.key) or is_closed(change):
                continue
            cut = change.spec.member is None
            if cut or (target, change.metadata.name) not in known:
                message = CUT if cut else _STRAY
                stray: ChangeCondition = (ConditionType.SUPERSEDED, "True", Reason.SUPERSEDED, message)
                await _spare_others(target, self._changes.mark(change, stray))


async def _spare_others(target: ObjectRef, marking: Awaitable[object]) -> None:
    """Keeps a target that the API server takes no status of, or knows no more, from holding up the start of others."""
    try:
        await marking
    except (InvalidError, NotFoundError) as error:
        _LOGGER.warning("%s: how an earlier run ended can't be written down: %s", target, error.message)
