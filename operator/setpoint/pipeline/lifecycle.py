"""Owns the beginning and the end of a target's life with us: its finalizer is set, and removed, here alone."""

import datetime as dt

from setpoint.api.conditions import Reason
from setpoint.api.meta import FINALIZER, ObjectRef
from setpoint.api.target import Target, target_type
from setpoint.domain import audit_actions
from setpoint.domain.audit import AuditEntry
from setpoint.domain.errors import InvalidError, NotFoundError, StalledError
from setpoint.domain.reading import parse
from setpoint.pipeline.changes import ChangeRegister
from setpoint.pipeline.draft import StatusDraft
from setpoint.pipeline.passes import Ending
from setpoint.pipeline.stored import StoredStatus
from setpoint.ports import ClusterClient
from setpoint.runtime.status import show_unreadable


class Lifecycle:
    """Takes targets on, and lets go of them."""

    def __init__(self, cluster: ClusterClient, changes: ChangeRegister) -> None:
        self._cluster = cluster
        self._changes = changes

    async def take_on(self, ref: ObjectRef) -> StoredStatus | None:
        """The target with our finalizer, which one that is being deleted can't be given; None where it is gone.

        Raises InvalidError where it can't be read.
        """
        try:
            found = await self._cluster.get(ref)
        except NotFoundError:
            return None
        target = parse(target_type(ref.kind), found)
        if target.metadata.deletion_timestamp or FINALIZER in target.metadata.finalizers:
            return StoredStatus(self._cluster, target)
        held = [*target.metadata.finalizers, FINALIZER]
        claimed = await self._cluster.set_finalizers(found, held)
        return StoredStatus(self._cluster, parse(target_type(ref.kind), claimed))

    async def refuse(self, ref: ObjectRef, error: InvalidError, now: dt.datetime) -> StalledError:
        """Says on a target what in it can't be read; returns the error to raise."""
        found = await self._cluster.get(ref)
        return await show_unreadable(self._cluster, target_type(ref.kind), found, error, Reason.INVALID_SPEC, now)

    async def end_destroyed(self, target: Target, draft: StatusDraft, ending: Ending) -> None:
        """Lets go of a target of which nothing is left."""
        draft.ready("True", Reason.DESTROYED, "nothing is left")
        draft.notice(Reason.DESTROYED, "everything that it had was destroyed")
        await self._let_go(target, ending, audit_actions.destroyed(target.ref))
        if not ending.gone:
            message = "everything was destroyed before its manifest was back; it is made anew"
            draft.ready("False", Reason.PROGRESSING, message)

    async def release(self, target: Target, draft: StatusDraft, ending: Ending, *, stays: tuple[str, ...]) -> None:
        """Lets go of a deleted target: everything that it governs stays, and the trail says what."""
        await self._changes.supersede(target, f"the {target.kind} was deleted")
        draft.ready("True", Reason.RELEASED, _staying(stays))
        await self._let_go(target, ending, audit_actions.released(target.ref, stays))

    async def _let_go(self, target: Target, ending: Ending, entry: AuditEntry) -> None:
        """Takes our finalizer away, and with it the object.

        One whose deletion was taken back meanwhile stays, and its status says what became of it.
        """
        current = await self._cluster.get(target.ref)
        held = current["metadata"].get("finalizers") or []
        ending.gone = "deletionTimestamp" in current["metadata"]
        kept = [name for name in held if name != FINALIZER] if ending.gone else held
        await self._cluster.set_finalizers(current, kept, audit=(entry,))


def _staying(addresses: tuple[str, ...]) -> str:
    """The message on what was let go of."""
    if not addresses:
        return "Released; nothing stays"
    more = f" and {len(addresses) - 10} more" if len(addresses) > 10 else ""
    count, verb = ("1 resource", "stays") if len(addresses) == 1 else (f"{len(addresses)} resources", "stay")
    return f"Released; {count} {verb}: {', '.join(addresses[:10])}{more}"
