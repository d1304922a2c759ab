"""Owns which parts of the process run, in which order they start and stop, and what happens when one crashes.

Handles no signals: the command line does, and calls `stop` and `stop_now`.
"""

import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Sequence

from setpoint.domain.errors import SetpointError
from setpoint.runtime.backoff import Backoff

_LOGGER = logging.getLogger(__name__)

_RESTART_BASE = 1.0
_RESTART_MAXIMUM = 60.0
"""A restartable runnable that ran for longer than this is taken for healthy: its back-off starts afresh."""


class RunnableEndedError(SetpointError):
    """A runnable returned before it was told to stop: whatever it watched over is now unwatched."""


@dataclasses.dataclass(frozen=True, slots=True)
class Runnable:
    """One part of the process.

    `run` is given an event; once that is set it has `grace` seconds to end by itself, then it is cancelled (at once
    where 0). It is not supposed to return before, unless `finite`. `restart`: a crash is logged and `run` called
    again after a back-off of 1 s to 1 min, instead of ending the manager.
    """

    name: str
    run: Callable[[asyncio.Event], Awaitable[None]]
    grace: float = 0.0
    restart: bool = False
    finite: bool = False


class Manager:
    """Starts runnables in order and stops them in reverse: each has ended before the one before it is told to."""

    def __init__(self, runnables: Sequence[Runnable]) -> None:
        self._runnables = tuple(runnables)
        self._ending = asyncio.Event()
        self._hard = asyncio.Event()
        self._asked = False
        self._crashes: list[Exception] = []

    def stop(self) -> None:
        """Asks for a graceful stop; the second time, for a hard one."""
        if self._asked:
            self._hard.set()
        self._asked = True
        self._ending.set()

    async def stop_on(self, stop: asyncio.Event) -> None:
        """Asks for a graceful stop once the event is set."""
        await stop.wait()
        self.stop()

    def stop_now(self) -> None:
        """Asks for a hard stop: what runs is cancelled without grace."""
        self._hard.set()
        self.stop()

    async def run(self) -> None:
        """Runs until `stop`, or until a runnable crashes: then stops the others and raises the first crash."""
        started: list[_Started] = []
        try:
            for runnable in self._runnables:
                if self._ending.is_set():
                    break
                started.append(_Started(runnable, self._crash))
                # Lets it run to its first wait before the next one starts.
                await asyncio.sleep(0)
            await self._ending.wait()
        finally:
            for one in reversed(started):
                await one.stop(self._hard)
        if self._crashes:
            raise self._crashes[0]

    def _crash(self, error: Exception) -> None:
        self._crashes.append(error)
        self._ending.set()


class _Started:
    """A runnable and the task in which it runs."""

    def __init__(self, runnable: Runnable, crash: Callable[[Exception], None]) -> None:
        self._runnable = runnable
        self._crash = crash
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(self._supervise(), name=runnable.name)

    async def stop(self, hard: asyncio.Event) -> None:
        """Ends the task: by itself within its grace or until `hard` is set, else by cancellation."""
        self._stop.set()
        cut = asyncio.create_task(hard.wait())
        try:
            await asyncio.wait({self._task, cut}, timeout=self._runnable.grace, return_when=asyncio.FIRST_COMPLETED)
        finally:
            cut.cancel()
            self._task.cancel()
        await asyncio.wait({self._task})

    async def _supervise(self) -> None:
        """Runs it, and runs it again where that is allowed. Never raises: a crash is told to the manager."""
        backoff = Backoff(base=_RESTART_BASE, maximum=_RESTART_MAXIMUM)
        while True:
            began = asyncio.get_running_loop().time()
            try:
                return await self._run()
            except Exception as error:
                if not self._runnable.restart or self._stop.is_set():
                    # A message of one of our own errors needs no traceback.
                    traceback = not isinstance(error, SetpointError)
                    why = "" if traceback else f": {error}"
                    _LOGGER.exception("%s crashed%s", self._runnable.name, why, exc_info=traceback)
                    return self._crash(error)
                if asyncio.get_running_loop().time() - began > _RESTART_MAXIMUM:
                    backoff.forget(self._runnable.name)
                seconds = backoff.next(self._runnable.name)
                _LOGGER.exception("%s crashed, restarting in %.1f s", self._runnable.name, seconds)
            with contextlib.suppress(TimeoutError):
                return await self._stopped(seconds)

    async def _stopped(self, seconds: float) -> None:
        """Returns when the stop is asked for; raises TimeoutError when it is not within that time."""
        async with asyncio.timeout(seconds):
            await self._stop.wait()

    async def _run(self) -> None:
        try:
            await self._runnable.run(self._stop)
        except asyncio.CancelledError:
            if self._task.cancelling():
                raise
            # Something that it awaited was cancelled. That is an end like any other, not a stop.
        if not self._stop.is_set() and not self._runnable.finite:
            msg = f"{self._runnable.name} ended without being told to"
            raise RunnableEndedError(msg)


async def ends_within(ended: asyncio.Event, seconds: float) -> bool:
    """Waits that long; True where the end came first."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await ended.wait()
    return ended.is_set()


async def first_of(*events: asyncio.Event, seconds: float | None = None) -> None:
    """Waits until one of the events is set, and no longer than that."""
    async with asyncio.TaskGroup() as group:
        waits = [group.create_task(event.wait()) for event in events]
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
