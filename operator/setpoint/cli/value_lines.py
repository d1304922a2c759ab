"""Owns how an attribute that differs is written for people: before and after, long text and JSON by line. Pure.

Values come from outside. What a terminal would obey is escaped, and what is long is cut, with a note that says so.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from setpoint.domain.shown_content import escape_hidden

Sign = Literal["+", "-", "~", " "]
ARROW = " → "
UNKNOWN, SENSITIVE = "(known after apply)", "(sensitive)"

_MAX_TEXT = 120
_MAX_LINE = 200
_MAX_LINES = 40
_MAX_COMPARED = 2000
_CONTEXT = 3
_NEAR = 30
_CONTROLS = re.compile(r"[\x00-\x1f]")


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """One line for people: what it says of the change, how deep it stands, and its text, which is safe to print."""

    sign: Sign
    depth: int
    text: str


def sign_of(record: Mapping[str, Any]) -> Sign:
    """Whether an attribute comes, goes or becomes another."""
    if "sensitive" in record:
        sides = record["sensitive"]
        old, new = "before" in sides, "after" in sides or "unknown" in sides
    else:
        old, new = (
            record.get("before") is not None or "folded" in record,
            record.get("after") is not None or "unknown" in record,
        )
    return "~" if old == new else "+" if new else "-"


def attribute_lines(name: str, record: Mapping[str, Any], *, note: str = "", full: bool = False) -> list[Line]:
    """One attribute: a line, or a line and a block below it. `name` is as it is to stand there, with its padding."""
    sign = sign_of(record)
    if "omitted" in record:
        return [Line("~", 0, f"{name} (a value of {record.get('bytes')} bytes, which is not at hand here){note}")]
    old, new = record.get("before"), record.get("after")
    if "sensitive" in record or "unknown" in record or not _is_block(old, new):
        return [Line(sign, 0, f"{name} {_inline(record, sign, full=full)}{note}")]
    head, block = _block(old, new, sign, full=full)
    return [Line(sign, 0, f"{name} {head}{note}".rstrip()), *block]


def literal(value: Any, *, full: bool = False) -> str:
    """A value in JSON's words on one line, cut where it is long."""
    if isinstance(value, dict) and len(value) == 1:
        # A number that JSON can't carry, by its mark (see domain/digests).
        value = next((_Raw(text) for mark, text in value.items() if mark in {"$integer", "$float"}), value)
    text = str(value) if isinstance(value, _Raw) else escape_hidden(json.dumps(value, ensure_ascii=False))
    if full or len(text) <= _MAX_TEXT:
        return text
    return f"{text[: _MAX_TEXT - _NEAR]}… ({len(text)} characters)"


class _Raw(str):
    """Text that is written as it is."""

    __slots__ = ()


# --- On one line ----------------------------------------------------------------------------------------------------


def _inline(record: Mapping[str, Any], sign: Sign, *, full: bool) -> str:
    if "sensitive" in record:
        sides = record["sensitive"]
        then = SENSITIVE if "unknown" not in sides else f"{SENSITIVE}, {UNKNOWN}"
        return then if sign == "+" else SENSITIVE if sign == "-" else f"{SENSITIVE}{ARROW}{then}"
    old, new = record.get("before"), record.get("after")
    if "folded" in record:
        return f"({record['folded']} values){ARROW}{UNKNOWN}"
    if "unknown" in record:
        return UNKNOWN if sign == "+" else f"{literal(old, full=full)}{ARROW}{UNKNOWN}"
    if sign == "~":
        return _both(old, new, full=full)
    return literal(new if sign == "+" else old, full=full)


def _both(old: Any, new: Any, *, full: bool) -> str:
    if isinstance(old, str) and isinstance(new, str):
        if unicodedata.normalize("NFC", old) == unicodedata.normalize("NFC", new):
            # They would look the same.
            return f"{json.dumps(old)}{ARROW}{json.dumps(new)}"
        if not full and max(len(old), len(new)) > _MAX_TEXT:
            start, end = _common(old, new)
            return f"{_window(old, start, end)}{ARROW}{_window(new, start, end)}"
    return f"{literal(old, full=full)}{ARROW}{literal(new, full=full)}"


def _common(old: Sequence[Any], new: Sequence[Any]) -> tuple[int, int]:
    """How much two sequences begin alike, and how much they end alike, without overlap."""
    shorter = min(len(old), len(new))
    start = next((index for index in range(shorter) if old[index] != new[index]), shorter)
    rest = shorter - start
    end = next((index for index in range(rest) if old[-1 - index] != new[-1 - index]), rest)
    return start, end


def _window(text: str, start: int, end: int) -> str:
    """Where a long text differs, with a little of what surrounds it."""
    first, last = max(0, start - _NEAR), min(len(text), len(text) - end + _NEAR)
    inner = literal(text[first:last])
    return f"{'…' if first else ''}{inner}{'…' if last < len(text) else ''}"


# --- By line --------------------------------------------------------------------------------------------------------


def _is_block(old: Any, new: Any) -> bool:
    return any(isinstance(value, str) and ("\n" in value or read_json(value) is not None) for value in (old, new))


def _block(old: Any, new: Any, sign: Sign, *, full: bool) -> tuple[str, list[Line]]:
    texts = [value for value in (old, new) if isinstance(value, str)]
    parsed = [read_json(text) for text in texts]
    as_json = len(texts) == sum(value is not None for value in parsed)
    if sign != "~" or len(texts) == 1:
        (text,) = texts if len(texts) == 1 else texts[:1]
        lines = _pretty(parsed[0]) if as_json else _split(text)
        if len(lines) == 1 or (not full and len(lines) > _CONTEXT * 3):
            cut = escape_hidden(json.dumps(text, ensure_ascii=False))[: _MAX_TEXT - _NEAR]
            return f"{cut}… ({len(lines)} lines{' of JSON' if as_json else ''})", []
        return "", [Line("-" if new is None else "+", 1, line) for line in _safe(lines, full=full)]
    if as_json and canonically_same(parsed[0], parsed[1]):
        return "(the same JSON, in another order or with other spaces)", []
    before, after = (_pretty(value) for value in parsed) if as_json else (_split(text) for text in texts)
    return "", list(_cut(_differing(before, after), full=full))


def read_json(text: str) -> Any:
    """The array or object that a text is in JSON; None for anything that reads otherwise in other readers."""
    if text.lstrip()[:1] not in ("[", "{"):
        return None
    try:
        found = json.loads(text, object_pairs_hook=_unique, parse_float=_exact, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return found or None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key twice")
    return found


def _exact(text: str) -> float:
    if repr(float(text)) != text:
        raise ValueError("a number that is not written back alike")
    return float(text)


def _refuse(text: str) -> float:
    raise ValueError(text)


def canonically_same(one: Any, other: Any) -> bool:
    """Whether two JSON values are one; 1 and true are not."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _pretty(value: Any) -> list[str]:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False).split("\n")


def _split(text: str) -> list[str]:
    return text.split("\n")


def _differing(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[Sign, str]]:
    if max(len(old), len(new)) > _MAX_COMPARED:
        yield from _roughly(old, new)
        return
    groups = difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(_CONTEXT)
    for number, group in enumerate(groups):
        if number:
            yield " ", "⋮"
        for tag, first, last, start, end in group:
            if tag == "equal":
                yield from ((" ", line) for line in old[first:last])
            else:
                yield from (("-", line) for line in old[first:last])
                yield from (("+", line) for line in new[start:end])


def _roughly(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[Sign, str]]:
    """To compare so many lines would take minutes: what lies between the first and the last difference."""
    start, end = _common(old, new)
    yield from (("-", line) for line in old[start : len(old) - end])
    yield from (("+", line) for line in new[start : len(new) - end])


def _cut(lines: Iterator[tuple[Sign, str]], *, full: bool) -> Iterator[Line]:
    found = list(lines)
    for sign, text in found if full else found[:_MAX_LINES]:
        shown = text if sign == " " else _with_end(text)
        yield Line(sign, 1, _safe([shown], full=full)[0])
    if not full and len(found) > _MAX_LINES:
        yield Line(" ", 1, f"… {len(found) - _MAX_LINES} more lines of this value; --full shows them")


def _with_end(text: str) -> str:
    """Spaces at the end of a line that differs, made visible."""
    bare = text.rstrip(" ")
    return bare + "·" * (len(text) - len(bare))


def _safe(lines: Sequence[str], *, full: bool) -> list[str]:
    return [_shorten(escape_hidden(_CONTROLS.sub(_control, line)), full=full) for line in lines]


def _control(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1]


def _shorten(line: str, *, full: bool) -> str:
    if full or len(line) <= _MAX_LINE:
        return line
    return f"{line[:_MAX_LINE]}… ({len(line)} characters)"
