import asyncio
import logging

import pytest

from setpoint.runtime.manager import Manager, Runnable, RunnableEndedError

pytestmark = pytest.mark.looptime(start=0, end=10_000)


class Journal:
    """Runnables that note what happens to them."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def runnable(self, name: str, *, drain: float = 0.0, crash_after: float | None = None, **options) -> Runnable:
        async def run(stop: asyncio.Event) -> None:
            self.lines.append(f"{name} starts")
            try:
                if crash_after is not None:
                    await asyncio.sleep(crash_after)
                    raise LookupError(name)
                await stop.wait()
                await asyncio.sleep(drain)
                self.lines.append(f"{name} ends")
            except asyncio.CancelledError:
                self.lines.append(f"{name} is cancelled")
                raise

        return Runnable(name, run, **options)


async def started(manager: Manager) -> asyncio.Task[None]:
    task = asyncio.create_task(manager.run())
    await asyncio.sleep(0.1)
    return task


async def test_stop__in_reverse_order_each_within_its_grace() -> None:
    journal = Journal()
    manager = Manager([journal.runnable(name, drain=5, grace=10) for name in "abc"])
    task = await started(manager)
    begin = asyncio.get_running_loop().time()
    manager.stop()
    await task
    assert journal.lines == ["a starts", "b starts", "c starts", "c ends", "b ends", "a ends"]
    assert asyncio.get_running_loop().time() - begin == pytest.approx(15)


async def test_stop__no_grace__cancelled_at_once() -> None:
    journal = Journal()
    manager = Manager([journal.runnable("a", drain=5)])
    task = await started(manager)
    manager.stop()
    await task
    assert journal.lines == ["a starts", "a is cancelled"]


async def test_stop__grace_over__cancelled() -> None:
    journal = Journal()
    manager = Manager([journal.runnable("a", drain=100, grace=10)])
    task = await started(manager)
    begin = asyncio.get_running_loop().time()
    manager.stop()
    await task
    assert journal.lines[-1] == "a is cancelled"
    assert asyncio.get_running_loop().time() - begin == pytest.approx(10)


@pytest.mark.parametrize("how", [Manager.stop, Manager.stop_now], ids=["stop again", "stop now"])
async def test_second_stop__is_hard(how) -> None:
    journal = Journal()
    manager = Manager([journal.runnable(name, drain=100, grace=1000) for name in "ab"])
    task = await started(manager)
    begin = asyncio.get_running_loop().time()
    manager.stop()
    await asyncio.sleep(1)
    how(manager)
    await task
    assert journal.lines[2:] == ["b is cancelled", "a is cancelled"]
    assert asyncio.get_running_loop().time() - begin == pytest.approx(1)


async def test_stop_now__without_a_stop_before() -> None:
    journal = Journal()
    manager = Manager([journal.runnable("a", drain=100, grace=1000)])
    task = await started(manager)
    manager.stop_now()
    await task
    assert journal.lines == ["a starts", "a is cancelled"]


async def test_crash__stops_the_others_in_reverse_and_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    journal = Journal()
    runnables = [
        journal.runnable("a", drain=1, grace=10),
        journal.runnable("b", crash_after=30),
        journal.runnable("c", drain=1, grace=10),
    ]
    with pytest.raises(LookupError, match="b"):
        await Manager(runnables).run()
    assert journal.lines[3:] == ["c ends", "a ends"]
    assert [record.message for record in caplog.records] == ["b crashed"]


async def test_crash__a_stop_asked_for_meanwhile_is_still_graceful() -> None:
    journal = Journal()
    manager = Manager([journal.runnable("a", drain=5, grace=10), journal.runnable("b", crash_after=1)])
    task = asyncio.create_task(manager.run())
    await asyncio.sleep(2)
    manager.stop()
    with pytest.raises(LookupError):
        await task
    assert journal.lines[-1] == "a ends"


async def test_crash_while_stopping__is_raised_after_all_have_ended() -> None:
    async def run(stop: asyncio.Event) -> None:
        await stop.wait()
        raise LookupError

    journal = Journal()
    manager = Manager([journal.runnable("a", grace=10), Runnable("b", run, grace=10)])
    task = await started(manager)
    manager.stop()
    with pytest.raises(LookupError):
        await task
    assert journal.lines[-1] == "a ends"


async def test_restart__again_and_again_with_growing_pauses(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    journal = Journal()
    manager = Manager([journal.runnable("a", crash_after=1, restart=True), journal.runnable("b")])
    task = await started(manager)
    await asyncio.sleep(400)
    manager.stop()
    await task
    starts = journal.lines.count("a starts")
    # Pauses of at most 1, 2, 4, ... 60 s and at least half of that, with a second of work between them.
    assert 9 <= starts <= 17
    assert journal.lines.count("b starts") == 1


async def test_restart__after_a_long_healthy_run__the_pause_is_short_again() -> None:
    loop, starts = asyncio.get_running_loop(), []

    async def run(_stop: asyncio.Event) -> None:
        starts.append(loop.time())
        await asyncio.sleep(100 if len(starts) == 6 else 0)
        raise LookupError

    manager = Manager([Runnable("a", run, restart=True)])
    task = await started(manager)
    await asyncio.sleep(150)
    manager.stop()
    await task
    assert starts[5] - starts[4] >= 8
    assert starts[6] - starts[5] <= 101


async def test_restart__stopped_during_the_pause() -> None:
    journal = Journal()
    manager = Manager([journal.runnable("a", crash_after=0, restart=True, grace=1000)])
    task = await started(manager)
    begin = asyncio.get_running_loop().time()
    manager.stop()
    await task
    assert asyncio.get_running_loop().time() - begin < 0.5


@pytest.mark.parametrize("finite", [True, False], ids=["finite", "endless"])
async def test_return__before_the_stop__is_a_crash_unless_finite(finite: bool) -> None:
    async def run(_stop: asyncio.Event) -> None:
        return

    journal = Journal()
    manager = Manager([Runnable("a", run, finite=finite), journal.runnable("b")])
    task = await started(manager)
    assert task.done() is not finite
    manager.stop()
    if finite:
        await task
    else:
        with pytest.raises(RunnableEndedError, match="a ended without being told to"):
            await task


async def test_cancelled_from_within__is_a_crash_too() -> None:
    async def run(_stop: asyncio.Event) -> None:
        raise asyncio.CancelledError

    with pytest.raises(RunnableEndedError):
        await Manager([Runnable("a", run)]).run()


async def test_cancelled__stops_in_order() -> None:
    journal = Journal()
    manager = Manager([journal.runnable(name, drain=1, grace=10) for name in "ab"])
    task = await started(manager)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert journal.lines[2:] == ["b ends", "a ends"]
