"""Owns what cluster benchmarks share: an API server with our CRDs, operators on it, who asked it for what, CPU."""

import asyncio
import collections
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import psutil
from tests.cluster.apiserver import NAMESPACE, ApiServer
from tests.cluster.operators import Operator
from tests.cluster.processes import Process

from setpoint.adapters.kube import ConnectionOptions, KubeCluster, KubeConnection, connect
from setpoint.api.meta import FINALIZER, JsonObject
from setpoint.domain.errors import ConflictError

ROOT = Path(__file__).parents[1]
MAX_WAIT = 60.0
_WRITERS = 16
_WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_LONG_AGO = "2026-01-01T00:00:00Z"


class NoTrail:
    """Objects that a benchmark writes are nobody's to audit."""

    async def append(self, *_entries: object) -> tuple[int, ...]:
        return ()


@contextlib.contextmanager
def serving() -> Iterator[tuple[ApiServer, Path]]:
    """An API server with our CRDs, and a folder for whatever works on it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = ApiServer(folder)
        try:
            server.start()
            server.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
            server.kubectl("wait", "--for=condition=Established", "-f", str(ROOT / "crds"))
            server.kubectl("create", "namespace", NAMESPACE)
            yield server, folder
        finally:
            server.stop()


@contextlib.asynccontextmanager
async def people(server: ApiServer) -> AsyncIterator[tuple[KubeCluster, KubeConnection]]:
    """The API as its users have it: no rate limit, and an agent of their own in the audit log."""
    options = ConnectionOptions(
        kubeconfig=server.kubeconfig(), user_agent="people", reads_a_second=10_000, writes_a_second=10_000
    )
    async with connect(options) as connection:
        yield KubeCluster(connection, NoTrail()), connection  # type: ignore[arg-type]


def operator(server: ApiServer, folder: Path, name: str, script: Path | None = None, **settings: str) -> Operator:
    """A replica that does not run yet, with more settings; started by a script of ours in the place of setpoint."""
    environ = {f"SETPOINT_{key.upper()}": value for key, value in settings.items()}
    made = Operator(server, folder, name, settings=environ)
    if script is not None:
        command = list(made.process.command)
        at = command.index("-m")
        command[at : at + 2] = [str(script)]
        made.process.command = tuple(command)
    return made


@contextlib.contextmanager
def leading(made: Operator) -> Iterator[Operator]:
    """It runs, watches and leads."""
    try:
        made.process.start()
        made.process.wait_ready()
        wait_until(lambda: has_led(made), made.process)
        yield made
    finally:
        made.close()


def has_led(made: Operator) -> bool:
    """True where it has led since its log began, however much it has said since."""
    return made.process.log.exists() and "Leading as" in made.process.log.read_text(errors="replace")


def wait_until(happened: Callable[[], bool], process: Process | None = None, *, every: float = 0.1) -> None:
    """Raises TimeoutError with the end of the log of the process that was waited for."""
    deadline = time.monotonic() + MAX_WAIT
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {MAX_WAIT:.0f} s in vain: {process.said() if process else ''}")
        time.sleep(every)


async def write_all(items: Iterable[JsonObject], write: Callable[[JsonObject], Awaitable[object]]) -> None:
    """Writes them with many writers at once."""
    left = iter(items)

    async def work() -> None:
        for item in left:
            await write(item)

    await asyncio.gather(*(work() for _ in range(_WRITERS)))


async def create_resting(cluster: KubeCluster, names: Iterable[str]) -> None:
    """Suspended Environments whose status says so already: nothing is left to do for them."""

    async def create(obj: JsonObject) -> None:
        created = await cluster.create(obj)
        with contextlib.suppress(ConflictError):  # an operator that runs already was faster
            await cluster.update_status({**created, "status": _resting(created["metadata"]["generation"])})

    await write_all(map(_suspended, names), create)


def _suspended(name: str) -> JsonObject:
    spec = {"stage": "dev", "suspend": True, "source": {"inline": {"main.tf": 'resource "terraform_data" "a" {}\n'}}}
    metadata = {"name": name, "namespace": "default", "finalizers": [FINALIZER]}
    return {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Environment", "metadata": metadata, "spec": spec}


def _resting(generation: int) -> JsonObject:
    condition = {"type": "Ready", "status": "Unknown", "reason": "Suspended", "observedGeneration": generation}
    told = {**condition, "message": "", "lastTransitionTime": _LONG_AGO}
    return {"observedGeneration": generation, "conditions": [told]}


class Requests:
    """The requests to the server since a moment, from its audit log: counts by (agent, verb, resource)."""

    def __init__(self, server: ApiServer) -> None:
        self._log = server.audit_log
        self._begin = self._log.stat().st_size

    def count(self) -> "collections.Counter[tuple[str, str, str]]":
        """Answered requests; a watch counts when it begins."""
        found: collections.Counter[tuple[str, str, str]] = collections.Counter()
        with self._log.open("rb") as log:
            log.seek(self._begin)
            for line in log:
                if not line.endswith(b"\n"):
                    break
                event = json.loads(line)
                if event["stage"] != ("ResponseStarted" if event["verb"] == "watch" else "ResponseComplete"):
                    continue
                agent = event.get("userAgent", "").partition("/")[0]
                found[agent, event["verb"], (event.get("objectRef") or {}).get("resource", "")] += 1
        return found

    def of(self, *agents: str, writes: bool = False) -> int:
        """How many there were of these agents, but to Leases; of writes alone, or all."""
        return sum(
            number
            for (agent, verb, resource), number in self.count().items()
            if agent in agents and resource != "leases" and (verb in _WRITES or not writes)
        )


def cpu(process: Process) -> tuple[float, float]:
    """CPU-seconds of a process so far, and of its children that have ended."""
    times = psutil.Process(process.pid).cpu_times()
    return times.user + times.system, times.children_user + times.children_system


def rss(process: Process) -> int:
    """Bytes."""
    return int(psutil.Process(process.pid).memory_info().rss)
