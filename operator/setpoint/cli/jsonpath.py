"""Owns the JSONPath of printer columns: fields, list filters by equality, indices. Pure."""

from __future__ import annotations

import functools
import re
from typing import Any

_STEP = re.compile(
    r"""\.(?P<field>[A-Za-z_][\w-]*)"""
    r"""|\[\?\(@\.(?P<key>[A-Za-z_]\w*)\s*==\s*["'](?P<value>[^"']*)["']\)\]"""
    r"""|\[(?P<index>\d+)\]"""
)

Step = str | int | tuple[str, str]


@functools.cache
def parse_path(path: str) -> tuple[Step, ...]:
    """The steps of a path: a field, an index, or (key, value) of a filter. Raises ValueError."""
    steps: list[Step] = []
    position = 0
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            msg = f"can't read the JSONPath {path!r} at character {position + 1}"
            raise ValueError(msg)
        steps.append(_step(match))
        position = match.end()
    return tuple(steps)


def _step(match: re.Match[str]) -> Step:
    if match["field"] is not None:
        return match["field"]
    return int(match["index"]) if match["index"] is not None else (match["key"], match["value"])


def find_value(value: Any, path: str) -> Any:
    """The first value at a path in a JSON value; None where there is none. Raises ValueError for another path."""
    for step in parse_path(path):
        value = _descend(value, step)
        if value is None:
            return None
    return value


def _descend(value: Any, step: Step) -> Any:
    match step:
        case str():
            return value.get(step) if isinstance(value, dict) else None
        case int():
            return value[step] if isinstance(value, list) and step < len(value) else None
        case key, wanted:
            items = value if isinstance(value, list) else []
            return next((item for item in items if isinstance(item, dict) and item.get(key) == wanted), None)
