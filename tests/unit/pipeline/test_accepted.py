"""An apply that is accepted: its effect comes in stages, and later passes follow it to its end, or back."""

import datetime as dt
from typing import Any

import pytest
from tests.fakes.beacon_bench import BeaconBench
from tests.fakes.home import ListAuditLog
from tests.fakes.mortality import Fuse, KilledError, Mortal
from tests.fakes.reconciling import START
from tests.fakes.stages import Stages
from tests.fakes.store import MemoryBlobs
from tests.soak import SOAKING

from setpoint.api.conditions import Reason
from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.domain.audit import Phase
from setpoint.domain.errors import TransientError
from setpoint.domain.model import Run
from setpoint.pipeline.changes import ChangeRegister
from setpoint.pipeline.overlay import OverlayCluster
from setpoint.pipeline.preview import Previewer
from setpoint.pipeline.recovery import Recovery
from setpoint.pipeline.resets import ResetRegister
from setpoint.pipeline.seals import Seals
from setpoint.runtime.requests import Request

AUTO = {"apply": {"mode": "Auto"}}
ONE, TWO, THREE = {"a": "1"}, {"a": "1", "b": "2"}, {"a": "3"}
SENT = ["send", "settle"]
LATER = START + dt.timedelta(minutes=3)


class SlowBench(BeaconBench):
    """A Beacon whose applies are accepted."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = self.world.stages = Stages()

    def effects(self) -> list[str]:
        """The stages that had their effect, of the runs in their order."""
        return [effect.split()[1] for effect in self.stages.effects]

    def rows(self) -> list[str]:
        """The rows of the trail on applies, in a word each."""
        return [
            f"{row.action} {row.result or row.phase}" for row in self.cluster.audit if row.action.startswith("apply")
        ]

    async def change(self) -> JsonObject:
        """The Change that was made last."""
        return (await self.changes())[-1]

    async def suspend(self) -> None:
        await self.annotate({"setpoint.dev/suspend": "ada"})

    async def annotate(self, annotations: dict[str, str]) -> None:
        found = await self.cluster.get(self.ref)
        metadata = {**found["metadata"], "annotations": annotations}
        await self.cluster.update({**found, "metadata": metadata})

    async def write_status(self, **fields: Any) -> None:
        """Somebody writes into the status."""
        found = await self.cluster.get(self.ref)
        await self.cluster.update_status({**found, "status": {**found["status"], **fields}})

    async def reject(self) -> None:
        await self.approve_change(await self.change(), "bob", verdict="Rejected")


@pytest.fixture
def slow(beacons: None) -> SlowBench:
    del beacons
    return SlowBench()


async def begun(slow: SlowBench, resources: dict[str, str] = ONE, **spec: Any) -> None:
    """A target whose apply was accepted in the pass before."""
    await slow.declare(resources, **{**AUTO, **spec})
    assert (await slow.run()).goes_on


def applied_of(change: JsonObject) -> tuple[str, str]:
    return next((one["status"], one["reason"]) for one in change["status"]["conditions"] if one["type"] == "Applied")


# --- To its end -------------------------------------------------------------------------------------------------------


async def test_it_ends_two_passes_later_with_one_outcome(slow: SlowBench) -> None:
    await begun(slow)
    assert (slow.world.actual, slow.rows()) == ({}, ["apply intent", "apply.stage send"])
    second = await slow.run()
    assert (second.goes_on, slow.world.actual) == (True, ONE)
    third = await slow.run()
    assert (third.reason, third.done) == ("AtSetpoint", True)
    assert slow.rows() == [
        "apply intent", "apply.stage send", "apply.stage settle", "apply Succeeded", "apply.verify Verified"
    ]  # fmt: skip
    assert len({row.run for row in slow.cluster.audit if row.action.startswith("apply")}) == 1
    assert slow.effects() == SENT
    status = await slow.status()
    assert (status.get("applying"), status["attempts"], status.get("failures", 0)) == (None, 1, 0)
    assert (status["applied"]["change"], status["applied"].get("stage")) == (
        (await slow.change())["metadata"]["name"], None
    )  # fmt: skip
    assert not (await slow.run()).goes_on
    assert slow.world.applies == 1


async def test_meanwhile_it_and_its_change_say_so_and_nothing_waits_for_it(slow: SlowBench) -> None:
    slow.stages.wake_at = LATER
    await slow.declare(ONE, **AUTO)
    result = await slow.reconciler.reconcile(Request(slow.ref))
    assert result.requeue_after == LATER - slow.clock.now()
    change, status = await slow.change(), await slow.status()
    assert (change["status"]["outcome"], applied_of(change)) == ("Applying", ("Unknown", "Progressing"))
    assert (status["change"], status["applying"]["stage"]) == (change["metadata"]["name"], "send")
    assert await slow.condition("Ready") == ("False", "Progressing")
    assert await slow.condition("Reconciling") == ("True", "Progressing")
    message = next(one["message"] for one in status["conditions"] if one["type"] == "Ready")
    assert "at stage send; it is looked at again at 2026-01-01T00:03:00" in message


async def test_no_gate_is_asked_and_no_approval_spent_again(slow: SlowBench) -> None:
    await slow.declare(ONE)
    await slow.run()
    await slow.approve()
    await slow.run()
    await slow.gate(level="hard-mandatory")
    asked = len(slow.policies.asked)
    await slow.run()
    assert ((await slow.run()).reason, len(slow.policies.asked)) == ("AtSetpoint", asked)
    assert slow.audited("apply") == [("intent", ""), ("outcome", "Succeeded")]


async def test_one_that_is_declined_has_failed_with_that_reason(slow: SlowBench) -> None:
    await begun(slow)
    slow.stages.declined = "carol"
    report = await slow.run()
    assert (report.failed, report.reason, report.message) == (True, "Declined", "declined by carol")
    assert applied_of(await slow.change()) == ("False", "Declined")
    assert slow.audited("apply")[-1] == ("outcome", "Failed")
    status = await slow.status()
    assert (status.get("applying"), status["failures"]) == (None, 1)


async def test_what_can_not_be_asked_about_is_asked_about_again(slow: SlowBench) -> None:
    await begun(slow)
    slow.stages.fails = TransientError(Reason.SOURCE_UNAVAILABLE, "the sky can't be reached")
    assert (await slow.run()).reason == "SourceUnavailable"
    assert (await slow.status())["applying"]["stage"] == "send"
    slow.stages.fails = None
    await slow.run()
    assert (await slow.run()).reason == "AtSetpoint"
    assert slow.effects() == SENT


async def test_a_verification_that_is_too_early_is_its_last_stage(slow: SlowBench) -> None:
    await begun(slow)
    await slow.run()
    slow.stages.again_at = LATER
    report = await slow.run()
    assert (report.goes_on, "is verified again" in report.message) == (True, True)
    assert ((await slow.status())["applying"]["stage"], applied_of(await slow.change())) == (
        "verify", ("True", "Applied")
    )  # fmt: skip
    assert (await slow.run()).reason == "AtSetpoint"
    assert slow.rows()[-3:] == ["apply Succeeded", "apply.stage verify", "apply.verify Verified"]
    assert (await slow.status()).get("applying") is None


async def test_an_apply_at_once_that_is_too_early_to_verify_goes_on_all_the_same(slow: SlowBench) -> None:
    slow.stages.at_once, slow.stages.again_at = True, LATER
    await slow.declare(ONE, **AUTO)
    assert (await slow.run()).goes_on
    assert (await slow.run()).reason == "AtSetpoint"
    assert slow.rows() == ["apply intent", "apply Succeeded", "apply.stage verify", "apply.verify Verified"]


async def test_a_spec_that_moved_meanwhile_is_next(slow: SlowBench) -> None:
    await begun(slow)
    await slow.declare(TWO, **AUTO)
    await slow.run()
    report = await slow.run()
    assert (report.reason, report.goes_on) == ("Progressing", True)
    assert "the spec was changed meanwhile" in report.message
    for _ in range(3):
        report = await slow.run()
    assert (report.reason, slow.world.actual) == ("AtSetpoint", TWO)


async def test_a_reset_is_complete_once_its_apply_ended(slow: SlowBench) -> None:
    slow.world.stages = None
    await slow.declare(ONE, **AUTO)
    await slow.run()
    before = (await slow.status())["snapshot"]
    await slow.declare(TWO, **AUTO)
    await slow.run()
    slow.world.stages = slow.stages
    await slow.reset(before)
    await slow.run()
    await slow.approve()
    for _ in range(3):
        report = await slow.run()
    assert (report.reason, slow.world.actual) == ("Held", ONE)
    (reset,) = (await slow.cluster.list("Reset")).items
    assert [one["reason"] for one in reset["status"]["conditions"]] == ["ResetComplete"]


# --- Back -------------------------------------------------------------------------------------------------------------


async def came(slow: SlowBench, what: str) -> None:
    """Something comes while an apply goes on."""
    if what == "suspension":
        await slow.suspend()
    elif what == "hold":
        since = {"reason": "VerifyHold", "since": "2026-01-01T00:00:00Z", "generation": 1}
        await slow.write_status(hold=since)
    elif what == "reset":
        await slow.reset((await slow.status())["snapshot"])
    elif what == "deletion":
        await slow.cluster.delete(slow.ref)
    elif await slow.changes():
        await slow.reject()


ENDS = {
    "suspension": "Suspended",
    "hold": "Held",
    "reset": "ApprovalRequired",
    "deletion": "Released",
    "rejection": "Held",
}


@pytest.mark.parametrize("what", ENDS)
async def test_it_goes_back_where_something_came_meanwhile_and_that_is_next(slow: SlowBench, what: str) -> None:
    await begun(slow)
    await came(slow, what)
    went = await slow.run()
    assert (went.reason, went.failed, went.goes_on) == ("Progressing", False, True), went.message
    assert (slow.effects(), slow.world.actual) == (["send", "recall"], {})
    assert slow.rows() == ["apply intent", "apply.stage send", "apply.stage recall", "apply Failed"]
    change = await slow.change()
    assert (change["status"]["outcome"], applied_of(change)) == ("Failed", ("False", "ApplyFailed"))
    report = await slow.run()
    if what != "reset":
        assert (report.reason, slow.world.applies) == (ENDS[what], 1)


@pytest.mark.parametrize("what", ["suspension", "rejection", "deletion"])
async def test_where_it_can_not_go_back_it_goes_to_its_end(slow: SlowBench, what: str) -> None:
    await begun(slow)
    await slow.run()
    await came(slow, what)
    report = await slow.run()
    assert (report.reason, slow.world.actual) == ("Progressing", ONE)
    assert slow.audited("apply")[-1] == ("outcome", "Succeeded")
    report = await slow.run()
    assert report.reason == {"suspension": "Suspended", "rejection": "AtSetpoint", "deletion": "Released"}[what]


# --- Forged -----------------------------------------------------------------------------------------------------------


async def test_nothing_that_a_status_says_alone_is_gone_on_with(slow: SlowBench) -> None:
    await begun(slow)
    old = (await slow.status())["applying"]
    await slow.run()
    await slow.run()
    before = (slow.rows(), slow.effects())
    await slow.write_status(applying=old)
    assert (await slow.run()).reason == "AtSetpoint"
    await slow.write_status(applying={**old, "stage": "recall"})
    assert (await slow.run()).reason == "AtSetpoint"
    assert (slow.rows(), slow.effects()) == before
    assert (await slow.status()).get("applying") is None


async def test_rows_without_the_seal_of_the_home_are_not_gone_on_with(slow: SlowBench) -> None:
    await begun(slow)
    slow.trail.vouched = False
    await slow.run()
    assert slow.effects().count("settle") == 0


# --- Seen before it is done -------------------------------------------------------------------------------------------


async def test_a_preview_says_so_and_changes_nothing(slow: SlowBench) -> None:
    await begun(slow)
    overlay: Any = OverlayCluster(slow.cluster)
    reconciler = slow.make_reconciler(overlay, slow.driver)
    previewer = Previewer(
        cluster=overlay,
        driver=slow.driver,
        pipeline=reconciler._pipeline,
        resets=ResetRegister(overlay, slow.clock),
        seals=Seals(MemoryBlobs().digest),
        clock=slow.clock,
    )
    before = await slow.cluster.get(slow.ref)
    report = await previewer.preview(slow.ref, lambda _: None)
    assert (report.cause, len(report.notes)) == (None, 1)
    assert "is being carried out (at stage send" in report.notes[0]
    assert (await slow.cluster.get(slow.ref), slow.effects()) == (before, ["send"])


# --- Killed -----------------------------------------------------------------------------------------------------------


STEP = 1 if SOAKING else 3
"""Calls between two kills."""


async def live(slow: SlowBench, fuse: Fuse | None = None) -> bool:
    """One manager, which recovers and makes one pass; False where it was killed."""
    mortal: Any = (lambda port: Mortal(port, fuse)) if fuse else (lambda port: port)
    driver: Any = slow.driver
    audit = ListAuditLog(slow.cluster.audit)
    for row in await audit.open_intents():
        if row.entry.action == "apply":
            driver.traces[row.entry.run] = Run(row.entry.run, slow.ref)
    cluster = mortal(slow.cluster)
    changes = ChangeRegister(cluster, slow.clock)
    slow.reconciler = slow.make_reconciler(cluster, mortal(driver))
    try:
        await Recovery(cluster=cluster, audit=mortal(audit), changes=changes, drivers=[driver]).run()
        await slow.run_silently()
    except KilledError:
        return False
    return True


async def story(slow: SlowBench, what: str, fuse_at: int, kill: int) -> bool:
    """An apply to its end or back; the manager of one life is killed at one call. False where that was over before."""
    await slow.declare(ONE, **AUTO)
    lived = True
    for life in range(4):
        if life == 1 and what in ENDS:
            await came(slow, what)
        if life == 2 and what == "too early":
            slow.stages.again_at = LATER
        lived &= await live(slow, Fuse(fuse_at) if life == kill else None)
    for _ in range(5):
        await live(slow)
    return not lived


@pytest.mark.parametrize("kill", [0, 1, 2])
@pytest.mark.parametrize("what", ["end", "too early", "suspension", "rejection"])
async def test_killed_at_any_call_it_has_one_outcome_and_one_effect_a_stage(
    beacons: None, what: str, kill: int
) -> None:
    del beacons
    at = 1
    while True:
        slow = SlowBench()
        killed = await story(slow, what, at, kill)
        require_one_outcome_a_run_and_one_effect_a_stage(slow)
        ready = (await slow.condition("Ready"))[1]
        # Killed before it began, or when it could not go back any more, it came to another end.
        other = {"Rejected"} if what == "rejection" and kill == 0 else set()
        assert ready in {ENDS.get(what, "AtSetpoint"), "AtSetpoint", *other}, (at, ready)
        assert (await slow.status()).get("applying") is None
        if not killed:
            break
        at += STEP
    assert at > 10, "it was killed at every port"


def require_one_outcome_a_run_and_one_effect_a_stage(slow: SlowBench) -> None:
    rows = slow.cluster.audit
    intents = [row.run for row in rows if (row.action, row.phase) == ("apply", Phase.INTENT)]
    outcomes = [row.run for row in rows if (row.action, row.phase) == ("apply", Phase.OUTCOME)]
    assert sorted(intents) == sorted(set(intents)) == sorted(outcomes)
    stages = [f"{row.run} {row.result}" for row in rows if row.action == "apply.stage"]
    assert len(stages) == len(set(stages))
    assert len(slow.stages.effects) == len(set(slow.stages.effects))
    assert set(slow.stages.effects) <= set(stages), "no effect without a durable intent"


async def test_a_start_leaves_it_and_its_change_alone(slow: SlowBench) -> None:
    await begun(slow)
    before = (await slow.change())["status"]
    rows = slow.rows()
    driver: Any = slow.driver
    changes = ChangeRegister(slow.cluster, slow.clock)
    recovery = Recovery(cluster=slow.cluster, audit=ListAuditLog(slow.cluster.audit), changes=changes, drivers=[driver])
    assert await recovery.run() == frozenset()
    assert (slow.rows(), (await slow.change())["status"]) == (rows, before)
    (change,) = await slow.changes()
    assert await slow.cluster.get(ObjectRef.of(change)) == change
