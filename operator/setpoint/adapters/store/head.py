"""Owns the head file, which is outside the database and says how far the trail had come.

It is written after rows are durable, so it may lag behind them. It never runs ahead unless rows were lost, cut off or
rolled back, and then it is left as it is: it is the evidence.
"""

import json
import logging
from pathlib import Path

from sqlalchemy import Connection, select
from sqlalchemy.engine.interfaces import DBAPICursor

from setpoint.adapters.store.files import write_atomically
from setpoint.adapters.store.tables import AUDIT_ROW
from setpoint.domain.audit import GENESIS, Head

_log = logging.getLogger(__name__)
_LIMIT = 4096
_NEWEST = "SELECT seq, hash FROM audit_row ORDER BY seq DESC LIMIT 1"


class HeadFile:
    """The head of one database's trail."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._warned = False

    def exists(self) -> bool:
        """Whether there ever was a trail beside this file, however unreadable it is now."""
        return self._path.exists()

    def read(self) -> Head | None:
        """The head, None where the file is missing or says nothing."""
        try:
            with self._path.open("rb") as file:
                found = json.loads(file.read(_LIMIT))
            return Head(int(found["size"]), bytes.fromhex(found["hash"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def create(self, connection: Connection) -> None:
        """Starts the head of a trail that has no row yet."""
        if not self.exists() and newest(connection.connection.cursor()).size == 0:
            self._write(Head(0, GENESIS))

    def adopt(self, connection: Connection) -> None:
        """Starts the head, where there is none, at what is found: it vouches for no more than what comes after."""
        if not self.exists():
            self._write(newest(connection.connection.cursor()))

    def advance(self, connection: Connection) -> None:
        """Moves the head to the newest row, if it says nothing that the rows contradict."""
        known, head = self.read(), newest(connection.connection.cursor())
        if known is None or not _agrees(connection, known):
            self._warn()
        elif known != head:
            try:
                self._write(head)
            except OSError as error:
                _log.warning("the head of the audit trail could not be written: %s", error.strerror)

    def _write(self, head: Head) -> None:
        text = json.dumps({"size": head.size, "hash": head.hash.hex()}) + "\n"
        write_atomically(self._path, [text.encode()])

    def _warn(self) -> None:
        if not self._warned:
            self._warned = True
            _log.error("%s is missing or contradicts the audit trail; see: setpoint audit verify", self._path.name)


def newest(cursor: DBAPICursor) -> Head:
    """How far the trail in the database has come."""
    cursor.execute(_NEWEST)
    row = cursor.fetchone()
    return Head(*row) if row else Head(0, GENESIS)


def _agrees(connection: Connection, head: Head) -> bool:
    if head.size == 0:
        return head.hash == GENESIS
    found = connection.execute(select(AUDIT_ROW.c.hash).where(AUDIT_ROW.c.seq == head.size)).scalar()
    return found == head.hash
