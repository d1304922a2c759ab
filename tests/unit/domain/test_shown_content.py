"""The shown part of a content: its digest computed anew, from all lines or the first of them."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.plans import analyse_plan, change, large_plan, plan, plans, update
from tests.soak import dear_examples

from setpoint.domain.errors import InvalidError
from setpoint.domain.shown_content import ShownContent, read_line, write_lines

some = settings(max_examples=dear_examples(40))


def shown(document: Any) -> ShownContent:
    found = analyse_plan(document).shown
    assert found is not None
    return found


SMALL = shown(plan(update("t.a", {"x": 1, "pin": "0"}, {"x": 2, "pin": "1"}, after_sensitive={"pin": True})))


@some
@given(document=plans(), size=st.integers(0, 2000), longest=st.integers(1, 200))
def test_any_beginning_has_the_digest_of_the_whole(document: Any, size: int, longest: int) -> None:
    content = analyse_plan(document).shown
    if content is None:
        return
    first = content.first(size, longest)
    assert first.digest == content.digest
    assert sum(len(line.encode()) for line in first.lines) <= size
    assert first.whole == (first == content)


@some
@given(document=plans(), at=st.integers(0, 50))
def test_a_line_that_is_changed_added_or_left_out_moves_the_digest(document: Any, at: int) -> None:
    content = analyse_plan(document).shown
    if content is None:
        return
    at %= len(content.lines)
    head, line, tail = content.lines[:at], content.lines[at], content.lines[at + 1 :]
    for lines in ((*head, *tail), (*head, line, line, *tail), (*head, line.replace("}", " }"), *tail)):
        assert dataclasses.replace(content, lines=lines).digest != content.digest


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param({"more": 1}, id="a count"),
        pytest.param({"sealed": None}, id="no commitment"),
        pytest.param({"sealed": "sha256:" + "0" * 64}, id="another commitment"),
        pytest.param({"rest": "sha256:" + "0" * 64, "more": 1}, id="more lines"),
    ],
)
def test_what_surrounds_the_lines_counts_too(forged: dict[str, Any]) -> None:
    assert dataclasses.replace(SMALL, **forged).digest != SMALL.digest


def test_a_count_of_missing_lines_can_not_be_forged() -> None:
    first = SMALL.first(80, 80)
    assert first.more
    assert dataclasses.replace(first, more=first.more + 1).digest != SMALL.digest


def test_a_long_line_is_left_out_and_those_behind_it_are_not() -> None:
    content = shown(plan(update("t.a", {}, {"a": "x" * 5000, "b": 1}), change("t.b", ["create"], after={"y": 1})))
    first = content.first(1000, 500)
    assert [sorted(read_line(line)) for line in first.lines if "omitted" in line] == [["bytes", "omitted", "path"]]
    assert any('"t.b"' in line for line in first.lines)
    assert (first.whole, first.more) == (False, 0)


def test_it_survives_being_stored() -> None:
    assert ShownContent.from_bytes(SMALL.as_bytes()) == SMALL


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b"{}", b'{"lines": []}', b"[" * 100_000])
def test_what_is_no_content_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidError):
        ShownContent.from_bytes(data)


@pytest.mark.parametrize("line", ['{"omitted": "sha256:x"}', '{"omitted": 1}', '"omitted":'])
def test_a_line_left_out_without_a_digest_is_refused(line: str) -> None:
    with pytest.raises(InvalidError):
        _ = ShownContent((line,)).digest


def test_what_goes_stands_first_then_what_is_made() -> None:
    document = plan(
        change("t.a", ["create"], after={}),
        update("t.b", {"x": 1}, {"x": 2}),
        change("t.c", ["delete"], {"x": 1}),
        change("t.d", ["create", "delete"], {"x": 1}, {"x": 2}),
        change("t.e", ["no-op"], {"x": 1}, {"x": 1}, previous_address="t.f"),
    )
    records = [read_line(line) for line in shown(document).lines]
    addresses = [record["address"] for record in records if "address" in record]
    assert addresses == ["t.c", "t.d", "t.a", "t.b", "t.e"]


def test_a_line_holds_nothing_that_a_terminal_obeys() -> None:
    text = "\x1b[31m \x9b1m \u202e evil \u2066 \u200b \U000e0041 \r\n"
    (line,) = write_lines([{"path": "x", "after": text}])
    assert line.isascii()
    assert json.loads(line)["after"] == text


def test_a_large_plan_is_shown_as_far_as_it_has_room() -> None:
    content = shown(large_plan(1200, secrets=True))
    first = content.first(16 << 10, 4 << 10)
    assert first.digest == content.digest
    assert 15_000 < sum(map(len, first.lines)) <= 16_384
    assert first.more == len(content.lines) - len(first.lines)
