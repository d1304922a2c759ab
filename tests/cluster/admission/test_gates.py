"""Governance: gates and policies, which the governance group alone makes softer, and the policies themselves."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.cluster.admission.server import ADMIN, ALLOWED, ENGINEER, GOVERNANCE, Server
from tests.cluster.apiserver import Cluster
from tests.cluster.manifests import until

from setpoint.adapters.kube.paths import resource_of
from setpoint.api.meta import JsonObject, ObjectRef

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
OTHER: JsonObject = {"name": "other", "stages": ["plan"], "approvals": 1, "selector": {"kinds": ["Environment"]}}
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
    ({"selector": {**GATE["selector"], "kinds": ["Environment"]}}, NARROWS, "one kind alone"),
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
    ([GATE, {**OTHER, "selector": {}}], "all kinds"),
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
        selector = {"stages": stages, "labels": labels, "kinds": ["Environment"] * 8}
        gate = {**GATE, "selector": selector, "policySets": sets}
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
    [{"params": {"max_destroyed": 9}}, {"source": {"builtin": None, "inline": {"a.rego": "package a"}}}],
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
