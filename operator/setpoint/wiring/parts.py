"""Owns putting adapters and reconcilers together, the same on every home. What is made here is closed here."""

import contextlib
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setpoint.adapters.health import HttpProber
from setpoint.adapters.policy.engine import RegorusEngine
from setpoint.adapters.policy.modules import PolicyFolders
from setpoint.adapters.source.resolver import SourceResolver
from setpoint.adapters.store import AuditTrail, SqlStateLocks, SqlStateStore
from setpoint.api.meta import KubeObject, ObjectRef
from setpoint.api.v1alpha1.environment import Environment
from setpoint.domain.errors import SetpointError
from setpoint.domain.model import ResourceProgress
from setpoint.domain.policies import Unread
from setpoint.domain.unreachable import parse_allowed
from setpoint.pipeline.changes import ChangeRegister
from setpoint.pipeline.gatekeeper import Gatekeeper
from setpoint.pipeline.overlay import OverlayCluster
from setpoint.pipeline.path import Pipeline
from setpoint.pipeline.preview import Previewer
from setpoint.pipeline.reconciler import PassReport, TargetReconciler
from setpoint.pipeline.recovery import Recovery
from setpoint.pipeline.resets import ResetRegister
from setpoint.pipeline.resting import RestRegister, SecretVersions
from setpoint.pipeline.retention import BlobCollector
from setpoint.pipeline.seals import Seals
from setpoint.pipeline.settlement import Settlement
from setpoint.pipeline.snapshots import SnapshotPruner, SnapshotTaker
from setpoint.pipeline.target_metrics import TargetMetrics
from setpoint.ports import BlobStore, ClusterClient, LookStore
from setpoint.runtime.clock import SystemClock
from setpoint.runtime.logging import SecretFilter
from setpoint.runtime.metrics import Metrics
from setpoint.runtime.recorder import BufferedEventRecorder
from setpoint.settings import Settings
from setpoint.targets.environment.driver import EnvironmentDriver
from setpoint.targets.environment.state_backend import StateBackendServer
from setpoint.targets.environment.terraform import NoWatch, TerraformAdapter, TerraformOptions
from setpoint.wiring.foundation import Events, Foundation


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The set of parts of a manager on any home. Reconcilers are made from it by the methods."""

    settings: Settings
    clock: SystemClock
    metrics: Metrics
    secrets: SecretFilter
    audit: AuditTrail
    blobs: BlobStore
    states: SqlStateStore
    locks: SqlStateLocks
    cluster: ClusterClient
    events: Events
    terraform: TerraformAdapter
    plan_threads: ThreadPoolExecutor
    sources: SourceResolver
    policies: PolicyFolders
    policy_engine: RegorusEngine
    origin_of: Callable[[KubeObject], Path | None]
    proves_users: bool
    sealed: Callable[[], Awaitable[frozenset[str]]] | None
    sees_all: bool
    looks: LookStore
    unread: Callable[[], Sequence[Unread]]
    distant: bool
    """True where people are not on this machine: their commands name a context."""

    def driver(self, cluster: ClusterClient, *, settles: bool = True, lingering: float = 0.0) -> EnvironmentDriver:
        """The Environment's driver over a cluster; a preview's does not settle."""
        return EnvironmentDriver(
            cluster=cluster,
            terraform=self.terraform,
            resolver=self.sources,
            states=self.states,
            locks=self.locks,
            blobs=self.blobs,
            prober=HttpProber(parse_allowed(self.settings.health_allow)),
            origin_of=self.origin_of,
            threads=self.plan_threads,
            settles=settles,
            lingering=lingering,
        )

    def settlement(self, cluster: ClusterClient) -> Settlement:
        """The settlement after a pass, over a cluster."""
        changes, resets = ChangeRegister(cluster, self.clock), ResetRegister(cluster, self.clock)
        return Settlement(
            cluster=cluster,
            changes=changes,
            resets=resets,
            snapshots=SnapshotTaker(cluster),
            seals=Seals(self.blobs.digest),
        )

    def pipeline(self, cluster: ClusterClient, metrics: Metrics) -> Pipeline:
        """The pipeline over a cluster."""
        gatekeeper = Gatekeeper(
            cluster=cluster,
            engine=self.policy_engine,
            policies=self.policies,
            origin_of=self.origin_of,
            clock=self.clock,
            redact=self.secrets.redact,
            metrics=metrics,
            witness=None if self.proves_users else self.audit,
            unread=self.unread,
            distant=self.distant,
        )
        return Pipeline(
            cluster=cluster,
            gatekeeper=gatekeeper,
            changes=ChangeRegister(cluster, self.clock),
            settlement=self.settlement(cluster),
            snapshots=SnapshotTaker(cluster),
            seals=Seals(self.blobs.digest),
            trail=self.audit,
            metrics=metrics,
        )

    def target_reconciler(
        self,
        recorder: BufferedEventRecorder,
        metrics: TargetMetrics,
        rests: RestRegister,
        *,
        on_progress: Callable[[ObjectRef, ResourceProgress], None],
        on_report: Callable[[PassReport], None],
    ) -> TargetReconciler:
        """The reconciler of a kind of target."""
        return TargetReconciler(
            cluster=self.cluster,
            driver=self.driver(self.cluster),
            pipeline=self.pipeline(self.cluster, self.metrics),
            settlement=self.settlement(self.cluster),
            changes=ChangeRegister(self.cluster, self.clock),
            resets=ResetRegister(self.cluster, self.clock),
            pruner=SnapshotPruner(self.cluster),
            seals=Seals(self.blobs.digest),
            rests=rests,
            recorder=recorder,
            metrics=metrics,
            clock=self.clock,
            on_progress=on_progress,
            on_report=on_report,
        )

    def rests(self, metrics: TargetMetrics, secret_versions: SecretVersions) -> RestRegister:
        """The targets that rest."""
        return RestRegister(
            looks=self.looks,
            secret_versions=secret_versions,
            source_digest=self._source_digest,
            metrics=metrics,
            clock=self.clock,
        )

    async def _source_digest(self, environment: Environment) -> str | None:
        """Of a folder of the home as it is now; a repository is looked at again at the interval."""
        source = environment.spec.source
        if source.path is None:
            return ""
        try:
            tree = await self.sources.resolve(source, origin=self.origin_of(environment), credentials={})
        except SetpointError:
            # The look itself says what is wrong.
            return None
        return tree.digest

    def recovery(self, *, lingering: float = 0.0) -> Recovery:
        """The recovery from an earlier manager's end; `lingering` is how long runs elsewhere may outlive it."""
        return Recovery(
            cluster=self.cluster,
            audit=self.audit,
            changes=ChangeRegister(self.cluster, self.clock),
            drivers=[self.driver(self.cluster, lingering=lingering)],
        )

    def collections(self) -> tuple[Callable[[], Awaitable[object]], ...]:
        """The jobs that remove what is no longer needed. No blobs where those that need them may be out of sight."""
        collector = BlobCollector(
            blobs=self.blobs,
            cluster=self.cluster,
            drivers=[self.driver(self.cluster)],
            references=[self.sealed] if self.sealed else [],
            count=self.metrics.count_removed_blobs,
        )

        async def collect() -> None:
            # Blobs that an older database does not name, the one that belongs here may.
            if not await self.audit.contradiction():
                await collector.collect()

        return (self.sources.drop_unused, *([collect] if self.sees_all else []))

    def previewer(self) -> Previewer:
        """A previewer, which computes plans and changes nothing."""
        overlay = OverlayCluster(self.cluster)
        return Previewer(
            cluster=overlay,
            driver=self.driver(overlay, settles=False),
            pipeline=self.pipeline(overlay, Metrics()),
            resets=ResetRegister(overlay, self.clock),
            seals=Seals(self.blobs.digest),
            clock=self.clock,
        )


async def open_parts(
    stack: contextlib.AsyncExitStack,
    foundation: Foundation,
    *,
    settings: Settings,
    clock: SystemClock,
    metrics: Metrics,
    secrets: SecretFilter,
) -> Parts:
    """Makes what is the same on every home; the stack closes it."""
    stores = foundation.stores
    terraform = await _open_terraform(stack, foundation, settings, metrics, secrets)
    policy_engine = RegorusEngine()
    stack.push_async_callback(policy_engine.aclose)
    sources = SourceResolver(foundation.home_root, foundation.private)
    stack.push_async_callback(sources.close)
    policy_threads = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="setpoint-policies"))
    return Parts(
        settings=settings,
        clock=clock,
        metrics=metrics,
        secrets=secrets,
        audit=stores.audit,
        blobs=stores.blobs,
        states=stores.states,
        locks=stores.locks,
        cluster=foundation.cluster,
        events=foundation.events,
        terraform=terraform,
        plan_threads=stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="setpoint-plans")),
        sources=sources,
        policies=PolicyFolders(home=foundation.home_root, executor=policy_threads),
        policy_engine=policy_engine,
        origin_of=foundation.origin_of,
        proves_users=foundation.proves_users,
        sealed=foundation.sealed,
        sees_all=foundation.sees_all,
        looks=stores.looks,
        unread=foundation.unread,
        distant=foundation.home_root is None,
    )


async def _open_terraform(
    stack: contextlib.AsyncExitStack,
    foundation: Foundation,
    settings: Settings,
    metrics: Metrics,
    secrets: SecretFilter,
) -> TerraformAdapter:
    """Terraform, and the backend that it keeps its states in."""
    stores = foundation.stores
    backend = StateBackendServer(
        stores.states, stores.locks, count_locks=lambda held: metrics.set_state_locks("held", held)
    )
    await stack.enter_async_context(backend.serving())
    options = TerraformOptions(
        foundation.private, settings.terraform, settings.tofu, settings.terraform_mirror, settings.passthrough
    )
    terraform = TerraformAdapter(
        options,
        blobs=stores.blobs,
        backend=backend,
        register_secrets=secrets.add,
        register_addresses=secrets.spare,
        watch=foundation.watch or NoWatch(),
    )
    stack.push_async_callback(terraform.close)
    return terraform
