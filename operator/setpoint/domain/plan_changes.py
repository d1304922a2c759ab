"""Owns reading the changes out of a plan document, which comes from outside: a misfit is refused by path. Pure."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from setpoint.domain.errors import InvalidError
from setpoint.domain.plan_values import Leaves, Path, is_covered, leaves, true_paths, write_path

Verb = Literal["create", "update", "delete", "replace", "forget", "import", "move", "none"]
_IDLE = {("no-op",), ("read",), ()}
_MISSING = object()


@dataclasses.dataclass(frozen=True, slots=True)
class ResourceChange:
    """One resource instance of a plan; values by path, secrets in clear.

    `differing` are the paths whose value moves or becomes unknown, `sensitive` those of them that a mask covers
    (as text, as in the content).
    """

    address: str
    previous_address: str
    deposed: str
    type: str
    actions: tuple[str, ...]
    importing: bool
    reason: str
    replace_paths: tuple[str, ...]
    before: Leaves
    after: Leaves
    unknown: tuple[Path, ...]
    differing: tuple[Path, ...]
    sensitive: frozenset[str]

    @property
    def verb(self) -> Verb:
        """What happens to the resource, in one word."""
        if "delete" in self.actions and "create" in self.actions:
            return "replace"
        if "forget" in self.actions:
            return "replace" if "create" in self.actions else "forget"
        if self.actions in _IDLE:
            return "import" if self.importing else "move" if self.previous_address else "none"
        known: dict[str, Verb] = {"create": "create", "update": "update", "delete": "delete"}
        return known.get(self.actions[0], "update")

    @property
    def acts(self) -> bool:
        """True where applying the plan does something to the resource or to its place in the state."""
        return self.verb != "none"


@dataclasses.dataclass(frozen=True, slots=True)
class OutputChange:
    """One output of a plan. `described` is what the content holds of it."""

    name: str
    actions: tuple[str, ...]
    described: Mapping[str, Any]
    sensitive: bool

    @property
    def acts(self) -> bool:
        """True where the output moves."""
        return self.actions not in _IDLE

    @property
    def verb(self) -> str:
        """What happens to the output."""
        return self.actions[0] if self.actions else "no-op"


def read_resources(document: Mapping[str, Any], key: str) -> tuple[ResourceChange, ...]:
    """The managed resources under `resource_changes` or `resource_drift`."""
    items = _typed(document, key, list, key, default=[])
    read = (_resource(_map(item, f"{key}[{index}]"), f"{key}[{index}]") for index, item in enumerate(items))
    return tuple(change for change in read if change is not None)


def _resource(item: Mapping[str, Any], at: str) -> ResourceChange | None:
    if item.get("mode", "managed") != "managed":
        return None
    change = _typed(item, "change", Mapping, at)
    before, after = leaves(change.get("before")), leaves(change.get("after"))
    unknown = true_paths(change.get("after_unknown"))
    differing = _differing(before, after, unknown)
    masks = {*true_paths(change.get("before_sensitive")), *true_paths(change.get("after_sensitive"))}
    return ResourceChange(
        address=_text(item, "address", at),
        previous_address=_text(item, "previous_address", at, default=""),
        deposed=_text(item, "deposed", at, default=""),
        type=_text(item, "type", at, default=""),
        actions=_actions(change, at),
        importing=bool(change.get("importing")),
        reason=_text(item, "action_reason", at, default=""),
        replace_paths=tuple(sorted(_replace_path(path) for path in change.get("replace_paths") or ())),
        before=before,
        after=after,
        unknown=unknown,
        differing=differing,
        sensitive=frozenset(write_path(path) for path in differing if is_covered(path, masks)),
    )


def _differing(before: Leaves, after: Leaves, unknown: tuple[Path, ...]) -> tuple[Path, ...]:
    """A path that will be known only after the apply differs, too: nothing says that it will not."""
    moved = {path for path in before.keys() | after.keys() if not _same(before, after, path)}
    return tuple(sorted(moved | set(unknown), key=write_path))


def _same(before: Leaves, after: Leaves, path: Path) -> bool:
    """Null and absent are the same; true and 1 are not."""
    old, new = before.get(path), after.get(path)
    return old == new and isinstance(old, bool) == isinstance(new, bool)


def read_outputs(document: Mapping[str, Any]) -> tuple[OutputChange, ...]:
    """The root module's outputs."""
    outputs = _typed(document, "output_changes", Mapping, "output_changes", default={})
    return tuple(_output(name, _map(outputs[name], f"output_changes.{name}")) for name in sorted(outputs))


def _output(name: str, change: Mapping[str, Any]) -> OutputChange:
    actions = _actions(change, f"output_changes.{name}")
    unknown = sorted(write_path(path) for path in true_paths(change.get("after_unknown")))
    described = {
        "actions": list(actions),
        "before": change.get("before"),
        "after": change.get("after"),
        "unknown": unknown,
    }
    masks = (change.get("before_sensitive"), change.get("after_sensitive"))
    return OutputChange(name, actions, described, sensitive=any(true_paths(mask) for mask in masks))


def _actions(change: Mapping[str, Any], at: str) -> tuple[str, ...]:
    actions = _typed(change, "actions", list, at)
    if not all(isinstance(action, str) for action in actions):
        msg = "not a list of words"
        raise InvalidError(msg, field=f"{at}.actions")
    return tuple(actions)


def _replace_path(path: Any) -> str:
    parts = path if isinstance(path, list) else [path]
    return write_path(tuple(part if isinstance(part, (int, str)) else str(part) for part in parts))


def _text(item: Mapping[str, Any], key: str, at: str, *, default: Any = _MISSING) -> str:
    text: str = _typed(item, key, str, at, default=default)
    return text


def _map(value: Any, at: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        msg = "not a map"
        raise InvalidError(msg, field=at)
    return value


def _typed(item: Mapping[str, Any], key: str, kind: type, at: str, *, default: Any = _MISSING) -> Any:
    value = item.get(key)
    if value is None and default is not _MISSING:
        return default
    if not isinstance(value, kind):
        msg = f"not a {'map' if kind is Mapping else kind.__name__}"
        raise InvalidError(msg, field=f"{at}.{key}" if at != key else key)
    return value
