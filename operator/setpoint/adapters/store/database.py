"""Owns the one database file of a home: opening it safely, one writer, two readers. Knows no table's meaning.

Other processes use the same file at the same time, so nothing that was read outlives its transaction.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self, TypeVar, cast

from sqlalchemy import Connection, Engine

from setpoint.adapters.store import schema, sqlite
from setpoint.adapters.store.commit import GroupCommit
from setpoint.adapters.store.head import HeadFile
from setpoint.domain.errors import StoreError

NAME = "STATE_AUDIT.db"
_HEAD_NAME = "audit.head"
_READERS = 2

_log = logging.getLogger(__name__)
Result = TypeVar("Result")
Item = TypeVar("Item")


class Database:
    """The store's file. A read sees what was committed when it began; a write is durable when it returns.

    Functions that are given to it run in its threads, on a connection inside a transaction, and block no loop.
    """

    def __init__(self, path: Path, head: HeadFile, writes: Engine, reads: Engine) -> None:
        self.head = head
        self._path = path
        self._writes = writes
        self._reads = reads
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="setpoint-store-reader")
        self._sentinel = reads.connect()
        self._sentinel_lock = threading.Lock()
        self._committer = GroupCommit(writes, explain=self._explain, checkpoint=self._advance_head)
        self._closed = False

    @classmethod
    def open(cls, path: Path, *, check: bool = True) -> Self:
        """Opens the file; creates or migrates it where needed. Blocks: milliseconds, half a second where it creates.

        `check` reads the whole file, about a second per GB. Raises StoreError, and changes nothing, for a file that
        is damaged, is no database of ours, comes from a newer Setpoint, or is gone although `audit.head` is there.
        """
        head = HeadFile(path.with_name(_HEAD_NAME))
        writes = sqlite.make_engine(path, write=True, connections=1)
        reads = sqlite.make_engine(path, write=False, connections=_READERS + 1)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with schema.alone(path):
                _prepare(path, head, reads, writes)
            with reads.begin() as connection:
                head.create(connection)
                if check:
                    sqlite.check(connection, path)
        except (*sqlite.ERRORS, OSError, StoreError) as error:
            writes.dispose()
            reads.dispose()
            raise _opening_error(error, path) from None
        return cls(path, head, writes, reads)

    async def write(self, fn: Callable[[Connection], Result]) -> Result:
        """Runs `fn` in a transaction that it shares with others; all it wrote is durable on return.

        What `fn` raises is raised here, and undone. Raises StoreError when the database fails. A caller that is
        cancelled while it waits can't know whether the write was done.
        """
        return cast("Result", await self._committer.write(fn))

    async def write_batched(self, fn: Callable[[Connection, Sequence[Item]], Sequence[Result]], item: Item) -> Result:
        """Like `write`, for many small items of one kind: `fn` gets those that wait, and gives a result for each."""
        return cast("Result", await self._committer.write_batched(fn, item))

    async def read(self, fn: Callable[[Connection], Result]) -> Result:
        """Runs `fn` on one consistent snapshot; it can't write. Raises what `fn` raises, and StoreError."""
        return await self._in_reader(self._read, fn)

    async def data_version(self) -> int:
        """A number that moves with every commit to the file, of this and of any other process."""
        return await self._in_reader(self._read_data_version)

    async def close(self) -> None:
        """Writes what was asked for, then closes the file."""
        if not self._closed:
            closing = self._in_reader(self._finish, self._committer.close())
            self._closed = True
            await closing
            self._readers.shutdown(wait=False)

    def _in_reader(self, fn: Callable[..., Result], *args: object) -> "asyncio.Future[Result]":
        if self._closed:
            msg = "the store is closed"
            raise StoreError(msg)
        return asyncio.get_running_loop().run_in_executor(self._readers, fn, *args)

    def _read(self, fn: Callable[[Connection], Result]) -> Result:
        try:
            # Ended by a rollback: after an error in the file, even a COMMIT of nothing fails.
            with self._reads.connect() as connection:
                return fn(connection)
        except sqlite.ERRORS as error:
            raise self._explain(error) from None

    def _read_data_version(self) -> int:
        # One connection of its own: the number means nothing to another. The transaction ends at once, else this
        # connection would for ever see the file as it was.
        with self._sentinel_lock, self._sentinel.begin():
            return sqlite.data_version(self._sentinel)

    def _finish(self, writer: threading.Thread) -> None:
        writer.join()
        self._sentinel.close()
        self._reads.dispose()
        self._writes.dispose()

    def _explain(self, error: Exception) -> StoreError:
        return sqlite.store_error(error, self._path)

    def _advance_head(self) -> None:
        try:
            with self._reads.begin() as connection:
                self.head.advance(connection)
        except sqlite.ERRORS as error:
            _log.warning("the head of the audit trail was not moved: %s", self._explain(error))


def _prepare(path: Path, head: HeadFile, reads: Engine, writes: Engine) -> None:
    if not path.exists() or path.stat().st_size == 0:
        if head.exists():
            known = head.read()
            raise sqlite.missing(path, known.size if known else 0)
        sqlite.create_file(path)
    schema.migrate(reads, writes, path)


def _opening_error(error: Exception, path: Path) -> StoreError:
    if isinstance(error, StoreError):
        return error
    if isinstance(error, sqlite.ERRORS):
        return sqlite.store_error(error, path)
    return StoreError(f"{path} can't be opened: {getattr(error, 'strerror', None) or error}")
