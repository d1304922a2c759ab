"""Owns the audit rows: chaining and appending them, reading and verifying them. Their rules are in domain.audit."""

import dataclasses
import datetime as dt
import functools
import itertools
import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, LargeBinary, Row, Select, Table, bindparam, literal_column, select, text
from sqlalchemy.engine.interfaces import DBAPICursor

from setpoint.adapters.store.backend import cause
from setpoint.adapters.store.database import Database
from setpoint.adapters.store.head import newest, sealed_since
from setpoint.adapters.store.tables import AUDIT_PAYLOAD, AUDIT_ROW, TRAIL
from setpoint.api.meta import ObjectRef
from setpoint.domain import audit, audit_actions, standing
from setpoint.domain.audit import AuditEntry, AuditRow, BadRowError, Draft, Phase, Record, Seal, Verdict, VerifyReport
from setpoint.domain.errors import StoreError, StoreSetBackError
from setpoint.ports import Clock

_PAGE = 2000
_BEFORE_ALL = -(2**63)


def _stored(name: str) -> Any:
    # As it is stored, past the types of the columns: whoever tampers need not keep to them.
    return literal_column(f"audit_row.{name}").label(name)


def _records(as_bytes: Callable[[str], str]) -> Select[Any]:
    return (
        select(
            _stored("seq"),
            *(literal_column(as_bytes(f"audit_row.{name}")).label(name) for name in ("target", "run", "phase")),
            *(_stored(name) for name in ("header", "leaf", "prev", "hash")),
            literal_column("audit_payload.salt").label("salt"),
            literal_column("audit_payload.body").label("body"),
            _stored("mac"),
        )
        .select_from(AUDIT_ROW.outerjoin(AUDIT_PAYLOAD, AUDIT_ROW.c.seq == AUDIT_PAYLOAD.c.seq))
        .order_by(AUDIT_ROW.c.seq)
    )


class AuditTrail:
    """The AuditLog over the home's database. `count_rows` hears of rows once they are durable."""

    def __init__(
        self, database: Database, clock: Clock, *, count_rows: Callable[[int], None] = lambda _rows: None
    ) -> None:
        self._database = database
        self._clock = clock
        self._key = database.trail_key
        self._records = _records(database.backend.as_bytes)
        self.count_rows = count_rows

    async def append(self, *entries: AuditEntry) -> tuple[int, ...]:
        """Records entries, all or none; durable on return. Raises StoreError."""
        if not entries:
            return ()
        seqs = await self._database.write_batched(self._append, self._drafts(entries))
        self.count_rows(len(seqs))
        return seqs

    def rows_of(self, entries: Sequence[AuditEntry]) -> "NewRows":
        """Entries in their final bytes, to be recorded within another transaction."""
        return NewRows(self._drafts(entries), self._key)

    def _append(self, connection: Connection, items: Sequence[Sequence[Draft]]) -> list[tuple[int, ...]]:
        drafts = list(itertools.chain.from_iterable(items))
        seqs = iter(NewRows(drafts, self._key).record(connection))
        return [tuple(itertools.islice(seqs, len(drafts))) for drafts in items]

    def _drafts(self, entries: Sequence[AuditEntry]) -> tuple[Draft, ...]:
        if not entries:
            return ()
        at = self._clock.now().astimezone(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        return tuple(audit.draft(entry, at=at, salt=secrets.token_bytes(16)) for entry in entries)

    async def rows(self, *, after: int = 0, limit: int = 1000, target: ObjectRef | None = None) -> tuple[AuditRow, ...]:
        """Rows with seq > after, oldest first. Raises StoreError for a row that can't be read."""
        query = self._records.where(AUDIT_ROW.c.seq > after).limit(limit)
        if target is not None:
            query = query.where(AUDIT_ROW.c.target == target.key)
        return await self._parsed(query)

    async def applies_begun(self, target: ObjectRef, subject: str | None = None) -> int:
        """The number of applies that were begun on a target, or of those of a subject. Raises StoreError."""
        query = self._records.where(AUDIT_ROW.c.target == target.key, AUDIT_ROW.c.phase == Phase.INTENT.value)
        if subject is not None:
            # The database finds few that may; what a row tells of is read of its header.
            held = text(self._database.backend.holds("audit_row.header", "subject"))
            quoted = json.dumps(subject, ensure_ascii=False).encode()
            query = query.where(held.bindparams(bindparam("subject", quoted, LargeBinary)))
        rows = await self._parsed(query)
        return sum(audit_actions.is_begun_apply(row.entry, target, subject) for row in rows)

    async def last_apply(self, target: ObjectRef) -> tuple[AuditRow, ...]:
        """The rows of the apply that was begun last on a target, its intent first. Raises StoreError."""
        own = self._records.where(AUDIT_ROW.c.target == target.key)
        intents = await self._parsed(own.where(AUDIT_ROW.c.phase == Phase.INTENT.value))
        begun = [row.entry.run for row in intents if audit_actions.is_begun_apply(row.entry, target)]
        return await self._parsed(own.where(AUDIT_ROW.c.run == begun[-1])) if begun else ()

    async def open_intents(self) -> tuple[AuditRow, ...]:
        """Intents whose run has no outcome, oldest first."""
        other = AUDIT_ROW.alias("other")
        outcome = select(other.c.seq).where(other.c.run == AUDIT_ROW.c.run, other.c.phase == Phase.OUTCOME.value)
        return await self._parsed(
            self._records.where(AUDIT_ROW.c.phase == Phase.INTENT.value, ~outcome.correlate(AUDIT_ROW).exists())
        )

    async def contradiction(self) -> str:
        """The reason against this being the trail that stood here, as a clause; empty where there is none."""
        return await self._database.contradiction()

    async def require_standing(self) -> None:
        """Raises StoreSetBackError where this is not the trail that stood here; see the port."""
        self._database.files.require()
        if problem := await self.contradiction():
            raise StoreSetBackError(standing.refusal(problem))

    async def accept(self, actor: str, reason: str) -> str:
        """Goes on with the trail that is there: records that, then moves the head. Returns what spoke against it.

        Does nothing, and returns nothing, where nothing does.
        """
        problem = await self.contradiction()
        if problem:
            await self.append(audit_actions.store_accepted(actor, why=reason, found=problem))
            await self._database.accept()
        return problem

    async def verify(self) -> VerifyReport:
        """Reads the whole trail, a page at a time, and says whether it is what was written."""
        return await self._database.read(self._verify)

    async def _parsed(self, query: Select[Any]) -> tuple[AuditRow, ...]:
        def find(connection: Connection) -> tuple[Seal, list[Record]]:
            return self._seal(connection), [_record(row) for row in connection.execute(query)]

        seal, records = await self._database.read(find)
        return tuple(_parse(record, seal) for record in records)

    def _seal(self, connection: Connection) -> Seal:
        return Seal(self._key, *sealed_since(connection.connection.cursor()))

    def _verify(self, connection: Connection) -> VerifyReport:
        # The head first, then the rows: it may not be ahead of a snapshot that is taken later.
        seen, read = self._database.head.look(), itertools.count()
        try:
            seal = self._seal(connection)
            return audit.verify(self._counted(connection, read), seen.head, seal, headless=seen.problem)
        except self._database.backend.errors as error:
            rows = next(read)
            reason = f"the database can't be read beyond row {rows}: {cause(error)}"
            return VerifyReport(Verdict.UNVERIFIABLE, rows, reason=reason)

    def _counted(self, connection: Connection, read: "itertools.count[int]") -> Iterator[Record]:
        after = _BEFORE_ALL
        while rows := connection.execute(self._records.where(AUDIT_ROW.c.seq > after).limit(_PAGE)).all():
            for row in rows:
                next(read)
                yield _record(row)
            after = rows[-1].seq


@dataclasses.dataclass(frozen=True, slots=True)
class NewRows:
    """Rows in their final bytes, but for their places."""

    drafts: Sequence[Draft]
    key: bytes = dataclasses.field(repr=False)

    def __len__(self) -> int:
        """The number of drafts."""
        return len(self.drafts)

    def record(self, connection: Connection) -> tuple[int, ...]:
        """Chains them onto the newest row and seals them, in the caller's transaction; returns their seqs."""
        if not self.drafts:
            return ()
        # The driver's own cursor: at eight rows a commit, the layers above it would cost a tenth of the throughput.
        cursor, style = connection.connection.cursor(), connection.dialect.paramstyle
        head = newest(cursor)
        drafts, seal = self._bound(cursor, style, head.size + 1)
        prev, rows, payloads = head.hash, [], []
        for seq, draft in enumerate(drafts, start=head.size + 1):
            digest = audit.chain_hash(prev, draft.leaf)
            columns = (draft.target, draft.run, draft.phase, draft.header, draft.leaf, prev, digest)
            rows.append((seq, *columns, seal.of_row(seq, digest)))
            if draft.body is not None:
                payloads.append((seq, draft.salt, draft.body))
            prev = digest
        cursor.executemany(_insert(style, AUDIT_ROW), rows)
        if payloads:
            cursor.executemany(_insert(style, AUDIT_PAYLOAD), payloads)
        cursor.close()
        return tuple(range(head.size + 1, head.size + 1 + len(drafts)))

    def _bound(self, cursor: DBAPICursor, style: str, first: int) -> tuple[Sequence[Draft], Seal]:
        """The drafts, the first of which names the trail where no row is sealed yet; and what they are sealed with."""
        trail, since = sealed_since(cursor)
        if since:
            return self.drafts, Seal(self.key, trail, since)
        trail = secrets.token_hex(16)
        cursor.execute(_insert(style, TRAIL), (trail, first))
        return (audit.bound(self.drafts[0], trail), *self.drafts[1:]), Seal(self.key, trail, first)


def check_key(connection: Connection, key: bytes, *, name: str, key_name: str) -> None:
    """Raises StoreError unless the trail's rows, where they are sealed, bear seals of this key.

    The first or the last of them: one row that somebody changed is no other key.
    """
    seal = Seal(key, *sealed_since(connection.connection.cursor()))
    sealed = select(AUDIT_ROW.c.seq, AUDIT_ROW.c.hash, AUDIT_ROW.c.mac).where(AUDIT_ROW.c.seq >= seal.since)
    ends = [
        connection.execute(sealed.order_by(order).limit(1)).first()
        for order in (AUDIT_ROW.c.seq.asc(), AUDIT_ROW.c.seq.desc())
    ]
    found = [row for row in ends if row is not None] if seal.since else []
    if found and not any(row.mac == seal.of_row(row.seq, row.hash) for row in found):
        msg = (
            f"{name} was sealed with another key than {key_name}: put back the key that belongs to it, from the backup "
            "that holds both; nothing was changed"
        )
        raise StoreError(msg)


@functools.lru_cache(maxsize=4)
def _insert(paramstyle: str, table: Table) -> str:
    """For the driver, with a mark for each column, in their order."""
    mark = "?" if paramstyle == "qmark" else "%s"
    names = table.columns.keys()
    return f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join([mark] * len(names))})"  # noqa: S608


def _record(row: Row[Any]) -> Record:
    seq, target, run, phase, *rest = tuple(row)
    return Record(seq, _text(target), _text(run), _text(phase), *rest)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _parse(record: Record, seal: Seal) -> AuditRow:
    try:
        return audit.parse(record, vouched=seal.vouches(record))
    except BadRowError as error:
        raise StoreError(f"audit row {record.seq}: {error}; see: setpoint audit verify") from None
