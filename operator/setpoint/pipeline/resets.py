"""Owns the Reset objects: finding the one to carry out, refusing those that can't be, closing them."""

import contextlib

from setpoint.api.conditions import ConditionType, Reason
from setpoint.api.meta import Condition, ObjectRef
from setpoint.api.target import Target, TargetReference
from setpoint.api.v1alpha1.reset import Reset, ResetStatus
from setpoint.api.v1alpha1.snapshot import Snapshot
from setpoint.domain.conditions import set_condition
from setpoint.domain.errors import InvalidError, NotFoundError
from setpoint.domain.goals import is_open, oldest_open_reset
from setpoint.domain.reading import parse, readable_status
from setpoint.pipeline.draft import Status
from setpoint.pipeline.objects import Unreadable, list_typed
from setpoint.pipeline.snapshots import content_problem
from setpoint.ports import Clock, ClusterClient
from setpoint.runtime.status import write_status


class ResetRegister:
    """The Resets of targets, in the cluster."""

    def __init__(self, cluster: ClusterClient, clock: Clock) -> None:
        self._cluster = cluster
        self._clock = clock

    async def due(self, target: Target) -> tuple[Reset, Snapshot] | None:
        """The oldest reset that can be carried out; those that can't are closed with the reason."""
        resets, unreadable = await list_typed(self._cluster, Reset, namespace=target.metadata.namespace)
        for one in unreadable:
            await self._show_unreadable(one)
        while (reset := oldest_open_reset(resets, target)) is not None:
            snapshot = await self._snapshot(reset)
            if snapshot is not None:
                return reset, snapshot
            resets.remove(reset)
        return None

    async def carried_out_by(self, target: Target, change: str) -> tuple[Reset, Snapshot] | None:
        """The open Reset that this Change carries out, with its Snapshot; None where it is gone, or there is none."""
        resets, _ = await list_typed(self._cluster, Reset, namespace=target.metadata.namespace)
        for reset in resets:
            mine = reset.spec.target_ref.within(reset.metadata.namespace) == target.ref
            if mine and reset.status.change == change and is_open(reset.status):
                snapshot = await self._snapshot(reset)
                return (reset, snapshot) if snapshot is not None else None
        return None

    async def _show_unreadable(self, unreadable: Unreadable) -> None:
        """One of an older schema that does not fit any more says so, and harms no target."""
        found = unreadable.found
        status = ResetStatus.model_validate(readable_status(Reset, found))
        generation = int(found["metadata"].get("generation") or 0)
        conditions = self._stating(status, generation, "False", Reason.INVALID_SPEC, unreadable.error.message)
        if conditions != status.conditions:
            shown = status.model_copy(update={"conditions": conditions, "observed_generation": generation})
            # The API server may take no status of an object as bad as this one.
            with contextlib.suppress(InvalidError, NotFoundError):
                await write_status(self._cluster, ObjectRef.of(found), shown.as_json())

    async def _snapshot(self, reset: Reset) -> Snapshot | None:
        name = reset.spec.snapshot_ref.name
        try:
            found = await self._cluster.get(ObjectRef("Snapshot", reset.metadata.namespace, name))
        except NotFoundError:
            await self.refuse(reset, Reason.SNAPSHOT_NOT_FOUND, f"spec.snapshotRef: there is no Snapshot {name}")
            return None
        try:
            snapshot = parse(Snapshot, found)
        except InvalidError as error:
            await self.refuse(
                reset, Reason.SNAPSHOT_NOT_FOUND, f"spec.snapshotRef: {name} can't be read: {error.message}"
            )
            return None
        if snapshot.spec.target_ref != reset.spec.target_ref:
            message = f"spec.snapshotRef: {name} was taken of {_apart(snapshot.spec.target_ref, reset.spec.target_ref)}"
            await self.refuse(reset, Reason.SNAPSHOT_OF_ANOTHER_TARGET, message)
            return None
        if problem := _digest_problem(reset, snapshot):
            await self.refuse(reset, Reason.DIGEST_MISMATCH, f"spec.snapshotRef: {name}: {problem}")
            return None
        return snapshot

    async def link(self, reset: Reset, change: str) -> None:
        """Names the Change that carries the reset out."""
        if reset.status.change != change:
            message = f"Change {change} carries it out"
            await self._write(reset, "Unknown", Reason.RESET_REQUESTED, message, change=change)

    async def complete(self, reset: Reset) -> None:
        """Ends a reset that was carried out."""
        await self._write(reset, "True", Reason.RESET_COMPLETE, "the target is at the snapshot")

    async def refuse(self, reset: Reset, reason: Reason, message: str) -> None:
        """Ends a reset that is never to be."""
        await self._write(reset, "False", reason, message)

    async def _write(self, reset: Reset, state: Status, reason: Reason, message: str, **fields: object) -> None:
        current = parse(Reset, await self._cluster.get(reset.ref))
        generation = reset.metadata.generation
        conditions = self._stating(current.status, generation, state, reason, message)
        update = {**fields, "conditions": conditions, "observed_generation": generation}
        await write_status(self._cluster, reset.ref, current.status.model_copy(update=update).as_json())

    def _stating(
        self, status: ResetStatus, generation: int, state: Status, reason: Reason, message: str
    ) -> list[Condition]:
        """The conditions with what is known of its end."""
        known, now = tuple(status.conditions), self._clock.now()
        return list(set_condition(known, ConditionType.COMPLETE, state, reason, message, generation, now))


def _apart(owner: TargetReference, asked: TargetReference) -> str:
    """The names of two targets, with their kinds where these differ."""
    if owner.kind == asked.kind:
        return f"{owner.name}, not of {asked.name}"
    return f"{owner.within('')}, not of {asked.within('')}"


def _digest_problem(reset: Reset, snapshot: Snapshot) -> str:
    """The reason against the Snapshot of that name being the one that is meant; else empty."""
    wanted = reset.spec.snapshot_ref.digest
    if wanted is not None and wanted != snapshot.spec.digest:
        return f"its spec.digest is {snapshot.spec.digest}, and the Reset asks for {wanted}"
    return content_problem(snapshot)
