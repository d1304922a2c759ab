"""A manager killed at any call to a port: the next one recovers, ends at the setpoint, applies nothing twice.

Whatever was made is in the state, or was named to people, in replacements too.
"""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.mortality import Fuse, MortalHome
from tests.soak import EACH, dear_examples

AUTO = {"apply": {"mode": "Auto"}, "drift": {"mode": "Heal"}}
HELD = ("False", "Held")
RESOURCES = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"), max_size=3)
STEPS = st.one_of(
    st.tuples(st.just("declare"), RESOURCES),
    st.tuples(st.just("drift"), RESOURCES),
    st.tuples(st.just("live"), st.none() | st.integers(1, 150)),
)
Kills = Callable[..., Awaitable[bool]]
OUTLIVES = pytest.mark.parametrize("keeps_state", [True, False], ids=["terraform-saves", "terraform-dies-too"])


async def require_it_ended_well(home: MortalHome, declared: dict[str, str]) -> None:
    await home.settle()
    await home.require_setpoint(declared)
    await home.require_each_applied_once()


async def one_kill(at: int, *, keeps_state: bool) -> bool:
    """A create, an update, a delete and both ways to replace, with a kill at this call; False where it was over."""
    home, declared = MortalHome(keeps_state=keeps_state), {"b": "2", "c": "2", "d": "1", "e": "2"}
    await home.declare({"a": "1", "b": "1", "c": "1", "e": "1"}, **AUTO)
    await home.live(Fuse())
    await home.declare(declared, **AUTO)
    await home.live(Fuse(at))
    await require_it_ended_well(home, declared)
    return home.killed > 0


async def two_kills(at: int, *, keeps_state: bool) -> bool:
    """A kill in the middle of the first apply, and one of the next manager; False where that one was over."""
    home, declared = MortalHome(keeps_state=keeps_state), {"a": "1", "b": "1"}
    await home.declare(declared, **AUTO)
    await home.live(Fuse(when=home.tears))
    await home.live(Fuse(at))
    await require_it_ended_well(home, declared)
    return home.killed > 1


async def a_kill_and_another_wish(at: int, *, keeps_state: bool) -> bool:
    """A kill of what makes one wish true; the next manager is born to another; False where the first was over."""
    home, declared = MortalHome(keeps_state=keeps_state), {"b": "1"}
    await home.declare({"c": "1"}, **AUTO)
    await home.live(Fuse())
    await home.declare({"c": "2"}, **AUTO)
    await home.live(Fuse(at))
    await home.declare(declared, **AUTO)
    await require_it_ended_well(home, declared)
    return home.killed > 0


async def a_kill_of_a_reset(at: int, *, keeps_state: bool) -> bool:
    """A way back from an edit, with a kill at this call; False where it was over."""
    home = MortalHome(keeps_state=keeps_state)
    await home.declare({"b": "1"}, **AUTO)
    await home.live(Fuse())
    before = (await home.status())["snapshot"]
    await home.declare({"b": "2", "a": "1"}, **AUTO)
    await home.live(Fuse())
    await home.reset(before)
    await home.live(Fuse())
    await home.approve()
    await home.live(Fuse(at))
    await home.settle(HELD)
    await home.require_setpoint({"b": "1"}, HELD)
    await home.require_each_applied_once()
    (reset,) = (await home.cluster.list("Reset")).items
    assert [(one["status"], one["reason"]) for one in reset["status"]["conditions"]] == [("True", "ResetComplete")]
    return home.killed > 0


@OUTLIVES
@pytest.mark.parametrize(
    ("kills", "first"), [(one_kill, 1), (two_kills, 3), (a_kill_and_another_wish, 5), (a_kill_of_a_reset, 7)]
)
async def test_a_kill_at_each_call(kills: Kills, first: int, keeps_state: bool) -> None:
    """At each eleventh call in `make test`, and each life begins to count at another one."""
    at = 1 if EACH == 1 else first + keeps_state
    while await kills(at, keeps_state=keeps_state):
        at += EACH
    assert at > 50, "it was killed at every port"


@settings(max_examples=dear_examples(100))
@given(steps=st.lists(STEPS, max_size=8), keeps_state=st.booleans())
def test_it_ends_at_the_setpoint_whatever_dies_on_the_way(steps: list, keeps_state: bool) -> None:
    async def story() -> None:
        home, declared = MortalHome(keeps_state=keeps_state), {}
        await home.declare(declared, **AUTO)
        for verb, value in steps:
            if verb == "declare":
                declared = value
                await home.declare(value, **AUTO)
            elif verb == "drift":
                await home.drift(value)
            else:
                await home.live(Fuse(value))
        await require_it_ended_well(home, declared)

    asyncio.run(story())
