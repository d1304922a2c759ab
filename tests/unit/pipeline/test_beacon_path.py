"""Another kind of target takes the whole path: no step of it, and nothing around it, asks for an Environment."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import pytest
from tests.fakes.beacon_bench import BeaconBench
from tests.fakes.home import ListAuditLog

from setpoint.api.meta import RESUME_ANNOTATION, JsonObject
from setpoint.domain.audit import AuditEntry, Phase
from setpoint.domain.errors import NotFoundError
from setpoint.domain.model import Run
from setpoint.pipeline.changes import ChangeRegister
from setpoint.pipeline.names import TARGET_LABEL, target_label
from setpoint.pipeline.overlay import OverlayCluster
from setpoint.pipeline.preview import Previewer
from setpoint.pipeline.recovery import Recovery
from setpoint.pipeline.resets import ResetRegister
from setpoint.pipeline.seals import Seals
from setpoint.pipeline.target_metrics import TargetMetrics

pytestmark = pytest.mark.usefixtures("beacons")

AUTO = {"apply": {"mode": "Auto"}}
ONE, TWO = {"a": "1"}, {"a": "1", "b": "2"}
ABOUT = {"kind": "Beacon", "name": "web"}


@pytest.fixture
def bench() -> BeaconBench:
    return BeaconBench()


async def shown(bench: BeaconBench, lines: Mapping[str, str] = ONE, **spec: Any) -> None:
    """A Beacon that shows these."""
    await bench.declare(dict(lines), **{**AUTO, **spec})
    report = await bench.run()
    assert (report.ready, report.reason, report.ref) == ("True", "AtSetpoint", bench.ref)


async def objects(bench: BeaconBench, kind: str) -> list[JsonObject]:
    return list((await bench.cluster.list(kind)).items)


# --- The objects that are made on the way -----------------------------------------------------------------------------


async def test_its_change_is_asked_for_approved_and_carried_out(bench: BeaconBench) -> None:
    await bench.declare(ONE)
    assert (await bench.run()).reason == "ApprovalRequired"
    assert bench.world.actual == {}
    await bench.approve()
    report = await bench.run()
    assert (report.reason, report.done) == ("AtSetpoint", True)
    assert bench.world.actual == ONE
    (change,) = await bench.changes()
    assert change["spec"]["targetRef"] == ABOUT
    assert change["metadata"]["labels"][TARGET_LABEL] == target_label(bench.ref)
    assert change["status"]["outcome"] == "Applied"


async def test_its_status_says_what_is_in_force_under_a_seal(bench: BeaconBench) -> None:
    await shown(bench)
    status = await bench.status()
    assert status["applied"]["blob"] in bench.world.configurations
    assert status["applied"]["seal"].startswith("sha256:")
    assert status["shown"] == "a=1"
    assert status["drift"]["actionable"] == 0


async def test_a_status_that_somebody_else_wrote_is_taken_for_absent(bench: BeaconBench) -> None:
    await shown(bench)
    stored = await bench.cluster.get(bench.ref)
    other = bench.world.record(TWO)
    forged = {**stored["status"]["applied"], "blob": other}
    await bench.cluster.update_status({**stored, "status": {**stored["status"], "applied": forged}})
    assert (await bench.run()).reason == "AtSetpoint"
    assert "SealInvalid" in [reason for _, reason, _ in bench.recorder.events]
    assert (await bench.status())["applied"]["blob"] != other


async def test_its_snapshots_are_its_own_and_pruned(bench: BeaconBench) -> None:
    for number in range(4):
        await bench.declare({"a": str(number)}, **AUTO, snapshots={"keep": 2})
        assert (await bench.run()).reason == "AtSetpoint"
        bench.clock.instant += dt.timedelta(minutes=1)
    snapshots = await objects(bench, "Snapshot")
    assert {one["spec"]["targetRef"]["kind"] for one in snapshots} == {"Beacon"}
    assert len(snapshots) <= 3, "two, and the one of the Change that was applied last"


async def test_each_row_of_the_trail_is_about_it(bench: BeaconBench) -> None:
    await shown(bench)
    assert bench.cluster.audit
    assert {row.target for row in bench.cluster.audit} == {bench.ref}


async def test_policies_are_shown_its_document_and_its_changes(bench: BeaconBench) -> None:
    await bench.gate(level="hard-mandatory")
    await shown(bench)
    asked = bench.policies.asked[-1]
    assert asked["target"]["kind"] == "Beacon"
    assert asked["document"] == {"text": ""}
    assert [(one["address"], one["action"]) for one in asked["changes"]] == [("a", "create")]
    assert "plan" not in asked, "that is the Environment's own word for it"


async def test_its_metrics_bear_its_kind(bench: BeaconBench) -> None:
    await shown(bench)
    assert 'setpoint_target_info{kind="Beacon",name="web",namespace="default"' in bench.metrics.render().decode()


# --- What no Change can mend ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["Detect", "Propose", "Heal"])
async def test_what_no_change_can_mend_is_told_in_any_mode(bench: BeaconBench, mode: str) -> None:
    bench.world.beyond = frozenset({"b"})
    await bench.declare(TWO, **AUTO, drift={"mode": mode})
    for _ in range(2):
        report = await bench.run()
        assert (report.ready, report.reason) == ("False", "NotConforming")
        assert "no Change can mend b" in report.message
    assert (bench.world.actual, bench.world.applies) == (ONE, 1)


async def test_mended_where_it_is_it_is_at_its_setpoint(bench: BeaconBench) -> None:
    bench.world.beyond = frozenset({"b"})
    await bench.declare(TWO, **AUTO)
    await bench.run()
    bench.world.actual["b"] = "2"
    assert (await bench.run()).reason == "AtSetpoint"
    assert bench.world.applies == 1


# --- Resets, holds, the end -------------------------------------------------------------------------------------------


async def test_a_reset_to_its_own_snapshot_leads_back_and_holds(bench: BeaconBench) -> None:
    await shown(bench)
    before = (await bench.status())["snapshot"]
    await shown(bench, TWO)
    await bench.reset(before)
    assert (await bench.run()).reason == "ApprovalRequired"
    await bench.approve()
    report = await bench.run()
    assert (report.reason, report.done) == ("Held", True)
    assert report.message.endswith("run setpoint resume beacon/web")
    assert bench.world.actual == ONE
    bench.world.actual["a"] = "tampered"
    assert (await bench.run()).reason == "Held"
    await bench.cluster.annotate(bench.ref, {RESUME_ANNOTATION: "2026-01-01T00:00:01Z"})
    assert (await bench.run()).reason == "ApprovalRequired"


async def test_released_what_it_shows_stays_and_its_changes_are_called_off(bench: BeaconBench) -> None:
    await shown(bench)
    await bench.declare(TWO)
    assert (await bench.run()).reason == "ApprovalRequired"
    await bench.cluster.delete(bench.ref)
    assert (await bench.run()).message == "Released; 1 resource stays: a"
    assert bench.world.actual == ONE
    (open_,) = [one for one in await bench.changes() if one["status"]["outcome"] != "Applied"]
    superseded = next(one for one in open_["status"]["conditions"] if one["type"] == "Superseded")
    assert (superseded["status"], superseded["message"]) == ("True", "the Beacon was deleted")


async def test_destroyed_it_shows_nothing_and_is_gone(bench: BeaconBench) -> None:
    await shown(bench, protection={"deletionPolicy": "Destroy"})
    await bench.cluster.delete(bench.ref)
    await bench.run()
    await bench.approve()
    await bench.run()
    assert bench.world.actual == {}
    with pytest.raises(NotFoundError):
        await bench.cluster.get(bench.ref)
    assert bench.audited("destroy")


# --- Around the passes ------------------------------------------------------------------------------------------------


async def test_one_that_can_not_be_read_says_which_field(bench: BeaconBench) -> None:
    await shown(bench)
    stored = await bench.cluster.get(bench.ref)
    await bench.cluster.plant({**stored, "spec": {**stored["spec"], "text": 1}})
    report = await bench.run()
    assert (report.reason, report.stalled) == ("InvalidSpec", True)
    assert "spec.text" in report.message


async def test_at_its_setpoint_it_rests_and_a_new_spec_wakes_it(bench: BeaconBench) -> None:
    await shown(bench)
    fresh = bench.make_fresh_targets(TargetMetrics(bench.metrics))
    assert list(await fresh.among(await objects(bench, "Beacon"))) == [bench.ref]
    await bench.declare(TWO)
    assert await fresh.among(await objects(bench, "Beacon")) == {}


async def test_a_preview_shows_its_change_and_writes_nothing(bench: BeaconBench) -> None:
    await shown(bench)
    await bench.declare(TWO)
    writes, cluster = bench.cluster.writes, OverlayCluster(bench.cluster)
    previewer = Previewer(
        cluster=cluster,
        driver=bench.driver,
        pipeline=bench.make_reconciler(cluster, bench.driver)._pipeline,
        resets=ResetRegister(cluster, bench.clock),
        seals=Seals(lambda _: "sha256:" + "0" * 64),
        clock=bench.clock,
    )
    report = await previewer.preview(bench.ref, lambda _: None)
    assert (report.target, report.cause, report.error) == (bench.ref, "SpecChanged", "")
    assert [one.address for one in report.actions] == ["b"]
    assert bench.cluster.writes == writes


async def test_an_apply_whose_manager_died_is_ended_by_the_next_one(bench: BeaconBench) -> None:
    await bench.declare(ONE)
    await bench.run()
    (change,) = await bench.changes()
    digests = {"subject": change["spec"]["subject"]}
    payload = {"change": change["metadata"]["name"]}
    bench.cluster.audit.append(AuditEntry("apply", Phase.INTENT, "setpoint", bench.ref, "run-0", "", digests, payload))
    driver: Any = bench.driver
    driver.traces["run-0"] = Run("run-0", bench.ref)
    recovery = Recovery(
        cluster=bench.cluster,
        audit=ListAuditLog(bench.cluster.audit),
        changes=ChangeRegister(bench.cluster, bench.clock),
        drivers=[driver],
    )
    await recovery.run()
    assert bench.audited("apply")[-1] == ("outcome", "Interrupted")
    assert driver.traces == {}
    assert [one["status"]["outcome"] for one in await bench.changes()] == ["Interrupted"]
