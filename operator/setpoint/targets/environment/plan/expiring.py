"""Owns seeing in a plan what will expire data: a shorter retention, lifecycle rules, versioning switched off. Pure.

Going back applies the attributes of before, and what went meanwhile stays away. What can't be told counts as expiring.
"""

import dataclasses
import itertools
import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from setpoint.domain.model import Change
from setpoint.domain.value_paths import Leaves, Path
from setpoint.targets.environment.plan.changes import PlannedChange, read_resources
from setpoint.targets.environment.plan.resource_types import Expiry, ResourceTypes, Sense

_ON = frozenset({"true", "enabled", "point_in_time_recovery_enabled"})
_NUMBER = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)s?")


@dataclasses.dataclass(frozen=True, slots=True)
class Expiring:
    """Attributes of one resource by which data goes by itself, or, where `at_once` is False, is not kept any more."""

    paths: tuple[str, ...]
    at_once: bool


def find_expiring(document: Mapping[str, Any], change: Change, types: ResourceTypes) -> Mapping[str, Expiring]:
    """Attributes that expire data, by address as it is shown. `document` is the plan that the Change was read from."""
    items = [one for one in document.get("resource_changes", []) if _acts(one) and types.knows_of(one.get("type", ""))]
    plan = read_resources({"resource_changes": items}, "resource_changes")
    made = _made(plan, types)
    found = {one.address: _expiring(one, made, types.expiries.get(one.type)) for one in plan if not one.deposed}
    real = {action.address: change.real_addresses.get(action.address, action.address) for action in change.actions}
    return {shown: expiring for shown, address in real.items() if (expiring := found.get(address))}


def _acts(item: Mapping[str, Any]) -> bool:
    """Spares the reading of what stays as it is, most of a large plan, and of what is only read."""
    return bool(item.get("mode", "managed") == "managed" and item["change"].get("actions") != ["no-op"])


def _made(plan: Sequence[PlannedChange], types: ResourceTypes) -> frozenset[Any]:
    """The names of what is made to hold data: there is nothing in it yet."""
    new = [one for one in plan if one.verb in {"create", "replace"} and types.judge(one.type).resource_class == "Data"]
    leaves = itertools.chain.from_iterable(one.values.after.items() for one in new)
    return frozenset(value for path, value in leaves if len(path) == 1 and value)


def _expiring(change: PlannedChange, made: Collection[Any], expiry: Expiry | None) -> Expiring | None:
    if expiry is None or not _is_about_what_stays(change, made, expiry):
        return None
    senses = {path: sense for path, sense in expiry.senses.items() if _expires(change, path, sense)}
    return Expiring(tuple(sorted(senses)), set(senses.values()) != {"disabled"}) if senses else None


def _is_about_what_stays(change: PlannedChange, made: Collection[Any], expiry: Expiry) -> bool:
    """True where it changes what holds data, or makes or drops rules of their own for something that is there."""
    if change.verb == "update" or not expiry.owner:
        return change.verb == "update"
    owner = (expiry.owner,)
    new = change.values.shows_unknown(owner) or change.values.after.get(owner) in made
    return change.verb in {"create", "delete", "replace"} and not new


def _expires(change: PlannedChange, path: str, sense: Sense) -> bool:
    values = change.values
    if any(_is_under(one, path) or path.startswith(f"{_named(one)}.") for one in values.unknown):
        return True
    before, after = _at(values.before, path), _at(values.after, path)
    if before == after:
        return False
    match sense:
        case "shorter" | "fewer":
            return _falls(before, after, none=math.inf if sense == "shorter" else 0.0)
        case "disabled" | "enabled":
            on, was_on = _count_on(after), _count_on(before)
            return on < was_on if sense == "disabled" else on > was_on
        case "changed":
            return any(value not in (None, "", [], {}, False, 0) for value in after.values())


def _at(side: Leaves, path: str) -> Leaves:
    """The leaves at an attribute, or below it; indices do not count: blocks are lists."""
    return {at: value for at, value in side.items() if _is_under(at, path)}


def _is_under(at: Path, path: str) -> bool:
    named = _named(at)
    return named == path or named.startswith(f"{path}.")


def _named(at: Path) -> str:
    return ".".join(part for part in at if isinstance(part, str))


def _falls(before: Leaves, after: Leaves, *, none: float) -> bool:
    """True where any is less than before, and for a text that is no number.

    The smallest is compared with the smallest: blocks may have no order.
    """
    old, new = ([_number(value, none) for value in side.values()] for side in (before, after))
    if None in old or None in new:
        return True
    size = max(len(old), len(new))
    pairs = zip(*(sorted([*side, *[none] * (size - len(side))]) for side in (old, new)), strict=True)  # type: ignore[type-var]
    return any(two < one for one, two in pairs)


def _number(value: Any, none: float) -> float | None:
    if value in (None, "", 0, False):
        return none
    if isinstance(value, (int, float)):
        return float(value)
    text = _NUMBER.fullmatch(value) if isinstance(value, str) else None
    return float(text[1]) or none if text else None


def _count_on(side: Leaves) -> int:
    return sum(str(value).lower() in _ON for value in side.values())
