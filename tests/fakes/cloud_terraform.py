"""Owns a cloud whose objects have ids, and a Terraform for it: what a killed apply leaves behind, they remember.

A configuration is the variable `resources`: the names of `terraform_data` resources and their inputs.
"""

import contextlib
import dataclasses
import itertools
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from tests.fakes.plans import change, plan
from tests.fakes.store import state_of

from setpoint.domain.errors import ConflictError, NotFoundError
from setpoint.ports import (
    ApplyRun,
    Bundle,
    EngineVersion,
    PlanRun,
    ResourceProgress,
    RunInputs,
    StateLock,
    StateLocks,
    StateStore,
    Survivor,
)

BUNDLE = Bundle("sha256:" + "b" * 64, "r1", "sha256:" + "a" * 64)
Resources = dict[str, str]
"""A name to the value that it has."""


@dataclasses.dataclass
class Cloud:
    """Objects by id: (address, value). What a state does not name is still there."""

    objects: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    ids: itertools.count = dataclasses.field(default_factory=lambda: itertools.count(1))

    def create(self, address: str, value: str) -> str:
        name = f"id-{next(self.ids)}"
        self.objects[name] = (address, value)
        return name


@dataclasses.dataclass
class Remains:
    """What an apply had done when it was left alone: the state that it held, and its steps."""

    target: str
    held: bytes
    started: list[str] = dataclasses.field(default_factory=list)
    completed: list[str] = dataclasses.field(default_factory=list)


class CloudTerraform:
    """ports.Terraform over a Cloud and a state store. `keeps_state`: it outlives its manager and saves what it made.

    `on_step` is called between any two steps of an apply.
    """

    def __init__(self, cloud: Cloud, states: StateStore, locks: StateLocks, *, keeps_state: bool) -> None:
        self.cloud = cloud
        self.executed: list[str] = []
        self.left: dict[str, Remains] = {}
        self.torn: set[str] = set()
        """Addresses that were begun and never finished: all that a Terraform which saves its state may lose."""
        self.on_step: Callable[[], None] = lambda: None
        self.states = states
        self.locks = locks
        self.keeps_state = keeps_state
        self._runs = itertools.count(1)

    async def engine(self, inputs: RunInputs) -> EngineVersion:
        return EngineVersion("terraform", "1.11.4")

    async def bundle(self, target: str, tree: Any, inputs: RunInputs) -> Bundle:
        return BUNDLE

    @contextlib.asynccontextmanager
    async def session(self, target: str) -> AsyncIterator["CloudSession"]:
        yield CloudSession(self, target, f"run-{next(self._runs)}")

    async def settle(self) -> tuple[Survivor, ...]:
        for remains in self.left.values():
            self.torn |= {*remains.started} - {*remains.completed}
        return tuple(
            Survivor(
                remains.target,
                run,
                "apply",
                tuple(remains.started),
                tuple(remains.completed),
                remains.held if self.keeps_state else None,
            )
            for run, remains in self.left.items()
        )

    def set_errored_state_aside(self, run: str, target: str) -> Path:
        raise AssertionError("no state is refused: each follows the one before")

    def forget(self, run: str, target: str) -> None:
        self.left.pop(run, None)


class CloudSession:
    """One pass. The plan that it made last is the one that it can apply."""

    def __init__(self, terraform: CloudTerraform, target: str, run: str) -> None:
        self._terraform = terraform
        self._target = target
        self._run = run
        self._plans = itertools.count(1)

    def require_settled(self) -> None:
        return None

    def outcome_recorded(self) -> None:
        """Leaves no traces anyway."""

    def errored_state(self) -> None:
        return None

    async def plan(self, bundle: Bundle, inputs: RunInputs, *, destroy: bool = False, full: bool = False) -> PlanRun:
        assert not self._terraform.left, "a run of a killed manager is settled before the next plan"
        before, cloud = await self._read(), self._terraform.cloud.objects
        wanted = {} if destroy else _declared(inputs)
        seen = {address: name for address, (name, _) in before.items() if name in cloud}
        drift = [
            change(address, ["update" if address in seen else "delete"], _row(name, value), _row(name, cloud.get(name)))
            for address, (name, value) in before.items()
            if name not in cloud or cloud[name][1] != value
        ]
        changes = [
            found for address in sorted({*seen, *wanted}) if (found := self._change(address, seen.get(address), wanted))
        ]
        quiet = not drift and not changes
        document = None if quiet else plan(*changes, drift=drift)
        return PlanRun(f"{self._run}.{next(self._plans)}", quiet, document, bundle.digest, Path("tfplan"))

    def _change(self, address: str, name: str | None, wanted: Resources) -> dict[str, Any] | None:
        actual = self._terraform.cloud.objects.get(name or "")
        if name is None:
            made = {"input": wanted[address]}
            return change(address, ["create"], None, made, after_unknown={"id": True})
        if address not in wanted:
            return change(address, ["delete"], _row(name, actual), None)
        if actual and actual[1] == wanted[address]:
            return None
        return change(address, ["update"], _row(name, actual), {"id": name, "input": wanted[address]})

    async def apply(
        self, plan: PlanRun, bundle: Bundle, inputs: RunInputs, progress: Callable[[ResourceProgress], None]
    ) -> ApplyRun:
        terraform, run = self._terraform, plan.run
        terraform.executed.append(run)
        lock = StateLock(self._target, f"lock-{run}", run, "{}")
        if await terraform.locks.acquire(lock) != lock:
            raise ConflictError("the state is locked by another run")
        held = {
            address: (name, terraform.cloud.objects[name][1])
            for address, (name, _) in (await self._read()).items()
            if name in terraform.cloud.objects
        }
        remains = terraform.left[run] = Remains(self._target, await self._write(held))
        for entry in (plan.document or {}).get("resource_changes", []):
            terraform.on_step()
            remains.started.append(entry["address"])
            self._execute(entry, held)
            terraform.on_step()
            remains.held = await self._write(held)
            remains.completed.append(entry["address"])
        terraform.on_step()
        await terraform.states.append(self._target, remains.held, run=run, lock=lock.id)
        terraform.on_step()
        await terraform.locks.release(self._target, id=lock.id, run=run)
        del terraform.left[run]
        steps = tuple(ResourceProgress(address, "create", "completed") for address in remains.completed)
        return ApplyRun(True, False, steps, ())

    def _execute(self, entry: dict[str, Any], held: dict[str, tuple[str, str]]) -> None:
        cloud, address, what = self._terraform.cloud, entry["address"], entry["change"]
        if what["actions"] == ["create"]:
            held[address] = (cloud.create(address, what["after"]["input"]), what["after"]["input"])
        elif what["actions"] == ["delete"]:
            del cloud.objects[held.pop(address)[0]]
        else:
            name, value = held[address][0], what["after"]["input"]
            cloud.objects[name], held[address] = (address, value), (name, value)

    async def _read(self) -> dict[str, tuple[str, str]]:
        """The newest state: address to (id, value)."""
        return await read_state(self._terraform.states, self._target)

    async def _write(self, held: dict[str, tuple[str, str]]) -> bytes:
        head = await self._terraform.states.head(self._target)
        rows = {address.split(".")[1]: {"id": name, "input": value} for address, (name, value) in sorted(held.items())}
        return state_of((head.serial if head else 0) + 1, rows)


def _declared(inputs: RunInputs) -> Resources:
    return {f"terraform_data.{name}": value for name, value in inputs.variables["resources"].items()}


def _row(name: str, value: str | tuple[str, str] | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return {"id": name, "input": value if isinstance(value, str) else value[1]}


async def read_state(states: StateStore, target: str) -> dict[str, tuple[str, str]]:
    """A target's newest state: address to (id, value)."""
    try:
        document = json.loads(await states.read(target))
    except NotFoundError:
        return {}
    found = [(f"terraform_data.{one['name']}", one["instances"][0]["attributes"]) for one in document["resources"]]
    return {address: (attributes["id"], attributes["input"]) for address, attributes in found}
