"""Owns how events are aggregated, limited and handed on. Stores none of them: that is the sink's.

The limits are client-go's: repeats within ten minutes are one event with a count; an object may cause 25 events at
once and one more every five minutes. Memory is bounded whatever the number of objects and messages.
"""

import asyncio
import dataclasses
import datetime as dt
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, Literal, Protocol, TypeVar

from setpoint.api.meta import ObjectRef
from setpoint.domain.errors import SetpointError
from setpoint.ports import Clock

_LOGGER = logging.getLogger(__name__)

_WINDOW = 600.0
"""Seconds without a repeat after which the same event counts from one again."""
_BURST = 25.0
_REFILL = 1 / 300.0
"""Tokens a second."""
_MAX_MESSAGE = 1024
_MAX_KNOWN = 4096
"""Events, and objects, that are remembered; the least recent go first."""
_MAX_PENDING = 1000

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


@dataclasses.dataclass(frozen=True, slots=True)
class EventRecord:
    """Something that happened to an object, `count` times between two instants."""

    ref: ObjectRef
    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    count: int
    first_seen: dt.datetime
    last_seen: dt.datetime

    @property
    def key(self) -> tuple[ObjectRef, str, str, str]:
        """The fields that make two records the same event: the later one, with the higher count, replaces the other."""
        return self.ref, self.type, self.reason, self.message


class EventMetrics(Protocol):
    """A counter for the recorder; runtime.metrics.Metrics is one."""

    def count_dropped_event(self, cause: Literal["rate", "queue", "sink"]) -> None:
        """An event got lost."""
        ...


class BufferedEventRecorder:
    """The EventRecorder port: takes events at once, hands them to an async sink in the background.

    `event` belongs to the event loop's thread. `redact` takes secrets out of messages.
    """

    def __init__(
        self,
        sink: Callable[[EventRecord], Awaitable[None]],
        *,
        clock: Clock,
        metrics: EventMetrics,
        redact: Callable[[str], str] = str,
    ) -> None:
        self._sink = sink
        self._clock = clock
        self._metrics = metrics
        self._redact = redact
        self._series = EventSeries()
        self._limit = RateLimit()
        self._pending: OrderedDict[tuple[ObjectRef, str, str, str], EventRecord] = OrderedDict()
        self._wakeup = asyncio.Event()

    def event(self, ref: ObjectRef, type_: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """Records that something happened to an object."""
        seconds = asyncio.get_running_loop().time()
        now = self._clock.now()
        once = EventRecord(ref, type_, reason, self._redact(message)[:_MAX_MESSAGE], 1, now, now)
        record = self._series.count(once, seconds)
        if not self._limit.take(ref, seconds):
            self._metrics.count_dropped_event("rate")
            return
        self._pending[record.key] = record
        if len(self._pending) > _MAX_PENDING:
            self._pending.popitem(last=False)
            self._metrics.count_dropped_event("queue")
        self._wakeup.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Hands events to the sink, oldest first, until `stop` is set and none is left."""
        stopping = asyncio.create_task(stop.wait())
        stopping.add_done_callback(lambda _task: self._wakeup.set())
        try:
            while self._pending or not stop.is_set():
                await self._flush()
                self._wakeup.clear()
                if not self._pending and not stop.is_set():
                    await self._wakeup.wait()
        finally:
            stopping.cancel()

    async def _flush(self) -> None:
        while self._pending:
            _, record = self._pending.popitem(last=False)
            try:
                await self._sink(record)
            except Exception as error:
                # Events are told on a best-effort basis: the next one goes its own way.
                self._metrics.count_dropped_event("sink")
                why, foreign = (error.message, False) if isinstance(error, SetpointError) else (error, True)
                _LOGGER.warning("Event %s of %s is lost: %s", record.reason, record.ref, why, exc_info=foreign)


class EventSeries:
    """Counts repeats of the same event. Time is in seconds and comes in."""

    def __init__(self) -> None:
        self._known: _Recent[tuple[ObjectRef, str, str, str], tuple[EventRecord, float]] = _Recent(_MAX_KNOWN)

    def count(self, record: EventRecord, now: float) -> EventRecord:
        """The record with all of its repeats within the window in it."""
        known = self._known.get(record.key)
        if known is not None and now - known[1] <= _WINDOW:
            record = dataclasses.replace(record, count=known[0].count + 1, first_seen=known[0].first_seen)
        self._known.put(record.key, (record, now))
        return record


class RateLimit:
    """A token bucket per object. Time is in seconds and comes in."""

    def __init__(self) -> None:
        self._buckets: _Recent[ObjectRef, tuple[float, float]] = _Recent(_MAX_KNOWN)

    def take(self, ref: ObjectRef, now: float) -> bool:
        """Takes a token; False where there is none."""
        tokens, since = self._buckets.get(ref) or (_BURST, now)
        tokens = min(_BURST, tokens + (now - since) * _REFILL)
        allowed = tokens >= 1.0
        self._buckets.put(ref, (tokens - 1.0 if allowed else tokens, now))
        return allowed


class _Recent(Generic[_Key, _Value]):
    """The values that were put last."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[_Key, _Value] = OrderedDict()

    def get(self, key: _Key) -> _Value | None:
        return self._values.get(key)

    def put(self, key: _Key, value: _Value) -> None:
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._size:
            self._values.popitem(last=False)
