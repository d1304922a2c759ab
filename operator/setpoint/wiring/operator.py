"""Owns running the manager on a cluster: the watch, the elections, and what this replica works on.

A standby watches and works on nothing. What a leader does with its shard is in wiring.leading.
"""

import asyncio
import dataclasses
import functools
import logging
import os
import secrets as random_bytes
import socket
from collections.abc import Mapping
from pathlib import Path

from setpoint.adapters.kube import ConnectionOptions
from setpoint.api.meta import ObjectRef
from setpoint.domain.errors import SetpointError, TransientError
from setpoint.domain.sharding import Shard, divide
from setpoint.pipeline.routing import WATCHED
from setpoint.ports import WatchEvent
from setpoint.runtime.division import Division
from setpoint.runtime.leader import Elector, LeaseTiming, Sharing
from setpoint.runtime.logging import configure_logging
from setpoint.runtime.manager import Manager, Runnable, ends_within
from setpoint.runtime.metrics import Metrics
from setpoint.runtime.recorder import BufferedEventRecorder
from setpoint.runtime.shares import Shares
from setpoint.runtime.terms import Terms
from setpoint.server.http import serve_http
from setpoint.settings import read_settings
from setpoint.watch import KopfSource, WatchOptions
from setpoint.wiring.backends import Lead
from setpoint.wiring.cluster import ClusterBackends, open_cluster
from setpoint.wiring.leading import KILL_SECONDS, Leading
from setpoint.wiring.leases import lease_of
from setpoint.wiring.resync import Resync
from setpoint.wiring.secret_watch import SecretWatch
from setpoint.wiring.services import Services, open_services
from setpoint.wiring.standing import StoreWatch
from setpoint.wiring.work import Work

_LOGGER = logging.getLogger(__name__)

_BLIND_SECONDS = 30.0
_BLIND_LIMIT_SECONDS = 300.0
_HESITATION_SECONDS = 0.5
"""For each shard that a replica has, it leaves a free one that much longer to those who have fewer."""
_RETRY_SECONDS = 2.0
"""The server is asked whom a move concerns, and may be away: an approval doesn't wait for the next resync."""
_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_DEFAULT_NAMESPACE = "setpoint-system"


@dataclasses.dataclass(frozen=True, slots=True)
class OperatorOptions:
    """The options of an operator on the command line; the settings say the rest."""

    context: str | None = None
    kubeconfig: Path | None = None
    namespaces: str | None = None
    shards: int | None = None
    listen: str | None = None
    log_format: str | None = None


class WatchLostError(SetpointError):
    """There was no live watch for too long: what moves on the cluster goes unseen."""


async def run_operator(options: OperatorOptions, stop: asyncio.Event) -> None:
    """Runs until `stop` is set and all work is drained. Raises SetpointError where it can't go on."""
    settings = read_settings(
        listen=options.listen, log_format=options.log_format, namespaces=options.namespaces, shards=options.shards
    )
    hidden = configure_logging(format=settings.log_format, level=settings.log_level.upper())
    connection = ConnectionOptions(
        context=options.context,
        kubeconfig=options.kubeconfig,
        reads_a_second=settings.api_reads,
        writes_a_second=settings.api_writes,
    )
    identity = settings.identity or f"{socket.gethostname()}-{random_bytes.token_hex(4)}"
    lead, metrics = Lead(LeaseTiming().renew_deadline, KILL_SECONDS), Metrics()
    async with (
        open_cluster(connection, settings, identity=identity, metrics=metrics, secrets=hidden, lead=lead) as backends,
        open_services(backends, settings, metrics, hidden) as services,
    ):
        await Operator(backends, services, identity).run(stop)


class Operator:
    """One replica."""

    def __init__(self, backends: ClusterBackends, services: Services, identity: str) -> None:
        self._backends = backends
        self._metrics = metrics = services.metrics
        self._settings = settings = services.settings
        self._recorder = BufferedEventRecorder(
            backends.events, clock=backends.clock, metrics=metrics, redact=services.secrets.redact
        )
        self._source = KopfSource(
            WatchOptions(WATCHED, settings.served_namespaces),
            credentials=backends.connection.credentials,
            deliver=self._deliver,
            on_start=self._await_server,
            count_restart=metrics.count_watch_restart,
        )
        metrics.observe_watch(self._source.seconds_dead)
        for shard in divide(settings.shards):
            metrics.set_leader(shard.label, False)
        self._moved: asyncio.Queue[WatchEvent] = asyncio.Queue()
        self._terms = Terms()
        self._work = Work(services, self._recorder, terms=self._terms)
        self._secrets = SecretWatch(
            backends.cluster, on_list=self._work.know_secrets, on_move=self._work.on_secret_event
        )
        self._resync = Resync(
            backends.cluster, self._source, self._secrets, self._work, interval=settings.resync_seconds
        )
        self._leading = Leading(backends, services, self._terms, self._work, self._resync)
        self._electors = self._make_electors(services, identity)

    def _make_electors(self, services: Services, identity: str) -> Mapping[str, Elector]:
        """One for each shard, by its Lease."""
        leases = self._backends.leases(self._settings.lease_namespace or _pod_namespace())
        division, shares = Division(leases, self._settings.shards), Shares(identity)
        return {
            lease_of(shard): Elector(
                leases[lease_of(shard)],
                identity,
                lead=functools.partial(self._leading.lead, shard),
                on_change=functools.partial(self._change_leader, shares, shard),
                on_renew=services.on_renew,
                sharing=Sharing(
                    shards=shard.count,
                    hesitate=lambda: _HESITATION_SECONDS * len(self._terms),
                    agrees=division.agrees,
                    wants=functools.partial(shares.wants, shard),
                    is_idle=functools.partial(self._terms.is_idle, shard),
                ),
            )
            for shard in divide(self._settings.shards)
        }

    def _change_leader(self, shares: Shares, shard: Shard, leads: bool) -> None:
        self._metrics.set_leader(shard.label, leads)
        if leads:
            shares.take(shard)

    async def run(self, stop: asyncio.Event) -> None:
        """Serves, watches, stands by and leads. Stops in reverse: the leaders first, who drain and give back."""
        manager = Manager(
            [
                Runnable("events", self._recorder.run, grace=5.0),
                Runnable("watch", self._source.run, grace=15.0),
                Runnable("watch check", self._check_watch),
                Runnable("store", StoreWatch(self._backends.audit).run),
                *self._work.runnables(),
                Runnable("moves", self._follow_moves),
                Runnable("resync", self._resync.run),
                Runnable("secrets", self._secrets.run, restart=True),
                Runnable("leader", self._lead, grace=self._settings.drain_seconds + 5.0),
            ]
        )
        stopping = asyncio.create_task(manager.stop_on(stop))
        try:
            live, ready = self._work.live(), {"watch": self._check_watching}
            async with serve_http(self._settings.listen, metrics=self._metrics, live=live, ready=ready):
                await manager.run()
        finally:
            stopping.cancel()

    async def _lead(self, ended: asyncio.Event) -> None:
        """All at once: a stop drains all shards in the time that it gives to one. The first that crashes ends all."""
        try:
            async with asyncio.TaskGroup() as group:
                for name, elector in self._electors.items():
                    group.create_task(elector.run(ended), name=name)
        except* Exception as crashes:  # noqa: BLE001 nothing is caught: the group is unwrapped
            raise crashes.exceptions[0] from None

    def _check_watching(self) -> str:
        dead = self._source.seconds_dead()
        return f"no live watch for {dead:.0f} s" if dead > _BLIND_SECONDS else ""

    # --- The watch ----------------------------------------------------------------------------------------------

    async def _await_server(self) -> None:
        """Kopf that connects while the API server still boots stays blind for ever: we ask first, and list."""
        await self._backends.connection.text("/readyz")
        for kind in WATCHED:
            async for _ in self._backends.cluster.pages(kind):
                break

    def _deliver(self, event: WatchEvent) -> None:
        if self._terms:
            self._moved.put_nowait(event)

    async def _check_watch(self, ended: asyncio.Event) -> None:
        """Ends the process where the watch is dead for so long that a new process is the better hope."""
        while not await ends_within(ended, _BLIND_SECONDS):
            if self._source.seconds_dead() > _BLIND_LIMIT_SECONDS:
                raise WatchLostError(f"no live watch for {_BLIND_LIMIT_SECONDS:.0f} s")

    async def _follow_moves(self, ended: asyncio.Event) -> None:
        while not ended.is_set():
            event = await self._moved.get()
            try:
                await self._work.on_event(event)
            except TransientError as error:
                _LOGGER.warning("%s is routed again: %s", ObjectRef.of(event.object), error.message)
                asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._deliver, event)
            except SetpointError as error:
                # The next resync makes it up.
                _LOGGER.warning("%s waits for the next list: %s", ObjectRef.of(event.object), error.message)


def _pod_namespace(environ: Mapping[str, str] = os.environ) -> str:
    try:
        return _POD_NAMESPACE.read_text(encoding="utf-8").strip()
    except OSError:
        return environ.get("POD_NAMESPACE") or _DEFAULT_NAMESPACE
