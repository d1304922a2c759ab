import asyncio
import datetime as dt

import pytest

from setpoint.api.meta import ObjectRef
from setpoint.runtime.metrics import Metrics
from setpoint.runtime.recorder import BufferedEventRecorder, EventRecord

pytestmark = pytest.mark.looptime(start=0, end=10_000)

ENV = ObjectRef("Environment", "default", "shop-prod")
START = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)


class LoopClock:
    """Wall time that goes with the loop's."""

    def now(self) -> dt.datetime:
        return START + dt.timedelta(seconds=round(asyncio.get_running_loop().time()))


class Recording:
    """A recorder and what came out of it."""

    def __init__(self, **options) -> None:
        self.records: list[EventRecord] = []
        self.metrics = Metrics()
        self.recorder = BufferedEventRecorder(
            options.pop("sink", self.keep), clock=LoopClock(), metrics=self.metrics, **options
        )
        self.stop = asyncio.Event()

    async def keep(self, record: EventRecord) -> None:
        self.records.append(record)

    def drops(self, cause: str) -> float:
        prefix = f'setpoint_events_dropped_total{{cause="{cause}"}} '
        lines = self.metrics.render().decode().splitlines()
        return next(float(line.removeprefix(prefix)) for line in lines if line.startswith(prefix))

    async def __aenter__(self) -> "Recording":
        self.task = asyncio.create_task(self.recorder.run(self.stop))
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop.set()
        await self.task


async def test_event__reaches_the_sink() -> None:
    async with Recording() as recording:
        recording.recorder.event(ENV, "Warning", "DriftDetected", "1 resource differs")
        await asyncio.sleep(1)
        assert recording.records == [
            EventRecord(ENV, "Warning", "DriftDetected", "1 resource differs", 1, START, START)
        ]


async def test_repeats__within_the_window_are_counted_and_then_afresh() -> None:
    async with Recording() as recording:
        for pause in (0, 300, 599, 601):
            await asyncio.sleep(pause)
            recording.recorder.event(ENV, "Normal", "Applied", "Applied 3 changes")
        await asyncio.sleep(1)
    assert [record.count for record in recording.records] == [1, 2, 3, 1]
    assert [(record.first_seen - START).seconds for record in recording.records] == [0, 0, 0, 1500]
    assert [(record.last_seen - START).seconds for record in recording.records] == [0, 300, 899, 1500]


@pytest.mark.parametrize(
    "other",
    [
        (ObjectRef("Environment", "default", "shop-staging"), "Normal", "Applied", "Applied 3 changes"),
        (ENV, "Warning", "Applied", "Applied 3 changes"),
        (ENV, "Normal", "Verified", "Applied 3 changes"),
        (ENV, "Normal", "Applied", "Applied 4 changes"),
    ],
    ids=["object", "type", "reason", "message"],
)
async def test_other_events__are_counted_apart(other) -> None:
    async with Recording() as recording:
        recording.recorder.event(ENV, "Normal", "Applied", "Applied 3 changes")
        recording.recorder.event(*other)
        await asyncio.sleep(1)
    assert [record.count for record in recording.records] == [1, 1]


async def test_repeats_that_wait__are_one_record() -> None:
    async with Recording() as recording:
        for _ in range(5):
            recording.recorder.event(ENV, "Normal", "Applied", "Applied 3 changes")
        await asyncio.sleep(1)
    assert [record.count for record in recording.records] == [5]


async def test_flood__is_cut_per_object_and_refilled_slowly() -> None:
    other = ObjectRef("Environment", "default", "quiet")
    async with Recording() as recording:
        for number in range(40):
            recording.recorder.event(ENV, "Normal", "Applied", f"Run {number}")
        recording.recorder.event(other, "Normal", "Applied", "Run 1")
        await asyncio.sleep(1)
        assert len(recording.records) == 26
        assert recording.drops("rate") == 15
        await asyncio.sleep(600)
        for number in range(5):
            recording.recorder.event(ENV, "Normal", "Applied", f"Later {number}")
        await asyncio.sleep(1)
        assert len(recording.records) == 28


async def test_full_queue__drops_the_oldest() -> None:
    recording = Recording()
    for number in range(1200):
        recording.recorder.event(ObjectRef("Environment", "default", f"e{number}"), "Normal", "Applied", "Done")
    assert recording.drops("queue") == 200
    async with recording:
        await asyncio.sleep(1)
    assert len(recording.records) == 1000
    assert recording.records[0].ref.name == "e200"


async def test_memory__is_bounded_whatever_the_number_of_objects() -> None:
    recording = Recording()
    for number in range(6000):
        recording.recorder.event(ObjectRef("Environment", "default", f"e{number}"), "Normal", "Applied", "Done")
    recorder = recording.recorder
    assert len(recorder._pending) == 1000
    assert len(recorder._series._known._values) == 4096
    assert len(recorder._limit._buckets._values) == 4096


async def test_memory__the_least_recent_go_first() -> None:
    recording = Recording()

    def others(first: int, last: int) -> None:
        for number in range(first, last):
            recording.recorder.event(ObjectRef("Environment", "default", f"e{number}"), "Normal", "Applied", "Done")

    recording.recorder.event(ENV, "Normal", "Applied", "Done")
    others(0, 4000)
    recording.recorder.event(ENV, "Normal", "Applied", "Done")
    others(4000, 4500)
    async with recording:
        recording.recorder.event(ENV, "Normal", "Applied", "Done")
        await asyncio.sleep(1)
    assert [record.count for record in recording.records if record.ref == ENV] == [2, 3]


async def test_sink_fails__the_next_event_still_goes(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []

    async def sink(record: EventRecord) -> None:
        if record.reason == "Broken":
            raise OSError("disk full")
        seen.append(record.reason)

    async with Recording(sink=sink) as recording:
        recording.recorder.event(ENV, "Normal", "Broken", "x")
        recording.recorder.event(ENV, "Normal", "Applied", "y")
        await asyncio.sleep(1)
        assert recording.drops("sink") == 1
    assert seen == ["Applied"]
    assert "Event Broken of environment/shop-prod is lost" in caplog.text


async def test_stop__flushes_what_waits() -> None:
    async def slow(record: EventRecord) -> None:
        await asyncio.sleep(1)
        recording.records.append(record)

    recording = Recording(sink=slow)
    async with recording:
        for number in range(5):
            recording.recorder.event(ENV, "Normal", "Applied", f"Run {number}")
    assert len(recording.records) == 5


async def test_message__is_redacted_and_trimmed() -> None:
    async with Recording(redact=lambda text: text.replace("hunter22", "(sensitive)")) as recording:
        recording.recorder.event(ENV, "Normal", "Applied", "with hunter22 " + "x" * 5000)
        await asyncio.sleep(1)
    (record,) = recording.records
    assert record.message.startswith("with (sensitive) xxx")
    assert len(record.message) == 1024
