"""Patterns with `*`."""

import fnmatch
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from setpoint.domain.globs import matches


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("t.a", "t.a", True),
        ("t.a", "t.ab", False),
        ("*", "", True),
        ("t.*", "t.", True),
        ("*.a", "t.a", True),
        ("a*a", "a", False),
        ("a*b*c", "a-b-b-c", True),
        ("a*bb*b", "abb", False),
        ("t[0]", "t[0]", True),
        ("t.?", "t.a", False),
        ("**", "x", True),
    ],
)
def test_matches(pattern: str, text: str, expected: bool) -> None:
    assert matches(pattern, text) is expected


@given(st.text(alphabet="ab*", max_size=8), st.text(alphabet="ab", max_size=8))
def test_as_the_shell_does(pattern: str, text: str) -> None:
    assert matches(pattern, text) is bool(re.match(fnmatch.translate(pattern), text))


def test_no_pattern_takes_long() -> None:
    assert not matches("*a" * 500 + "b", "a" * 1000)
