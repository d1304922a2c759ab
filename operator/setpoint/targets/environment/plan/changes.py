"""Owns reading the changes out of a plan document, which comes from outside: a misfit is refused by path. Pure."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any, Literal

from setpoint.domain.errors import InvalidError
from setpoint.domain.scrubbing import Scrubber
from setpoint.domain.value_paths import Leaves, Path, check_text, cover_of, leaves, true_paths, write_path
from setpoint.targets.environment.plan.meaning import alike_paths

Verb = Literal["create", "update", "delete", "replace", "forget", "import", "move", "none"]
Kind = Literal["resource", "output"]

_IDLE = {("no-op",), ("read",), ()}
_WORDS: Mapping[str, Verb] = {"create": "create", "update": "update", "delete": "delete"}
_KNOWN = frozenset({"no-op", "read", "create", "update", "delete", "forget"})
_DEFERRED = frozenset({"read_because_config_unknown", "read_because_dependency_pending"})
_MAX_ADDRESS = 1024
_MISSING = object()


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """The differences between two values; leaves by path, secrets in clear.

    `unknown` are the paths that only the apply will tell; `paths` all that differ, which an unknown one does: nothing
    says that it will not. `masks` are the paths that Terraform marks sensitive on either side. `alike` are those of
    `paths` at which both sides mean the same, though they are written otherwise. `old` and `new` are the sides whole.
    """

    before: Leaves = dataclasses.field(repr=False)
    after: Leaves = dataclasses.field(repr=False)
    unknown: frozenset[Path]
    masks: frozenset[Path]
    paths: tuple[Path, ...]
    alike: frozenset[Path] = frozenset()
    old: Any = dataclasses.field(default=None, repr=False)
    new: Any = dataclasses.field(default=None, repr=False)

    @property
    def telling(self) -> tuple[Path, ...]:
        """The paths at which the sides mean something else."""
        return tuple(path for path in self.paths if path not in self.alike)

    def shows_unknown(self, path: Path) -> bool:
        """True where the path's value will only be known after the apply."""
        return cover_of(path, self.unknown) is not None

    def values(self, path: Path) -> tuple[Any, ...]:
        """The values at the path before and after, where there are any."""
        return tuple(side[path] for side in (self.before, self.after) if path in side)


@dataclasses.dataclass(frozen=True, slots=True)
class PlannedChange:
    """One resource instance or root output of a plan. An output's address is `output.NAME`, its value `value`."""

    kind: Kind
    address: str
    actions: tuple[str, ...]
    values: Difference
    type: str = ""
    previous_address: str = ""
    deposed: str = ""
    reason: str = ""
    replace_paths: tuple[str, ...] = ()
    importing: Mapping[str, Any] | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """The key that tells it from all others: a deposed object has the address of the one that took its place."""
        return self.kind, self.address, self.deposed

    @property
    def verb(self) -> Verb:
        """The action, in one word."""
        if "create" in self.actions and len(self.actions) > 1:
            return "replace"
        if self.actions in _IDLE:
            return "import" if self.importing is not None else "move" if self.previous_address else "none"
        return "forget" if "forget" in self.actions else _WORDS.get(self.actions[0], "update")

    @property
    def acts(self) -> bool:
        """True where applying the plan does something to it or to its place in the state."""
        return self.verb != "none"


def read_resources(document: Mapping[str, Any], key: str) -> tuple[PlannedChange, ...]:
    """The managed resources under `resource_changes` or `resource_drift`. Raises InvalidError."""
    items = _typed(document, key, list, "", default=[])
    read = [_resource(_map(item, f"{key}[{index}]"), f"{key}[{index}]") for index, item in enumerate(items)]
    return tuple(sorted((change for change in read if change is not None), key=lambda change: change.key))


def read_deferred(document: Mapping[str, Any]) -> frozenset[str]:
    """The data sources that are read during the apply: what they wait for is unknown, or acts. Raises InvalidError."""
    items = _typed(document, "resource_changes", list, "", default=[])
    maps = [_map(item, f"resource_changes[{index}]") for index, item in enumerate(items)]
    return frozenset(
        _address(item, f"resource_changes[{index}]")
        for index, item in enumerate(maps)
        if item.get("mode") == "data" and item.get("action_reason") in _DEFERRED
    )


def _resource(item: Mapping[str, Any], at: str) -> PlannedChange | None:
    if item.get("mode", "managed") != "managed":
        return None
    change = _typed(item, "change", Mapping, at)
    importing = _typed(change, "importing", Mapping, f"{at}.change", default=None)
    return PlannedChange(
        kind="resource",
        address=_address(item, at),
        actions=_actions(change, f"{at}.change"),
        values=_difference(change, f"{at}.change"),
        type=_text(item, "type", at, default=""),
        previous_address=_text(item, "previous_address", at, default=""),
        deposed=_text(item, "deposed", at, default=""),
        reason=_text(item, "action_reason", at, default=""),
        replace_paths=_replace_paths(change, f"{at}.change"),
        importing=importing and {write_path(path): value for path, value in leaves(importing).items()},
    )


def read_outputs(document: Mapping[str, Any]) -> tuple[PlannedChange, ...]:
    """The root module's outputs. Raises InvalidError."""
    outputs = _typed(document, "output_changes", Mapping, "", default={})
    return tuple(
        _output(check_text(str(name)), _map(outputs[name], f"output_changes.{name}")) for name in sorted(outputs)
    )


def _output(name: str, change: Mapping[str, Any]) -> PlannedChange:
    at = f"output_changes.{name}"
    nested = {key: {"value": change.get(key)} for key in ("after_unknown", "before_sensitive", "after_sensitive")}
    sides = {key: {"value": change[key]} for key in ("before", "after") if change.get(key) is not None}
    return PlannedChange("output", f"output.{name}", _actions(change, at), _difference({**nested, **sides}, at))


def _difference(change: Mapping[str, Any], at: str) -> Difference:
    try:
        unknown = true_paths(change.get("after_unknown"))
        masks = true_paths(change.get("before_sensitive")) | true_paths(change.get("after_sensitive"))
        before, after = leaves(change.get("before")), _known(leaves(change.get("after")), unknown)
    except InvalidError as error:
        raise InvalidError(error.message, field=at) from None
    moved = {path for path in before.keys() | after.keys() if not is_same(before, after, path)}
    paths, old, new = tuple(sorted(moved | unknown, key=write_path)), change.get("before"), change.get("after")
    return Difference(before, after, unknown, masks, paths, alike_paths(paths, old, new, unknown), old, new)


def _known(after: Leaves, unknown: Collection[Path]) -> Leaves:
    """Without the nulls and empty containers that Terraform writes where a value is unknown."""
    if not unknown:
        return after
    above: set[Path] = set()
    for path in unknown:
        above.update(path[:length] for length in range(len(path)))
    return {
        path: value
        for path, value in after.items()
        if cover_of(path, unknown) is None and not (path in above and value in ({}, []))
    }


def is_same(one: Leaves, other: Leaves, path: Path) -> bool:
    """True where a path has the same value in both. True and 1 are not the same.

    Null and absent are, for an attribute; further down, Terraform tells a map without a key from one whose key is null.
    """
    absent = None if len(path) < 2 else _MISSING
    old, new = one.get(path, absent), other.get(path, absent)
    return bool(old == new) and isinstance(old, bool) == isinstance(new, bool)


# --- Secrets ------------------------------------------------------------------------------------------------------


def boundaries(values: Difference, secrets: Scrubber) -> dict[Path, Path]:
    """The differing paths that lead to a secret, each with how far it may be shown."""
    found = {path: _boundary(path, values, secrets) for path in values.paths}
    return {path: boundary for path, boundary in found.items() if boundary is not None}


def _boundary(path: Path, values: Difference, secrets: Scrubber) -> Path | None:
    masked = cover_of(path, values.masks)
    if masked is not None or not secrets:
        return masked
    for length, part in enumerate(path):
        # The first is the attribute's name, which the provider tells everybody.
        if length and isinstance(part, str) and secrets.finds(part):
            return path[:length]
    texts = (str(value) for value in values.values(path) if isinstance(value, (str, int, float)))
    return path if any(secrets.finds(text) for text in texts) else None


# --- Reading what comes from outside ------------------------------------------------------------------------------


def _address(item: Mapping[str, Any], at: str) -> str:
    address = _text(item, "address", at)
    if not 0 < len(address) <= _MAX_ADDRESS:
        msg = f"not between 1 and {_MAX_ADDRESS} characters long"
        raise InvalidError(msg, field=f"{at}.address")
    return address


def _actions(change: Mapping[str, Any], at: str) -> tuple[str, ...]:
    actions = _typed(change, "actions", list, at)
    if not all(isinstance(action, str) and action in _KNOWN for action in actions):
        msg = f"not a list of {', '.join(sorted(_KNOWN))}"
        raise InvalidError(msg, field=f"{at}.actions")
    return tuple(actions)


def _replace_paths(change: Mapping[str, Any], at: str) -> tuple[str, ...]:
    paths = _typed(change, "replace_paths", list, at, default=[])
    if not all(isinstance(path, list) and all(isinstance(part, (str, int)) for part in path) for path in paths):
        msg = "not a list of paths"
        raise InvalidError(msg, field=f"{at}.replace_paths")
    return tuple(sorted(write_path(tuple(path)) for path in paths))


def _text(item: Mapping[str, Any], key: str, at: str, *, default: Any = _MISSING) -> str:
    text: str = _typed(item, key, str, at, default=default)
    return check_text(text)


def _map(value: Any, at: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        msg = "not a map"
        raise InvalidError(msg, field=at)
    return value


def _typed(item: Mapping[str, Any], key: str, kind: type, at: str, *, default: Any = _MISSING) -> Any:
    value = _map(item, at).get(key)
    if value is None and default is not _MISSING:
        return default
    if not isinstance(value, kind):
        msg = f"not a {'map' if kind is Mapping else 'text' if kind is str else kind.__name__}"
        raise InvalidError(msg, field=f"{at}.{key}" if at else key)
    return value
