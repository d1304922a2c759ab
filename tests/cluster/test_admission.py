"""policies/admission/ on a real API server, as each role meets it. No operator runs: the rules hold without one."""

import asyncio
import copy
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.apiserver import ROLES, ApiServer, Cluster
from tests.cluster.manifests import MANIFESTS, applied, overlay, until
from tests.cluster.operators import People, environment, running
from tests.unit.api.test_admission import having

from setpoint.adapters.kube import ConnectionOptions, connect
from setpoint.adapters.kube.connection import KubeRequest
from setpoint.adapters.kube.paths import resource_of
from setpoint.api.meta import FINALIZER, JsonObject, ObjectRef
from setpoint.domain.errors import SetpointError

ADMIN, OPERATOR, ENGINEER, APPROVER, GOVERNANCE = "admin", "operator", "platform-engineer", "approver", "governance"
REQUESTED_BY = "setpoint.dev/requested-by"
ALLOWED = ""


class Server:
    """The API server, as asked by each role. What a question returns is the refusal, or ALLOWED."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace

    def example(self, kind: str, changes: Mapping[str, Any] | None = None) -> JsonObject:
        """The kind's example, in the test's namespace; it protects nothing unless `changes` say so."""
        free = {"spec.protection": {}} if kind == "Environment" else {}
        obj = having(kind, {**free, **(changes or {})})
        obj["metadata"].pop("namespace", None)
        if resource_of(kind).namespaced:
            obj["metadata"]["namespace"] = self.namespace
        return obj

    async def create(self, role: str, obj: JsonObject) -> str:
        """Creates an object."""
        namespace = obj["metadata"].get("namespace")
        return await self.ask(role, "POST", resource_of(obj["kind"]).collection(namespace), obj)

    async def get(self, obj: JsonObject) -> JsonObject:
        """The object as it is."""
        path = resource_of(obj["kind"]).item(ObjectRef.of(obj))
        async with connect(ConnectionOptions(kubeconfig=self.cluster.kubeconfig())) as connection:
            return await connection.request(KubeRequest("GET", path, "it"))

    async def patch(self, role: str, obj: JsonObject, patch: JsonObject, *, status: bool = False) -> str:
        """Merges a patch into an object."""
        path = resource_of(obj["kind"]).item(ObjectRef.of(obj)) + ("/status" if status else "")
        return await self.ask(role, "PATCH", path, patch, "application/merge-patch+json")

    async def delete(self, role: str, obj: JsonObject) -> str:
        """Deletes an object."""
        return await self.ask(role, "DELETE", resource_of(obj["kind"]).item(ObjectRef.of(obj)), {})

    async def ask(self, role: str, method: str, path: str, body: Any, content: str = "application/json") -> str:
        """Any request."""
        async with connect(ConnectionOptions(kubeconfig=self.cluster.kubeconfig(role))) as connection:
            try:
                await connection.request(KubeRequest(method, path, "it", body=body, content_type=content))
            except SetpointError as error:
                return error.message
        return ALLOWED

    def gone(self, obj: JsonObject) -> bool:
        """Whether the object is no more."""
        ref = ObjectRef.of(obj)
        words = ("get", ref.kind, ref.name, *(("-n", ref.namespace) if ref.namespace else ()))
        return "NotFound" in self.cluster.kubectl(*words, check=False).stderr


@pytest.fixture(scope="module", autouse=True)
def policies(cluster: Cluster, crds: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with applied(cluster, overlay(tmp_path_factory.mktemp("overlay"), "base", "group-bindings")):
        if isinstance(cluster, ApiServer) and cluster.controllers is None:
            cluster.start_controllers()
        until(lambda: bool(cluster.get("clusterrole", "setpoint-governance").get("rules")))
        yield


@pytest.fixture
def server(cluster: Cluster, namespace: str) -> Server:
    return Server(cluster, namespace)


def user(role: str) -> str:
    return ROLES[role].user


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
        assert "the label setpoint.dev/target never changes" in refusal
    assert await server.patch(ADMIN, obj, {"metadata": {"labels": {"team": "shop"}}}) == ALLOWED


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
    assert "paula may not approve changes/shop-prod-a1b2c3d4e5: it takes the verb approve" in refusal
    rule = {"apiGroups": ["setpoint.dev"], "resources": ["changes"], "verbs": ["approve"]}
    grant(server, "one-change", ENGINEER, {**rule, "resourceNames": ["shop-prod-a1b2c3d4e5"]})
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


# --- Who asked for a change -------------------------------------------------------------------------------------------

MOVED = {"spec": {"interval": "7m"}}


def stamped(by: str | None) -> JsonObject:
    return {"metadata": {"annotations": {REQUESTED_BY: by}}}


class TestRequestedByWithoutStamp:
    async def test_nobody_asks_in_the_name_of_another(self, server: Server) -> None:
        obj = server.example("Environment")
        refusal = await server.create(ENGINEER, {**obj, "metadata": {**obj["metadata"], **stamped("eve")["metadata"]}})
        assert "must be your own user name, paula, or be removed; it is eve" in refusal
        assert await server.create(ENGINEER, obj) == ALLOWED
        refusal = await server.patch(ENGINEER, obj, {**MOVED, **stamped("eve")})
        assert "must be your own user name, paula, or be removed; it is eve" in refusal
        assert await server.patch(ENGINEER, obj, {**MOVED, **stamped(user(ENGINEER))}) == ALLOWED

    async def test_a_new_spec_does_not_keep_the_old_name(self, server: Server) -> None:
        obj = server.example("Environment")
        obj["metadata"] |= stamped(user(ENGINEER))["metadata"]
        assert await server.create(ENGINEER, obj) == ALLOWED
        assert "it is paula" in await server.patch(ADMIN, obj, MOVED)
        assert await server.patch(ADMIN, obj, {**MOVED, **stamped(None)}) == ALLOWED

    @pytest.mark.parametrize("by", ["eve", "paula", None], ids=["another", "one's own", "removed"])
    async def test_the_annotation_alone_does_not_move(self, server: Server, by: str | None) -> None:
        obj = server.example("Environment")
        obj["metadata"] |= stamped(user(ADMIN))["metadata"]
        assert await server.create(ADMIN, obj) == ALLOWED
        refusal = await server.patch(ENGINEER, obj, stamped(by))
        assert "the annotation setpoint.dev/requested-by changes with the spec alone" in refusal
        assert await server.patch(ENGINEER, obj, {"metadata": {"annotations": {"note": "x"}}}) == ALLOWED


class TestRequestedByStamped:
    @pytest.fixture(scope="class", autouse=True)
    @staticmethod
    def stamp(cluster: Cluster, policies: None) -> Iterator[None]:
        served = cluster.kubectl("api-resources", "--api-group=admissionregistration.k8s.io").stdout
        if "admissionregistration.k8s.io/v1 " not in next(
            (line for line in served.splitlines() if line.startswith("mutatingadmissionpolicies ")), ""
        ):
            pytest.skip("this cluster does not serve MutatingAdmissionPolicy as v1")
        path = str(MANIFESTS / "components" / "requested-by" / "requested-by.yaml")
        cluster.kubectl("apply", "--server-side", "--validate=strict", "-f", path)
        until(lambda: _stamps(cluster))
        yield
        cluster.kubectl("delete", "-f", path)
        until(lambda: not _stamps(cluster))

    async def name_of(self, server: Server, obj: JsonObject) -> str | None:
        return (await server.get(obj))["metadata"].get("annotations", {}).get(REQUESTED_BY)

    async def test_a_new_object_and_a_new_spec_are_stamped(self, server: Server) -> None:
        obj = server.example("Environment")
        assert await server.create(ENGINEER, obj) == ALLOWED
        assert await self.name_of(server, obj) == user(ENGINEER)
        assert await server.patch(ADMIN, obj, MOVED) == ALLOWED
        assert await self.name_of(server, obj) == user(ADMIN)

    @pytest.mark.parametrize("by", ["eve", None], ids=["another", "removed"])
    async def test_a_false_name_is_overwritten(self, server: Server, by: str | None) -> None:
        obj = server.example("Environment")
        assert (
            await server.create(ENGINEER, {**obj, "metadata": {**obj["metadata"], **stamped("eve")["metadata"]}}) == ""
        )
        assert await self.name_of(server, obj) == user(ENGINEER)
        assert await server.patch(ADMIN, obj, stamped(by)) == ALLOWED
        assert await self.name_of(server, obj) == user(ENGINEER)
        assert await server.patch(ADMIN, obj, {**MOVED, **stamped(by)}) == ALLOWED
        assert await self.name_of(server, obj) == user(ADMIN)

    async def test_the_operators_finalizer_keeps_the_name(self, server: Server) -> None:
        obj = server.example("Environment")
        assert await server.create(ENGINEER, obj) == ALLOWED
        assert await server.patch(OPERATOR, obj, {"metadata": {"finalizers": [FINALIZER]}}) == ALLOWED
        assert await self.name_of(server, obj) == user(ENGINEER)
        assert await server.patch(OPERATOR, obj, {"metadata": {"finalizers": []}}) == ALLOWED

    def test_apply_after_apply_keeps_the_name(self, server: Server) -> None:
        obj = json.dumps(server.example("Environment"))
        for words in (
            ("apply", "--server-side"),
            ("apply", "--server-side"),
            ("apply", "--server-side", "--dry-run=server"),
        ):
            server.cluster.kubectl(*words, "-f", "-", given=obj, role=ENGINEER)
            made = server.cluster.get("environment", "shop-prod", "-n", server.namespace)
            assert made["metadata"]["annotations"][REQUESTED_BY] == user(ENGINEER)

    async def test_who_asked_for_a_change_does_not_approve_it(
        self, server: Server, tmp_path: Path, cluster: Cluster
    ) -> None:
        """End to end: the operator with its own account, an admin who asks and tries, an approver who approves."""
        people = People(cluster, server.namespace)
        gate = {"name": "pairs", "stages": ["plan", "apply"], "fourEyes": True}
        gates = server.example("EnforcementGates", {"metadata.name": "pairs", "spec": {"gates": [gate]}})
        assert await server.create(GOVERNANCE, gates) == ALLOWED
        settings = {"SETPOINT_NAMESPACES": server.namespace}
        try:
            with running(cluster, tmp_path, role=OPERATOR, settings=settings):
                await asyncio.to_thread(self._asks_and_approves, people)
        finally:
            assert await server.delete(GOVERNANCE, gates) == ALLOWED

    def _asks_and_approves(self, people: People) -> None:
        people.apply(environment("shop"), role=ENGINEER)
        people.until_reason("shop", "ApprovalRequired")
        # An edit that changes nothing of what is proposed makes the admin who asks, and the engineer stays it too.
        people.cluster.kubectl(
            "patch", "environment", "shop", "-n", people.namespace, "--type=merge", "-p", '{"spec":{"interval":"1h"}}'
        )
        change = people.approve("shop")
        message = "waits for 1 approval by others than admin, paula"
        until(lambda: message in people.condition("shop").get("message", ""))
        found = people.get("change", change)
        assert found["spec"]["requestedBy"] == user(ENGINEER)
        assert "approvedBy" not in found["status"] or found["status"]["approvedBy"] == []
        people.setpoint("approve", change, "-n", people.namespace, role=APPROVER)
        people.until_reason("shop", "AtSetpoint")
        assert people.get("change", change)["status"]["approvedBy"] == [user(APPROVER)]
        words = ("delete", "environment", "shop", "-n", people.namespace, "--timeout=60s")
        people.cluster.kubectl(*words, seconds=90)


class TestFourEyesWithoutStamp:
    async def test_a_change_of_nobody_is_blocked(self, server: Server, tmp_path: Path, cluster: Cluster) -> None:
        people = People(cluster, server.namespace)
        gate = {"name": "pairs", "stages": ["plan", "apply"], "fourEyes": True}
        gates = server.example("EnforcementGates", {"metadata.name": "pairs", "spec": {"gates": [gate]}})
        assert await server.create(GOVERNANCE, gates) == ALLOWED
        settings = {"SETPOINT_NAMESPACES": server.namespace}
        try:
            with running(cluster, tmp_path, role=OPERATOR, settings=settings):
                await asyncio.to_thread(self._is_blocked, people)
        finally:
            assert await server.delete(GOVERNANCE, gates) == ALLOWED

    def _is_blocked(self, people: People) -> None:
        people.apply(environment("shop"), role=ENGINEER)
        people.until_reason("shop", "GateBlocked")
        assert "lacks the annotation setpoint.dev/requested-by" in people.condition("shop")["message"]
        change = people.get("environment", "shop")["status"]["change"]
        refused = people.setpoint("approve", change, "-n", people.namespace, role=APPROVER, check=False)
        assert "no approval changes that" in refused.stderr
        (pairs,) = [one for one in people.get("change", change)["status"]["gates"] if one["gate"] == "pairs"]
        assert (pairs["verdict"], pairs["blocks"]) == ("Indeterminate", True)
        words = ("delete", "environment", "shop", "-n", people.namespace, "--timeout=60s")
        people.cluster.kubectl(*words, seconds=90)


def _stamps(cluster: Cluster) -> bool:
    obj = having("Environment", {"metadata.name": "probe"})
    words = ("create", "--dry-run=server", "-o", "json", "-f", "-")
    made = json.loads(cluster.kubectl(*words, given=json.dumps(obj)).stdout)
    return REQUESTED_BY in made["metadata"].get("annotations", {})


# --- What stays -------------------------------------------------------------------------------------------------------

PROTECTIONS = pytest.mark.parametrize(
    "protection",
    [{"types": ["aws_db_instance"]}, {"addresses": ["aws_db_instance.orders"]}],
    ids=["types", "addresses"],
)
UNPROTECTED = {"spec": {"protection": {"types": [], "addresses": []}}}


@PROTECTIONS
async def test_a_protected_environment_stays(server: Server, protection: JsonObject) -> None:
    obj = server.example("Environment", {"spec.protection": protection})
    assert await server.create(ENGINEER, obj) == ALLOWED
    for role in (ENGINEER, ADMIN):
        refusal = await server.delete(role, obj)
        assert "environments/shop-prod is protected: empty spec.protection.addresses" in refusal
    collection = resource_of("Environment").collection(server.namespace)
    assert "environments/shop-prod is protected" in await server.ask(ENGINEER, "DELETE", collection, {})
    assert await server.patch(ENGINEER, obj, UNPROTECTED) == ALLOWED
    assert await server.delete(ENGINEER, obj) == ALLOWED


async def test_an_environment_that_protects_nothing_goes(server: Server) -> None:
    obj = server.example("Environment", {"spec.protection": {"deletionPolicy": "Destroy"}})
    assert await server.create(ENGINEER, obj) == ALLOWED
    assert await server.delete(ENGINEER, obj) == ALLOWED


@PROTECTIONS
async def test_the_namespace_of_a_protected_environment_stays(server: Server, protection: JsonObject) -> None:
    obj = server.example("Environment", {"spec.protection": protection})
    free = server.example("Environment", {"metadata.name": "a-free-one"})
    assert await server.create(ENGINEER, free) == ALLOWED
    assert await server.create(ENGINEER, obj) == ALLOWED
    path = f"/api/v1/namespaces/{server.namespace}"
    refusal = await server.ask(ADMIN, "DELETE", path, {})
    assert f"namespaces/{server.namespace} holds environments/shop-prod, which is protected" in refusal
    assert await server.patch(ENGINEER, obj, UNPROTECTED) == ALLOWED
    assert await server.delete(ENGINEER, obj) == ALLOWED


async def test_the_namespace_of_an_environment_to_be_destroyed_stays(server: Server) -> None:
    obj = server.example("Environment", {"spec.protection": {"deletionPolicy": "Destroy"}})
    assert await server.create(ENGINEER, obj) == ALLOWED
    path = f"/api/v1/namespaces/{server.namespace}"
    refusal = await server.ask(ADMIN, "DELETE", path, {})
    assert "environments/shop-prod, whose spec.protection.deletionPolicy is Destroy: delete it first" in refusal
    assert await server.patch(ENGINEER, obj, {"spec": {"protection": {"deletionPolicy": "Retain"}}}) == ALLOWED
    assert await server.ask(ADMIN, "DELETE", f"{path}?dryRun=All", {}) == ALLOWED
    assert await server.delete(ENGINEER, obj) == ALLOWED


async def test_a_namespace_with_all_our_kinds_goes(server: Server) -> None:
    """The namespace controller is let delete what only the operator may."""
    assert await server.create(ENGINEER, server.example("Environment")) == ALLOWED
    assert await server.create(OPERATOR, server.example("Change")) == ALLOWED
    assert await server.create(OPERATOR, server.example("Snapshot")) == ALLOWED
    assert await server.create(APPROVER, server.example("Approval")) == ALLOWED
    server.cluster.kubectl("delete", "namespace", server.namespace, "--timeout=90s", seconds=100)
    server.cluster.kubectl("create", "namespace", server.namespace)


HELD = {"metadata.finalizers": [FINALIZER, "example.com/other"]}


@pytest.mark.parametrize(("role", "allowed"), [(ENGINEER, False), (ADMIN, False), (OPERATOR, True), (GOVERNANCE, True)])
async def test_our_finalizer_is_removed_by_operator_and_governance(server: Server, role: str, allowed: bool) -> None:
    obj = server.example("Environment", HELD)
    assert await server.create(ENGINEER, obj) == ALLOWED
    refusal = await server.patch(role, obj, {"metadata": {"finalizers": ["example.com/other"]}})
    assert (refusal == ALLOWED) == allowed
    assert allowed or f"removes the finalizer setpoint.dev/finalizer, and you are {user(role)}" in refusal
    assert await server.patch(GOVERNANCE, obj, {"metadata": {"finalizers": None}}) == ALLOWED


async def test_another_finalizer_is_anybodys(server: Server) -> None:
    obj = server.example("Environment", HELD)
    assert await server.create(ENGINEER, obj) == ALLOWED
    assert await server.patch(ENGINEER, obj, {"metadata": {"finalizers": [FINALIZER]}}) == ALLOWED
    assert await server.patch(GOVERNANCE, obj, {"metadata": {"finalizers": None}}) == ALLOWED


@pytest.mark.parametrize("plural", ["environments", "changes", "enforcementgates"])
async def test_our_definitions_stay(server: Server, plural: str) -> None:
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.setpoint.dev"
    refusal = await server.ask(ADMIN, "DELETE", path, {"dryRun": ["All"]})
    assert f"customresourcedefinitions/{plural}.setpoint.dev: deleting it deletes every object of its kind" in refusal


async def test_definitions_go_by_governance_and_those_of_others_by_anybody(server: Server) -> None:
    rule = {"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": ["delete"]}
    server.cluster.kubectl(
        "create", "clusterrole", f"{server.namespace}-crds", "--verb=delete", f"--resource={rule['resources'][0]}"
    )
    server.cluster.kubectl(
        "create", "clusterrolebinding", f"{server.namespace}-crds", f"--clusterrole={server.namespace}-crds",
        "--group=setpoint:governance",
    )  # fmt: skip
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    assert await server.ask(GOVERNANCE, "DELETE", f"{path}/changes.setpoint.dev", {"dryRun": ["All"]}) == ALLOWED
    assert await server.ask(ADMIN, "POST", path, foreign_definition()) == ALLOWED
    assert await server.ask(ADMIN, "DELETE", f"{path}/widgets.example.com", {}) == ALLOWED
    server.cluster.kubectl("delete", "clusterrole,clusterrolebinding", f"{server.namespace}-crds")


def foreign_definition() -> JsonObject:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


# --- What governs -----------------------------------------------------------------------------------------------------

GATE: JsonObject = {
    "name": "guard",
    "stages": ["plan", "apply"],
    "selector": {"stages": ["prod", "staging"], "labels": {"team": "shop"}},
    "policySets": [{"name": "a", "digest": "sha256:" + "ab" * 32}, {"name": "b"}],
    "level": "hard-mandatory",
    "levels": {"low": "soft-mandatory"},
    "blastRadius": {"maxDelete": 1, "maxCreate": 5},
    "approvals": 2,
    "fourEyes": True,
}
OTHER: JsonObject = {"name": "other", "stages": ["plan"], "approvals": 1}
REMOVES = "removes a gate: guard"
NARROWS = "takes stages or targets from a gate: guard"
LOWERS = "lowers the level of a gate: guard"
EMPTIES = "takes policies from a gate, or pins others: guard"
WIDENS = "lets a gate pass more, or with fewer approvals: guard"

SOFTER = [
    ([OTHER], REMOVES, "removed"),
    ([{**GATE, "name": "renamed"}, OTHER], REMOVES, "renamed"),
    ({"stages": ["plan"]}, NARROWS, "fewer stages"),
    ({"selector": {"stages": ["prod"], "labels": {"team": "shop"}}}, NARROWS, "fewer targets"),
    ({"selector": {"stages": ["dev", "test"], "labels": {"team": "shop"}}}, NARROWS, "other targets"),
    ({"selector": {"stages": ["prod", "staging"], "labels": {"team": "x"}}}, NARROWS, "another label"),
    ({"selector": {"stages": ["prod", "staging"], "labels": {"team": "shop", "a": "b"}}}, NARROWS, "one label more"),
    ({"level": "soft-mandatory"}, LOWERS, "lower level"),
    ({"level": "advisory", "levels": {"low": "invariant"}}, LOWERS, "lower level, but not for low"),
    ({"levels": {"low": "advisory"}}, LOWERS, "lower by severity"),
    ({"levels": {"low": "soft-mandatory", "critical": "advisory"}}, LOWERS, "lower for critical"),
    ({"levels": {"low": "soft-mandatory", "high": "advisory"}}, LOWERS, "lower for high"),
    ({"levels": {"low": "soft-mandatory", "medium": "advisory"}}, LOWERS, "lower for medium"),
    ({"policySets": [GATE["policySets"][0]]}, EMPTIES, "fewer policies"),
    ({"policySets": []}, EMPTIES, "no policies"),
    ({"policySets": [{"name": "a"}, {"name": "b"}]}, EMPTIES, "unpinned"),
    ({"policySets": [{"name": "a", "digest": "sha256:" + "cd" * 32}, {"name": "b"}]}, EMPTIES, "pinned otherwise"),
    ({"blastRadius": {"maxDelete": 2, "maxCreate": 5}}, WIDENS, "larger blast radius"),
    ({"blastRadius": {"maxDelete": 1}}, WIDENS, "one limit less"),
    ({"blastRadius": None}, WIDENS, "no blast radius"),
    ({"approvals": 1}, WIDENS, "fewer approvals"),
    ({"approvals": None}, WIDENS, "no approvals"),
    ({"fourEyes": False}, WIDENS, "without four eyes"),
    ({"fourEyes": None}, WIDENS, "four eyes unset"),
]
HARDER = [
    ({}, "nothing"),
    ([GATE, OTHER, {"name": "third", "stages": ["reset"], "approvals": 1}], "one gate more"),
    ([OTHER, GATE], "another order"),
    ({"stages": ["plan", "apply", "reset"]}, "more stages"),
    ({"selector": {"stages": ["prod", "staging", "dev"], "labels": {"team": "shop"}}}, "more targets"),
    ({"selector": {"labels": {"team": "shop"}}}, "all stages"),
    ({"selector": {}}, "all targets"),
    ({"level": "invariant"}, "higher level"),
    ({"levels": {"low": "hard-mandatory", "critical": "invariant"}}, "higher by severity"),
    ({"levels": {}}, "the gate's level for all"),
    ({"policySets": [*GATE["policySets"], {"name": "c"}]}, "more policies"),
    ({"policySets": [GATE["policySets"][0], {"name": "b", "digest": "sha256:" + "cd" * 32}]}, "pinned"),
    ({"blastRadius": {"maxDelete": 0, "maxCreate": 5, "maxReplace": 0, "maxUpdate": 9}}, "smaller blast radius"),
    ({"approvals": 3}, "more approvals"),
    ([GATE, {**OTHER, "fourEyes": True}], "four eyes"),
    ({"timeout": "1s", "memoryMib": 64}, "other limits, beyond which is an error"),
]


class TestGates:
    @pytest.fixture(scope="class")
    @staticmethod
    def gates(cluster: Cluster, policies: None) -> Iterator[JsonObject]:
        version = {"apiVersion": "setpoint.dev/v1alpha1", "kind": "EnforcementGates"}
        obj = {**version, "metadata": {"name": "guarded"}, "spec": {"gates": [GATE, OTHER]}}
        cluster.kubectl("create", "-f", "-", given=json.dumps(obj))
        yield obj
        cluster.kubectl("delete", "enforcementgates", "guarded", role=GOVERNANCE)

    async def put(self, server: Server, role: str, gates: JsonObject, moved: Any) -> str:
        """Puts other gates in the object's place, without keeping them."""
        obj = await server.get(gates)
        listed = [{**GATE, **moved}, OTHER] if isinstance(moved, dict) else moved
        obj["spec"]["gates"] = [
            {key: value for key, value in one.items() if value is not None} for one in copy.deepcopy(listed)
        ]
        path = resource_of("EnforcementGates").item(ObjectRef.of(gates))
        return await server.ask(role, "PUT", f"{path}?dryRun=All", obj)

    @pytest.mark.parametrize(("moved", "said"), [pytest.param(m, s, id=i) for m, s, i in SOFTER])
    async def test_softer_is_governances_alone(self, server: Server, gates: JsonObject, moved: Any, said: str) -> None:
        refusal = await self.put(server, ADMIN, gates, moved)
        assert f"only the group setpoint:governance {said}" in refusal
        assert await self.put(server, GOVERNANCE, gates, moved) == ALLOWED

    @pytest.mark.parametrize("moved", [pytest.param(m, id=i) for m, i in HARDER])
    async def test_harder_is_anybodys_who_may_write(self, server: Server, gates: JsonObject, moved: Any) -> None:
        assert await self.put(server, ADMIN, gates, moved) == ALLOWED
        assert "cannot update resource" in await self.put(server, ENGINEER, gates, moved)

    async def test_removing_is_governances_alone(self, server: Server, gates: JsonObject) -> None:
        path = resource_of("EnforcementGates").item(ObjectRef.of(gates))
        refusal = await server.ask(ADMIN, "DELETE", path, {"dryRun": ["All"]})
        assert "enforcementgates/guarded: only the group setpoint:governance removes it" in refusal
        assert await server.ask(GOVERNANCE, "DELETE", path, {"dryRun": ["All"]}) == ALLOWED

    async def test_the_largest_object_is_decided(self, server: Server) -> None:
        """CEL has a budget: a decision that exceeds it would refuse every edit of such gates."""
        stages = [f"stage-{number}" for number in range(32)]
        labels = {f"label-{number}": "x" for number in range(32)}
        sets = [{"name": f"set-{number}", "digest": "sha256:" + "ab" * 32} for number in range(16)]
        gate = {**GATE, "selector": {"stages": stages, "labels": labels}, "policySets": sets}
        obj = server.example("EnforcementGates", {"metadata.name": f"largest-{server.namespace}"})
        obj["spec"]["gates"] = [{**gate, "name": f"gate-{number}"} for number in range(64)]
        assert await server.create(ADMIN, obj) == ALLOWED
        harder = [{**one, "approvals": 3} for one in obj["spec"]["gates"]]
        assert await server.patch(ADMIN, obj, {"spec": {"gates": harder}}) == ALLOWED
        softer = [*harder[:-1], {**harder[-1], "approvals": 1}]
        assert "with fewer approvals: gate-63" in await server.patch(ADMIN, obj, {"spec": {"gates": softer}})
        assert await server.delete(GOVERNANCE, obj) == ALLOWED


@pytest.mark.parametrize(
    "spec",
    [{"params": {"max_delete": 9}}, {"source": {"builtin": None, "inline": {"a.rego": "package a"}}}],
    ids=["params", "source"],
)
async def test_policies_are_changed_by_governance_alone(server: Server, spec: JsonObject) -> None:
    obj = server.example("PolicySet", {"metadata.name": f"pset-{server.namespace}"})
    assert await server.create(ADMIN, obj) == ALLOWED
    refusal = await server.patch(ADMIN, obj, {"spec": spec})
    assert "only the group setpoint:governance changes or removes it, and you are admin" in refusal
    assert "changes or removes it" in await server.delete(ADMIN, obj)
    assert await server.patch(ADMIN, obj, {"metadata": {"annotations": {"note": "x"}}}) == ALLOWED
    assert await server.patch(GOVERNANCE, obj, {"spec": spec}) == ALLOWED
    assert await server.delete(GOVERNANCE, obj) == ALLOWED


async def test_what_stays_stays_from_the_first_request_after_a_restart(server: Server, api_server: ApiServer) -> None:
    obj = server.example("Environment", {"spec.protection": {"types": ["aws_db_instance"]}})
    assert await server.create(ENGINEER, obj) == ALLOWED
    await asyncio.to_thread(api_server.api.kill)
    await asyncio.to_thread(api_server.recover)
    for path in (f"/api/v1/namespaces/{server.namespace}", resource_of("Environment").item(ObjectRef.of(obj))):
        assert await server.ask(ADMIN, "DELETE", path, {"dryRun": ["All"]}) != ALLOWED
    assert await server.patch(ENGINEER, obj, UNPROTECTED) == ALLOWED
    assert await server.delete(ENGINEER, obj) == ALLOWED
    path = f"/api/v1/namespaces/{server.namespace}?dryRun=All"
    async with asyncio.timeout(30):
        while await server.ask(ADMIN, "DELETE", path, {}) != ALLOWED:
            await asyncio.sleep(0.2)


# --- The policies themselves ------------------------------------------------------------------------------------------


def test_every_policy_is_type_checked_without_a_warning(cluster: Cluster) -> None:
    def checked() -> list[JsonObject]:
        found = cluster.get("validatingadmissionpolicies")["items"]
        return [one for one in found if one["metadata"]["name"].startswith("setpoint-")]

    until(lambda: all("typeChecking" in one.get("status", {}) for one in checked()))
    assert len(checked()) >= 11
    warnings = {one["metadata"]["name"]: one["status"]["typeChecking"] for one in checked()}
    assert {name: found for name, found in warnings.items() if found} == {}


def test_every_validation_says_what_is_wrong_in_two_ways(cluster: Cluster) -> None:
    for policy in cluster.get("validatingadmissionpolicies")["items"]:
        if policy["metadata"]["name"].startswith("setpoint-"):
            assert policy["spec"]["failurePolicy"] == "Fail"
            assert all(one["message"] and one["messageExpression"] for one in policy["spec"]["validations"])
