"""From an edit to the reconciler, while many objects are edited: a real API server, and an operator as a process.

    python benchmarks/cluster_edit_latency.py [OBJECTS] [EDITS_A_SECOND] [SECONDS]

The objects are suspended Environments whose annotations others edit from a process of their own: each edit goes
through the watch and the router, and no Terraform runs. Meanwhile the spec of one more, the probe, is edited five
times a second. The time is from the API server's answer to such an edit until the reconciler begins its pass.
"""

import asyncio
import concurrent.futures
import itertools
import multiprocessing
import statistics
import sys
import time
from pathlib import Path

import _cluster
from _pass_begins import WORD
from tests.cluster.apiserver import ApiServer
from tests.cluster.operators import Operator

from setpoint.adapters.kube import ConnectionOptions, KubeCluster, connect
from setpoint.adapters.kube.connection import KubeRequest
from setpoint.api.meta import ObjectRef

PROBE = "probe"
_PAUSE = 0.2
_AT_ONCE = 64
_WANTED = 0.1
_PATH = f"/apis/setpoint.dev/v1alpha1/namespaces/default/environments/{PROBE}"


def churn(kubeconfig: Path, names: list[str], rate: float, seconds: float) -> float:
    """Edits that many objects a second, whatever each edit takes; returns how many a second there were."""
    try:
        return asyncio.run(_churn(kubeconfig, names, rate, seconds))
    except BaseExceptionGroup as errors:
        raise RuntimeError(str(errors.exceptions[0])) from None  # which can cross over to another process


async def _churn(kubeconfig: Path, names: list[str], rate: float, seconds: float) -> float:
    options = ConnectionOptions(kubeconfig=kubeconfig, user_agent="churn", reads_a_second=9e3, writes_a_second=9e3)
    at_once = asyncio.Semaphore(_AT_ONCE)
    async with connect(options) as connection, asyncio.TaskGroup() as group:
        cluster = KubeCluster(connection, _cluster.NoTrail())  # type: ignore[arg-type]

        async def edit(name: str, word: str) -> None:
            await cluster.annotate(ObjectRef("Environment", "default", name), {"example.com/edit": word})
            at_once.release()

        began = time.monotonic()
        for number, name in enumerate(itertools.cycle(names)):
            await asyncio.sleep(began + number / rate - time.monotonic())
            await at_once.acquire()
            if time.monotonic() - began >= seconds:
                break
            group.create_task(edit(name, str(number)))
    return number / (time.monotonic() - began)


async def probe(server: ApiServer, seconds: float) -> list[tuple[float, float]]:
    """Edits the probe again and again; when each edit was sent, and when it was answered."""
    edits: list[tuple[float, float]] = []
    end = time.monotonic() + seconds
    async with _cluster.people(server) as (_, connection):
        while (sent := time.monotonic()) < end:
            body = {"spec": {"variables": {"edit": len(edits)}}}
            await connection.request(
                KubeRequest("PATCH", _PATH, PROBE, body=body, content_type="application/merge-patch+json")
            )
            edits.append((sent, time.monotonic()))
            await asyncio.sleep(_PAUSE)
    return edits


async def measure(server: ApiServer, operator: Operator, names: list[str], rate: float, seconds: float) -> float:
    """Prints latencies; the median in seconds."""
    spawned = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawned) as processes:
        before, began = _cluster.cpu(operator.process)[0], time.monotonic()
        churning = asyncio.get_running_loop().run_in_executor(
            processes, churn, server.kubeconfig(), names, rate, seconds
        )
        await asyncio.sleep(2)
        edits = await probe(server, seconds - 4)
        reached = await churning
        busy = (_cluster.cpu(operator.process)[0] - before) / (time.monotonic() - began)
    await asyncio.sleep(2)
    begun = begins(operator)
    latencies = latencies_of([answered for _, answered in edits], edits, begun)
    sent = statistics.median(latencies_of([sent for sent, _ in edits], edits, begun))
    cuts = statistics.quantiles(latencies, n=100)
    print(f"objects, edits a second         {len(names)}, {reached:.0f}")
    print(f"edits of the probe, and passes  {len(edits)}, {len(latencies)}")
    print(
        f"from answer to pass, ms         p50 {1e3 * cuts[49]:.0f}, p95 {1e3 * cuts[94]:.0f}, p99 {1e3 * cuts[98]:.0f} "
        f"(p50 at most {1e3 * _WANTED:.0f})"
    )
    print(f"from sending to pass, ms        p50 {1e3 * sent:.0f}")
    print(f"CPU of the operator             {100 * busy:.0f} % of a core")
    print("For RESULTS.md:")
    print(
        f"| From the API server's answer to an edit until the reconciler begins, while {len(names):,} objects churn "
        f"at {reached:.0f} edits a second | median at most 100 ms | {1e3 * cuts[49]:.0f} ms; p95 {1e3 * cuts[94]:.0f}, "
        f"p99 {1e3 * cuts[98]:.0f} | `python benchmarks/cluster_edit_latency.py` |"
    )
    return cuts[49]


def begins(operator: Operator) -> list[float]:
    """When passes over the probe began."""
    words = (line.split() for line in operator.process.log.read_text(errors="replace").splitlines())
    return [float(found[2]) for found in words if found[:2] == [WORD, PROBE]]


def latencies_of(since: list[float], edits: list[tuple[float, float]], begun: list[float]) -> list[float]:
    """From each moment to the first pass after the edit was sent, which may begin before the answer has come back."""
    firsts = (next((moment for moment in begun if moment > sent), None) for sent, _ in edits)
    return [begin - moment for moment, begin in zip(since, firsts, strict=True) if begin is not None]


async def compare(server: ApiServer, folder: Path, objects: int, rate: float, seconds: float) -> int:
    names = [f"churn-{number:05d}" for number in range(objects)]
    async with _cluster.people(server) as (cluster, _):
        await _cluster.create_resting(cluster, [*names, PROBE])
    script = Path(__file__).with_name("_pass_begins.py")
    with _cluster.leading(_cluster.operator(server, folder, "operator", script)) as operator:
        await asyncio.sleep(5)
        return 0 if await measure(server, operator, names, rate, seconds) <= _WANTED else 1


def main(objects: int = 1_000, rate: int = 100, seconds: int = 45) -> int:
    with _cluster.serving() as (server, folder):
        return asyncio.run(compare(server, folder, objects, rate, seconds))


if __name__ == "__main__":
    sys.exit(main(*(int(word) for word in sys.argv[1:])))
