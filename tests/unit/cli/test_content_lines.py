"""The text of what a Change would do, as people read it: its order, how much of it, and why."""

import re
from typing import Any

import click
import pytest
from hypothesis import given, settings
from tests.fakes.plans import analyse_plan, change, large_plan, plan, plans, update
from tests.soak import dear_examples
from tests.unit.cli.test_value_lines import UNSAFE

from setpoint.cli.content_lines import content_lines, content_value
from setpoint.domain.shown_content import ShownContent, read_line, write_lines

some = settings(max_examples=dear_examples(40))


def shown(*changes: dict[str, Any], **more: Any) -> ShownContent:
    found = analyse_plan(plan(*changes, **more)).shown
    assert found is not None
    return found


def lines(content: ShownContent, *, full: bool = False, causes: dict[str, str] | None = None) -> list[str]:
    return [click.unstyle(line) for line in content_lines(content, causes or {}, full=full)]


TOLD: dict[str, tuple[dict[str, Any], list[str]]] = {
    "created": (
        change("t.a", ["create"], after={"name": "x", "none": None}, after_unknown={"id": True}),
        ["+   t.a", '      + name: "x"', "      … 1 known after apply; --full shows all"],
    ),
    "updated": (
        update("t.a", {"tags": {"owner": "a", "old": "o"}, "n": 1}, {"tags": {"owner": "b", "new": "n"}, "n": 2}),
        [
            "~   t.a",
            "      ~ n:          1 → 2",
            '      + tags.new:   "n"',
            '      - tags.old:   "o"',
            '      ~ tags.owner: "a" → "b"',
        ],
    ),
    "replaced": (
        change("t.a", ["delete", "create"], {"x": 1, "y": [1]}, {"x": 2, "y": [2]}, replace_paths=[["x"], ["y"]]),
        [
            "-/+ t.a  (destroyed, then made anew)",
            "      ~ x:    1 → 2  # forces replacement",
            "      ~ y[0]: 1 → 2  # forces replacement",
        ],
    ),
    "replaced for what is not shown": (
        change("t.a", ["delete", "create"], {"x": 1}, {"x": 2}, replace_paths=[["x"], ["y", "z"]]),
        ["-/+ t.a  (destroyed, then made anew; forced by y.z)", "      ~ x: 1 → 2  # forces replacement"],
    ),
    "replaced, the new one first": (
        change("t.a", ["create", "delete"], {"x": 1}, {"x": 2}, action_reason="replace_because_tainted"),
        [
            "-/+ t.a  (made anew, then the old one is destroyed; its last creation was not finished)",
            "      ~ x: 1 → 2",
        ],
    ),
    "deleted": (
        change("t.a", ["delete"], {"x": 1}, action_reason="delete_because_no_resource_config"),
        ["-   t.a  (the configuration no longer has it)", "      - x: 1"],
    ),
    "forgotten": (
        change("t.a", ["forget"], {"x": 1}),
        [".   t.a  (stays, and is no longer managed)", "      - x: 1"],
    ),
    "moved": (
        change("t.a", ["no-op"], {"x": 1}, {"x": 1}, previous_address="t.b"),
        [">   t.a  (moved from t.b)"],
    ),
    "moved and updated": (
        update("t.a", {"x": 1}, {"x": 2}, previous_address="t.b"),
        ["~   t.a  (moved from t.b)", "      ~ x: 1 → 2"],
    ),
    "imported": (
        change("t.a", ["no-op"], {"x": 1}, {"x": 1}, importing={"id": "i-1"}),
        ['<   t.a  (imported with id "i-1")'],
    ),
    "deposed": (
        change("t.a", ["delete"], {"x": 1}, deposed="01234567"),
        ["-   t.a  (the deposed object 01234567, which an interrupted replacement left)", "      - x: 1"],
    ),
    "elements that moved up": (
        update("t.a", {"l": ["a", "b", "c"]}, {"l": ["b", "c", "d"]}),
        ["~   t.a", "      ~ l:", '          - "a"', '          + "d"'],
    ),
    "many elements": (
        update("t.a", {"l": list(range(12))}, {"l": [*range(1, 12), 12]}),
        ["~   t.a", "      ~ l:", "          - 0", "          + 12"],
    ),
    "elements of which each is another": (
        update("t.a", {"l": ["a", "b"]}, {"l": ["c", "d"]}),
        ["~   t.a", '      ~ l[0]: "a" → "c"', '      ~ l[1]: "b" → "d"'],
    ),
    "values below what is unknown": (
        update("t.a", {"o": {"a": 1, "b": 2}, "x": 1}, {"x": 2}, after_unknown={"o": True}),
        ["~   t.a", "      ~ o: (2 values) → (known after apply)", "      ~ x: 1 → 2"],
    ),
    "sensitive": (
        update("t.a", {"p": "one-secret", "x": 1}, {"p": "other-secret", "x": 2}, after_sensitive={"p": True}),
        ["~   t.a", "      ~ p: (sensitive) → (sensitive, another value)", "      ~ x: 1 → 2"],
    ),
    "a hostile address": (
        update('t.a["\x1b[2J\u202e"]', {"x": 1}, {"x": 2}),
        [r'~   t.a["\x1b[2J\u202e"]', "      ~ x: 1 → 2"],
    ),
}


@pytest.mark.parametrize("name", TOLD)
def test_it_is_told_what_is_done_to_a_resource(name: str) -> None:
    document, expected = TOLD[name]
    assert lines(shown(document)) == expected


def test_outputs_stand_last() -> None:
    outputs = {"o": {"actions": ["update"], "before": "a", "after": "b"}}
    found = lines(shown(update("t.z", {"x": 1}, {"x": 2}), outputs=outputs))
    assert found == ["~   t.z", "      ~ x: 1 → 2", "~   output.o", '      ~ value: "a" → "b"']


def test_drift_says_so() -> None:
    content = shown(
        update("t.a", {"x": 1}, {"x": 2}), update("t.b", {"x": 1}, {"x": 2}), update("t.c", {"x": 1}, {"x": 2})
    )
    heads = [
        line
        for line in lines(content, causes={"t.a": "actionable", "t.b": "cascade", "t.c": "pending"})
        if "t." in line
    ]
    assert heads == [
        "~   t.a  (it was changed outside)",
        "~   t.b  (it follows from what was changed outside)",
        "~   t.c",
    ]


def test_what_is_made_is_short_and_whole_on_request() -> None:
    attributes = {f"a{number}": number for number in range(12)} | {"null": None, "empty": []}
    content = shown(change("t.a", ["create"], after=attributes, after_unknown={"id": True, "arn": True}))
    short = lines(content)
    assert len(short) == 10
    assert short[-1] == "      … 4 more, 2 known after apply; --full shows all"
    assert len(lines(content, full=True)) == 16


def test_of_many_resources_those_that_are_made_take_a_line_each_and_those_that_change_are_whole() -> None:
    many = [change(f"t.a{number:02}", ["create"], after={"x": 1}) for number in range(40)]
    content = shown(*many, update("t.z", {"x": 1}, {"x": 2}))
    assert len(lines(content)) == 42
    assert lines(content)[-2:] == ["~   t.z", "      ~ x: 1 → 2"]
    assert len(lines(content, full=True)) == 82


def test_a_large_plan_is_written_in_no_time() -> None:
    content = analyse_plan(large_plan(1200)).shown
    assert content is not None
    assert len(lines(content)) > 1200


@some
@given(document=plans())
def test_any_content_is_written_and_handed_to_programs(document: Any) -> None:
    content = analyse_plan(document).shown
    if content is None:
        return
    found = lines(content, full=True)
    assert not any(UNSAFE.search(line) for line in found)
    headers = [record for record in map(read_line, content.lines) if "address" in record]
    assert [one["address"] for one in content_value(content)["changes"]] == [record["address"] for record in headers]
    assert len([line for line in found if not line.startswith(" ")]) == len(headers)


def test_colours_say_what_comes_and_goes() -> None:
    content = shown(update("t.a", {"x": 1}, {"x": 2, "y": 3}))
    head, changed, added = content_lines(content, {})
    assert head.startswith("\x1b[33m\x1b[1m~   t.a")
    assert re.search(r"\x1b\[31m1\x1b\[0m → \x1b\[32m2\x1b\[0m", changed)
    assert added.strip().startswith("\x1b[32m+ y:")


def test_a_line_for_programs_that_is_not_at_hand_says_so() -> None:
    content = ShownContent(write_lines([{"kind": "resource", "address": "t.a", "actions": ["create"]}])).first(999, 1)
    assert content_value(content)["complete"] is False
    assert content_value(content)["changes"][0]["action"] == "unknown"
