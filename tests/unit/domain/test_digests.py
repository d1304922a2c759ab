"""Canonical bytes: the same for the same value, others for another, and some for whatever Terraform says."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from setpoint.domain.digests import canonical, digest

TEXT = st.text(st.characters(categories=None), max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({"b": 1, "a": [True, None, "\u00e9"]}, b'{"a":[true,null,"\xc3\xa9"],"b":1}'),
        (1.0, b"1"),
        (2**53, b'{"$integer":"9007199254740992"}'),
        (float("inf"), b'{"$float":"inf"}'),
        ("\ud800", b'{"$text":"eda080"}'),
        ({"\ud800": 1}, b'{"$text:eda080":1}'),
    ],
)
def test_bytes(value: object, written: bytes) -> None:
    assert canonical(value) == written


def test_half_a_pair_is_not_the_other_half() -> None:
    assert digest("\ud800") != digest("\udc00") != digest("?")


@given(VALUES)
def test_every_value_has_bytes_that_are_json(value: object) -> None:
    json.loads(canonical(value).decode())
    assert digest(value) == digest(copy.deepcopy(value))


def test_what_is_no_json_value_is_refused() -> None:
    with pytest.raises(TypeError, match="not a JSON value: bytes"):
        canonical(b"x")
