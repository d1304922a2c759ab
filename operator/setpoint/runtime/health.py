"""Owns the form of a health check and the heartbeat. Must not do I/O: a check answers from memory, at once."""

import asyncio
from collections.abc import Callable

Check = Callable[[], str]
"""Says what is wrong in one plain sentence without secrets; the empty string means that nothing is."""


class Heartbeat:
    """Something that must happen again and again, such as a round of a loop. It starts fresh.

    `max_age` is in seconds of the event loop's clock.
    """

    def __init__(self, max_age: float) -> None:
        self._max_age = max_age
        self._last = asyncio.get_running_loop().time()

    def beat(self) -> None:
        """Says that it happened."""
        self._last = asyncio.get_running_loop().time()

    def check(self) -> str:
        """A Check: wrong once the last beat is older than `max_age`."""
        age = asyncio.get_running_loop().time() - self._last
        return f"no heartbeat for {age:.0f} s, at most {self._max_age:.0f} s expected" if age > self._max_age else ""
