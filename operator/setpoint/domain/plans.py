"""Owns what a Terraform plan means: which resources differ and why, the content that is approved, its digest. Pure.

Input is one `terraform show -json` document (format 1.2) of a normal plan. Exit codes are never looked at: they lie
(hashicorp/terraform#36403, #37406). The rules are those of docs/explanation/drift.md.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from setpoint.api.v1alpha1.change import ActionSummary, ChangeSummary
from setpoint.api.v1alpha1.environment import IgnoreRule
from setpoint.domain.digests import canonical, digest
from setpoint.domain.model import DriftClass, Finding
from setpoint.domain.plan_causes import Causes, classify_outputs, classify_resources
from setpoint.domain.plan_changes import OutputChange, ResourceChange, read_outputs, read_resources
from setpoint.domain.plan_values import Path, write_path

_VERSION = 1
_MAX_ACTIONS = 50
_MAX_PATHS = 20
_SCRYPT = {"n": 2**12, "r": 8, "p": 1, "dklen": 32}


@dataclasses.dataclass(frozen=True, slots=True)
class PlanAnalysis:
    """What a plan comes to.

    `content` (rule 18) holds secrets in clear and is sealed before it is stored; None where nothing would change
    but what is ignored or informational. `actions` is all that Terraform would do, ignored or not (rule 16).
    """

    findings: tuple[Finding, ...]
    content: Mapping[str, Any] | None
    content_digest: str | None
    actions: tuple[ActionSummary, ...]
    summary: ChangeSummary
    complete: bool
    errored: bool


def analyse_plan(document: Mapping[str, Any], ignore: Sequence[IgnoreRule] = ()) -> PlanAnalysis:
    """Classifies every difference. Raises InvalidError, naming the path, for what is no plan."""
    changes = read_resources(document, "resource_changes")
    drift = read_resources(document, "resource_drift")
    causes = Causes.of(document)
    findings = classify_resources(changes, drift, causes, functools.partial(ignored_paths, rules=ignore))
    outputs = read_outputs(document)
    classes = classify_outputs(outputs, findings, causes)
    findings += tuple(
        Finding(f"output.{output.name}", classes[output.name], output.verb, ()) for output in outputs if output.acts
    )
    content = _content(changes, findings, [o for o in outputs if classes.get(o.name) in _BINDING], ignore)
    actions = tuple(_summarise(change, findings) for change in changes if change.acts)
    return PlanAnalysis(
        findings=findings,
        content=content,
        content_digest=_digest(content, changes, outputs) if content else None,
        actions=actions,
        summary=_count(actions, [output for output in outputs if output.acts]),
        complete=bool(document.get("complete", True)),
        errored=bool(document.get("errored", False)),
    )


_BINDING = {DriftClass.ACTIONABLE, DriftClass.PENDING, DriftClass.CASCADE}


def ignored_paths(change: ResourceChange, *, rules: Sequence[IgnoreRule]) -> frozenset[Path] | None:
    """The differing paths that the rules ignore; None where they ignore the whole resource."""
    mine = [rule for rule in rules if _matches(rule.address, change.address)]
    if any(not rule.paths for rule in mine):
        return None
    wanted = {path for rule in mine for path in rule.paths}
    return frozenset(path for path in change.differing if _is_under(path, wanted))


def _is_under(path: Path, wanted: Collection[str]) -> bool:
    """True where a path is one of those named, or lies below it; `a[0].b` is found under `a`, `a[0]` and itself."""
    return any(write_path(path[:length]) in wanted for length in range(1, len(path) + 1))


def _matches(pattern: str, address: str) -> bool:
    """`*` matches any run of characters, and nothing else is special. Linear in the address for each star."""
    first, *rest = pattern.split("*")
    if not rest:
        return address == pattern
    if not address.startswith(first):
        return False
    at = len(first)
    for part in rest[:-1]:
        at = address.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return len(address) - len(rest[-1]) >= at and address.endswith(rest[-1])


# --- The content that is approved ---------------------------------------------------------------------------------


def _content(
    changes: Sequence[ResourceChange],
    findings: Sequence[Finding],
    outputs: Sequence[OutputChange],
    ignore: Sequence[IgnoreRule],
) -> dict[str, Any] | None:
    binding = {f.address for f in findings if not f.ignored and f.drift_class in _BINDING}
    listed = [_describe(change, ignore) for change in changes if change.acts and change.address in binding]
    acting = {output.name: output.described for output in outputs if output.acts}
    if not listed and not acting:
        return None
    listed.sort(key=lambda one: (one["address"], one["deposed"]))
    return {"version": _VERSION, "changes": listed, "outputs": acting}


def _describe(change: ResourceChange, ignore: Sequence[IgnoreRule]) -> dict[str, Any]:
    left_out = ignored_paths(change, rules=ignore) or frozenset()
    paths = [path for path in change.differing if path not in left_out]
    return {
        "address": change.address,
        "previousAddress": change.previous_address,
        "deposed": change.deposed,
        "actions": list(change.actions),
        "importing": change.importing,
        "replacePaths": sorted(change.replace_paths),
        "unknown": sorted(write_path(path) for path in change.unknown if path not in left_out),
        "before": {write_path(path): change.before[path] for path in paths if path in change.before},
        "after": {write_path(path): change.after[path] for path in paths if path in change.after},
    }


def _digest(content: Mapping[str, Any], changes: Sequence[ResourceChange], outputs: Sequence[OutputChange]) -> str:
    """Of the content with its sensitive leaves put through a slow hash.

    The digest is public and the same on every machine, so nothing secret can key it; the cost of scrypt (RFC 7914)
    is what keeps a short secret from being guessed from it.
    """
    masked = {(change.address, change.deposed): change.sensitive for change in changes}
    hidden = [
        {
            **entry,
            **{
                side: {
                    path: _harden(entry["address"], path, value)
                    if path in masked[entry["address"], entry["deposed"]]
                    else value
                    for path, value in entry[side].items()
                }
                for side in ("before", "after")
            },
        }
        for entry in content["changes"]
    ]
    sensitive = {output.name for output in outputs if output.sensitive}
    shown = {
        name: {key: _harden(name, key, value) for key, value in output.items()} if name in sensitive else output
        for name, output in content["outputs"].items()
    }
    return digest({**content, "changes": hidden, "outputs": shown})


def _harden(address: str, path: str, value: Any) -> dict[str, str]:
    salt = canonical([address, path])
    return {"$scrypt": hashlib.scrypt(canonical(value), salt=salt, **_SCRYPT).hex()}


def differing_paths(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, ...]:
    """Where two contents differ, as `address: path`, for people who must tell Setpoint what to ignore."""
    left, right = _by_address(one), _by_address(other)
    found = set()
    for address in left.keys() | right.keys():
        values, others = left.get(address), right.get(address)
        if values is None or others is None:
            found.add(address)
        else:
            found |= {
                f"{address}: {path}" for path in values.keys() | others.keys() if values.get(path) != others.get(path)
            }
    return tuple(sorted(found))


def _by_address(content: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        entry["address"]: {
            path: (entry["before"].get(path), entry["after"].get(path)) for path in {*entry["before"], *entry["after"]}
        }
        for entry in content["changes"]
    }


# --- For people ---------------------------------------------------------------------------------------------------


def _summarise(change: ResourceChange, findings: Sequence[Finding]) -> ActionSummary:
    classes = {finding.drift_class for finding in findings if finding.address == change.address}
    order = (DriftClass.ACTIONABLE, DriftClass.PENDING, DriftClass.CASCADE, DriftClass.INFORMATIONAL)
    cause = next((kind for kind in order if kind in classes), DriftClass.PENDING)
    shown = list(dict.fromkeys(write_path(path)[:512] for path in change.differing))[:_MAX_PATHS]
    return ActionSummary.model_validate(
        {"address": change.address, "action": change.verb, "paths": shown, "cause": cause.value}
    )


def _count(actions: Sequence[ActionSummary], outputs: Sequence[OutputChange]) -> ChangeSummary:
    tally = {
        verb: sum(action.action == verb for action in actions) for verb in ("create", "update", "delete", "replace")
    }
    other = len(actions) - sum(tally.values()) + len(outputs)
    text = f"+{tally['create'] + tally['replace']} ~{tally['update']} -{tally['delete'] + tally['replace']}"
    return ChangeSummary(**tally, other=other, actions=list(actions[:_MAX_ACTIONS]), text=text)
