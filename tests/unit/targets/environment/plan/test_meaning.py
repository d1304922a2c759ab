"""Values that are written otherwise and mean the same."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.effort import cpu_of
from tests.fakes.plans import values
from tests.soak import examples

from setpoint.domain.value_paths import leaves
from setpoint.targets.environment.plan.meaning import alike_paths, is_reordered, meaning, means_same

EMPTY: list[Any] = [None, "", [], {}, 0, 0.0, False]
some = settings(max_examples=examples(60))


@pytest.mark.parametrize("one", EMPTY, ids=repr)
@pytest.mark.parametrize("other", EMPTY, ids=repr)
def test_what_is_empty_is_one_value_in_an_attribute_and_in_a_block(one: Any, other: Any) -> None:
    assert means_same(one, other)
    assert means_same([{"port": 1, "note": one}], [{"port": 1, "note": other}])
    assert means_same([{"port": 1, "note": one}], [{"port": 1}])
    assert means_same([{"in": [{"a": 1, "b": one}]}], [{"in": [{"b": other, "a": 1}]}])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (True, 1),
        (True, "true"),
        (False, True),
        (0, "0"),
        ([""], []),
        ([{}], []),
        ([None], [""]),
        ({"owner": ""}, {"owner": None}),
        ({"owner": None}, {}),
        (["a", "a"], ["a"]),
        (["a"], ["a", "b"]),
        ([{"a": 1}], {"a": 1}),
        ('{"a": null}', "{}"),
        ('{"a": [1, 2]}', '{"a": [2, 1]}'),
        ('{"a": 1}', '{"a": true}'),
        ('{"a": 1, "a": 2}', '{"a": 2}'),
        ('{"a": NaN}', '{"a":NaN}'),
        ("{", "{ "),
        ('"a"', ' "a"'),
        ("1", "1.0"),
        ('{"a": 1}', {"a": 1}),
        ("{}", ""),
    ],
    ids=repr,
)
def test_what_means_something_else(one: Any, other: Any) -> None:
    assert not means_same(one, other)
    assert means_same(one, copy.deepcopy(one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a": 1, "b": [true, null]}', '{"b":[true,null],\n"a":1.0}'),
        ('["x"]', ' [ "x" ] '),
        (json.dumps({"in": json.dumps({"a": 1, "b": 2})}), json.dumps({"in": '{"b":2, "a":1}'})),
        ([{"policy": '{"a":1}'}], [{"policy": '{ "a": 1 }', "id": ""}]),
        ({"k": '{"a":1}'}, {"k": '{ "a": 1 }'}),
        ('{"a": "\\u0061"}', '{"a": "a"}'),
    ],
    ids=repr,
)
def test_json_in_texts_means_what_it_says(one: Any, other: Any) -> None:
    assert means_same(one, other)


def test_json_that_is_too_large_or_too_deep_is_a_text() -> None:
    for text in ('{"a": "%s"}' % ("x" * 1_000_001), "[" * 300 + "]" * 300, "[" * 100_000):
        assert means_same(text, text)
        assert not means_same(text, text + " ")


def test_json_in_json_in_json_ends_somewhere() -> None:
    one, other = '{"a":1}', '{ "a": 1 }'
    for _ in range(12):
        one, other = json.dumps([one]), json.dumps([other])
    assert means_same(one, other)
    for _ in range(6):
        one, other = json.dumps({"in": one}), json.dumps({"in": other})
    assert means_same(one, one)


def test_what_is_nested_as_deep_as_a_plan_may_be_is_compared() -> None:
    deep: Any = [{"port": 1}]
    for _ in range(190):
        deep = [deep]
    assert means_same(deep, copy.deepcopy(deep))
    assert not means_same(deep, [deep])


@some
@given(values, values, values)
def test_to_mean_the_same_is_an_equivalence(one: Any, two: Any, three: Any) -> None:
    assert means_same(one, one)
    assert means_same(one, two) == means_same(two, one)
    if means_same(one, two) and means_same(two, three):
        assert means_same(one, three)
    assert hash(meaning(one)) == hash(meaning(copy.deepcopy(one)))


@some
@given(st.lists(values, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_a_set_means_nothing(items: list[Any], random: Any) -> None:
    turned = random.sample(items, len(items))
    assert means_same(items, turned)
    assert means_same([{"rules": items}], [{"rules": turned}])
    assert is_reordered(items, turned) == (json.dumps(items, sort_keys=True) != json.dumps(turned, sort_keys=True))


@some
@given(st.dictionaries(st.sampled_from("abc"), values), st.dictionaries(st.sampled_from("abc"), values))
def test_all_paths_are_alike_only_where_the_whole_is(old: dict[str, Any], new: dict[str, Any]) -> None:
    for name in {*old, *new}:
        before, after = leaves({name: old.get(name)}), leaves({name: new.get(name)})
        paths = [path for path in {*before, *after} if before.get(path) != after.get(path)]
        if paths:
            assert (alike_paths(paths, old, new) == frozenset(paths)) <= means_same(old.get(name), new.get(name))


def test_within_what_differs_only_what_differs_tells() -> None:
    old = {"route": [{"cidr": "a", "gateway": "", "nat": "n1"}], "tags": {"x": ""}, "doc": '{"a":1}'}
    new = {"route": [{"cidr": "a", "gateway": None, "nat": "n2"}], "tags": {}, "doc": '{ "a": 1 }'}
    paths = [("route", 0, "gateway"), ("route", 0, "nat"), ("tags", "x"), ("doc",)]
    assert alike_paths(paths, old, new) == {("route", 0, "gateway"), ("doc",)}
    assert alike_paths([("route", 0, "gateway")], old, new, {("route",)}) == frozenset()


def test_large_sets_are_compared_in_linear_time() -> None:
    def effort(count: int) -> float:
        one = [{"cidr": f"10.{index}", "note": "", "ports": [index]} for index in range(count)]
        other = [{"cidr": f"10.{index}", "note": None, "ports": [index]} for index in reversed(range(count))]
        assert means_same(one, other)
        return cpu_of(lambda: means_same(one, other))

    assert effort(16_000) < 60 * effort(1_000), "16 times as many; 256 times the work where each meets each"
