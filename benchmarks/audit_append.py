"""Audit appends through AuditTrail against a bare sqlite3 group commit, as a ratio measured in one run.

    python benchmarks/audit_append.py [--quick]

Both write the same tables with the same rows, pragmas and durability: a producer goes on when its row is on the disk,
rows that wait share one COMMIT. The bare side gets threads as producers and rows that were made beforehand: it encodes
nothing, hashes nothing, and uses no SQLAlchemy. The other side gets tasks, and makes headers, salts, commitments and
the hash chain as it does in the product. Sides alternate; the ratio is the median over the rounds.
"""

import argparse
import asyncio
import datetime as dt
import itertools
import os
import queue
import sqlite3
import statistics
import tempfile
import threading
import time
from pathlib import Path

from setpoint.adapters.store import NAME, AuditTrail, Database
from setpoint.api.meta import ObjectRef
from setpoint.domain.audit import AuditEntry, Phase, draft

TARGET = 0.9
PRODUCERS = (8, 128)


class SystemClock:
    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC)


def entry(number: int) -> AuditEntry:
    """What an apply records: three digests and a small payload."""
    return AuditEntry(
        action="Apply",
        phase=Phase.INTENT,
        actor="system:setpoint",
        target=ObjectRef("Environment", "default", f"shop-{number % 60}"),
        run=f"run-{number:012d}",
        digests=dict.fromkeys(("bundle", "content", "subject"), "sha256:" + f"{number:064x}"),
        payload={"summary": "+1 ~1 -0", "addresses": ["terraform_data.a", "terraform_data.b"]},
    )


async def measure_trail(folder: Path, producers: int, seconds: float) -> float:
    database = Database.open(folder / "trail" / NAME)
    trail = AuditTrail(database, SystemClock())
    loop, entries = asyncio.get_running_loop(), itertools.cycle([entry(number) for number in range(60)])
    end = loop.time() + seconds

    async def produce() -> int:
        count = 0
        while loop.time() < end:
            await trail.append(next(entries))
            count += 1
        return count

    start = time.perf_counter()
    done = sum(await asyncio.gather(*(produce() for _ in range(producers))))
    elapsed = time.perf_counter() - start
    report = await trail.verify()
    await database.close()
    assert (report.verdict, report.rows) == ("intact", done), report
    return done / elapsed


def bare_rows(count: int) -> "queue.SimpleQueue[tuple[tuple, tuple]]":
    """Rows of the same sizes; prev is as random as a hash, since its index pays for that."""
    rows: queue.SimpleQueue[tuple[tuple, tuple]] = queue.SimpleQueue()
    made = draft(entry(0), at="2026-01-01T00:00:00.000000Z", salt=bytes(16))
    for seq in range(1, count + 1):
        head = (seq, made.target, f"run-{seq:012d}", made.phase, made.header, *(os.urandom(32) for _ in range(3)))
        rows.put((head, (seq, os.urandom(16), made.body)))
    return rows


def measure_bare(folder: Path, producers: int, seconds: float) -> float:
    path = folder / "bare" / NAME
    database = Database.open(path)
    asyncio.run(database.close())
    rows, waiting, counts = bare_rows(int(seconds * 80_000)), queue.SimpleQueue(), []
    start = time.perf_counter()
    end = start + seconds

    def produce() -> None:
        count, durable = 0, threading.Event()
        while time.perf_counter() < end:
            waiting.put((rows.get_nowait(), durable))
            durable.wait()
            durable.clear()
            count += 1
        counts.append(count)

    writer = threading.Thread(target=bare_writer, args=(path, waiting))
    threads = [threading.Thread(target=produce) for _ in range(producers)]
    for thread in (writer, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - start
    waiting.put(None)
    writer.join()
    return sum(counts) / elapsed


def bare_writer(path: Path, waiting: "queue.SimpleQueue") -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous=FULL")
    while (first := waiting.get()) is not None:
        batch = [first]
        while len(batch) < 256 and not waiting.empty() and (more := waiting.get()) is not None:
            batch.append(more)
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO audit_row VALUES (?,?,?,?,?,?,?,?)", [rows[0] for rows, _ in batch])
        connection.executemany("INSERT INTO audit_payload VALUES (?,?,?)", [rows[1] for rows, _ in batch])
        connection.execute("COMMIT")
        for _, durable in batch:
            durable.set()
    connection.close()


def compare(producers: int, rounds: int, seconds: float, parent: Path | None) -> float:
    ratios, rates = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(dir=parent) as name:
            bare = measure_bare(Path(name), producers, seconds)
            trail = asyncio.run(measure_trail(Path(name), producers, seconds))
        ratios.append(trail / bare)
        rates.append((trail, bare))
    trail, bare = (statistics.median(side) for side in zip(*rates, strict=True))
    ratio = statistics.median(ratios)
    print(
        f"{producers:4d} producers: AuditTrail {trail:7,.0f} rows/s, bare {bare:7,.0f} rows/s, ratio {ratio:.2f}",
        end="",
    )
    print(f" (rounds {min(ratios):.2f} to {max(ratios):.2f}; target {TARGET})")
    return ratio


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three short rounds: a few seconds in all")
    parser.add_argument("--folder", type=Path, help="where the databases are made; the temporary folder by default")
    options = parser.parse_args()
    rounds, seconds = (3, 0.5) if options.quick else (21, 0.4)
    print("python benchmarks/audit_append.py" + " --quick" * options.quick)
    ratios = [compare(producers, rounds, seconds, options.folder) for producers in PRODUCERS]
    return 0 if min(ratios) >= TARGET else 1


if __name__ == "__main__":
    raise SystemExit(main())
