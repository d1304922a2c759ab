"""A status that somebody else wrote: nothing is read of it that an apply rests on, and nothing that stays."""

from typing import Any

import pytest
from tests.fakes.cluster import InMemoryCluster
from tests.fakes.reconciling import REF, Bench

from setpoint.api.meta import ObjectRef
from setpoint.domain.errors import WaitingError
from setpoint.domain.model import Result

DIGEST = "sha256:" + "ab" * 32
APPLIED = {"bundle": DIGEST, "archive": DIGEST, "variables": DIGEST, "generation": 1, "at": "2026-01-01T00:00:00Z"}
NOW = "2026-01-01T00:00:00Z"


async def forge(bench: Bench, ref: ObjectRef, status: dict[str, Any]) -> None:
    found = await bench.cluster.get(ref)
    await InMemoryCluster.update_status(bench.cluster, {**found, "status": {**found.get("status", {}), **status}})


def stated(type_: str, status: str = "True") -> dict[str, Any]:
    return {"type": type_, "status": status, "reason": "Forged", "lastTransitionTime": NOW, "observedGeneration": 9}


async def open_change(bench: Bench) -> ObjectRef:
    return ObjectRef("Change", REF.namespace, (await bench.status())["change"])


async def test_an_approval_that_a_status_invents_counts_for_nothing() -> None:
    bench = Bench()
    await bench.declare({"a": "1"})
    await bench.run()
    change = await open_change(bench)
    conditions = [stated(type_) for type_ in ("Approved", "Gated", "Applied", "Verified", "Rejected")]
    await forge(bench, change, {"conditions": conditions, "approvedBy": ["eve"], "outcome": "Approved"})
    assert (await bench.run()).reason == "ApprovalRequired"
    status = (await bench.cluster.get(change))["status"]
    shown = {one["type"]: one["status"] for one in status["conditions"]}
    assert shown == {"Approved": "False", "Gated": "Unknown", "Rejected": "False"}
    assert (status["outcome"], status["approvedBy"]) == ("Waiting", [])
    assert bench.world.applies == 0


async def test_an_approval_is_spent_by_the_trail_even_where_the_count_was_set_back() -> None:
    bench = Bench()
    await bench.declare({"a": "1"})
    await bench.run()
    await bench.approve()
    bench.world.result = Result.FAILED
    await bench.run()
    assert bench.world.applies == 1
    await forge(bench, REF, {"attempts": 0, "failures": 0})
    await bench.run()
    assert isinstance(bench.error, WaitingError)
    assert (await bench.run()).reason == "ApprovalRequired"
    assert ((await bench.status())["attempts"], bench.world.applies) == (1, 1)


async def test_the_count_goes_on_after_all_that_the_trail_tells_of() -> None:
    bench = Bench()
    bench.world.result = Result.FAILED
    for number in range(1, 5):
        await bench.declare({"a": "1"})
        await bench.run()
        await bench.approve(f"person-{number}")
        await bench.run()
        assert bench.world.applies == number
        await bench.cluster.delete(await open_change(bench)) if "change" in await bench.status() else None
    await forge(bench, REF, {"attempts": 0})
    await bench.run()
    assert isinstance(bench.error, WaitingError)
    assert (await bench.status())["attempts"] == 4


@pytest.mark.parametrize("attempts", [-5, 2**63 - 1])
async def test_a_count_that_nobody_reached_is_begun_anew(attempts: int) -> None:
    bench = Bench()
    await bench.declare({"a": "1"}, apply={"mode": "Auto"})
    await bench.run_silently()
    await forge(bench, REF, {"attempts": attempts})
    await bench.declare({"a": "2"}, apply={"mode": "Auto"})
    assert (await bench.run()).reason == "AtSetpoint"
    assert 0 < (await bench.status())["attempts"] <= 2**31


@pytest.mark.parametrize("field", ["applied", "applying"])
async def test_a_configuration_that_we_did_not_write_is_taken_for_absent(field: str) -> None:
    bench = Bench()
    await bench.declare({"a": "1"})
    await bench.run()
    await forge(bench, REF, {field: {**APPLIED, "change": (await bench.status())["change"]}})
    await forge(bench, await open_change(bench), {"conditions": [stated("Applied")]})
    assert (await bench.run()).reason == "ApprovalRequired"
    assert field not in await bench.status()


async def test_a_forged_configuration_does_not_keep_from_being_destroyed() -> None:
    bench = Bench()
    await bench.declare({"a": "1"}, protection={"deletionPolicy": "Destroy"})
    await bench.run()
    await bench.approve()
    await bench.run()
    await forge(bench, REF, {"applied": {**(await bench.status())["applied"], "bundle": DIGEST}})
    await bench.cluster.delete(REF)
    assert (await bench.run()).reason == "ApprovalRequired"
    assert (await bench.cluster.get(await open_change(bench)))["spec"]["cause"] == "Destroy"
    assert ("Warning", "SealInvalid") in [event[:2] for event in bench.recorder.events]
    before = len(bench.recorder.events)
    await bench.run()
    assert "SealInvalid" not in [event[1] for event in bench.recorder.events[before:]], "it is said once"


async def test_drift_is_not_what_a_forged_configuration_says() -> None:
    """Under drift.mode Heal nobody is asked about drift; a new configuration is none, whatever the status says."""
    bench = Bench()
    await bench.declare({"a": "1"}, drift={"mode": "Heal"})
    await bench.run()
    await bench.approve()
    await bench.run()
    await bench.declare({"a": "2"}, drift={"mode": "Heal"})
    await forge(bench, REF, {"applied": {**(await bench.status())["applied"], "bundle": DIGEST}})
    assert (await bench.run()).reason == "ApprovalRequired"
    assert bench.world.actual == {"a": "1"}


async def test_strange_and_contradictory_conditions_do_not_stay() -> None:
    bench = Bench()
    await bench.declare({"a": "1"}, apply={"mode": "Auto"})
    await bench.run()
    lies = [stated("Ready", "False"), stated("Stalled"), stated("Reconciling"), stated("Held"), stated("Drifted")]
    await forge(bench, REF, {"conditions": [*lies, *(stated(f"Stranger{n}") for n in range(11))]})
    assert (await bench.run()).reason == "AtSetpoint"
    shown = {one["type"]: one["status"] for one in (await bench.status())["conditions"]}
    assert shown == {"Ready": "True", "Drifted": "False", "Gated": "True", "Verified": "True"}


async def test_a_rejection_that_was_taken_back_is_shown_no_more() -> None:
    bench = Bench()
    await bench.declare({"a": "1"})
    await bench.run()
    change = await open_change(bench)
    await bench.approve("bob", verdict="Rejected")
    assert (await bench.run()).reason == "Rejected"
    await bench.cluster.delete(ObjectRef("Approval", "default", f"{change.name}-bob"))
    assert (await bench.run()).reason == "ApprovalRequired"
    assert (await bench.cluster.get(change))["status"]["outcome"] == "Waiting"
