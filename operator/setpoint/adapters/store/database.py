"""Owns the one database of a home: one writer, two readers, threads that block no loop. Knows no table's meaning.

Other processes use the same database at the same time, so nothing that was read outlives its transaction.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

from sqlalchemy import Connection

from setpoint.adapters.store.backend import Backend
from setpoint.adapters.store.commit import GroupCommit
from setpoint.adapters.store.files import HeldFiles
from setpoint.adapters.store.head import HeadFile
from setpoint.domain.errors import StoreError

READERS = 2

_log = logging.getLogger(__name__)
Result = TypeVar("Result")
Item = TypeVar("Item")


class Database:
    """The store's database. A read sees what was committed when it began; a write is durable when it returns.

    Functions that are given to it run in its threads, on a connection inside a transaction, and block no loop.
    """

    def __init__(self, backend: Backend, head: HeadFile, trail_key: bytes, files: HeldFiles | None = None) -> None:
        self.backend = backend
        self.head = head
        self.trail_key = trail_key
        self.files = files or HeldFiles()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="setpoint-store-reader")
        self._committer = GroupCommit(backend, checkpoint=self._advance_head)
        self._closed = False

    async def write(self, fn: Callable[[Connection], Result]) -> Result:
        """Runs `fn` in a transaction that it shares with others; all it wrote is durable on return.

        What `fn` raises is raised here, and undone. Raises FencedError, and `fn` does nothing, where the caller works
        for a term that is over, and StoreError when the database fails. A caller that is cancelled while it waits
        can't know whether the write was done. `fn` may be called again, in another transaction.
        """
        return cast("Result", await self._committer.write(fn))

    async def write_batched(self, fn: Callable[[Connection, Sequence[Item]], Sequence[Result]], item: Item) -> Result:
        """Like `write`, for many small items of one kind: `fn` gets those that wait, and gives a result for each."""
        return cast("Result", await self._committer.write_batched(fn, item))

    async def read(self, fn: Callable[[Connection], Result]) -> Result:
        """Runs `fn` on one consistent snapshot; it can't write. Raises what `fn` raises, and StoreError."""
        return await self._in_reader(self._read, fn)

    async def contradiction(self) -> str:
        """The contradiction between the head and the trail, as a clause; empty where they agree."""
        return await self.read(self.head.contradiction)

    async def accept(self) -> None:
        """Moves the head to what is there. Raises StoreError."""
        await self.read(self._accept)

    async def data_version(self) -> int:
        """A number that moves with every commit of objects or audit rows, of this and of any other process."""
        return await self._in_reader(self._read_data_version)

    async def close(self) -> None:
        """Writes what was asked for, then closes all connections."""
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
            return self._read_once(fn)
        except self.backend.errors as error:
            if not self.backend.may_pass(error):
                raise self.backend.explain(error) from None
        try:
            return self._read_once(fn)
        except self.backend.errors as error:
            raise self.backend.explain(error) from None

    def _read_data_version(self) -> int:
        try:
            return self.backend.data_version()
        except self.backend.errors as error:
            raise self.backend.explain(error) from None

    def _read_once(self, fn: Callable[[Connection], Result]) -> Result:
        # Ended by a rollback: after an error in a file, even a COMMIT of nothing fails.
        with self.backend.reads.connect() as connection:
            return fn(connection)

    def _finish(self, writer: threading.Thread) -> None:
        writer.join()
        self.backend.close()
        self.files.close()

    def _accept(self, connection: Connection) -> None:
        try:
            self.head.accept(connection)
        except OSError as error:
            raise StoreError(f"the head of the audit trail can't be written: {error.strerror}") from None

    def _advance_head(self) -> None:
        if self.files.lost():
            # The files that are there now are another's.
            return
        try:
            with self.backend.reads.begin() as connection:
                self.head.advance(connection)
        except self.backend.errors as error:
            _log.warning("the head of the audit trail was not moved: %s", self.backend.explain(error))
