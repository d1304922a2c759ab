"""Owns opening what drives Environments: Terraform, and the backend that it keeps its states in."""

import contextlib
import dataclasses
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import ClassVar

from setpoint.adapters.health import HttpProber
from setpoint.adapters.source.resolver import SourceResolver
from setpoint.api.v1alpha1.environment import Environment
from setpoint.domain.errors import SetpointError
from setpoint.domain.unreachable import parse_allowed
from setpoint.ports import ClusterClient
from setpoint.runtime.logging import SecretFilter
from setpoint.runtime.memory import memory_group
from setpoint.runtime.metrics import Metrics
from setpoint.settings import Settings
from setpoint.targets.environment.code import CODE
from setpoint.targets.environment.driver import EnvironmentDriver
from setpoint.targets.environment.metrics import STATE_LOCKS
from setpoint.targets.environment.state_backend import StateBackendServer
from setpoint.targets.environment.stores import Stores, open_stores
from setpoint.targets.environment.terraform import NoWatchdog, TerraformAdapter, TerraformOptions, WatchdogProcess
from setpoint.wiring.backends import Backends


@dataclasses.dataclass(frozen=True, slots=True)
class Environments:
    """The target kind Environment of a manager. `threads` take the pure work on large plans off the event loop.

    `watchdog` is there where another manager may take over.
    """

    kind: ClassVar = Environment
    inputs: ClassVar = EnvironmentDriver.inputs
    backends: Backends
    stores: Stores
    sources: SourceResolver
    terraform: TerraformAdapter
    prober: HttpProber
    threads: Executor
    watchdog: WatchdogProcess | None

    def driver(self, cluster: ClusterClient, *, settles: bool = True, lingering: float = 0.0) -> EnvironmentDriver:
        """A driver over a cluster."""
        return EnvironmentDriver(
            cluster=cluster,
            terraform=self.terraform,
            resolver=self.sources,
            states=self.stores.states,
            locks=self.stores.locks,
            blobs=self.backends.blobs,
            prober=self.prober,
            origin_of=self.backends.origin_of,
            threads=self.threads,
            settles=settles,
            lingering=lingering,
        )

    def on_renew(self) -> None:
        """Tells the watchdog, so that it stops no run."""
        if self.watchdog is not None:
            self.watchdog.beat()

    async def source_digest(self, environment: Environment) -> str | None:
        """Of a folder of the home as it is now; a repository is read again at the interval."""
        source = environment.spec.source
        if source.path is None:
            return ""
        try:
            origin = self.backends.origin_of(environment)
            tree = await self.sources.resolve(source, origin=origin, credentials={}, code=CODE)
        except SetpointError:
            # The look itself says what is wrong.
            return None
        return tree.digest


async def open_target(
    stack: contextlib.AsyncExitStack,
    backends: Backends,
    settings: Settings,
    *,
    metrics: Metrics,
    secrets: SecretFilter,
    sources: SourceResolver,
) -> Environments:
    """Opens the kind; the stack closes it."""
    stores = stack.enter_context(open_stores(backends))
    show_locks = metrics.gauge(STATE_LOCKS)
    backend = StateBackendServer(stores.states, stores.locks, count_locks=lambda held: show_locks("held", value=held))
    await stack.enter_async_context(backend.serving())
    watchdog = None if backends.lead is None else WatchdogProcess(backends.lead.silence, backends.lead.patience)
    if watchdog is not None:
        stack.push_async_callback(watchdog.close)
    options = TerraformOptions(
        backends.private,
        settings.terraform,
        settings.tofu,
        settings.terraform_mirror,
        settings.passthrough,
        memory_group(),
    )
    terraform = TerraformAdapter(
        options,
        blobs=backends.blobs,
        backend=backend,
        register_secrets=secrets.add,
        register_addresses=secrets.spare,
        watchdog=watchdog or NoWatchdog(),
    )
    stack.push_async_callback(terraform.close)
    threads = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="setpoint-plans"))
    prober = HttpProber(parse_allowed(settings.health_allow))
    return Environments(backends, stores, sources, terraform, prober, threads, watchdog)
