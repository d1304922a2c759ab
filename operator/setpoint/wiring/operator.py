"""Owns running the manager on a cluster: the watch, the election, and one term of leadership after another.

A standby watches and works on nothing. A term begins with recovery and a look at everything, and ends with all work
stopped before the Lease could be another's.
"""

import asyncio
import contextlib
import dataclasses
import logging
import os
import secrets as random_bytes
import socket
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path

from setpoint.adapters.kube import ConnectionOptions
from setpoint.adapters.terraform import Warden
from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.domain.audit import Verdict
from setpoint.domain.errors import ForbiddenError, GoneError, SetpointError, TransientError
from setpoint.ports import Fence, WatchEvent
from setpoint.reconcilers.routing import WATCHED
from setpoint.runtime.fencing import fenced
from setpoint.runtime.leader import Elector, LeaseTiming
from setpoint.runtime.logging import configure_logging
from setpoint.runtime.manager import Manager, Runnable
from setpoint.runtime.recorder import BufferedEventRecorder
from setpoint.runtime.requests import Request
from setpoint.server.http import serve_http
from setpoint.settings import Settings, read_settings
from setpoint.watch import KopfSource, WatchOptions
from setpoint.wiring.cluster import ClusterParts, open_cluster
from setpoint.wiring.work import RECONCILED, Work

_LOGGER = logging.getLogger(__name__)

KILL_SECONDS = 20.0
"""How long a run that was interrupted, since its leader was paused or dead, may take to end by itself."""
_RESYNC_SECONDS = 300.0
_BLIND_SECONDS = 30.0
_RETRY_SECONDS = 2.0
_BLIND_LIMIT_SECONDS = 300.0
_SHARD = ""
"""The one shard that there is: all targets."""
_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_DEFAULT_NAMESPACE = "setpoint-system"


@dataclasses.dataclass(frozen=True, slots=True)
class OperatorOptions:
    """What the command line says of an operator; the settings say the rest."""

    context: str | None = None
    kubeconfig: Path | None = None
    namespaces: str | None = None
    listen: str | None = None
    log_format: str | None = None


class WatchLostError(SetpointError):
    """There was no live watch for too long: what moves on the cluster goes unseen."""


async def run_operator(options: OperatorOptions, stop: asyncio.Event) -> None:
    """Runs until `stop` is set and all work is drained. Raises SetpointError where it can't go on."""
    settings = read_settings(listen=options.listen, log_format=options.log_format, namespaces=options.namespaces)
    hidden = configure_logging(format=settings.log_format, level=settings.log_level.upper())
    connection = ConnectionOptions(
        context=options.context,
        kubeconfig=options.kubeconfig,
        reads_a_second=settings.api_reads,
        writes_a_second=settings.api_writes,
    )
    identity = settings.identity or f"{socket.gethostname()}-{random_bytes.token_hex(4)}"
    warden = Warden(LeaseTiming().renew_deadline, KILL_SECONDS)
    try:
        async with open_cluster(connection, settings, hidden, identity=identity, watch=warden) as cluster:
            await Operator(cluster, settings, identity, warden).run(stop)
    finally:
        await warden.close()


class Operator:
    """One replica."""

    def __init__(self, cluster: ClusterParts, settings: Settings, identity: str, warden: Warden) -> None:
        self._cluster = cluster
        self._parts = parts = cluster.parts
        self._settings = settings
        self._recorder = BufferedEventRecorder(
            parts.events, clock=parts.clock, metrics=parts.metrics, redact=parts.secrets.redact
        )
        self._source = KopfSource(
            WatchOptions(WATCHED, settings.served_namespaces),
            credentials=cluster.connection.credentials,
            deliver=self._deliver,
            on_start=self._await_server,
        )
        namespace = settings.lease_namespace or _pod_namespace()
        self._elector = Elector(cluster.lease(namespace), identity, lead=self._lead, on_renew=warden.beat)
        self._moved: asyncio.Queue[WatchEvent] = asyncio.Queue()
        self._work: Work | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Serves, watches, stands by and leads."""
        manager = Manager(
            [
                Runnable("events", self._recorder.run, grace=5.0),
                Runnable("watch", self._source.run, grace=15.0),
                Runnable("watchdog", self._check_watch),
                Runnable("leader", self._elector.run, grace=self._settings.drain_seconds + 5.0),
            ]
        )
        stopping = asyncio.create_task(_forward(stop, manager))
        try:
            async with self._observability():
                await manager.run()
        finally:
            stopping.cancel()

    @contextlib.asynccontextmanager
    async def _observability(self) -> AsyncIterator[None]:
        if not self._settings.listen:
            yield
            return
        host, _, port = self._settings.listen.rpartition(":")
        checks = {"workers": self._check_workers}
        ready = {"watch": self._check_watching}
        async with serve_http(
            metrics=self._parts.metrics, live=checks, ready=ready, host=host.strip("[]"), port=int(port)
        ):
            yield

    def _check_workers(self) -> str:
        wrong = [text for check in (self._work.live() if self._work else {}).values() if (text := check())]
        return "; ".join(wrong)

    def _check_watching(self) -> str:
        dead = self._source.seconds_dead()
        return f"no live watch for {dead:.0f} s" if dead > _BLIND_SECONDS else ""

    # --- The watch ----------------------------------------------------------------------------------------------

    async def _await_server(self) -> None:
        """Kopf that connects while the API server still boots stays blind for ever: we ask first, and list."""
        await self._cluster.connection.text("/readyz")
        for kind in WATCHED:
            async for _ in self._cluster.objects.pages(kind):
                break

    def _deliver(self, event: WatchEvent) -> None:
        if self._work is not None:
            self._moved.put_nowait(event)

    async def _check_watch(self, ended: asyncio.Event) -> None:
        """Ends the process where the watch is dead for so long that a new process is the better hope."""
        while not ended.is_set():
            if self._source.seconds_dead() > _BLIND_LIMIT_SECONDS:
                raise WatchLostError(f"no live watch for {_BLIND_LIMIT_SECONDS:.0f} s")
            await _ends_within(ended, _BLIND_SECONDS)

    # --- A term of leadership -----------------------------------------------------------------------------------

    async def _lead(self, stop: asyncio.Event) -> None:
        """A term: what it writes to the store is refused as soon as another has begun."""
        epoch = await self._cluster.fences.acquire(_SHARD)
        with fenced(Fence(_SHARD, epoch)):
            try:
                await self._parts.recovery().run()
            except TransientError as error:
                _LOGGER.warning("Can't begin to work: %s", error.message)
                await _ends_within(stop, _RETRY_SECONDS)
                return
            verdict = (await self._parts.audit.verify()).verdict
            self._parts.metrics.set_audit_chain_ok(verdict is Verdict.INTACT)
            await self._work_off(stop)

    async def _work_off(self, stop: asyncio.Event) -> None:
        work = self._work = Work(self._parts, self._recorder)
        manager = Manager(
            [
                *work.runnables(),
                Runnable("moves", self._hear),
                Runnable("resync", self._resync),
                Runnable("secrets", self._watch_secrets, restart=True),
            ]
        )
        stopping = asyncio.create_task(_forward(stop, manager))
        try:
            await self._run_term(manager)
        finally:
            stopping.cancel()
            self._work = None
            while not self._moved.empty():
                self._moved.get_nowait()

    async def _run_term(self, manager: Manager) -> None:
        """Cancelled, as when the Lease is lost, the work ends at once instead of draining."""
        running = asyncio.ensure_future(manager.run())
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            manager.stop_now()
            await asyncio.wait({running})
            raise

    async def _hear(self, ended: asyncio.Event) -> None:
        while not ended.is_set():
            event = await self._moved.get()
            if self._work is not None:
                await self._work.hear(event)

    async def _watch_secrets(self, ended: asyncio.Event) -> None:
        """A Secret that moved wakes those that read it. Only names come over the wire, never content."""
        while not ended.is_set():
            listed = await self._parts.cluster.list("Secret")
            try:
                async for event in self._parts.cluster.watch(["Secret"], resource_version=listed.resource_version):
                    if self._work is not None:
                        self._work.wake_referrers([ObjectRef.of(event.object)])
            except GoneError:
                continue

    async def _resync(self, ended: asyncio.Event) -> None:
        """Lists everything, at first and again and again: a missed move is found, and so is a blind watch."""
        first = True
        while not ended.is_set():
            behind = await self._look_at_all(first=first)
            first = False
            if await _ends_within(ended, _BLIND_SECONDS):
                return
            if self._source.is_stuck(behind):
                self._source.restart()
            await _ends_within(ended, _RESYNC_SECONDS)

    async def _look_at_all(self, *, first: bool) -> dict[ObjectRef, tuple[str, str] | None]:
        """Queues all that a list shows at `first`, later what moved unseen; returns where the watch is behind."""
        behind: dict[ObjectRef, tuple[str, str] | None] = {}
        if self._work is None:
            return behind
        for kind in WATCHED:
            try:
                behind |= await self._look_at_kind(self._work, kind, first=first)
            except (TransientError, ForbiddenError) as error:
                # A kind whose CRD is gone, or a server that is away: the next round looks again.
                _LOGGER.warning("Can't list %s: %s", kind, error.message)
        return behind

    async def _look_at_kind(self, work: Work, kind: str, *, first: bool) -> dict[ObjectRef, tuple[str, str] | None]:
        now: dict[ObjectRef, tuple[str, str]] = {}
        async for page in self._cluster.objects.pages(kind):
            now |= {ObjectRef.of(obj): _seen(obj) for obj in page.items}
            if first:
                work.look_at(kind, page.items)
            else:
                await _catch_up(work, page.items)
        gone = self._source.gone(kind, now)
        for ref in gone:
            self._source.forget(ref)
        work.wake(Request(ref) for ref in gone if kind in RECONCILED)
        return self._source.behind(now)


async def _catch_up(work: Work, listed: Iterable[JsonObject]) -> None:
    """An event that never came is made up; one that did wakes nobody again."""
    for obj in listed:
        await work.hear(WatchEvent("MODIFIED", obj))


async def _ends_within(ended: asyncio.Event, seconds: float) -> bool:
    """Waits that long; True where the end came first."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await ended.wait()
    return ended.is_set()


def _seen(obj: JsonObject) -> tuple[str, str]:
    return obj["metadata"]["uid"], obj["metadata"]["resourceVersion"]


def _pod_namespace(environ: Mapping[str, str] = os.environ) -> str:
    try:
        return _POD_NAMESPACE.read_text(encoding="utf-8").strip()
    except OSError:
        return environ.get("POD_NAMESPACE") or _DEFAULT_NAMESPACE


async def _forward(stop: asyncio.Event, manager: Manager) -> None:
    await stop.wait()
    manager.stop()
