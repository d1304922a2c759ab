"""Owns how fast we ask: a token bucket each for reads and writes, so that a storm of ours never is the server's."""

import asyncio


class RateLimiter:
    """Lets `rate` calls a second pass, and `burst` at once; the others wait their turn, first come first served."""

    def __init__(self, rate: float, burst: int) -> None:
        self._interval = 1.0 / rate
        self._depth = self._interval * burst
        self._free_at = 0.0

    async def acquire(self) -> None:
        """Waits for a turn. A turn that was waited for in vain (cancelled) is spent all the same."""
        now = asyncio.get_running_loop().time()
        # The virtual schedule of GCRA (ITU-T I.371): when the bucket will be full again.
        self._free_at = max(self._free_at, now - self._depth) + self._interval
        if (wait := self._free_at - now) > 0:
            await asyncio.sleep(wait)
