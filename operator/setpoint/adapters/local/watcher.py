"""Owns noticing that files of a home changed. Reads none of them, and decides nothing.

Folders are watched one by one, so that those of tools and our own, which change all the time, cost nothing. Where the
system can't watch, and for what a watch may miss, there is a look every ten seconds.
"""

import asyncio
import contextlib
import logging
import posixpath
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import watchfiles

from setpoint.adapters.local import tree
from setpoint.ports import Code

RESCAN_SECONDS = 10.0
_DEBOUNCE_MS = 400
_STEP_MS = 50
_MAX_FOLDERS = 20_000
_LOGGER = logging.getLogger(__name__)

_Batch = set[tuple[watchfiles.Change, str]]
Changed = Callable[[frozenset[str]], Awaitable[None]]


class _UnwatchableError(Exception):
    """The system can't watch, for now or at all."""


async def watch_home(root: Path, codes: Sequence[Code], changed: Changed, stop: asyncio.Event) -> None:
    """Calls `changed` with the paths, below the resolved home, that changed, until `stop` is set.

    It is called with no path at the beginning, whenever something may have been missed, and at least every ten
    seconds. Calls never overlap. `codes` say which folders are no sources. What it raises ends the watch.
    """
    paths: frozenset[str] = frozenset()
    warned = False
    with ThreadPoolExecutor(1, thread_name_prefix="setpoint-watch") as thread:
        while not stop.is_set():
            folders = await asyncio.get_running_loop().run_in_executor(thread, _folders, root, codes)
            try:
                paths = await _watch(root, folders, codes, paths, changed, stop)
            except _UnwatchableError as error:
                if not warned:
                    _LOGGER.warning("Files can't be watched, looking every %.0f s: %s", RESCAN_SECONDS, error)
                warned = True
                await changed(frozenset())
                await _pause(stop)


def _folders(root: Path, codes: Sequence[Code]) -> tuple[str, ...]:
    return tuple(tree.folders(root, codes, limit=_MAX_FOLDERS))


async def _pause(stop: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(RESCAN_SECONDS):
            await stop.wait()


async def _watch(
    root: Path,
    folders: Sequence[str],
    codes: Sequence[Code],
    before: frozenset[str],
    changed: Changed,
    stop: asyncio.Event,
) -> frozenset[str]:
    """Watches these folders until `stop`, or until there is a new one: returns the paths that are to be told then."""
    # An event of its own: a cancelled awatch sets the one that it was given.
    ended = asyncio.Event()
    stopping = asyncio.create_task(_forward(stop, ended))
    batches = watchfiles.awatch(
        *(root / folder for folder in folders),
        watch_filter=lambda _change, path: tree.is_watched(posixpath.basename(path), codes),
        debounce=_DEBOUNCE_MS,
        step=_STEP_MS,
        stop_event=ended,
        rust_timeout=int(RESCAN_SECONDS * 1000),
        yield_on_timeout=True,
        recursive=False,
        ignore_permission_denied=True,
    )
    try:
        async with contextlib.aclosing(batches):
            return await _tell(root, batches, before, changed)
    finally:
        stopping.cancel()


async def _forward(stop: asyncio.Event, ended: asyncio.Event) -> None:
    await stop.wait()
    ended.set()


async def _tell(
    root: Path, batches: AsyncGenerator[_Batch, None], before: frozenset[str], changed: Changed
) -> frozenset[str]:
    next_batch = asyncio.ensure_future(anext(batches, None))
    try:
        # Its first step sets the watch up. What happened before that is found by looking; all else is in a batch.
        await asyncio.sleep(0)
        await changed(before)
        while (batch := await _next(next_batch)) is not None:
            paths = frozenset(posixpath.relpath(path, root) for _, path in batch)
            if any(change is watchfiles.Change.added and (root / path).is_dir() for change, path in batch):
                return paths
            await changed(paths)
            next_batch = asyncio.ensure_future(anext(batches, None))
    finally:
        next_batch.cancel()
        await asyncio.wait({next_batch})
    return frozenset()


async def _next(batch: asyncio.Future[_Batch | None]) -> _Batch | None:
    try:
        return await batch
    except (OSError, RuntimeError) as error:
        raise _UnwatchableError(str(error)) from None
