"""Owns the ports for runs of Terraform and for health, and the shapes that they exchange. Declarations only."""

import dataclasses
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Literal, Protocol

from setpoint.domain.model import ResourceProgress
from setpoint.domain.secret_values import known_texts
from setpoint.ports import Notice, OnProgress, SourceTree
from setpoint.targets.environment.plan.credentials import secret_texts
from setpoint.targets.environment.plan.orphans import Creation


@dataclasses.dataclass(frozen=True, slots=True)
class Bundle:
    """Source, installed modules and lock file, immutable, named by content. `blob` is its archive's blob digest."""

    digest: str
    revision: str
    blob: str


@dataclasses.dataclass(frozen=True, slots=True)
class ModuleHost:
    """A host that modules come from by git, with the keys of its Secret; a password goes there by that scheme alone."""

    scheme: Literal["https", "http"]
    host: str
    keys: Mapping[str, str] = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class RunInputs:
    """Everything that a plan depends on besides the state and the world. Timeouts are in seconds.

    `has_state`: a state is managed already, so that a backend or a state file in the source is no surprise.
    `recorded`: for a configuration of the past, which may know fewer secret variables: others are left out.
    The three `plain_` name the keys of each of the three kinds of Secrets whose values may be shown.
    `module_hosts` are for making a bundle alone: no plan and no apply knows of them.
    """

    engine_type: Literal["terraform", "opentofu"]
    engine_version: str
    lock_file: Literal["Required", "Generate"]
    variables: Mapping[str, Any]
    secret_variables: Mapping[str, str] = dataclasses.field(repr=False)
    plan_environment: Mapping[str, str] = dataclasses.field(repr=False)
    apply_environment: Mapping[str, str] = dataclasses.field(repr=False)
    plain_variables: frozenset[str] = frozenset()
    plain_plan: frozenset[str] = frozenset()
    plain_apply: frozenset[str] = frozenset()
    has_state: bool = False
    recorded: bool = False
    module_hosts: tuple[ModuleHost, ...] = ()
    init_timeout: float = 300.0
    plan_timeout: float = 900.0
    apply_timeout: float = 3600.0

    @property
    def hidden_variables(self) -> Mapping[str, str]:
        """The secret variables, but those that are plain."""
        return {name: text for name, text in self.secret_variables.items() if name not in self.plain_variables}

    @property
    def variable_secrets(self) -> frozenset[str]:
        """Every text by which a secret variable could show."""
        return known_texts(self.hidden_variables.values())

    @property
    def credential_secrets(self) -> frozenset[str]:
        """The texts of credentials that are kept from sight."""
        of_plan = secret_texts(self.plan_environment, self.plain_plan)
        return of_plan | secret_texts(self.apply_environment, self.plain_apply)

    @property
    def command(self) -> str:
        """The name by which people call the engine's binary."""
        return "tofu" if self.engine_type == "opentofu" else "terraform"


@dataclasses.dataclass(frozen=True, slots=True)
class EngineVersion:
    """The binary that runs: `terraform` or `opentofu` and its version."""

    type: str
    version: str

    def __str__(self) -> str:
        return f"{self.type} {self.version}"


@dataclasses.dataclass(frozen=True, slots=True)
class PlanRun:
    """One plan. `document` is `show -json` with secrets in clear, None where `quiet` proves that nothing differs.

    `state_version` is the StateVersion that it starts from, 0 for none, where it is to be applied. `warnings` are
    scrubbed, `unread` the data sources that can't be read, so that the plan was made from the state alone.
    """

    run: str
    quiet: bool
    document: Mapping[str, Any] | None = dataclasses.field(repr=False)
    bundle: str
    path: Path
    prevent_destroy: tuple[str, ...] = ()
    state_version: int | None = None
    warnings: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class ApplyRun:
    """The end of an apply. `diagnostics` are scrubbed; `errored_state` is what Terraform could not save.

    `created` are the objects that it made, or may have made; their addresses and ids are not scrubbed.
    """

    ok: bool
    interrupted: bool
    progress: tuple[ResourceProgress, ...]
    diagnostics: tuple[str, ...]
    errored_state: bytes | None = dataclasses.field(repr=False, default=None)
    created: tuple[Creation, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class ErroredState:
    """A state that Terraform could not save, and the apply that left it; `run` is empty where that is not known.

    `base` is the StateVersion that the apply started from, 0 for none, None where that is not known.
    """

    run: str
    data: bytes = dataclasses.field(repr=False)
    base: int | None = None


class TerraformSession(Protocol):
    """The one work folder of a target, held exclusively."""

    def require_settled(self) -> None:
        """For one that may not settle anything itself: refuses a folder in which a killed manager's run goes on.

        Raises WaitingError for such a run, TransientError for a state that nobody has saved yet.
        """
        ...

    async def plan(
        self,
        bundle: Bundle,
        inputs: RunInputs,
        *,
        destroy: bool = False,
        full: bool = False,
        refresh: bool = True,
        run: str | None = None,
        progress: OnProgress | None = None,
    ) -> PlanRun:
        """Makes the folder exact, initialises it where needed, plans. `full`: a document even where quiet.

        Without `refresh`, nothing outside is looked at: the state is taken for what is. `run` is the
        plan's id, in place of an earlier plan's of that id; a new one where None. `progress` hears of what the plan
        has waited for long.
        Raises StalledError and TransientError with the reasons of the failure, scrubbed.
        """
        ...

    async def apply(self, plan: PlanRun, bundle: Bundle, inputs: RunInputs, progress: OnProgress) -> ApplyRun:
        """Executes that very plan. Never raises for what Terraform does, nor when cancelled: the result says it.

        One that ended well and never asked the StateBackend for its state is not ok: nobody knows what it made.
        """
        ...

    def take_notices(self) -> tuple[Notice, ...]:
        """Notices since this was last asked: of files put right in the work folder, of programs that an apply left."""
        ...

    def errored_state(self) -> ErroredState | None:
        """The state that an earlier apply could not save. While there is one, `plan` raises TransientError."""
        ...

    def outcome_recorded(self) -> None:
        """The apply's outcome is on record. Without it the run's folder stays, for `settle` at the next start."""
        ...

    def errored_state_saved(self) -> None:
        """Its content is safe in the StateStore: it is removed."""
        ...

    def set_errored_state_aside(self, run: str) -> Path:
        """The StateStore refused it: it is moved to a place of its own, which is returned. Raises StoreError."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class AbandonedRun:
    """A run that a killed manager left behind, now settled. `base` is as an ErroredState's.

    `created` is as an ApplyRun's; None where it is not known, as after a power cut.
    """

    target: str
    run: str
    operation: Literal["plan", "apply"]
    created: tuple[Creation, ...] | None
    completed: tuple[str, ...]
    errored_state: bytes | None = dataclasses.field(repr=False, default=None)
    base: int | None = None


class Terraform(Protocol):
    """Drives Terraform or OpenTofu."""

    async def engine(self, inputs: RunInputs) -> EngineVersion:
        """The binary for these inputs. Raises StalledError (EngineNotFound, EngineVersionMismatch)."""
        ...

    async def bundle(self, target: str, tree: SourceTree, inputs: RunInputs) -> Bundle:
        """Installs modules, checks or makes the lock file, stores the archive. Cached by the tree's digest."""
        ...

    async def bundles(self) -> Mapping[str, str]:
        """The blobs of the bundles that were made here, by the bundles' digests. Some may be gone since."""
        ...

    def session(self, target: str) -> AbstractAsyncContextManager[TerraformSession]:
        """Waits for the target's work folder and holds it."""
        ...

    async def settle(self) -> tuple[AbandonedRun, ...]:
        """Finds the applies of a killed manager, stops them gracefully, harvests what they left, until `forget`."""
        ...

    def set_errored_state_aside(self, run: str, target: str) -> Path:
        """As the session's; for the state of a settled run."""
        ...

    def forget(self, run: str, target: str) -> None:
        """Drops what was kept of a settled run: its state and its outcome are on record."""
        ...


class HealthProber(Protocol):
    """Looks at a target from outside."""

    async def probe(self, url: str, status: int, seconds: float) -> str:
        """GETs until the status comes back or the time is over; what is wrong, empty where nothing is."""
        ...
