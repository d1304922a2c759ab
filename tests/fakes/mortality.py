"""Owns a home whose manager can be killed at any call to a port, and the cloud that outlives it.

The reconciler, the driver and the recovery are the real ones; the ports are in memory. A manager that is killed makes
no further call, not even one that cleans up; the next one starts as every manager does, by recovering.
"""

import asyncio
import contextlib
import functools
import inspect
import itertools
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.fakes.cloud_terraform import Cloud, CloudTerraform, Resources, read_state
from tests.fakes.home import ListAuditLog
from tests.fakes.reconciling import REF, Bench
from tests.fakes.store import memory_stores

from setpoint.domain.audit import Phase
from setpoint.pipeline.changes import ChangeRegister
from setpoint.pipeline.recovery import Recovery
from setpoint.targets.environment.driver import EnvironmentDriver

AT_SETPOINT = ("True", "AtSetpoint")


class KilledError(BaseException):
    """The process dies here: nothing catches it, as nothing catches kill -9."""


class Fuse:
    """Burns down at the Nth tick, or at the first at which `when` holds; from then on every tick kills."""

    def __init__(self, at: int | None = None, *, when: Callable[[], bool] = lambda: False) -> None:
        self._left = at
        self._when = when
        self.burnt = False

    def tick(self) -> None:
        if self._left is not None:
            self._left -= 1
        self.burnt = self.burnt or self._left == 0 or self._when()
        if self.burnt:
            raise KilledError


class Mortal:
    """A port whose caller may die right before, and right after, each call."""

    def __init__(self, port: Any, fuse: Fuse) -> None:
        self._port = port
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)
        if name == "session":
            return functools.partial(self._session, call)
        if name == "digest" or not callable(call):
            return call
        return self._awaited(call) if inspect.iscoroutinefunction(call) else self._called(call)

    def _awaited(self, call: Callable[..., Any]) -> Callable[..., Any]:
        async def mortal(*args: Any, **kwargs: Any) -> Any:
            self._fuse.tick()
            result = await call(*args, **kwargs)
            self._fuse.tick()
            return result

        return mortal

    def _called(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def mortal(*args: Any, **kwargs: Any) -> Any:
            self._fuse.tick()
            result = call(*args, **kwargs)
            self._fuse.tick()
            return result

        return mortal

    @contextlib.asynccontextmanager
    async def _session(self, call: Callable[..., Any], *args: Any) -> AsyncIterator["Mortal"]:
        async with call(*args) as session:
            yield Mortal(session, self._fuse)


class InlineExecutor(Executor):
    """Does the work at once, in the caller's thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        future: Future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 as a thread hands it on
            future.set_exception(error)
        return future


class MortalHome(Bench):
    """A home, its cloud, and the managers that live in it one after another."""

    def __init__(self, *, keeps_state: bool) -> None:
        super().__init__()
        stores = memory_stores()
        self.blobs, self.locks, self.states = stores.blobs, stores.locks, stores.states
        self.trail = ListAuditLog(self.cluster.audit)
        self.cloud = Cloud()
        self.terraform = CloudTerraform(self.cloud, self.states, self.locks, keeps_state=keeps_state)
        self.killed = 0

    async def live(self, fuse: Fuse) -> None:
        """One manager: it recovers and makes one pass, unless it is killed."""
        self.terraform.on_step = fuse.tick
        cluster, terraform = Mortal(self.cluster, fuse), Mortal(self.terraform, fuse)
        states, blobs = Mortal(self.states, fuse), Mortal(self.blobs, fuse)
        driver = EnvironmentDriver(
            cluster=cluster,
            terraform=terraform,
            resolver=SimpleNamespace(resolve=_resolve),
            states=states,
            locks=Mortal(self.locks, fuse),
            blobs=blobs,
            prober=SimpleNamespace(),
            origin_of=lambda _: Path(),
            threads=InlineExecutor(),
        )
        self.reconciler = self.make_reconciler(cluster, driver)
        recovery = Recovery(
            cluster=cluster,
            audit=Mortal(self.trail, fuse),
            changes=ChangeRegister(cluster, self.clock),
            drivers=[driver],
        )
        try:
            await recovery.run()
            await self.run_silently()
        except KilledError:
            self.killed += 1

    def tears(self) -> bool:
        """True while an apply has begun something that no state knows yet."""
        return any(remains.torn() for remains in self.terraform.left.values())

    async def settle(self, end: tuple[str, str] = AT_SETPOINT) -> None:
        """Managers that nobody kills, and a person who approves what asks for it, until nothing is left to do."""
        for _ in range(6):
            await self.live(Fuse())
            ready = await self.condition("Ready")
            if ready == end:
                return
            if ready == ("False", "ApprovalRequired"):
                await self.approve()

    async def drift(self, resources: Resources) -> None:
        """Somebody changes what the state names to these values, and deletes the rest of it."""
        for (address, _), (name, _) in (await read_state(self.states, REF.key)).items():
            value = resources.get(address.split(".")[1])
            if name in self.cloud.objects and value is not None:
                self.cloud.objects[name] = (address, value)
            else:
                self.cloud.objects.pop(name, None)

    # --- What must hold, whatever happened ---------------------------------------------------------------------

    async def require_setpoint(self, declared: Resources, end: tuple[str, str] = AT_SETPOINT) -> None:
        """State and cloud are what was declared; what else is in the cloud was named to people."""
        ready = await self.condition("Ready")
        assert ready == end, (ready, self.error)
        names = {name for name, _ in (await read_state(self.states, REF.key)).values()}
        managed = [found for name, found in self.cloud.objects.items() if name in names]
        assert {address.split(".")[1]: value for address, value in managed} == declared
        lost = {name: address for name, (address, _) in self.cloud.objects.items() if name not in names}
        named = set(
            itertools.chain.from_iterable(
                one.payload.get("orphans", ()) for one in self.cluster.audit if one.phase is Phase.OUTCOME
            )
        )
        for name, address in lost.items():
            texts = {address, f"{address} (new object)", f"{address} (id={name})"}
            assert texts & named, f"{address}, {name}: what no state knows was told to people"
        if self.terraform.keeps_state:
            assert {*lost.values()} | {text.split(" ")[0] for text in named} <= self.terraform.torn, (
                "what was saved is in the state, and nobody is asked about it"
            )

    async def require_each_applied_once(self) -> None:
        """One intent a subject and a run, before its one apply; its outcome in the trail and on the Change; no lock."""
        intents = [one for one in self.cluster.audit if one.phase is Phase.INTENT]
        runs = [one.run for one in intents]
        subjects = [one.digests["subject"] for one in intents]
        assert len(subjects) == len(set(subjects)), "one approval, one apply"
        assert len(self.terraform.executed) == len(set(self.terraform.executed))
        assert set(self.terraform.executed) <= set(runs), "no apply without a durable intent"
        outcomes = [one.run for one in self.cluster.audit if one.phase is Phase.OUTCOME]
        assert sorted(outcomes) == sorted(runs), "each intent has one outcome"
        told = {one["spec"]["subject"] for one in await self.changes() if _has_condition(one, "Applied")}
        assert told == set(subjects), "each Change says how its apply ended"
        assert await self.locks.held() == ()
        assert not self.terraform.left


def _has_condition(obj: dict[str, Any], type_: str) -> bool:
    return any(one["type"] == type_ for one in obj["status"]["conditions"])


async def _resolve(*_: Any, **__: Any) -> None:
    await asyncio.sleep(0)
