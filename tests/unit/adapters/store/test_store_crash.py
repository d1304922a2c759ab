"""kill -9 at any moment loses no row that was acknowledged, and leaves a whole chain."""

import itertools
import signal
import subprocess
import sys
from pathlib import Path

from tests.fakes.store import StorePlace
from tests.soak import SOAKING

from setpoint.domain.audit import Verdict

ROUNDS = 10 if SOAKING else 3
_ACKNOWLEDGED = 25
_CHILD = """
import asyncio, sys
from pathlib import Path
from setpoint.api.meta import ObjectRef
from setpoint.domain.audit import AuditEntry, Phase
from setpoint.ports import StoredObject
from tests.fakes.store import open_sql_stores, state_file

async def work(stores, worker):
    number = 0
    while True:
        number += 1
        entry = AuditEntry("Applied", Phase.FACT, "me", run=f"{sys.argv[2]}-{worker}-{number}", payload={"n": number})
        if worker == 0:
            obj = StoredObject(ObjectRef("K", "n", entry.run), "u", 1, "{}")
            await stores.objects.put(obj, expected_version=None, audit=[entry])
        else:
            await stores.trail.append(entry)
        print(entry.run, flush=True)

async def main():
    async with open_sql_stores(Path(sys.argv[1]), sys.argv[3]) as stores:
        await asyncio.gather(*(work(stores, worker) for worker in range(4)))

asyncio.run(main())
"""


def start(place: StorePlace, turn: int) -> "subprocess.Popen[bytes]":
    """A process that writes for ever, and says what is durable."""
    command = [sys.executable, "-c", _CHILD, str(place.folder), str(turn), place.url]
    root = Path(__file__).parents[4]
    environment = {"PYTHONPATH": f"{root}:{root}/operator"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root, env=environment)


def listen_and_kill(child: "subprocess.Popen[bytes]", lines: int) -> list[str]:
    """Kills a writer after so many lines; returns what it said was durable."""
    with child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(lines)]
        child.send_signal(signal.SIGKILL)
        said += child.stdout.read().splitlines(keepends=True)
    return [line.decode().strip() for line in said if line.endswith(b"\n")]


async def check(place: StorePlace, acknowledged: set[str]) -> None:
    """Asserts that all that was said to be durable is there, and that the chain is whole."""
    async with place.open() as stores:
        report = await stores.trail.verify()
        rows = await stores.trail.rows(limit=1_000_000)
        objects = await stores.objects.list("K")
    assert report.verdict is Verdict.INTACT, report
    runs = {row.entry.run for row in rows}
    assert acknowledged <= runs
    assert {item.ref.name for item in objects.items} == {run for run in runs if run.split("-")[1] == "0"}


async def test_no_acknowledged_row_is_lost(store_place: StorePlace) -> None:
    async with store_place.open():
        pass
    acknowledged: set[str] = set()
    for turn in range(ROUNDS):
        acknowledged.update(listen_and_kill(start(store_place, turn), _ACKNOWLEDGED + 7 * turn))
        await check(store_place, acknowledged)
    assert len(acknowledged) >= ROUNDS * _ACKNOWLEDGED


async def test_two_processes_write_one_chain(store_place: StorePlace) -> None:
    async with store_place.open():
        pass
    writers = [start(store_place, turn) for turn in range(2)]
    acknowledged = [listen_and_kill(writer, 4 * _ACKNOWLEDGED) for writer in writers]
    await check(store_place, set(itertools.chain.from_iterable(acknowledged)))
