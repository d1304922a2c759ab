"""Owns the terms of leadership of this process: whether an object is ours to work on now, and what runs for each term.

A reconcile runs as a task of its own within its term's fence, so that the loss of one shard ends its work and no other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager

from setpoint.api.meta import ObjectRef
from setpoint.domain.errors import FencedError
from setpoint.domain.sharding import Shard
from setpoint.ports import Fence
from setpoint.runtime.fencing import fenced
from setpoint.runtime.requests import Request, Result

Reconcile = Callable[[Request], Awaitable[Result]]


class Term:
    """One term over one shard. Nothing is worked on before `admit`; `deposed` is set once the store refuses its writes.

    That may happen to who holds the Lease: one that was paused before it began its own term did so after it had lost.
    """

    def __init__(self, shard: Shard, epoch: int) -> None:
        self.shard = shard
        self.fence = Fence(str(shard), epoch)
        self.deposed = asyncio.Event()
        self._running: set[asyncio.Task[Result]] = set()
        self._held: Callable[[str], bool] = lambda _key: True
        self._aside: set[Request] = set()
        self._open = True

    def admit(self, *, but: Collection[str] = ()) -> list[Request]:
        """Lets all targets but these (ObjectRef.key) be worked on; returns what was asked for meanwhile."""
        self._held = but.__contains__
        admitted = {request for request in self._aside if not self._held(request.ref.key)}
        self._aside -= admitted
        return list(admitted)

    async def run(self, reconcile: Reconcile, request: Request) -> Result:
        """Runs a reconcile for this term; one that the term's end cut short is nobody's any more."""
        if not self._open:
            return Result()
        if self._held(request.ref.key):
            self._aside.add(request)
            return Result()
        with fenced(self.fence):
            task = asyncio.ensure_future(reconcile(request))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            raise
        return self._result(task)

    def _result(self, task: "asyncio.Task[Result]") -> Result:
        if task.cancelled() and not self._open:
            return Result()
        try:
            return task.result()
        except FencedError:
            self.deposed.set()
            raise

    @property
    def is_idle(self) -> bool:
        """True where nothing runs."""
        return not self._running

    def close(self) -> None:
        """Begins nothing more."""
        self._open = False

    async def drain(self) -> None:
        """Waits for what runs."""
        if self._running:
            await asyncio.wait(self._running)

    async def cut(self) -> None:
        """Ends what runs."""
        self.close()
        for task in self._running:
            task.cancel()
        await self.drain()


class Terms:
    """The terms that stand."""

    def __init__(self) -> None:
        self._terms: dict[Shard, Term] = {}

    def __bool__(self) -> bool:
        """True where this process leads anything."""
        return bool(self._terms)

    def __len__(self) -> int:
        """How many shards it leads."""
        return len(self._terms)

    def is_idle(self, shard: Shard) -> bool:
        """True where nothing runs for a shard."""
        return shard not in self._terms or self._terms[shard].is_idle

    @contextmanager
    def standing(self, term: Term) -> Iterator[None]:
        """Within it the term stands, and what is written is written for it."""
        self._terms[term.shard] = term
        try:
            with fenced(term.fence):
                yield
        finally:
            del self._terms[term.shard]

    def owns(self, ref: ObjectRef) -> bool:
        """True where an object is ours."""
        return any(ref.key in shard for shard in self._terms)

    def within(self, reconcile: Reconcile) -> Reconcile:
        """A reconcile that works for the object's term, and does nothing where there is none."""

        async def reconcile_within(request: Request) -> Result:
            term = next((term for shard, term in self._terms.items() if request.ref.key in shard), None)
            return await term.run(reconcile, request) if term else Result()

        return reconcile_within
