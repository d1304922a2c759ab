"""What holds whatever people, the world and the process do, in any order."""

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fakes.reconciling import REF, Bench

AUTO = {"apply": {"mode": "Auto"}, "drift": {"mode": "Heal"}}
RESOURCES = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("123"), max_size=4)
STEPS = st.one_of(
    st.tuples(st.just("declare"), RESOURCES),
    st.tuples(st.just("drift"), RESOURCES),
    st.tuples(st.just("die"), st.integers(1, 12)),
    st.tuples(st.just("run"), st.none()),
)
RELAXED = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


class KilledError(BaseException):
    """The process dies here: nothing catches it, as nothing catches kill -9."""


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


@RELAXED
@given(steps=st.lists(STEPS, max_size=12))
def test_it_ends_at_the_setpoint_whatever_happens_on_the_way(steps):
    async def story() -> None:
        bench = Bench()
        declared: dict[str, str] = {}
        await bench.declare(declared, **AUTO)
        for verb, value in steps:
            if verb == "declare":
                declared = value
                await bench.declare(value, **AUTO)
            elif verb == "drift":
                bench.world.actual = dict(value)
            elif verb == "die":
                await run_and_die(bench, after=value)
            else:
                await bench.run_silently()
        for _ in range(3):
            await bench.run_silently()
        assert bench.world.actual == declared
        assert (await bench.cluster.get(REF))["status"]["conditions"][0]["reason"] == "AtSetpoint"
        intents = [one.digests["subject"] for one in bench.cluster.audit if one.phase == "intent"]
        assert len(intents) == len(set(intents)), "one approval, one apply"

    asyncio.run(story())


async def run_and_die(bench: Bench, *, after: int) -> None:
    """One pass in a process that dies at its Nth call to the cluster."""
    calls, cluster = 0, bench.cluster
    original = cluster.get

    async def get(ref):
        nonlocal calls
        calls += 1
        if calls == after:
            raise KilledError
        return await original(ref)

    cluster.get = get  # type: ignore[method-assign]
    try:
        await bench.run_silently()
    except KilledError:
        pass
    finally:
        cluster.get = original  # type: ignore[method-assign]
