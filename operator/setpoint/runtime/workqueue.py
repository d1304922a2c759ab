"""Owns which requests wait, since when and until when. Knows nothing of what a request does.

The semantics are those of client-go's workqueue with controller-runtime's priorities: a request that waits is there
once, however often it was added; one that is added while a worker has it comes back when the worker is done, and
never goes to a second worker meanwhile. All methods belong to the event loop's thread.
"""

import asyncio
import heapq
import itertools
from collections import OrderedDict
from collections.abc import Callable
from enum import IntEnum

from setpoint.runtime.backoff import Backoff
from setpoint.runtime.requests import Request

_SLACK = 64
"""Superseded heap entries that are tolerated beyond as many as there are live ones."""


class Priority(IntEnum):
    """NORMAL goes before LOW. People's changes are NORMAL; first listing, resync and periodic looks are LOW."""

    NORMAL = 0
    LOW = 1


class WorkQueue:
    """Requests that are ready, delayed or being worked on.

    Every operation is O(1), or O(log n) in the number of delayed requests. `on_latency` is told the seconds that
    each request was ready before a worker took it.
    """

    def __init__(
        self, *, backoff: Backoff | None = None, on_latency: Callable[[float], None] = lambda _seconds: None
    ) -> None:
        self._backoff = Backoff() if backoff is None else backoff
        self._on_latency = on_latency
        self._ready: dict[Priority, OrderedDict[Request, float]] = {priority: OrderedDict() for priority in Priority}
        self._processing: dict[Request, Priority] = {}
        self._dirty: dict[Request, Priority] = {}
        self._delays = _Delays()
        self._timer: asyncio.TimerHandle | None = None
        self._wakeup = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    def __len__(self) -> int:
        """How many requests are ready; delayed ones and those being worked on do not count."""
        return sum(map(len, self._ready.values()))

    @property
    def delayed(self) -> int:
        """How many requests wait for a delay to pass."""
        return len(self._delays)

    @property
    def processing(self) -> int:
        """How many requests workers have."""
        return len(self._processing)

    def add(self, request: Request, priority: Priority = Priority.NORMAL) -> None:
        """Makes a request ready now, ends its delay, and raises its priority where it was lower."""
        if self._closed:
            return
        delayed = self._delays.discard(request)
        if delayed is not None:
            priority = min(priority, delayed)
        if request in self._processing:
            self._dirty[request] = min(priority, self._dirty.get(request, priority))
        else:
            self._enqueue(request, priority)

    def add_after(self, request: Request, seconds: float, priority: Priority | None = None) -> None:
        """Makes a request ready after a delay; one that is ready, or due earlier, stays so.

        Without a priority it keeps the one with which a worker took it.
        """
        if priority is None:
            priority = self._processing.get(request, Priority.NORMAL)
        if seconds <= 0:
            self.add(request, priority)
        elif not self._closed and not self._is_due(request):
            self._delays.put(request, asyncio.get_running_loop().time() + seconds, priority)
            self._set_timer()

    def add_rate_limited(self, request: Request) -> float:
        """Makes a request ready after its back-off, which grows; returns the seconds."""
        seconds = self._backoff.next(request)
        self.add_after(request, seconds)
        return seconds

    def forget(self, request: Request) -> None:
        """Starts the request's back-off afresh. Does not take it out of the queue."""
        self._backoff.forget(request)

    def failures(self, request: Request) -> int:
        """How often the request failed since it was last forgotten."""
        return self._backoff.failures(request)

    async def get(self) -> Request | None:
        """Takes the next request, which must be given back with `done`; None once the queue is closed."""
        while not self._closed:
            for priority, waiting in self._ready.items():
                if waiting:
                    return self._take(*waiting.popitem(last=False), priority)
            self._wakeup.clear()
            await self._wakeup.wait()
        return None

    def done(self, request: Request) -> None:
        """Gives a request back; it is ready again at once if it was added meanwhile."""
        del self._processing[request]
        priority = self._dirty.pop(request, None)
        if priority is not None:
            self._enqueue(request, priority)
        self._set_idle()

    def close(self) -> None:
        """Hands out and takes in nothing more. What waits is dropped: the next start lists everything anew."""
        self._closed = True
        for waiting in self._ready.values():
            waiting.clear()
        self._dirty.clear()
        self._delays = _Delays()
        self._set_timer()
        self._wakeup.set()
        self._set_idle()

    async def idle(self) -> None:
        """Returns once nothing is ready and no worker has anything; what is delayed does not count."""
        await self._idle.wait()

    def _is_due(self, request: Request) -> bool:
        return request in self._dirty or any(request in waiting for waiting in self._ready.values())

    def _enqueue(self, request: Request, priority: Priority) -> None:
        since = asyncio.get_running_loop().time()
        for other, waiting in self._ready.items():
            if request in waiting:
                if other <= priority:
                    return
                since = waiting.pop(request)
        self._ready[priority][request] = since
        self._idle.clear()
        self._wakeup.set()

    def _take(self, request: Request, since: float, priority: Priority) -> Request:
        self._processing[request] = priority
        self._on_latency(asyncio.get_running_loop().time() - since)
        return request

    def _set_idle(self) -> None:
        if not self._processing and not len(self):
            self._idle.set()

    def _set_timer(self) -> None:
        """Keeps exactly one loop timer, for the earliest delay."""
        when = self._delays.earliest()
        if self._timer is not None:
            if self._timer.when() == when:
                return
            self._timer.cancel()
        self._timer = None if when is None else asyncio.get_running_loop().call_at(when, self._release, when)

    def _release(self, when: float) -> None:
        """Makes ready what is due. The loop may fire a timer one clock tick early, so `when` counts as passed."""
        self._timer = None
        for request, priority in self._delays.pop_until(max(when, asyncio.get_running_loop().time())):
            self.add(request, priority)
        self._set_timer()


class _Delays:
    """Requests by the time at which they are due. A heap whose superseded entries are skipped, and swept out."""

    def __init__(self) -> None:
        self._live: dict[Request, tuple[float, Priority]] = {}
        self._heap: list[tuple[float, int, Request]] = []
        self._order = itertools.count()

    def __len__(self) -> int:
        return len(self._live)

    def put(self, request: Request, when: float, priority: Priority) -> None:
        """Adds a request; the earlier time and the higher priority win."""
        known = self._live.get(request)
        if known is not None:
            priority = min(priority, known[1])
            if known[0] <= when:
                self._live[request] = (known[0], priority)
                return
        self._live[request] = (when, priority)
        heapq.heappush(self._heap, (when, next(self._order), request))
        self._sweep()

    def discard(self, request: Request) -> Priority | None:
        """Removes a request; returns the priority that it had, None where it was not delayed."""
        known = self._live.pop(request, None)
        self._sweep()
        return known[1] if known else None

    def earliest(self) -> float | None:
        """When the next request is due."""
        while self._heap and not self._is_live(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_until(self, now: float) -> list[tuple[Request, Priority]]:
        """Removes and returns what is due, earliest first."""
        due = []
        while (when := self.earliest()) is not None and when <= now:
            _, _, request = heapq.heappop(self._heap)
            due.append((request, self._live.pop(request)[1]))
        return due

    def _is_live(self, entry: tuple[float, int, Request]) -> bool:
        known = self._live.get(entry[2])
        return known is not None and known[0] == entry[0]

    def _sweep(self) -> None:
        """Rebuilds the heap once most of it is superseded: amortised O(1) per entry."""
        if len(self._heap) > 2 * len(self._live) + _SLACK:
            self._heap = [(when, next(self._order), request) for request, (when, _) in self._live.items()]
            heapq.heapify(self._heap)
