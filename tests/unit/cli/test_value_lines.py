"""An attribute that differs, as it is written: one line, by line, JSON, and nothing that a terminal obeys."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.soak import examples

from setpoint.cli.text_lines import common_ends, diff_lines, read_json, shown_line
from setpoint.cli.value_lines import Line, attribute_lines, literal

some = settings(max_examples=examples(40))

UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def written(record: dict[str, Any], *, full: bool = False) -> list[str]:
    """The lines as they are read."""
    return [text(line) for line in attribute_lines("x:", {"path": "x", **record}, full=full)]


def text(line: Line) -> str:
    values = f" {line.before} → {line.after}" if line.after else ""
    return f"{'  ' * line.depth}{line.sign} {line.text}{values}{line.note}".rstrip()


LONG = "a" * 100 + "{}" + "b" * 100
CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "another": ({"before": 1, "after": 2}, ["~ x: 1 → 2"]),
    "another kind": ({"before": "1", "after": 1}, ['~ x: "1" → 1']),
    "comes": ({"after": "b"}, ['+ x: "b"']),
    "comes after null": ({"before": None, "after": "b"}, ['+ x: "b"']),
    "goes": ({"before": True}, ["- x: true"]),
    "becomes null": ({"before": "a", "after": None}, ['- x: "a"']),
    "null that is made": ({"after": None}, ["~ x: null → null"]),
    "a list is emptied": ({"before": [], "after": None}, ["- x: []"]),
    "unknown": ({"before": "a", "unknown": True}, ['~ x: "a" → (known after apply)']),
    "made, unknown": ({"unknown": True}, ["+ x: (known after apply)"]),
    "values below it, unknown": ({"unknown": True, "folded": 3}, ["~ x: (3 values) → (known after apply)"]),
    "sensitive": ({"sensitive": ["before", "after"]}, ["~ x: (sensitive) → (sensitive, another value)"]),
    "sensitive, made": ({"sensitive": ["after"]}, ["+ x: (sensitive)"]),
    "sensitive, goes": ({"sensitive": ["before"]}, ["- x: (sensitive)"]),
    "sensitive, unknown": ({"sensitive": ["before", "unknown"]}, ["~ x: (sensitive) → (sensitive, known after apply)"]),
    "sensitive, made, unknown": ({"sensitive": ["unknown"]}, ["+ x: (sensitive)"]),
    "a large number": ({"before": 1, "after": {"$integer": "9007199254740993"}}, ["~ x: 1 → 9007199254740993"]),
    "escapes": ({"after": "\x1b[2J\u202e\x9b"}, [r'+ x: "\u001b[2J\u202e\x9b"']),
    "what looks the same": ({"before": "\u00e9", "after": "e\u0301"}, [r'~ x: "\u00e9" → "e\u0301"']),
    "long, where it differs": (
        {"before": LONG.format(1), "after": LONG.format(2)},
        [f'~ x: …"{"a" * 30}1{"b" * 30}"… → …"{"a" * 30}2{"b" * 30}"…'],
    ),
    "long, made": ({"after": "a" * 500}, [f'+ x: "{"a" * 89}… (502 characters)']),
    "lines": (
        {"before": "a\nb\nc\n", "after": "a\nB\nc\n"},
        ["~ x:", "    a", "  - b", "  + B", "    c"],
    ),
    "one line": ({"before": "a\n", "after": "b\n"}, [r'~ x: "a\n" → "b\n"']),
    "one line that becomes two": ({"before": "a", "after": "a\nb"}, ["~ x:", "    a", "  + b"]),
    "one line that is made": ({"after": "a\n"}, [r'+ x: "a\n"']),
    "a line break at the end": ({"before": "a\nb", "after": "a\nb\n"}, ["~ x:", "    a", "    b", "  +"]),
    "spaces at the end": ({"before": "a\nb", "after": "a\nb  "}, ["~ x:", "    a", "  - b", "  + b··"]),
    "carriage returns": ({"before": "a\nb", "after": "a\r\nb"}, ["~ x:", "  - a", r"  + a\r", "    b"]),
    "lines that are made": ({"after": "a\nb\n"}, ["+ x:", "  + a", "  + b"]),
    "many lines that are made": ({"after": "a\n" * 100}, [f'+ x: "{"a" + chr(92) + "n"}']),
    "JSON": (
        {"before": '{"b":1,"a":[1]}', "after": '{"a":[1,2],"b":1}'},
        ["~ x:", "    {", '      "a": [', "  -     1", "  +     1,", "  +     2", "      ],", '      "b": 1', "    }"],
    ),
    "the same JSON": (
        {"before": '{"b":1,"a":2}', "after": '{"a": 2, "b": 1}'},
        ["~ x: (the same JSON, in another order or with other spaces)"],
    ),
    "text that becomes JSON": (
        {"before": "none", "after": '{"a":1}'},
        ['~ x: "none" → "{\\"a\\":1}"'],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_attribute_is_written(name: str) -> None:
    record, expected = CASES[name]
    found = written(record)
    if name == "many lines that are made":
        assert len(found) == 1
        assert found[0].endswith("… (100 lines)")
    else:
        assert found == expected


@pytest.mark.parametrize(
    "sly",
    [
        pytest.param(('{"a":1,"a":2}', '{"a":3,"a":2}'), id="a key twice"),
        pytest.param(('{"a":1.0000000000000000001}', '{"a":1}'), id="a number that is rounded"),
        pytest.param(('{"a":1e2}', '{"a":100}'), id="a number that is written otherwise"),
        pytest.param(('{"a":NaN}', '{"a":1}'), id="no number"),
    ],
)
def test_nothing_hides_in_json_that_others_could_read_otherwise(sly: tuple[str, str]) -> None:
    assert read_json(sly[0]) is None
    (line,) = written({"before": sly[0], "after": sly[1]})
    assert literal(sly[0]) in line
    assert literal(sly[1]) in line


def test_a_long_difference_is_cut_with_a_note_and_whole_on_request() -> None:
    record = {"before": "\n".join(map(str, range(100))), "after": "\n".join(map(str, range(200, 300)))}
    assert written(record)[-1] == "    … 160 more lines of this value; --full shows them"
    assert len(written(record, full=True)) == 201


def test_texts_of_many_lines_are_compared_at_once() -> None:
    old = [str(number) for number in range(100_000)]
    new = [*old[:50_000], "another", *old[50_001:]]
    assert diff_lines(old, new) == [("-", "50000"), ("+", "another")]


@some
@given(st.lists(st.integers(0, 2), max_size=8), st.lists(st.integers(0, 2), max_size=8))
def test_what_lies_between_common_ends_is_all_that_differs(old: list[int], new: list[int]) -> None:
    start, end = common_ends(old, new)
    assert old[:start] == new[:start]
    assert old[len(old) - end :] == new[len(new) - end :]
    assert start + end <= min(len(old), len(new))


@some
@given(st.lists(st.sampled_from("abc"), max_size=8), st.lists(st.sampled_from("abc"), max_size=8))
def test_a_difference_by_line_holds_all_that_came_and_went(old: list[str], new: list[str]) -> None:
    found = diff_lines(old, new)
    gone, come = ([line for sign, line in found if sign == wanted] for wanted in "-+")
    kept = [line for sign, line in found if sign == " "]
    assert len(old) - len(gone) == len(new) - len(come)
    assert (found == []) == (old == new)
    assert set(gone) <= set(old)
    assert set(come) <= set(new)
    assert all(line in old or line == "⋮" for line in kept)


anything = (
    st.none() | st.booleans() | st.integers() | st.text() | st.just([]) | st.text("\n\t \x1b\u202e{}", max_size=9)
)


@some
@given(
    st.fixed_dictionaries({}, optional={"before": anything, "after": anything, "unknown": st.just(True)}), st.booleans()
)
def test_nothing_that_a_terminal_obeys_is_written(record: dict[str, Any], full: bool) -> None:
    assert not any(UNSAFE.search(line) for line in written(record, full=full))


@some
@given(st.text())
def test_a_line_made_visible_is_one_line(line: str) -> None:
    assert not UNSAFE.search(shown_line(line))


@some
@given(
    st.recursive(st.integers() | st.text(max_size=3), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)
def test_json_that_python_writes_is_read_as_it_is(value: Any) -> None:
    expected = value if isinstance(value, list | dict) and value else None
    assert read_json(json.dumps(value)) == expected
