import pytest
from hypothesis import given
from hypothesis import strategies as st

from setpoint.runtime.backoff import Backoff


def test_delays__doubled_up_to_the_maximum() -> None:
    backoff = Backoff(base=0.75, maximum=900.0, uniform=lambda: 1.0)
    delays = [backoff.next("a") for _ in range(13)]
    assert delays[:4] == [0.75, 1.5, 3.0, 6.0]
    assert delays[10:] == [768.0, 900.0, 900.0]


def test_forget__starts_that_key_afresh_and_no_other() -> None:
    backoff = Backoff(uniform=lambda: 1.0)
    for key in ("a", "a", "b", "b"):
        backoff.next(key)
    backoff.forget("a")
    assert (backoff.failures("a"), backoff.failures("b"), len(backoff)) == (0, 2, 1)
    assert (backoff.next("a"), backoff.next("b")) == (0.75, 3.0)


def test_many_failures__do_not_overflow() -> None:
    backoff = Backoff(maximum=900.0, uniform=lambda: 0.0)
    assert {backoff.next("a") for _ in range(5000)} <= {0.375 * 2**n for n in range(12)} | {450.0}
    assert backoff.failures("a") == 32


@given(uniform=st.floats(min_value=0.0, max_value=1.0, exclude_max=True), failures=st.integers(0, 40))
def test_jitter__between_half_and_all_of_the_delay(uniform: float, failures: int) -> None:
    backoff, ceiling = Backoff(uniform=lambda: uniform), Backoff(uniform=lambda: 1.0)
    for _ in range(failures):
        backoff.next("a")
        ceiling.next("a")
    delay, whole = backoff.next("a"), ceiling.next("a")
    assert whole / 2 <= delay <= whole


@pytest.mark.parametrize("seed", range(3))
def test_default_source__is_random(seed: int) -> None:
    backoff = Backoff(base=1.0)
    assert len({backoff.next(key) for key in range(seed, seed + 20)}) > 1
