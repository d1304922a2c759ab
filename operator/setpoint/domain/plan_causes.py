"""Owns telling why a resource differs: drift, a new configuration, or another difference (rules 14 to 16). Pure."""

import dataclasses
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from setpoint.domain.model import DriftClass, Finding
from setpoint.domain.plan_changes import OutputChange, ResourceChange
from setpoint.domain.plan_values import MAX_DEPTH, Path, write_path

IgnoredPaths = Callable[[ResourceChange], frozenset[Path] | None]

_INDEX = re.compile(r"\[(?:\d+|\"(?:[^\"\\]|\\.)*\")\]")
_TRIGGERED = "replace_by_triggers"


@dataclasses.dataclass(frozen=True, slots=True)
class Causes:
    """What refers to what in the configuration, by address without instance keys.

    `references` maps a resource to its attributes and what each refers to; `outputs` a root output likewise;
    `relevant` are the resources whose outside change Terraform found to contribute (`relevant_attributes`).
    """

    references: Mapping[str, Mapping[str, frozenset[str]]]
    outputs: Mapping[str, frozenset[str]]
    relevant: frozenset[str]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Causes":
        """Reads a plan's configuration; what does not look like one refers to nothing."""
        root = _get(_get(document, "configuration"), "root_module")
        found = _get(root, "outputs")
        relevant = document.get("relevant_attributes")
        listed = relevant if isinstance(relevant, list) else []
        return cls(
            references=dict(_walk_modules(root, "", 0)),
            outputs={name: frozenset(_references(_get(_get(found, name), "expression"), "", 0)) for name in found},
            relevant=frozenset(_bare(str(_get(item, "resource", default=""))) for item in listed),
        )


def classify_resources(
    changes: Sequence[ResourceChange], drift: Sequence[ResourceChange], causes: Causes, ignored: IgnoredPaths
) -> tuple[Finding, ...]:
    """A finding for each way in which a resource differs, in the order of addresses.

    A resource that drifted and has a new configuration, too, has two: drift never hides what is pending, nor the
    other way round.
    """
    drifted = {change.address: change for change in drift}
    acting = {change.address: change for change in changes if change.acts}
    found = [
        finding for change in acting.values() for finding in _explain(change, drifted.get(change.address), ignored)
    ]
    found += [_informational(change, ignored) for change in drift if change.address not in acting]
    moved = {_bare(f.address) for f in found if f.drift_class is DriftClass.ACTIONABLE}
    return tuple(sorted(_cascade(found, acting, causes, moved), key=lambda f: (f.address, f.drift_class)))


def _explain(change: ResourceChange, drift: ResourceChange | None, ignored: IgnoredPaths) -> Iterator[Finding]:
    left_out = ignored(change)
    counted = [path for path in change.differing if left_out is not None and path not in left_out]
    whole = change.verb != "update" and left_out is not None
    quiet = left_out is None or (not counted and not whole)
    paths = tuple(write_path(path) for path in (counted or change.differing))
    restored = _restored(change, drift)
    if drift is None or not restored:
        yield _finding(change, DriftClass.PENDING, paths, ignored=quiet)
        return
    yield _finding(change, DriftClass.ACTIONABLE, paths, ignored=quiet)
    fresh = [path for path in counted if path not in restored and path not in change.unknown]
    if fresh and drift.verb != "delete":
        yield _finding(change, DriftClass.PENDING, tuple(map(write_path, fresh)), ignored=False)


def _restored(change: ResourceChange, drift: ResourceChange | None) -> frozenset[Path]:
    """The differing paths that would get back what the state recorded; all of them where the resource was gone."""
    if drift is None:
        return frozenset()
    if drift.verb == "delete":
        return frozenset(change.differing)
    return frozenset(
        path
        for path in change.differing
        if path in drift.differing and drift.before.get(path) == change.after.get(path)
    ) or _overlap(change, drift)


def _overlap(change: ResourceChange, drift: ResourceChange) -> frozenset[Path]:
    """A drifted path that gets a value other than the recorded one still loses what someone wrote there."""
    return frozenset(path for path in change.differing if path in drift.differing and path not in change.unknown)


def _informational(drift: ResourceChange, ignored: IgnoredPaths) -> Finding:
    left_out = ignored(drift)
    counted = [path for path in drift.differing if left_out is not None and path not in left_out]
    quiet = left_out is None or (bool(drift.differing) and not counted)
    return _finding(drift, DriftClass.INFORMATIONAL, tuple(map(write_path, drift.differing)), ignored=quiet)


def _finding(change: ResourceChange, kind: DriftClass, paths: tuple[str, ...], *, ignored: bool) -> Finding:
    return Finding(change.address, kind, change.verb, paths, ignored=ignored, resource_type=change.type)


# --- Cascades -----------------------------------------------------------------------------------------------------


def _cascade(
    found: Sequence[Finding], acting: Mapping[str, ResourceChange], causes: Causes, moved: set[str]
) -> list[Finding]:
    """Pending changes that only follow from a drifted resource, and those that follow from these, and so on."""
    settled, open_ = [f for f in found if f.drift_class is not DriftClass.PENDING], []
    open_ = [f for f in found if f.drift_class is DriftClass.PENDING]
    while True:
        follows = [f for f in open_ if _follows(acting[f.address], causes, moved)]
        if not follows:
            return settled + open_
        moved |= {_bare(f.address) for f in follows}
        settled += [dataclasses.replace(f, drift_class=DriftClass.CASCADE) for f in follows]
        open_ = [f for f in open_ if f not in follows]


def _follows(change: ResourceChange, causes: Causes, moved: Collection[str]) -> bool:
    """True where every attribute that differs by configuration refers to something that moved."""
    if change.verb not in {"update", "replace"} or not moved:
        return False
    if change.reason == _TRIGGERED:
        return bool(causes.relevant & set(moved))
    references = causes.references.get(_bare(change.address), {})
    configured = {str(path[0]) for path in change.differing if path and str(path[0]) in references}
    return bool(configured) and all(_refers(references[name], moved) for name in configured)


def _refers(references: Collection[str], moved: Collection[str]) -> bool:
    return any(reference == one or one.startswith(f"{reference}.") for reference in references for one in moved)


def classify_outputs(
    outputs: Sequence[OutputChange], findings: Sequence[Finding], causes: Causes
) -> dict[str, DriftClass]:
    """An output that a drift explains has that drift's class; the others are pending."""
    order = (DriftClass.ACTIONABLE, DriftClass.CASCADE, DriftClass.INFORMATIONAL)
    moved = {kind: {_bare(f.address) for f in findings if f.drift_class is kind} for kind in order}
    classes = {}
    for output in outputs:
        references = causes.outputs.get(output.name, frozenset())
        kinds = (kind for kind in order if _refers(references, moved[kind]))
        classes[output.name] = next(kinds, DriftClass.PENDING)
    return classes


# --- Reading the configuration ------------------------------------------------------------------------------------


def _walk_modules(module: Any, prefix: str, depth: int) -> Iterator[tuple[str, dict[str, frozenset[str]]]]:
    if depth > MAX_DEPTH:
        return
    resources = _get(module, "resources", default=[])
    for resource in resources if isinstance(resources, list) else []:
        expressions = _get(resource, "expressions")
        named = {name: frozenset(_references(expression, prefix, 0)) for name, expression in expressions.items()}
        yield prefix + str(_get(resource, "address", default="")), named
    for name, call in _get(module, "module_calls").items():
        yield from _walk_modules(_get(call, "module"), f"{prefix}module.{name}.", depth + 1)


def _references(expression: Any, prefix: str, depth: int) -> Iterator[str]:
    """What an expression refers to, however deep in its blocks, as addresses without instance keys."""
    if depth > MAX_DEPTH:
        return
    if isinstance(expression, Mapping):
        listed = expression.get("references")
        yield from (prefix + _bare(str(one)) for one in (listed if isinstance(listed, list) else []))
        for key, inner in expression.items():
            if key not in {"references", "constant_value"}:
                yield from _references(inner, prefix, depth + 1)
    elif isinstance(expression, list):
        for inner in expression:
            yield from _references(inner, prefix, depth + 1)


def _bare(address: str) -> str:
    """An address without instance keys: `module.a["x"].t.n[0]` is `module.a.t.n` in the configuration."""
    return _INDEX.sub("", address)


def _get(value: Any, key: str, *, default: Any = None) -> Any:
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if found is not None else {} if default is None else default
