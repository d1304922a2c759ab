"""Owns what of drift is put back, and which drift is none: it is written otherwise, or declared beside. Pure."""

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from setpoint.domain.value_paths import Path
from setpoint.targets.environment.plan.changes import PlannedChange, is_same
from setpoint.targets.environment.plan.meaning import alike_paths, is_empty, meaning, reordered_attributes
from setpoint.targets.environment.plan.references import References, bare

_Key = tuple[str, str, str]
_Given = set[tuple[str, Hashable]]
_NAMES = ("id", "name", "arn")
"""The attributes by which others name a resource, where a reference is to all of it."""


def restored_paths(change: PlannedChange, drift: PlannedChange) -> frozenset[Path]:
    """The paths that get back what the state recorded; where one gets another value, that comes from elsewhere."""
    recorded, planned = drift.values, change.values
    known = [path for path in {*planned.paths, *recorded.paths} if not planned.shows_unknown(path)]
    names = {path[0] for path in known if path}
    reordered = reordered_attributes(names, recorded.old, planned.new)
    alike = alike_paths(known, recorded.old, planned.new, planned.unknown)
    return frozenset(
        path
        for path in known
        if is_same(recorded.before, planned.after, path) or (path in alike and path[0] not in reordered)
    )


def reordered_paths(change: PlannedChange) -> frozenset[Path]:
    """The paths of attributes that a change only puts into another order."""
    values = change.values
    reordered = reordered_attributes({path[0] for path in values.alike}, values.old, values.new)
    return frozenset(path for path in values.alike if path[0] in reordered)


# --- Drift that nobody caused -------------------------------------------------------------------------------------


def find_untouched(
    changes: Sequence[PlannedChange], drift: Sequence[PlannedChange], references: References
) -> frozenset[tuple[str, str, str]]:
    """The resources that are as they were recorded, though a provider answers otherwise than when they were made.

    It writes null for what is empty, or shows at one resource what another one declares: a role has the roles that
    grants of the configuration gave it later.
    """
    updated = [change for change in drift if change.verb == "update"]
    found = {change.key for change in updated if not change.values.telling}
    open_ = [change for change in updated if change.key not in found]
    moved = {change.key for change in drift}.difference(found)
    still = [change for change in changes if not change.acts and change.key not in moved]
    by_named = _by_named(still, {bare(change.address) for change in open_}, references) if open_ else {}
    return frozenset(found | {change.key for change in open_ if _is_declared(change, by_named, references)})


def _by_named(still: Iterable[PlannedChange], drifted: Collection[str], references: References) -> dict[_Key, _Given]:
    """The texts that resources give, by the drifted one that they name: its address, an attribute and that one's value.

    Only what stays as it is counts: what changes says nothing about what is there.
    """
    found: dict[_Key, _Given] = {}
    for change in still:
        for attribute, names in references.attributes.get(bare(change.address), {}).items():
            value = _text_at(change, attribute)
            sources = references.sources(names) if value else frozenset()
            for address, named in sources:
                if address in drifted:
                    found.setdefault((address, named, value), set()).update(_texts(change, attribute))
    return found


def _texts(change: PlannedChange, without: str) -> Iterator[tuple[str, Hashable]]:
    for name in change.values.new if isinstance(change.values.new, dict) else ():
        if name != without and (text := _text_at(change, name)):
            yield name, meaning(text)


def _text_at(change: PlannedChange, name: str) -> str:
    value = _of(change.values.new, name)
    return value if isinstance(value, str) else ""


def _of(side: Any, name: str) -> Any:
    return side.get(name) if isinstance(side, dict) else None


def _is_declared(drift: PlannedChange, by_named: Mapping[_Key, _Given], references: References) -> bool:
    """True where all that is new stands in attributes that nothing configures, and others give this resource that."""
    address = bare(drift.address)
    configured = references.attributes.get(address)
    names = {str(path[0]) if path else "" for path in drift.values.telling}
    if configured is None or not names.isdisjoint(configured) or not isinstance(drift.values.new, dict):
        return False
    keys = [(address, name, _text_at(drift, name)) for name in drift.values.new]
    keys += [(address, "", _text_at(drift, name)) for name in _NAMES]
    given: _Given = set().union(*(by_named.get(key, ()) for key in keys))
    return bool(given) and all(
        _is_given(_of(drift.values.old, name), _of(drift.values.new, name), name, given) for name in names
    )


def _is_given(old: Any, new: Any, name: str, given: _Given) -> bool:
    """True where a text that was absent, or each text that a list did not hold, is given; and nothing is taken away."""
    if isinstance(new, str):
        return is_empty(old) and (name, meaning(new)) in given
    before = [] if is_empty(old) else old
    if not isinstance(new, list) or not isinstance(before, list) or not all(isinstance(item, str) for item in new):
        return False
    texts = {text for _, text in given}
    had, has = {meaning(item) for item in before}, {meaning(item) for item in new}
    return had <= has and has - had <= texts
