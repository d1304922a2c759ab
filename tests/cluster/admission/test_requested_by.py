"""The requester of a change: the stamp, and four eyes where there is none."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.admission.server import (
    ADMIN,
    ALLOWED,
    APPROVER,
    ENGINEER,
    GOVERNANCE,
    OPERATOR,
    REQUESTED_BY,
    Server,
    user,
)
from tests.cluster.apiserver import PATIENT, Cluster
from tests.cluster.manifests import MANIFESTS, until
from tests.cluster.operators import People, environment, running
from tests.unit.api.test_admission import having

from setpoint.api.meta import FINALIZER, JsonObject

MOVED = {"spec": {"interval": "7m"}}


def stamped(by: str | None) -> JsonObject:
    return {"metadata": {"annotations": {REQUESTED_BY: by}}}


@pytest.fixture
def people(server: Server, cluster: Cluster, tmp_path: Path) -> Iterator[People]:
    """People who ask and approve, beside an operator with its own account and a gate that asks for four eyes."""
    gate = {"name": "pairs", "stages": ["plan", "apply"], "fourEyes": True}
    gates = server.example("EnforcementGates", {"metadata.name": "pairs", "spec": {"gates": [gate]}})
    cluster.kubectl("apply", "-f", "-", given=json.dumps(gates), role=GOVERNANCE)
    try:
        with running(cluster, tmp_path, role=OPERATOR, settings={"SETPOINT_NAMESPACES": server.namespace}):
            yield People(cluster, server.namespace)
    finally:
        cluster.kubectl("delete", "enforcementgates", "pairs", role=GOVERNANCE)


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

    def test_who_asked_for_a_change_does_not_approve_it(self, people: People, server: Server) -> None:
        """End to end: an admin who asks and tries, by the command and past it; an approver who approves."""
        people.apply(environment("shop"), role=ENGINEER)
        people.until_reason("shop", "ApprovalRequired")
        # An edit that changes nothing of what is proposed makes the admin who asks, and the engineer stays it too.
        people.cluster.kubectl(
            "patch", "environment", "shop", "-n", people.namespace, "--type=merge", "-p", '{"spec":{"interval":"1h"}}'
        )
        change = people.get("environment", "shop")["status"]["change"]
        refused = people.setpoint("approve", change, "-n", people.namespace, check=False)
        assert (refused.returncode, "somebody else must approve it" in refused.stderr) == (1, True)
        subject = people.get("change", change)["spec"]["subject"]
        said = {"changeRef": {"name": change}, "subject": subject, "verdict": "Approved", "approver": "admin"}
        past = {"metadata.name": f"{change}-admin", "metadata.namespace": people.namespace, "spec": said}
        people.apply(server.example("Approval", past))
        message = "waits for 1 approval by others than admin, paula"
        until(lambda: message in people.condition("shop").get("message", ""))
        found = people.get("change", change)
        assert found["spec"]["requestedBy"] == user(ENGINEER)
        assert "approvedBy" not in found["status"] or found["status"]["approvedBy"] == []
        people.setpoint("approve", change, "-n", people.namespace, role=APPROVER)
        people.until_reason("shop", "AtSetpoint")
        assert people.get("change", change)["status"]["approvedBy"] == [user(APPROVER)]
        words = ("delete", "environment", "shop", "-n", people.namespace, PATIENT)
        people.cluster.kubectl(*words)


class TestFourEyesWithoutStamp:
    def test_a_change_of_nobody_is_blocked(self, people: People) -> None:
        people.apply(environment("shop"), role=ENGINEER)
        people.until_reason("shop", "GateBlocked")
        assert "lacks the annotation setpoint.dev/requested-by" in people.condition("shop")["message"]
        change = people.get("environment", "shop")["status"]["change"]
        refused = people.setpoint("approve", change, "-n", people.namespace, role=APPROVER, check=False)
        assert "no approval changes that" in refused.stderr
        (pairs,) = [one for one in people.get("change", change)["status"]["gates"] if one["gate"] == "pairs"]
        assert (pairs["verdict"], pairs["blocks"]) == ("Indeterminate", True)
        words = ("delete", "environment", "shop", "-n", people.namespace, PATIENT)
        people.cluster.kubectl(*words)


def _stamps(cluster: Cluster) -> bool:
    obj = having("Environment", {"metadata.name": "probe"})
    words = ("create", "--dry-run=server", "-o", "json", "-f", "-")
    made = json.loads(cluster.kubectl(*words, given=json.dumps(obj)).stdout)
    return REQUESTED_BY in made["metadata"].get("annotations", {})
