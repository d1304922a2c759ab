"""Owns the one list of what Setpoint drives. A new kind of target is a folder in setpoint.targets and an entry here."""

import contextlib
from typing import ClassVar, Protocol

from setpoint.adapters.source.resolver import SourceResolver
from setpoint.api.v1alpha1.environment import Environment
from setpoint.ports import ClusterClient, TargetDriver
from setpoint.runtime.logging import SecretFilter
from setpoint.runtime.metrics import Metrics
from setpoint.settings import Settings
from setpoint.wiring.backends import Backends
from setpoint.wiring.environments import open_environments


class OpenTarget(Protocol):
    """A kind of target, as a manager has it open: once, whatever its drivers work over."""

    kind: ClassVar[type[Environment]]

    def driver(self, cluster: ClusterClient, *, settles: bool = True, lingering: float = 0.0) -> TargetDriver:
        """A driver over a cluster.

        A preview's does not settle what an earlier apply left. `lingering` is for how many seconds the runs of another
        manager, on another machine, may outlive it.
        """
        ...

    async def source_digest(self, target: Environment) -> str | None:
        """The digest of a target's source on this machine, empty for another; None where it can't be read."""
        ...


class _Opener(Protocol):
    async def __call__(
        self,
        stack: contextlib.AsyncExitStack,
        backends: Backends,
        settings: Settings,
        *,
        metrics: Metrics,
        secrets: SecretFilter,
        sources: SourceResolver,
    ) -> OpenTarget:
        """Opens a kind of target; the stack closes it."""
        ...


TARGETS: tuple[_Opener, ...] = (open_environments,)
"""Each kind of target, by what opens it."""
