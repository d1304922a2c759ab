"""kill -9 at any moment loses no row that was acknowledged, and leaves a whole chain."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fakes.store import make_fresh, open_sql_stores

from setpoint.domain.audit import Verdict

ROUNDS = 10
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
    async with open_sql_stores(Path(sys.argv[1])) as stores:
        await asyncio.gather(*(work(stores, worker) for worker in range(4)))

asyncio.run(main())
"""


def run_and_kill(folder: Path, turn: int) -> list[str]:
    """Starts a writer, kills it while it writes; returns what it said was durable."""
    command = [sys.executable, "-c", _CHILD, str(folder), str(turn)]
    root = Path(__file__).parents[4]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd=root, env={"PYTHONPATH": f"{root}:{root}/operator"}
    ) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(_ACKNOWLEDGED + 7 * turn)]
        child.send_signal(signal.SIGKILL)
        said += child.stdout.read().splitlines(keepends=True)
    return [line.decode().strip() for line in said if line.endswith(b"\n")]


@pytest.mark.timeout(120)
async def test_no_acknowledged_row_is_lost(tmp_path: Path) -> None:
    make_fresh(tmp_path)
    acknowledged: set[str] = set()
    for turn in range(ROUNDS):
        acknowledged.update(run_and_kill(tmp_path, turn))
        async with open_sql_stores(tmp_path) as stores:
            report = await stores.trail.verify()
            rows = await stores.trail.rows(limit=1_000_000)
            objects = await stores.objects.list("K")
        assert report.verdict is Verdict.INTACT, report
        runs = {row.entry.run for row in rows}
        assert acknowledged <= runs
        assert {item.ref.name for item in objects.items} == {run for run in runs if run.split("-")[1] == "0"}
    assert len(acknowledged) >= ROUNDS * _ACKNOWLEDGED
