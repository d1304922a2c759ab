"""Owns FakeHome and FakeWiring: what commands see of the composition root, without one."""

import asyncio
import dataclasses
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from click.testing import Result
from tests.fakes.cluster import InMemoryCluster
from tests.fakes.store import (
    MemoryAuditLog,
    MemoryBlobs,
    MemoryLocks,
    MemoryObservations,
    MemoryStates,
    rows_of_last_apply,
)

from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.api.model import format_time
from setpoint.domain.audit import AuditEntry, AuditRow, Phase
from setpoint.domain.audit_actions import is_begun_apply
from setpoint.domain.errors import NotFoundError
from setpoint.ports.commands import Answer, Verb
from setpoint.runtime.recorder import EventRecord

Run = Callable[..., Result]
"""Runs a command: words in, result out."""
AGE = dt.timedelta(hours=3, minutes=5, seconds=30)
"""How old objects are: shown as 3h5m, however long a test takes."""


class ListAuditLog:
    """The AuditLog port as a list; nothing is hashed."""

    def __init__(self, entries: list[AuditEntry] | None = None) -> None:
        self.entries = [] if entries is None else entries
        self.now: Callable[[], str] | None = None

    async def append(self, *entries: AuditEntry) -> tuple[int, ...]:
        self.entries += entries
        return tuple(range(len(self.entries) - len(entries) + 1, len(self.entries) + 1))

    async def rows(self, *, after: int = 0, limit: int = 1000, target: ObjectRef | None = None) -> tuple[AuditRow, ...]:
        rows = [
            AuditRow(seq, self._at(seq), entry, b"", b"", b"", bytes([seq % 256]), vouched=True)
            for seq, entry in enumerate(self.entries, 1)
            if seq > after and target in {None, entry.target}
        ]
        return tuple(rows[:limit])

    def _at(self, seq: int) -> str:
        return self.now() if self.now else f"2026-01-01T00:00:{seq % 60:02}Z"

    async def applies_begun(self, target: ObjectRef, subject: str | None = None) -> int:
        return sum(is_begun_apply(entry, target, subject) for entry in self.entries)

    async def last_apply(self, target: ObjectRef) -> tuple[AuditRow, ...]:
        return rows_of_last_apply(await self.rows(limit=len(self.entries), target=target), target)

    async def open_intents(self) -> tuple[AuditRow, ...]:
        closed = {entry.run for entry in self.entries if entry.phase is Phase.OUTCOME}
        return tuple(
            row for row in await self.rows() if row.entry.phase is Phase.INTENT and row.entry.run not in closed
        )

    async def require_standing(self) -> None:
        """It always is the trail that stood here."""


@dataclasses.dataclass
class Report:
    """Any of the reports that commands show, by its fields."""

    fields: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        return self.fields[name]


class MemoryBackends:
    """The places where a home keeps states, in memory."""

    def __init__(self) -> None:
        self.locks, self.observations = MemoryLocks(), MemoryObservations()
        self.states = MemoryStates(MemoryBlobs(), self.locks, MemoryAuditLog())


@dataclasses.dataclass
class FakeHome:
    """A home whose answers a test decides."""

    root: Path
    cluster: InMemoryCluster = dataclasses.field(
        default_factory=lambda: InMemoryCluster(now=lambda: dt.datetime.now(dt.UTC) - AGE)
    )
    audit: ListAuditLog = dataclasses.field(init=False)
    problems: tuple[str, ...] = ()
    told: list[EventRecord] = dataclasses.field(default_factory=list)
    contents: dict[str, bytes] | None = None
    plan_report: Any = None
    verify_report: Any = None
    performed: list[tuple[str, ObjectRef, dict[str, Any]]] = dataclasses.field(default_factory=list)
    set_back: str = ""
    accepted: list[str] = dataclasses.field(default_factory=list)

    runs: str | None = None

    @property
    def proves_users(self) -> bool:
        return False

    async def manager(self) -> str | None:
        return self.runs

    def user(self) -> str:
        return "Ada.Lovelace"

    async def sync(self) -> tuple[str, ...]:
        return self.problems

    async def events(self, ref: ObjectRef) -> list[EventRecord]:
        return [event for event in self.told if event.ref == ref]

    async def plan(self, ref: ObjectRef, progress: Callable[..., None]) -> Any:
        progress(ref, "plan")
        return self.plan_report

    async def content(self, digest: str) -> bytes | None:
        if self.contents is None:
            return None
        if digest not in self.contents:
            msg = f"there is no blob {digest}"
            raise NotFoundError(msg)
        return self.contents[digest]

    async def perform(self, verb: Verb, ref: ObjectRef, **arguments: Any) -> Answer:
        self.performed.append((verb.name, ref, arguments))
        return await verb.run(MemoryBackends(), ref, self.user(), **arguments)

    async def verify_audit(self) -> Any:
        return self.verify_report

    async def store_problem(self) -> str:
        return self.set_back

    async def accept_store(self, reason: str) -> str:
        self.accepted.append(reason)
        return self.set_back

    def __post_init__(self) -> None:
        self.audit = ListAuditLog(self.cluster.audit)

    def date_rows(self) -> None:
        """From now on rows are as old as what is written now, as in a home that is not a test's."""
        self.audit.now = lambda: format_time(dt.datetime.now(dt.UTC))

    def hear(self, approval: JsonObject) -> JsonObject:
        """Somebody's word: the object, and the row that tells of it."""
        self.date_rows()
        spec = approval["spec"]
        verb = "approve" if spec["verdict"] == "Approved" else "reject"
        payload = {key: spec[key] for key in ("overrides", "acceptUndrilled") if key in spec}
        payload["approval"] = approval["metadata"]["name"]
        self.audit.entries.append(
            AuditEntry(
                verb, Phase.FACT, spec["approver"], ObjectRef("Environment", "default", "shop-prod"),
                result=spec["changeRef"]["name"], digests={"subject": spec["subject"]}, payload=payload,
            )
        )  # fmt: skip
        return self.add(approval)

    def add(self, obj: JsonObject) -> JsonObject:
        """Creates an object, with its status; returns it as it is then."""
        return asyncio.run(self.cluster.add(obj))

    def objects(self, kind: str) -> list[JsonObject]:
        """All objects of a kind."""
        return list(asyncio.run(self.cluster.list(kind)).items)


@dataclasses.dataclass
class FakeWiring:
    """Offers what `setpoint.wiring` does, over one home."""

    home: FakeHome
    opened: list[tuple[Path, bool]] = dataclasses.field(default_factory=list)
    manager: Callable[..., Awaitable[Any]] | None = None
    checks: tuple[Any, ...] = ()

    @asynccontextmanager
    async def open_home(self, root: Path, *, create: bool = False) -> AsyncIterator[FakeHome]:
        self.opened.append((root, create))
        yield self.home

    @asynccontextmanager
    async def open_operator_store(self) -> AsyncIterator[FakeHome]:
        yield self.home

    async def run_manager(self, root: Path, **options: Any) -> Any:
        assert self.manager is not None
        return await self.manager(root, **options)

    async def doctor(self, root: Path | None) -> tuple[Any, ...]:
        self.opened.append((root, False))
        return self.checks
