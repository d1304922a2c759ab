"""The rate limiter, on a clock that the test controls."""

import asyncio

import pytest

from setpoint.adapters.kube.limits import RateLimiter

pytestmark = pytest.mark.looptime


async def seconds_of(limiter: RateLimiter, calls: int) -> float:
    began = asyncio.get_running_loop().time()
    await asyncio.gather(*(limiter.acquire() for _ in range(calls)))
    return asyncio.get_running_loop().time() - began


async def test_a_burst_passes_at_once_and_the_rest_at_its_rate() -> None:
    limiter = RateLimiter(10.0, burst=5)
    await asyncio.sleep(1)
    assert await seconds_of(limiter, 5) == pytest.approx(0.0, abs=0.11)
    assert await seconds_of(limiter, 20) == pytest.approx(2.0, abs=0.11)


async def test_a_pause_gives_the_burst_back_and_no_more() -> None:
    limiter = RateLimiter(10.0, burst=5)
    await seconds_of(limiter, 50)
    await asyncio.sleep(1000)
    assert await seconds_of(limiter, 25) == pytest.approx(2.0, abs=0.11)


async def test_the_first_comes_first() -> None:
    limiter = RateLimiter(10.0, burst=1)
    served: list[int] = []

    async def call(number: int) -> None:
        await limiter.acquire()
        served.append(number)

    await asyncio.gather(*(call(number) for number in range(10)))
    assert served == list(range(10))
