"""Owns a target's plans and applies, in its work folder. One session at a time holds the folder."""

import asyncio
import contextlib
import dataclasses
import json
import shutil
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from setpoint.adapters.terraform.binaries import Binaries, builder
from setpoint.adapters.terraform.environment import RunEnvironment
from setpoint.adapters.terraform.failures import explain, failure
from setpoint.adapters.terraform.process import Command, Ended, run, run_through
from setpoint.adapters.terraform.tailing import tail
from setpoint.adapters.terraform.workfolder import Facts, WorkFolder, write_variables
from setpoint.api.conditions import Reason
from setpoint.domain.digests import digest
from setpoint.domain.errors import NotFoundError, StalledError, TransientError
from setpoint.domain.terraform_stream import Message, hook_of, is_quiet, read_line, read_stream
from setpoint.ports import (
    ApplyRun,
    BackendAccess,
    BlobStore,
    Bundle,
    PlanRun,
    ResourceProgress,
    RunInputs,
    StateBackend,
)

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
        register_secrets: Callable[[Collection[str]], None],
    ) -> None:
        self._runs = root / "runs"
        self._target = target
        self._folder = folder
        self._blobs = blobs
        self._backend = backend
        self._binaries = binaries
        self._environment = environment
        self._init_lock = init_lock
        self._register_secrets = register_secrets
        self._opened: list[Path] = []

    def close(self) -> None:
        """Empties the session's run folders: no plan file outlives its run (rules 24, 28)."""
        for folder in self._opened:
            shutil.rmtree(folder, ignore_errors=True)

    # --- plan ---------------------------------------------------------------------------------------------------

    async def plan(self, bundle: Bundle, inputs: RunInputs, *, destroy: bool = False, full: bool = False) -> PlanRun:
        """Makes the folder exact, initialises it where needed, plans."""
        self._register_secrets(_secrets(inputs))
        words, _ = self._binaries.find(inputs)
        facts, inputs = await self._prepare(bundle, inputs)
        folder = self._open_run()
        write_variables(folder / "variables.tfvars.json", {**inputs.variables, **inputs.secret_variables})
        with self._backend.grant(self._target, run=folder.name, operation="plan") as access:
            await self._initialise(facts, inputs, words, folder, access)
            line = builder(words).plan_line(folder / "tfplan", folder / "variables.tfvars.json", destroy=destroy)
            ended = await run(self._command("plan", line, folder, inputs, access))
            if ended.exit_code != 0 or ended.stopped:
                raise failure("terraform plan", ended, _secrets(inputs), Reason.PLAN_FAILED)
            quiet = is_quiet(read_stream(ended.stdout), ended.exit_code)
            document = None if quiet and not full else await self._show(words, folder, inputs, access)
        return PlanRun(
            run=folder.name,
            quiet=quiet,
            document=document,
            bundle=bundle.digest,
            path=folder / "tfplan",
            prevent_destroy=facts.prevent_destroy,
        )

    async def _prepare(self, bundle: Bundle, inputs: RunInputs) -> tuple[Facts, RunInputs]:
        """Lays the bundle out; the inputs, as far as it knows them."""
        facts = self._folder.facts()
        if facts is None or facts.bundle != bundle.digest:
            facts = self._folder.lay_out(bundle.digest, await self._archive(bundle))
        if inputs.recorded:
            known = {name: value for name, value in inputs.secret_variables.items() if name in facts.variables}
            return facts, dataclasses.replace(inputs, secret_variables=known)
        _refuse_undeclared("spec.variables", inputs.variables, facts)
        _refuse_undeclared("spec.variablesFrom", inputs.secret_variables, facts)
        return facts, inputs

    async def _archive(self, bundle: Bundle) -> bytes:
        try:
            return await self._blobs.get(bundle.blob)
        except NotFoundError:
            message = f"the store no longer holds the bundle {bundle.digest[:19]}…"
            raise StalledError(Reason.SNAPSHOT_NOT_FOUND, message) from None

    def _open_run(self) -> Path:
        folder = self._runs / uuid.uuid4().hex
        folder.mkdir(mode=0o700, parents=True)
        self._opened.append(folder)
        return folder

    async def _initialise(
        self, facts: Facts, inputs: RunInputs, words: Sequence[str], folder: Path, access: BackendAccess
    ) -> None:
        """Init, unless it ran to its end for all that it depends on (rule 9)."""
        override = self._folder.override(inputs.secret_variables)
        parts = [facts.bundle, self._folder.lock_digest(), *words, self._binaries.stamp(words), override]
        key = digest([*parts, self._environment.configuration()])
        if self._folder.is_initialised(key):
            return
        line = builder(tuple(words)).init_line(backend=True, modules=False, readonly_lock=True)
        async with self._init_lock if self._environment.shares_cache else contextlib.nullcontext():
            ended = await run(self._command("init", line, folder, inputs, access))
        if ended.exit_code != 0 or ended.stopped:
            raise failure("terraform init", ended, _secrets(inputs), Reason.INIT_FAILED)
        self._folder.mark_initialised(facts, key)

    async def _show(
        self, words: tuple[str, ...], folder: Path, inputs: RunInputs, access: BackendAccess
    ) -> Mapping[str, Any]:
        ended = await run(self._command("show", builder(words).show_line(folder / "tfplan"), folder, inputs, access))
        if ended.exit_code != 0 or ended.stopped:
            raise failure("terraform show", ended, _secrets(inputs), Reason.PLAN_FAILED)
        try:
            document = await asyncio.to_thread(json.loads, ended.stdout)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise TransientError(Reason.PLAN_FAILED, "terraform show gave no JSON document")
        if document.get("errored"):
            raise TransientError(Reason.PLAN_FAILED, "the plan broke off half way")
        if not document.get("complete", True):
            raise StalledError(
                Reason.PLAN_FAILED, "Terraform deferred a part of the plan; what is partial is not applied"
            )
        return document

    # --- apply --------------------------------------------------------------------------------------------------

    async def apply(
        self, plan: PlanRun, bundle: Bundle, inputs: RunInputs, progress: Callable[[ResourceProgress], None]
    ) -> ApplyRun:
        """Executes that very plan. A cancellation stops Terraform gracefully, and the end is told all the same."""
        words, _ = self._binaries.find(inputs)
        folder = plan.path.parent
        facts, inputs = await self._prepare(bundle, inputs)
        seen: list[ResourceProgress] = []

        def hear(line: bytes) -> None:
            step = _progress(read_line(line))
            if step is not None:
                seen.append(step)
                progress(step)

        with self._backend.grant(self._target, run=plan.run, operation="apply") as access:
            await self._initialise(facts, inputs, words, folder, access)
            command = self._command("apply", builder(words).apply_line(plan.path), folder, inputs, access, "apply")
            async with tail(command.stdout, hear):
                ended = await run_through(command)
        return self._applied(ended, seen, _secrets(inputs))

    def _applied(self, ended: Ended, seen: Sequence[ResourceProgress], secrets: frozenset[str]) -> ApplyRun:
        ok = ended.exit_code == 0 and not ended.stopped
        text = () if ok else explain(ended, secrets)
        if ended.stopped == "timeout":
            text = ("terraform apply took longer than its timeout and was stopped", *text)
        interrupted = bool(ended.stopped) or ended.exit_code < 0
        return ApplyRun(ok, interrupted, tuple(seen), text, self._folder.errored_state())

    def errored_state_saved(self) -> None:
        """Drops errored.tfstate: what it held is safe in the store."""
        self._folder.drop_errored_state()

    def _command(
        self,
        name: str,
        line: Sequence[str],
        folder: Path,
        inputs: RunInputs,
        access: BackendAccess,
        operation: Operation = "plan",
    ) -> Command:
        credentials = inputs.apply_environment if operation == "apply" else inputs.plan_environment
        seconds = {"init": inputs.init_timeout, "apply": inputs.apply_timeout}.get(name, inputs.plan_timeout)
        facts = {"target": self._target, "operation": operation}
        environment = self._environment.of_run(credentials, access)
        return Command(line, self._folder.path, environment, folder, name, seconds, facts)


def _secrets(inputs: RunInputs) -> frozenset[str]:
    return frozenset(
        {*inputs.secret_variables.values(), *inputs.plan_environment.values(), *inputs.apply_environment.values()}
    )


def _refuse_undeclared(field: str, given: Collection[str], facts: Facts) -> None:
    """A variable file only warns of these; a person who misspelt one wants to know (rule 11)."""
    for name in sorted(given):
        if name not in facts.variables:
            known = ", ".join(sorted(facts.variables)[:10]) or "none"
            message = f"{field}.{name}: the code declares no such variable; it declares {known}"
            raise StalledError(Reason.VARIABLE_UNDECLARED, message)


def _progress(message: Message | None) -> ResourceProgress | None:
    hook = hook_of(message)
    return None if hook is None else ResourceProgress(hook.address, hook.action, hook.state, hook.seconds)
