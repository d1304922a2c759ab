"""PolicySet and EnforcementGates: what their status says, and that a bad one never looks ready."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.cluster import InMemoryCluster
from tests.fakes.store import FixedClock

from setpoint.api.conditions import ConditionType, Reason
from setpoint.api.kind_conditions import KIND_CONDITIONS
from setpoint.api.meta import MANIFEST_ERROR_ANNOTATION, ObjectRef
from setpoint.api.v1alpha1.policyset import PolicySetSpec
from setpoint.domain.errors import StalledError, WaitingError
from setpoint.domain.policies import PackageIndex, PolicyCheck, PolicyModules, PolicyResult
from setpoint.governance.policies import EnforcementGatesReconciler, PolicySetReconciler
from setpoint.runtime.requests import Request, Result

SET = ObjectRef("PolicySet", "", "baseline")
GATES = ObjectRef("EnforcementGates", "", "org")
OTHER = "sha256:" + "1" * 64


class Resolver:
    """Resolves inline sources; anything else is refused."""

    async def resolve(self, spec: PolicySetSpec, *, origin: Path | None) -> PolicyModules:
        if spec.source.inline is None and spec.source.path is None:
            raise StalledError(Reason.SOURCE_REFUSED, "spec.source: refused")
        modules = PolicyModules.of(spec.source.inline or {"a.rego": str(origin)}, spec.params)
        if spec.digest not in {None, modules.digest}:
            raise StalledError(Reason.DIGEST_MISMATCH, "spec.digest: another")
        return modules


class Engine:
    """Finds a problem in every module that says so."""

    async def check(self, modules: PolicyModules) -> PolicyCheck:
        problems = tuple(f"{name}:1: bad" for name, text in modules.modules.items() if "bad" in text)
        unfit = {"Repo": "a.rego:2: there is no input.plan"} if "plans" in modules.modules["a.rego"] else {}
        packages = (PackageIndex("a", "t" * 500, severity="high", unfit=unfit),)
        return PolicyCheck(problems, () if problems else packages)

    async def evaluate(
        self,
        modules: PolicyModules,
        document: Any,
        *,
        timeout: float,
        memory_mib: int,
    ) -> PolicyResult:
        raise AssertionError("a reconciler never asks a policy")


async def create_set(cluster: InMemoryCluster, name: str = "baseline", text: str = "good", **spec: Any) -> None:
    full = {"source": {"inline": {"a.rego": text}}} | spec
    await cluster.create(
        {"apiVersion": "setpoint.dev/v1alpha1", "kind": "PolicySet", "metadata": {"name": name}, "spec": full}
    )


async def create_gates(cluster: InMemoryCluster, **gate: Any) -> None:
    full = {"name": "rules", "stages": ["plan"], "policySets": [{"name": "baseline"}]} | gate
    await cluster.create(
        {
            "apiVersion": "setpoint.dev/v1alpha1",
            "kind": "EnforcementGates",
            "metadata": {"name": "org"},
            "spec": {"gates": [full]},
        }
    )


async def reconcile_set(cluster: InMemoryCluster, ref: ObjectRef = SET) -> Result:
    reconciler = PolicySetReconciler(
        cluster=cluster, engine=Engine(), policies=Resolver(), origin_of=lambda _: Path("/home"), clock=FixedClock()
    )
    return await reconciler.reconcile(Request(ref))


async def reconcile_gates(cluster: InMemoryCluster) -> Result:
    return await EnforcementGatesReconciler(cluster=cluster, clock=FixedClock()).reconcile(Request(GATES))


async def ready_of(cluster: InMemoryCluster, ref: ObjectRef) -> tuple[str, str]:
    conditions = {one["type"]: one for one in (await cluster.get(ref))["status"]["conditions"]}
    for type_, condition in conditions.items():
        assert Reason(condition["reason"]) in KIND_CONDITIONS[ref.kind][ConditionType(type_)]
    assert ("Stalled" in conditions) is (conditions["Ready"]["status"] == "False")
    return conditions["Ready"]["status"], conditions["Ready"]["reason"]


async def test_a_good_set_is_ready_and_indexed(cluster: InMemoryCluster) -> None:
    await create_set(cluster)
    assert await reconcile_set(cluster) == Result()
    assert await ready_of(cluster, SET) == ("True", "PolicyLoaded")
    status = (await cluster.get(SET))["status"]
    assert status["digest"] == PolicyModules.of({"a.rego": "good"}).digest
    assert status["rules"] == [{"package": "a", "title": "t" * 253, "severity": "high"}]
    writes = cluster.writes
    await reconcile_set(cluster)
    assert cluster.writes == writes


async def test_a_set_that_is_an_error_for_a_kind_says_so(cluster: InMemoryCluster) -> None:
    await create_set(cluster, text="plans")
    await reconcile_set(cluster)
    assert await ready_of(cluster, SET) == ("True", "PolicyLoaded")
    (ready,) = (one for one in (await cluster.get(SET))["status"]["conditions"] if one["type"] == "Ready")
    assert ready["message"] == (
        "1 packages; an Error for Changes of the kind Repo: a.rego:2: there is no input.plan; "
        "say custom.kinds in the METADATA of a package that is for other kinds alone"
    )


async def test_a_folder_is_looked_at_again(cluster: InMemoryCluster) -> None:
    await create_set(cluster, source={"path": "policies"})
    assert await reconcile_set(cluster) == Result(dt.timedelta(minutes=1))


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        pytest.param({"text": "bad"}, Reason.POLICY_INVALID, id="does-not-load"),
        pytest.param({"source": {"builtin": "baseline"}}, Reason.POLICY_INVALID, id="refused"),
        pytest.param({"digest": OTHER}, Reason.DIGEST_MISMATCH, id="another-digest"),
    ],
)
async def test_bad_sets_are_stalled(cluster: InMemoryCluster, spec: dict[str, Any], reason: Reason) -> None:
    await create_set(cluster, **spec)
    with pytest.raises(StalledError) as caught:
        await reconcile_set(cluster)
    assert caught.value.reason is reason
    assert await ready_of(cluster, SET) == ("False", reason.value)


async def test_a_set_that_turns_bad_loses_its_digest(cluster: InMemoryCluster) -> None:
    await create_set(cluster)
    await reconcile_set(cluster)
    found = await cluster.get(SET)
    found["spec"]["source"]["inline"]["a.rego"] = "bad"
    await cluster.update(found)
    with pytest.raises(StalledError, match=r"a\.rego:1: bad"):
        await reconcile_set(cluster)
    status = (await cluster.get(SET))["status"]
    assert "digest" not in status
    assert status["rules"] == []


async def test_a_broken_manifest_is_stalled(cluster: InMemoryCluster) -> None:
    await create_set(cluster)
    await cluster.annotate(SET, {MANIFEST_ERROR_ANNOTATION: "line 3: no"})
    with pytest.raises(StalledError, match="line 3"):
        await reconcile_set(cluster)
    assert (await ready_of(cluster, SET))[0] == "False"


async def test_what_is_gone_is_at_rest(cluster: InMemoryCluster) -> None:
    assert await reconcile_set(cluster) == Result()
    assert await reconcile_gates(cluster) == Result()


async def test_gates_are_ready_when_their_sets_are(cluster: InMemoryCluster) -> None:
    await create_set(cluster)
    await reconcile_set(cluster)
    await create_gates(cluster)
    await reconcile_gates(cluster)
    assert await ready_of(cluster, GATES) == ("True", "PolicyLoaded")


@pytest.mark.parametrize(
    ("gate", "reason", "why"),
    [
        pytest.param({"policySets": [{"name": "nope"}]}, Reason.POLICY_INVALID, "PolicySet nope", id="missing"),
        pytest.param(
            {"policySets": [{"name": "baseline", "digest": OTHER}]}, Reason.DIGEST_MISMATCH, "pins", id="another-digest"
        ),
        pytest.param({"name": "approvals"}, Reason.POLICY_INVALID, "built-in", id="name-of-a-built-in-gate"),
    ],
)
async def test_bad_gates_are_stalled(cluster: InMemoryCluster, gate: dict[str, Any], reason: Reason, why: str) -> None:
    await create_set(cluster)
    await reconcile_set(cluster)
    await create_gates(cluster, **gate)
    with pytest.raises(StalledError, match=why):
        await reconcile_gates(cluster)
    assert await ready_of(cluster, GATES) == ("False", reason.value)


async def test_gates_wait_for_a_set_that_was_not_looked_at(cluster: InMemoryCluster) -> None:
    await create_set(cluster)
    await create_gates(cluster)
    with pytest.raises(WaitingError, match="being checked"):
        await reconcile_gates(cluster)
