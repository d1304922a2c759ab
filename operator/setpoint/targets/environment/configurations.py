"""Owns which configuration a pass plans with: the spec's, a snapshot's or the one applied last; and its record."""

import json

from setpoint.api.v1alpha1.environment import (
    Environment,
    EnvironmentApplied,
    EnvironmentSnapshot,
    name_configuration,
)
from setpoint.domain.digests import canonical
from setpoint.domain.errors import LostBlobError, NotFoundError, ReasonedError, StalledError
from setpoint.domain.goals import Goal, GoalKind
from setpoint.domain.model import Configuration
from setpoint.ports import BlobStore
from setpoint.targets.environment.ports import Bundle, RunInputs
from setpoint.targets.environment.run_inputs import gather_inputs
from setpoint.targets.environment.secrets import SecretReader
from setpoint.targets.environment.sources import SourceBundler


class Configurations:
    """The configurations of one Environment, for one goal."""

    def __init__(
        self, environment: Environment, goal: Goal, reader: SecretReader, blobs: BlobStore, sources: SourceBundler
    ) -> None:
        self._environment = environment
        self._goal = goal
        self._reader = reader
        self._blobs = blobs
        self._sources = sources

    async def inputs(self, *, has_state: bool) -> RunInputs:
        """The inputs of the goal."""
        sealed = self._recorded_variables()
        if sealed is not None:
            return await self._recorded(sealed, has_state=has_state)
        spec = self._environment.spec
        return await gather_inputs(spec, spec.variables, self._reader, has_state=has_state, recorded=False)

    async def bundle(self, inputs: RunInputs) -> Bundle:
        """The bundle of the goal."""
        goal, own = self._goal.snapshot, self._of_snapshot()
        if goal and own and own.bundle and own.archive:
            return Bundle(digest=own.bundle, revision=goal.spec.revision, blob=own.archive)
        applied = self._environment.status.applied
        if applied and (self._goal.destroys or self._goal.kind is GoalKind.HOLD):
            return _bundle_of(applied)
        return await self._sources.bundle(self._environment, inputs, self._reader)

    async def of_applied(self, applied: EnvironmentApplied) -> tuple[Bundle, RunInputs]:
        """The configuration that was applied last, as it would be planned today."""
        return _bundle_of(applied), await self._recorded(applied.variables, has_state=True)

    async def to_destroy_instead(self, forbidding: Bundle, refusal: StalledError) -> tuple[Bundle, RunInputs]:
        """The source as it is now, to destroy with where what was applied has `prevent_destroy`.

        That attribute is taken out in the source, and what was applied stays as it was. Raises StalledError where the
        source still has it, or can't be read.
        """
        spec = self._environment.spec
        try:
            inputs = await gather_inputs(spec, spec.variables, self._reader, has_state=True, recorded=True)
            bundle = await self._sources.bundle(self._environment, inputs, self._reader)
        except ReasonedError as error:
            message = f"{refusal.message}. Now the source can't be used: {error.message}"
            raise StalledError(refusal.reason, message) from None
        if bundle.digest == forbidding.digest:
            raise refusal
        return bundle, inputs

    async def record(self, bundle: Bundle, inputs: RunInputs) -> Configuration:
        """The record of a configuration that is in force; the variables are sealed."""
        variables = await self._blobs.put(canonical(dict(inputs.variables)))
        return Configuration(
            name=name_configuration(bundle.digest, variables),
            revision=bundle.revision,
            recorded={
                "bundle": bundle.digest,
                "archive": bundle.blob,
                "variables": variables,
                "secrets": self.secrets_digest(inputs),
            },
        )

    def secrets_digest(self, inputs: RunInputs) -> str | None:
        """By which it is seen that a secret variable moved; None without any."""
        secrets = dict(inputs.secret_variables)
        return self._blobs.digest(canonical(secrets)) if secrets else None

    def _recorded_variables(self) -> str | None:
        own = self._of_snapshot()
        if own is not None and own.variables is not None:
            return own.variables
        applied = self._environment.status.applied
        follows_applied = self._goal.kind in {GoalKind.HOLD, GoalKind.DESTROY} or self._goal.destroys
        return applied.variables if applied and follows_applied else None

    def _of_snapshot(self) -> EnvironmentSnapshot | None:
        """The part of the goal's Snapshot that an Environment alone has."""
        return self._goal.snapshot.spec.member_as(EnvironmentSnapshot) if self._goal.snapshot else None

    async def _recorded(self, sealed: str, *, has_state: bool) -> RunInputs:
        try:
            variables = json.loads(await self._blobs.get(sealed))
        except NotFoundError:
            raise LostBlobError.gone("what was recorded of the variables", sealed) from None
        return await gather_inputs(self._environment.spec, variables, self._reader, has_state=has_state, recorded=True)


def _bundle_of(applied: EnvironmentApplied) -> Bundle:
    return Bundle(digest=applied.bundle, revision=applied.revision, blob=applied.archive)
