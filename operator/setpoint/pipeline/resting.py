"""Owns what is remembered of looks at targets, and finding those that rest. For how long is decided in domain.rest."""

import datetime as dt
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.api.target import Target, TargetStatus, target_type
from setpoint.domain.errors import FencedError, InvalidError, StoreError
from setpoint.domain.reading import parse
from setpoint.domain.rest import NO_REST, Look, inputs_of, is_at_setpoint, rest_of
from setpoint.pipeline.target_metrics import TargetMetrics
from setpoint.ports import Clock, LookStore

_LOGGER = logging.getLogger(__name__)

SecretVersions = Callable[[ObjectRef], Mapping[str, str] | None]
"""The resourceVersions of the Secrets that a target reads, by name; None where they are not known yet."""
SourceDigest = Callable[[Target], Awaitable[str | None]]
"""The digest of a source on this machine, empty for another; None where it can't be read."""
_AT_ONCE = 500
"""Looks that are asked of the store at a time: a statement holds only so many keys."""


class RestRegister:
    """The targets that rest."""

    def __init__(
        self,
        *,
        looks: LookStore,
        secret_versions: SecretVersions,
        source_digest: SourceDigest,
        metrics: TargetMetrics,
        clock: Clock,
    ) -> None:
        self._looks = looks
        self._secret_versions = secret_versions
        self._source_digest = source_digest
        self._metrics = metrics
        self._clock = clock

    async def inputs_of(self, target: Target) -> str | None:
        """The inputs of a look that begins now: to be asked for before it reads anything else."""
        versions = self._secret_versions(target.ref)
        source = await self._source_digest(target)
        return None if versions is None or source is None else inputs_of(target.metadata, versions, source)

    async def record(self, target: Target, status: TargetStatus, inputs: str | None) -> None:
        """Remembers a look, by the status with which it ended, if it found the target at its setpoint.

        One that can't be kept costs another look, and fails nothing. Raises FencedError.
        """
        if inputs and is_at_setpoint(status, target.metadata.generation):
            try:
                await self._looks.record(target.ref.key, Look(inputs, self._clock.now()))
            except FencedError:
                raise
            except StoreError as error:
                _LOGGER.warning("%s: this look is not remembered: %s", target.ref, error.message)

    async def forget(self, ref: ObjectRef) -> None:
        """The target is gone."""
        await self._looks.forget(ref.key)

    async def among(self, found: Sequence[JsonObject]) -> dict[ObjectRef, dt.timedelta]:
        """How long each of these that rests, as listed, may go on to do so; their metrics are shown meanwhile."""
        looks: dict[str, Look] = {}
        for start in range(0, len(found), _AT_ONCE):
            looks |= await self._looks.of([ObjectRef.of(obj).key for obj in found[start : start + _AT_ONCE]])
        return await self._resting(found, looks)

    async def suspended_among(self, found: Iterable[JsonObject]) -> dict[ObjectRef, dt.timedelta]:
        """The same of those that rest whatever is remembered: they are suspended, and say so already."""
        return await self._resting(found, {})

    async def _resting(self, found: Iterable[JsonObject], looks: Mapping[str, Look]) -> dict[ObjectRef, dt.timedelta]:
        rests = {}
        for obj in found:
            ref = ObjectRef.of(obj)
            rest = await self._rest_of(obj, looks.get(ref.key))
            if rest > NO_REST:
                rests[ref] = rest
        return rests

    async def _rest_of(self, obj: JsonObject, look: Look | None) -> dt.timedelta:
        try:
            target = parse(target_type(obj["kind"]), obj)
        except InvalidError:
            # It is looked at: the pass says what is wrong with it.
            return NO_REST
        now = self._clock.now()
        rest = rest_of(target, look, await self.inputs_of(target) if look else None, now)
        if rest > NO_REST:
            self._metrics.observe(target, target.status, now=look.at if look else now)
        return rest
