"""Owns the ports for Terraform states: versions, locks and the backend that serves them. Declarations only."""

import dataclasses
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Literal, Protocol

from setpoint.adapters.store.state_versions import StateLock, StateVersion
from setpoint.domain.audit import AuditEntry


class StateStore(Protocol):
    """Append-only Terraform states per target (ObjectRef.key), sealed."""

    async def head(self, target: str, *, run: str | None = None) -> StateVersion | None:
        """The newest version, where `run` is given of those that it wrote."""
        ...

    async def read(self, target: str, version: int | None = None) -> bytes:
        """The bytes of a version, the newest where None. Raises NotFoundError."""
        ...

    async def append(
        self, target: str, data: bytes, *, run: str, lock: str | None = None, audit: Sequence[AuditEntry] = ()
    ) -> StateVersion:
        """Adds a version. The head's bytes again return the head and add nothing, audit entries included.

        Raises ConflictError for another lineage, a lower serial or an equal serial with other bytes, and when
        `lock` is given and `run` does not hold it; InvalidError for what is no Terraform state.
        """
        ...

    async def blobs(self) -> frozenset[str]:
        """The blobs that hold states: what `BlobStore.prune` must keep for this store."""
        ...


class StateLocks(Protocol):
    """Locks on states, at most one per target, durable: they survive their manager and not their run."""

    async def acquire(self, lock: StateLock) -> StateLock:
        """Takes a free lock. Returns the one that now stands: equal to what was asked, or another's."""
        ...

    async def release(self, target: str, *, id: str, run: str) -> StateLock | None:  # noqa: A002 Terraform's word
        """Frees this lock of this run. Returns another's that stands instead and stays, else None."""
        ...

    async def release_run(self, run: str) -> int:
        """Frees what a run that is over still holds; returns how many."""
        ...

    async def held(self) -> tuple[StateLock, ...]:
        """All locks, by target."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class BackendAccess:
    """The way in which one run reaches its state: for the environment of that run, and void after it.

    `served` are the HTTP methods that were answered so far: a run that locked no state here has kept it elsewhere.
    """

    address: str
    username: str
    password: str = dataclasses.field(repr=False)
    served: set[str] = dataclasses.field(default_factory=set, compare=False)


class StateBackend(Protocol):
    """Terraform's HTTP backend over the StateStore."""

    def grant(
        self, target: str, *, run: str, operation: Literal["plan", "apply"]
    ) -> AbstractContextManager[BackendAccess]:
        """Access for one run. A plan may only read. Locks die with the grant."""
        ...
