"""The types accept the same objects as an API server with our CRDs."""

import copy
from typing import Any

import pydantic
import pytest
from tests.fakes.admission import admit

from setpoint.api.crdgen import object_schema
from setpoint.api.v1alpha1 import KINDS
from setpoint.api.v1alpha1.environment import Environment
from setpoint.cli.examples import EXAMPLES
from setpoint.domain.errors import InvalidError
from setpoint.domain.reading import parse

TYPES = {kind.__name__: kind for kind in KINDS}
REMOVED = object()


def having(kind: str, changes: dict[str, Any]) -> dict[str, Any]:
    """The kind's example with values set, or removed, at dotted paths."""
    obj = copy.deepcopy(EXAMPLES[kind])
    for path, value in changes.items():
        *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        holder: Any = obj
        for part in parents:
            holder = holder[part] if isinstance(part, int) else holder.setdefault(part, {})
        if value is REMOVED:
            del holder[last]
        else:
            holder[last] = value
    return obj


def errors_of_types(kind: str, obj: dict[str, Any]) -> list[str]:
    try:
        TYPES[kind].model_validate(obj)
    except pydantic.ValidationError as error:
        return [str(each["loc"]) for each in error.errors()]
    return []


ENV, GATES, PSET = "Environment", "EnforcementGates", "PolicySet"
GOOD = [
    *((kind, {}, f"{kind}-example") for kind in TYPES),
    (ENV, {"spec": {"stage": "dev", "source": {"inline": {"main.tf": ""}}}}, "env-minimal"),
    (ENV, {"spec.source": {"git": {"url": "https://git.example.com/infra.git"}}}, "env-git"),
    (ENV, {"spec.source": {"git": {"url": "x", "ref": "v1", "path": "a", "secretRef": {"name": "s"}}}}, "env-git-all"),
    (ENV, {"spec.protection": {"reversibility": {"aws_*_store": "Data", "x-y_z0": "Settings"}}}, "env-reversibility"),
    (ENV, {"spec.protection": {"reversibility": {"a" * 128: "Identity"}}}, "env-reversibility-long"),
    (ENV, {"spec.interval": "1h30m"}, "env-interval-compound"),
    (ENV, {"spec.interval": "1.5h"}, "env-interval-fraction"),
    (ENV, {"spec.interval": "500ms"}, "env-interval-milliseconds"),
    (ENV, {"spec.interval": "8760h"}, "env-interval-longest"),
    (ENV, {"spec.variables": {"a": 1, "b": [True, None, {"c": 1.5}], "d": {"e": "f"}}}, "env-variables-free-form"),
    (ENV, {"spec.credentials": {"apply": []}}, "env-credentials-empty-apply"),
    (ENV, {"spec.approvals": {"required": 10}}, "env-approvals-most"),
    (ENV, {"spec.snapshots": {"keep": 1}}, "env-keep-least"),
    (ENV, {"spec.outputsTo": {"secretRef": {"name": "out"}}}, "env-outputs"),
    (ENV, {"spec.suspend": True}, "env-suspend"),
    (ENV, {"spec.reset": {"onVerifyFailure": "Auto"}}, "env-reset-auto"),
    (ENV, {"status": {"drift": {"actionable": 2}, "failures": 1}}, "env-status"),
    (ENV, {"status": {"conditions": [{"type": "Ready", "status": "True", "reason": "R"}]}}, "env-condition"),
    ("Approval", {"spec.verdict": "Rejected", "spec.reason": "no"}, "approval-rejected"),
    ("Approval", {"spec.overrides": ["blast-radius"], "spec.reason": "planned"}, "approval-override"),
    ("Approval", {"spec.acceptUndrilled": True, "spec.reason": "no repair is worse"}, "approval-undrilled"),
    ("Approval", {"spec.acceptUndrilled": False}, "approval-that-accepts-nothing"),
    (PSET, {"spec.source": {"inline": {"a.rego": "package a"}}}, "pset-inline"),
    (PSET, {"spec.params": {"required_tags": ["owner"], "max_destroyed": 3}}, "pset-params"),
    (PSET, {"spec.source": {"path": "./p"}, "spec.params": {"tags": ["owner"], "max": 3}}, "pset-own-params"),
    (GATES, {"spec.gates.1.blastRadius": REMOVED}, "gates-approvals-alone"),
    (GATES, {"spec.gates.0.memoryMib": 4096, "spec.gates.0.timeout": "1s"}, "gates-limits"),
    (GATES, {"spec.gates.0.selector": {"labels": {"team": "shop"}}}, "gates-labels"),
]
BAD = [
    ("Approval", {"spec.overrides": ["blast-radius"]}, "approval-override-without-reason"),
    ("Approval", {"spec.acceptUndrilled": True, "spec.reason": ""}, "approval-undrilled-without-reason"),
    (
        "Approval",
        {"spec.acceptUndrilled": True, "spec.reason": "no", "spec.verdict": "Rejected"},
        "rejection-that-accepts",
    ),
    ("Approval", {"spec.overrides": ["blast-radius"], "spec.reason": ""}, "approval-override-empty-reason"),
    *((kind, {"spec": REMOVED}, f"{kind}-without-spec") for kind in TYPES),
    *((kind, {"spec.surprise": 1}, f"{kind}-unknown-field") for kind in TYPES),
    (ENV, {"spec.stage": REMOVED}, "env-no-stage"),
    (ENV, {"spec.stage": "Prod"}, "env-stage-upper-case"),
    (ENV, {"spec.stage": "a" * 64}, "env-stage-long"),
    (ENV, {"spec.stage": 5}, "env-stage-number"),
    (ENV, {"spec.source": REMOVED}, "env-no-source"),
    (ENV, {"spec.source": {}}, "env-source-empty"),
    (ENV, {"spec.source": {"path": "a", "inline": {"main.tf": ""}}}, "env-source-two"),
    (ENV, {"spec.source": {"path": ""}}, "env-path-empty"),
    (ENV, {"spec.source": {"inline": {"main.tf": 5}}}, "env-inline-number"),
    (ENV, {"spec.source": {"inline": {f"{n}.tf": "" for n in range(101)}}}, "env-inline-many"),
    (ENV, {"spec.source": {"git": {"ref": "main"}}}, "env-git-no-url"),
    (ENV, {"spec.engine.type": "pulumi"}, "env-engine"),
    (ENV, {"spec.engine.lockfile": "Required"}, "env-field-in-other-case"),
    (ENV, {"spec.interval": "0s"}, "env-interval-zero"),
    (ENV, {"spec.interval": "10"}, "env-interval-no-unit"),
    (ENV, {"spec.interval": "1d"}, "env-interval-days"),
    (ENV, {"spec.interval": "-5m"}, "env-interval-negative"),
    (ENV, {"spec.interval": 600}, "env-interval-number"),
    (ENV, {"spec.interval": "8761h"}, "env-interval-too-long"),
    (ENV, {"spec.interval": "9" * 31 + "h"}, "env-interval-overflow"),
    (ENV, {"spec.interval": ""}, "env-interval-empty"),
    (ENV, {"spec.timeouts": {"plan": "0m"}}, "env-timeout-zero"),
    (ENV, {"spec.drift.mode": "heal"}, "env-drift-lower-case"),
    (ENV, {"spec.drift.ignore": [{"paths": ["tags"]}]}, "env-ignore-no-address"),
    (ENV, {"spec.drift.ignore": {"address": "x"}}, "env-ignore-no-list"),
    (ENV, {"spec.approvals": {"required": 11}}, "env-approvals-many"),
    (ENV, {"spec.approvals": {"required": "1"}}, "env-approvals-text"),
    (ENV, {"spec.approvals": {"required": True}}, "env-approvals-boolean"),
    (ENV, {"spec.snapshots": {"keep": 0}}, "env-keep-none"),
    (ENV, {"spec.protection": {"reversibility": {"aws_x": "Lost"}}}, "env-reversibility-class"),
    (ENV, {"spec.protection": {"reversibility": {"a" * 129: "Data"}}}, "env-reversibility-too-long"),
    (ENV, {"spec.protection": {"reversibility": {"aws_db.main": "Data"}}}, "env-reversibility-address"),
    (ENV, {"spec.protection": {"reversibility": {"": "Data"}}}, "env-reversibility-empty"),
    (ENV, {"spec.protection": {"reversibility": {f"a{n}": "Data" for n in range(65)}}}, "env-reversibility-many"),
    (ENV, {"spec.protection": {"reversibility": ["aws_x"]}}, "env-reversibility-list"),
    (ENV, {"spec.suspend": "true"}, "env-suspend-text"),
    (ENV, {"spec.suspend": 1}, "env-suspend-number"),
    (ENV, {"spec.health": [{"timeout": "5s"}]}, "env-health-no-probe"),
    (ENV, {"spec.health": [{"http": {"url": "ftp://x"}}]}, "env-health-scheme"),
    (ENV, {"spec.health": [{"http": {"url": "http://x", "status": 99}}]}, "env-health-status"),
    (ENV, {"spec.variablesFrom": [{"secretRef": {"name": "Not_A_Name"}}]}, "env-secret-name"),
    (ENV, {"spec.variables": []}, "env-variables-list"),
    (ENV, {"status": {"conditions": [{"type": "Ready", "status": "true", "reason": "R"}]}}, "env-condition-status"),
    ("Change", {"spec.digest": "sha256:short"}, "change-digest"),
    ("Change", {"spec.cause": "Whim"}, "change-cause"),
    ("Change", {"spec.resetPlan.drill": REMOVED}, "change-no-drill"),
    ("Change", {"spec.targetRef": {"kind": "Repository", "name": "x"}}, "change-target-kind"),
    ("Snapshot", {"spec.environment.stateVersion": REMOVED}, "snapshot-no-version"),
    ("Snapshot", {"spec.environment": REMOVED}, "snapshot-no-member"),
    ("Snapshot", {"spec.beacon": {}}, "snapshot-unknown-member"),
    ("Snapshot", {"spec.stateVersion": 7}, "snapshot-of-before"),
    ("Approval", {"spec.verdict": "Rejected"}, "approval-rejected-without-reason"),
    ("Approval", {"spec.verdict": "Rejected", "spec.reason": ""}, "approval-rejected-empty-reason"),
    ("Approval", {"spec.proven": "yes"}, "approval-proven-text"),
    ("Approval", {"spec.approver": ""}, "approval-nobody"),
    ("Reset", {"spec.reason": ""}, "reset-no-reason"),
    ("Reset", {"spec.snapshotRef": REMOVED}, "reset-no-snapshot"),
    (PSET, {"spec.source": {"builtin": "baseline", "path": "x"}}, "pset-source-two"),
    (PSET, {"spec.source": {"builtin": "other"}}, "pset-builtin"),
    (GATES, {"spec.gates": []}, "gates-none"),
    (GATES, {"spec.gates.1.name": "baseline"}, "gates-same-name"),
    (GATES, {"spec.gates.0.policySets": []}, "gates-nothing-to-look-at"),
    (GATES, {"spec.gates.0.stages": []}, "gates-no-stage"),
    (GATES, {"spec.gates.0.level": "mandatory"}, "gates-level"),
    (GATES, {"spec.gates.0.memoryMib": 8}, "gates-memory"),
    (GATES, {"spec.gates.1.blastRadius": {"maxDelete": -1}}, "gates-negative"),
    (GATES, {"spec.gates.0.timeout": "0s"}, "gates-timeout-zero"),
]


@pytest.mark.parametrize(("kind", "changes"), [pytest.param(k, c, id=i) for k, c, i in GOOD])
def test_object__good__is_accepted_by_types_and_schema(kind: str, changes: dict[str, Any]) -> None:
    obj = having(kind, changes)
    assert errors_of_types(kind, obj) == []
    assert admit(object_schema(TYPES[kind]), obj) == []


@pytest.mark.parametrize(("kind", "changes"), [pytest.param(k, c, id=i) for k, c, i in BAD])
def test_object__bad__is_refused_by_types_and_schema(kind: str, changes: dict[str, Any]) -> None:
    obj = having(kind, changes)
    assert errors_of_types(kind, obj) != []
    assert admit(object_schema(TYPES[kind]), obj) != []


@pytest.mark.parametrize("kind", TYPES)
def test_object__read_and_written__is_accepted_again(kind: str) -> None:
    written = TYPES[kind].model_validate(EXAMPLES[kind]).as_json()
    written["metadata"] = EXAMPLES[kind]["metadata"]
    assert admit(object_schema(TYPES[kind]), written) == []


@pytest.mark.parametrize("kind", [kind.__name__ for kind in KINDS if kind.META.spec_immutable])
def test_update__of_an_immutable_spec__is_refused(kind: str) -> None:
    old = EXAMPLES[kind]
    new = having(kind, {"spec.targetRef.name": "other"} if kind != "Approval" else {"spec.approver": "eve"})
    assert admit(object_schema(TYPES[kind]), new, old=old) == ["spec is immutable"]
    assert admit(object_schema(TYPES[kind]), old, old=old) == []


def test_update__of_an_environment__is_accepted() -> None:
    new = having(ENV, {"spec.interval": "5m"})
    assert admit(object_schema(TYPES[ENV]), new, old=EXAMPLES[ENV]) == []


@pytest.mark.parametrize(("key", "value"), [("aws_db.main", "Data"), ("a" * 300, "Lost"), ("aws_db", "Lost")])
def test_a_wrong_word_on_reversibility_is_refused_by_field_and_key(key: str, value: str) -> None:
    with pytest.raises(InvalidError) as refused:
        parse(Environment, having(ENV, {"spec.protection": {"reversibility": {key: value}}}))
    assert refused.value.field.startswith("spec.protection.reversibility")
    assert key[:40] in f"{refused.value.field} {refused.value.message}"
    assert len(str(refused.value)) < 300
