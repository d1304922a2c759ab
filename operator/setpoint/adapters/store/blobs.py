"""Owns the sealed blobs, and keeping them as files named by keyed digest. Their sealing is in sealing.py."""

import asyncio
import collections
import fcntl
import os
import re
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, Self, TypeVar

from setpoint.adapters.store.files import sync_folder, write_atomically
from setpoint.adapters.store.sealing import DamagedError, Sealer, load_key
from setpoint.domain.errors import LostBlobError, NotFoundError, StoreError

_DIGEST = re.compile(r"sha256:([0-9a-f]{2})([0-9a-f]{62})")
THREADS = 2
_CACHE_BYTES = 16 << 20
MIN_AGE = 2 * 24 * 3600.0
"""Seconds for which a blob is kept although nothing refers to it: what does may not be written yet.

Twice the longest that a pass may take: each puts or renews what its outcome will name.
"""
_MODE = 0o700

Result = TypeVar("Result")


class Shelf(Protocol):
    """The place of sealed blobs. Its methods block, and raise StoreError."""

    def put(self, digest: str, pieces: Iterator[bytes]) -> None:
        """Keeps what is sealed, durably. One that is there already is made young again, and no piece is taken."""
        ...

    def get(self, digest: str) -> bytes:
        """All pieces together. Raises NotFoundError."""
        ...

    def renew(self, digest: str) -> None:
        """Makes it young again. Raises NotFoundError."""
        ...

    def now(self) -> float:
        """Unix seconds by the clock that ages are told by."""
        ...

    def prune(self, keep: frozenset[str], before: float) -> int:
        """Removes all others that were last made young before that moment; returns how many."""
        ...

    def close(self) -> None:
        """Lets go of what it holds open."""
        ...


class SealedBlobs:
    """The BlobStore over a shelf. The newest plain bytes are kept in memory, up to 16 MiB."""

    def __init__(self, shelf: Shelf, sealer: Sealer, *, key_name: str) -> None:
        """`key_name` is where people find the key."""
        self._key_name = key_name
        self._shelf = shelf
        self._sealer = sealer
        self._cache = _Cache(_CACHE_BYTES)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="setpoint-blobs")

    @classmethod
    def open(cls, folder: Path, key_file: Path) -> Self:
        """Opens the folder; makes it, and the key, at first use. Raises StoreError for a key that is lost."""
        shelf = BlobFolder(folder)
        count = shelf.create()
        guards = f"{count} sealed blobs (Terraform states, bundles, plans, variables)" if count else ""
        return cls(shelf, Sealer(load_key(key_file, guards=guards)), key_name=str(key_file))

    async def put(self, data: bytes) -> str:
        """Seals and stores bytes, durably; returns their digest. Raises StoreError."""
        return await self._in_thread(lambda: self._put(data))

    async def get(self, digest: str) -> bytes:
        """The plain bytes. Raises NotFoundError, StoreError."""
        cached = self._cache.get(digest)
        return cached if cached is not None else await self._in_thread(lambda: self._get(digest))

    async def renew(self, digest: str) -> None:
        """Makes a blob as young as if it was put now. Raises NotFoundError, StoreError."""
        await self._in_thread(lambda: self._shelf.renew(digest))

    async def prune(self, find_kept: Callable[[], Awaitable[frozenset[str]]]) -> int:
        """Removes what is not to be kept and was last put or renewed MIN_AGE before the call; returns how many."""
        before = await self._in_thread(self._shelf.now) - MIN_AGE
        keep = await find_kept()
        return await self._in_thread(lambda: self._shelf.prune(keep, before))

    def digest(self, data: bytes) -> str:
        """The digest that `put` would return."""
        return self._sealer.digest(data)

    async def close(self) -> None:
        """Ends the threads once their work is done."""
        await self._in_thread(self._shelf.close)
        self._threads.shutdown(wait=False)

    async def _in_thread(self, fn: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, fn)

    def _put(self, data: bytes) -> str:
        digest = self._sealer.digest(data)
        self._shelf.put(digest, self._sealer.seal(data, digest))
        self._cache.put(digest, data)
        return digest

    def _get(self, digest: str) -> bytes:
        sealed = self._shelf.get(digest)
        try:
            data = self._sealer.open(sealed, digest)
        except DamagedError:
            raise LostBlobError.sealed(digest, self._key_name) from None
        self._cache.put(digest, data)
        return data


class BlobFolder:
    """The Shelf in a folder, a file for each blob; used by several processes at the same time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def create(self) -> int:
        """Makes the folder where it is not there; returns how many blobs are in it."""
        with self._explained():
            self._folder.mkdir(mode=_MODE, parents=True, exist_ok=True)
            return sum(path.is_file() for path in self._folder.glob("??/*"))

    def put(self, digest: str, pieces: Iterator[bytes]) -> None:
        """Writes a file, or touches it."""
        path = self._path(digest)
        with self._explained(), _locked(self._folder, fcntl.LOCK_SH):
            try:
                # Made young again, so that prune leaves it until what refers to it is written.
                os.utime(path)
            except FileNotFoundError:
                self._write(path, pieces)

    def renew(self, digest: str) -> None:
        """Touches a file."""
        path = self._path(digest)
        with self._explained(), _locked(self._folder, fcntl.LOCK_SH):
            try:
                os.utime(path)
            except FileNotFoundError:
                raise _absent(digest) from None

    def get(self, digest: str) -> bytes:
        """Reads a file."""
        path = self._path(digest)
        with self._explained():
            try:
                return path.read_bytes()
            except FileNotFoundError:
                raise _absent(digest) from None

    def now(self) -> float:
        """The machine's clock, by which files are stamped."""
        return time.time()

    def prune(self, keep: frozenset[str], before: float) -> int:
        """Removes files, a folder of them at a time: nobody who puts one waits for long."""
        count = 0
        with self._explained():
            for folder in self._folder.glob("??"):
                with _locked(self._folder, fcntl.LOCK_EX):
                    count += _prune_folder(folder, keep, before)
        return count

    def close(self) -> None:
        """Nothing is held open."""

    def _path(self, digest: str) -> Path:
        match = _DIGEST.fullmatch(digest)
        if match is None:
            raise NotFoundError("no blob has such a digest")
        return self._folder / match[1] / match[2]

    def _write(self, path: Path, pieces: Iterator[bytes]) -> None:
        if not path.parent.exists():
            path.parent.mkdir(mode=_MODE, exist_ok=True)
            sync_folder(self._folder)
        write_atomically(path, pieces)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(f"blobs in {self._folder} can't be read or written: {error.strerror}") from None


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


def _prune_folder(folder: Path, keep: frozenset[str], before: float) -> int:
    surplus = (path for path in folder.iterdir() if f"sha256:{folder.name}{path.name}" not in keep)
    old = [path for path in surplus if path.is_file() and path.stat().st_mtime < before]
    for path in old:
        path.unlink()
    return len(old)


def _absent(digest: str) -> NotFoundError:
    return NotFoundError(f"there is no blob {digest}")


@contextmanager
def _locked(folder: Path, mode: int) -> Iterator[None]:
    """Keeps prune, of any process, apart from the writes."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, mode)
        yield
    finally:
        os.close(handle)
