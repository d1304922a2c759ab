"""Owns taking what a plan means off the event loop: analysis and redaction are pure, and slow for large plans."""

import asyncio
import functools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any, ParamSpec, TypeVar

from setpoint.api.v1alpha1.environment import IgnoreRule
from setpoint.domain import redaction
from setpoint.domain.plan_content import Commit
from setpoint.domain.plans import PlanAnalysis, analyse_plan
from setpoint.domain.scrubbing import Scrubber
from setpoint.domain.secret_values import known_texts
from setpoint.ports import PlanRun, RunInputs

P = ParamSpec("P")
T = TypeVar("T")


class PlanReader:
    """Reads plans in `threads`, small ones too: the hop takes a tenth of a millisecond, `terraform show` fifty."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads

    async def analyse(
        self, plan: PlanRun, ignore: Sequence[IgnoreRule], secrets: Scrubber, commit: Commit
    ) -> PlanAnalysis | None:
        """What the plan comes to; None for a quiet one. Raises InvalidError for what is no plan."""
        if plan.document is None:
            return None
        return await self._read(analyse_plan, plan.document, ignore, secrets, commit=commit)

    async def redact(self, plan: PlanRun, inputs: RunInputs) -> Mapping[str, Any] | None:
        """The plan without secrets; None for a quiet one. Raises InvalidError for what is no plan."""
        if plan.document is None:
            return None
        return await self._read(redaction.redact_plan, plan.document, known_texts(inputs.secret_variables.values()))

    async def _read(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        call = functools.partial(work, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)
