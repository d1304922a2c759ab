"""Drift is judged by policies: a violation is told whether or not anything would be planned, and blocks no repair."""

import dataclasses
import json
from typing import Any

import pytest
from tests.fakes.inputs import INPUTS
from tests.fakes.plans import change, update
from tests.fakes.reconciling import KNOWN_SECRET, REF, Bench

from setpoint.adapters.policy.engine import RegorusEngine
from setpoint.api.conditions import ConditionType
from setpoint.domain.policies import PolicyResult, Violation

ONE = {"a": "1"}
AUTO: dict[str, Any] = {"apply": {"mode": "Auto"}, "approvals": {"required": 0}}
OPENED = update("t.a", {"open": False}, {"open": True})
TAGGED = update("t.a", {"open": False, "tag": 1}, {"open": False, "tag": 2})
OPEN_BEFORE = update("t.o", {"open": True, "tag": 1}, {"open": True, "tag": 2})
GONE = change("t.a", ["delete"], {"open": True})


def denies(drift: Any) -> PolicyResult:
    """Denies each resource that is open."""
    found = [item["address"] for item in drift if (item["change"]["after"] or {}).get("open")]
    return PolicyResult(tuple(Violation("open", "is open", address, "critical") for address in found))


@pytest.fixture
async def bench() -> Bench:
    """An environment at its setpoint, behind a gate."""
    bench = Bench()
    await bench.gate(level="hard-mandatory")
    await bench.declare(ONE, **AUTO)
    await bench.run()
    bench.policies.of_drift = denies
    bench.recorder.events.clear()
    return bench


async def drifted(bench: Bench) -> tuple[str, str, str]:
    conditions = (await bench.status())["conditions"]
    (found,) = (one for one in conditions if one["type"] == ConditionType.DRIFTED)
    return found["status"], found["reason"], found.get("message", "")


VIOLATED = "gate rules: [critical] open: t.a: is open"


@pytest.mark.parametrize(
    ("drift", "expected"),
    [
        pytest.param((), ("False", "NoDrift", ""), id="none"),
        pytest.param((TAGGED,), ("False", "NoDrift", ""), id="informational and allowed"),
        pytest.param((OPENED,), ("True", "PolicyViolated", VIOLATED), id="informational and denied"),
        pytest.param((OPEN_BEFORE,), ("False", "NoDrift", ""), id="denied as it was recorded"),
        pytest.param((GONE,), ("False", "NoDrift", ""), id="gone"),
    ],
)
async def test_drift_with_nothing_to_plan(bench: Bench, drift: Any, expected: Any) -> None:
    bench.world.drift = drift
    report = await bench.run()
    assert report.reason == "AtSetpoint"
    assert await drifted(bench) == expected
    assert (await bench.status())["drift"].get("violations", 0) == (expected[0] == "True")
    assert [event for event in bench.recorder.events if event[1] == "PolicyViolated"] == (
        [("Warning", "PolicyViolated", VIOLATED)] if expected[0] == "True" else []
    )
    shown = 'setpoint_drift_violations{kind="Environment",name="web",namespace="default"} '
    assert f"{shown}{float(expected[0] == 'True')}" in bench.metrics.render().decode()


async def test_it_is_told_once_and_again_where_it_moves(bench: Bench) -> None:
    bench.world.drift = (OPENED,)
    await bench.run()
    await bench.run()
    bench.world.drift = (OPENED, update("t.b", {"open": False}, {"open": True}))
    await bench.run()
    bench.world.drift = ()
    await bench.run()
    told = [event for event in bench.recorder.events if event[1] in {"PolicyViolated", "NoDrift"}]
    assert [(kind, reason) for kind, reason, _ in told] == [
        ("Warning", "PolicyViolated"),
        ("Warning", "PolicyViolated"),
        ("Normal", "NoDrift"),
    ]
    assert "t.b: is open" in told[1][2]
    assert (await bench.status())["drift"].get("violations", 0) == 0


async def test_a_repair_is_not_blocked_by_what_it_repairs(bench: Bench) -> None:
    bench.world.drift = (OPENED,)
    bench.world.actual["a"] = "tampered"
    await bench.declare(ONE, **AUTO, drift={"mode": "Heal"})
    report = await bench.run()
    assert (report.reason, bench.world.applies) == ("AtSetpoint", 2)
    asked = [(one["gate"]["stage"], bool(one["plan"]["resource_drift"])) for one in bench.policies.asked]
    assert {stage for stage, drift in asked if drift} == {"drift"}


@pytest.mark.parametrize("drift", [(OPENED,), ()], ids=["judged", "none"])
async def test_gates_and_policies_are_gathered_once_a_pass(bench: Bench, drift: Any, monkeypatch: Any) -> None:
    """Though they are asked of the drift, of the Change, and again before the apply."""
    read: list[str] = []
    listed, resolve = bench.cluster.list, bench.policies.resolve

    async def list_(kind: str, **where: Any) -> Any:
        read.append(kind)
        return await listed(kind, **where)

    async def resolve_(spec: Any, **where: Any) -> Any:
        read.append("content")
        return await resolve(spec, **where)

    monkeypatch.setattr(bench.cluster, "list", list_)
    monkeypatch.setattr(bench.policies, "resolve", resolve_)
    await bench.declare(ONE, **AUTO, drift={"mode": "Heal"})
    bench.world.drift, bench.world.actual["a"] = drift, "tampered"
    bench.policies.asked.clear()
    await bench.run()
    assert bench.world.applies == 2
    asked = {"drift", "plan", "apply"} if drift else {"plan", "apply"}
    assert {one["gate"]["stage"] for one in bench.policies.asked} == asked
    assert [read.count(one) for one in ("EnforcementGates", "PolicySet", "content")] == [1, 1, 1]


async def test_who_decides_on_a_change_is_told(bench: Bench) -> None:
    bench.world.drift = (OPENED,)
    bench.world.actual["a"] = "tampered"
    await bench.run()
    assert await drifted(bench) == ("True", "PolicyViolated", f"{VIOLATED}; 1 drifted: a")
    (change_,) = [one for one in await bench.changes() if one["spec"]["cause"] == "Drift"]
    assert change_["status"]["warnings"] == [VIOLATED]


@pytest.mark.parametrize("tampered", [False, True])
async def test_what_cant_be_asked_is_told_as_such(bench: Bench, tampered: bool) -> None:
    bench.world.drift = (OPENED,)
    bench.policies.of_drift = lambda _: PolicyResult(error="too slow")
    if tampered:
        bench.world.actual["a"] = "tampered"
    await bench.run()
    status, reason, message = await drifted(bench)
    assert (status, reason) == (("True", "DriftDetected") if tampered else ("Unknown", "GateError"))
    assert "gate rules: too slow" in message
    assert ("Warning", reason) in [event[:2] for event in bench.recorder.events]


async def test_gates_of_other_targets_and_stages_are_not_asked() -> None:
    bench = Bench()
    await bench.gate(level="hard-mandatory", selector={"stages": ["prod"]})
    await bench.declare(ONE, **AUTO)
    bench.policies.of_drift = denies
    bench.world.drift = (OPENED,)
    await bench.run()
    assert (await drifted(bench))[1] == "NoDrift"
    assert bench.policies.asked == []


async def test_what_violates_is_shown_without_secrets(bench: Bench) -> None:
    bench.world.drift = (OPENED,)
    bench.policies.of_drift = lambda drift: PolicyResult(
        tuple(Violation("open", f"to {KNOWN_SECRET}") for item in drift if item["change"]["after"]["open"])
    )
    await bench.run()
    assert await drifted(bench) == ("True", "PolicyViolated", "gate rules: [medium] open: to (sensitive)")
    shown = json.dumps([await bench.status(), bench.recorder.events])
    assert KNOWN_SECRET not in shown


async def test_real_policies_judge_it(bench: Bench) -> None:
    """By a rule that has the same to say of changes and of drift."""
    rules = """package rules
deny contains {"rule": "open", "resource": rc.address, "msg": "is open"} if {
	some rc in array.concat(input.plan.resource_changes, input.plan.resource_drift)
	rc.change.after.open == true
}
"""
    engine = RegorusEngine(INPUTS)
    policies = await bench.cluster.get(dataclasses.replace(REF, kind="PolicySet", namespace="", name="rules"))
    await bench.cluster.update({**policies, "spec": {"source": {"inline": {"a.rego": rules}}}})
    bench.policies.evaluate = engine.evaluate  # type: ignore[method-assign]
    try:
        bench.world.drift = (OPENED, OPEN_BEFORE)
        await bench.run()
    finally:
        await engine.aclose()
    assert await drifted(bench) == ("True", "PolicyViolated", "gate rules: [medium] open: t.a: is open")
