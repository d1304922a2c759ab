"""What resting objects cost an operator on a real API server: memory, a first pass, and writes and CPU in the quiet.

    python benchmarks/cluster_resting.py [OBJECTS] [QUIET_SECONDS]

Memory is over the same operator with no object. The server's own audit log counts the writes.
"""

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import psutil
from tests.cluster.apiserver import NAMESPACE, ApiServer
from tests.cluster.operators import Operator

from setpoint.adapters.kube import ConnectionOptions, KubeCluster, connect

ROOT = Path(__file__).parents[1]
WRITERS = 16
NOW = "2026-01-01T00:00:00Z"


class NoTrail:
    async def append(self, *_entries: object) -> tuple[int, ...]:
        return ()


async def fill(server: ApiServer, count: int) -> None:
    """Suspended Environments that say so already: nothing is left to do for them."""
    options = ConnectionOptions(kubeconfig=server.kubeconfig(), reads_a_second=10_000, writes_a_second=10_000)
    async with connect(options) as connection:
        cluster = KubeCluster(connection, NoTrail())  # type: ignore[arg-type]
        numbers = iter(range(count))

        async def write() -> None:
            for number in numbers:
                created = await cluster.create(environment(number))
                await cluster.update_status({**created, "status": resting(created["metadata"]["generation"])})

        await asyncio.gather(*(write() for _ in range(WRITERS)))


def environment(number: int) -> dict[str, object]:
    spec = {"stage": "dev", "suspend": True, "source": {"inline": {"main.tf": 'resource "terraform_data" "a" {}\n'}}}
    metadata = {"name": f"rest-{number:05d}", "namespace": "default", "finalizers": ["setpoint.dev/finalizer"]}
    return {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Environment", "metadata": metadata, "spec": spec}


def resting(generation: int) -> dict[str, object]:
    condition = {"type": "Ready", "status": "Unknown", "reason": "Suspended", "observedGeneration": generation}
    return {"observedGeneration": generation, "conditions": [{**condition, "message": "", "lastTransitionTime": NOW}]}


def measure(server: ApiServer, folder: Path, name: str, objects: int) -> tuple[Operator, float, float]:
    """An operator once it has seen all objects; (it, seconds that took, RSS in bytes)."""
    operator = Operator(server, folder, name)
    began = time.monotonic()
    operator.process.start()
    operator.process.wait_ready()
    while not (operator.leads() and operator.series("setpoint_target_info{") >= objects):
        time.sleep(1)  # a scrape of all targets is work, too
    took = time.monotonic() - began
    time.sleep(10)
    return operator, took, psutil.Process(operator.process.pid).memory_info().rss


def main(objects: int = 10_000, quiet: float = 120.0) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = ApiServer(folder)
        server.start()
        try:
            server.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
            server.kubectl("create", "namespace", NAMESPACE)
            empty, _, base = measure(server, folder, "empty", 0)
            empty.close()
            asyncio.run(fill(server, objects))
            operator, took, rss = measure(server, folder, "full", objects)
            process = psutil.Process(operator.process.pid)
            before, cpu = server.audit_log.stat().st_size, sum(process.cpu_times()[:2])
            time.sleep(quiet)
            busy = sum(process.cpu_times()[:2]) - cpu
            with server.audit_log.open("rb") as log:
                log.seek(before)
                moved = [json.loads(line) for line in log if line.endswith(b"\n")]
            written = [e for e in moved if e["verb"] in {"create", "update", "patch", "delete"}]
            others = [e for e in written if e["objectRef"]["resource"] != "leases"]
            operator.close()
        finally:
            server.stop()
    print(f"objects                         {objects}")
    print(f"RSS, empty operator             {base / 2**20:.0f} MiB")
    print(f"RSS each over empty             {(rss - base) / objects / 1024:.1f} KiB (at most 14)")
    print(f"start and first pass            {took:.1f} s (first pass at most 30)")
    print(f"writes in {quiet:.0f} quiet seconds      {len(others)} besides {len(written) - len(others)} to Leases (0)")
    print(f"CPU in the quiet                {100 * busy / quiet:.2f} % of a core (at most 2)")


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
