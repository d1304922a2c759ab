"""Owns how long looks at targets take: remembers it while the manager runs, and ends those that take far longer."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable

from setpoint.api.conditions import Reason
from setpoint.domain.errors import TransientError
from setpoint.targets.environment.plan.usual_time import UNKNOWN, UsualTime
from setpoint.targets.environment.ports import PlanRun, RunInputs


class Pacer:
    """The usual times of all targets. A look alone is cut: what applies, verifies or drills has its timeouts."""

    def __init__(self) -> None:
        self._known: dict[str, UsualTime] = {}

    async def look(
        self, target: str, bundle: str, inputs: RunInputs, plan: Callable[[RunInputs], Awaitable[PlanRun]]
    ) -> PlanRun:
        """Plans, with a deadline by the looks before. Raises what the plan raises; TransientError where it was cut."""
        known = self._known.get(target, UNKNOWN)
        limit = known.limit(bundle, inputs.plan_timeout)
        now = asyncio.get_running_loop().time
        start = now()
        try:
            made = await plan(dataclasses.replace(inputs, plan_timeout=limit))
        except TransientError as error:
            if error.reason is not Reason.TIMED_OUT or limit >= inputs.plan_timeout:
                raise
            self._known[target] = known.was_cut()
            usual = f"it was given {limit:.0f} s, since it usually takes {known.usual:.1f} s"
            raise TransientError(Reason.TIMED_OUT, f"{error.message}; {usual}") from error
        self._known[target] = known.looked(bundle, now() - start, quiet=made.quiet)
        return made
