"""Owns the protocols that the outside implements. No implementation lives here.

Fakes of these ports pass the same conformance suites (tests/conformance) as the real thing.
"""

import dataclasses
import datetime as dt
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from typing import Any, Literal, Protocol

from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.api.v1alpha1.environment import AppliedStatus, Environment, Source
from setpoint.api.v1alpha1.policyset import PolicySetSpec
from setpoint.domain.audit import AuditEntry, AuditRow
from setpoint.domain.gating import GateDecision
from setpoint.domain.goals import Goal
from setpoint.domain.model import Change, Observation, Outcome, ResetPlan, Snapshot, Verification
from setpoint.domain.policies import PolicyCheck, PolicyModules, PolicyResult

# --- The cluster -----------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class ObjectList:
    """Objects and the resourceVersion at which they were read: where a watch goes on."""

    items: tuple[JsonObject, ...]
    resource_version: str


@dataclasses.dataclass(frozen=True, slots=True)
class WatchEvent:
    """One object moved. A watch may skip states in between; the last one always arrives."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    object: JsonObject


class ClusterClient(Protocol):
    """Objects with the semantics of the Kubernetes API: optimistic conflicts, generations, finalizers, status apart.

    Objects are JSON values; what is returned is the caller's to change. `metadata.generation` rises when the spec
    changes, when a deletion begins, and at no other time; `metadata.resourceVersion` changes with every write that
    changes something, and a write that changes nothing is no write. All methods raise TransientError when the other
    side can't be reached.
    """

    async def get(self, ref: ObjectRef) -> JsonObject:
        """One object. Raises NotFoundError."""
        ...

    async def list(
        self, kind: str, *, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> ObjectList:
        """All objects of a kind (of all namespaces where None) that carry the labels, in order of their key."""
        ...

    async def create(self, obj: JsonObject, *, audit: Sequence[AuditEntry] = ()) -> JsonObject:
        """Creates an object with uid, generation 1 and no status. Raises AlreadyExistsError, InvalidError.

        Here and below `audit` entries are durable no later than the write: with it in one transaction where the
        home can, before it where it can't.
        """
        ...

    async def update(self, obj: JsonObject, *, audit: Sequence[AuditEntry] = ()) -> JsonObject:
        """Replaces spec, data, labels, annotations and finalizers; leaves the status alone.

        Raises ConflictError unless metadata.resourceVersion is the current one, NotFoundError, InvalidError (a
        changed immutable spec among others). Removing the last finalizer of a deleted object removes the object.
        """
        ...

    async def update_status(self, obj: JsonObject, *, audit: Sequence[AuditEntry] = ()) -> JsonObject:
        """Replaces the status and nothing else; same errors as update."""
        ...

    async def annotate(self, ref: ObjectRef, annotations: Mapping[str, str | None]) -> JsonObject:
        """Sets annotations, removes those that are None. Needs no resourceVersion. Raises NotFoundError."""
        ...

    async def delete(self, ref: ObjectRef, *, audit: Sequence[AuditEntry] = ()) -> None:
        """Deletes an object, or stamps its deletionTimestamp while it has finalizers. Raises NotFoundError."""
        ...

    def watch(self, kinds: Sequence[str], *, resource_version: str) -> AsyncIterator[WatchEvent]:
        """Changes after that version, for ever, in the order of their writes. Raises GoneError if too old."""
        ...


class EventRecorder(Protocol):
    """Tells people what happened. Never blocks, never raises; repeats are counted, floods are dropped and counted."""

    def event(self, ref: ObjectRef, type_: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """Records that something happened to an object."""
        ...


class Clock(Protocol):
    """Wall-clock time. Delays and deadlines come from the event loop instead."""

    def now(self) -> dt.datetime:
        """The instant, with a time zone."""
        ...


# --- The store -------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class StoredObject:
    """One object as the ObjectStore keeps it. `body` is the JSON text of the whole object.

    `version` is the store-wide number of the write that made this row; it, and not what `body` says, is the
    object's resourceVersion. `deleted` marks a tombstone, whose body is the last one. `source` is the path of the
    manifest that declares the object, empty where none does.
    """

    ref: ObjectRef
    uid: str
    generation: int
    body: str = dataclasses.field(repr=False)
    source: str = ""
    version: int = 0
    deleted: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class StoredObjects:
    """Rows, and the version up to which they are complete: where `changes` goes on."""

    items: tuple[StoredObject, ...]
    version: int


class ObjectStore(Protocol):
    """Rows of objects with conditional writes, each in one transaction with its audit entries, shared by processes.

    It knows no generation, finalizer or status rules: those are the local home's. All methods raise StoreError.
    """

    async def get(self, ref: ObjectRef) -> StoredObject:
        """One live object. Raises NotFoundError."""
        ...

    async def list(self, kind: str, namespace: str | None = None) -> StoredObjects:
        """All live objects of a kind (of all namespaces where None) in order of their key."""
        ...

    async def put(self, obj: StoredObject, *, expected_version: int | None, audit: Sequence[AuditEntry] = ()) -> int:
        """Writes a row and returns its new version; `obj.version` and `obj.deleted` are not looked at.

        `expected_version` None creates: AlreadyExistsError where a live row stands. Else NotFoundError where none
        does, ConflictError where it has another version. A row that changes nothing is no write: the version
        stays; its audit entries are recorded all the same.
        """
        ...

    async def remove(
        self, ref: ObjectRef, *, expected_version: int | None = None, audit: Sequence[AuditEntry] = ()
    ) -> int:
        """Leaves a tombstone and returns its version. None: whatever the version. Raises as `put` does."""
        ...

    async def changes(self, after: int, kinds: Sequence[str], *, limit: int = 1000) -> StoredObjects:
        """Live rows and tombstones of these kinds with a later version, in the order of their writes.

        Raises GoneError when tombstones after that version are no longer kept, or the version lies ahead.
        """
        ...

    async def version(self) -> int:
        """The version of the newest write."""
        ...

    async def data_version(self) -> int:
        """A number that moves with every commit to the file, of any process; cheap enough to poll."""
        ...


class AuditLog(Protocol):
    """The append-only trail."""

    async def append(self, *entries: AuditEntry) -> tuple[int, ...]:
        """Records entries, all or none; they are durable when this returns. Raises StoreError."""
        ...

    async def rows(self, *, after: int = 0, limit: int = 1000, target: ObjectRef | None = None) -> tuple[AuditRow, ...]:
        """Rows with seq > after, oldest first."""
        ...

    async def open_intents(self) -> tuple[AuditRow, ...]:
        """Intents whose run has no outcome: what a crash left in doubt."""
        ...


class BlobStore(Protocol):
    """Sealed bytes by the digest of their plain text, keyed by this home."""

    async def put(self, data: bytes) -> str:
        """Seals and stores bytes, durably; returns their digest. The same bytes again cost nothing."""
        ...

    async def get(self, digest: str) -> bytes:
        """The plain bytes. Raises NotFoundError, or StoreError when they are damaged."""
        ...

    async def prune(self, keep: frozenset[str]) -> int:
        """Removes all other blobs that are older than an hour; returns how many."""
        ...

    def digest(self, data: bytes) -> str:
        """What `put` would return."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class StateVersion:
    """One Terraform state. `version` is our own count per target, from 1, and only rises."""

    version: int
    serial: int
    lineage: str
    terraform_version: str
    sha256: str
    size: int
    resources: int


class StateStore(Protocol):
    """Append-only Terraform states per target (ObjectRef.key), sealed."""

    async def head(self, target: str) -> StateVersion | None:
        """The newest version."""
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


@dataclasses.dataclass(frozen=True, slots=True)
class StateLock:
    """One lock on a target's state. `id` and `holder` (JSON text) are Terraform's, `run` is ours."""

    target: str
    id: str
    run: str
    holder: str


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
    """How one run reaches its state: for the environment of that run, and void after it."""

    address: str
    username: str
    password: str = dataclasses.field(repr=False)


class StateBackend(Protocol):
    """Terraform's HTTP backend over the StateStore."""

    def grant(
        self, target: str, *, run: str, operation: Literal["plan", "apply"]
    ) -> AbstractContextManager[BackendAccess]:
        """Access for one run. A plan may only read. Locks die with the grant."""
        ...


# --- Sources and Terraform --------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class SourceTree:
    """A resolved source: files by relative path, within all limits, nothing but regular files.

    `files` maps a POSIX path to (content digest, executable); `read` gives a file's bytes, or raises TransientError
    where they are no longer those of the digest. `has_state_file`: Terraform keeps a local state in the source; the
    state itself is left out of `files`.
    """

    digest: str
    revision: str
    files: Mapping[str, tuple[str, bool]]
    read: Callable[[str], bytes] = dataclasses.field(repr=False, compare=False)
    has_state_file: bool = False


class SourceResolver(Protocol):
    """Turns spec.source into a tree of files."""

    async def resolve(self, source: Source, *, origin: Path | None, credentials: Mapping[str, str]) -> SourceTree:
        """Reads the source. `origin` is the folder of the manifest, None on a cluster.

        `credentials` are the keys of source.git.secretRef. An unchanged folder is recognised without reading it.
        Raises StalledError (SourceNotFound, SourceRefused), TransientError (SourceUnavailable).
        """
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Bundle:
    """Source, installed modules and lock file, immutable, named by content. `blob` is its archive's blob digest."""

    digest: str
    revision: str
    blob: str


@dataclasses.dataclass(frozen=True, slots=True)
class RunInputs:
    """Everything that a plan depends on besides the state and the world. Timeouts are in seconds.

    `has_state`: a state is managed already, so that a backend or a state file in the source is no surprise.
    `recorded`: for a configuration of the past, which may know fewer secret variables: others are left out.
    """

    engine_type: Literal["terraform", "opentofu"]
    engine_version: str
    lock_file: Literal["Required", "Generate"]
    variables: Mapping[str, Any]
    secret_variables: Mapping[str, str] = dataclasses.field(repr=False)
    plan_environment: Mapping[str, str] = dataclasses.field(repr=False)
    apply_environment: Mapping[str, str] = dataclasses.field(repr=False)
    has_state: bool = False
    recorded: bool = False
    init_timeout: float = 300.0
    plan_timeout: float = 900.0
    apply_timeout: float = 3600.0


@dataclasses.dataclass(frozen=True, slots=True)
class EngineVersion:
    """The binary that runs: `terraform` or `opentofu` and its version."""

    type: str
    version: str

    def __str__(self) -> str:
        return f"{self.type} {self.version}"


@dataclasses.dataclass(frozen=True, slots=True)
class PlanRun:
    """One plan. `document` is `show -json` with secrets in clear, None where `quiet` proves that nothing differs."""

    run: str
    quiet: bool
    document: Mapping[str, Any] | None = dataclasses.field(repr=False)
    bundle: str
    path: Path
    prevent_destroy: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class ResourceProgress:
    """One step of an apply, as it happens."""

    address: str
    action: str
    state: Literal["started", "completed", "failed"]
    seconds: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class ApplyRun:
    """How an apply ended. `diagnostics` are scrubbed; `errored_state` is what Terraform could not save."""

    ok: bool
    interrupted: bool
    progress: tuple[ResourceProgress, ...]
    diagnostics: tuple[str, ...]
    errored_state: bytes | None = dataclasses.field(repr=False, default=None)


class TerraformSession(Protocol):
    """The one work folder of a target, held exclusively."""

    async def plan(self, bundle: Bundle, inputs: RunInputs, *, destroy: bool = False, full: bool = False) -> PlanRun:
        """Makes the folder exact, initialises it where needed, plans. `full`: a document even where quiet.

        Raises StalledError and TransientError with the reasons of the failure, scrubbed.
        """
        ...

    async def apply(
        self, plan: PlanRun, bundle: Bundle, inputs: RunInputs, progress: Callable[[ResourceProgress], None]
    ) -> ApplyRun:
        """Executes that very plan. Never raises for what Terraform does, nor when cancelled: the result says it."""
        ...

    def errored_state_saved(self) -> None:
        """What ApplyRun.errored_state held is safe in the StateStore."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Survivor:
    """A run that a killed manager left behind, now settled."""

    target: str
    run: str
    operation: Literal["plan", "apply"]
    started: tuple[str, ...]
    completed: tuple[str, ...]
    errored_state: bytes | None = dataclasses.field(repr=False, default=None)


class Terraform(Protocol):
    """Drives Terraform or OpenTofu."""

    async def engine(self, inputs: RunInputs) -> EngineVersion:
        """The binary for these inputs. Raises StalledError (EngineNotFound, EngineVersionMismatch)."""
        ...

    async def bundle(self, target: str, tree: SourceTree, inputs: RunInputs) -> Bundle:
        """Installs modules, checks or makes the lock file, stores the archive. Cached by the tree's digest."""
        ...

    def session(self, target: str) -> AbstractAsyncContextManager[TerraformSession]:
        """Waits for the target's work folder and holds it."""
        ...

    async def settle(self) -> tuple[Survivor, ...]:
        """Finds the applies of a killed manager, stops them gracefully, harvests what they left, until `forget`."""
        ...

    def forget(self, run: str, target: str) -> None:
        """Drops what was kept of a settled run: its state and its outcome are on record."""
        ...


# --- Policies ---------------------------------------------------------------------------------------------------


class PolicyResolver(Protocol):
    """Turns a PolicySet into its modules."""

    async def resolve(self, spec: PolicySetSpec, *, origin: Path | None) -> PolicyModules:
        """Reads spec.source. `origin` is the folder of the manifest, None on a cluster.

        Raises StalledError (SourceNotFound, SourceRefused, DigestMismatch).
        """
        ...


class PolicyEngine(Protocol):
    """Evaluates Rego v1, apart from this process."""

    async def check(self, modules: PolicyModules) -> PolicyCheck:
        """Loads and lints. Never raises: what can't be checked is a problem."""
        ...

    async def evaluate(
        self,
        modules: PolicyModules,
        document: Mapping[str, Any],
        *,
        timeout: float,  # noqa: ASYNC109 a limit on another process, which is killed at it
        memory_mib: int,
    ) -> PolicyResult:
        """Asks all packages for deny, violation and warn, within `timeout` seconds.

        Never raises: crash, time-out, memory, undefined and what does not pass `check` are errors.
        """
        ...


# --- Targets ----------------------------------------------------------------------------------------------------


class HealthProber(Protocol):
    """Looks at a target from outside."""

    async def probe(self, url: str, status: int, seconds: float) -> str:
        """GETs until the status comes back or the time is over; what is wrong, empty where nothing is."""
        ...


class TargetSession(Protocol):
    """The one thing that differs between kinds of target: the I/O steps of one pass (design, section 8)."""

    @property
    def run(self) -> str:
        """The id that joins the intent of this pass with its outcome."""
        ...

    async def observe(self) -> Observation:
        """Reads the actual state with read-only credentials and compares it with the goal."""
        ...

    async def observe_again(self) -> str | None:
        """The content digest of a second look at the same inputs; it should be the first one's."""
        ...

    async def plan(self, observation: Observation) -> Change | None:
        """The exact change; None at the setpoint."""
        ...

    async def capture(self, observation: Observation, applied: AppliedStatus | None = None) -> Snapshot:
        """Everything that a reset to the head state under the configuration last applied (or this one) needs."""
        ...

    async def plan_reset(self, change: Change, snapshot: Snapshot) -> ResetPlan:
        """The way back, drilled."""
        ...

    async def apply(self, decision: GateDecision) -> Outcome:
        """Executes what was decided, and nothing else. Raises ConflictError where the base moved."""
        ...

    async def verify(self, change: Change) -> Verification:
        """A second look."""
        ...

    async def drill_destroy(self) -> str:
        """Whether what was just made could be destroyed: what stands in the way, empty where nothing does."""
        ...

    async def probe_health(self) -> Verification:
        """The target's health as seen from outside."""
        ...

    async def configuration(self, *, change: str | None, at: str) -> AppliedStatus:
        """What this pass holds the target to, sealed, for the record."""
        ...

    async def publish(self) -> bool:
        """Hands out what the target produces; True where something was written."""
        ...


class TargetDriver(Protocol):
    """Opens sessions. A new kind of target is a new driver, never a second pipeline."""

    def session(
        self, target: Environment, goal: Goal, progress: Callable[[ResourceProgress], None]
    ) -> AbstractAsyncContextManager[TargetSession]:
        """Waits for the target and holds it for one pass."""
        ...
