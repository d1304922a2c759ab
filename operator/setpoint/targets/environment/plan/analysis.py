"""Owns what a Terraform plan comes to: findings, actions, the content that is approved. Pure.

Input is one `terraform show -json` document (format 1) of a normal plan. Exit codes are never looked at: they lie
(hashicorp/terraform#36403, #37406). The rules are those of docs/explanation/drift.md.
"""

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from setpoint.api.v1alpha1.change import ActionSummary, ChangeSummary
from setpoint.api.v1alpha1.environment import IgnoreRule
from setpoint.domain.errors import InvalidError
from setpoint.domain.findings import PRECEDENCE, DriftClass, DriftCounts, Finding, count_classes
from setpoint.domain.judged import JudgedChange
from setpoint.domain.scrubbing import NO_SECRETS, Scrubber
from setpoint.domain.shown_content import ShownContent
from setpoint.domain.value_paths import Path, cover_of, write_path
from setpoint.targets.environment.plan import content as plan_content
from setpoint.targets.environment.plan.causes import Reason, explain
from setpoint.targets.environment.plan.changes import (
    PlannedChange,
    boundaries,
    read_deferred,
    read_outputs,
    read_resources,
)
from setpoint.targets.environment.plan.content import differing_paths
from setpoint.targets.environment.plan.ignoring import IgnoreRules
from setpoint.targets.environment.plan.losses import Lost, find_lost
from setpoint.targets.environment.plan.masks import hidden_texts, secrets_in
from setpoint.targets.environment.plan.references import read_references

_MAX_ACTIONS = 50
_MAX_PATHS = 20
_MAX_PATH = 512
_SEVERITY = ("delete", "replace", "forget", "update", "import", "create", "move")
_WHOLE = frozenset({"create", "delete", "forget", "move"})
"""Actions on a resource as a whole: to list its attributes would say nothing."""


@dataclasses.dataclass(frozen=True, slots=True)
class PlanAnalysis:
    """The analysis of a plan.

    `content` holds secrets in clear and is never stored; None where nothing would change but what is
    ignored or informational. `shown` is what of it people see, and all that its digest is computed from. `actions` is
    all that Terraform would do to resources, ignored or not, in the order of addresses. `moved` and
    `imported` are the addresses that are new to the state without anything being made: the configuration before does
    not know them; `lost` is what was deleted outside and is made anew. Addresses are as people may see them, wherever
    they stand; `real_addresses` has those that are not shown as they are, by how they are shown. `judged` are the
    actions for policies, with real addresses. `hidden` knows every secret of the plan.
    """

    findings: tuple[Finding, ...]
    content: Mapping[str, Any] | None = dataclasses.field(repr=False)
    shown: ShownContent | None
    content_digest: str | None
    actions: tuple[ActionSummary, ...]
    summary: ChangeSummary
    counts: DriftCounts
    moved: frozenset[str]
    imported: frozenset[str]
    lost: tuple[Lost, ...]
    judged: tuple[JudgedChange, ...] = dataclasses.field(repr=False)
    real_addresses: Mapping[str, str] = dataclasses.field(repr=False)
    hidden: Scrubber = dataclasses.field(repr=False)
    complete: bool
    errored: bool


def analyse_plan(
    document: Mapping[str, Any],
    ignore: Sequence[IgnoreRule] = (),
    secrets: Scrubber = NO_SECRETS,
    *,
    commit: plan_content.Commit,
) -> PlanAnalysis:
    """Classifies every difference. `secrets` knows values that are secret; Terraform's masks are read as well.

    `commit` binds the digest to what is sensitive. Raises InvalidError, naming the path, for what is no plan.
    """
    _check_format(document)
    rules = IgnoreRules(ignore)
    resources, outputs = read_resources(document, "resource_changes"), read_outputs(document)
    drift = read_resources(document, "resource_drift")
    reasons = explain(resources, drift, outputs, read_deferred(document), read_references(document), rules)
    acting = [change for change in (*resources, *outputs) if change.acts]
    hidden = secrets.with_secrets(hidden_texts(document, (*resources, *drift, *outputs)))
    found = secrets_in((*acting, *drift), hidden)
    chosen = _chosen(acting, reasons)
    left_out = {change.key: rules.paths(change) for change in chosen}
    content = plan_content.describe(chosen, left_out, secrets_in(chosen, hidden), secrets) if chosen else None
    shown = plan_content.show(content, commit) if content else None
    seen = {change.address: secrets.address(change.address) for change in (*acting, *drift)}
    findings = tuple(sorted((_finding(reason, rules, found, seen) for reason in reasons), key=_order))
    classes = _classes(reasons)
    resources = tuple(change for change in acting if change.kind == "resource")
    actions = tuple(_summarise(change, classes[change.key], found, seen) for change in resources)
    return PlanAnalysis(
        findings=findings,
        content=content,
        shown=shown,
        content_digest=shown.digest if shown else None,
        actions=actions,
        summary=_count(actions, sum(change.kind == "output" for change in acting)),
        counts=count_classes(findings),
        moved=frozenset(seen[change.address] for change in acting if change.previous_address),
        imported=frozenset(seen[change.address] for change in acting if change.importing is not None),
        lost=find_lost(acting, drift, seen, hidden),
        judged=tuple(_judged(change, classes[change.key]) for change in resources),
        real_addresses={one: address for address, one in seen.items() if one != address},
        hidden=hidden,
        complete=document.get("complete") is not False,
        errored=document.get("errored") is True,
    )


def _check_format(document: Mapping[str, Any]) -> None:
    if not isinstance(document, Mapping):
        msg = "a plan is a map"
        raise InvalidError(msg)
    version = document.get("format_version", "1.0")
    if not isinstance(version, str) or version.partition(".")[0] != "1":
        msg = "not a format that this version of Setpoint reads; it reads 1.x"
        raise InvalidError(msg, field="format_version")


def differing_contents(one: PlanAnalysis | None, other: PlanAnalysis | None) -> tuple[str, ...]:
    """The places where two plans differ in what would be approved, as `address: path`. None is a quiet plan."""
    contents = [analysis.content if analysis and analysis.content else {"changes": []} for analysis in (one, other)]
    if (one and one.content_digest) == (other and other.content_digest):
        return ()
    return differing_paths(*contents) or ("the plan as a whole",)


def _chosen(acting: Sequence[PlannedChange], reasons: Sequence[Reason]) -> list[PlannedChange]:
    """The changes that are approved: not those that are ignored or only noted."""
    binding = {
        reason.change.key
        for reason in reasons
        if not reason.ignored and reason.drift_class is not DriftClass.INFORMATIONAL
    }
    return [change for change in acting if change.key in binding]


# --- For people ---------------------------------------------------------------------------------------------------


def _finding(reason: Reason, rules: IgnoreRules, secrets: Scrubber, seen: Mapping[str, str]) -> Finding:
    change = reason.change
    paths = reason.paths or change.values.paths
    heard = set(paths) - rules.paths(change)
    return Finding(
        address=seen.get(change.address, change.address),
        drift_class=reason.drift_class,
        action=change.verb,
        paths=_shown(change, heard or paths, secrets),
        ignored=reason.ignored,
        type=change.type,
        deposed=change.deposed,
        follows=change.kind == "output",
    )


def _shown(change: PlannedChange, paths: Collection[Path], secrets: Scrubber) -> tuple[str, ...]:
    """Paths as far as people may see them: to where something sensitive or not yet known begins."""
    if change.verb in _WHOLE:
        return ()
    hidden = boundaries(change.values, secrets)
    cut = {hidden[path] if path in hidden else cover_of(path, change.values.unknown) or path for path in paths}
    return tuple(sorted({write_path(path)[:_MAX_PATH] for path in cut if path}))


def _order(finding: Finding) -> tuple[str, str, int]:
    return finding.address, finding.deposed, PRECEDENCE.index(finding.drift_class)


def _classes(reasons: Iterable[Reason]) -> dict[tuple[str, str, str], set[DriftClass]]:
    classes: dict[tuple[str, str, str], set[DriftClass]] = {}
    for reason in reasons:
        classes.setdefault(reason.change.key, set()).add(reason.drift_class)
    return classes


def _summarise(
    change: PlannedChange, classes: Collection[DriftClass], secrets: Scrubber, seen: Mapping[str, str]
) -> ActionSummary:
    cause = next(kind for kind in PRECEDENCE if kind in classes)
    paths = list(_shown(change, change.values.paths, secrets))[:_MAX_PATHS]
    return ActionSummary.model_validate(
        {
            "address": seen[change.address],
            "action": change.verb,
            "paths": paths,
            "cause": cause.value,
            "deposed": change.deposed or None,
        }
    )


def _judged(change: PlannedChange, classes: Collection[DriftClass]) -> JudgedChange:
    """The change for policies: with all paths, and nothing hidden."""
    paths = () if change.verb in _WHOLE else tuple(sorted({write_path(path) for path in change.values.paths}))
    cause = next(kind for kind in PRECEDENCE if kind in classes)
    return JudgedChange(change.address, change.type, change.verb, paths, cause.value, change.deposed)


def _count(actions: Sequence[ActionSummary], outputs: int) -> ChangeSummary:
    """Puts what destroys first: a long list of harmless actions must not hide it."""
    tally = Counter(action.action for action in actions)
    create, update, delete, replace = (tally[verb] for verb in ("create", "update", "delete", "replace"))
    other = len(actions) + outputs - create - update - delete - replace
    text = f"+{create + replace} ~{update} -{delete + replace}"
    return ChangeSummary(
        create=create,
        update=update,
        delete=delete,
        replace=replace,
        other=other,
        actions=sorted(actions, key=lambda action: _SEVERITY.index(action.action))[:_MAX_ACTIONS],
        text=text if not other or create or update or delete or replace else f"{text}, {other} other",
    )
