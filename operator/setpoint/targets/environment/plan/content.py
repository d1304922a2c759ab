"""Owns what of a plan is approved: the content, its digest, where two contents differ. Pure.

A digest is public, and so is a content's shown part. What is sensitive enters the digest through a commitment that
is keyed by the home, since a PIN could be guessed from any hash that everybody can compute.
"""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from setpoint.domain.digests import canonical
from setpoint.domain.scrubbing import Scrubber
from setpoint.domain.shown_content import ShownContent, write_lines
from setpoint.domain.value_paths import Path, write_path
from setpoint.targets.environment.plan.changes import PlannedChange, boundaries

Commit = Callable[[bytes], str]
"""Binds to bytes without telling anything about them to those who lack the home's key."""

_ADDRESS, _IMPORT = "(address)", "(import)"
"""The places of the address, and of what an import names, among what is sensitive, when they hold a secret."""
_WHAT = ("previousAddress", "actions", "reason", "importing", "replacePaths")
_GRAVITY = ("delete", "forget", "create", "update", "no-op", "read")
"""Actions that take something away stand first, as do replacements, which begin with or hold a delete."""
_INDEX = re.compile(r"\[(\d+)\]")


def describe(
    changes: Sequence[PlannedChange],
    ignored: Mapping[tuple[str, str, str], frozenset[Path]],
    secrets: Scrubber,
    known: Scrubber,
) -> dict[str, Any]:
    """The content of changes that are in their canonical order; `ignored` are the paths of each that are left out.

    `secrets` finds what values must not show, `known` what addresses must not. Holds secrets in clear, apart from the
    rest: under `sensitive`, by the path that may be shown.
    """
    return {"changes": [_describe(change, ignored.get(change.key, frozenset()), secrets, known) for change in changes]}


def _describe(change: PlannedChange, left_out: frozenset[Path], secrets: Scrubber, known: Scrubber) -> dict[str, Any]:
    hidden = boundaries(change.values, secrets)
    paths = [path for path in change.values.paths if path not in left_out]
    by_boundary: dict[str, list[Path]] = {}
    for path in paths:
        if path in hidden:
            by_boundary.setdefault(write_path(hidden[path]), []).append(path)
    address, previous = known.address(change.address), known.address(change.previous_address)
    sensitive = {boundary: _values(change, found) for boundary, found in sorted(by_boundary.items())}
    if (address, previous) != (change.address, change.previous_address):
        addresses = {"before": {"": change.previous_address or change.address}, "after": {"": change.address}}
        sensitive[_ADDRESS] = {**addresses, "unknown": []}
    importing = known.scrub_values(dict(change.importing or {}))
    if importing != (change.importing or {}):
        sensitive[_IMPORT] = {"before": {}, "after": dict(change.importing or {}), "unknown": []}
    return {
        "kind": change.kind,
        "address": address,
        "previousAddress": previous,
        "deposed": change.deposed,
        "actions": list(change.actions),
        "reason": change.reason,
        "importing": importing,
        "replacePaths": [known.scrub(path) for path in change.replace_paths],
        **_values(change, [path for path in paths if path not in hidden]),
        "sensitive": sensitive,
    }


def _values(change: PlannedChange, paths: Sequence[Path]) -> dict[str, Any]:
    values = change.values
    return {
        "before": {write_path(path): values.before[path] for path in paths if path in values.before},
        "after": {write_path(path): values.after[path] for path in paths if path in values.after},
        "unknown": [write_path(path) for path in paths if path in values.unknown],
    }


# --- The shown part, and the digest ---------------------------------------------------------------------------------


def show(content: Mapping[str, Any], commit: Commit) -> ShownContent:
    """The part that may be shown, with the commitment to the rest; its digest names the content.

    The shown part is committed to as well, so that equal secrets in different changes do not look alike.
    """
    entries = sorted(content["changes"], key=_order)
    shown = ShownContent(write_lines(itertools.chain.from_iterable(map(_records, entries))))
    sealed = [entry["sensitive"] for entry in entries]
    if not any(sealed):
        return shown
    return ShownContent(shown.lines, commit(canonical({"shown": shown.digest, "sealed": sealed})))


def _order(entry: Mapping[str, Any]) -> tuple[bool, int, str, str]:
    gravest = min(map(_GRAVITY.index, entry["actions"]), default=len(_GRAVITY))
    return entry["kind"] == "output", gravest, entry["address"], entry["deposed"]


def _records(entry: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    named = ("kind", "address", "actions", "previousAddress", "deposed", "reason", "importing", "replacePaths")
    yield {name: entry[name] for name in named if entry[name]}
    yield from sorted((*_clear(entry), *_hidden(entry)), key=lambda record: _by_index(record["path"]))


def _clear(entry: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    before, after, unknown = entry["before"], entry["after"], frozenset(entry["unknown"])
    for path in {*before, *after, *unknown}:
        record = {"path": path}
        record |= {name: side[path] for name, side in (("before", before), ("after", after)) if path in side}
        yield record | ({"unknown": True} if path in unknown else {})


def _hidden(entry: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for path, found in entry["sensitive"].items():
        yield {"path": path, "sensitive": [side for side in ("before", "after", "unknown") if _stands(found[side])]}


def _by_index(path: str) -> tuple[str, str]:
    """Puts `[10]` behind `[9]`."""
    return _INDEX.sub(lambda match: f"[{match[1]:0>9}]", path), path


def _stands(side: Mapping[str, Any] | Sequence[str]) -> bool:
    """True where anything but null stands on a side of what is sensitive."""
    return any(value is not None for value in (side.values() if isinstance(side, Mapping) else side))


def differing_paths(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, ...]:
    """Differences of two contents, as `address: path`, for people who must tell Setpoint what to ignore."""
    left, right = _by_key(one), _by_key(other)
    found: set[str] = set()
    for key in left.keys() | right.keys():
        found |= set(_compare(key[1], left.get(key), right.get(key)))
    return tuple(sorted(found))


def _by_key(content: Mapping[str, Any]) -> dict[tuple[str, str, str], Mapping[str, Any]]:
    return {(entry["kind"], entry["address"], entry["deposed"]): entry for entry in content["changes"]}


def _compare(address: str, one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> Iterator[str]:
    if one is None or other is None:
        yield address
        return
    if any(one[name] != other[name] for name in _WHAT):
        yield address
    left, right = _by_path(one), _by_path(other)
    # Compared as canonical bytes, as the digest is made: 1 and true are not the same.
    differing = (path for path in left.keys() | right.keys() if canonical(left.get(path)) != canonical(right.get(path)))
    yield from (f"{address}: {path}" if path else address for path in differing)


def _by_path(entry: Mapping[str, Any]) -> dict[str, Any]:
    shown = {
        path: [[path in entry[side], entry[side].get(path)] for side in ("before", "after")]
        + [path in entry["unknown"]]
        for path in {*entry["before"], *entry["after"], *entry["unknown"]}
    }
    return {**shown, **entry["sensitive"]}
