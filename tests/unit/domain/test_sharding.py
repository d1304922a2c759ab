"""Targets are divided evenly, by name alone, and alike everywhere."""

import collections
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from setpoint.api.meta import ObjectRef
from setpoint.domain.sharding import MAX_SHARDS, Shard, divide, shard_of


@given(st.text(max_size=80), st.integers(1, MAX_SHARDS))
def test_every_target_is_in_exactly_one_shard(key: str, count: int) -> None:
    assert [key in shard for shard in divide(count)].count(True) == 1


@pytest.mark.parametrize("count", [2, 3, 7, MAX_SHARDS])
def test_shards_are_even(count: int) -> None:
    keys = [ObjectRef("Environment", f"team-{number % 9}", f"shop-{number}").key for number in range(4000)]
    sizes = collections.Counter(shard_of(key, count) for key in keys)
    assert len(sizes) == count
    assert max(sizes.values()) < 1.3 * 4000 / count


@pytest.mark.parametrize(
    ("key", "expected"),
    [("environment/default/web", 0), ("environment/default/shop", 3), ("environment/prod/web", 3)],
)
def test_the_division_never_changes(key: str, expected: int) -> None:
    """Replicas of two versions must agree, or a target has two leaders."""
    assert shard_of(key, 4) == expected


def test_the_names_of_terms_differ_between_divisions() -> None:
    names = list(map(str, itertools.chain.from_iterable(map(divide, range(1, MAX_SHARDS + 1)))))
    assert len(names) == len(set(names))
    assert str(Shard()) == ""
