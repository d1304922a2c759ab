"""Owns the SourceResolver: sends each kind of source to its reader, off the event loop."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from setpoint.adapters.source.folder import FolderReader
from setpoint.adapters.source.git import GitReader
from setpoint.adapters.source.inline import inline_tree
from setpoint.adapters.source.limits import Bounds, Limits, refused
from setpoint.api.source import GitSource, Source
from setpoint.ports import Code, SourceTree

_THREADS = 4
_T = TypeVar("_T")


class SourceResolver:
    """Implements ports.SourceResolver. `home_root` is None on a cluster; `cache_root` is a folder of its own (0700)."""

    def __init__(self, home_root: Path | None, cache_root: Path, *, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._folders = FolderReader(home_root, self._limits) if home_root else None
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="setpoint-source")
        self._git = GitReader(cache_root / "git", self._limits, self._call, local=home_root is not None)

    async def resolve(
        self, source: Source, *, origin: Path | None, credentials: Mapping[str, str], code: Code
    ) -> SourceTree:
        """Reads the source. Raises StalledError (SourceNotFound, SourceRefused), TransientError (SourceUnavailable)."""
        match source:
            case Source(git=GitSource() as git):
                return await self._git.tree(git, credentials, code)
            case Source(path=str(path)):
                if self._folders is None or origin is None:
                    raise refused("spec.source.path works in a local home only; use git or inline")
                return await self._call(partial(self._folders.tree, origin, path, code))
            case _:
                return await self._call(partial(inline_tree, source.inline or {}, Bounds(self._limits, code)))

    def readers_of(self, paths: Collection[str]) -> frozenset[str]:
        """The folders of the home whose last reading, as a source, looked at one of these paths below the home."""
        return self._folders.readers_of(paths) if self._folders else frozenset()

    async def drop_unused(self) -> int:
        """Drops the copies of repositories that no source has used for a month; returns how many."""
        return await self._git.drop_unused()

    async def close(self) -> None:
        """Ends the threads; what they still read is given up."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _call(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)
