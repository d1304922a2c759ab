"""Cost of resting objects to an operator on a real API server: memory, a first pass, and writes and CPU in the quiet.

    python benchmarks/cluster_resting.py [OBJECTS] [QUIET_SECONDS]

The objects are ordinary Environments whose interval does not fall due: a first operator plans each (20 a second), and
what is measured is the one that leads after it. Memory is over the same operator with no object, after as long. The
server's own audit log counts the writes.
"""

import asyncio
import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import _cluster
from tests.cluster.apiserver import ApiServer
from tests.cluster.operators import Operator

from setpoint.api.meta import FINALIZER, JsonObject

SETTLE_SECONDS = 60.0
"""From the first pass on: with the first resync, 30 s after the start, in it."""
PASS_SECONDS = 300.0
FILL_SECONDS = 3600.0
_RESTING = 'setpoint_targets{kind="Environment",ready="True",reason="AtSetpoint"}'
_FAST = {"api_writes": "200"}


async def create(server: ApiServer, objects: int) -> None:
    """Environments that have nothing to make, and so are at their setpoint once they were planned."""
    async with _cluster.people(server) as (cluster, _):
        await _cluster.write_all((_environment(f"rest-{number:05d}") for number in range(objects)), cluster.create)


def _environment(name: str) -> JsonObject:
    source = {"inline": {"main.tf": 'locals { name = "' + name + '" }\n'}}
    spec = {"stage": "dev", "interval": "24h", "engine": {"lockFile": "Generate"}, "source": source}
    metadata = {"name": name, "namespace": "default", "finalizers": [FINALIZER]}
    return {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Environment", "metadata": metadata, "spec": spec}


def await_looks(operator: Operator, objects: int, seconds: float) -> float:
    """Waits until the metrics show all of them at their setpoint; returns how many seconds it took."""
    began = time.monotonic()
    while operator.metric(_RESTING) < objects:
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"not all looked at within {seconds:.0f} s: {operator.metric(_RESTING):.0f}")
        time.sleep(0.2)
    return time.monotonic() - began


@contextlib.contextmanager
def settled(server: ApiServer, folder: Path, name: str, objects: int) -> Iterator[tuple[Operator, float]]:
    """An operator that has looked at all objects and come to rest, with the seconds from leading to having looked."""
    with _cluster.leading(_cluster.operator(server, folder, name, state_dir=str(folder / "state"))) as operator:
        took = await_looks(operator, objects, PASS_SECONDS)
        time.sleep(SETTLE_SECONDS)
        yield operator, took


def fill(server: ApiServer, folder: Path, objects: int) -> float:
    """Leaves that many objects looked at; returns the seconds."""
    asyncio.run(create(server, objects))
    with _cluster.leading(
        _cluster.operator(server, folder, "filling", state_dir=str(folder / "state"), **_FAST)
    ) as operator:
        return await_looks(operator, objects, FILL_SECONDS)


def busy_in(operator: Operator, seconds: float) -> float:
    """CPU-seconds within that time."""
    before = _cluster.cpu(operator.process)[0]
    time.sleep(seconds)
    return _cluster.cpu(operator.process)[0] - before


def main(objects: int = 10_000, quiet: float = 600.0) -> None:
    with _cluster.serving() as (server, folder):
        with settled(server, folder, "empty", 0) as (operator, _):
            base = _cluster.rss(operator.process)
        filled = fill(server, folder, objects)
        with settled(server, folder, "full", objects) as (operator, took):
            rss = _cluster.rss(operator.process)
            asked = _cluster.Requests(server)
            busy = busy_in(operator, quiet)
            written = asked.of("setpoint", writes=True)
            passes = operator.total("setpoint_reconcile_total")
    print(f"objects                         {objects}")
    print(f"RSS, empty operator             {base / 2**20:.0f} MiB")
    print(f"RSS, full operator              {rss / 2**20:.0f} MiB")
    print(f"RSS each over empty             {(rss - base) / objects / 1024:.1f} KiB (at most 14)")
    print(f"passes of the operator before   {filled:.0f} s, {60 * objects / filled:.0f} a minute")
    print(f"passes of this one              {passes:.0f} (0)")
    print(f"first pass                      {took:.1f} s (at most 30)")
    print(f"writes in {quiet:.0f} quiet seconds      {written} besides those to Leases (0)")
    print(f"CPU in the quiet                {100 * busy / quiet:.2f} % of a core (at most 2)")


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
