"""Owns who leads: acquiring a Lease, keeping it, and knowing in time that it is lost. Decides by its own clock alone.

A holder whose renewals fail stops leading at the renew deadline, before any other may take over: the others wait for
the Lease's whole duration since they last saw it move (client-go's rule; wall clocks are never compared).
"""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import logging
import random
from collections.abc import Awaitable, Callable

from setpoint.domain.errors import ConflictError, ForbiddenError, TransientError
from setpoint.ports import LeaseLock, LeaseRecord

_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class LeaseTiming:
    """Seconds. `duration` > `renew_deadline` > `retry`. The dead are replaced within duration + retry + jitter."""

    duration: float = 15.0
    renew_deadline: float = 10.0
    retry: float = 2.0
    jitter: float = 1.0


_NONE = LeaseRecord("", dt.timedelta(), 0, "")


async def _agrees() -> bool:
    return True


@dataclasses.dataclass(frozen=True, slots=True)
class Sharing:
    """How those who divide the targets among them treat a Lease that is one of several. By default there is but one.

    `shards` is how many there are. `hesitate` says for how many seconds a Lease that is free is left to others.
    `agrees` is asked before the Lease is taken, and again once it is ours, when all who ask see one another: it says
    whether all who lead divide the targets as we do; else we do not lead.

    `wants` is shown a Lease that another holds: whether to ask for it. Who is asked gives it up once `is_idle`.
    """

    shards: int = 1
    hesitate: Callable[[], float] = lambda: 0.0
    agrees: Callable[[], Awaitable[bool]] = _agrees
    wants: Callable[[LeaseRecord], bool] = lambda _record: False
    is_idle: Callable[[], bool] = lambda: True


class Elector:
    """Leads again and again, as long as it runs. `lead` is called with an event that is set when it must stop.

    `on_renew` is called at each moment from which the whole renew deadline counts.

    `lead` must have stopped within `duration - renew_deadline` seconds of that event when leadership was lost.
    """

    def __init__(
        self,
        lock: LeaseLock,
        identity: str,
        *,
        lead: Callable[[asyncio.Event], Awaitable[None]],
        timing: LeaseTiming = LeaseTiming(),
        on_change: Callable[[bool], None] = lambda _leads: None,
        on_renew: Callable[[], None] = lambda: None,
        sharing: Sharing = Sharing(),
        uniform: Callable[[], float] = random.random,
    ) -> None:
        self._lock = lock
        self._identity = identity
        self._lead = lead
        self._timing = timing
        self._on_change = on_change
        self._on_renew = on_renew
        self._sharing = sharing
        self._uniform = uniform
        self._observed: LeaseRecord = _NONE
        self._observed_at: float | None = None
        self._renewed_at = 0.0

    async def run(self, ended: asyncio.Event) -> None:
        """Stands by, leads, and stands by again after a loss, until `ended`; then releases the Lease."""
        while not ended.is_set():
            held = await self._acquire(ended)
            if held is None:
                return
            _LOGGER.info("Leading as %s", self._identity)
            self._on_change(True)
            self._on_renew()
            try:
                await self._lead_while_held(held, ended)
            finally:
                self._on_change(False)

    # --- standing by ----------------------------------------------------------------------------------------

    async def _acquire(self, ended: asyncio.Event) -> LeaseRecord | None:
        """Waits until the Lease is ours; None where the end came first."""
        while not ended.is_set():
            wait = self._timing.retry
            try:
                held, wait = await self._try_to_acquire()
                if held is not None:
                    return held
            except ConflictError:
                # Someone else was faster; the next reading tells who.
                wait = self._timing.retry * self._uniform()
            except (TransientError, ForbiddenError) as error:
                _LOGGER.warning("Can't look at the Lease: %s", error.message)
            await _either(ended, wait)
        return None

    async def _try_to_acquire(self) -> tuple[LeaseRecord | None, float]:
        """The Lease where it is free now, else how long to wait before it is read again."""
        now = asyncio.get_running_loop().time()
        found = await self._lock.read() or _NONE
        moved = self._observed_at is not None and found.version != self._observed.version
        if moved or self._observed_at is None:
            self._observed, self._observed_at = found, now
        if now < (free_at := self._observed_at + self._seconds_left_to(found)):
            # Only a Lease that moves is asked for: what its holder does not renew is soon free.
            if found.holder and self._sharing.wants(found) and moved and not found.wanted:
                self._observed = await self._lock.write(dataclasses.replace(found, wanted=self._identity))
            return None, min(self._timing.retry, free_at - now)
        if not await self._sharing.agrees():
            return None, self._timing.duration
        self._renewed_at = asyncio.get_running_loop().time()
        held = await self._lock.write(self._record(found))
        if await self._sharing.agrees():
            return (held, 0.0) if self._holds() else (None, 0.0)
        await self._release()
        return None, self._timing.duration * (0.5 + self._uniform())

    def _seconds_left_to(self, found: LeaseRecord) -> float:
        """For how long since it was seen first the Lease is left to whom it belongs, who asked, or who leads less."""
        if found.holder == self._identity:
            return 0.0
        if found.holder:
            return found.duration.total_seconds() + self._timing.jitter * self._uniform() + self._sharing.hesitate()
        return self._sharing.hesitate() + (2 * self._timing.retry if found.wanted not in {"", self._identity} else 0.0)

    def _record(self, found: LeaseRecord) -> LeaseRecord:
        duration = dt.timedelta(seconds=self._timing.duration)
        if found.holder == self._identity:
            return dataclasses.replace(found, duration=duration, shards=self._sharing.shards)
        transitions = found.transitions + bool(found.version)
        return LeaseRecord(self._identity, duration, transitions, found.version, self._sharing.shards)

    # --- leading --------------------------------------------------------------------------------------------

    async def _lead_while_held(self, held: LeaseRecord, ended: asyncio.Event) -> None:
        stop, wanted = asyncio.Event(), asyncio.Event()
        work = asyncio.ensure_future(self._lead(stop))
        renewal = asyncio.create_task(self._renew(held, wanted))
        asked = {asyncio.create_task(event.wait()) for event in (ended, wanted)}
        try:
            await asyncio.wait({work, renewal, *asked}, return_when=asyncio.FIRST_COMPLETED)
            if renewal.done():
                await self._step_down(work, stop)
            else:
                # Asked to stop, or the work is over: it may drain as long as the Lease is ours.
                stop.set()
                await asyncio.wait({work, renewal}, return_when=asyncio.FIRST_COMPLETED)
                if not work.done():
                    await self._step_down(work, stop)
        finally:
            tasks = {work, renewal, *asked}
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        if (ended.is_set() or wanted.is_set()) and not _was_lost(renewal):
            await self._release()
        if not work.cancelled():
            work.result()

    async def _step_down(self, work: "asyncio.Future[None]", stop: asyncio.Event) -> None:
        """The work ends before the Lease does: cancelled at half of the time that is left."""
        _LOGGER.error("Lost the Lease; stopping what runs")
        stop.set()
        grace = (self._timing.duration - self._timing.renew_deadline) / 2
        await asyncio.wait({work}, timeout=grace)
        work.cancel()

    async def _renew(self, held: LeaseRecord, wanted: asyncio.Event) -> None:
        """Keeps the Lease; returns when it can't be kept. Sets `wanted` when it is best given to who asked for it."""
        loop = asyncio.get_running_loop()
        while self._holds():
            await asyncio.sleep(self._timing.retry)
            if not self._holds():
                return
            began = loop.time()
            try:
                async with asyncio.timeout_at(self._renewed_at + self._timing.renew_deadline):
                    held = await self._lock.write(self._record(held))
                self._renewed_at = began
                self._observed = held
                self._on_renew()
                if held.wanted and self._sharing.is_idle():
                    wanted.set()
            except ConflictError:
                current = await self._reread()
                if current is None or current.holder != self._identity:
                    return
                held = current
            except (TransientError, ForbiddenError, TimeoutError) as error:
                _LOGGER.warning("Can't renew the Lease: %s", error)

    def _holds(self) -> bool:
        """True where the Lease is surely ours: last written after that moment, and who waits saw it later still."""
        return asyncio.get_running_loop().time() - self._renewed_at < self._timing.renew_deadline

    async def _reread(self) -> LeaseRecord | None:
        """After a conflict: our own write may have arrived though its answer did not."""
        try:
            async with asyncio.timeout(self._timing.retry):
                return await self._lock.read()
        except (TransientError, ForbiddenError, TimeoutError):
            return None

    async def _release(self) -> None:
        """Lets the next one lead at once. On a best-effort basis: else the Lease expires."""
        with contextlib.suppress(ConflictError, TransientError, ForbiddenError, TimeoutError):
            async with asyncio.timeout(self._timing.retry):
                found = await self._lock.read()
                if found is not None and found.holder == self._identity:
                    await self._lock.write(dataclasses.replace(found, holder="", duration=dt.timedelta(seconds=1)))


def _was_lost(renewal: "asyncio.Task[None]") -> bool:
    return renewal.done() and not renewal.cancelled()


async def _either(ended: asyncio.Event, seconds: float) -> None:
    """Waits that long, or until the end."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await ended.wait()
