"""The CRDs on a real API server: they are accepted, and its verdict on an object is that of our types."""

import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.cluster.apiserver import ROOT, Cluster
from tests.unit.api.test_admission import BAD, GOOD, TYPES, having

from setpoint.adapters.kube import KubeConnection, connect
from setpoint.adapters.kube.connection import KubeRequest
from setpoint.adapters.kube.paths import resource_of
from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.cli.examples import EXAMPLES
from setpoint.domain.errors import InvalidError

REQUIRED = "Required value"
DURATION = "must be longer than 0s and at most 8760h"
NO_DURATION = r"should match '^([0-9]+([.][0-9]+)?(ms|h|m|s))+$'"
ONE_SOURCE = "exactly one of path, git and inline must be set"
SAID: dict[str, tuple[str, str]] = {
    **{f"{kind}-without-spec": ("spec", REQUIRED) for kind in TYPES},
    **{f"{kind}-unknown-field": ("spec.surprise", "unknown field") for kind in TYPES},
    "env-no-stage": ("spec.stage", REQUIRED),
    "env-stage-upper-case": ("spec.stage", "should match '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'"),
    "env-stage-long": ("spec.stage", "Too long: may not be more than 63 bytes"),
    "env-stage-number": ("spec.stage", "must be of type string"),
    "env-no-source": ("spec.source", REQUIRED),
    "env-source-empty": ("spec.source", ONE_SOURCE),
    "env-source-two": ("spec.source", ONE_SOURCE),
    "env-path-empty": ("spec.source.path", "should be at least 1 chars long"),
    "env-inline-number": ("spec.source.inline.main.tf", "must be of type string"),
    "env-inline-many": ("spec.source.inline", "Too many: 101: must have at most 100 items"),
    "env-git-no-url": ("spec.source.git.url", REQUIRED),
    "env-engine": ("spec.engine.type", 'supported values: "terraform", "opentofu"'),
    "env-field-in-other-case": ("spec.engine.lockfile", "unknown field"),
    "env-interval-zero": ("spec.interval", DURATION),
    "env-interval-no-unit": ("spec.interval", NO_DURATION),
    "env-interval-days": ("spec.interval", NO_DURATION),
    "env-interval-negative": ("spec.interval", NO_DURATION),
    "env-interval-number": ("spec.interval", "must be of type string"),
    "env-interval-too-long": ("spec.interval", DURATION),
    "env-interval-overflow": ("spec.interval", DURATION),
    "env-interval-empty": ("spec.interval", NO_DURATION),
    "env-timeout-zero": ("spec.timeouts.plan", DURATION),
    "env-drift-lower-case": ("spec.drift.mode", 'supported values: "Detect", "Propose", "Heal"'),
    "env-ignore-no-address": ("spec.drift.ignore[0].address", REQUIRED),
    "env-ignore-no-list": ("spec.drift.ignore.address", "unknown field"),
    "env-approvals-many": ("spec.approvals.required", "should be less than or equal to 10"),
    "env-approvals-text": ("spec.approvals.required", "must be of type integer"),
    "env-approvals-boolean": ("spec.approvals.required", "must be of type integer"),
    "env-keep-none": ("spec.snapshots.keep", "should be greater than or equal to 1"),
    "env-reversibility-class": (
        "spec.protection.reversibility.aws_x",
        'supported values: "Data", "Identity", "Settings"',
    ),
    "env-reversibility-too-long": ("spec.protection", "a key of reversibility is a type of resources, or a pattern"),
    "env-reversibility-address": ("spec.protection", "a key of reversibility is a type of resources, or a pattern"),
    "env-reversibility-empty": ("spec.protection", "a key of reversibility is a type of resources, or a pattern"),
    "env-reversibility-many": ("spec.protection.reversibility", "Too many: 65: must have at most 64 items"),
    "env-reversibility-list": ("spec.protection.reversibility", "must be of type object"),
    "env-suspend-text": ("spec.suspend", "must be of type boolean"),
    "env-suspend-number": ("spec.suspend", "must be of type boolean"),
    "env-health-no-probe": ("spec.health[0].http", REQUIRED),
    "env-health-scheme": ("spec.health[0].http.url", r"should match '^https?://[^\s]+$'"),
    "env-health-status": ("spec.health[0].http.status", "should be greater than or equal to 100"),
    "env-secret-name": ("spec.variablesFrom[0].secretRef.name", "should match '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$'"),
    "env-variables-list": ("spec.variables", "must be of type object"),
    "env-condition-status": ("status.conditions[0].status", 'supported values: "True", "False", "Unknown"'),
    "change-digest": ("spec.digest", "should match '^sha256:[0-9a-f]{64}$'"),
    "change-cause": ("spec.cause", 'supported values: "SpecChanged", "Drift", "Promotion", "Reset", "Destroy"'),
    "change-no-drill": ("spec.resetPlan.drill", REQUIRED),
    "change-target-kind": ("spec.targetRef.kind", 'supported values: "Environment"'),
    "snapshot-no-version": ("spec.environment.stateVersion", REQUIRED),
    "snapshot-no-member": ("spec", "environment goes with a target of the kind Environment, and with no other"),
    "snapshot-unknown-member": ("spec.beacon", "unknown field"),
    "snapshot-of-before": ("spec.stateVersion", "unknown field"),
    "approval-rejected-without-reason": ("spec", "a rejection needs a reason"),
    "approval-rejected-empty-reason": ("spec", "a rejection needs a reason"),
    "approval-override-without-reason": ("spec", "an override needs a reason"),
    "approval-override-empty-reason": ("spec", "an override needs a reason"),
    "approval-undrilled-without-reason": ("spec", "acceptUndrilled needs a reason"),
    "rejection-that-accepts": ("spec", "acceptUndrilled goes with the verdict Approved"),
    "approval-proven-text": ("spec.proven", "must be of type boolean"),
    "approval-nobody": ("spec.approver", "should be at least 1 chars long"),
    "reset-no-reason": ("spec.reason", "should be at least 1 chars long"),
    "reset-no-snapshot": ("spec.snapshotRef", REQUIRED),
    "pset-source-two": ("spec.source", "exactly one of path, inline and builtin must be set"),
    "pset-builtin": ("spec.source.builtin", 'supported values: "baseline"'),
    "gates-none": ("spec.gates", "should have at least 1 items"),
    "gates-same-name": ("spec.gates[1]", "Duplicate value"),
    "gates-nothing-to-look-at": ("spec.gates[0]", "a gate needs policySets, blastRadius, approvals or fourEyes"),
    "gates-no-stage": ("spec.gates[0].stages", "should have at least 1 items"),
    "gates-level": ("spec.gates[0].level", 'supported values: "advisory", "soft-mandatory", "hard-mandatory"'),
    "gates-memory": ("spec.gates[0].memoryMib", "should be greater than or equal to 64"),
    "gates-negative": ("spec.gates[1].blastRadius.maxDelete", "should be greater than or equal to 0"),
    "gates-timeout-zero": ("spec.gates[0].timeout", DURATION),
}
"""The server's words on each bad object of the table that the types are held against: the field, and the fault."""

pytestmark = pytest.mark.usefixtures("crds")


@pytest.fixture
async def connection(cluster: Cluster) -> AsyncIterator[KubeConnection]:
    async with connect(cluster.connection()) as opened:
        yield opened


async def create(connection: KubeConnection, obj: JsonObject) -> JsonObject:
    """Has the server try an object, and its status, without keeping it."""
    resource = resource_of(obj["kind"])
    # A name of its own: the server would say of one that exists no more than that.
    obj = {**obj, "metadata": {**obj["metadata"], "name": f"tried-{obj['metadata']['name']}"}}
    path = resource.collection("default" if resource.namespaced else None)
    query = {"dryRun": "All", "fieldValidation": "Strict"}
    created = await connection.request(KubeRequest("POST", path, "it", query, obj))
    return await write_status(connection, obj) if "status" in obj else created


async def write_status(connection: KubeConnection, obj: JsonObject) -> JsonObject:
    """A status is dropped when its object is created, and looked at when it is written."""
    resource, query = resource_of(obj["kind"]), {"fieldValidation": "Strict"}
    created = await connection.request(KubeRequest("POST", resource.collection("default"), "it", query, obj))
    item = resource.item(ObjectRef.of(created))
    try:
        status = {**created, "status": obj["status"]}
        return await connection.request(KubeRequest("PUT", f"{item}/status", "it", query, status))
    finally:
        await connection.request(KubeRequest("DELETE", item, "it", body={}))


def lost(sent: Any, kept: Any, path: str = "") -> list[str]:
    """The paths where what was kept is not what was sent; the server adds defaults."""
    if isinstance(sent, dict) and isinstance(kept, dict):
        return list(
            itertools.chain.from_iterable(lost(value, kept.get(key), f"{path}.{key}") for key, value in sent.items())
        )
    if isinstance(sent, list) and isinstance(kept, list) and len(sent) == len(kept):
        return list(
            itertools.chain.from_iterable(lost(value, kept[at], f"{path}[{at}]") for at, value in enumerate(sent))
        )
    return [] if sent == kept else [path]


@pytest.mark.parametrize(("kind", "changes"), [pytest.param(k, c, id=i) for k, c, i in GOOD])
async def test_a_good_object_is_accepted_and_nothing_of_it_lost(
    connection: KubeConnection, kind: str, changes: dict[str, Any]
) -> None:
    obj = having(kind, changes)
    kept = await create(connection, obj)
    assert (
        list(
            itertools.chain.from_iterable(
                lost(obj[part], kept.get(part), part) for part in ("spec", "status") if part in obj
            )
        )
        == []
    )


@pytest.mark.parametrize(("kind", "changes", "name"), [pytest.param(k, c, i, id=i) for k, c, i in BAD])
async def test_a_bad_object_is_refused_with_its_field_and_fault(
    connection: KubeConnection, kind: str, changes: dict[str, Any], name: str
) -> None:
    field, fault = SAID[name]
    with pytest.raises(InvalidError) as caught:
        await create(connection, having(kind, changes))
    assert caught.value.field == field
    assert fault in caught.value.message


def test_the_table_is_complete() -> None:
    assert {name for _, _, name in BAD} == set(SAID)
    assert len(GOOD) + len(BAD) >= 60
    assert {kind for kind, _, _ in GOOD} == {kind for kind, _, _ in BAD} == set(TYPES)


@pytest.mark.parametrize("kind", [kind for kind, type_ in TYPES.items() if type_.META.spec_immutable])
async def test_an_immutable_spec_stays(connection: KubeConnection, cluster: Cluster, namespace: str, kind: str) -> None:
    resource = resource_of(kind)
    obj = having(kind, {"metadata.namespace": namespace})
    created = await connection.request(KubeRequest("POST", resource.collection(namespace), "it", body=obj))
    other = {"approver": "eve"} if kind == "Approval" else {"targetRef": {"kind": "Environment", "name": "other"}}
    moved = {**created, "spec": {**created["spec"], **other}}
    with pytest.raises(InvalidError, match="spec is immutable"):
        await connection.request(KubeRequest("PUT", resource.item(ObjectRef.of(created)), "it", body=moved))


def test_every_definition_is_established_and_structural(cluster: Cluster) -> None:
    cluster.kubectl("apply", "--server-side", "--validate=strict", "-k", str(ROOT / "crds"))
    for kind in TYPES.values():
        found = cluster.get("crd", f"{kind.META.plural}.setpoint.dev")["status"]["conditions"]
        assert {one["type"]: one["status"] for one in found} == {"Established": "True", "NamesAccepted": "True"}


def test_explain_tells_what_a_field_is(cluster: Cluster) -> None:
    told = cluster.kubectl("explain", "environment.spec.drift.mode").stdout
    assert "Detect: report. Propose: a Change that waits." in told


STATUS = {
    "drift": {"actionable": 2},
    "change": "shop-prod-a1b2c3d4e506060606060606060606060606",
    "conditions": [
        {"type": "Ready", "status": "False", "reason": "ApprovalRequired", "message": "1 approval is missing"},
        {"type": "ResetReady", "status": "True", "reason": "DrillPassed"},
    ],
}
NARROW = ["NAME", "READY", "STAGE", "DRIFT", "CHANGE", "WAY", "BACK", "AGE"]
ROW = ["shop-prod", "False", "prod", "2", "shop-prod-a1b2c3d4e506060606060606060606060606", "True"]


def test_get_environments_reads_well(cluster: Cluster, namespace: str) -> None:
    obj = {**EXAMPLES["Environment"], "metadata": {"name": "shop-prod", "namespace": namespace}}
    cluster.kubectl("create", "-f", "-", given=json.dumps(obj))
    patch = json.dumps({"status": STATUS})
    words = ("environment", "shop-prod", "-n", namespace)
    cluster.kubectl("patch", *words, "--subresource=status", "--type=merge", "-p", patch)
    header, row = (line.split() for line in cluster.kubectl("get", "env", "-n", namespace).stdout.splitlines())
    assert header == NARROW
    assert row[:-1] == ROW
    header, row = (line.split() for line in cluster.kubectl("get", *words, "-o", "wide").stdout.splitlines())
    assert header == [*NARROW, "REASON", "STATUS"]
    assert row[-5:] == ["ApprovalRequired", "1", "approval", "is", "missing"]
    assert "environment.setpoint.dev/shop-prod" in cluster.kubectl("get", "setpoint", "-n", namespace).stdout
