"""Owns following a file that a process writes, line by line."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from setpoint.targets.environment.terraform.finishing import finish

_POLL = 0.1
_MAX_LINE = 1 << 20


@contextlib.asynccontextmanager
async def tail(path: Path, on_line: Callable[[bytes], None]) -> AsyncIterator[None]:
    """Passes on each line of a file while the context is open, and what is left when it closes, half a line too."""
    follower = _Follower(path, on_line)
    task = asyncio.create_task(follower.follow())
    try:
        yield
    finally:
        task.cancel()
        # A cancellation here would lose what the process said last.
        await finish(task)
        follower.finish()


class _Follower:
    def __init__(self, path: Path, on_line: Callable[[bytes], None]) -> None:
        self._path = path
        self._on_line = on_line
        self._at = 0
        self._rest = b""

    async def follow(self) -> None:
        while True:
            await asyncio.sleep(_POLL)
            self.read()

    def read(self) -> None:
        """Passes on what was added; half a line waits for its other half, unless it is longer than any message."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._at)
                added = file.read()
        except FileNotFoundError:
            return
        self._at += len(added)
        *lines, rest = (self._rest + added).split(b"\n")
        self._rest = rest if len(rest) <= _MAX_LINE else b""
        for line in lines:
            self._on_line(line)

    def finish(self) -> None:
        """Passes on the rest: nobody writes any more."""
        self.read()
        if self._rest:
            self._on_line(self._rest)
            self._rest = b""
