"""Owns the queues and controllers of a manager, and what wakes them: the same on every home."""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.api.target import TARGET_KINDS
from setpoint.domain.freshness import STALE, UNTIL_ASKED
from setpoint.domain.model import ResourceProgress
from setpoint.domain.sharding import Shard
from setpoint.governance.policies import EnforcementGatesReconciler, PolicySetReconciler
from setpoint.pipeline.reconciler import PassReport
from setpoint.pipeline.retention import keep_collecting
from setpoint.pipeline.routing import WATCHED, Referrers, Router, open_resets
from setpoint.pipeline.target_metrics import TargetMetrics
from setpoint.ports import WatchEvent
from setpoint.runtime.controller import Controller
from setpoint.runtime.manager import Runnable
from setpoint.runtime.recorder import BufferedEventRecorder
from setpoint.runtime.requests import Request, Result
from setpoint.runtime.terms import Terms
from setpoint.runtime.workqueue import Priority, WorkQueue
from setpoint.server.http import Check
from setpoint.wiring.services import Services

RECONCILED = (*TARGET_KINDS, "PolicySet", "EnforcementGates")
"""The kinds that have a controller."""
Reconcile = Callable[[Request], Awaitable[Result]]
_RECONCILE_TIMEOUT = 24 * 3600.0
"""Seconds; a bound for what hangs in ways that no step's own deadline catches. Blobs are young for twice as long."""
_RETENTION_GRACE = 10.0
"""Seconds that a stop waits for a collection: a short run, `up --once`, is to get one done."""


class Work:
    """Requests come in, controllers work them off. With `terms`, for what this process leads and nothing else."""

    def __init__(
        self,
        services: Services,
        recorder: BufferedEventRecorder,
        *,
        terms: Terms | None = None,
        on_start: Callable[[ObjectRef], None] = lambda _ref: None,
        on_progress: Callable[[ObjectRef, ResourceProgress], None] = lambda _ref, _step: None,
        on_report: Callable[[PassReport], None] = lambda _report: None,
    ) -> None:
        self._services = services
        self._recorder = recorder
        self._terms = terms
        self._on_start = on_start
        self._router = Router(services.backends.cluster)
        self._referrers = Referrers()
        self._metrics = TargetMetrics(services.metrics)
        self._fresh = services.fresh_targets(self._metrics, self._referrers.versions_of)
        self.queues = {kind: WorkQueue(on_latency=services.metrics.queue_latency(kind)) for kind in RECONCILED}
        self.controllers = self._make_controllers(on_progress, on_report)

    def runnables(self) -> list[Runnable]:
        """The controllers, with the time that a graceful stop gives them."""
        grace = self._services.settings.drain_seconds
        return [Runnable(one.name, one.run, grace=grace) for one in self.controllers]

    def retention(self) -> Runnable:
        """The work of tidying up behind them; one leader's."""
        return Runnable("retention", self._keep_collecting, grace=_RETENTION_GRACE, restart=True)

    async def _keep_collecting(self, ended: asyncio.Event) -> None:
        settings = self._services.settings
        await keep_collecting(self._services.collections(), settings.collect_seconds, ended)

    def live(self) -> Mapping[str, Check]:
        """The health of each controller."""
        return {one.name: one.check for one in self.controllers}

    def wake(self, requests: Iterable[Request], priority: Priority = Priority.NORMAL) -> None:
        """Queues requests."""
        for request in requests:
            if self._owns(request.ref):
                self.queues[request.ref.kind].add(request, priority)

    def _owns(self, ref: ObjectRef) -> bool:
        return self._terms is None or self._terms.owns(ref)

    async def enqueue_all(self, *, skip_fresh: bool = False) -> frozenset[ObjectRef]:
        """Queues every object that has a controller; returns those that are fresh, as `enqueue` does."""
        fresh: set[ObjectRef] = set()
        for kind in self.queues:
            found = (await self._services.backends.cluster.list(kind)).items
            fresh |= await self.enqueue(kind, found, skip_fresh=skip_fresh)
        return frozenset(fresh)

    def expect(self, shard: Shard) -> None:
        """The shard's targets are about to be queued: what is heard of one before says nothing new."""
        self._router.expect(shard)

    def found_all(self, shard: Shard) -> None:
        """All of them were; wakes those that have moved since."""
        self.wake(self._router.found_all(shard))

    async def enqueue(
        self, kind: str, found: Sequence[JsonObject], *, stale: Collection[str] = (), skip_fresh: bool = True
    ) -> frozenset[ObjectRef]:
        """Queues what a list of a kind shows, where it has a controller; knows it from now on.

        Returns the targets that are fresh: they are observed when they are due, unless their key is in `stale`.
        Without `skip_fresh` only those are left out that are suspended.
        """
        for item in found:
            self._notice(item)
            self._router.notice(item)
        if kind == "Reset":
            self.wake(open_resets(found), Priority.LOW)
        fresh: Mapping[ObjectRef, dt.timedelta] = {}
        if kind in TARGET_KINDS:
            fresh = await (self._fresh.among(found) if skip_fresh else self._fresh.suspended_among(found))
        for ref in map(ObjectRef.of, found if kind in self.queues else ()):
            left = STALE if ref.key in stale else fresh.get(ref, STALE)
            if left < UNTIL_ASKED:
                self.queues[kind].add_after(Request(ref), left.total_seconds(), Priority.LOW)
        return frozenset(ref for ref in fresh if ref.key not in stale)

    async def on_event(self, event: WatchEvent) -> None:
        """Wakes whom a moved object concerns."""
        if not self._concerns(event.object):
            return
        if event.type == "DELETED":
            self._referrers.forget(ObjectRef.of(event.object))
        else:
            self._notice(event.object)
        if event.object["kind"] not in WATCHED:
            return
        requests = await self._router.route(event)
        if requests and not await self._is_of_suspended(event):
            # People's edits go before what is new: a thousand objects at once must not keep one edit waiting.
            self.wake(requests, Priority.LOW if event.type == "ADDED" and _is_new(event.object) else Priority.NORMAL)

    async def _is_of_suspended(self, event: WatchEvent) -> bool:
        obj = event.object
        if obj["kind"] not in TARGET_KINDS or event.type == "DELETED":
            return False
        return bool(await self._fresh.suspended_among([obj]))

    def _concerns(self, obj: JsonObject) -> bool:
        """A target is its leader's alone; what other objects wake may be anyone's."""
        if obj["kind"] in TARGET_KINDS:
            return self._owns(ObjectRef.of(obj))
        return self._terms is None or bool(self._terms)

    async def wake_waiting(self) -> None:
        """Wakes the targets whose open Change may be decided otherwise by now."""
        self.wake(await self._router.waiting_targets())

    def know_secrets(self, secrets: Iterable[JsonObject]) -> None:
        """These Secrets there are, and no others; wakes those that read one that moved unseen."""
        self.wake(self._referrers.know(secrets))

    def on_secret_event(self, event: WatchEvent) -> None:
        """Wakes those that read a Secret that moved."""
        self.wake(self._referrers.see(event))

    def leave(self, shard: Shard) -> None:
        """The shard's objects are another's by now: nothing is remembered or shown of them."""
        self._router.leave(shard)
        self._referrers.leave(shard)
        self._metrics.leave(shard)

    def is_idle(self) -> bool:
        """True where nothing is queued or worked on."""
        return all(not len(queue) and not queue.processing for queue in self.queues.values())

    async def idle(self) -> None:
        """Waits until no queue has work; another may have some again by then."""
        for queue in self.queues.values():
            await queue.idle()

    def _notice(self, obj: JsonObject) -> None:
        if obj["kind"] in TARGET_KINDS:
            self._referrers.notice(obj)

    def _announced(self, reconcile: Reconcile) -> Reconcile:
        async def announced(request: Request) -> Result:
            self._on_start(request.ref)
            return await reconcile(request)

        return announced

    def _make_controllers(
        self,
        on_progress: Callable[[ObjectRef, ResourceProgress], None],
        on_report: Callable[[PassReport], None],
    ) -> tuple[Controller, ...]:
        services, backends = self._services, self._services.backends
        targets = services.reconcilers(
            self._recorder, self._metrics, self._fresh, on_progress=on_progress, on_report=on_report
        )
        policy_sets = PolicySetReconciler(
            cluster=backends.cluster,
            engine=services.policy_engine,
            policies=services.policies,
            clock=backends.clock,
            origin_of=backends.origin_of,
        )
        gates = EnforcementGatesReconciler(cluster=backends.cluster, clock=backends.clock)
        reconciles = {kind: self._announced(reconciler.reconcile) for kind, reconciler in targets.items()}
        reconciles |= {"PolicySet": policy_sets.reconcile, "EnforcementGates": gates.reconcile}
        return tuple(
            Controller(
                kind,
                self._terms.within(reconcile) if self._terms is not None else reconcile,
                self.queues[kind],
                metrics=services.metrics,
                workers=services.settings.workers if kind in targets else 1,
                timeout=_RECONCILE_TIMEOUT,
            )
            for kind, reconcile in reconciles.items()
        )


def _is_new(obj: JsonObject) -> bool:
    """True where an object has a controller, and was never observed."""
    return obj["kind"] in RECONCILED and not obj.get("status")
