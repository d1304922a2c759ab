"""Owns which Terraform states a pass may build on, and what becomes of one that Terraform could not save.

Such a state may be the only record of what an apply made: it becomes a version, or is kept aside, and never lost.
"""

import contextlib
import functools
import logging
import uuid
from collections.abc import Callable, Collection
from pathlib import Path

from setpoint.adapters.store.state_versions import StateVersion
from setpoint.api.conditions import Reason
from setpoint.domain.errors import (
    ConflictError,
    InvalidError,
    LostBlobError,
    NotFoundError,
    StalledError,
    StoreError,
    TransientError,
)
from setpoint.domain.scrubbing import NO_SECRETS, Scrubber
from setpoint.targets.environment.plan import state
from setpoint.targets.environment.plan.orphans import Creation, find_orphans
from setpoint.targets.environment.plan.versions import is_newer
from setpoint.targets.environment.ports import EngineVersion, ErroredState, TerraformSession
from setpoint.targets.environment.state_ports import StateStore

_LOGGER = logging.getLogger(__name__)


class ErroredStates:
    """The states that applies of one target could not save, in the work folder that a session holds."""

    def __init__(self, states: StateStore, key: str, workspace: TerraformSession) -> None:
        self._states = states
        self._key = key
        self._workspace = workspace

    async def require_saved(self) -> None:
        """Saves what an earlier apply could not: a plan without it would make again all that it knows.

        Raises TransientError where the store refused it, so that people hear where it is kept.
        """
        errored = self._workspace.errored_state()
        if errored is not None and (problem := await self._take_over(errored)):
            raise TransientError(Reason.STORE_FAILED, problem)

    async def harvest(self, errored: ErroredState) -> str:
        """Saves what the apply at hand could not; what people must know of it, else empty."""
        try:
            return await self._take_over(errored)
        except StoreError as error:
            return f"the state that the apply left is not saved yet ({error.message}); it is before the next plan"

    async def _take_over(self, errored: ErroredState) -> str:
        set_aside = functools.partial(self._workspace.set_errored_state_aside, errored.run)
        problem = await save_errored_state(self._states, self._key, errored, set_aside=set_aside)
        self._workspace.errored_state_saved()
        return problem


async def save_errored_state(
    states: StateStore, key: str, errored: ErroredState, *, set_aside: Callable[[], Path]
) -> str:
    """Adds the state to the store; what a person must know and do where it was refused and set aside, else empty.

    Refused, too, where another has written a version since the apply began, as a leader on another machine does: that
    one knows nothing of what this one says, nor this one of that, and a serial tells nothing of it. Raises StoreError
    where it could be neither saved nor set aside: it is where Terraform left it, for another try.
    """
    head, run = await states.head(key), errored.run
    lineage, serial = (head.lineage, head.serial + 1) if head else (str(uuid.uuid4()), 1)
    data = state.with_lineage(errored.data, lineage=lineage, serial=serial)
    try:
        _refuse_outrun(errored, head)
        await states.append(key, data, run=run)
    except (ConflictError, InvalidError) as error:
        message = _refusal(error.message, run, set_aside(), managed=head is not None)
        _LOGGER.warning("%s: %s", key, message)
        return message
    return ""


def _refuse_outrun(errored: ErroredState, head: StateVersion | None) -> None:
    if errored.base is None or head is None or head.version <= errored.base or head.run == errored.run:
        return
    msg = f"the apply started from version {errored.base}, and run {head.run} has written version {head.version} since"
    raise ConflictError(msg)


def _refusal(why: str, run: str, place: Path, *, managed: bool) -> str:
    remedy = (
        "bring what only it knows into the state with import blocks"
        if managed
        else "once it is whole, adopt it with setpoint import-state"
    )
    return (
        f"the state that run {run} left behind was refused ({why}) and is kept as {place}: "
        f"compare it with what there is (terraform state list -state={place}), {remedy}, "
        "and remove it then: it may hold secrets"
    )


async def require_readable(states: StateStore, key: str) -> None:
    """Raises LostBlobError where Terraform can't have got its state: it only says that it asked in vain."""
    with contextlib.suppress(NotFoundError):
        await states.read(key)


async def read_instances(
    states: StateStore, key: str, version: int | None = None
) -> tuple[state.ResourceInstance, ...]:
    """The resource instances in a version of a target's state, the newest where None; none where there is no state.

    None, too, where its bytes are lost: what might have been made is then suspected, not known.
    """
    try:
        return state.parse(await states.read(key, version)).instances
    except (NotFoundError, LostBlobError):
        return ()


async def read_addresses(states: StateStore, key: str) -> tuple[str, ...]:
    """Those in the newest."""
    return tuple(instance.address for instance in await read_instances(states, key))


async def suspect_orphans(
    states: StateStore,
    key: str,
    *,
    run: str,
    base: int | None,
    created: Collection[Creation],
    secrets: Scrubber = NO_SECRETS,
) -> tuple[str, ...]:
    """Objects that a run made, or may have made, and no state that it wrote knows. `base` is as an ErroredState's."""
    if not created:
        return ()
    written = await states.head(key, run=run)
    after = await read_instances(states, key, written.version) if written else ()
    # Anything there may be old where the base is not known.
    before = after if base is None else await read_instances(states, key, base) if base else ()
    return find_orphans(created, before, after, secrets)


def refuse_newer_state(engine: EngineVersion, head: StateVersion | None) -> None:
    """Rule 17: Terraform would rewrite the state of a newer one without a word."""
    if head is not None and is_newer(head.terraform_version, engine.version):
        message = (
            f"the state was written by {head.terraform_version}, newer than {engine}; use that version or a later one"
        )
        raise StalledError(Reason.STATE_TOO_NEW, message)
