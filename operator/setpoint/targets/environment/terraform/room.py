"""Owns keeping room in memory: no run begins while most of it is used and others may give some back."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from setpoint.runtime.memory import MemoryGroup

_SHARE = 0.7
"""Of the limit: what runs take once they have begun must fit in the rest."""
_EVERY = 0.5
"""Seconds between two measurements of what is used."""
_LOGGER = logging.getLogger(__name__)


class Room:
    """Lets runs begin one after another. Without a limit, all at once.

    One that no other run goes on beside begins always: nothing would be given back by waiting.
    """

    def __init__(self, group: MemoryGroup | None, *, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._group = group
        self._pause = pause
        self._turn = asyncio.Lock()
        self._going = 0

    @contextlib.asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Waits until a run may begin, for as long as it goes on."""
        if self._group is not None:
            async with self._turn:
                await self._wait(self._group)
        self._going += 1
        try:
            yield
        finally:
            self._going -= 1

    async def _wait(self, group: MemoryGroup) -> None:
        told = False
        while self._going and (used := _used(group)) >= _SHARE * group.limit:
            if not told:
                _LOGGER.warning(
                    "A run waits for memory: %d of %d MiB are used, and %d other runs go on",
                    used >> 20,
                    group.limit >> 20,
                    self._going,
                )
                told = True
            await self._pause(_EVERY)


def _used(group: MemoryGroup) -> int:
    """The bytes in use; all where the kernel does not tell, so that one run goes on at a time."""
    try:
        return group.used()
    except (OSError, ValueError):
        return group.limit
