"""Owns what is remembered of looks at targets, and finding those that rest. For how long is decided in domain.rest."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping

from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.api.v1alpha1.environment import Environment, EnvironmentStatus
from setpoint.domain.errors import InvalidError
from setpoint.domain.reading import parse
from setpoint.domain.rest import NO_REST, Look, inputs_of, is_at_setpoint, rest_of
from setpoint.ports import Clock, LookStore
from setpoint.reconcilers.target_metrics import TargetMetrics

SecretVersions = Callable[[ObjectRef], Mapping[str, str] | None]
"""The resourceVersions of the Secrets that a target reads, by name; None where they are not known yet."""


class RestRegister:
    """The targets that rest. Without a store for looks, those alone that are suspended."""

    def __init__(
        self, *, looks: LookStore | None, secret_versions: SecretVersions, metrics: TargetMetrics, clock: Clock
    ) -> None:
        self._looks = looks
        self._secret_versions = secret_versions
        self._metrics = metrics
        self._clock = clock

    def inputs_of(self, environment: Environment) -> str | None:
        """What a look that begins now depends on: to be asked for before it reads anything else."""
        versions = self._secret_versions(environment.ref)
        return None if self._looks is None or versions is None else inputs_of(environment.metadata, versions)

    async def record(self, environment: Environment, status: EnvironmentStatus, inputs: str | None) -> None:
        """Remembers a look, by the status with which it ended, if it found the target at its setpoint."""
        if self._looks is not None and inputs and is_at_setpoint(status, environment.metadata.generation):
            await self._looks.record(environment.ref.key, Look(inputs, self._clock.now()))

    async def forget(self, ref: ObjectRef) -> None:
        """The target is gone."""
        if self._looks is not None:
            await self._looks.forget(ref.key)

    async def among(self, found: Iterable[JsonObject]) -> dict[ObjectRef, dt.timedelta]:
        """How long each of these that rests, as listed, may go on to do so; their metrics are shown meanwhile."""
        objects = {ObjectRef.of(obj): obj for obj in found}
        looks = await self._looks.of([ref.key for ref in objects]) if self._looks is not None else {}
        rests = {ref: self._rest_of(obj, looks.get(ref.key)) for ref, obj in objects.items()}
        return {ref: rest for ref, rest in rests.items() if rest > NO_REST}

    def is_suspended(self, obj: JsonObject) -> bool:
        """Whether an Environment is, as it is seen, and says so already."""
        return self._rest_of(obj, None) > NO_REST

    def _rest_of(self, obj: JsonObject, look: Look | None) -> dt.timedelta:
        try:
            environment = parse(Environment, obj)
        except InvalidError:
            # It is looked at: the pass says what is wrong with it.
            return NO_REST
        now = self._clock.now()
        rest = rest_of(environment, look, self.inputs_of(environment) if look else None, now)
        if rest > NO_REST:
            self._metrics.observe(environment, environment.status, now=look.at if look else now)
        return rest
