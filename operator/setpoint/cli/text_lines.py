"""Owns comparing long texts and JSON by line, and making lines visible. Pure."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from setpoint.domain.visible import visible

Sign = Literal["+", "-", " "]

_MAX_LINE = 200
_MAX_COMPARED = 2000
_CONTEXT = 3


def read_json(text: str) -> Any:
    """The array or object that a text is in JSON; None where another reader could read it otherwise.

    So nothing hides behind a second key of the same name, or in a number that is rounded.
    """
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
        msg = "a key twice"
        raise ValueError(msg)
    return found


def _exact(text: str) -> float:
    if repr(float(text)) != text:
        return _refuse(text)
    return float(text)


def _refuse(text: str) -> float:
    msg = f"{text} is not written back alike"
    raise ValueError(msg)


def same_json(one: Any, other: Any) -> bool:
    """True where two JSON values are one; 1, 1.0 and true are not."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def as_lines(text: str) -> list[str]:
    """A text by line; JSON as it is pretty, keys in order."""
    found = read_json(text)
    if found is None:
        return text.removesuffix("\n").split("\n")
    return json.dumps(found, indent=2, sort_keys=True, ensure_ascii=False).split("\n")


def diff_lines(old: Sequence[str], new: Sequence[str]) -> list[tuple[Sign, str]]:
    """The lines that go and those that come, with a few lines around them."""
    if max(len(old), len(new)) > _MAX_COMPARED:
        return list(_between_ends(old, new))
    found: list[tuple[Sign, str]] = []
    for group in difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(_CONTEXT):
        found += [(" ", "⋮")] if found else []
        for tag, first, last, start, end in group:
            if tag == "equal":
                found += [(" ", line) for line in old[first:last]]
            else:
                found += [("-", line) for line in old[first:last]]
                found += [("+", line) for line in new[start:end]]
    return found


def _between_ends(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[Sign, str]]:
    """To compare so many lines would take minutes: all that lies between the first and the last difference."""
    start, end = common_ends(old, new)
    yield from (("-", line) for line in old[start : len(old) - end])
    yield from (("+", line) for line in new[start : len(new) - end])


def common_ends(old: Sequence[Any], new: Sequence[Any]) -> tuple[int, int]:
    """The number of items with which two sequences begin alike, and with which they end alike, without overlap."""
    shorter = min(len(old), len(new))
    start = next((index for index in range(shorter) if old[index] != new[index]), shorter)
    rest = shorter - start
    end = next((index for index in range(rest) if old[-1 - index] != new[-1 - index]), rest)
    return start, end


def shown_line(line: str, *, differs: bool = False, full: bool = False) -> str:
    """A line with everything in it visible, spaces at its end too where it differs; cut if it is long."""
    if differs:
        bare = line.rstrip(" ")
        line = bare + "·" * (len(line) - len(bare))
    text = visible(line)
    return text if full or len(text) <= _MAX_LINE else f"{text[:_MAX_LINE]}… ({len(text)} characters)"
