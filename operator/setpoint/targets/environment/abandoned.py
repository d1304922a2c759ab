"""Owns what runs of Terraform whose manager ended have left: their states, their locks, and what they may have lost."""

import functools
import itertools
import time
from collections.abc import Callable, Collection, Mapping

from setpoint.api.meta import ObjectRef
from setpoint.api.v1alpha1.change import Change
from setpoint.api.v1alpha1.environment import EnvironmentChange
from setpoint.domain.model import Outcome, Result, Run
from setpoint.targets.environment.plan.orphans import Creation
from setpoint.targets.environment.ports import AbandonedRun, ErroredState, Terraform
from setpoint.targets.environment.sight import Sight
from setpoint.targets.environment.state_ports import StateLocks, StateStore
from setpoint.targets.environment.states import save_errored_state, suspect_orphans


class AbandonedRuns:
    """Settles the runs of ended managers; `recover` and `recorded` of the driver.

    `lingering`: as many seconds may a run that another machine began go on, once it is known that its manager ended.
    """

    def __init__(
        self,
        terraform: Terraform,
        states: StateStore,
        locks: StateLocks,
        sight: Sight,
        *,
        lingering: float,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._terraform = terraform
        self._states = states
        self._locks = locks
        self._sight = sight
        self._lingering = lingering
        self._seconds = seconds
        self._missed: dict[str, float] = {}
        """Since when each run is asked for that left nothing on this machine."""

    async def find(self) -> tuple[Run, ...]:
        """Those that left a trace on this machine, or a lock."""
        left = {one.run: one.target for one in await self._terraform.settle()}
        left |= {lock.run: lock.target for lock in await self._locks.held()}
        return tuple(Run(run, _target(key)) for run, key in left.items())

    async def recover(self, runs: Collection[Run]) -> Mapping[str, Outcome]:
        """Ends them and saves their states. Those of a target are left out together where one of them is in doubt."""
        settled = {one.run: one for one in await self._terraform.settle()}
        in_doubt = {run.target for run in runs if run.id not in settled and self._may_go_on(run)}
        due = [run for run in runs if run.target not in in_doubt]
        # All states come before any account of what no state knows.
        problems = {run.id: await self._save_state(settled[run.id]) for run in due if run.id in settled}
        locked = {lock.run for lock in await self._locks.held()}
        outcomes = {}
        for run in due:
            lost = await self._find_lost(run, settled.get(run.id), locked=run.id in locked)
            outcomes[run.id] = Outcome(Result.INTERRUPTED, problems.get(run.id, ""), left_behind=lost)
        return outcomes

    async def recorded(self, runs: Collection[Run]) -> None:
        """Frees their locks and drops what was kept of them."""
        traces = {one.run for one in await self._terraform.settle()}
        for run in runs:
            await self._locks.release_run(run.id)
            if run.id in traces:
                self._terraform.forget(run.id, run.target.key)

    def _may_go_on(self, run: Run) -> bool:
        now = self._seconds()
        return now - self._missed.setdefault(run.id, now) < self._lingering

    async def _save_state(self, abandoned: AbandonedRun) -> str:
        """The message to people about the state that an apply left behind, empty where there is none or it is saved."""
        run, target, data = abandoned.run, abandoned.target, abandoned.errored_state
        if data is None:
            return ""
        set_aside = functools.partial(self._terraform.set_errored_state_aside, run, target)
        errored = ErroredState(run, data, abandoned.base)
        return await save_errored_state(self._states, target, errored, set_aside=set_aside)

    async def _find_lost(self, run: Run, abandoned: AbandonedRun | None, *, locked: bool) -> tuple[str, ...]:
        """The objects that the apply may have made and lost.

        Where this machine doesn't know what it began, as after a power cut or the loss of an operator's disk: all that
        its Change was to make, if it had come as far as to lock or to write the state.
        """
        suspect = functools.partial(suspect_orphans, self._states, run.target.key, run=run.id)
        if abandoned is not None and abandoned.created is not None:
            return await suspect(base=abandoned.base, created=abandoned.created, secrets=await self._sight(run.target))
        if not locked and await self._states.head(run.target.key, run=run.id) is None:
            return ()
        # Beside one that was cut there may be the same Change anew, which says more.
        changes = [one for one in run.changes if one.spec.member is not None] or run.changes
        found = [await suspect(base=_base(one), created=_planned(one)) for one in changes]
        return tuple(itertools.chain.from_iterable(found))


def _target(key: str) -> ObjectRef:
    """The Environment whose ObjectRef.key this is."""
    _, namespace, name = key.split("/")
    return ObjectRef("Environment", namespace, name)


def _base(change: Change) -> int | None:
    """The state that a Change started from; None where that is not known any more."""
    own = change.spec.member_as(EnvironmentChange)
    return None if own is None else own.state_version


def _planned(change: Change) -> tuple[Creation, ...]:
    """The objects that a Change was to make, as far as it lists them."""
    summary = change.spec.summary
    listed = [Creation(one.address) for one in summary.actions if one.action in {"create", "replace"}]
    more = summary.create + summary.replace - len(listed)
    unlisted = [Creation(f"{more} more that {change.metadata.name} was to make")] if more > 0 else []
    return (*listed, *unlisted)
