"""Owns the Reset objects: finding the one to carry out, refusing those that can't be, closing them."""

from setpoint.api.conditions import ConditionType, Reason
from setpoint.api.meta import ObjectRef
from setpoint.api.v1alpha1.environment import Environment
from setpoint.api.v1alpha1.reset import Reset
from setpoint.api.v1alpha1.snapshot import Snapshot
from setpoint.domain.conditions import set_condition
from setpoint.domain.errors import InvalidError, NotFoundError
from setpoint.domain.goals import oldest_open_reset
from setpoint.domain.reading import parse
from setpoint.ports import Clock, ClusterClient
from setpoint.reconcilers.objects import list_typed
from setpoint.reconcilers.status import write_status


class ResetRegister:
    """The Resets of targets, in the cluster."""

    def __init__(self, cluster: ClusterClient, clock: Clock) -> None:
        self._cluster = cluster
        self._clock = clock

    async def due(self, environment: Environment) -> tuple[Reset, Snapshot] | None:
        """The oldest reset that can be carried out; those that can't are closed with the reason."""
        # One of an older schema that does not fit any more harms no other target.
        resets, _ = await list_typed(self._cluster, Reset, namespace=environment.metadata.namespace)
        while (reset := oldest_open_reset(resets, environment)) is not None:
            snapshot = await self._snapshot(reset)
            if snapshot is not None:
                return reset, snapshot
            resets.remove(reset)
        return None

    async def _snapshot(self, reset: Reset) -> Snapshot | None:
        name = reset.spec.snapshot_ref.name
        try:
            found = await self._cluster.get(ObjectRef("Snapshot", reset.metadata.namespace, name))
        except NotFoundError:
            await self.close(reset, Reason.SNAPSHOT_NOT_FOUND, f"spec.snapshotRef: there is no Snapshot {name}")
            return None
        try:
            snapshot = parse(Snapshot, found)
        except InvalidError as error:
            await self.close(
                reset, Reason.SNAPSHOT_NOT_FOUND, f"spec.snapshotRef: {name} can't be read: {error.message}"
            )
            return None
        if snapshot.spec.target_ref != reset.spec.target_ref:
            owner = snapshot.spec.target_ref.name
            message = f"spec.snapshotRef: {name} was taken of {owner}, not of {reset.spec.target_ref.name}"
            await self.close(reset, Reason.SNAPSHOT_OF_ANOTHER_TARGET, message)
            return None
        return snapshot

    async def link(self, reset: Reset, change: str) -> None:
        """Names the Change that carries the reset out."""
        if reset.status.change != change:
            await self._write(reset, change=change)

    async def close(self, reset: Reset, reason: Reason, message: str, *, complete: bool = False) -> None:
        """Ends a reset: complete, or never to be."""
        conditions = set_condition(
            tuple(reset.status.conditions),
            ConditionType.COMPLETE,
            "True" if complete else "False",
            reason,
            message,
            reset.metadata.generation,
            self._clock.now(),
        )
        await self._write(reset, conditions=list(conditions))

    async def _write(self, reset: Reset, **fields: object) -> None:
        current = parse(Reset, await self._cluster.get(reset.ref))
        status = current.status.model_copy(update={**fields, "observed_generation": reset.metadata.generation})
        await write_status(self._cluster, reset.ref, status.as_json())
