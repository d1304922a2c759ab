"""Owns walking the values of a plan: leaves by path, and masks. Pure.

A path is a tuple of keys and indices; `write_path` shows it as `tags.owner`, `rule[0].port` or `tags["a.b"]`.
Plans come from outside: what is nested too deeply is refused, never followed.
"""

import json
import re
from collections.abc import Collection
from typing import Any

from setpoint.domain.errors import InvalidError

Path = tuple[str | int, ...]
Leaves = dict[Path, Any]

MAX_DEPTH = 200
SENSITIVE = "(sensitive)"
MIN_SECRET = 6
"""Shorter secrets would be found everywhere."""
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def write_path(path: Path) -> str:
    """A path as people write it; no two paths are written alike."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{json.dumps(part, ensure_ascii=False)}]"
    return text


def leaves(value: Any) -> Leaves:
    """Every scalar, empty list and empty map of a JSON value, by path; nothing for None at the top.

    Raises InvalidError for what is nested too deeply.
    """
    found: Leaves = {}
    if value is not None:
        _collect(value, (), found)
    return found


def _collect(value: Any, path: Path, found: Leaves) -> None:
    if isinstance(value, dict) and value:
        _check_depth(path)
        for key, item in value.items():
            _collect(item, (*path, check_text(key)), found)
    elif isinstance(value, list) and value:
        _check_depth(path)
        for index, item in enumerate(value):
            _collect(item, (*path, index), found)
    else:
        found[path] = check_text(value) if isinstance(value, str) else value


def check_text(text: str) -> str:
    """The text; JSON can name halves of characters, which nothing can store. Raises InvalidError for those."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            msg = "holds text that is no Unicode"
            raise InvalidError(msg) from None
    return text


def _check_depth(path: Path) -> None:
    if len(path) >= MAX_DEPTH:
        msg = f"a value is nested more than {MAX_DEPTH} levels deep"
        raise InvalidError(msg, field=write_path(path[:3]))


def true_paths(mask: Any) -> frozenset[Path]:
    """The paths where a mask says true: at a leaf, or for all that is below a path."""
    return frozenset(path for path, value in leaves(mask).items() if value is True)


def cover_of(path: Path, covers: Collection[Path]) -> Path | None:
    """The shortest of the covers that a path lies under or is; None where there is none."""
    if not covers:
        return None
    return next((path[:length] for length in range(len(path) + 1) if path[:length] in covers), None)
