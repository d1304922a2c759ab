"""Owns what of a plan is approved: the content (rule 18), its digest, where two contents differ. Pure.

A digest is public and the same on every machine, so nothing secret can key it. What is sensitive enters it through a
slow hash instead (scrypt, RFC 7914), all of it at once: to guess one secret, one must know all the others, and each
guess costs 16 MiB and tens of milliseconds.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from setpoint.domain.digests import canonical, digest
from setpoint.domain.plan_changes import PlannedChange, boundaries
from setpoint.domain.plan_values import Path, write_path

_VERSION = 1
_SCRYPT = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}
_WHAT = ("previousAddress", "actions", "importing", "replacePaths")


def describe(
    changes: Sequence[PlannedChange], ignored: Mapping[tuple[str, str, str], frozenset[Path]], secrets: Collection[str]
) -> dict[str, Any]:
    """The content of changes that are in their canonical order; `ignored` are the paths of each that are left out.

    Holds secrets in clear, apart from the rest: under `sensitive`, by the path that may be shown.
    """
    return {
        "version": _VERSION,
        "changes": [_describe(change, ignored.get(change.key, frozenset()), secrets) for change in changes],
    }


def _describe(change: PlannedChange, left_out: frozenset[Path], secrets: Collection[str]) -> dict[str, Any]:
    hidden = boundaries(change.values, secrets)
    paths = [path for path in change.values.paths if path not in left_out]
    by_boundary: dict[str, list[Path]] = {}
    for path in paths:
        if path in hidden:
            by_boundary.setdefault(write_path(hidden[path]), []).append(path)
    return {
        "kind": change.kind,
        "address": change.address,
        "previousAddress": change.previous_address,
        "deposed": change.deposed,
        "actions": list(change.actions),
        "importing": dict(change.importing or {}),
        "replacePaths": list(change.replace_paths),
        **_values(change, [path for path in paths if path not in hidden]),
        "sensitive": {boundary: _values(change, found) for boundary, found in sorted(by_boundary.items())},
    }


def _values(change: PlannedChange, paths: Sequence[Path]) -> dict[str, Any]:
    values = change.values
    return {
        "before": {write_path(path): values.before[path] for path in paths if path in values.before},
        "after": {write_path(path): values.after[path] for path in paths if path in values.after},
        "unknown": [write_path(path) for path in paths if path in values.unknown],
    }


def content_digest(content: Mapping[str, Any]) -> str:
    """`sha256:<hex>` that changes with anything in the content and gives away nothing that is sensitive."""
    sealed = [entry["sensitive"] for entry in content["changes"]]
    shown = {**content, "changes": [{**entry, "sensitive": sorted(entry["sensitive"])} for entry in content["changes"]]}
    if not any(sealed):
        return digest(shown)
    salt = hashlib.sha256(canonical(shown)).digest()
    return digest({"shown": shown, "sealed": hashlib.scrypt(canonical(sealed), salt=salt, **_SCRYPT).hex()})


def differing_paths(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, ...]:
    """Where two contents differ, as `address: path`, for people who must tell Setpoint what to ignore (rule 19)."""
    left, right = _by_key(one), _by_key(other)
    found = {name for key in left.keys() | right.keys() for name in _compare(key[1], left.get(key), right.get(key))}
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
