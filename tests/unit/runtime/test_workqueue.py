import asyncio

import pytest

from setpoint.api.meta import ObjectRef
from setpoint.runtime.backoff import Backoff
from setpoint.runtime.requests import Request
from setpoint.runtime.workqueue import Priority, WorkQueue


def request(name: str) -> Request:
    return Request(ObjectRef("Environment", "default", name))


A, B, C = map(request, "abc")


async def drained(queue: WorkQueue) -> list[Request]:
    """Takes and gives back all that is ready."""
    taken = []
    while len(queue):
        one = await queue.get()
        assert one is not None
        taken.append(one)
        queue.done(one)
    return taken


async def test_add__twice__handed_out_once() -> None:
    queue = WorkQueue()
    queue.add(A)
    queue.add(B)
    queue.add(A)
    assert await drained(queue) == [A, B]


async def test_add__while_a_worker_has_it__comes_back_once_when_done() -> None:
    queue = WorkQueue()
    queue.add(A)
    assert await queue.get() == A
    queue.add(A)
    queue.add(A)
    assert len(queue) == 0
    queue.done(A)
    assert await drained(queue) == [A]


async def test_priority__normal_before_low_else_in_order() -> None:
    queue = WorkQueue()
    queue.add(A, Priority.LOW)
    queue.add(B)
    queue.add(C)
    assert await drained(queue) == [B, C, A]


@pytest.mark.parametrize(
    ("first", "second"),
    [(Priority.LOW, Priority.NORMAL), (Priority.NORMAL, Priority.LOW)],
    ids=["raised", "never lowered"],
)
async def test_priority__added_again__the_higher_one_counts(first: Priority, second: Priority) -> None:
    queue = WorkQueue()
    queue.add(B, Priority.LOW)
    queue.add(A, first)
    queue.add(A, second)
    assert await drained(queue) == [A, B]


async def test_priority__raised_while_processing__counts_when_done() -> None:
    queue = WorkQueue()
    queue.add(A, Priority.LOW)
    await queue.get()
    queue.add(A, Priority.LOW)
    queue.add(B, Priority.LOW)
    queue.add(A, Priority.NORMAL)
    queue.add(A, Priority.LOW)
    queue.done(A)
    assert await drained(queue) == [A, B]


@pytest.mark.looptime
async def test_add_after__ready_at_that_time() -> None:
    loop, queue = asyncio.get_running_loop(), WorkQueue()
    start = loop.time()
    queue.add_after(B, 20)
    queue.add_after(A, 10)
    assert (len(queue), queue.delayed) == (0, 2)
    assert await queue.get() == A
    assert loop.time() - start == pytest.approx(10)
    assert await queue.get() == B
    assert loop.time() - start == pytest.approx(20)


@pytest.mark.looptime
@pytest.mark.parametrize("delays", [(10, 500), (500, 10)], ids=["earlier first", "later first"])
async def test_add_after__twice__the_earlier_one_wins(delays: tuple[float, float]) -> None:
    loop, queue = asyncio.get_running_loop(), WorkQueue()
    start = loop.time()
    for delay in delays:
        queue.add_after(A, delay)
    queue.done(await queue.get())
    assert loop.time() - start == pytest.approx(10)
    await asyncio.sleep(1000)
    assert (len(queue), queue.delayed) == (0, 0)


@pytest.mark.looptime
async def test_add_after__a_superseded_delay_never_counts_again() -> None:
    loop, queue = asyncio.get_running_loop(), WorkQueue()
    start = loop.time()
    for delay in (100, 10):
        queue.add_after(A, delay)
    queue.add_after(B, 50)
    queue.done(await queue.get())
    queue.add_after(A, 490)
    assert await queue.get() == B
    assert await queue.get() == A
    assert loop.time() - start == pytest.approx(500)


@pytest.mark.looptime
async def test_add_after__ready_already__is_no_second_look() -> None:
    queue = WorkQueue()
    queue.add(A)
    queue.add_after(A, 10)
    assert await drained(queue) == [A]
    await asyncio.sleep(20)
    assert len(queue) == 0


@pytest.mark.looptime
async def test_add__while_delayed__now_and_not_again() -> None:
    queue = WorkQueue()
    queue.add_after(A, 10)
    queue.add(A)
    assert await drained(queue) == [A]
    await asyncio.sleep(20)
    assert len(queue) == 0


@pytest.mark.looptime
async def test_add__low_while_delayed_as_normal__stays_normal() -> None:
    queue = WorkQueue()
    queue.add_after(A, 10, Priority.NORMAL)
    queue.add(B, Priority.LOW)
    queue.add(A, Priority.LOW)
    assert await drained(queue) == [A, B]


@pytest.mark.looptime
async def test_delay__ends_while_processing__comes_back_when_done() -> None:
    queue = WorkQueue()
    queue.add(A)
    await queue.get()
    queue.add_after(A, 10)
    await asyncio.sleep(20)
    assert (len(queue), queue.delayed, queue.processing) == (0, 0, 1)
    queue.done(A)
    assert await drained(queue) == [A]


@pytest.mark.looptime
async def test_add_after__keeps_the_priority_it_was_taken_with() -> None:
    queue = WorkQueue()
    queue.add(A, Priority.LOW)
    await queue.get()
    queue.add_after(A, 10)
    queue.done(A)
    queue.add_after(B, 10.5)
    await asyncio.sleep(11)
    assert await drained(queue) == [B, A]


async def test_add_after__no_delay__is_ready_now() -> None:
    queue = WorkQueue()
    queue.add_after(A, 0)
    assert await drained(queue) == [A]


@pytest.mark.looptime
async def test_add_rate_limited__waits_longer_each_time_until_forgotten() -> None:
    queue = WorkQueue(backoff=Backoff(base=1, maximum=4, uniform=lambda: 1.0))
    seconds = []
    for _ in range(4):
        seconds.append(queue.add_rate_limited(A))
        queue.done(await queue.get())
    assert (seconds, queue.failures(A)) == ([1, 2, 4, 4], 4)
    queue.forget(A)
    assert queue.add_rate_limited(A) == 1


@pytest.mark.looptime
async def test_latency__counts_from_when_it_was_first_ready() -> None:
    latencies: list[float] = []
    queue = WorkQueue(on_latency=latencies.append)
    queue.add(A, Priority.LOW)
    await asyncio.sleep(3)
    queue.add(A)
    await asyncio.sleep(4)
    await queue.get()
    assert latencies == [pytest.approx(7)]


async def test_get__waits_and_survives_the_cancellation_of_another() -> None:
    queue = WorkQueue()
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add(A)
    first.cancel()
    assert await second == A


async def test_close__hands_out_nothing_more_and_takes_nothing_in() -> None:
    queue = WorkQueue()
    waiting = asyncio.create_task(queue.get())
    queue.add(A)
    assert await waiting == A
    queue.add(B)
    queue.add_after(C, 10)
    queue.close()
    queue.add(A)
    queue.add_after(B, 10)
    queue.done(A)
    assert await queue.get() is None
    assert (len(queue), queue.delayed, queue.processing) == (0, 0, 0)


async def test_close__wakes_all_who_wait() -> None:
    queue = WorkQueue()
    waiting = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    queue.close()
    assert await asyncio.gather(*waiting) == [None, None, None]


async def test_idle__only_when_nothing_is_ready_or_processing() -> None:
    queue = WorkQueue()
    await queue.idle()
    queue.add(A)
    queue.add_after(B, 1000)
    idle = asyncio.create_task(queue.idle())
    await asyncio.sleep(0)
    assert not idle.done()
    await queue.get()
    queue.add(A)
    queue.done(A)
    await asyncio.sleep(0)
    assert not idle.done()
    await drained(queue)
    await idle
    queue.close()


async def test_superseded_delays__leave_no_heap_behind() -> None:
    queue = WorkQueue()
    keys = [request(f"e{number}") for number in range(500)]
    for delay in range(3000, 2900, -1):
        for key in keys:
            queue.add_after(key, delay)
    assert queue.delayed == 500
    assert len(queue._delays._heap) <= 2 * 500 + 64
    for key in keys:
        queue.add(key)
    assert len(queue._delays._heap) <= 64
    queue.close()
