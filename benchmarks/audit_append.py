"""Audit appends through AuditTrail against a bare group commit by the driver, as a ratio measured in one run.

    python benchmarks/audit_append.py [--quick] [--postgres]

Both write the same tables with the same rows, pragmas and durability: a producer goes on when its row is on the disk,
rows that wait share one COMMIT. The bare side gets threads as producers and rows that were made beforehand: it encodes
nothing, hashes nothing, and uses no SQLAlchemy. The other side gets tasks, and makes headers, salts, commitments and
the hash chain as it does in the product. Sides alternate; the ratio is the median over the rounds. With --postgres
both use a PostgreSQL server of their own with its default settings, and the bare side takes no turn with others.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import datetime as dt
import functools
import itertools
import os
import queue
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import psycopg

from setpoint.adapters.store import NAME, AuditTrail, Database, open_sqlite
from setpoint.adapters.store.postgres import open_postgres
from setpoint.api.meta import ObjectRef
from setpoint.domain.audit import AuditEntry, Phase, draft

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.fakes.postgres import Databases, OwnServer

TARGET = 0.9
PRODUCERS = (8, 128)


class SystemClock:
    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC)


def entry(number: int) -> AuditEntry:
    """The record of an apply: three digests and a small payload."""
    return AuditEntry(
        action="Apply",
        phase=Phase.INTENT,
        actor="system:setpoint",
        target=ObjectRef("Environment", "default", f"shop-{number % 60}"),
        run=f"run-{number:012d}",
        digests=dict.fromkeys(("bundle", "content", "subject"), "sha256:" + f"{number:064x}"),
        payload={"summary": "+1 ~1 -0", "addresses": ["terraform_data.a", "terraform_data.b"]},
    )


Writer = Callable[["queue.SimpleQueue"], None]


@dataclasses.dataclass(frozen=True)
class Side:
    """An empty store, made anew for each measurement."""

    open: Callable[[], Database]
    write_bare: Writer


async def measure_trail(side: Side, producers: int, seconds: float) -> float:
    database = side.open()
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
        head = (seq, made.target, f"run-{seq:012d}", made.phase, made.header, *(os.urandom(32) for _ in range(4)))
        rows.put((head, (seq, os.urandom(16), made.body)))
    return rows


async def make(side: Side) -> None:
    await side.open().close()


def measure_bare(side: Side, producers: int, seconds: float) -> float:
    asyncio.run(make(side))
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

    writer = threading.Thread(target=side.write_bare, args=(waiting,))
    threads = [threading.Thread(target=produce) for _ in range(producers)]
    for thread in (writer, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - start
    waiting.put(None)
    writer.join()
    return sum(counts) / elapsed


def batches(waiting: "queue.SimpleQueue") -> Iterator[list]:
    while (first := waiting.get()) is not None:
        batch = [first]
        while len(batch) < 256 and not waiting.empty() and (more := waiting.get()) is not None:
            batch.append(more)
        yield batch


def bare_sqlite(path: Path, waiting: "queue.SimpleQueue") -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous=FULL")
    for batch in batches(waiting):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO audit_row VALUES (?,?,?,?,?,?,?,?,?)", [rows[0] for rows, _ in batch])
        connection.executemany("INSERT INTO audit_payload VALUES (?,?,?)", [rows[1] for rows, _ in batch])
        connection.execute("COMMIT")
        for _, durable in batch:
            durable.set()
    connection.close()


def bare_psycopg(url: str, waiting: "queue.SimpleQueue") -> None:
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        for batch in batches(waiting):
            cursor.executemany(f"INSERT INTO audit_row VALUES ({','.join(['%s'] * 9)})", [rows[0] for rows, _ in batch])
            cursor.executemany("INSERT INTO audit_payload VALUES (%s,%s,%s)", [rows[1] for rows, _ in batch])
            connection.commit()
            for _, durable in batch:
                durable.set()


@contextlib.contextmanager
def sqlite_side(parent: Path | None) -> Iterator[Side]:
    with tempfile.TemporaryDirectory(dir=parent) as name:
        path = Path(name) / NAME
        yield Side(lambda: open_sqlite(path, new_key(path.parent)), functools.partial(bare_sqlite, path))


@contextlib.contextmanager
def postgres_side(databases: "Databases") -> Iterator[Side]:
    with databases.database() as url, tempfile.TemporaryDirectory() as folder:
        yield Side(
            lambda: open_postgres(url, new_key(Path(folder)), Path(folder)), functools.partial(bare_psycopg, url)
        )


def new_key(folder: Path) -> Path:
    key = folder / "blobs.key"
    key.write_bytes(os.urandom(32))
    return key


def compare(producers: int, rounds: int, seconds: float, new_side: Callable[[], AbstractContextManager[Side]]) -> float:
    ratios, rates = [], []
    for _ in range(rounds):
        with new_side() as side:
            bare = measure_bare(side, producers, seconds)
        with new_side() as side:
            trail = asyncio.run(measure_trail(side, producers, seconds))
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


@contextlib.contextmanager
def sides(options: argparse.Namespace) -> Iterator[Callable[[], AbstractContextManager[Side]]]:
    if not options.postgres:
        yield functools.partial(sqlite_side, options.folder)
        return
    server = OwnServer(settings=())
    try:
        yield functools.partial(postgres_side, Databases(server.url))
    finally:
        server.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three short rounds: a few seconds in all")
    parser.add_argument("--folder", type=Path, help="where the databases are made; the temporary folder by default")
    parser.add_argument("--postgres", action="store_true", help="on PostgreSQL, in the temporary folder")
    options = parser.parse_args()
    rounds, seconds = (3, 0.5) if options.quick else (21, 0.4)
    print("python benchmarks/audit_append.py" + " --quick" * options.quick + " --postgres" * options.postgres)
    with sides(options) as new_side:
        ratios = [compare(producers, rounds, seconds, new_side) for producers in PRODUCERS]
    return 0 if min(ratios) >= TARGET else 1


if __name__ == "__main__":
    raise SystemExit(main())
