"""Properties that hold whatever people, the world and the process do, in any order."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.reconciling import Bench
from tests.soak import dear_examples

AUTO = {"apply": {"mode": "Auto"}, "drift": {"mode": "Heal"}}
RESOURCES = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("123"), max_size=4)
RELAXED = settings(max_examples=dear_examples(60))


@RELAXED
@given(first=RESOURCES, second=RESOURCES)
def test_the_plan_after_an_apply_is_empty(first, second):
    async def story() -> None:
        bench = Bench()
        for resources in (first, second):
            await bench.declare(resources, **AUTO)
            await bench.run()
            applies = bench.world.applies
            assert (await bench.run()).reason == "AtSetpoint"
            assert (bench.world.actual, bench.world.applies) == (resources, applies)

    asyncio.run(story())


@RELAXED
@given(first=RESOURCES, second=RESOURCES, drift=RESOURCES)
def test_a_reset_to_a_snapshot_is_the_identity(first, second, drift):
    async def story() -> None:
        bench = Bench()
        await bench.declare(first, **AUTO)
        await bench.run()
        await bench.keep_snapshot("before")
        await bench.declare(second, **AUTO)
        await bench.run()
        bench.world.actual = dict(drift)
        await bench.reset("before")
        await bench.run()
        if (await bench.status()).get("change"):
            await bench.approve()
            await bench.run()
        assert bench.world.actual == first

    asyncio.run(story())


@RELAXED
@given(resources=RESOURCES, required=st.integers(0, 3), people=st.sets(st.sampled_from("pqrs")))
def test_nothing_is_applied_without_enough_people(resources, required, people):
    async def story() -> None:
        bench = Bench()
        await bench.declare(resources, approvals={"required": required})
        await bench.run()
        if (await bench.status()).get("change"):
            for one in people:
                await bench.approve(one)
            await bench.run()
            assert bool(bench.world.applies) == (len(people) >= max(1, required))
        assert bench.world.applies == bench.audited("apply").count(("intent", ""))

    asyncio.run(story())
