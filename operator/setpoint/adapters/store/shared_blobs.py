"""Owns keeping sealed blobs in PostgreSQL: one row a piece, so that neither side holds a large blob more than once.

Blobs are written apart from the chain of the audit trail, and carry no fence: their name is their content, and what
refers to one is fenced. All replicas seal with one key, which is given to them; the store tells a wrong one.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, text

from setpoint.adapters.store import blobs, postgres
from setpoint.adapters.store.blobs import SealedBlobs
from setpoint.adapters.store.sealing import Sealer, read_key
from setpoint.domain.errors import NotFoundError, StoreError

_FRESH = 600
"""Seconds after its last use for which a blob that is put again is left as it is; well below MIN_AGE."""
_PRUNED_AT_ONCE = 200
_MARK: Final = b"the key that seals this store"
_FOR_EVER = 2**62
_NOW = "extract(epoch FROM clock_timestamp())::bigint"

_CLOCK = text(f"SELECT {_NOW}")
_FIND = text(f"SELECT used > {_NOW} - {_FRESH} FROM blob WHERE digest = :digest")  # noqa: S608
_TOUCH = text(f"UPDATE blob SET used = {_NOW} WHERE digest = :digest")  # noqa: S608
_ADD = text(f"INSERT INTO blob VALUES (:digest, {_NOW}) ON CONFLICT DO NOTHING")  # noqa: S608
_MARK_KEY = text("INSERT INTO blob VALUES (:digest, :used)")
_MARKS = text("SELECT EXISTS (SELECT FROM blob WHERE digest = :digest) AS ours, EXISTS (SELECT FROM blob) AS others")
# The age is asked for twice, since the outer condition alone is looked at again where another replica renews a blob.
_PRUNE = text(f"""
    DELETE FROM blob WHERE used < :before AND digest IN (
        SELECT digest FROM blob WHERE used < :before AND digest <> ALL(:keep) LIMIT {_PRUNED_AT_ONCE})
""")  # noqa: S608
# By the driver, in its binary format: a piece as text takes twice its size.
_ADD_PIECE = "INSERT INTO blob_piece VALUES (%s, %s, %b)"
_PIECE = "SELECT sealed FROM blob_piece WHERE digest = %s AND number = %s"

Result = TypeVar("Result")


class BlobTable:
    """The Shelf in the store's database."""

    def __init__(self, url: str) -> None:
        parsed = postgres.parse_url(url)
        self._name = postgres.name_of(parsed)
        self._engine = postgres.make_engine(parsed, connections=blobs.THREADS)

    def put(self, digest: str, pieces: Iterator[bytes]) -> None:
        """Adds a row a piece, in one transaction, or touches the blob."""
        # Only the first attempt may have taken pieces; what is sealed is small enough to be kept for a second one.
        if not self._run(lambda connection: _touch(connection, digest)):
            sealed = list(pieces)
            self._run(lambda connection: _add(connection, digest, sealed))

    def get(self, digest: str) -> bytes:
        """Joins the pieces."""
        return self._run(lambda connection: b"".join(_pieces(connection, digest)))

    def renew(self, digest: str) -> None:
        """Touches a row."""
        if not self._run(lambda connection: _touch(connection, digest)):
            raise NotFoundError(f"there is no blob {digest}")

    def now(self) -> float:
        """The database's clock: those of the replicas may differ."""
        return self._run(lambda connection: float(connection.execute(_CLOCK).scalar_one()))

    def prune(self, keep: frozenset[str], before: float) -> int:
        """Removes rows."""
        values = {"before": int(before), "keep": sorted(keep)}
        total = 0
        while count := self._run(lambda connection: int(connection.execute(_PRUNE, values).rowcount)):
            total += count
        return total

    def check_key(self, sealer: Sealer) -> None:
        """Raises StoreError unless this is the key with which all that is there was sealed."""
        mark = sealer.digest(_MARK)
        if not self._run(lambda connection: _is_marked(connection, mark)):
            msg = f"{self._name}: its blobs were sealed with another key than the one in SETPOINT_SEALING_KEY_FILE"
            raise StoreError(msg)

    def close(self) -> None:
        """Closes the connections."""
        self._engine.dispose()

    def _run(self, fn: Callable[[Connection], Result]) -> Result:
        """One transaction; once more where the connection turns out to be lost, which each of them can stand."""
        try:
            return self._run_once(fn)
        except postgres.ERRORS as error:
            if not postgres.is_lost(error):
                raise postgres.explained(error, self._name) from None
        with self._explained():
            return self._run_once(fn)

    def _run_once(self, fn: Callable[[Connection], Result]) -> Result:
        with self._engine.connect() as connection, postgres.dropped_if_lost(connection), connection.begin():
            return fn(connection)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except postgres.ERRORS as error:
            raise postgres.explained(error, self._name) from None


def open_shared_blobs(url: str, key_file: Path) -> SealedBlobs:
    """The BlobStore in a database whose tables are there. Blocks. Raises StoreError, also for a wrong key."""
    sealer, shelf = Sealer(read_key(key_file)), BlobTable(url)
    try:
        shelf.check_key(sealer)
    except StoreError:
        shelf.close()
        raise
    return SealedBlobs(shelf, sealer, key_name=f"the one in {key_file}")


def _touch(connection: Connection, digest: str) -> bool:
    """True where the blob is there, and has been made young where it was not."""
    values = {"digest": digest}
    fresh = connection.execute(_FIND, values).scalar()
    return bool(fresh) or (fresh is not None and connection.execute(_TOUCH, values).rowcount == 1)


def _add(connection: Connection, digest: str, sealed: list[bytes]) -> None:
    if connection.execute(_ADD, {"digest": digest}).rowcount == 0:
        # Another replica has just put the same.
        return
    cursor: Any = connection.connection.cursor()
    for number, piece in enumerate(sealed):
        cursor.execute(_ADD_PIECE, (digest, number, piece))
    cursor.close()


def _pieces(connection: Connection, digest: str) -> Iterator[bytes]:
    cursor: Any = connection.connection.cursor(binary=True)
    number = 0
    while row := cursor.execute(_PIECE, (digest, number)).fetchone():
        yield row[0]
        number += 1
    cursor.close()
    if number == 0:
        raise NotFoundError(f"there is no blob {digest}")


def _is_marked(connection: Connection, mark: str) -> bool:
    """True where the store is marked with this key. An empty one is marked now."""
    connection.exec_driver_sql(postgres.TURN)
    found = connection.execute(_MARKS, {"digest": mark}).one()
    if not found.others:
        connection.execute(_MARK_KEY, {"digest": mark, "used": _FOR_EVER})
    return bool(found.ours or not found.others)
