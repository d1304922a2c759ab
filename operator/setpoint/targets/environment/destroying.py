"""Owns planning that nothing is left, where what the code reads may be gone already. Decides nothing."""

import dataclasses

from setpoint.ports import OnProgress
from setpoint.targets.environment.errors import DataUnreadableError
from setpoint.targets.environment.ports import Bundle, PlanRun, RunInputs, TerraformSession

_SHOWN = 10


async def plan_goal(
    workspace: TerraformSession,
    bundle: Bundle,
    inputs: RunInputs,
    *,
    destroys: bool,
    run: str | None = None,
    progress: OnProgress | None = None,
) -> PlanRun:
    """A plan of a configuration, or to destroy everything, under a run of that id. Raises what the session raises.

    Where a destruction can't read a data source, what that looks up went first, and no later try would help: a second
    plan looks at the state alone, and the Change says so.
    """
    try:
        return await workspace.plan(bundle, inputs, destroy=destroys, run=run, progress=progress)
    except DataUnreadableError as error:
        if not destroys:
            raise
        plan = await workspace.plan(bundle, inputs, destroy=True, refresh=False, run=run, progress=progress)
        return dataclasses.replace(plan, unread=error.addresses)


def notes_of(plan: PlanRun) -> tuple[str, ...]:
    """Notes for people on how a plan came about. The same for the same plan: it is a part of what is approved."""
    if not plan.unread:
        return ()
    more = f" and {len(plan.unread) - _SHOWN} more" if len(plan.unread) > _SHOWN else ""
    which = ", ".join(plan.unread[:_SHOWN])
    return (f"planned with -refresh=false, from the state alone, since this can't be read: {which}{more}"[:1000],)
