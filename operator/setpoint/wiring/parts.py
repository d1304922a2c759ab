"""Owns putting a local home's adapters and reconcilers together. Every adapter is made here, once, and closed here."""

import contextlib
import dataclasses
import datetime as dt
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setpoint.adapters.health import HttpProber
from setpoint.adapters.local import LocalCluster, LocalHome, ManifestIndex, ManifestSync, StoredEvents
from setpoint.adapters.policy.engine import RegorusEngine
from setpoint.adapters.policy.modules import PolicyFolders
from setpoint.adapters.source.resolver import SourceResolver
from setpoint.adapters.store import AuditTrail, Database, SealedBlobs, SqlObjectStore, SqlStateLocks, SqlStateStore
from setpoint.adapters.terraform import TerraformAdapter, TerraformOptions
from setpoint.api.meta import KubeObject, ObjectRef
from setpoint.ports import ClusterClient, ResourceProgress
from setpoint.reconcilers.changes import ChangeRegister
from setpoint.reconcilers.environment import EnvironmentReconciler, PassReport
from setpoint.reconcilers.environment_driver import EnvironmentDriver
from setpoint.reconcilers.gatekeeper import Gatekeeper
from setpoint.reconcilers.overlay import OverlayCluster
from setpoint.reconcilers.pipeline import Pipeline
from setpoint.reconcilers.preview import Previewer
from setpoint.reconcilers.recovery import Recovery
from setpoint.reconcilers.resets import ResetRegister
from setpoint.reconcilers.settlement import Settlement
from setpoint.reconcilers.snapshots import SnapshotPruner
from setpoint.reconcilers.target_metrics import TargetMetrics
from setpoint.runtime.logging import SecretFilter
from setpoint.runtime.metrics import Metrics
from setpoint.runtime.recorder import BufferedEventRecorder
from setpoint.server.state_backend import StateBackendServer
from setpoint.settings import Settings


class SystemClock:
    """The wall clock."""

    def now(self) -> dt.datetime:
        """The instant, in UTC."""
        return dt.datetime.now(dt.UTC)


@dataclasses.dataclass(frozen=True, slots=True)
class Parts:
    """What a home is made of. Reconcilers are made from it by the methods."""

    settings: Settings
    home: LocalHome
    clock: SystemClock
    metrics: Metrics
    secrets: SecretFilter
    audit: AuditTrail
    objects: SqlObjectStore
    blobs: SealedBlobs
    states: SqlStateStore
    locks: SqlStateLocks
    cluster: LocalCluster
    sync: ManifestSync
    events: StoredEvents
    terraform: TerraformAdapter
    sources: SourceResolver
    policies: PolicyFolders
    policy_engine: RegorusEngine

    def origin_of(self, obj: KubeObject) -> Path:
        """The folder of the manifest that declares an object."""
        return self.sync.folder_of(obj.ref)

    def driver(self, cluster: ClusterClient) -> EnvironmentDriver:
        """The Environment's driver over a cluster."""
        return EnvironmentDriver(
            cluster=cluster,
            terraform=self.terraform,
            resolver=self.sources,
            states=self.states,
            blobs=self.blobs,
            prober=HttpProber(),
            origin_of=self.origin_of,
        )

    def settlement(self, cluster: ClusterClient) -> Settlement:
        """What follows a pass, over a cluster."""
        changes, resets = ChangeRegister(cluster, self.clock), ResetRegister(cluster, self.clock)
        return Settlement(cluster=cluster, changes=changes, resets=resets)

    def pipeline(self, cluster: ClusterClient, metrics: Metrics) -> Pipeline:
        """The pipeline over a cluster."""
        gatekeeper = Gatekeeper(
            cluster=cluster,
            engine=self.policy_engine,
            policies=self.policies,
            origin_of=self.origin_of,
            clock=self.clock,
            metrics=metrics,
        )
        return Pipeline(
            cluster=cluster,
            gatekeeper=gatekeeper,
            changes=ChangeRegister(cluster, self.clock),
            settlement=self.settlement(cluster),
            metrics=metrics,
        )

    def environment_reconciler(
        self,
        recorder: BufferedEventRecorder,
        *,
        on_progress: Callable[[ObjectRef, ResourceProgress], None],
        on_report: Callable[[PassReport], None],
    ) -> EnvironmentReconciler:
        """The Environment's reconciler."""
        return EnvironmentReconciler(
            cluster=self.cluster,
            driver=self.driver(self.cluster),
            pipeline=self.pipeline(self.cluster, self.metrics),
            settlement=self.settlement(self.cluster),
            resets=ResetRegister(self.cluster, self.clock),
            pruner=SnapshotPruner(self.cluster),
            states=self.states,
            recorder=recorder,
            metrics=TargetMetrics(self.metrics),
            clock=self.clock,
            on_progress=on_progress,
            on_report=on_report,
        )

    def recovery(self) -> Recovery:
        """What settles an earlier manager's leavings."""
        return Recovery(
            cluster=self.cluster,
            audit=self.audit,
            states=self.states,
            locks=self.locks,
            terraform=self.terraform,
            changes=ChangeRegister(self.cluster, self.clock),
        )

    def previewer(self) -> Previewer:
        """What computes plans and changes nothing."""
        overlay = OverlayCluster(self.cluster)
        return Previewer(
            cluster=overlay,
            driver=self.driver(overlay),
            pipeline=self.pipeline(overlay, Metrics()),
            resets=ResetRegister(overlay, self.clock),
            clock=self.clock,
        )


@contextlib.asynccontextmanager
async def assemble(
    home: LocalHome, settings: Settings, secrets: SecretFilter, *, check: bool = False
) -> AsyncIterator[Parts]:
    """Opens everything that a home needs, and closes it again. Raises StoreError for a store that is damaged.

    `check` reads the whole database first: for a manager, not for each command.
    """
    clock, metrics = SystemClock(), Metrics()
    async with contextlib.AsyncExitStack() as stack:
        database = Database.open(home.database, check=check)
        stack.push_async_callback(database.close)
        audit = AuditTrail(database, clock, count_rows=metrics.count_audit_rows)
        objects = SqlObjectStore(database, audit)
        blobs = SealedBlobs.open(home.blobs, home.keys / "blobs.key")
        stack.push_async_callback(blobs.close)
        states = SqlStateStore(database, blobs, audit, clock)
        stack.callback(states.close)
        locks = SqlStateLocks(database, clock)
        index = ManifestIndex(home.root)
        stack.push_async_callback(index.close)
        cluster = LocalCluster(objects, blobs, index, clock=clock)
        backend = StateBackendServer(states, locks, count_locks=lambda held: metrics.set_state_locks("held", held))
        await stack.enter_async_context(backend.serving())
        options = TerraformOptions(home.state, settings.terraform, settings.terraform_mirror, settings.passthrough)
        policy_engine = RegorusEngine()
        stack.push_async_callback(policy_engine.aclose)
        threads = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="setpoint-policies"))
        sources = SourceResolver(home.root, home.state)
        stack.push_async_callback(sources.close)
        yield Parts(
            settings=settings,
            home=home,
            clock=clock,
            metrics=metrics,
            secrets=secrets,
            audit=audit,
            objects=objects,
            blobs=blobs,
            states=states,
            locks=locks,
            cluster=cluster,
            sync=ManifestSync(cluster, index),
            events=StoredEvents(objects),
            terraform=TerraformAdapter(options, blobs=blobs, backend=backend, register_secrets=secrets.add),
            sources=sources,
            policies=PolicyFolders(home=home.root, executor=threads),
            policy_engine=policy_engine,
        )
