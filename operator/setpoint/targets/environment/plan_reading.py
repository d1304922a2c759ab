"""Owns taking what a plan means off the event loop: that is pure work, and slow for large plans."""

import asyncio
import functools
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import ParamSpec, TypeVar

from setpoint.api.v1alpha1.environment import IgnoreRule
from setpoint.domain.scrubbing import Scrubber
from setpoint.targets.environment.plan.analysis import PlanAnalysis, analyse_plan
from setpoint.targets.environment.plan.content import Commit
from setpoint.targets.environment.plan.judged_plan import JudgedPlan, judged_plan
from setpoint.targets.environment.ports import PlanRun

P = ParamSpec("P")
T = TypeVar("T")


class PlanReader:
    """Reads plans in `threads`, small ones too: the hop takes a tenth of a millisecond, `terraform show` fifty."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads

    async def analyse(
        self, plan: PlanRun, ignore: Sequence[IgnoreRule], secrets: Scrubber, commit: Commit
    ) -> PlanAnalysis | None:
        """The analysis of the plan; None for a quiet one. Raises InvalidError for what is no plan."""
        if plan.document is None:
            return None
        return await self._read(analyse_plan, plan.document, ignore, secrets, commit=commit)

    async def judge(self, plan: PlanRun, analysis: PlanAnalysis | None, secrets: Scrubber) -> JudgedPlan | None:
        """The plan as policies judge it; None for a quiet one."""
        if plan.document is None or analysis is None:
            return None
        return await self._read(judged_plan, plan.document, analysis.hidden, secrets, changes=analysis.judged)

    async def _read(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        call = functools.partial(work, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)
