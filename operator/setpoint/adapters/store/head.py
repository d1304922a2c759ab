"""Owns the head file, which is outside the database and says how far the trail had come.

It is written after rows are durable, so it may lag behind them. It never runs ahead unless rows were lost, cut off or
rolled back, and then it is left as it is, until a person accepts what is there: it is the evidence. It names its trail
and bears a seal, once the trail's rows do.
"""

import dataclasses
import hmac
import json
import logging
import os
import stat
from pathlib import Path

from sqlalchemy import Connection, select
from sqlalchemy.engine.interfaces import DBAPICursor

from setpoint.adapters.store.files import write_atomically
from setpoint.adapters.store.tables import AUDIT_ROW
from setpoint.domain.audit import GENESIS, Head, Seal
from setpoint.domain.standing import SeenHead, contradiction

_log = logging.getLogger(__name__)
_LIMIT = 4096
_MAX_SIZE = 2**63 - 1
_NEWEST = "SELECT seq, hash FROM audit_row ORDER BY seq DESC LIMIT 1"
_TRAIL = "SELECT id, since FROM trail"
_KINDS = {stat.S_IFIFO: "a named pipe", stat.S_IFDIR: "a folder", stat.S_IFLNK: "a link", stat.S_IFSOCK: "a socket"}


class HeadFile:
    """The head of one database's trail."""

    def __init__(self, path: Path, key: bytes) -> None:
        self._path = path
        self._seal = Seal(key)

    def exists(self) -> bool:
        """True where there ever was a trail beside this file, however unreadable it is now."""
        return os.path.lexists(self._path)

    def look(self) -> SeenHead:
        """The head as it is there now. Waits for nobody: what is no regular file is not read."""
        try:
            handle = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return SeenHead(None, f"{self._path.name} is missing")
        except OSError as error:
            return SeenHead(None, f"{self._path.name} is {self._kind() or f'unreadable: {error.strerror}'}")
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return SeenHead(None, f"{self._path.name} is {self._kind() or 'no regular file'}")
            text = os.read(handle, _LIMIT + 1)
        except OSError as error:
            return SeenHead(None, f"{self._path.name} is unreadable: {error.strerror}")
        finally:
            os.close(handle)
        return self._parse(text)

    def _parse(self, text: bytes) -> SeenHead:
        nothing = SeenHead(None, f"{self._path.name} holds something else than a head")
        if len(text) > _LIMIT:
            return nothing
        try:
            found = json.loads(text)
            head = Head(int(found["size"]), bytes.fromhex(found["hash"]), str(found.get("trail", "")))
            mac = bytes.fromhex(found.get("mac", ""))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return nothing
        if not 0 <= head.size <= _MAX_SIZE:
            return nothing
        if head.trail and not hmac.compare_digest(mac, self._seal.of_head(head)):
            return SeenHead(None, f"{self._path.name} was written by another, or with another key")
        return SeenHead(head)

    def _kind(self) -> str:
        """The name of what is there in place of a regular file, empty where it is one."""
        try:
            return _KINDS.get(stat.S_IFMT(self._path.lstat().st_mode), "")
        except OSError:
            return ""

    def begin(self) -> None:
        """Starts the head of a trail that is about to be made. Raises OSError."""
        self._write(Head(0, GENESIS))

    def adopt(self, connection: Connection) -> None:
        """Starts the head, where there is none, at what is found: it vouches for no more than what comes after."""
        if not self.exists():
            self._write(_newest_of(connection))

    def contradiction(self, connection: Connection) -> str:
        """The contradiction between the head and the trail, as a clause; empty where they agree."""
        # The head first, then the rows: it may not be ahead of a snapshot that is taken later.
        return _compare(connection, self.look())

    def advance(self, connection: Connection) -> None:
        """Moves the head to the newest row, if it says nothing that the rows contradict."""
        seen = self.look()
        if _compare(connection, seen):
            return
        head = _newest_of(connection)
        if seen.head != head:
            try:
                self._write(head)
            except OSError as error:
                _log.warning("the head of the audit trail could not be written: %s", error.strerror)

    def accept(self, connection: Connection) -> None:
        """Moves the head to the newest row, whatever it said. Raises OSError."""
        self._write(_newest_of(connection))

    def _write(self, head: Head) -> None:
        said = {"size": head.size, "hash": head.hash.hex()}
        if head.trail:
            said |= {"trail": head.trail, "mac": self._seal.of_head(head).hex()}
        write_atomically(self._path, [json.dumps(said).encode() + b"\n"])


def newest(cursor: DBAPICursor) -> Head:
    """How far the trail in the database has come."""
    cursor.execute(_NEWEST)
    row = cursor.fetchone()
    return Head(*row) if row else Head(0, GENESIS)


def sealed_since(cursor: DBAPICursor) -> tuple[str, int]:
    """The trail's id and its first row that bears a seal; empty and 0 where none does."""
    cursor.execute(_TRAIL)
    row = cursor.fetchone()
    return (str(row[0]), int(row[1])) if row else ("", 0)


def _newest_of(connection: Connection) -> Head:
    """The head for the trail as it is: its size, the hash of its last row, and its id."""
    cursor = connection.connection.cursor()
    return dataclasses.replace(newest(cursor), trail=sealed_since(cursor)[0])


def _compare(connection: Connection, seen: SeenHead) -> str:
    there: bytes | None = GENESIS
    if seen.head is not None and seen.head.size:
        there = connection.execute(select(AUDIT_ROW.c.hash).where(AUDIT_ROW.c.seq == seen.head.size)).scalar()
    found = _newest_of(connection)
    return contradiction(seen, found, there, sealed_since(connection.connection.cursor())[1])
