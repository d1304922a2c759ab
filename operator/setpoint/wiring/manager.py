"""Owns running the manager on a local home: recovery, manifests, watches, controllers, and how a run ended."""

import asyncio
import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from setpoint.adapters.local import ManagerLock
from setpoint.adapters.local.watcher import watch_home
from setpoint.api.conditions import Reason
from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.api.target import TARGET_KINDS
from setpoint.domain.audit import Verdict
from setpoint.domain.errors import GoneError
from setpoint.domain.model import ResourceProgress
from setpoint.domain.reading import items_at, text_at
from setpoint.pipeline.reconciler import PassReport
from setpoint.pipeline.routing import EVERY_KIND, WATCHED
from setpoint.runtime.logging import configure_logging
from setpoint.runtime.manager import Manager, Runnable
from setpoint.runtime.metrics import Metrics
from setpoint.runtime.recorder import BufferedEventRecorder
from setpoint.runtime.requests import Request
from setpoint.server.http import serve_http
from setpoint.settings import read_settings
from setpoint.wiring.local import LocalBackends, make_home, open_local
from setpoint.wiring.services import Services, open_services
from setpoint.wiring.standing import StoreWatch
from setpoint.wiring.targets import codes
from setpoint.wiring.work import RECONCILED, Work

_ENDING, _FOLLOWING = 0.02, 0.2
"""Seconds between two looks at whether a run is over; while an apply is followed, its pass comes by itself."""
TargetState = Literal["at the setpoint", "held", "released", "needs attention", "failed"]


@dataclasses.dataclass(frozen=True, slots=True)
class TargetReport:
    """How one target ended. `change` names the Change that waits, if any."""

    ref: ObjectRef
    state: TargetState
    reason: str
    message: str
    change: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class RunReport:
    """How a run of the manager ended."""

    targets: Sequence[TargetReport]
    manifest_errors: Sequence[object]
    store: str = ""
    """The reason against applying anything on the store as it is, and what to do; empty where there is none."""


async def run_manager(
    root: Path,
    *,
    once: bool,
    due: bool,
    metrics_address: str | None,
    log_format: str | None,
    progress: Any,
    stop: asyncio.Event,
) -> RunReport:
    """Runs until `stop` is set and all work is drained, or, `once`, until no target has work left.

    `due`: targets that are fresh by what is remembered of their last observation are left out until they are due.
    """
    settings = read_settings(listen=metrics_address, log_format=log_format)
    level = "warning" if once and settings.log_format == "console" else settings.log_level
    secrets = configure_logging(format=settings.log_format, level=level.upper())
    if once and settings.log_format == "console":
        # How each target ended is in the report.
        logging.getLogger("setpoint.runtime.controller").setLevel(logging.ERROR)
    home = await make_home(root)
    with ManagerLock(home):
        metrics, held = Metrics(), [home.manager_lock]
        async with (
            open_local(home, check=True, held=held, count_rows=metrics.count_audit_rows) as backends,
            open_services(backends, settings, metrics, secrets) as services,
        ):
            await services.recovery().run()
            verdict = (await backends.audit.verify()).verdict
            metrics.set_audit_chain_ok(verdict is Verdict.INTACT)
            return await _Run(backends, services, progress, due=due).go(once=once, stop=stop)


class _Run:
    """One run of the manager."""

    def __init__(self, backends: LocalBackends, services: Services, progress: Any, *, due: bool) -> None:
        self._backends = backends
        self._services = services
        self._progress = progress
        self._reports: dict[ObjectRef, TargetReport] = {}
        self._going_on: set[ObjectRef] = set()
        self._errors: tuple[object, ...] = ()
        self._recorder = BufferedEventRecorder(
            backends.events, clock=backends.clock, metrics=services.metrics, redact=services.secrets.redact
        )
        self._work = Work(
            services, self._recorder, on_start=self._begin, on_progress=self._show_progress, on_report=self._keep
        )
        self._due = due
        self._fresh: frozenset[ObjectRef] = frozenset()
        self._seen = 0
        self._store: StoreWatch
        self._manager: Manager

    # --- The run ------------------------------------------------------------------------------------------------

    async def go(self, *, once: bool, stop: asyncio.Event) -> RunReport:
        """Starts everything, waits for the end, and says how each target ended."""
        version = await self._load()
        manager = self._manager = Manager(self._runnables(version, once=once))
        stopping = asyncio.create_task(manager.stop_on(stop))
        try:
            services, live = self._services, self._work.live()
            async with serve_http(services.settings.listen, metrics=services.metrics, live=live, ready={}):
                await manager.run()
        finally:
            stopping.cancel()
        untold = (*await self._left_out(), *await self._unloaded())
        reports = {report.ref: report for report in untold} | self._reports
        return RunReport(tuple(reports[ref] for ref in sorted(reports)), self._errors, self._store.problem)

    async def _left_out(self) -> list[TargetReport]:
        """The targets that no pass was made of, since they are fresh: suspended, or at their setpoint and not due."""
        found = []
        for kind in TARGET_KINDS:
            for obj in (await self._backends.cluster.list(kind)).items:
                ref, ready = ObjectRef.of(obj), _ready(obj)
                if ref in self._fresh and ready:
                    state: TargetState = "at the setpoint" if ready["status"] == "True" else "needs attention"
                    found.append(TargetReport(ref, state, ready["reason"], ready.get("message", ""), None))
        return found

    async def _unloaded(self) -> list[TargetReport]:
        """The policies and gates that do not load: what they guard is blocked, and without a target nobody says so.

        A PolicySet that no gate names guards nothing: it is told of, and the run is no worse for it.
        """
        gates = (await self._backends.cluster.list("EnforcementGates")).items
        named: set[str] = set()
        for obj in gates:
            for gate in items_at(obj, "spec", "gates"):
                named.update(text_at(one, "name") for one in items_at(gate, "policySets"))
        found = []
        for obj in (*(await self._backends.cluster.list("PolicySet")).items, *gates):
            ref, ready = ObjectRef.of(obj), _ready(obj)
            if ready.get("status") != "False":
                continue
            if ref.kind == "PolicySet" and ref.name not in named:
                self._progress(ref, f"does not load, and no gate names it: {ready.get('message', '')}")
            else:
                found.append(TargetReport(ref, "failed", ready["reason"], ready.get("message", ""), None))
        return found

    async def _load(self) -> str:
        """Reads the manifests and queues everything that is due; returns where the watch goes on."""
        self._errors = (await self._backends.sync.sync()).errors
        version = str(await self._backends.objects.version())
        await self._learn_secrets()
        self._fresh = await self._work.enqueue_all(skip_fresh=self._due)
        self._seen = int(version)
        return version

    def _runnables(self, version: str, *, once: bool) -> list[Runnable]:
        runnables = [Runnable("events", self._recorder.run, grace=5.0), *self._work.runnables(), self._work.retention()]
        # A run that ends by itself says in its report what is wrong with the store.
        self._store = StoreWatch(self._backends.audit, on_standing=self._work.enqueue_all, quiet=once)
        runnables.append(Runnable("store", self._store.run))
        runnables.append(Runnable("watch", lambda ended: self._watch(version, EVERY_KIND if once else WATCHED, ended)))
        if once:
            runnables.append(Runnable("end", lambda _: self._end_when_idle(), finite=True))
        else:
            runnables.append(Runnable("manifests", self._watch_manifests, restart=True))
        return runnables

    async def _end_when_idle(self) -> None:
        """Ends the run once no queue has work, no write is unseen, and no accepted apply goes on."""
        while True:
            await self._work.idle()
            unseen = await self._backends.objects.version() > self._seen
            if not unseen and self._work.is_idle() and not self._going_on:
                self._manager.stop()
                return
            await asyncio.sleep(_FOLLOWING if self._going_on and not unseen else _ENDING)

    # --- What wakes targets -------------------------------------------------------------------------------------

    async def _watch(self, version: str, kinds: Sequence[str], ended: asyncio.Event) -> None:
        """Follows the objects; lists everything anew where the watch can't go on."""
        while not ended.is_set():
            try:
                async for event in self._backends.cluster.watch(kinds, resource_version=version):
                    await self._route(event)
            except GoneError:
                version = await self._load()

    async def _route(self, event: Any) -> None:
        await self._work.on_event(event)
        self._seen = max(self._seen, int(event.object["metadata"]["resourceVersion"]))

    async def _watch_manifests(self, ended: asyncio.Event) -> None:
        await watch_home(self._backends.home.root, codes(), self._files_changed, ended)

    async def _files_changed(self, paths: frozenset[str]) -> None:
        """Edits become objects, and files of a source or of a Secret wake those that use them."""
        unread = self._backends.sync.unread()
        report = await self._backends.sync.sync()
        self._errors = report.errors
        if self._backends.sync.unread() != unread:
            await self._work.wake_waiting()
        for error in report.errors:
            self._progress(ObjectRef("Manifest", "", str(getattr(error, "file", "?"))), str(error))
        readers = self._services.sources.readers_of(paths)
        touched = self._backends.sync.affected(paths, readers) if paths else frozenset()
        self._work.wake(Request(ref) for ref in touched if ref.kind in RECONCILED)
        await self._learn_secrets()

    async def _learn_secrets(self) -> None:
        """Wakes those that read one that moved since this was last asked."""
        self._work.know_secrets((await self._backends.cluster.list("Secret")).items)

    # --- What comes of it ---------------------------------------------------------------------------------------

    def _begin(self, ref: ObjectRef) -> None:
        self._progress(ref, "planning")

    def _show_progress(self, ref: ObjectRef, step: ResourceProgress) -> None:
        self._progress(ref, "planning" if step.state == "waiting" else "applying", step)

    def _keep(self, report: PassReport) -> None:
        """Remembers how a pass over a target ended."""
        self._reports[report.ref] = TargetReport(
            report.ref, _state_of(report), report.reason, report.message, report.change
        )
        (self._going_on.add if report.goes_on else self._going_on.discard)(report.ref)
        if report.goes_on and report.message:
            self._progress(report.ref, f"{report.reason}: {report.message}")
            return
        # The full message is in the summary of a run that ends, and in the log of one that does not.
        self._progress(report.ref, report.reason)


def _ready(obj: JsonObject) -> JsonObject:
    """The object's condition Ready; empty where it has none."""
    return next((one for one in items_at(obj, "status", "conditions") if one["type"] == "Ready"), {})


def _state_of(report: PassReport) -> TargetState:
    if report.stalled or report.failed:
        return "failed"
    if report.reason == Reason.HELD:
        # A person ends this: what is there is not what is declared, though somebody wanted it so.
        return "held"
    if report.reason == Reason.RELEASED:
        return "released"
    if report.ready == "True" or report.done:
        return "at the setpoint"
    return "needs attention"
