"""Owns the sealed blobs: files named by keyed digest. Their sealing is in sealing.py."""

import asyncio
import collections
import fcntl
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Self, TypeVar

from setpoint.adapters.store.files import sync_folder, write_atomically
from setpoint.adapters.store.sealing import DamagedError, Sealer, load_key
from setpoint.domain.errors import NotFoundError, StoreError

_DIGEST = re.compile(r"sha256:([0-9a-f]{2})([0-9a-f]{62})")
_THREADS = 2
_CACHE_BYTES = 16 << 20
_MIN_AGE = 3600.0
"""Seconds for which a blob is kept although nothing refers to it: what does may not be written yet."""
_MODE = 0o700

Result = TypeVar("Result")


class SealedBlobs:
    """The BlobStore in a folder. The newest plain bytes are kept in memory, up to 16 MiB."""

    def __init__(self, folder: Path, sealer: Sealer) -> None:
        self._folder = folder
        self._sealer = sealer
        self._cache = _Cache(_CACHE_BYTES)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="setpoint-blobs")

    @classmethod
    def open(cls, folder: Path, key_file: Path) -> Self:
        """Opens the folder; makes it, and the key, at first use. Raises StoreError for a key that is lost."""
        try:
            folder.mkdir(mode=_MODE, parents=True, exist_ok=True)
            count = sum(1 for _ in _files(folder))
        except OSError as error:
            raise _failed(folder, error) from None
        guards = f"{count} sealed blobs (Terraform states, bundles, plans, variables)" if count else ""
        return cls(folder, Sealer(load_key(key_file, guards=guards)))

    async def put(self, data: bytes) -> str:
        """Seals and stores bytes, durably; returns their digest. Raises StoreError."""
        return await self._in_thread(lambda: self._put(data))

    async def get(self, digest: str) -> bytes:
        """The plain bytes. Raises NotFoundError, StoreError."""
        cached = self._cache.get(digest)
        return cached if cached is not None else await self._in_thread(lambda: self._get(digest))

    async def prune(self, keep: frozenset[str]) -> int:
        """Removes all other blobs that are older than an hour; returns how many."""
        return await self._in_thread(lambda: self._prune(keep))

    def digest(self, data: bytes) -> str:
        """What `put` would return."""
        return self._sealer.digest(data)

    async def close(self) -> None:
        """Ends the threads once their work is done."""
        await self._in_thread(lambda: None)
        self._threads.shutdown(wait=False)

    async def _in_thread(self, fn: Callable[[], Result]) -> Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, fn)
        except OSError as error:
            raise _failed(self._folder, error) from None

    def _path(self, digest: str) -> Path:
        match = _DIGEST.fullmatch(digest)
        if match is None:
            raise NotFoundError("no blob has such a digest")
        return self._folder / match[1] / match[2]

    def _put(self, data: bytes) -> str:
        digest = self._sealer.digest(data)
        path = self._path(digest)
        with _locked(self._folder, fcntl.LOCK_SH):
            try:
                # Made young again, so that prune leaves it until what refers to it is written.
                os.utime(path)
            except FileNotFoundError:
                self._write(path, digest, data)
        self._cache.put(digest, data)
        return digest

    def _write(self, path: Path, digest: str, data: bytes) -> None:
        if not path.parent.exists():
            path.parent.mkdir(mode=_MODE, exist_ok=True)
            sync_folder(self._folder)
        write_atomically(path, self._sealer.seal(data, digest))

    def _get(self, digest: str) -> bytes:
        try:
            sealed = self._path(digest).read_bytes()
        except FileNotFoundError:
            raise NotFoundError(f"there is no blob {digest}") from None
        try:
            data = self._sealer.open(sealed, digest)
        except DamagedError:
            msg = f"the blob {digest} is damaged, or was sealed with another key: what it held is lost"
            raise StoreError(msg) from None
        self._cache.put(digest, data)
        return data

    def _prune(self, keep: frozenset[str]) -> int:
        before, count = time.time() - _MIN_AGE, 0
        with _locked(self._folder, fcntl.LOCK_EX):
            for path in _files(self._folder):
                if f"sha256:{path.parent.name}{path.name}" not in keep and path.stat().st_mtime < before:
                    path.unlink()
                    count += 1
        return count


class _Cache:
    """The bytes that were used last, up to a total; what takes more than half of it is not kept."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._lock = threading.Lock()
        self._entries: collections.OrderedDict[str, bytes] = collections.OrderedDict()

    def get(self, digest: str) -> bytes | None:
        with self._lock:
            if digest in self._entries:
                self._entries.move_to_end(digest)
            return self._entries.get(digest)

    def put(self, digest: str, data: bytes) -> None:
        if len(data) > self._limit // 2:
            return
        with self._lock:
            self._size += len(data) - len(self._entries.pop(digest, b""))
            self._entries[digest] = data
            while self._size > self._limit:
                self._size -= len(self._entries.popitem(last=False)[1])


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob("??/*") if path.is_file())


@contextmanager
def _locked(folder: Path, mode: int) -> Iterator[None]:
    """Keeps prune, of any process, apart from the writes."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, mode)
        yield
    finally:
        os.close(handle)


def _failed(folder: Path, error: OSError) -> StoreError:
    return StoreError(f"blobs in {folder} can't be read or written: {error.strerror}")
