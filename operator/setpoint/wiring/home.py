"""Owns a home as commands see it, with or without a manager running on it."""

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from setpoint.adapters.local import LocalHome
from setpoint.adapters.local.home import current_user, holder
from setpoint.api.meta import ObjectRef
from setpoint.domain import standing
from setpoint.domain.model import ResourceProgress
from setpoint.ports import AuditLog, ClusterClient
from setpoint.ports.commands import Answer, Verb
from setpoint.runtime.recorder import EventRecord
from setpoint.wiring.local import LocalBackends, make_home, open_local
from setpoint.wiring.targets import open_stores

if TYPE_CHECKING:
    from setpoint.pipeline.preview import PlanReport


@dataclasses.dataclass(frozen=True, slots=True)
class VerifyReport:
    """The verdict on the trail: is it what was written? `first_bad` is the number of the first row that is not.

    `erased` rows have lost their payload, as they may; `unsealed` ones are from before rows were sealed. `remedy` is
    what to do where nothing is applied on it.
    """

    status: Literal["intact", "tampered", "unverifiable"]
    rows: int
    first_bad: int | None
    message: str
    erased: int
    unsealed: int
    remedy: str


class Home:
    """One open home: its objects. What a plan needs beside them is put together when one is asked for."""

    def __init__(self, backends: LocalBackends) -> None:
        self._backends = backends

    @property
    def root(self) -> Path:
        """The folder with the manifests."""
        return self._backends.home.root

    @property
    def cluster(self) -> ClusterClient:
        """Its objects."""
        return self._backends.cluster

    @property
    def audit(self) -> AuditLog:
        """Its trail."""
        return self._backends.audit

    @property
    def proves_users(self) -> bool:
        """The operating system's word proves nothing to others."""
        return False

    def user(self) -> str:
        """The one who works here: the operating system's user."""
        return current_user()

    async def manager(self) -> str:
        """The one who manages it now, empty where nobody does: by the lock that a manager holds."""
        return holder(self._backends.home) or ""

    async def sync(self) -> Sequence[object]:
        """Reads the manifests now; returns what is wrong with them."""
        if not self._backends.home.writable:
            return (f"{self._backends.home.state} can't be written: objects are shown as they were when it last was",)
        return (await self._backends.sync.sync()).errors

    async def events(self, ref: ObjectRef) -> Sequence[EventRecord]:
        """The events of an object, oldest first."""
        return await self._backends.events.of(ref)

    async def plan(self, ref: ObjectRef, progress: Any) -> "PlanReport":
        """Computes what would be done, and changes nothing."""
        from setpoint.runtime.logging import SecretFilter  # noqa: PLC0415 most commands do without all of these
        from setpoint.runtime.metrics import Metrics  # noqa: PLC0415
        from setpoint.settings import read_settings  # noqa: PLC0415
        from setpoint.wiring.services import open_services  # noqa: PLC0415

        progress(ref, "planning")

        def on_progress(step: ResourceProgress) -> None:
            progress(ref, "planning", step)

        async with open_services(self._backends, read_settings(), Metrics(), SecretFilter()) as services:
            return await services.previewer(ref.kind).preview(ref, on_progress)

    async def content(self, digest: str) -> bytes | None:
        """A Change's content, from the store. Raises NotFoundError, StoreError."""
        return await self._backends.blobs.get(digest)

    async def perform(self, verb: Verb, ref: ObjectRef, **arguments: Any) -> Answer:
        """Does what a verb does that the target's kind has alone."""
        with open_stores(verb, self._backends) as stores:
            return await verb.run(stores, ref, self.user(), **arguments)

    async def verify_audit(self) -> VerifyReport:
        """Checks every row of the trail."""
        found = await self._backends.audit.verify()
        remedy = standing.REMEDY if await self.store_problem() else ""
        return VerifyReport(
            found.verdict.value,
            found.rows,
            found.seq or None,
            found.reason,
            found.erased,
            found.unsealed,
            remedy,
        )

    async def store_problem(self) -> str:
        """The reason against the store being the one that stood here, as a clause; empty where there is none."""
        return await self._backends.audit.contradiction()

    async def accept_store(self, reason: str) -> str:
        """Goes on with the store as it is, on record; returns what spoke against it."""
        return await self._backends.audit.accept(f"user:{self.user()}", reason)


@contextlib.asynccontextmanager
async def open_home(root: Path, *, create: bool = False) -> AsyncIterator[Home]:
    """Opens the home of a folder; makes its `.setpoint/` first where asked.

    Raises NothingDeclaredError, HomeError, StoreError.
    """
    home = await make_home(root) if create else LocalHome.open(root)
    async with open_local(home) as backends:
        yield Home(backends)
