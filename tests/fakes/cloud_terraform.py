"""Owns a cloud whose objects have ids, and a Terraform for it: what a killed apply leaves behind, they remember.

A configuration is the variable `resources`: the names of `terraform_data` resources and their inputs. Another input
changes a resource in place, but `b` is destroyed and made anew, and `c` made anew before the old one is destroyed.
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

from setpoint.adapters.store.state_versions import StateLock
from setpoint.domain.errors import ConflictError, NotFoundError
from setpoint.domain.model import ResourceProgress
from setpoint.ports import Notice
from setpoint.targets.environment.plan.orphans import Creation
from setpoint.targets.environment.ports import AbandonedRun, ApplyRun, Bundle, EngineVersion, PlanRun, RunInputs
from setpoint.targets.environment.state_ports import StateLocks, StateStore

BUNDLE = Bundle("sha256:" + "b" * 64, "r1", "sha256:" + "a" * 64)
Resources = dict[str, str]
"""A name to the value that it has."""
Key = tuple[str, str]
"""An address, and the deposed key of an object that awaits its destruction, else empty."""
Held = dict[Key, tuple[str, str]]
"""The contents of a state: key to (id, value)."""
REPLACED = {"terraform_data.b": ["delete", "create"], "terraform_data.c": ["create", "delete"]}


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
    """The work that an apply had done when it was left alone: the state that it held, and its steps."""

    target: str
    held: bytes
    base: int
    created: dict[str, Creation] = dataclasses.field(default_factory=dict)
    completed: list[str] = dataclasses.field(default_factory=list)

    def torn(self) -> set[str]:
        """The addresses whose creation was begun and never finished."""
        return {one.address for one in self.created.values() if not one.id}


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

    async def bundles(self) -> dict[str, str]:
        return {BUNDLE.digest: BUNDLE.blob}

    @contextlib.asynccontextmanager
    async def session(self, target: str) -> AsyncIterator["CloudSession"]:
        yield CloudSession(self, target, f"run-{next(self._runs)}")

    async def settle(self) -> tuple[AbandonedRun, ...]:
        for remains in self.left.values():
            self.torn |= remains.torn()
        return tuple(
            AbandonedRun(
                remains.target,
                run,
                "apply",
                tuple(remains.created.values()),
                tuple(remains.completed),
                remains.held if self.keeps_state else None,
                remains.base,
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

    def take_notices(self) -> tuple[Notice, ...]:
        return ()

    def errored_state(self) -> None:
        return None

    async def plan(
        self,
        bundle: Bundle,
        inputs: RunInputs,
        *,
        destroy: bool = False,
        full: bool = False,
        refresh: bool = True,
        run: str | None = None,
        progress: Any = None,
    ) -> PlanRun:
        assert not self._terraform.left, "a run of a killed manager is settled before the next plan"
        before, cloud = await self._read(), self._terraform.cloud.objects
        wanted = {} if destroy else _declared(inputs)
        drift = [
            change(address, ["update" if name in cloud else "delete"], _row(name, value), _row(name, cloud.get(name)))
            for (address, _), (name, value) in before.items()
            if name not in cloud or cloud[name][1] != value
        ]
        seen = {key: name for key, (name, _) in before.items() if name in cloud}
        left_over = [
            change(address, ["delete"], _row(name, cloud[name]), None, deposed=deposed)
            for (address, deposed), name in seen.items()
            if deposed
        ]
        current = {address: name for (address, deposed), name in seen.items() if not deposed}
        changes = [
            found
            for address in sorted({*current, *wanted})
            if (found := self._change(address, current.get(address), wanted))
        ]
        quiet = not drift and not changes and not left_over
        expressions = {"input": {"references": ["var.resources"]}}
        configured = [{"address": one, "mode": "managed", "expressions": expressions} for one in wanted]
        configuration = {"resources": configured}
        document = None if quiet else plan(*changes, *left_over, drift=drift, configuration=configuration)
        return PlanRun(run or f"{self._run}.{next(self._plans)}", quiet, document, bundle.digest, Path("tfplan"))

    def _change(self, address: str, name: str | None, wanted: Resources) -> dict[str, Any] | None:
        actual = self._terraform.cloud.objects.get(name or "")
        if name is None:
            made = {"input": wanted[address]}
            return change(address, ["create"], None, made, after_unknown={"id": True})
        if address not in wanted:
            return change(address, ["delete"], _row(name, actual), None)
        if actual and actual[1] == wanted[address]:
            return None
        if address in REPLACED:
            made, more = {"input": wanted[address]}, {"after_unknown": {"id": True}, "replace_paths": [["input"]]}
            return change(address, REPLACED[address], _row(name, actual), made, **more)
        return change(address, ["update"], _row(name, actual), {"id": name, "input": wanted[address]})

    async def apply(
        self, plan: PlanRun, bundle: Bundle, inputs: RunInputs, progress: Callable[[ResourceProgress], None]
    ) -> ApplyRun:
        terraform, run = self._terraform, plan.run
        terraform.executed.append(run)
        lock = StateLock(self._target, f"lock-{run}", run, "{}")
        if await terraform.locks.acquire(lock) != lock:
            raise ConflictError("the state is locked by another run")
        held: Held = {
            key: (name, terraform.cloud.objects[name][1])
            for key, (name, _) in (await self._read()).items()
            if name in terraform.cloud.objects
        }
        head = await terraform.states.head(self._target)
        base = head.version if head else 0
        remains = terraform.left[run] = Remains(self._target, await self._write(held), base)
        for entry in (plan.document or {}).get("resource_changes", []):
            for action in entry["change"]["actions"]:
                terraform.on_step()
                await self._execute(action, entry, held, remains)
            remains.completed.append(entry["address"])
        terraform.on_step()
        await terraform.states.append(self._target, remains.held, run=run, lock=lock.id)
        terraform.on_step()
        await terraform.locks.release(self._target, id=lock.id, run=run)
        del terraform.left[run]
        steps = tuple(ResourceProgress(address, "create", "completed") for address in remains.completed)
        return ApplyRun(True, False, steps, (), created=tuple(remains.created.values()))

    async def _execute(self, action: str, entry: dict[str, Any], held: Held, remains: Remains) -> None:
        """One step, between which and its being known Terraform may die."""
        cloud, address, what = self._terraform.cloud, entry["address"], entry["change"]
        key = (address, entry.get("deposed", ""))
        if action == "create":
            if key in held:
                held[(address, "0000dead")] = held.pop(key)
            remains.created[address] = Creation(address)
            name = cloud.create(address, what["after"]["input"])
            self._terraform.on_step()
            held[key] = (name, what["after"]["input"])
            remains.created[address] = Creation(address, name)
        elif action == "delete":
            key = (address, "0000dead") if (address, "0000dead") in held else key
            del cloud.objects[held[key][0]]
            self._terraform.on_step()
            del held[key]
        else:
            name, value = held[key][0], what["after"]["input"]
            cloud.objects[name] = (address, value)
            self._terraform.on_step()
            held[key] = (name, value)
        remains.held = await self._write(held)

    async def _read(self) -> Held:
        return await read_state(self._terraform.states, self._target)

    async def _write(self, held: Held) -> bytes:
        head = await self._terraform.states.head(self._target)
        document = json.loads(state_of((head.serial if head else 0) + 1, {}))
        document["resources"] = [
            {
                "mode": "managed",
                "type": "terraform_data",
                "name": address.split(".")[1],
                "instances": [
                    {"attributes": {"id": name, "input": value}, **({"deposed": deposed} if deposed else {})}
                ],
            }
            for (address, deposed), (name, value) in sorted(held.items())
        ]
        return json.dumps(document).encode()


def _declared(inputs: RunInputs) -> Resources:
    return {f"terraform_data.{name}": value for name, value in inputs.variables["resources"].items()}


def _row(name: str, value: str | tuple[str, str] | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return {"id": name, "input": value if isinstance(value, str) else value[1]}


async def read_state(states: StateStore, target: str) -> Held:
    """A target's newest state."""
    try:
        document = json.loads(await states.read(target))
    except NotFoundError:
        return {}
    found = [(f"terraform_data.{one['name']}", one["instances"][0]) for one in document["resources"]]
    return {
        (address, instance.get("deposed", "")): (instance["attributes"]["id"], instance["attributes"]["input"])
        for address, instance in found
    }
