"""Owns finding every text that a plan marks as sensitive, in whatever part of it. Pure.

A text under a mask is a secret wherever it stands. Masks get lost: on the way through a provider (from `input` to
`output` of a `terraform_data`), and by `nonsensitive()`. So the masks of what stays as it is count too: those of
resources, data sources and outputs in the state, and those of variables.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from setpoint.domain.scrubbing import NO_SECRETS, Scrubber
from setpoint.domain.value_paths import Leaves, Path, cover_of, leaves, true_paths
from setpoint.targets.environment.plan.changes import PlannedChange


def hidden_texts(document: Mapping[str, Any], changes: Collection[PlannedChange]) -> frozenset[str]:
    """Every text under a mask of these changes, of the state before them, or of a variable."""
    found: set[str] = set()
    for change in changes:
        found.update(_covered(change.values.before, change.values.masks))
        found.update(_covered(change.values.after, change.values.masks))
    state = _map(_map(document.get("prior_state")).get("values"))
    return frozenset(found.union(_of_state(state), _of_variables(document)))


def secrets_in(changes: Collection[PlannedChange], known: Scrubber) -> Scrubber:
    """A scrubber for the secrets in what differs of these changes; an empty one where none stands outside of masks."""
    return known if known and known.finds("\0".join(_shown_texts(changes))) else NO_SECRETS


def _shown_texts(changes: Collection[PlannedChange]) -> Iterator[str]:
    """The paths and values that differ and stand under no mask."""
    for change in changes:
        for path in change.values.paths:
            if cover_of(path, change.values.masks) is None:
                yield from (part for part in path if isinstance(part, str))
                yield from map(str, change.values.values(path))


def _of_state(state: Mapping[str, Any]) -> Iterator[str]:
    for output in map(_map, _map(state.get("outputs")).values()):
        if output.get("sensitive") is True:
            yield from _covered(leaves(output.get("value")), {()})
    modules = [_map(state.get("root_module"))]
    while modules:
        module = modules.pop()
        modules += map(_map, _list(module.get("child_modules")))
        for resource in map(_map, _list(module.get("resources"))):
            masks = true_paths(resource.get("sensitive_values"))
            if masks:
                yield from _covered(leaves(resource.get("values")), masks)


def _of_variables(document: Mapping[str, Any]) -> Iterator[str]:
    declared = _map(_map(_map(document.get("configuration")).get("root_module")).get("variables"))
    given = _map(document.get("variables"))
    for name, variable in declared.items():
        if _map(variable).get("sensitive") is True:
            yield from _covered(leaves(_map(given.get(name)).get("value")), {()})


def _covered(values: Leaves, masks: Collection[Path]) -> Iterator[str]:
    for path, value in values.items() if masks else ():
        if isinstance(value, str) and cover_of(path, masks) is not None:
            yield value


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
