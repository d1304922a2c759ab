"""Status, Changes, Snapshots, Approvals and Resets: who writes them, and that what was recorded stays."""

import json

import pytest
from tests.cluster.admission.server import ADMIN, ALLOWED, APPROVER, ENGINEER, GOVERNANCE, OPERATOR, Server, user
from tests.cluster.manifests import until

from setpoint.adapters.kube.paths import resource_of
from setpoint.api.meta import JsonObject, ObjectRef

# --- Status -----------------------------------------------------------------------------------------------------------

STATUSES = {"Environment": {"failures": 1}, "Change": {"run": "x"}, "Reset": {"observedGeneration": 1}}


@pytest.mark.parametrize("kind", STATUSES)
async def test_only_the_operator_writes_status(server: Server, kind: str) -> None:
    obj, status = server.example(kind, {"spec.requestedBy": user(ADMIN)} if kind == "Reset" else {}), STATUSES[kind]
    assert await server.create(OPERATOR if kind == "Change" else ADMIN, obj) == ALLOWED
    refusal = await server.patch(ADMIN, obj, {"status": status}, status=True)
    name = f"{resource_of(kind).plural}/{obj['metadata']['name']}"
    assert f"{name}: only the operator writes status, and you are admin" in refusal
    assert await server.patch(OPERATOR, obj, {"status": status}, status=True) == ALLOWED


@pytest.mark.parametrize("kind", ["PolicySet", "EnforcementGates"])
async def test_only_the_operator_writes_the_status_of_what_governs(server: Server, kind: str) -> None:
    obj = server.example(kind, {"metadata.name": f"status-{server.namespace}"})
    assert await server.create(ADMIN, obj) == ALLOWED
    refusal = await server.patch(GOVERNANCE, obj, {"status": {"observedGeneration": 1}}, status=True)
    assert "cannot patch resource" in refusal
    refusal = await server.patch(ADMIN, obj, {"status": {"observedGeneration": 1}}, status=True)
    assert "only the operator writes status" in refusal
    assert await server.patch(OPERATOR, obj, {"status": {"observedGeneration": 1}}, status=True) == ALLOWED
    assert await server.delete(GOVERNANCE, obj) == ALLOWED


async def test_the_status_of_a_new_object_is_dropped(server: Server) -> None:
    obj = server.example("Environment", {"status": {"failures": 7}})
    assert await server.create(ENGINEER, obj) == ALLOWED
    assert "status" not in await server.get(obj)


# --- Changes and Snapshots --------------------------------------------------------------------------------------------

RECORDS = pytest.mark.parametrize("kind", ["Change", "Snapshot"])


@RECORDS
async def test_only_the_operator_makes_records(server: Server, kind: str) -> None:
    obj = server.example(kind)
    refusal = await server.create(ADMIN, obj)
    name = f"{resource_of(kind).plural}/{obj['metadata']['name']}"
    assert f"{name}: only the operator makes and removes it, and you are admin" in refusal
    assert "cannot create resource" in await server.create(ENGINEER, obj)
    assert await server.create(OPERATOR, obj) == ALLOWED


@RECORDS
async def test_nobody_else_removes_records(server: Server, kind: str) -> None:
    obj = server.example(kind)
    assert await server.create(OPERATOR, obj) == ALLOWED
    assert "only the operator makes and removes it" in await server.delete(ADMIN, obj)
    collection = resource_of(kind).collection(server.namespace)
    assert "only the operator makes and removes it" in await server.ask(ADMIN, "DELETE", collection, {})
    assert not server.gone(obj)


async def test_the_operator_prunes_snapshots(server: Server) -> None:
    obj = server.example("Snapshot")
    assert await server.create(OPERATOR, obj) == ALLOWED
    assert await server.delete(OPERATOR, obj) == ALLOWED


@pytest.mark.parametrize("kind", ["Change", "Snapshot", "Approval"])
async def test_records_never_change(server: Server, kind: str) -> None:
    role = APPROVER if kind == "Approval" else OPERATOR
    label = {"labels": {"setpoint.dev/target": "shop-prod"}}
    obj = server.example(kind, {"spec.approver": user(APPROVER)} if kind == "Approval" else {})
    obj["metadata"] |= label
    assert await server.create(role, obj) == ALLOWED
    other = {"approver": "eve"} if kind == "Approval" else {"targetRef": {"name": "other"}}
    assert "spec is immutable" in await server.patch(ADMIN, obj, {"spec": other})
    for labels in ({"setpoint.dev/target": "other"}, {"setpoint.dev/target": None}):
        refusal = await server.patch(ADMIN, obj, {"metadata": {"labels": labels}})
        assert "only the operator changes the label setpoint.dev/target, and you are admin" in refusal
    assert await server.patch(ADMIN, obj, {"metadata": {"labels": {"team": "shop"}}}) == ALLOWED


@RECORDS
async def test_the_operator_brings_an_earlier_label_up_to_date(server: Server, kind: str) -> None:
    obj = server.example(kind)
    obj["metadata"] |= {"labels": {"setpoint.dev/target": "shop-prod"}}
    assert await server.create(OPERATOR, obj) == ALLOWED
    found = await server.get(obj)
    found["metadata"]["labels"] = {"setpoint.dev/target": "environment.shop-prod"}
    assert await server.ask(OPERATOR, "PUT", resource_of(kind).item(ObjectRef.of(found)), found) == ALLOWED


async def test_a_false_owner_does_not_have_a_record_collected(server: Server) -> None:
    obj = server.example("Change")
    assert await server.create(OPERATOR, obj) == ALLOWED
    refusal = await server.patch(ADMIN, obj, {"metadata": {"ownerReferences": [owner("ConfigMap", "absent", "x")]}})
    assert "only the operator changes its ownerReferences, and you are admin" in refusal


async def test_the_garbage_collector_takes_what_a_target_owned(server: Server) -> None:
    target = server.example("Environment")
    assert await server.create(ENGINEER, target) == ALLOWED
    uid = (await server.get(target))["metadata"]["uid"]
    obj = server.example("Snapshot")
    obj["metadata"]["ownerReferences"] = [owner("Environment", "shop-prod", uid, "setpoint.dev/v1alpha1")]
    assert await server.create(OPERATOR, obj) == ALLOWED
    assert await server.delete(ENGINEER, target) == ALLOWED
    until(lambda: server.gone(obj))


def owner(kind: str, name: str, uid: str, version: str = "v1") -> JsonObject:
    return {"apiVersion": version, "kind": kind, "name": name, "uid": uid}


# --- Approvals and Resets ---------------------------------------------------------------------------------------------


async def test_an_approval_names_who_makes_it(server: Server) -> None:
    theirs = server.example("Approval", {"spec.approver": "eve"})
    refusal = await server.create(APPROVER, theirs)
    assert "spec.approver must be your own user name, ada, not eve" in refusal
    assert "spec.approver must be your own user name" in await server.create(ADMIN, theirs)
    assert await server.create(APPROVER, server.example("Approval")) == ALLOWED


async def test_approving_takes_the_verb(server: Server) -> None:
    grant(server, "writer", ENGINEER, {"apiGroups": ["setpoint.dev"], "resources": ["approvals"], "verbs": ["create"]})
    obj = server.example("Approval", {"spec.approver": user(ENGINEER)})
    refusal = await server.create(ENGINEER, obj)
    assert (
        "paula may not approve changes/shop-prod-a1b2c3d4e506060606060606060606060606: it takes the verb approve"
        in refusal
    )
    rule = {"apiGroups": ["setpoint.dev"], "resources": ["changes"], "verbs": ["approve"]}
    grant(server, "one-change", ENGINEER, {**rule, "resourceNames": ["shop-prod-a1b2c3d4e506060606060606060606060606"]})
    assert await server.create(ENGINEER, obj) == ALLOWED
    other = server.example("Approval", {"spec.approver": user(ENGINEER), "spec.changeRef.name": "other"})
    other["metadata"]["name"] = "other"
    assert "may not approve changes/other" in await server.create(ENGINEER, other)


def grant(server: Server, name: str, role: str, rule: JsonObject) -> None:
    """A Role in the test's namespace, bound to one of the test's people."""
    version = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": name}}
    group = "rbac.authorization.k8s.io"
    binding = {
        "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user(role)}],
    }
    for obj in ({"kind": "Role", "rules": [rule]}, {"kind": "RoleBinding", **binding}):
        server.cluster.kubectl("create", "-n", server.namespace, "-f", "-", given=json.dumps({**version, **obj}))


@pytest.mark.parametrize(("role", "allowed"), [(ADMIN, False), (APPROVER, True), (GOVERNANCE, True)])
async def test_an_approval_is_taken_back_by_who_gave_it_or_by_governance(
    server: Server, role: str, allowed: bool
) -> None:
    obj = server.example("Approval", {"spec.verdict": "Rejected", "spec.reason": "no"})
    assert await server.create(APPROVER, obj) == ALLOWED
    refusal = await server.delete(role, obj)
    assert (refusal == ALLOWED) == allowed
    assert allowed or "only ada or the group setpoint:governance removes it" in refusal


async def test_to_accept_what_is_not_drilled_takes_a_reason_and_what_to_approve_takes(server: Server) -> None:
    word = {"spec.approver": user(APPROVER), "spec.acceptUndrilled": True, "spec.reason": "no repair is worse"}
    assert "acceptUndrilled needs a reason" in await server.create(
        APPROVER, server.example("Approval", word | {"spec.reason": ""})
    )
    rejection = server.example("Approval", word | {"spec.verdict": "Rejected"})
    assert "acceptUndrilled goes with the verdict Approved" in await server.create(APPROVER, rejection)
    assert (
        await server.create(ENGINEER, server.example("Approval", word | {"spec.approver": user(ENGINEER)})) != ALLOWED
    )
    obj = server.example("Approval", word)
    assert await server.create(APPROVER, obj) == ALLOWED
    assert (await server.get(obj))["spec"]["acceptUndrilled"] is True


async def test_a_reset_names_who_asks(server: Server) -> None:
    refusal = await server.create(ENGINEER, server.example("Reset"))
    assert "spec.requestedBy must be your own user name, paula, not ada" in refusal
    refusal = await server.create(ADMIN, server.example("Reset", {"spec.requestedBy": "policy"}))
    assert "spec.requestedBy must be your own user name, admin, not policy" in refusal
    assert await server.create(ENGINEER, server.example("Reset", {"spec.requestedBy": user(ENGINEER)})) == ALLOWED


async def test_the_operator_asks_for_policy(server: Server) -> None:
    refusal = await server.create(OPERATOR, server.example("Reset"))
    assert "spec.requestedBy must be policy, not ada" in refusal
    automatic = server.example("Reset", {"spec.requestedBy": "policy", "spec.automatic": True})
    assert await server.create(OPERATOR, automatic) == ALLOWED


async def test_nobody_else_asks_for_a_reset_without_approval(server: Server) -> None:
    obj = server.example("Reset", {"spec.requestedBy": user(ENGINEER), "spec.automatic": True})
    refusal = await server.create(ENGINEER, obj)
    assert "spec.automatic: only the operator asks for a Reset without approval, and you are paula" in refusal
