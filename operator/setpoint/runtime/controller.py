"""Owns how one kind's requests are worked off: workers, timeouts, and what each outcome means for the queue.

Knows nothing of what a reconcile does. A reconcile says how the work goes on with its Result or its exception
(domain/errors.py); the table is in `_outcome` and `_settle`.
"""

import asyncio
import collections
import contextlib
import dataclasses
import datetime as dt
import logging
import random
import uuid
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol

from setpoint.domain.errors import (
    ConflictError,
    FencedError,
    ForbiddenError,
    SetpointError,
    StalledError,
    TransientError,
    WaitingError,
)
from setpoint.runtime.descriptors import as_exhaustion
from setpoint.runtime.logging import ReconcileContext, reconcile_context
from setpoint.runtime.requests import OutcomeKind, ReconcileOutcome, Request, Result
from setpoint.runtime.workqueue import Priority, WorkQueue

_LOGGER = logging.getLogger(__name__)

_JITTER = 0.1
"""Periodic looks spread out by this share of their delay, so that targets that start together drift apart."""
_WAIT = dt.timedelta(minutes=1)
"""How long a WaitingError without a time of its own waits, in case the event that it waits for is missed."""
SLOW_AFTER = 30.0
"""Seconds after which a reconcile is taken to wait for somebody else, and counts against the workers no more."""
_STUCK_AFTER = 60.0
"""Seconds beyond its timeout after which a reconcile that ignores its cancellation makes the process unhealthy."""


class ControllerMetrics(Protocol):
    """A counter for a controller; runtime.metrics.Metrics is one."""

    def count_reconcile(self, controller: str, result: OutcomeKind, seconds: float) -> None:
        """A reconcile ended."""
        ...

    def observe_controller(self, controller: str, *, depth: Callable[[], int], active: Callable[[], int]) -> None:
        """A controller exists; asked for its queue's depth and its busy workers at each scrape."""
        ...


class Controller:
    """Works off a queue with `workers` tasks. `timeout` is in seconds, per reconcile.

    What takes longer than `slow_after` hands its place on: an endpoint that never answers must not hold up the rest. So
    many as there are workers may be slow beside them. What was slow the last time is begun among those, or waits.
    """

    def __init__(
        self,
        name: str,
        reconcile: Callable[[Request], Awaitable[Result]],
        queue: WorkQueue,
        *,
        metrics: ControllerMetrics,
        workers: int = 4,
        timeout: float = 600.0,
        slow_after: float = SLOW_AFTER,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self._reconcile = reconcile
        self._queue = queue
        self._metrics = metrics
        self._workers = workers
        self._timeout = timeout
        self._slow_after = slow_after
        self._slow: set[Request] = set()
        self._lent = 0
        self._overdue: dict[Request, Callable[[], None]] = {}
        self._parked: collections.deque[Request] = collections.deque()
        self._group: asyncio.TaskGroup
        self._ending = False
        self._uniform = uniform
        self._started: dict[Request, float] = {}
        metrics.observe_controller(name, depth=lambda: len(queue), active=lambda: len(self._started))

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set, then lets running reconciles end. Cancel it to end those too."""
        async with asyncio.TaskGroup() as self._group:
            try:
                for number in range(self._workers):
                    self._group.create_task(self._work(), name=f"{self.name}-{number}")
                await stop.wait()
            finally:
                self._ending = True
                self._queue.close()

    def check(self) -> str:
        """A health Check: wrong when a reconcile neither ends nor lets itself be cancelled."""
        oldest = min(self._started.items(), key=lambda item: item[1], default=None)
        if oldest is None:
            return ""
        seconds = asyncio.get_running_loop().time() - oldest[1]
        stuck = seconds > self._timeout + _STUCK_AFTER
        return f"the reconcile of {oldest[0].ref} does not end, after {seconds:.0f} s" if stuck else ""

    async def _work(self) -> None:
        """Takes requests until the queue is closed, or until another has this one's place."""
        while (request := await self._queue.get()) is not None:
            if request in self._slow:
                self._parked.append(request)
                self._fill_room()
            elif await self._hand_on_if_slow(request):
                return

    async def _hand_on_if_slow(self, request: Request) -> bool:
        """Works a request off; True where that took so long that another worker was begun in this one's place."""
        replaced = False

        def hand_on() -> None:
            nonlocal replaced
            replaced = True
            self._group.create_task(self._work(), name=f"{self.name}-{request.ref}")

        def wait_for_room() -> None:
            self._overdue[request] = hand_on
            self._fill_room()

        timer = asyncio.get_running_loop().call_later(self._slow_after, wait_for_room)
        try:
            await self._hold(request)
        finally:
            timer.cancel()
            self._overdue.pop(request, None)
            self._lent -= replaced
        self._fill_room()
        return replaced

    def _fill_room(self) -> None:
        """Lets what is slow go on beside the workers while there is room: first what holds a worker's place."""
        while self._lent < self._workers and not self._ending and (self._overdue or self._parked):
            self._lent += 1
            if self._overdue:
                self._overdue.pop(next(iter(self._overdue)))()
            else:
                request = self._parked.popleft()
                self._group.create_task(self._work_off_slow(request), name=f"{self.name}-{request.ref}")

    async def _work_off_slow(self, request: Request) -> None:
        try:
            await self._hold(request)
        finally:
            self._lent -= 1
        self._fill_room()

    async def _hold(self, request: Request) -> None:
        """Works a request off, gives it back, and remembers whether it was slow."""
        start = asyncio.get_running_loop().time()
        with _context(request):
            try:
                await self._process(request)
            finally:
                slow = asyncio.get_running_loop().time() - start > self._slow_after
                (self._slow.add if slow else self._slow.discard)(request)
                self._queue.done(request)

    async def _process(self, request: Request) -> None:
        start = self._started[request] = asyncio.get_running_loop().time()
        try:
            ending = await self._attempt(request)
        finally:
            del self._started[request]
        outcome = self._settle(_outcome(request, ending))
        self._metrics.count_reconcile(self.name, outcome.kind, asyncio.get_running_loop().time() - start)
        _log(outcome, ending)

    async def _attempt(self, request: Request) -> Result | Exception:
        deadline = asyncio.timeout(self._timeout)
        try:
            async with deadline:
                return await self._reconcile(request)
        except TimeoutError as error:
            return _ReconcileTimeoutError(self._timeout) if deadline.expired() else error
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            # A task that the reconcile awaited was cancelled, not this one: the worker must outlive that.
            return RuntimeError(f"cancelled from within: {error}")
        except Exception as error:  # noqa: BLE001 whatever it is, it is an outcome: it is retried, counted and logged
            return as_exhaustion(error) or error

    def _settle(self, outcome: ReconcileOutcome) -> ReconcileOutcome:
        """Tells the queue; returns the outcome with the delay that came of it."""
        request, delay = outcome.request, outcome.retry_in
        if outcome.kind in {OutcomeKind.CONFLICT, OutcomeKind.ERROR, OutcomeKind.TIMEOUT}:
            return dataclasses.replace(outcome, retry_in=self._queue.add_rate_limited(request))
        self._queue.forget(request)
        if delay is None:
            return outcome
        if outcome.kind is OutcomeKind.REQUEUE_AFTER:
            delay *= 1 + _JITTER * (2 * self._uniform() - 1)
            self._queue.add_after(request, delay, Priority.LOW)
        else:
            self._queue.add_after(request, delay)
        return dataclasses.replace(outcome, retry_in=delay)


class _ReconcileTimeoutError(SetpointError):
    """The reconcile took longer than its controller allows."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The reconcile took longer than {seconds:.0f} s and was stopped")


_KINDS: tuple[tuple[type[Exception], OutcomeKind], ...] = (
    (WaitingError, OutcomeKind.WAITING),
    (StalledError, OutcomeKind.STALLED),
    (ConflictError, OutcomeKind.CONFLICT),
    (_ReconcileTimeoutError, OutcomeKind.TIMEOUT),
    (Exception, OutcomeKind.ERROR),
)


def _outcome(request: Request, ending: Result | Exception) -> ReconcileOutcome:
    """The outcome table, but for the delays that the queue decides."""
    if isinstance(ending, Result):
        after = ending.requeue_after
        if after is None:
            return ReconcileOutcome(request, OutcomeKind.SUCCESS)
        return ReconcileOutcome(request, OutcomeKind.REQUEUE_AFTER, retry_in=after.total_seconds())
    kind = next(kind for error, kind in _KINDS if isinstance(ending, error))
    # The text of a foreign error may hold anything: it goes to the log, which is redacted, and nowhere else.
    message = ending.message if isinstance(ending, SetpointError) else f"A fault in Setpoint: {type(ending).__name__}"
    wait = (ending.requeue_after or _WAIT).total_seconds() if isinstance(ending, WaitingError) else None
    return ReconcileOutcome(request, kind, message, wait)


def _log(outcome: ReconcileOutcome, ending: Result | Exception) -> None:
    extra = {"result": outcome.kind.value}
    if outcome.retry_in is not None:
        extra["retryIn"] = f"{outcome.retry_in:.1f}s"
    match ending:
        case Result() | ConflictError():
            _LOGGER.debug("Reconciled", extra=extra)
        case WaitingError() | StalledError() | TransientError():
            level = logging.INFO if isinstance(ending, WaitingError) else logging.WARNING
            _LOGGER.log(level, "%s", outcome.message, extra=extra | {"reason": ending.reason.value})
        case _ReconcileTimeoutError() | ForbiddenError() | FencedError():
            _LOGGER.warning("%s", outcome.message, extra=extra)
        case _:
            _LOGGER.error("Reconciling failed", extra=extra, exc_info=ending)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


@contextlib.contextmanager
def _context(request: Request) -> Iterator[None]:
    token = reconcile_context.set(ReconcileContext(uuid.uuid4().hex[:12], request.ref))
    try:
        yield
    finally:
        reconcile_context.reset(token)
