"""Owns what the store asks of a kind of database. SQLite and PostgreSQL differ in nothing that is not said here."""

from contextlib import AbstractContextManager
from typing import Protocol

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from setpoint.domain.errors import StoreError


class InDoubtError(Exception):
    """The database was lost while it committed: whether it did can't be known from here."""


class Backend(Protocol):
    """One database. Its methods block, and are called in the threads of `Database` alone."""

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """The errors that a failing database raises, with SQLAlchemy in between and without."""
        ...

    @property
    def writes(self) -> Engine:
        """Connections that may write, within `transaction`."""
        ...

    @property
    def reads(self) -> Engine:
        """Connections that can't write; a transaction on one sees the moment of its first statement."""
        ...

    def transaction(self, connection: Connection) -> AbstractContextManager[None]:
        """A transaction that writes, durable when it ends; alone among those of all processes from its first read.

        Raises InDoubtError where it can't be known whether it is. After any error the connection is to be closed.
        """
        ...

    def spoils_transaction(self, error: Exception) -> bool:
        """True where the transaction may be lost as a whole, and not just the statement."""
        ...

    def may_pass(self, error: Exception) -> bool:
        """True where nothing was written, and the same on a new connection may succeed."""
        ...

    def explain(self, error: Exception) -> StoreError:
        """The meaning of an error. The statement and its values, which may be secret, stay out of it."""
        ...

    def as_bytes(self, column: str) -> str:
        """SQL for a text column's bytes as they are stored, be they UTF-8 or not."""
        ...

    def holds(self, column: str, part: str) -> str:
        """SQL that is true where the column's bytes hold those of the parameter `part`."""
        ...

    def data_version(self) -> int:
        """A number that moves with every commit of objects or audit rows, of any process."""
        ...

    def close(self) -> None:
        """Closes all connections."""
        ...


def cause(error: Exception) -> BaseException:
    """The error as the driver raised it."""
    return error.orig if isinstance(error, DBAPIError) and error.orig else error
