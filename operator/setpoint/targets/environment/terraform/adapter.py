"""Owns the port Terraform: puts binaries, bundles, sessions and abandoned runs together."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setpoint.ports import BlobStore, SourceTree
from setpoint.runtime.memory import MemoryGroup
from setpoint.targets.environment.ports import AbandonedRun, Bundle, EngineVersion, RunInputs
from setpoint.targets.environment.state_ports import StateBackend
from setpoint.targets.environment.terraform import abandoned_runs
from setpoint.targets.environment.terraform.binaries import Binaries
from setpoint.targets.environment.terraform.bundles import BundleMaker, module_secrets
from setpoint.targets.environment.terraform.environment import RunEnvironment
from setpoint.targets.environment.terraform.room import Room
from setpoint.targets.environment.terraform.session import Session
from setpoint.targets.environment.terraform.watchdog import NoWatchdog, Watchdog
from setpoint.targets.environment.terraform.workfolder import WorkFolder


@dataclasses.dataclass(frozen=True, slots=True)
class TerraformOptions:
    """The settings for Terraform. `root` is the home's private folder, `memory` what all runs share; None: no limit."""

    root: Path
    terraform: Path | None = None
    tofu: Path | None = None
    mirror: Path | None = None
    passthrough: tuple[str, ...] = ()
    memory: MemoryGroup | None = None


class TerraformAdapter:
    """Implements ports.Terraform. `register_secrets` hears of every secret value before a run can print it.

    `register_addresses` hears of the addresses that each plan tells.
    """

    def __init__(
        self,
        options: TerraformOptions,
        *,
        blobs: BlobStore,
        backend: StateBackend,
        register_secrets: Callable[[Collection[str]], None],
        register_addresses: Callable[[Collection[str]], None] = lambda _: None,
        watchdog: Watchdog = NoWatchdog(),  # noqa: B008 has no state
    ) -> None:
        self._root = options.root
        self._blobs = blobs
        self._backend = backend
        self._register_secrets = register_secrets
        self._register_addresses = register_addresses
        self._watchdog = watchdog
        self._environment = RunEnvironment(options.root, options.mirror, options.passthrough)
        self._environment.prepare()
        self._binaries = Binaries({"terraform": options.terraform, "opentofu": options.tofu}, self._environment.base())
        self._init_lock = asyncio.Lock()
        self._room = Room(options.memory)
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="setpoint-terraform")
        self._bundles = BundleMaker(options.root, blobs, self._environment, self._init_lock, self._threads)

    async def close(self) -> None:
        """Ends the threads; what they have begun they finish."""
        self._threads.shutdown(wait=False)

    async def engine(self, inputs: RunInputs) -> EngineVersion:
        """The binary for these inputs."""
        return (await self._binaries.locate(inputs, self._threads)).version

    async def bundle(self, target: str, tree: SourceTree, inputs: RunInputs) -> Bundle:
        """The immutable bundle of a source; made once."""
        del target
        self._register_secrets(module_secrets(inputs))
        binary = await self._binaries.locate(inputs, self._threads)
        return await self._bundles.make(tree, inputs, binary.words, binary.version)

    async def bundles(self) -> Mapping[str, str]:
        """The blobs of the bundles that were made here, by the bundles' digests. Some may be gone since."""
        return await self._bundles.index()

    @contextlib.asynccontextmanager
    async def session(self, target: str) -> AsyncIterator[Session]:
        """Waits for the target's work folder and holds it."""
        async with WorkFolder(self._root, target).held() as folder:
            session = Session(
                root=self._root,
                target=target,
                folder=folder,
                blobs=self._blobs,
                backend=self._backend,
                binaries=self._binaries,
                environment=self._environment,
                init_lock=self._init_lock,
                room=self._room,
                threads=self._threads,
                register_secrets=self._register_secrets,
                register_addresses=self._register_addresses,
                watchdog=self._watchdog,
            )
            try:
                yield session
            finally:
                session.close()

    async def settle(self) -> tuple[AbandonedRun, ...]:
        """Ends the runs of a killed manager and tells what they did."""
        return await abandoned_runs.settle(self._root)

    def set_errored_state_aside(self, run: str, target: str) -> Path:
        """Keeps the state of a settled run, which the store refused, out of the way."""
        return WorkFolder(self._root, target).set_errored_state_aside(run)

    def forget(self, run: str, target: str) -> None:
        """Drops what was kept of a settled run: its outcome and its state are on record."""
        WorkFolder(self._root, target).drop_errored_state()
        abandoned_runs.forget(self._root, run)
