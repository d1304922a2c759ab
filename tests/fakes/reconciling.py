"""Owns a whole reconciler over fakes, of Environments: an in-memory cluster and a make-believe world."""

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.fakes.cluster import InMemoryCluster
from tests.fakes.store import MemoryBlobs, MemoryObservations, rows_of_last_apply
from tests.fakes.target import FakeDriver, World, snapshot_manifest

from setpoint.api.conditions import ConditionType
from setpoint.api.kind_conditions import KIND_CONDITIONS
from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.domain.audit import AuditEntry, AuditRow
from setpoint.domain.audit_actions import is_begun_apply
from setpoint.domain.drift_policy import DRIFT_STAGE
from setpoint.domain.errors import NotFoundError, StoreSetBackError
from setpoint.domain.policies import PolicyCheck, PolicyModules, PolicyResult
from setpoint.domain.reading import items_at
from setpoint.domain.scrubbing import Scrubber
from setpoint.pipeline.changes import ChangeRegister
from setpoint.pipeline.configurations import Configurations
from setpoint.pipeline.fresh_targets import FreshTargets
from setpoint.pipeline.gatekeeper import Gatekeeper
from setpoint.pipeline.gates import GateReader
from setpoint.pipeline.lifecycle import Lifecycle
from setpoint.pipeline.outcomes import Outcomes
from setpoint.pipeline.path import Pipeline
from setpoint.pipeline.reconciler import Listeners, PassReport, TargetReconciler
from setpoint.pipeline.resets import ResetRegister
from setpoint.pipeline.seals import Seals
from setpoint.pipeline.snapshots import SnapshotPruner, SnapshotTaker
from setpoint.pipeline.target_metrics import TargetMetrics
from setpoint.ports import ClusterClient, TargetDriver
from setpoint.runtime.metrics import Metrics
from setpoint.runtime.requests import Request

REF = ObjectRef("Environment", "default", "web")
KNOWN_SECRET = "pa55word-of-all"
"""A secret that the bench keeps from sight."""
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


class FakeClock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.instant = START

    def now(self) -> dt.datetime:
        return self.instant


class FakePolicies:
    """PolicyEngine and PolicyResolver in one; answers what a test wants to hear."""

    def __init__(self) -> None:
        self.answer = PolicyResult()
        self.of_drift: Callable[[Sequence[JsonObject]], PolicyResult] = lambda _: PolicyResult()
        """The answer on what the world changed."""
        self.asked: list[dict[str, Any]] = []

    async def resolve(self, spec, *, origin) -> PolicyModules:
        del origin
        return PolicyModules.of(spec.source.inline or {}, spec.params)

    async def check(self, modules: PolicyModules) -> PolicyCheck:
        del modules
        return PolicyCheck()

    async def evaluate(self, modules, document, **limits) -> PolicyResult:
        del modules, limits
        self.asked.append(document)
        if document["gate"]["stage"] == DRIFT_STAGE:
            return self.of_drift(document["plan"]["resource_drift"])
        return self.answer


class Trail:
    """The rows that the cluster in memory was given."""

    def __init__(self, cluster: InMemoryCluster) -> None:
        self._cluster = cluster
        self.set_back = ""
        self.vouched = True

    async def require_standing(self) -> None:
        if self.set_back:
            raise StoreSetBackError(self.set_back)

    async def applies_begun(self, target: ObjectRef, subject: str | None = None) -> int:
        return sum(is_begun_apply(entry, target, subject) for entry in self._cluster.audit)

    async def last_apply(self, target: ObjectRef) -> tuple[AuditRow, ...]:
        rows = [
            AuditRow(seq, "", entry, b"", b"", b"", b"", vouched=self.vouched)
            for seq, entry in enumerate(self._cluster.audit, 1)
            if entry.target == target
        ]
        return rows_of_last_apply(rows, target)


@dataclasses.dataclass
class Recorder:
    """Keeps events."""

    events: list[tuple[str, str, str]] = dataclasses.field(default_factory=list)

    def event(self, ref: ObjectRef, type_: str, reason: str, message: str) -> None:
        del ref
        self.events.append((type_, reason, message))


class DocumentedCluster(InMemoryCluster):
    """Takes no condition that the reference does not know."""

    async def update_status(self, obj: JsonObject, *, audit: Sequence[AuditEntry] = ()) -> JsonObject:
        """Replaces the status."""
        known = KIND_CONDITIONS[obj["kind"]]
        _, stored = self._find(ObjectRef.of(obj))
        for one in obj.get("status", {}).get("conditions", []):
            if one in items_at(stored, "status", "conditions"):
                continue
            assert one["reason"] in known[ConditionType(one["type"])], f"{obj['kind']}: {one} is not documented"
        return await super().update_status(obj, audit=audit)


class Bench:
    """Holds what a test of the reconciler works with. Another kind's bench says what differs: the first four."""

    ref = REF
    applied_field = "bundle"
    """By which a status names the configuration in force."""

    def make_driver(self) -> TargetDriver:
        """A driver of the world."""
        return FakeDriver(self.world)

    def wanted(self, resources: Mapping[str, str], spec: JsonObject) -> JsonObject:
        """The spec of a target that holds these."""
        return {"stage": "dev", "source": {"path": "./infra"}, "variables": {"resources": resources}, **spec}

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.cluster = DocumentedCluster(now=self.clock.now)
        self.trail = Trail(self.cluster)
        self.world = World()
        self.policies = FakePolicies()
        self.recorder = Recorder()
        self.reports: list[PassReport] = []
        self.observations = MemoryObservations()
        self.secret_versions: Mapping[str, str] | None = {}
        self.source: str | None = "sha256:source"
        self.error: Exception | None = None
        self.driver = self.make_driver()
        self.reconciler = self.make_reconciler(self.cluster, self.driver)

    def make_reconciler(self, cluster: ClusterClient, driver: TargetDriver) -> TargetReconciler:
        """A reconciler over these ports and the bench's clock, policies and recorders."""
        changes, resets = ChangeRegister(cluster, self.clock), ResetRegister(cluster, self.clock)
        lifecycle, seals = Lifecycle(cluster, changes), Seals(MemoryBlobs().digest)
        configurations = Configurations(seals, changes, SnapshotTaker(cluster), SnapshotPruner(cluster))
        metrics = self.metrics = Metrics()
        gatekeeper = Gatekeeper(
            cluster=cluster,
            gates=GateReader(cluster=cluster, policies=self.policies, origin_of=lambda _: None),
            engine=self.policies,
            clock=self.clock,
            redact=Scrubber([KNOWN_SECRET]).scrub,
            metrics=metrics,
            witness=None,
        )
        pipeline = Pipeline(
            gatekeeper=gatekeeper,
            changes=changes,
            resets=resets,
            outcomes=Outcomes(cluster, changes, lifecycle, configurations, resets),
            configurations=configurations,
            trail=self.trail,
            metrics=metrics,
            pause=self.pause,
        )
        return TargetReconciler(
            driver=driver,
            pipeline=pipeline,
            lifecycle=lifecycle,
            configurations=configurations,
            resets=resets,
            fresh=self.make_fresh_targets(TargetMetrics(metrics)),
            listeners=Listeners(self.recorder, TargetMetrics(metrics), lambda *_: None, self.reports.append),
            clock=self.clock,
        )

    def make_fresh_targets(self, metrics: TargetMetrics) -> FreshTargets:
        """The register of a process with these metrics."""
        return FreshTargets(
            observations=self.observations,
            secret_versions=lambda _: self.secret_versions,
            source_digest=self.digest_source,
            metrics=metrics,
            clock=self.clock,
        )

    async def digest_source(self, _: object) -> str | None:
        """The content of the source's folder, as a digest."""
        return self.source

    async def pause(self, seconds: float) -> None:
        """Time passes at once."""
        self.clock.instant += dt.timedelta(seconds=seconds)

    # --- What people do ---------------------------------------------------------------------------------------------

    async def declare(self, resources: dict[str, str], **spec: Any) -> None:
        """Creates the target, or changes its spec."""
        wanted = self.wanted(resources, spec)
        manifest = {"apiVersion": "setpoint.dev/v1alpha1", "kind": self.ref.kind, "spec": wanted}
        try:
            current = await self.cluster.get(self.ref)
        except NotFoundError:
            await self.cluster.create(
                {**manifest, "metadata": {"name": self.ref.name, "namespace": self.ref.namespace}}
            )
        else:
            await self.cluster.update({**current, "spec": wanted})

    async def approve(self, who: str = "ada", **word: Any) -> None:
        """One person's word on the open Change."""
        name = (await self.status())["change"]
        change = await self.cluster.get(ObjectRef("Change", "default", name))
        await self.approve_change(change, who, **word)

    async def approve_change(
        self,
        change: JsonObject,
        who: str,
        *,
        verdict: str = "Approved",
        subject: str = "",
        overrides: Sequence[str] = (),
        undrilled: bool = False,
    ) -> None:
        """One person's word on a Change, open or not."""
        name = change["metadata"]["name"]
        spec = {
            "changeRef": {"name": name},
            "subject": subject or change["spec"]["subject"],
            "verdict": verdict,
            "approver": who,
            "reason": "because",
            "overrides": list(overrides),
            "acceptUndrilled": undrilled,
        }
        await self.create("Approval", f"{name}-{who}{'-undrilled' if undrilled else ''}", spec)

    async def reset(self, snapshot: str, name: str = "back") -> None:
        """Asks for a reset."""
        target = {"kind": self.ref.kind, "name": self.ref.name}
        spec = {"targetRef": target, "snapshotRef": {"name": snapshot}, "reason": "because", "requestedBy": "ada"}
        await self.create("Reset", name, spec)

    async def keep_snapshot(self, name: str, *, of: str = "web") -> None:
        """A Snapshot of the configuration that was applied last."""
        applied = (await self.status()).get("applied") or {}
        target = dataclasses.replace(self.ref, name=of)
        in_force = applied.get(self.applied_field)
        await self.cluster.create(snapshot_manifest(target, in_force, self.world.version, name))

    async def gate(self, **gate: Any) -> None:
        """One EnforcementGates with one gate, and the PolicySet that it names."""
        await self.create("PolicySet", "rules", {"source": {"inline": {"a.rego": "package a"}}}, namespace=None)
        spec = {"name": "rules", "stages": ["plan", "apply", "reset"], "policySets": [{"name": "rules"}], **gate}
        await self.create("EnforcementGates", "gates", {"gates": [spec]}, namespace=None)

    async def create(self, kind: str, name: str, spec: dict[str, Any], namespace: str | None = "default") -> None:
        metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
        await self.cluster.create(
            {"apiVersion": "setpoint.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
        )

    # --- What is --------------------------------------------------------------------------------------------------

    async def run_silently(self) -> None:
        """One pass; an error that the queue would see is kept in `error`."""
        self.error = None
        try:
            await self.reconciler.reconcile(Request(self.ref))
        except Exception as error:  # noqa: BLE001 whatever it is, a test looks at it
            self.error = error

    async def run(self) -> PassReport:
        """One pass that reports."""
        before = len(self.reports)
        await self.run_silently()
        assert len(self.reports) > before, self.error
        return self.reports[-1]

    async def status(self) -> dict[str, Any]:
        return (await self.cluster.get(self.ref))["status"]

    async def condition(self, type_: str) -> tuple[str, str] | None:
        found = {one["type"]: one for one in (await self.status())["conditions"]}
        return (found[type_]["status"], found[type_]["reason"]) if type_ in found else None

    async def changes(self) -> list[dict[str, Any]]:
        return list((await self.cluster.list("Change")).items)

    def audited(self, action: str) -> list[tuple[str, str]]:
        return [(one.phase.value, one.result) for one in self.cluster.audit if one.action == action]
