"""Owns what is remembered of observations, and finding the targets that are fresh. How long: domain.freshness."""

import datetime as dt
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.api.target import Target, TargetStatus, target_type
from setpoint.domain.errors import FencedError, InvalidError, StoreError
from setpoint.domain.freshness import STALE, LastObservation, fresh_for, inputs_of, is_at_setpoint
from setpoint.domain.reading import parse
from setpoint.pipeline.target_metrics import TargetMetrics
from setpoint.ports import Clock, ObservationStore

_LOGGER = logging.getLogger(__name__)

SecretVersions = Callable[[ObjectRef], Mapping[str, str] | None]
"""The resourceVersions of the Secrets that a target reads, by name; None where they are not known yet."""
SourceDigest = Callable[[Target], Awaitable[str | None]]
"""The digest of a source on this machine, empty for another; None where it can't be read."""
_AT_ONCE = 500
"""Observations that are asked of the store at a time: a statement holds only so many keys."""


class FreshTargets:
    """The targets that need no observation, by what is remembered of their last one."""

    def __init__(
        self,
        *,
        observations: ObservationStore,
        secret_versions: SecretVersions,
        source_digest: SourceDigest,
        metrics: TargetMetrics,
        clock: Clock,
    ) -> None:
        self._observations = observations
        self._secret_versions = secret_versions
        self._source_digest = source_digest
        self._metrics = metrics
        self._clock = clock

    async def inputs_of(self, target: Target) -> str | None:
        """The inputs of an observation that begins now: to be asked for before it reads anything else."""
        versions = self._secret_versions(target.ref)
        source = await self._source_digest(target)
        return None if versions is None or source is None else inputs_of(target.metadata, versions, source)

    async def record(self, target: Target, status: TargetStatus, inputs: str | None) -> None:
        """Remembers an observation, by the status with which it ended, if it found the target at its setpoint.

        One that can't be kept costs another, and fails nothing. Raises FencedError.
        """
        if inputs and is_at_setpoint(status, target.metadata.generation):
            try:
                await self._observations.record(target.ref.key, LastObservation(inputs, self._clock.now()))
            except FencedError:
                raise
            except StoreError as error:
                _LOGGER.warning("%s: this observation is not remembered: %s", target.ref, error.message)

    async def forget(self, ref: ObjectRef) -> None:
        """The target is gone."""
        await self._observations.forget(ref.key)

    async def among(self, found: Sequence[JsonObject]) -> dict[ObjectRef, dt.timedelta]:
        """How long each of these that is fresh, as listed, goes on to be; their metrics are shown meanwhile."""
        known: dict[str, LastObservation] = {}
        for start in range(0, len(found), _AT_ONCE):
            known |= await self._observations.of([ObjectRef.of(obj).key for obj in found[start : start + _AT_ONCE]])
        return await self._fresh(found, known)

    async def suspended_among(self, found: Iterable[JsonObject]) -> dict[ObjectRef, dt.timedelta]:
        """The same of those that are fresh whatever is remembered: they are suspended, and say so already."""
        return await self._fresh(found, {})

    async def _fresh(
        self, found: Iterable[JsonObject], known: Mapping[str, LastObservation]
    ) -> dict[ObjectRef, dt.timedelta]:
        fresh = {}
        for obj in found:
            ref = ObjectRef.of(obj)
            left = await self._fresh_for(obj, known.get(ref.key))
            if left > STALE:
                fresh[ref] = left
        return fresh

    async def _fresh_for(self, obj: JsonObject, last: LastObservation | None) -> dt.timedelta:
        try:
            target = parse(target_type(obj["kind"]), obj)
        except InvalidError:
            # It is observed: the pass says what is wrong with it.
            return STALE
        now = self._clock.now()
        left = fresh_for(target, last, await self.inputs_of(target) if last else None, now)
        if left > STALE:
            self._metrics.observe(target, target.status, now=last.at if last else now)
        return left
