"""Owns the one thread that writes: it gathers what is asked for meanwhile and makes it durable with one COMMIT.

A write that fails takes no other down: each runs in a savepoint. Items of one batch function (audit rows) that
follow each other share one call and no savepoint. What is asked for in a term of leadership that is over fails alone
too, and never runs. When the database itself fails, the whole batch is tried again where that may help and nothing
was written; else it fails and nothing of it stays. Must not know what is written.
"""

import asyncio
import dataclasses
import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from sqlalchemy import Connection

from setpoint.adapters.store.backend import Backend
from setpoint.domain.errors import FencedError, StoreError
from setpoint.ports import Fence
from setpoint.runtime.fencing import current_fence

_BATCH = 256
"""Jobs after which a batch is closed, unless one hand-over brings more."""
_ATTEMPTS = 4
_RETRY_SECONDS = 0.05
"""Before the second attempt; twice as long before each later one. Readers go on meanwhile, writers wait."""
_CHECKPOINT_INTERVAL = 1.0
"""Seconds that a commit may be older than the checkpoint that covers it."""
_STANDING = "SELECT shard, epoch FROM fence"

Batch = Callable[[Connection, Sequence[Any]], Sequence[Any]]


@dataclasses.dataclass(slots=True, eq=False)
class _Job:
    """`batch` with its item, or a write alone. `fence` is the term in which it was asked for."""

    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]"
    fence: Fence | None
    write: Callable[[Connection], Any] | None = None
    batch: Batch | None = None
    item: Any = None
    result: Any = None
    error: Exception | None = None


class GroupCommit:
    """Runs writes in the order in which they were asked for; calls `checkpoint` in its thread soon after commits."""

    def __init__(self, backend: Backend, *, checkpoint: Callable[[], None]) -> None:
        self._backend = backend
        self._connection: Connection | None = None
        self._checkpoint = checkpoint
        self._queue: queue.SimpleQueue[list[_Job] | None] = queue.SimpleQueue()
        self._pending: list[_Job] = []
        self._checkpoint_due: float | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="setpoint-store-writer", daemon=True)
        self._thread.start()

    def write(self, fn: Callable[[Connection], Any]) -> "asyncio.Future[Any]":
        """The result of `fn`, or its error, once it is durable."""
        return self._submit(write=fn)

    def write_batched(self, fn: Batch, item: Any) -> "asyncio.Future[Any]":
        """The result of `fn` for `item` among others. It must not fail for one item alone."""
        return self._submit(batch=fn, item=item)

    def close(self) -> threading.Thread:
        """Takes no more; what was asked for is still written. Returns the thread, which then ends."""
        if not self._closed:
            self._closed = True
            self._hand_over()
            self._queue.put(None)
        return self._thread

    def _submit(
        self, *, write: Callable[[Connection], Any] | None = None, batch: Batch | None = None, item: Any = None
    ) -> "asyncio.Future[Any]":
        if self._closed:
            msg = "the store is closed"
            raise StoreError(msg)
        loop = asyncio.get_running_loop()
        job = _Job(loop, loop.create_future(), current_fence(), write, batch, item)
        if not self._pending:
            # Handed over together at the end of this turn of the loop, so that they share a commit.
            loop.call_soon(self._hand_over)
        self._pending.append(job)
        return job.future

    def _hand_over(self) -> None:
        if self._pending:
            self._queue.put(self._pending)
            self._pending = []

    # --- In the writer's thread ---

    def _run(self) -> None:
        ended = False
        while not ended:
            jobs, ended = self._gather()
            if jobs:
                self._commit(jobs)
                _settle(jobs)
            self._keep_checkpoint(now=ended)
        self._disconnect()

    def _gather(self) -> tuple[list[_Job], bool]:
        """Waits for jobs, or until the checkpoint is due; takes along what else is there. True: no more will come."""
        jobs: list[_Job] = []
        due = self._checkpoint_due
        try:
            handed = self._queue.get(timeout=None if due is None else max(0.0, due - time.monotonic()))
            while handed is not None:
                jobs += handed
                if len(jobs) >= _BATCH:
                    return jobs, False
                handed = self._queue.get_nowait()
        except queue.Empty:
            return jobs, False
        return jobs, True

    def _commit(self, jobs: list[_Job]) -> None:
        failed = self._try_until_certain(jobs)
        if failed is None and self._checkpoint_due is None:
            self._checkpoint_due = time.monotonic() + _CHECKPOINT_INTERVAL
        for job in jobs:
            error = failed or job.error
            job.error = self._backend.explain(error) if isinstance(error, self._backend.errors) else error

    def _try_until_certain(self, jobs: list[_Job]) -> Exception | None:
        """Runs the jobs in one transaction; returns why it could not be committed."""
        for attempt in itertools.count(1):
            try:
                self._attempt(jobs)
            except Exception as error:  # noqa: BLE001 whatever it is, it belongs to those who wait
                self._disconnect()
                if attempt == _ATTEMPTS or not self._backend.may_pass(error):
                    return error
                time.sleep(_RETRY_SECONDS * 2 ** (attempt - 1))
            else:
                break
        return None

    def _attempt(self, jobs: list[_Job]) -> None:
        if self._connection is None:
            self._connection = self._backend.writes.connect()
        with self._backend.transaction(self._connection):
            standing = _turn_away_stale(self._connection, jobs)
            for batch, group in itertools.groupby(standing, key=lambda job: job.batch):
                self._run_group(self._connection, batch, group)

    def _run_group(self, connection: Connection, batch: Batch | None, group: Iterator[_Job]) -> None:
        if batch is None:
            for job in group:
                self._run_alone(connection, job)
            return
        jobs = list(group)
        for job, result in zip(jobs, batch(connection, [job.item for job in jobs]), strict=True):
            job.result = result

    def _run_alone(self, connection: Connection, job: _Job) -> None:
        assert job.write is not None  # noqa: S101 for the type checker
        savepoint = connection.begin_nested()
        try:
            job.result = job.write(connection)
        except Exception as error:
            if isinstance(error, self._backend.errors) and self._backend.spoils_transaction(error):
                raise
            savepoint.rollback()
            job.error = error
        else:
            savepoint.commit()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _keep_checkpoint(self, *, now: bool) -> None:
        if self._checkpoint_due is not None and (now or time.monotonic() >= self._checkpoint_due):
            self._checkpoint_due = None
            self._checkpoint()


def _turn_away_stale(connection: Connection, jobs: list[_Job]) -> list[_Job]:
    """Those jobs whose term stands; the others have their error. Undoes what an earlier attempt left in them."""
    stale = _stale(connection, {job.fence for job in jobs if job.fence is not None})
    for job in jobs:
        job.result, job.error = None, _refusal(job.fence) if job.fence and job.fence in stale else None
    return [job for job in jobs if job.fence not in stale]


def _stale(connection: Connection, fences: AbstractSet[Fence]) -> AbstractSet[Fence]:
    """Those of the fences whose term is over, as the transaction sees it."""
    if not fences:
        return fences
    # A handful of rows, by the driver's own cursor: this is part of every commit of a leader.
    cursor = connection.connection.cursor()
    cursor.execute(_STANDING)
    standing = {Fence(*row) for row in cursor.fetchall()}
    cursor.close()
    return fences - standing


def _refusal(fence: Fence) -> FencedError:
    shard = f" of shard {fence.shard}" if fence.shard else ""
    return FencedError(f"term {fence.epoch}{shard} is over, another leads by now: nothing was written")


def _settle(jobs: list[_Job]) -> None:
    for loop, group in itertools.groupby(jobs, key=lambda job: job.loop):
        try:
            loop.call_soon_threadsafe(_resolve, list(group))
        except RuntimeError:
            # The loop was closed under its waiters; their writes stand as they are.
            continue


def _resolve(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future.cancelled():
            continue
        if job.error is None:
            job.future.set_result(job.result)
        else:
            job.future.set_exception(job.error)
