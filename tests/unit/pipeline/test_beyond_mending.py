"""Findings that no Change can mend: the target says so, is not at its setpoint, and nobody is asked for anything."""

import pytest
from tests.fakes.beacon import BeaconSession
from tests.fakes.cluster import InMemoryCluster
from tests.fakes.reconciling import Bench
from tests.fakes.store import MemoryBlobs
from tests.fakes.target import FakeSession

from setpoint.api.conditions import Reason
from setpoint.api.meta import RESUME_ANNOTATION, ObjectRef
from setpoint.domain.model import AtSetpoint, Verification
from setpoint.pipeline.overlay import OverlayCluster
from setpoint.pipeline.preview import Previewer
from setpoint.pipeline.resets import ResetRegister
from setpoint.pipeline.seals import Seals

AUTO = {"apply": {"mode": "Auto"}}
ONE, TWO = {"a": "1"}, {"a": "1", "b": "2"}
MESSAGE = "no Change can mend b: mend it where it is, or declare what it is"


@pytest.fixture
def bench(bench: Bench) -> Bench:
    bench.world.beyond = frozenset({"b"})
    return bench


async def settled(bench: Bench, **spec: object) -> None:
    """A target that was applied as far as it can be."""
    await bench.declare(TWO, **{**AUTO, **spec})
    await bench.run()


async def test_a_change_that_verified_leaves_what_it_can_not_mend(bench):
    await settled(bench)
    report = bench.reports[-1]
    assert (report.ready, report.reason, report.message, report.done) == ("False", "NotConforming", MESSAGE, True)
    assert (report.failed, report.stalled) == (False, False)
    assert await bench.condition("Verified") == ("True", "Verified")
    assert bench.audited("apply") == [("intent", ""), ("outcome", "Succeeded")]
    assert [one["status"]["outcome"] for one in await bench.changes()] == ["Applied"]
    assert bench.world.published == 0, "what it produces is that of no setpoint"
    assert ("Warning", "NotConforming", MESSAGE) in bench.recorder.events
    status = await bench.status()
    assert ("applied" in status, "applying" in status, "change" in status) == (True, False, False)


async def test_nothing_is_proposed_for_it_in_any_pass(bench):
    await settled(bench)
    for _ in range(2):
        report = await bench.run()
        assert (report.ready, report.reason, report.message) == ("False", "NotConforming", MESSAGE)
    assert bench.world.applies == 1
    assert len(await bench.changes()) == 1
    assert await bench.observations.of([bench.ref.key]) == {}, (
        "it does not rest: who mends it elsewhere is seen at the interval"
    )


async def test_with_nothing_else_to_do_it_needs_no_change_at_all(bench):
    bench.world.actual = bench.world.state = dict(ONE)
    await bench.declare(TWO)
    assert (await bench.run()).reason == "NotConforming"
    assert await bench.changes() == []
    status = await bench.status()
    assert ("applied" in status, "snapshot" in status) == (True, True)


async def test_what_drifted_beyond_mending_stays_told(bench):
    bench.world.beyond = frozenset()
    await settled(bench)
    bench.world.beyond = frozenset({"b"})
    bench.world.actual["b"] = "moved"
    await bench.declare({"a": "9", "b": "2"}, **AUTO)
    assert (await bench.run()).reason == "ApprovalRequired"
    await bench.approve()
    assert (await bench.run()).reason == "NotConforming"
    assert await bench.condition("Drifted") == ("True", "DriftDetected")
    assert (await bench.status())["drift"]["addresses"] == ["b"]
    assert (bench.world.actual, bench.world.applies) == ({"a": "9", "b": "moved"}, 2)


async def test_mended_elsewhere_it_is_at_its_setpoint(bench):
    await settled(bench)
    bench.world.actual["b"] = bench.world.state["b"] = "2"
    report = await bench.run()
    assert (report.ready, report.reason) == ("True", "AtSetpoint")
    assert bench.world.published == 1
    assert bench.world.applies == 1


async def test_an_open_change_that_is_no_longer_due_is_called_off(bench):
    await bench.declare(TWO)
    assert (await bench.run()).reason == "ApprovalRequired"
    bench.world.actual = bench.world.state = dict(ONE)
    assert (await bench.run()).reason == "NotConforming"
    assert [one["status"]["outcome"] for one in await bench.changes()] == ["Superseded"]
    assert "change" not in await bench.status()


async def test_a_driver_that_takes_it_for_the_setpoint_is_not_believed(bench, monkeypatch):
    await settled(bench)

    async def at_setpoint(*_: object) -> AtSetpoint:
        return AtSetpoint()

    for session in (FakeSession, BeaconSession):
        monkeypatch.setattr(session, "plan", at_setpoint)
    assert (await bench.run()).reason == "NotConforming"


async def test_what_is_unhealthy_beside_it_says_that(bench):
    bench.world.health = Verification(ok=False, reason=Reason.UNHEALTHY, message="status 500")
    await settled(bench)
    assert (await bench.run()).reason == "Unhealthy"
    bench.world.health = Verification(ok=True, reason=Reason.VERIFIED, message="")
    assert (await bench.run()).reason == "NotConforming"


async def test_a_reset_that_can_not_bring_all_back_stays_open(bench):
    bench.world.beyond = frozenset()
    await settled(bench)
    await bench.keep_snapshot("before")
    await bench.declare({"a": "1", "b": "3"}, **AUTO)
    await bench.run()
    bench.world.beyond = frozenset({"b"})
    await bench.reset("before")
    for _ in range(2):
        assert (await bench.run()).reason == "NotConforming"
    reset = await bench.cluster.get(ObjectRef("Reset", "default", "back"))
    assert [one for one in reset.get("status", {}).get("conditions", []) if one["status"] != "Unknown"] == []
    assert await bench.condition("Held") is None
    bench.world.actual["b"] = bench.world.state["b"] = "2"
    assert (await bench.run()).reason == "Held"


async def test_what_can_not_be_destroyed_keeps_its_target(bench):
    bench.world.beyond = frozenset()
    await settled(bench, protection={"deletionPolicy": "Destroy"})
    bench.world.beyond = frozenset({"b"})
    await bench.cluster.delete(bench.ref)
    await bench.run()
    await bench.approve()
    assert (await bench.run()).reason == "NotConforming"
    assert (await bench.run()).reason == "NotConforming"
    assert bench.world.actual == {"b": "2"}
    assert bench.audited("destroy") == []
    assert (await InMemoryCluster.get(bench.cluster, bench.ref))["metadata"]["finalizers"] == ["setpoint.dev/finalizer"]


async def test_a_preview_says_what_it_leaves(bench):
    await settled(bench)
    cluster, driver = OverlayCluster(bench.cluster), bench.driver
    pipeline = bench.make_reconciler(cluster, driver)._pipeline
    resets, seals = ResetRegister(cluster, bench.clock), Seals(MemoryBlobs().digest)
    previewer = Previewer(
        cluster=cluster, driver=driver, pipeline=pipeline, resets=resets, seals=seals, clock=bench.clock
    )
    report = await previewer.preview(bench.ref, lambda _: None)
    assert (report.cause, report.error, report.notes) == (None, "", [MESSAGE])


async def test_a_hold_goes_before_it(bench):
    bench.world.beyond = frozenset()
    await settled(bench)
    await bench.keep_snapshot("before")
    await bench.reset("before")
    assert (await bench.run()).reason == "Held"
    bench.world.beyond = frozenset({"b"})
    bench.world.actual["b"] = "moved"
    assert (await bench.run()).reason == "Held"
    await bench.cluster.annotate(bench.ref, {RESUME_ANNOTATION: "2026-01-02T00:00:00Z"})
    assert (await bench.run()).reason == "NotConforming"
