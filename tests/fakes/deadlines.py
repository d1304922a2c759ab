"""Owns Deadlines: those of commands, which pass when a test says so, however slow the machine is."""

import asyncio


class Deadlines:
    """Takes the place of `process.start_deadline`."""

    def __init__(self) -> None:
        self._made: list[asyncio.Timeout] = []

    def __call__(self, seconds: float) -> asyncio.Timeout:
        """One that has no time of its own."""
        assert seconds > 0
        self._made.append(asyncio.timeout(None))
        return self._made[-1]

    async def expire(self) -> None:
        """The time of the last one is over."""
        self._made[-1].reschedule(asyncio.get_running_loop().time())
        while not self._made[-1].expired():
            await asyncio.sleep(0)
