"""Owns putting adapters and reconcilers together, the same on every home. What is made here is closed here."""

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from setpoint.adapters.policy.engine import RegorusEngine
from setpoint.adapters.policy.modules import PolicyFolders
from setpoint.adapters.source.resolver import SourceResolver
from setpoint.api.meta import ObjectRef
from setpoint.domain.model import ResourceProgress
from setpoint.pipeline.changes import ChangeRegister
from setpoint.pipeline.configurations import Configurations
from setpoint.pipeline.fresh_targets import FreshTargets, SecretVersions
from setpoint.pipeline.gatekeeper import Gatekeeper
from setpoint.pipeline.gates import GateReader
from setpoint.pipeline.lifecycle import Lifecycle
from setpoint.pipeline.outcomes import Outcomes
from setpoint.pipeline.overlay import OverlayCluster
from setpoint.pipeline.path import Pipeline
from setpoint.pipeline.preview import Previewer
from setpoint.pipeline.reconciler import Listeners, PassReport, TargetReconciler
from setpoint.pipeline.recovery import Recovery
from setpoint.pipeline.resets import ResetRegister
from setpoint.pipeline.retention import BlobCollector
from setpoint.pipeline.seals import Seals
from setpoint.pipeline.snapshots import SnapshotPruner, SnapshotTaker
from setpoint.pipeline.target_metrics import TargetMetrics
from setpoint.ports import ClusterClient
from setpoint.runtime.logging import SecretFilter
from setpoint.runtime.metrics import Metrics
from setpoint.runtime.recorder import BufferedEventRecorder
from setpoint.settings import Settings
from setpoint.wiring.backends import Backends
from setpoint.wiring.targets import OpenTarget, open_targets


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The services of a manager, built on the backends of its home. Reconcilers are made by the methods."""

    backends: Backends
    settings: Settings
    metrics: Metrics
    secrets: SecretFilter
    sources: SourceResolver
    policies: PolicyFolders
    policy_engine: RegorusEngine
    targets: Mapping[str, OpenTarget]
    """By kind."""

    def on_renew(self) -> None:
        """Hears that this manager still leads: what targets run may go on."""
        for target in self.targets.values():
            target.on_renew()

    def configurations(self, cluster: ClusterClient) -> Configurations:
        """The configurations that targets are held to, over a cluster."""
        changes = ChangeRegister(cluster, self.backends.clock)
        return Configurations(self.seals(), changes, SnapshotTaker(cluster), SnapshotPruner(cluster))

    def seals(self) -> Seals:
        """The seals on what targets say is applied to them."""
        return Seals(self.backends.blobs.digest)

    def pipeline(self, cluster: ClusterClient, metrics: Metrics) -> Pipeline:
        """The pipeline over a cluster."""
        gates = GateReader(
            cluster=cluster,
            policies=self.policies,
            origin_of=self.backends.origin_of,
            unread=self.backends.unread,
            distant=self.backends.home_root is None,
        )
        gatekeeper = Gatekeeper(
            cluster=cluster,
            gates=gates,
            engine=self.policy_engine,
            clock=self.backends.clock,
            redact=self.secrets.redact,
            metrics=metrics,
            witness=None if self.backends.proves_users else self.backends.audit,
        )
        changes, configurations = ChangeRegister(cluster, self.backends.clock), self.configurations(cluster)
        resets = ResetRegister(cluster, self.backends.clock)
        return Pipeline(
            gatekeeper=gatekeeper,
            changes=changes,
            resets=resets,
            outcomes=Outcomes(cluster, changes, Lifecycle(cluster, changes), configurations, resets),
            configurations=configurations,
            trail=self.backends.audit,
            metrics=metrics,
        )

    def reconcilers(
        self,
        recorder: BufferedEventRecorder,
        metrics: TargetMetrics,
        fresh: FreshTargets,
        *,
        on_progress: Callable[[ObjectRef, ResourceProgress], None],
        on_report: Callable[[PassReport], None],
    ) -> dict[str, TargetReconciler]:
        """The reconciler of each kind of target."""
        cluster, clock = self.backends.cluster, self.backends.clock
        return {
            kind: TargetReconciler(
                driver=target.driver(cluster),
                pipeline=self.pipeline(cluster, self.metrics),
                lifecycle=Lifecycle(cluster, ChangeRegister(cluster, clock)),
                configurations=self.configurations(cluster),
                resets=ResetRegister(cluster, clock),
                fresh=fresh,
                listeners=Listeners(recorder, metrics, on_progress, on_report),
                clock=clock,
            )
            for kind, target in self.targets.items()
        }

    def fresh_targets(self, metrics: TargetMetrics, secret_versions: SecretVersions) -> FreshTargets:
        """The targets that need no observation."""
        return FreshTargets(
            observations=self.backends.observations,
            secret_versions=secret_versions,
            source_digest=lambda target: self.targets[target.kind].source_digest(target),
            metrics=metrics,
            clock=self.backends.clock,
        )

    def recovery(self, *, lingering: float = 0.0) -> Recovery:
        """The recovery from an earlier manager's end; `lingering` is how long runs elsewhere may outlive it."""
        cluster = self.backends.cluster
        return Recovery(
            cluster=cluster,
            audit=self.backends.audit,
            changes=ChangeRegister(cluster, self.backends.clock),
            drivers=[target.driver(cluster, lingering=lingering) for target in self.targets.values()],
        )

    def collections(self) -> tuple[Callable[[], Awaitable[object]], ...]:
        """The jobs that remove what is no longer needed. No blobs where those that need them may be out of sight."""
        cluster = self.backends.cluster
        collector = BlobCollector(
            blobs=self.backends.blobs,
            cluster=cluster,
            drivers=[target.driver(cluster) for target in self.targets.values()],
            references=[self.backends.sealed] if self.backends.sealed else [],
            count=self.metrics.count_removed_blobs,
        )

        async def collect() -> None:
            # Blobs that an older database does not name, the one that belongs here may.
            if not await self.backends.audit.contradiction():
                await collector.collect()

        return (self.sources.drop_unused, *([collect] if self.backends.sees_all else []))

    def previewer(self, kind: str) -> Previewer:
        """A previewer of a kind of target, which computes plans and changes nothing."""
        overlay = OverlayCluster(self.backends.cluster)
        return Previewer(
            cluster=overlay,
            driver=self.targets[kind].driver(overlay, settles=False),
            pipeline=self.pipeline(overlay, Metrics()),
            resets=ResetRegister(overlay, self.backends.clock),
            seals=self.seals(),
            clock=self.backends.clock,
        )


@contextlib.asynccontextmanager
async def open_services(
    backends: Backends, settings: Settings, metrics: Metrics, secrets: SecretFilter
) -> AsyncIterator[Services]:
    """Opens what every home has on top of its backends, and closes it again."""
    async with contextlib.AsyncExitStack() as stack:
        sources = SourceResolver(backends.home_root, backends.private)
        stack.push_async_callback(sources.close)
        policy_threads = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="setpoint-policies"))
        targets = await open_targets(stack, backends, settings, metrics=metrics, secrets=secrets, sources=sources)
        policy_engine = RegorusEngine({kind: target.inputs for kind, target in targets.items()})
        stack.push_async_callback(policy_engine.aclose)
        yield Services(
            backends=backends,
            settings=settings,
            metrics=metrics,
            secrets=secrets,
            sources=sources,
            policies=PolicyFolders(home=backends.home_root, executor=policy_threads),
            policy_engine=policy_engine,
            targets=targets,
        )
