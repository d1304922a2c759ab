"""Objects that a schema of today would not let through: said on the object where it can be, and no harm to others."""

from typing import Any

import pytest
from tests.fakes.cluster import InMemoryCluster
from tests.fakes.examples import example
from tests.fakes.reconciling import REF, Bench, FakeClock, FakePolicies

from setpoint.api.conditions import Reason
from setpoint.api.meta import RECONCILE_ANNOTATION, ObjectRef
from setpoint.api.v1alpha1.environment import Environment
from setpoint.api.v1alpha1.policyset import PolicySet
from setpoint.domain.errors import InvalidError, StalledError
from setpoint.domain.reading import items_at, parse, readable_status, text_at
from setpoint.governance.policies import PolicySetReconciler
from setpoint.pipeline.changes import ChangeRegister
from setpoint.pipeline.resets import ResetRegister
from setpoint.pipeline.routing import Referrers, Router
from setpoint.pipeline.snapshots import SnapshotPruner
from setpoint.ports import WatchEvent
from setpoint.runtime.requests import Request
from setpoint.runtime.status import show_unreadable

JUNK: list[Any] = [None, "text", 7, [], {}, {"targetRef": "x", "changeRef": [], "variablesFrom": {"a": 1}}]
JUNKS = pytest.mark.parametrize("junk", JUNK, ids=[repr(one)[:20] for one in JUNK])


async def plant(cluster: InMemoryCluster, kind: str, spec: Any, *, name: str = "old", **more: Any) -> dict[str, Any]:
    obj = {**example(kind, name=name), **more}
    obj["metadata"]["uid"] = "u"
    obj["spec"] = spec
    if spec is None:
        del obj["spec"]
    await cluster.plant(obj)
    return obj


@JUNKS
async def test_an_environment_says_what_in_it_can_not_be_read(junk: Any) -> None:
    bench = Bench()
    status = {"failures": 2, "conditions": [{"type": "Drifted", "status": "True", "reason": "DriftDetected"}]}
    await plant(bench.cluster, "Environment", junk, name=REF.name, status=status)
    report = await bench.run()
    assert isinstance(bench.error, StalledError)
    assert bench.error.requeue_after is not None
    assert (report.stalled, report.reason) == (True, "InvalidSpec")
    for type_, shown in (("Ready", "False"), ("Stalled", "True")):
        assert await bench.condition(type_) == (shown, "InvalidSpec")
    assert (await bench.status())["failures"] == 2, "what else the status says is kept"
    assert bench.recorder.events[-1][:2] == ("Warning", "InvalidSpec")


async def test_a_status_that_the_server_does_not_take_is_told_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    await plant(bench.cluster, "Environment", {}, name=REF.name)

    async def refuse(*_: object, **__: object) -> None:
        raise InvalidError("no")

    monkeypatch.setattr(bench.cluster, "update_status", refuse)
    await bench.run()
    assert isinstance(bench.error, StalledError)
    assert bench.recorder.events[-1][:2] == ("Warning", "InvalidSpec")


HOLD = {"reason": "ResetHold", "since": "2026-01-01T00:00:00Z", "generation": 2}


@pytest.mark.parametrize(
    ("status", "kept"),
    [
        pytest.param("text", {}, id="text"),
        pytest.param({"failures": "many", "attempts": 3}, {"attempts": 3}, id="a wrong type"),
        pytest.param({"phase": "x", "failures": 1}, {"phase": "x", "failures": 1}, id="a field of a newer version"),
        pytest.param({"applied": {"bundle": 3}, "conditions": "none"}, {}, id="wrong within"),
        pytest.param(
            {"hold": {**HOLD, "until": "x", "by": {"who": "x"}}, "failures": 2},
            {"hold": {**HOLD, "until": "x", "by": {"who": "x"}}, "failures": 2},
            id="more within, of a newer version",
        ),
    ],
)
def test_what_is_read_of_a_status_is_what_fits(status: Any, kept: dict[str, Any]) -> None:
    obj = {**example("Environment"), "status": status}
    assert readable_status(Environment, obj) == kept
    read = parse(Environment, obj).status.as_json()
    assert {name: read[name] for name in kept} == kept


def test_looking_into_what_has_no_known_shape() -> None:
    obj = {"spec": {"ref": {"name": "a"}, "number": 3, "list": [1]}}
    assert text_at(obj, "spec", "ref", "name") == "a"
    assert [
        text_at(obj, *path) for path in (("spec", "number"), ("spec", "ref"), ("x", "y"), ("spec", "list", "0"))
    ] == [
        "",
        "",
        "",
        "",
    ]
    assert items_at(obj, "spec", "list") == [1]
    assert items_at(obj, "spec", "ref") == items_at("text", "spec") == []


@JUNKS
@pytest.mark.parametrize("kind", ["Environment", "Approval", "Reset", "PolicySet", "EnforcementGates"])
async def test_no_object_stops_what_wakes_targets(cluster: InMemoryCluster, kind: str, junk: Any) -> None:
    obj = await plant(cluster, kind, junk)
    await Router(cluster).route(WatchEvent("ADDED", obj))
    referrers = Referrers()
    if kind == "Environment":
        referrers.notice(obj)
    assert referrers.of([ObjectRef("Secret", "default", "a")]) == []


@JUNKS
@pytest.mark.parametrize("kind", ["Change", "Reset", "Snapshot", "Approval"])
async def test_a_neighbour_is_served_beside_what_can_not_be_read(kind: str, junk: Any) -> None:
    bench = Bench()
    labels = {"setpoint.dev/target": REF.name}
    await bench.cluster.plant(
        {
            **example(kind, name="old"),
            "metadata": {"name": "old", "namespace": "default", "labels": labels, "uid": "u"},
            "spec": junk,
        }
    )
    await bench.declare({"a": "1"}, snapshots={"keep": 1})
    await bench.run()
    await bench.approve()
    assert (await bench.run()).reason == "AtSetpoint"
    environment = parse(Environment, await bench.cluster.get(REF))
    await SnapshotPruner(bench.cluster).prune(environment, newest=None)


async def test_a_change_that_can_not_be_read_is_named(cluster: InMemoryCluster, clock: FakeClock) -> None:
    await plant(cluster, "Change", {}, name="c")
    with pytest.raises(StalledError, match=r"Change c is of another schema .* delete it"):
        await ChangeRegister(cluster, clock).get("default", "c")


async def test_a_reset_to_a_snapshot_that_can_not_be_read_is_closed(
    cluster: InMemoryCluster, clock: FakeClock, environment: Environment
) -> None:
    reset = example("Reset", name="back")
    await cluster.add(reset)
    await plant(cluster, "Snapshot", {}, name=reset["spec"]["snapshotRef"]["name"])
    assert await ResetRegister(cluster, clock).due(environment) is None
    found = await cluster.get(ObjectRef("Reset", "default", "back"))
    (complete,) = found["status"]["conditions"]
    assert (complete["status"], complete["reason"]) == ("False", "SnapshotNotFound")


async def test_a_reset_says_what_in_it_can_not_be_read(
    cluster: InMemoryCluster, clock: FakeClock, environment: Environment
) -> None:
    await plant(cluster, "Reset", {"snapshotRef": {"name": "s"}}, name="back")
    register = ResetRegister(cluster, clock)
    assert await register.due(environment) is None
    (complete,) = (await cluster.get(ObjectRef("Reset", "default", "back")))["status"]["conditions"]
    assert (complete["type"], complete["status"], complete["reason"]) == ("Complete", "False", "InvalidSpec")
    assert "spec.targetRef" in complete["message"]
    writes = cluster.writes
    assert await register.due(environment) is None
    assert cluster.writes == writes, "it is said once"


async def test_a_policy_set_says_what_in_it_can_not_be_read(cluster: InMemoryCluster, clock: FakeClock) -> None:
    await plant(cluster, "PolicySet", {})
    policies = FakePolicies()
    reconciler = PolicySetReconciler(
        cluster=cluster, engine=policies, policies=policies, origin_of=lambda _: None, clock=clock
    )
    ref = ObjectRef("PolicySet", "", "old")
    with pytest.raises(StalledError) as caught:
        await reconciler.reconcile(Request(ref))
    assert caught.value.reason is Reason.POLICY_INVALID
    conditions = (await cluster.get(ref))["status"]["conditions"]
    assert {(one["type"], one["reason"]) for one in conditions} == {
        ("Ready", "PolicyInvalid"),
        ("Stalled", "PolicyInvalid"),
    }


async def test_one_that_is_gone_meanwhile_is_no_fault(cluster: InMemoryCluster, clock: FakeClock) -> None:
    obj = await plant(cluster, "PolicySet", {})
    await cluster.delete(ObjectRef("PolicySet", "", "old"))
    error = InvalidError("Field required", field="spec.source")
    stalled = await show_unreadable(cluster, PolicySet, obj, error, Reason.POLICY_INVALID, clock.now())
    assert stalled.message == "spec.source: Field required"


async def test_a_request_for_a_run_may_be_as_long_as_it_likes() -> None:
    bench = Bench()
    await bench.declare({"a": "1"})
    await bench.cluster.annotate(REF, {RECONCILE_ANNOTATION: "x" * 5000})
    await bench.run()
    assert (await bench.status())["handledReconcile"] == "x" * 1024
