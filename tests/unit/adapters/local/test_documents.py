"""The values of YAML and JSON files, and what is refused."""

import contextlib
import json
import re
import time

import pytest
import yaml
from hypothesis import assume, example, given
from hypothesis import strategies as st

from setpoint.adapters.local import documents
from setpoint.adapters.local.documents import DocumentError, parse


def one(text: str | bytes) -> documents.Document:
    data = text.encode() if isinstance(text, str) else text
    (document,) = parse(data)
    return document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1", {"a": 1}),
        ("a: -1_000", {"a": -1000}),
        ("a: 0x1F", {"a": 31}),
        ("a: 0o17", {"a": 15}),
        ("a: 0", {"a": 0}),
        ("a: 1.5", {"a": 1.5}),
        ("a: .5", {"a": 0.5}),
        ("a: 1e3", {"a": 1000.0}),
        ("a: yes", {"a": True}),
        ("a: Off", {"a": False}),
        ("a: ~", {"a": None}),
        ("a:", {"a": None}),
        ("a: '1'", {"a": "1"}),
        ('a: "yes"', {"a": "yes"}),
        ("a: !!str 1", {"a": "1"}),
        ("a: !!int 1", {"a": 1}),
        ("a: 2026-01-01", {"a": "2026-01-01"}),
        ("a: 12:30:45", {"a": "12:30:45"}),
        ("a: 1.2.3", {"a": "1.2.3"}),
        ("a: '>= 1.9'", {"a": ">= 1.9"}),
        ("a:\n-", {"a": [None]}),
        ("a: -x", {"a": "-x"}),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
        ("a: [1, {b: c}]", {"a": [1, {"b": "c"}]}),
        ("x: &x {b: 1}\ny: *x", {"x": {"b": 1}, "y": {"b": 1}}),
        ("x: &x {b: 1, c: 2}\ny:\n  <<: *x\n  c: 3", {"x": {"b": 1, "c": 2}, "y": {"b": 1, "c": 3}}),
        ("x: &x {b: 1}\nz: &z {b: 2, d: 4}\ny: {<<: [*x, *z]}", None),
        ("x: {'<<': null}", {"x": {"<<": None}}),
        ("x: {'<<': {b: 1}, c: 2}", {"x": {"<<": {"b": 1}, "c": 2}}),
        ("\ufeffa: 1", {"a": 1}),
        ("just text", "just text"),
    ],
)
def test_values(text: str, value: object) -> None:
    document = one(text)
    assert document.problems == []
    if value is None:
        assert document.value["y"] == {"b": 1, "d": 4}
    else:
        assert document.value == value


def test_json_with_escapes_and_tabs() -> None:
    text = '{\n\t"a": "\\ud83d\\ude00 \\\\ud83d \\/ \\u00e4",\n\t"b": [1.5e3, true, null]\n}'
    (document,) = parse(text.encode(), json=True)
    assert document.value == json.loads(text)


def test_several_documents_and_empty_ones() -> None:
    found = list(parse(b"---\na: 1\n---\n---\n# nothing\n---\nb: 2\n"))
    assert [document.value for document in found] == [{"a": 1}, {"b": 2}]
    assert [document.line_of(()) for document in found] == [2, 7]


def test_lines() -> None:
    document = one("a:\n  b:\n    - x\n    - y: 1\n      z: 2\n  c: 3\n")
    assert document.line_of(("a", "b", 1, "z")) == 5
    assert document.line_of(("a", "b", 0)) == 3
    assert document.line_of(("a", "c")) == 6
    assert document.line_of(("a", "absent", "deeper")) == 1


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("a: 1\nb: 2\na: 3", ("a",), 3),
        ("s:\n  - k: 1\n    k: 2", ("s", 0, "k"), 3),
        ("a: !!python/object:os.system x", ("a",), 1),
        ("a: !Ref x", ("a",), 1),
        ("a: !!binary aGk=", ("a",), 1),
        ("a: !thing {b: c}", ("a",), 1),
        ("a: 0644", ("a",), 1),
        ("account: 012345678901", ("account",), 1),
        ("a: .inf", ("a",), 1),
        ("a: .nan", ("a",), 1),
        ("a: 1e999", ("a",), 1),
        ("a: " + "9" * 5000, ("a",), 1),
        ("\n1: x", ("1",), 2),
        ("true: x", ("true",), 1),
        ("a:\n  <<: text", ("a", "<<"), 2),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else None,
)
def test_problems_name_the_field_and_line(text: str, path: tuple[str | int, ...], line: int) -> None:
    document = one(text)
    assert [(problem.path, document.line_of(problem.path)) for problem in document.problems] == [(path, line)]


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        pytest.param(b"a: [1, 2\nb: 3\n", 2, "not YAML", id="broken"),
        pytest.param(b"a: 1\n\tb: 2\n", 2, "not YAML", id="tab"),
        pytest.param(b"a: 1\n- b\n", 2, "not YAML", id="map and list"),
        pytest.param(b"a: \x00\n", 1, "character", id="nul"),
        pytest.param(b"a: 1\nb: \xff\xfe\n", 2, "UTF-8", id="binary"),
        pytest.param(b"\x7fELF\x02\x01\x01\x00\x00", 1, "", id="elf"),
        pytest.param(b"a: *nothing\n", 1, "alias", id="unknown alias"),
        pytest.param(b"a: &a [*a]\n", 1, "alias", id="recursive alias"),
        pytest.param(BOMB.encode(), 7, "expand", id="billion laughs"),
        pytest.param(b"s: &s " + b"x" * 500_000 + b"\na: [" + b"*s, " * 100 + b"]", 2, "expand", id="long text"),
        pytest.param(b"[" * 65, 1, "deep", id="deep lists"),
        pytest.param(b"[" * 1_000_000, 1, "deep", id="a million lists"),
        pytest.param(b"{a: " * 100_000, 1, "deep", id="deep maps"),
        pytest.param(b"- " * 500_000, 1, "deep", id="deep block lists"),
        pytest.param(b"? [a]\n: b\n", 1, "key", id="list as a key"),
        pytest.param(b"a: &a x\nb:\n  *a : c\n", 3, "key", id="alias as a key"),
        pytest.param(b"--- 1\n" * 1001, 1001, "documents", id="too many documents"),
        pytest.param(b"a: " + b"x" * (1 << 20), 0, "1 MiB", id="too large"),
    ],
)
def test_refused(data: bytes, line: int, words: str) -> None:
    begin = time.process_time()
    with pytest.raises(DocumentError) as caught:
        list(parse(data))
    assert caught.value.line == line
    assert words in caught.value.message
    assert time.process_time() - begin < 5


def test_a_thousand_documents_are_fine() -> None:
    assert len(list(parse(b"--- 1\n" * 1000))) == 1000


def test_errors_do_not_quote_the_text() -> None:
    with pytest.raises(DocumentError) as caught:
        list(parse(b"password: hunter2: [\n"))
    assert "hunter2" not in caught.value.message


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
# YAML 1.2, 7.4: an implicit key is at most 1,024 characters, here with each one written as up to twelve.
KEYS = st.text(max_size=80)
JSON_VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(JSON_VALUES.filter(lambda value: value is not None))
def test_reads_whatever_json_is_written(value: object) -> None:
    (document,) = parse(json.dumps(value).encode(), json=True)
    assert document.value == value


OTHER_NUMBERS = re.compile(r"(?<![^\s{\[,])[-+]?[0-9]+[eE][-+]?[0-9]+(?![^\s}\],:])")
"""Text that YAML 1.1, and so PyYAML, writes without quotes, and that is a number by YAML 1.2 and to kubectl: 0E0."""


def test_a_number_with_an_exponent_is_one_as_kubectl_reads_it() -> None:
    assert one("a: 0E0\nb: 1e3\nc: '1e3'\n").value == {"a": 0.0, "b": 1000.0, "c": "1e3"}


@given(st.dictionaries(st.sampled_from(["a", "b.c", "d e"]), JSON_VALUES, min_size=1))
@example({"a": "0E0"})
def test_reads_what_other_writers_of_yaml_write(value: object) -> None:
    text = yaml.safe_dump(value)
    assume(not OTHER_NUMBERS.search(text))
    document = one(text)
    assert document.problems or document.value == value


@given(st.binary(max_size=200))
def test_never_fails_otherwise(data: bytes) -> None:
    with contextlib.suppress(DocumentError):
        for document in parse(data):
            json.dumps(document.value, allow_nan=False)
