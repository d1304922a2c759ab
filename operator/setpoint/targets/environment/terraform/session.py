"""Owns a target's plans and applies, in its work folder. One session at a time holds the folder."""

import asyncio
import contextlib
import dataclasses
import json
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Literal

from setpoint.api.conditions import Reason
from setpoint.domain.digests import digest, digest_bytes
from setpoint.domain.errors import (
    LostBlobError,
    NotFoundError,
    SetpointError,
    StalledError,
    StoreError,
    TransientError,
    WaitingError,
)
from setpoint.domain.model import ResourceProgress
from setpoint.domain.scrubbing import Scrubber, label_keys
from setpoint.ports import BlobStore, Notice, OnProgress
from setpoint.targets.environment.errors import VariablesMissingError
from setpoint.targets.environment.plan.orphans import ApplyAccount, Creation
from setpoint.targets.environment.plan.stream import addresses, is_quiet, read_stream, warnings
from setpoint.targets.environment.ports import ApplyRun, Bundle, ErroredState, PlanRun, RunInputs
from setpoint.targets.environment.state_ports import BackendAccess, StateBackend
from setpoint.targets.environment.terraform import abandoned_runs
from setpoint.targets.environment.terraform.binaries import Binaries, Binary, builder
from setpoint.targets.environment.terraform.environment import RunEnvironment
from setpoint.targets.environment.terraform.failures import (
    explain,
    failure,
    is_uninitialised,
    lock_mismatch,
    missing_variables,
)
from setpoint.targets.environment.terraform.finishing import in_thread
from setpoint.targets.environment.terraform.guarding import FolderGuard
from setpoint.targets.environment.terraform.process import (
    HOME,
    READING_GRACE,
    WRITING_GRACE,
    Command,
    Ended,
    execute,
    remove_run,
    run_through,
)
from setpoint.targets.environment.terraform.progress import Listener, reporting_waits
from setpoint.targets.environment.terraform.room import Room
from setpoint.targets.environment.terraform.tailing import tail
from setpoint.targets.environment.terraform.variables import (
    VARIABLES,
    all_variables,
    refuse_misread,
    refuse_undeclared,
    warn_of_workspace,
    write_ephemeral,
    write_variables,
)
from setpoint.targets.environment.terraform.watchdog import Watchdog
from setpoint.targets.environment.terraform.workfolder import Facts, WorkFolder

Operation = Literal["plan", "apply"]


class Session:
    """Implements ports.TerraformSession."""

    def __init__(
        self,
        *,
        root: Path,
        target: str,
        folder: WorkFolder,
        blobs: BlobStore,
        backend: StateBackend,
        binaries: Binaries,
        environment: RunEnvironment,
        init_lock: asyncio.Lock,
        room: Room,
        threads: Executor,
        register_secrets: Callable[[Collection[str]], None],
        register_addresses: Callable[[Collection[str]], None],
        watchdog: Watchdog,
    ) -> None:
        self._root = root
        self._runs = root / "runs"
        self._target = target
        self._folder = folder
        self._blobs = blobs
        self._backend = backend
        self._binaries = binaries
        self._environment = environment
        self._init_lock = init_lock
        self._room = room
        self._threads = threads
        self._register_secrets = register_secrets
        self._register_addresses = register_addresses
        self._watchdog = watchdog
        self._opened: list[Path] = []
        self._applied_in: Path | None = None
        self._recorded = False
        self._guard = FolderGuard(folder, target)

    def close(self) -> None:
        """Empties the session's run folders: no plan file outlives its run.

        An apply that is not on record, or whose state is still in errored.tfstate, keeps its note, for `settle`.
        """
        unsaved = not self._recorded or self._folder.errored_state() is not None
        for folder in self._opened:
            if unsaved and folder == self._applied_in:
                for path in (folder / "tfplan", folder / VARIABLES):
                    path.unlink(missing_ok=True)
            else:
                remove_run(folder)

    def require_settled(self) -> None:
        """Refuses a folder in which a killed manager's run goes on, or whose state nobody has saved yet."""
        if run := abandoned_runs.find_running(self._root, self._target):
            message = f"run {run} of a manager that is gone still works here; setpoint up stops and records it"
            raise WaitingError(Reason.STATE_LOCKED, message)
        self._refuse_unsaved_state()

    # --- plan ---------------------------------------------------------------------------------------------------

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
        """Makes the folder exact, initialises it where needed, plans."""
        self._register_secrets(self._known(inputs))
        self._refuse_unsaved_state()
        binary = await self._binaries.locate(inputs, self._threads)
        facts, inputs = await self._prepare(bundle, inputs)
        folder = self._open_run(run)
        variables = write_variables(folder, all_variables(facts, inputs))
        with self._backend.grant(self._target, run=folder.name, operation="plan") as access:
            await self._initialise(facts, inputs, binary, folder, access)
            self._tidy(facts)
            line = builder(binary.words).plan_line(folder / "tfplan", variables, destroy=destroy, refresh=refresh)
            command = self._command("plan", line, folder, inputs, access)
            async with self._room.taken(), self._reporting_waits(command, inputs, progress):
                ended = await execute(command)
            messages = tuple(read_stream(ended.stdout))
            self._register_addresses(addresses(messages))
            if ended.exit_code != 0 or ended.stopped:
                if is_uninitialised(ended):
                    self._folder.forget_initialisation(facts)
                if inputs.recorded and (names := missing_variables(ended)):
                    raise VariablesMissingError(names)
                raise failure(f"{inputs.command} plan", ended, self._secrets(inputs), Reason.PLAN_FAILED)
            self._tidy(facts)
            quiet = is_quiet(messages, ended.exit_code)
            document = None if quiet and not full else await self._show(binary.words, folder, inputs, access)
            scrubber = self._secrets(inputs).sparing(addresses(messages))
        return PlanRun(
            run=folder.name,
            quiet=quiet,
            document=document,
            bundle=bundle.digest,
            path=folder / "tfplan",
            prevent_destroy=facts.prevent_destroy,
            warnings=(*map(scrubber.scrub, warnings(messages)), *warn_of_workspace(facts)),
        )

    def _reporting_waits(
        self, command: Command, inputs: RunInputs, progress: OnProgress | None
    ) -> AbstractAsyncContextManager[None]:
        if progress is None:
            return contextlib.nullcontext()
        known = self._shown(inputs)
        return reporting_waits(
            command.stdout, lambda wait: progress(dataclasses.replace(wait, address=known.address(wait.address)))
        )

    def _refuse_unsaved_state(self) -> None:
        """A plan without it would make again all that it knows."""
        if self._folder.errored_state() is not None:
            message = "what the last apply made is not in the store yet; setpoint up saves it before it plans again"
            raise TransientError(Reason.STORE_FAILED, message)

    async def _prepare(self, bundle: Bundle, inputs: RunInputs) -> tuple[Facts, RunInputs]:
        """Lays the bundle out; the inputs, as far as it knows them."""
        # The bundle of a plan may be applied and recorded, so it must outlast the pass. Whether it is missing is seen
        # where its bytes are needed.
        with contextlib.suppress(NotFoundError):
            await self._blobs.renew(bundle.blob)
        facts = self._folder.facts()
        if facts is None or facts.bundle != bundle.digest or self._guard.finds_changed(facts):
            archive = await self._archive(bundle)
            facts = await in_thread(self._threads, self._folder.lay_out, bundle.digest, archive)
        self._tidy(facts)
        if inputs.recorded:
            known = {name: value for name, value in inputs.secret_variables.items() if name in facts.variables}
            return facts, dataclasses.replace(inputs, secret_variables=known)
        refuse_undeclared("spec.variables", inputs.variables, facts)
        refuse_undeclared("spec.variablesFrom", inputs.secret_variables, facts)
        refuse_misread(inputs.variables, facts)
        return facts, inputs

    def take_notices(self) -> tuple[Notice, ...]:
        """The notices of what was put right since this was last asked."""
        return self._guard.take_notices()

    def _tidy(self, facts: Facts) -> None:
        """Before each command: whatever ran may have put there what Terraform loads the next time."""
        self._guard.remove_strays(facts)
        self._environment.prepare()

    async def _archive(self, bundle: Bundle) -> bytes:
        try:
            archive = await self._blobs.get(bundle.blob)
        except NotFoundError:
            raise LostBlobError.gone(f"the code of bundle {bundle.digest}", bundle.blob) from None
        if digest_bytes(archive) != bundle.digest:
            message = (
                f"the archive {bundle.blob} is not that of the bundle {bundle.digest}, so none of it is run. Find out "
                "who changed the store or the manager's folder; another source makes another bundle"
            )
            raise StalledError(Reason.DIGEST_MISMATCH, message)
        return archive

    def _open_run(self, run: str | None) -> Path:
        folder = self._runs / (run or uuid.uuid4().hex)
        if folder in self._opened:
            self._opened.remove(folder)
            remove_run(folder)
        try:
            folder.mkdir(mode=0o700, parents=True)
            (folder / HOME).mkdir(mode=0o700)
        except OSError as error:
            msg = f"can't make a run folder: {error.strerror}"
            raise StoreError(msg) from error
        self._opened.append(folder)
        return folder

    async def _initialise(
        self, facts: Facts, inputs: RunInputs, binary: Binary, folder: Path, access: BackendAccess
    ) -> None:
        """Init, unless it ran to its end for all that it depends on."""
        override = self._folder.override(inputs.hidden_variables)
        parts = [facts.bundle, *binary.words, binary.stamp, override, self._environment.configuration]
        if self._folder.is_initialised(facts, digest([*parts, self._folder.lock_digest()])):
            return
        self._folder.forget_initialisation(facts)
        line = builder(binary.words).init_line(backend=True, modules=False)
        async with self._init_lock if self._environment.shares_cache else contextlib.nullcontext():
            ended = await execute(self._command("init", line, folder, inputs, access))
        if ended.exit_code != 0 or ended.stopped:
            raise failure(f"{inputs.command} init", ended, self._secrets(inputs), Reason.INIT_FAILED)
        if inputs.lock_file == "Required" and (unpinned := self._folder.unpinned(facts)):
            raise StalledError(Reason.LOCK_FILE_MISMATCH, lock_mismatch(unpinned))
        self._folder.mark_initialised(facts, digest([*parts, self._folder.lock_digest()]))

    async def _show(
        self, words: tuple[str, ...], folder: Path, inputs: RunInputs, access: BackendAccess
    ) -> Mapping[str, Any]:
        ended = await execute(
            self._command("show", builder(words).show_line(folder / "tfplan"), folder, inputs, access)
        )
        if ended.exit_code != 0 or ended.stopped:
            raise failure(f"{inputs.command} show", ended, self._secrets(inputs), Reason.PLAN_FAILED)
        try:
            document = await in_thread(self._threads, json.loads, ended.stdout)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            said = f"{inputs.command} show gave {len(ended.stdout)} bytes that are no JSON document; is the disk full?"
            raise TransientError(Reason.PLAN_FAILED, said)
        if document.get("errored"):
            raise TransientError(Reason.PLAN_FAILED, "the plan broke off half way")
        if not document.get("complete", True):
            raise StalledError(
                Reason.PLAN_FAILED, "Terraform deferred a part of the plan; what is partial is not applied"
            )
        return document

    # --- apply --------------------------------------------------------------------------------------------------

    async def apply(self, plan: PlanRun, bundle: Bundle, inputs: RunInputs, progress: OnProgress) -> ApplyRun:
        """Executes that very plan. A cancellation stops Terraform gracefully, and the end is told all the same."""
        self._applied_in = plan.path.parent
        account = ApplyAccount()
        seen: list[ResourceProgress] = []
        try:
            listener = Listener(account, seen, progress, self._shown(inputs).address)
            ended, is_managed = await self._execute(plan, bundle, inputs, listener)
        except asyncio.CancelledError:
            return ApplyRun(False, True, (), ("cancelled before it began",))
        except SetpointError as error:
            return ApplyRun(False, False, (), (error.message,))
        self._guard.notice_left(ended.left)
        created = account.creations(ended=ended.exit_code >= 0, plan=plan.document)
        run = self._applied(ended, created, seen, self._secrets(inputs))
        if run.ok and not is_managed:
            return dataclasses.replace(run, ok=False, diagnostics=(self._guard.explain_lost_state(inputs.command),))
        return run

    async def _execute(
        self, plan: PlanRun, bundle: Bundle, inputs: RunInputs, listener: Callable[[bytes], None]
    ) -> tuple[Ended, bool]:
        """Applies; returns how that ended, and whether it asked Setpoint for the state."""
        binary = await self._binaries.locate(inputs, self._threads)
        folder = plan.path.parent
        facts, inputs = await self._prepare(bundle, inputs)
        with self._backend.grant(self._target, run=plan.run, operation="apply") as access:
            await self._initialise(facts, inputs, binary, folder, access)
            self._tidy(facts)
            line = builder(binary.words).apply_line(plan.path, write_ephemeral(folder, facts, inputs))
            command = self._command("apply", line, folder, inputs, access, "apply", base=plan.state_version)
            async with tail(command.stdout, listener):
                return await run_through(command), "LOCK" in access.served

    def _applied(
        self, ended: Ended, created: tuple[Creation, ...], seen: Sequence[ResourceProgress], secrets: Scrubber
    ) -> ApplyRun:
        ok = ended.exit_code == 0 and not ended.stopped
        text = () if ok else explain(ended, secrets)
        if ended.stopped == "timeout":
            text = ("the apply took longer than its timeout and was stopped", *text)
        interrupted = bool(ended.stopped) or ended.exit_code < 0
        return ApplyRun(ok, interrupted, tuple(seen), text, self._folder.errored_state(), created)

    def errored_state(self) -> ErroredState | None:
        """The state that an earlier apply could not save."""
        data = self._folder.errored_state()
        if data is None:
            return None
        run, base = abandoned_runs.find_applied(self._root, self._target)
        return ErroredState(run, data, base)

    def outcome_recorded(self) -> None:
        """Notes that the outcome of the apply is on record."""
        self._recorded = True

    def errored_state_saved(self) -> None:
        """Drops errored.tfstate: what it held is safe in the store."""
        self._folder.drop_errored_state()

    def set_errored_state_aside(self, run: str) -> Path:
        """Keeps errored.tfstate, which the store refused, out of the way."""
        return self._folder.set_errored_state_aside(run)

    def _command(
        self,
        name: str,
        line: Sequence[str],
        folder: Path,
        inputs: RunInputs,
        access: BackendAccess,
        operation: Operation = "plan",
        base: int | None = None,
    ) -> Command:
        credentials = inputs.apply_environment if operation == "apply" else inputs.plan_environment
        seconds = {"init": inputs.init_timeout, "apply": inputs.apply_timeout}.get(name, inputs.plan_timeout)
        facts = {"target": self._target, "operation": operation, "base": base}
        environment = self._environment.of_run(credentials, access, folder / HOME)
        grace = WRITING_GRACE if operation == "apply" else READING_GRACE
        module, provisions = self._folder.module, operation == "apply"
        return Command(line, module, environment, folder, name, seconds, facts, grace, self._watchdog, provisions)

    def _secrets(self, inputs: RunInputs) -> Scrubber:
        return Scrubber(self._known(inputs))

    def _shown(self, inputs: RunInputs) -> Scrubber:
        """For addresses, as people see them wherever they stand."""
        label = label_keys(self._target, self._blobs.digest)
        return Scrubber(inputs.variable_secrets, label=label)

    def _known(self, inputs: RunInputs) -> frozenset[str]:
        return self._environment.secrets().union(inputs.credential_secrets, inputs.variable_secrets)
