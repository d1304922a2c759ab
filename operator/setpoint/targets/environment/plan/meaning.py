"""Owns when two values that are written otherwise mean the same. Pure.

Providers of protocol 5 write null, "", [], {}, 0 and false for one another, return sets in another order, and JSON with
other spaces. A value's `meaning` is a normal form: two values mean the same where it is equal, so that this is an
equivalence, and comparing is linear. A plan does not say which lists are sets, nor which maps are nested blocks: all
lists are compared as sets, and the objects in lists as blocks.
"""

import itertools
import json
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable
from decimal import Decimal
from typing import Any

from setpoint.domain.value_paths import MAX_DEPTH, Path, cover_of

_EMPTY = ("empty",)
_MAX_JSON = 1_000_000
"""Longer texts are compared as texts, as are those whose JSON is nested deeper than values may be."""
_LEVELS = 40
"""How deep values are looked into, JSON in JSON included; below, only what is written alike is the same."""


def means_same(one: Any, other: Any) -> bool:
    """True where two values of an attribute mean the same."""
    return one is other or meaning(one) == meaning(other)


def is_empty(value: Any) -> bool:
    """True for the values that stand for nothing, at an attribute's place."""
    return value is None or value is False or value in ("", [], {}) or (_is_number(value) and value == 0)


def is_reordered(one: Any, other: Any) -> bool:
    """True where two values hold the same, written alike, in another order.

    Terraform writes equal sets in one order, whatever the provider does: these are lists.
    """
    return _written(one) != _written(other) and _written(_sorted(one)) == _written(_sorted(other))


def alike_paths(paths: Iterable[Path], old: Any, new: Any, unknown: Collection[Path] = ()) -> frozenset[Path]:
    """The differing paths at which two resources mean the same: within an attribute that does, or on their own.

    Where nothing but the whole tells that an attribute means something else, none of its paths is alike.
    """
    by_name: dict[str | int, list[Path]] = {}
    for path in paths:
        if path:
            by_name.setdefault(path[0], []).append(path)
    found: set[Path] = set()
    for name, group in by_name.items():
        known = [path for path in group if cover_of(path, unknown) is None]
        if known and means_same(_at(old, (name,)), _at(new, (name,))):
            found.update(known)
            continue
        alike = [path for path in known if _is_alike(path, old, new)]
        found.update(alike if len(alike) < len(group) else ())
    return frozenset(found)


def reordered_attributes(names: Iterable[str | int], old: Any, new: Any) -> frozenset[str | int]:
    """The attributes that hold the same in another order, and are no sets."""
    return frozenset(name for name in names if is_reordered(_at(old, (name,)), _at(new, (name,))))


def stood_before(old: Any, new: Any, name: str, unknown: Iterable[Path]) -> bool:
    """True where an attribute is a list on both sides, and all that is known of its members stood in it before.

    A set with an unknown member has the known ones at other places. A block of which attributes are unknown
    may be any that has the others.
    """
    before, after = _at(old, (name,)), _at(new, (name,))
    places = [path[1:] for path in unknown if path[:1] == (name,)]
    if not isinstance(before, list) or not isinstance(after, list) or any(len(place) > 2 for place in places):
        return False
    hidden: dict[str | int, set[str | int]] = {}
    wholly = {place[0] for place in places if len(place) == 1}
    for index, attribute in (place for place in places if len(place) == 2):
        hidden.setdefault(index, set()).add(attribute)
    left = Counter(_member(item, _LEVELS) for item in before)
    left.subtract(_member(item, _LEVELS) for index, item in enumerate(after) if index not in {*wholly, *hidden})
    partly = {frozenset(names) for names in hidden.values()}
    shapes = {(names, _less(item, names)) for names, item in itertools.product(partly, before)}
    return all(count >= 0 for count in left.values()) and all(
        (frozenset(names), _less(_at(after, (index,)), frozenset(names))) in shapes for index, names in hidden.items()
    )


def _less(item: Any, names: Collection[str | int]) -> Hashable:
    """The normal form of a block without some of its attributes."""
    if isinstance(item, dict):
        item = {key: value for key, value in item.items() if key not in names}
    return _member(item, _LEVELS)


def _is_alike(path: Path, old: Any, new: Any) -> bool:
    """True where the values at a path mean the same; empty ones do at the place of an attribute: `a`, or `a[0].b`."""
    one, other = _at(old, path), _at(new, path)
    if isinstance(one, str) and isinstance(other, str):
        return means_same(one, other)
    is_attribute = all(isinstance(part, int) == bool(index % 2) for index, part in enumerate(path)) and len(path) % 2
    return bool(is_attribute) and is_empty(one) and is_empty(other)


def _at(value: Any, path: Path) -> Any:
    """The value at a path; None where there is none."""
    for part in path:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value


def meaning(value: Any, levels: int = _LEVELS) -> Hashable:
    """The normal form of an attribute's value, or of one in a nested block."""
    return _EMPTY if is_empty(value) else _inner(value, levels)


def _inner(value: Any, levels: int) -> Hashable:
    """The normal form where empty values differ: of a map's values, and of what a list holds."""
    if isinstance(value, list) and levels:
        return "list", frozenset(Counter(_member(item, levels - 1) for item in value).items())
    return _but_lists(value, levels, _inner)


def _but_lists(value: Any, levels: int, inner: Callable[[Any, int], Hashable]) -> Hashable:
    """The normal form of all but a list that is looked into; `inner` gives that of what a map holds."""
    if isinstance(value, str):
        return _text(value, levels)
    if isinstance(value, dict) and levels:
        return "map", frozenset((key, inner(item, levels - 1)) for key, item in value.items())
    return ("written", _written(value)) if isinstance(value, (dict, list)) else _scalar(value)


def _member(item: Any, levels: int) -> Hashable:
    """The normal form of a list's member. An object is a nested block; what is empty in it may be missing."""
    if not isinstance(item, dict) or not levels:
        return _inner(item, levels)
    named = ((name, meaning(value, levels - 1)) for name, value in item.items())
    return "block", frozenset(pair for pair in named if pair[1] != _EMPTY)


def _scalar(value: Any) -> Hashable:
    """True and 1 are not the same."""
    return ("number", value) if _is_number(value) else ("word", str(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def _written(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _sorted(value: Any) -> Any:
    """The value with each of its lists in an order that follows from what it holds."""
    if isinstance(value, dict):
        return {key: _sorted(item) for key, item in value.items()}
    return sorted(map(_sorted, value), key=_written) if isinstance(value, list) else value


# --- JSON in texts ------------------------------------------------------------------------------------------------


def _text(text: str, levels: int) -> Hashable:
    """A text that is a JSON object or array means what that says; any other means itself."""
    document = _document(text) if levels else None
    return ("text", text) if document is None else ("json", _json(document, levels - 1))


def _document(text: str) -> Any:
    """The object or array that a text is; None for any other, and for one that can be read in more than one way."""
    if len(text) > _MAX_JSON or text.lstrip()[:1] not in {"{", "["}:
        return None
    try:
        document = json.loads(text, object_pairs_hook=_once, parse_float=Decimal, parse_constant=_refuse)
    except (ValueError, RecursionError, ArithmeticError):
        return None
    return None if _is_deep(document) else document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        msg = "a key stands twice"
        raise ValueError(msg)
    return found


def _refuse(constant: str) -> Any:
    msg = f"{constant} is no JSON"
    raise ValueError(msg)


def _is_deep(document: Any) -> bool:
    level, depth = [document], 0
    while level and depth <= MAX_DEPTH:
        items = itertools.chain.from_iterable(value.values() if isinstance(value, dict) else value for value in level)
        level = [item for item in items if isinstance(item, (dict, list))]
        depth += 1
    return bool(level)


def _json(value: Any, levels: int) -> Hashable:
    """JSON as it says it: an array's order counts, and so do null, false and what is missing."""
    if isinstance(value, list) and levels:
        return "list", tuple(_json(item, levels - 1) for item in value)
    return _but_lists(value, levels, _json)
