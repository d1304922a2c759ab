"""Text from outside, as people may see it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from setpoint.domain.visible import visible


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Zürich, 東京 and 😀", "Zürich, 東京 and 😀"),
        ("a\\x1bb", "a\\x1bb"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("a\x9b2Jb\x7f", "a\\x9b2Jb\\x7f"),
        ("gpj\u202eexe", "gpj\\u202eexe"),
        ("a\u200bb\ufeffc\xadd", "a\\u200bb\\ufeffc\\xadd"),
        ("\U000e0041", "\\U000e0041"),
        ("half \ud800", "half \\ud800"),
        ("two\nlines\r\n", "two\\nlines\\r\\n"),
    ],
)
def test_what_is_not_printable_is_escaped(text: str, expected: str) -> None:
    assert visible(text) == expected


def test_what_is_to_be_kept_is_kept() -> None:
    assert visible("a\n\tb\rc", keep="\n\t") == "a\n\tb\\rc"


@given(st.text())
def test_nothing_hidden_is_left_and_nothing_else_moves(text: str) -> None:
    shown = visible(text)
    assert shown.isprintable()
    assert visible(shown) == shown
    printable = "".join(filter(str.isprintable, text))
    assert visible(printable) == printable
