"""No-drift passes of the operator on a real API server, against the bare tool in the same run.

    python benchmarks/cluster_environments.py [ENVIRONMENTS]

Each environment has ten `terraform_data` resources. The bare side is that of no_drift.py: `terraform init, plan,
show -json` on local state, the best of several numbers of workers. Our side is one leading operator with its defaults:
people ask for a look at all environments by an annotation, and the time ends when the last of them says that it was
looked at. CPU is the operator's alone and without the API server's; its Terraform is shown apart. A last round starts
the operator anew as after an upgrade, when it looks at all without being asked. The audit log counts the writes.
"""

import asyncio
import dataclasses
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import _cluster
from _homes import CODE
from no_drift import WORKERS, lay_out_bare, run_bare, timed
from tests.cluster.apiserver import ApiServer
from tests.cluster.operators import Operator

from setpoint.adapters.kube import KubeCluster
from setpoint.adapters.store import NAME, SqlObservations, open_sqlite
from setpoint.api.meta import RECONCILE_ANNOTATION, JsonObject, ObjectRef

_WANTED = 1.0


@dataclasses.dataclass(slots=True)
class Round:
    """Seconds of wall clock and CPU, and writes, of one look at all environments."""

    seconds: float
    own: float
    terraform: float
    writes: int


def environment(name: str) -> JsonObject:
    spec = {"stage": "bench", "interval": "1h", "apply": {"mode": "Auto"}, "source": {"inline": {"main.tf": CODE}}}
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Environment", "metadata": metadata, "spec": spec}


def is_ready(obj: JsonObject) -> bool:
    conditions = (obj.get("status") or {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


async def all_seen(cluster: KubeCluster, seen: Callable[[JsonObject], bool], count: int) -> None:
    """Waits until that many environments are so; told by a watch, which costs the operator nothing."""
    listed = await cluster.list("Environment")
    names = {item["metadata"]["name"] for item in listed.items if seen(item)}
    if len(names) >= count:
        return
    async for event in cluster.watch(["Environment"], resource_version=listed.resource_version):
        if seen(event.object):
            names.add(event.object["metadata"]["name"])
        if len(names) >= count:
            return


class Side:
    """Our side of the comparison."""

    def __init__(
        self, server: ApiServer, operator: Operator, state: Path, cluster: KubeCluster, names: list[str]
    ) -> None:
        self._server = server
        self._state = state
        self._operator = operator
        self._cluster = cluster
        self._names = names

    async def look(self, word: str) -> Round:
        """Asks for a look at all environments."""
        requests, before = _cluster.Requests(self._server), _cluster.cpu(self._operator.process)
        began = time.monotonic()
        waiting = asyncio.create_task(all_seen(self._cluster, lambda obj: _handled(obj) == word, len(self._names)))

        async def ask(name: str) -> None:
            await self._cluster.annotate(ObjectRef("Environment", "default", name), {RECONCILE_ANNOTATION: word})

        await _cluster.write_all(self._names, ask)  # type: ignore[arg-type]
        await asyncio.wait_for(waiting, _cluster.MAX_WAIT)
        seconds = time.monotonic() - began
        after = _cluster.cpu(self._operator.process)
        return Round(seconds, after[0] - before[0], after[1] - before[1], requests.of("setpoint", writes=True))

    async def start_anew(self) -> tuple[float, int]:
        """Seconds from the Lease to the end of a first look at all environments, and writes meanwhile."""
        self._operator.process.stop()
        database = open_sqlite(self._state / NAME, self._state / "keys" / "blobs.key")
        await asyncio.gather(*(SqlObservations(database).forget(f"environment/default/{name}") for name in self._names))
        await database.close()
        self._operator.process.log.unlink()
        requests = _cluster.Requests(self._server)
        self._operator.process.start()
        await asyncio.to_thread(_cluster.wait_until, lambda: _cluster.has_led(self._operator), every=0.02)
        began = time.monotonic()
        done = 'setpoint_reconcile_total{controller="Environment",result="requeue_after"}'
        await asyncio.to_thread(_cluster.wait_until, lambda: self._operator.metric(done) >= len(self._names), every=0.3)
        return time.monotonic() - began, requests.of("setpoint", writes=True)


def _handled(obj: JsonObject) -> str:
    return str((obj.get("status") or {}).get("handledReconcile", ""))


async def bare_cpu(folders: list[Path], workers: int) -> tuple[float, float]:
    """Wall clock and CPU-seconds of one round of the bare loop."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = await timed(run_bare(folders, workers))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


async def compare(server: ApiServer, folder: Path, count: int) -> int:
    bare = [lay_out_bare(folder / "bare", number) for number in range(count)]
    await run_bare(bare, 4, apply=True)
    names = [f"e{number}" for number in range(count)]
    state = folder / "state"
    with _cluster.leading(_cluster.operator(server, folder, "operator", state_dir=str(state))) as operator:
        async with _cluster.people(server) as (cluster, _):
            await _cluster.write_all(map(environment, names), cluster.create)
            began = time.monotonic()
            await asyncio.wait_for(all_seen(cluster, is_ready, count), _cluster.MAX_WAIT)
            applied = time.monotonic() - began
            side = Side(server, operator, state, cluster, names)
            theirs: list[tuple[float, float]] = []
            ours: list[Round] = []
            for workers in WORKERS:
                theirs.append(await bare_cpu(bare, workers))
                ours.append(await side.look(f"with-{workers}"))
            first, first_writes = await side.start_anew()
    return report(count, theirs, ours, applied, (first, first_writes))


def report(
    count: int, theirs: list[tuple[float, float]], ours: list[Round], applied: float, first: tuple[float, int]
) -> int:
    bare_rate, rate = (60 * count / min(seconds) for seconds in ([t[0] for t in theirs], [o.seconds for o in ours]))
    best = min(ours, key=lambda one: one.own + one.terraform)
    own, terraform = best.own / count, best.terraform / count
    writes = max(one.writes for one in ours) / count
    print(f"environments                        {count} of 10 resources; first applied in {applied:.0f} s")
    print(f"bare loop, best of {WORKERS}     {bare_rate:.0f} a minute, {min(t[1] for t in theirs) / count:.3f} CPU-s")
    print(f"operator                            {rate:.0f} a minute (tofu-controller 37 to 170)")
    print(f"ratio                               {rate / bare_rate:.2f} (at least {_WANTED})")
    print(f"CPU-s an object                     {own + terraform:.3f}: operator {own:.3f}, Terraform {terraform:.3f}")
    print("                                    (tofu-controller 0.47 to 0.68)")
    print(f"API writes an object, asked for     {writes:.2f} (tofu-controller 11 to 13)")
    print(f"the same at a start                 {first[1] / count:.2f}; all looked at {first[0]:.1f} s after the Lease")
    print("For RESULTS.md:")
    print(
        f"| No-drift passes over {count} environments of 10 resources on a real API server, against the bare loop "
        f"| at least 1.0 times | {rate / bare_rate:.2f} times ({rate:.0f} against {bare_rate:.0f} a minute) "
        "| `python benchmarks/cluster_environments.py` |"
    )
    print(
        f"| CPU and API writes of such a pass; tofu-controller v0.16.5: 0.47 to 0.68 CPU-s, 11 to 13 writes | less "
        f"| {own + terraform:.3f} CPU-s, of it {own:.3f} the operator's own; {writes:.0f} where asked for by an "
        f"annotation, {first[1] / count:.0f} at a start or an interval | the same |"
    )
    return 0 if rate / bare_rate >= _WANTED else 1


def main(count: int = 60) -> int:
    with _cluster.serving() as (server, folder):
        return asyncio.run(compare(server, folder, count))


if __name__ == "__main__":
    sys.exit(main(*(int(word) for word in sys.argv[1:])))
