"""Owns opening passes over Environments, and what is asked of them beside a pass."""

import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from concurrent.futures import Executor
from pathlib import Path

from setpoint.api.meta import ObjectRef
from setpoint.api.v1alpha1.environment import Environment
from setpoint.domain.goals import Goal
from setpoint.domain.model import Outcome, Run
from setpoint.pipeline.retention import digests_in, is_open
from setpoint.ports import BlobStore, ClusterClient, OnProgress, SourceResolver
from setpoint.targets.environment.abandoned import AbandonedRuns
from setpoint.targets.environment.pacing import Pacer
from setpoint.targets.environment.plan.judged_plan import INPUTS
from setpoint.targets.environment.plan_reading import PlanReader
from setpoint.targets.environment.ports import HealthProber, Terraform
from setpoint.targets.environment.session import EnvironmentSession, Services
from setpoint.targets.environment.sight import sight_of
from setpoint.targets.environment.sources import SourceBundler
from setpoint.targets.environment.state_ports import StateLocks, StateStore
from setpoint.targets.environment.states import read_addresses


class EnvironmentDriver:
    """Opens sessions. `origin_of` gives the folder of the manifest that declares an Environment, None on a cluster.

    `threads` take the pure work on large plans off the event loop. One that does not settle, such as a preview's,
    saves no state that an earlier apply left, and refuses a folder in which a killed manager's run goes on.
    `lingering` is how many seconds a run on another machine may outlive its manager.
    """

    kind = Environment
    inputs = INPUTS

    def __init__(
        self,
        *,
        cluster: ClusterClient,
        terraform: Terraform,
        resolver: SourceResolver,
        states: StateStore,
        locks: StateLocks,
        blobs: BlobStore,
        prober: HealthProber,
        origin_of: Callable[[Environment], Path | None],
        threads: Executor,
        settles: bool = True,
        lingering: float = 0.0,
    ) -> None:
        self._services = Services(
            cluster=cluster,
            terraform=terraform,
            sources=SourceBundler(resolver, terraform, origin_of),
            states=states,
            blobs=blobs,
            prober=prober,
            plans=PlanReader(threads),
            pacer=Pacer(),
        )
        self._settles = settles
        sight = functools.partial(sight_of, cluster, blobs.digest)
        self._abandoned = AbandonedRuns(terraform, states, locks, sight, lingering=lingering)

    async def abandoned(self) -> Collection[Run]:
        """The runs of Terraform that left a trace on this machine, or a lock."""
        return await self._abandoned.find()

    async def recover(self, runs: Collection[Run]) -> Mapping[str, Outcome]:
        """Stops what runs, saves the states that they left, and says what no state knows."""
        return await self._abandoned.recover(runs)

    async def recorded(self, runs: Collection[Run]) -> None:
        """Frees the locks of these runs, and drops what was kept of them."""
        await self._abandoned.recorded(runs)

    async def references(self) -> frozenset[str]:
        """The states, and the bundles that open Changes would apply.

        A bundle whose lock file was made for it is not made alike again, and approvals are for this very one.
        """
        changes = (await self._services.cluster.list("Change")).items
        wanted = frozenset(digests_in([change["spec"] for change in changes if is_open(change)]))
        bundles = await self._services.terraform.bundles()
        return await self._services.states.blobs() | {blob for bundle, blob in bundles.items() if bundle in wanted}

    async def holdings(self, ref: ObjectRef) -> tuple[str, ...]:
        """By the state: what a failed apply made is in it, too, and no status need say so."""
        head = await self._services.states.head(ref.key)
        if head is None or not head.resources:
            return ()
        addresses = await read_addresses(self._services.states, ref.key)
        secrets = await sight_of(self._services.cluster, self._services.blobs.digest, ref)
        return tuple(map(secrets.address, addresses)) or (f"{head.resources} resources of a state that is lost",)

    @contextlib.asynccontextmanager
    async def session(
        self, environment: Environment, goal: Goal, run: str, progress: OnProgress
    ) -> AsyncIterator[EnvironmentSession]:
        """Waits for the work folder and holds it for one pass."""
        async with self._services.terraform.session(environment.ref.key) as workspace:
            if not self._settles:
                workspace.require_settled()
            yield EnvironmentSession(self._services, environment, goal, run, workspace, progress)
