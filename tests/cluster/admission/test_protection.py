"""Protection from removal: protected Environments, their namespaces, our finalizer and our definitions."""

import asyncio

import pytest
from tests.cluster.admission.server import (
    ADMIN,
    ALLOWED,
    APPROVER,
    ENGINEER,
    GOVERNANCE,
    OPERATOR,
    Server,
    user,
)
from tests.cluster.apiserver import PATIENT, ApiServer

from setpoint.adapters.kube.paths import resource_of
from setpoint.api.meta import FINALIZER, JsonObject, ObjectRef

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
    server.cluster.kubectl("delete", "namespace", server.namespace, PATIENT)
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
    async with asyncio.timeout(90):
        while await server.ask(ADMIN, "DELETE", path, {}) != ALLOWED:
            await asyncio.sleep(0.2)
