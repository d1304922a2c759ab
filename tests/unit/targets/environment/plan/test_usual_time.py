"""How long a look may take, by those before it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from setpoint.targets.environment.plan.usual_time import FLOOR, UNKNOWN, UsualTime

TIMEOUT = 900.0
SECONDS = st.floats(0, 10_000)


def after(*looks: float) -> UsualTime:
    known = UNKNOWN
    for seconds in looks:
        known = known.observed("b", seconds, quiet=True)
    return known


@pytest.mark.parametrize(
    ("known", "bundle", "expected"),
    [
        pytest.param(UNKNOWN, "b", TIMEOUT, id="never looked at"),
        pytest.param(after(3.0), "b", FLOOR, id="no shorter than the floor"),
        pytest.param(after(20.0, 30.0, 10.0), "b", 150.0, id="a multiple of the longest"),
        pytest.param(after(400.0), "b", TIMEOUT, id="no longer than the timeout"),
        pytest.param(after(3.0), "c", TIMEOUT, id="of another bundle nothing is known"),
        pytest.param(after(3.0).observed("b", 3.0, quiet=False), "b", TIMEOUT, id="what found something is not quiet"),
        pytest.param(after(100.0, 1.0, 1.0, 1.0, 1.0, 1.0), "b", FLOOR, id="what was long ago is forgotten"),
        pytest.param(after(3.0).was_cut(), "b", 2 * FLOOR, id="a cut doubles it"),
        pytest.param(after(3.0).was_cut().was_cut(), "b", 4 * FLOOR, id="and another does again"),
        pytest.param(after(3.0).was_cut().observed("b", 4.0, quiet=True), "b", FLOOR, id="until one comes to its end"),
    ],
)
def test_the_limit_follows_from_the_looks_before(known: UsualTime, bundle: str, expected: float) -> None:
    assert known.limit(bundle, TIMEOUT) == expected


@given(looks=st.lists(SECONDS, min_size=1, max_size=8), cuts=st.integers(0, 40), timeout=st.floats(1, 5000))
def test_no_look_has_less_than_the_floor_or_the_usual_or_more_than_the_timeout(
    looks: list[float], cuts: int, timeout: float
) -> None:
    known = after(*looks)
    for _ in range(cuts):
        known = known.was_cut()
    limit = known.limit("b", timeout)
    assert min(timeout, max(FLOOR, looks[-1])) <= limit <= timeout


def test_what_became_slow_is_looked_at_in_the_end() -> None:
    known, cuts = after(3.0), 0
    while known.limit("b", TIMEOUT) < TIMEOUT:
        known, cuts = known.was_cut(), cuts + 1
    assert cuts == 4
