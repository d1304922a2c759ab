"""Owns how long observations take: remembers it while the manager runs, and ends those that take far longer."""

import asyncio
import dataclasses
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from setpoint.api.conditions import Reason
from setpoint.domain.errors import TransientError
from setpoint.targets.environment.plan.usual_time import UNKNOWN, UsualTime
from setpoint.targets.environment.ports import PlanRun, RunInputs

_MOST = 20_000
"""Targets of which times are kept, those observed last: nobody tells of one that is gone."""


class Pacer:
    """The usual times of targets. An observation alone is cut: what applies, verifies or drills has its timeouts."""

    def __init__(self, *, most: int = _MOST) -> None:
        self._known: OrderedDict[str, UsualTime] = OrderedDict()
        self._most = most

    async def observe(
        self, target: str, bundle: str, inputs: RunInputs, plan: Callable[[RunInputs], Awaitable[PlanRun]]
    ) -> PlanRun:
        """Plans, with a deadline by earlier times. Raises what the plan raises; TransientError where it was cut."""
        known = self._known.get(target, UNKNOWN)
        limit = known.limit(bundle, inputs.plan_timeout)
        now = asyncio.get_running_loop().time
        start = now()
        try:
            made = await plan(dataclasses.replace(inputs, plan_timeout=limit))
        except TransientError as error:
            if error.reason is not Reason.TIMED_OUT or limit >= inputs.plan_timeout:
                raise
            self._keep(target, known.was_cut())
            usual = f"it was given {limit:.0f} s, since it usually takes {known.usual:.1f} s"
            raise TransientError(Reason.TIMED_OUT, f"{error.message}; {usual}") from error
        self._keep(target, known.observed(bundle, now() - start, quiet=made.quiet))
        return made

    def _keep(self, target: str, usual: UsualTime) -> None:
        self._known[target] = usual
        self._known.move_to_end(target)
        while len(self._known) > self._most:
            self._known.popitem(last=False)
