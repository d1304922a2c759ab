"""What resting objects cost an operator on a real API server: memory, a first pass, and writes and CPU in the quiet.

    python benchmarks/cluster_resting.py [OBJECTS] [QUIET_SECONDS]

Memory is over the same operator with no object, after as long. The server's own audit log counts the writes.
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

SETTLE_SECONDS = 60.0
"""From the first pass on: with the first resync, 30 s after the start, in it."""
PASS_SECONDS = 300.0
_RESTING = 'setpoint_targets{kind="Environment",ready="Unknown",reason="Suspended"}'


async def fill(server: ApiServer, objects: int) -> None:
    async with _cluster.people(server) as (cluster, _):
        await _cluster.create_resting(cluster, (f"rest-{number:05d}" for number in range(objects)))


@contextlib.contextmanager
def settled(server: ApiServer, folder: Path, name: str, objects: int) -> Iterator[tuple[Operator, float]]:
    """An operator that has looked at all objects and come to rest, with the seconds from leading to having looked."""
    with _cluster.leading(_cluster.operator(server, folder, name)) as operator:
        began = time.monotonic()
        while operator.metric(_RESTING) < objects:
            if time.monotonic() - began > PASS_SECONDS:
                raise TimeoutError(f"not all looked at within {PASS_SECONDS:.0f} s")
            time.sleep(0.2)
        took = time.monotonic() - began
        time.sleep(SETTLE_SECONDS)
        yield operator, took


def busy_in(operator: Operator, seconds: float) -> float:
    """CPU-seconds within that time."""
    before = _cluster.cpu(operator.process)[0]
    time.sleep(seconds)
    return _cluster.cpu(operator.process)[0] - before


def main(objects: int = 10_000, quiet: float = 600.0) -> None:
    with _cluster.serving() as (server, folder):
        with settled(server, folder, "empty", 0) as (operator, _):
            base = _cluster.rss(operator.process)
        asyncio.run(fill(server, objects))
        with settled(server, folder, "full", objects) as (operator, took):
            rss = _cluster.rss(operator.process)
            asked = _cluster.Requests(server)
            busy = busy_in(operator, quiet)
            written = asked.of("setpoint", writes=True)
    print(f"objects                         {objects}")
    print(f"RSS, empty operator             {base / 2**20:.0f} MiB")
    print(f"RSS, full operator              {rss / 2**20:.0f} MiB")
    print(f"RSS each over empty             {(rss - base) / objects / 1024:.1f} KiB (at most 14)")
    print(f"first pass                      {took:.1f} s (at most 30)")
    print(f"writes in {quiet:.0f} quiet seconds      {written} besides those to Leases (0)")
    print(f"CPU in the quiet                {100 * busy / quiet:.2f} % of a core (at most 2)")


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
