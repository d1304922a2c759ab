"""A Change whose drill failed: who can pass that, by which word, and what is kept of it."""

import datetime as dt
from typing import Any

import pytest
from tests.fakes.reconciling import Bench

from setpoint.api.meta import REQUESTED_BY_ANNOTATION

HEAL: dict[str, Any] = {"apply": {"mode": "Auto"}, "drift": {"mode": "Heal"}}
ONE = {"a": "1"}


@pytest.fixture
async def bench(bench: Bench) -> Bench:
    """A target with drift, in the most willing modes, whose drill fails and can be accepted."""
    await bench.declare(ONE, **HEAL)
    assert (await bench.run()).reason == "AtSetpoint"
    bench.world.actual["a"] = "tampered"
    bench.world.drill, bench.world.acceptable = "Failed", True
    return bench


async def way_back(bench: Bench) -> tuple[str, bool]:
    change = next(one for one in await bench.changes() if one["spec"]["cause"] == "Drift")
    (gate,) = (one for one in change["status"]["gates"] if one["gate"] == "way-back")
    return gate["verdict"], gate["blocks"]


@pytest.mark.parametrize(
    ("acceptable", "words", "reason"),
    [
        pytest.param(True, [], "GateBlocked", id="no mode passes it"),
        pytest.param(True, [{}], "GateBlocked", id="nor does an approval that does not say so"),
        pytest.param(True, [{"overrides": ["way-back"]}], "GateBlocked", id="nor an override"),
        pytest.param(True, [{"undrilled": True}], "AtSetpoint", id="a person who says so does"),
        pytest.param(True, [{}, {"undrilled": True}], "AtSetpoint", id="who approved before, too"),
        pytest.param(
            True, [{"undrilled": True, "subject": f"sha256:{'0' * 64}"}], "GateBlocked", id="of another subject"
        ),
        pytest.param(True, [{"undrilled": True}, {"verdict": "Rejected", "who": "bob"}], "Rejected", id="rejected"),
        pytest.param(False, [{"undrilled": True}], "GateBlocked", id="not where something else leads out"),
    ],
)
async def test_whose_word_passes_a_failed_drill(
    bench: Bench, acceptable: bool, words: list[dict[str, Any]], reason: str
) -> None:
    bench.world.acceptable = acceptable
    assert (await bench.run()).reason == "GateBlocked"
    assert await way_back(bench) == ("Fail", True)
    for word in words:
        await bench.approve(**word)
    assert (await bench.run()).reason == reason
    assert bench.world.actual["a"] == ("1" if reason == "AtSetpoint" else "tampered")


async def test_what_was_accepted_is_kept_for_good(bench: Bench) -> None:
    report = await bench.run()
    assert "it no longer plans; setpoint approve with --accept-undrilled --reason WHY passes it" in report.message
    assert await bench.condition("ResetReady") == ("False", "DrillFailed")
    await bench.approve(undrilled=True)
    await bench.run()
    for _ in range(2):
        await bench.run()
        (change,) = (one for one in await bench.changes() if one["spec"]["cause"] == "Drift")
        gated = next(one for one in change["status"]["conditions"] if one["type"] == "Gated")
        assert (gated["status"], gated["reason"]) == ("True", "UndrilledAccepted")
        assert gated["message"] == "accepted undrilled by ada: because"
        assert change["status"]["undrilledAcceptedBy"] == ["ada"]
        assert change["status"]["outcome"] == "Applied"
    assert await way_back(bench) == ("Overridden", False)
    told = [event for event in bench.recorder.events if event[1] == "UndrilledAccepted"]
    message = f"Change {change['metadata']['name']}: ada accepted that its way back is not drilled"
    assert told == [("Warning", "UndrilledAccepted", message)]
    rows = [one for one in bench.cluster.audit if one.action == "accept-undrilled"]
    assert [(one.actor, one.result, one.digests["subject"]) for one in rows] == [
        ("ada", change["metadata"]["name"], change["spec"]["subject"])
    ]
    assert rows[0].payload == {"reason": "because", "drill": "it no longer plans"}
    actions = [(one.action, one.phase.value) for one in bench.cluster.audit]
    assert actions.index(("accept-undrilled", "fact")) < len(actions) - 1 - actions[::-1].index(("apply", "intent"))


async def test_the_word_ends_with_the_subject_and_with_its_time(bench: Bench) -> None:
    await bench.gate(level="hard-mandatory", policySets=[], approvals=2)
    await bench.run()
    await bench.approve(undrilled=True)
    assert (await bench.run()).reason == "GateBlocked"
    bench.clock.instant += dt.timedelta(hours=9)
    await bench.approve("bob", undrilled=True)
    assert (await bench.run()).reason == "GateBlocked"
    assert "(1 of 2 accepted it)" in (await bench.run()).message
    await bench.approve("cem", undrilled=True)
    assert (await bench.run()).reason == "AtSetpoint"
    bench.world.actual["a"] = "tampered again"
    assert (await bench.run()).reason == "GateBlocked"


async def test_who_asked_accepts_nothing_where_four_eyes_are_asked_for(bench: Bench) -> None:
    await bench.gate(policySets=[], fourEyes=True)
    await bench.cluster.annotate(bench.ref, {REQUESTED_BY_ANNOTATION: "ada"})
    await bench.run()
    await bench.approve(undrilled=True)
    assert (await bench.run()).reason == "GateBlocked"
    await bench.approve("bob")
    assert (await bench.run()).reason == "GateBlocked"
    await bench.approve("bob", undrilled=True)
    assert (await bench.run()).reason == "AtSetpoint"
    assert [one.actor for one in bench.cluster.audit if one.action == "accept-undrilled"] == ["bob"]
