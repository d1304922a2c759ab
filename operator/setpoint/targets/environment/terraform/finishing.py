"""Owns seeing things to their end: what has begun goes on, whatever happens to the task that waits for it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def finish(work: "asyncio.Future[T]") -> bool:
    """Waits until it is done, whatever it ended with; True where we were cancelled meanwhile."""
    cancelled = False
    while not work.done():
        try:
            await asyncio.wait({work})
        except asyncio.CancelledError:
            cancelled = True
    return cancelled


async def in_thread(threads: Executor, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs blocking work in a thread. A cancellation is raised once the work is done: it may hold a folder."""
    work = asyncio.get_running_loop().run_in_executor(threads, lambda: call(*args, **kwargs))
    if await finish(work):
        raise asyncio.CancelledError
    return work.result()
