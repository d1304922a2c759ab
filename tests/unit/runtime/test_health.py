import asyncio

import pytest

from setpoint.runtime.health import Heartbeat


@pytest.mark.looptime
async def test_heartbeat__fresh_then_late_then_fresh_again() -> None:
    heartbeat = Heartbeat(max_age=10)
    await asyncio.sleep(10)
    assert heartbeat.check() == ""
    await asyncio.sleep(5)
    assert heartbeat.check() == "no heartbeat for 15 s, at most 10 s expected"
    heartbeat.beat()
    assert heartbeat.check() == ""
