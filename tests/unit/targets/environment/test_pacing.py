"""Looks that are cut, and those that never are."""

import asyncio
from pathlib import Path

import pytest

from setpoint.api.conditions import Reason
from setpoint.domain.errors import StalledError, TransientError
from setpoint.targets.environment.pacing import Pacer
from setpoint.targets.environment.ports import PlanRun, RunInputs

pytestmark = pytest.mark.looptime(start=0, end=10_000)

INPUTS = RunInputs("terraform", ">= 1.9", "Required", {}, {}, {}, {}, plan_timeout=900.0)
TIMED_OUT = TransientError(Reason.TIMED_OUT, "terraform plan took too long")


class Plans:
    """Plans that take as long as a test says, with the deadlines that they were given."""

    def __init__(self) -> None:
        self.pacer = Pacer()
        self.given: list[float] = []

    async def observe(self, seconds: float, *, target: str = "t", bundle: str = "b", quiet: bool = True) -> PlanRun:
        async def plan(inputs: RunInputs) -> PlanRun:
            self.given.append(inputs.plan_timeout)
            await asyncio.sleep(min(seconds, inputs.plan_timeout))
            if seconds > inputs.plan_timeout:
                raise TIMED_OUT
            return PlanRun("run", quiet, None, bundle, Path())

        return await self.pacer.observe(target, bundle, INPUTS, plan)


async def test_a_quiet_target_on_a_black_hole_is_cut_and_given_more_each_time():
    plans = Plans()
    await plans.observe(3)
    for _ in range(5):
        with pytest.raises(TransientError) as cut:
            await plans.observe(10_000)
        assert cut.value.reason is Reason.TIMED_OUT
    assert plans.given == [900, 60, 120, 240, 480, 900]
    assert cut.value is TIMED_OUT


async def test_the_text_says_how_long_it_was_given_and_why():
    plans = Plans()
    await plans.observe(3)
    with pytest.raises(TransientError, match=r"it was given 60 s, since it usually takes 3\.0 s"):
        await plans.observe(61)


async def test_targets_are_known_one_by_one():
    plans = Plans()
    await plans.observe(3)
    await plans.observe(100, target="other")
    await plans.observe(400, target="other")
    assert plans.given == [900, 900, 500]


async def test_a_target_that_was_not_quiet_has_the_whole_time():
    plans = Plans()
    await plans.observe(3)
    await plans.observe(3, quiet=False)
    await plans.observe(800)
    assert plans.given == [900, 60, 900]


async def test_other_code_has_the_whole_time():
    plans = Plans()
    await plans.observe(3)
    await plans.observe(800, bundle="another")
    assert plans.given == [900, 900]


@pytest.mark.parametrize("error", [TransientError(Reason.PLAN_FAILED, "no"), StalledError(Reason.PLAN_FAILED, "no")])
async def test_what_fails_otherwise_is_passed_on_and_teaches_nothing(error):
    plans = Plans()
    await plans.observe(3)

    async def fail(_: RunInputs) -> PlanRun:
        raise error

    with pytest.raises(type(error)) as raised:
        await plans.pacer.observe("t", "b", INPUTS, fail)
    assert raised.value is error
    await plans.observe(3)
    assert plans.given == [900, 60]


async def test_only_the_targets_looked_at_last_are_known():
    plans = Plans()
    plans.pacer = Pacer(most=2)
    for target in ("gone", "a", "b", "a", "gone", "a", "b"):
        await plans.observe(3, target=target)
    assert plans.given == [900, 900, 900, 60, 900, 60, 900]
