"""Owns how an attribute that differs is written for people: before and after, long text and JSON by line. Pure.

Values come from outside. What a terminal would obey is escaped, and what is long is cut, with a note that says so.
"""

from __future__ import annotations

import dataclasses
import json
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeGuard

from setpoint.cli.text_lines import as_lines, common_ends, diff_lines, read_json, same_json, shown_line
from setpoint.domain.visible import visible

Sign = Literal["+", "-", "~", " "]
UNKNOWN, SENSITIVE = "(known after apply)", "(sensitive)"

_MAX_TEXT = 120
_MAX_LINES = 40
_BRIEF_LINES = 6
_NEAR = 30


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """One line for people, safe to print: what it says of the change, how deep it stands, and its text.

    Where a value becomes another, `before` and `after` stand behind the text, and `note` behind all.
    """

    sign: Sign
    depth: int
    text: str
    before: str = ""
    after: str = ""
    note: str = ""


def sign_of(record: Mapping[str, Any]) -> Sign:
    """A sign for an attribute that comes, goes or becomes another."""
    if "omitted" in record:
        return "~"
    if "sensitive" in record:
        sides = record["sensitive"]
        old, new = "before" in sides, "after" in sides or "unknown" in sides
    else:
        old = record.get("before") is not None or "folded" in record
        new = record.get("after") is not None or "unknown" in record
    return "~" if old == new else "+" if new else "-"


def attribute_lines(name: str, record: Mapping[str, Any], *, note: str = "", full: bool = False) -> list[Line]:
    """One attribute: a line, or a line and a block below it. `name` is as it is to stand there, with its padding."""
    sign, old, new = sign_of(record), record.get("before"), record.get("after")
    if "omitted" in record:
        return [Line(sign, 0, f"{name} (a value of {record['bytes']} bytes, which is not at hand here)", note=note)]
    if not {"sensitive", "unknown"} & record.keys():
        if isinstance(old, str) and isinstance(new, str) and _differ_by_line(old, new):
            return _differing(name, old, new, note, full=full)
        one = new if sign == "+" else old
        if sign != "~" and _has_lines(one) and (full or len(as_lines(one)) <= _BRIEF_LINES):
            return [Line(sign, 0, name, note=note), *(Line(sign, 1, shown_line(line)) for line in as_lines(one))]
    before, after = _sides(record, full=full)
    if sign == "~":
        return [Line(sign, 0, name, before, after, note)]
    return [Line(sign, 0, f"{name} {after if sign == '+' else before}", note=note)]


def literal(value: Any, *, full: bool = False) -> str:
    """A value in JSON's words on one line, cut where it is long."""
    text = visible(json.dumps(value, ensure_ascii=False))
    if isinstance(value, dict):
        # A number that JSON can't carry, by its mark (see domain/digests); what is empty else.
        text = next((str(number) for mark, number in value.items() if mark in {"$integer", "$float"}), text)
    if full or len(text) <= _MAX_TEXT:
        return text
    size = f"{len(as_lines(value))} lines" if _has_lines(value) else f"{len(text)} characters"
    return f"{text[: _MAX_TEXT - _NEAR]}… ({size})"


def _sides(record: Mapping[str, Any], *, full: bool) -> tuple[str, str]:
    """The values before and after, in words."""
    if "sensitive" in record:
        sides = record["sensitive"]
        if "before" not in sides:
            return SENSITIVE, SENSITIVE
        return SENSITIVE, f"(sensitive, {'known after apply' if 'unknown' in sides else 'another value'})"
    old, new = record.get("before"), record.get("after")
    if "folded" in record:
        return f"({record['folded']} values)", UNKNOWN
    if "unknown" in record:
        return literal(old, full=full), UNKNOWN
    if isinstance(old, str) and isinstance(new, str):
        return _texts(old, new, full=full)
    return literal(old, full=full), literal(new, full=full)


def _texts(old: str, new: str, *, full: bool) -> tuple[str, str]:
    if unicodedata.normalize("NFC", old) == unicodedata.normalize("NFC", new):
        # They would look the same.
        return json.dumps(old), json.dumps(new)
    if full or max(len(old), len(new)) <= _MAX_TEXT:
        return literal(old, full=True), literal(new, full=True)
    start, end = common_ends(old, new)
    return _window(old, start, end), _window(new, start, end)


def _window(text: str, start: int, end: int) -> str:
    """The part of a long text that differs, with a little of what surrounds it."""
    first, last = max(0, start - _NEAR), min(len(text), len(text) - end + _NEAR)
    return f"{'…' if first else ''}{literal(text[first:last])}{'…' if last < len(text) else ''}"


# --- By line --------------------------------------------------------------------------------------------------------


def _has_lines(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and (_breaks(value) or read_json(value) is not None)


def _differ_by_line(old: str, new: str) -> bool:
    return _breaks(old) or _breaks(new) or (read_json(old) is not None and read_json(new) is not None)


def _breaks(text: str) -> bool:
    return "\n" in text.removesuffix("\n")


def _differing(name: str, old: str, new: str, note: str, *, full: bool) -> list[Line]:
    one, other = read_json(old), read_json(new)
    if one is not None and other is not None:
        if same_json(one, other):
            return [Line("~", 0, f"{name} (the same JSON, in another order or with other spaces)", note=note)]
        found = diff_lines(as_lines(old), as_lines(new))
    else:
        found = diff_lines(*_split(old, new))
    lines: Sequence[tuple[Sign, str]] = found if full else found[:_MAX_LINES]
    cut = len(found) - len(lines)
    more = [Line(" ", 1, f"… {cut} more lines of this value; --full shows them")] if cut else []
    shown = (Line(sign, 1, shown_line(text, differs=sign != " ", full=full)) for sign, text in lines)
    return [Line("~", 0, name, note=note), *shown, *more]


def _split(old: str, new: str) -> tuple[list[str], list[str]]:
    """Both texts by line; a line break at the end of both is none that people need to see."""
    before, after = old.split("\n"), new.split("\n")
    return (before[:-1], after[:-1]) if before[-1] == after[-1] == "" else (before, after)
