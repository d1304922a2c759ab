"""Walking values: paths are told apart, masks and secrets are found, nothing is followed for ever."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.plans import values

from setpoint.domain.errors import InvalidError
from setpoint.domain.value_paths import cover_of, leaves, true_paths, write_path

paths = st.lists(st.integers(0, 3) | st.text(alphabet='a.[]"0\\ é', max_size=3), max_size=4).map(tuple)


@pytest.mark.parametrize(
    ("path", "written"),
    [
        pytest.param((), "", id="all"),
        pytest.param(("tags", "owner"), "tags.owner", id="keys"),
        pytest.param(("rule", 0, "port"), "rule[0].port", id="index"),
        pytest.param(("tags", "kubernetes.io/name"), 'tags["kubernetes.io/name"]', id="key with dots"),
        pytest.param(("tags", "0"), 'tags["0"]', id="key that looks like an index"),
        pytest.param(("tags", ""), 'tags[""]', id="empty key"),
    ],
)
def test_a_path_is_written_as_people_write_it(path: tuple[str | int, ...], written: str) -> None:
    assert write_path(path) == written


@given(paths, paths)
def test_no_two_paths_are_written_alike(one: tuple[str | int, ...], other: tuple[str | int, ...]) -> None:
    assert (write_path(one) == write_path(other)) == (one == other)


def test_leaves_are_scalars_and_empty_containers() -> None:
    value = {"a": {"b": 1, "c": []}, "d": [None, {}], "e": False}
    assert leaves(value) == {("a", "b"): 1, ("a", "c"): [], ("d", 0): None, ("d", 1): {}, ("e",): False}


def test_nothing_has_no_leaves() -> None:
    assert leaves(None) == {}


@given(values)
def test_a_value_is_the_sum_of_its_leaves(value: Any) -> None:
    for path, leaf in leaves(value).items():
        found = value
        for part in path:
            found = found[part]
        assert found is leaf


@pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: {"k": v}], ids=["lists", "maps"])
def test_what_is_nested_too_deeply_is_refused(wrap: Any) -> None:
    value: Any = 1
    for _ in range(100_000):
        value = wrap(value)
    with pytest.raises(InvalidError, match="nested more than 200 levels"):
        leaves(value)


def test_a_mask_may_say_true_at_any_level() -> None:
    assert true_paths({"a": True, "b": {"c": [False, True]}, "d": {}}) == {("a",), ("b", "c", 1)}
    assert true_paths(True) == {()}
    assert true_paths(False) == true_paths(None) == frozenset()


def test_the_shortest_cover_counts() -> None:
    assert cover_of(("a", "b", 0), {("a", "b"), ("a",)}) == ("a",)
    assert cover_of(("a",), {("a", "b")}) is None
    assert cover_of(("a",), {()}) == ()
