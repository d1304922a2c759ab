"""A Change that people look at elsewhere: shown there, declined or carried out by them, and withdrawn in the end."""

from typing import Any

import pytest
from tests.fakes.beacon import BeaconSession
from tests.fakes.beacon_bench import BeaconBench
from tests.fakes.board import Board
from tests.fakes.home import ListAuditLog
from tests.fakes.mortality import Fuse, KilledError, Mortal
from tests.fakes.reconciling import Bench
from tests.soak import SOAKING

from setpoint.api.conditions import Reason
from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.domain.audit import Phase
from setpoint.domain.errors import TransientError
from setpoint.domain.model import Result, Run, Verification
from setpoint.domain.policies import PolicyResult, Violation
from setpoint.pipeline.changes import ChangeRegister
from setpoint.pipeline.overlay import OverlayCluster
from setpoint.pipeline.preview import Previewer
from setpoint.pipeline.recovery import Recovery
from setpoint.pipeline.resets import ResetRegister
from setpoint.pipeline.seals import Seals

AUTO = {"apply": {"mode": "Auto"}}
ONE, TWO, THREE = {"a": "1"}, {"a": "1", "b": "2"}, {"a": "3"}
OUTAGE = TransientError(Reason.SOURCE_UNAVAILABLE, "the board can't be reached")
VIOLATED = PolicyResult((Violation("rule", "not allowed"),))


class BoardBench(BeaconBench):
    """A Beacon whose Changes people look at on a board."""

    def __init__(self) -> None:
        super().__init__()
        self.board = self.world.board = Board()

    async def open_change(self) -> JsonObject:
        name = (await self.status())["change"]
        return await self.cluster.get(ObjectRef("Change", "default", name))

    async def carry_out(self, who: str = "bob") -> JsonObject:
        """A person carries out the open Change themselves; that Change, as it was."""
        change = await self.open_change()
        self.world.actual = self.board.carry_out(change["metadata"]["name"], who)
        return change

    async def decline(self, who: str = "bob", why: str = "not today") -> JsonObject:
        change = await self.open_change()
        self.board.decline(change["metadata"]["name"], who, why)
        return change

    async def again(self, change: JsonObject) -> JsonObject:
        """The Change as it is by now."""
        return await self.cluster.get(ObjectRef.of(change))

    def begun(self) -> list[str]:
        """The actions that were begun, and how each ended."""
        return [f"{row.action} {row.result or row.phase}" for row in self.cluster.audit if row.phase is not Phase.FACT]

    def facts(self, action: str) -> list[tuple[str, str]]:
        return [(row.actor, row.result) for row in self.cluster.audit if row.action == action]


@pytest.fixture
def board(beacons: None) -> BoardBench:
    del beacons
    return BoardBench()


async def settled(bench: Bench, resources: dict[str, str] = ONE, **spec: Any) -> None:
    """A target at its setpoint, without a person."""
    await bench.declare(resources, **{**AUTO, **spec})
    assert (await bench.run()).reason == "AtSetpoint"


def condition_of(obj: JsonObject, type_: str) -> tuple[str, str, str] | None:
    found = {one["type"]: one for one in obj["status"]["conditions"]}
    return (found[type_]["status"], found[type_]["reason"], found[type_]["message"]) if type_ in found else None


# --- Where nothing is shown elsewhere ---------------------------------------------------------------------------------


async def test_a_kind_that_shows_nothing_elsewhere_leaves_no_row_and_no_field(bench: Bench) -> None:
    await settled(bench)
    await bench.declare(TWO, apply={"mode": "Manual"})
    for _ in range(2):
        assert (await bench.run()).reason == "ApprovalRequired"
    await bench.approve()
    assert (await bench.run()).reason == "AtSetpoint"
    assert {row.action for row in bench.cluster.audit} == {"snapshot", "change.create", "apply"}
    assert all("review" not in change["status"] for change in await bench.changes())


# --- Shown ------------------------------------------------------------------------------------------------------------


async def test_a_change_that_waits_for_people_is_shown_once_and_says_where(board: BoardBench) -> None:
    await board.declare(ONE)
    for _ in range(3):
        assert (await board.run()).reason == "ApprovalRequired"
    change = await board.open_change()
    name = change["metadata"]["name"]
    assert change["status"]["review"]["url"] == f"board://changes/{name}"
    assert change["status"]["review"]["shown"] is True
    assert (list(board.board.posts), board.board.put_up) == ([name], 1)
    assert board.begun() == ["propose intent", "propose Succeeded"]
    intent, outcome = (row for row in board.cluster.audit if row.action == "propose")
    assert (intent.digests["subject"], intent.run) == (change["spec"]["subject"], outcome.run)
    assert ("Normal", "ChangeShown", f"Change {name} is shown at board://changes/{name}") in board.recorder.events
    assert (await board.status())["attempts"] == 0


async def test_one_whose_gates_pass_at_once_is_shown_applied_and_ended_in_one_pass(board: BoardBench) -> None:
    await settled(board)
    assert (board.board.put_up, board.board.posts) == (1, {})
    assert board.begun() == ["propose intent", "propose Succeeded", "apply intent", "apply Succeeded"]
    runs = [row.run for row in board.cluster.audit if row.phase is Phase.INTENT]
    assert len(set(runs)) == 2, "the outcome of showing it must not close the apply's intent"
    (change,) = await board.changes()
    assert change["status"]["review"]["shown"] is False


async def test_approved_it_is_applied_and_no_longer_shown(board: BoardBench) -> None:
    await board.declare(ONE)
    await board.run()
    await board.approve()
    assert (await board.run()).done
    assert (board.world.actual, board.board.posts) == (ONE, {})
    assert board.board.taken_down == 0, "the apply itself ended it"
    assert board.facts("withdraw") == []


@pytest.mark.parametrize(
    ("gate", "shown"), [({"level": "hard-mandatory"}, 0), ({"level": "advisory"}, 1)], ids=["blocked", "warned"]
)
async def test_one_that_is_blocked_is_not_shown(board: BoardBench, gate: dict[str, Any], shown: int) -> None:
    board.policies.answer = VIOLATED
    await board.gate(**gate)
    await board.declare(ONE)
    await board.run()
    assert (board.board.put_up, len(board.begun())) == (shown, 2 * shown)


async def test_neither_subject_nor_policies_know_of_it(board: BoardBench) -> None:
    plain = BeaconBench()
    for bench in (plain, board):
        await bench.gate(level="advisory")
        await bench.declare(ONE)
        for _ in range(2):
            await bench.run()
    ((alone,), (shown,)) = (await plain.changes(), await board.changes())
    assert alone["spec"] == shown["spec"]
    assert plain.policies.asked == board.policies.asked


async def test_what_can_not_be_shown_is_tried_again_and_told(board: BoardBench) -> None:
    board.board.put_up_fails = OUTAGE
    await board.declare(ONE, **AUTO)
    report = await board.run()
    assert (report.ready, report.message) == ("False", "the board can't be reached")
    assert isinstance(board.error, TransientError)
    assert board.world.applies == 0, "its people could not be asked"
    board.board.put_up_fails = None
    assert (await board.run()).reason == "AtSetpoint"
    assert board.begun()[:4] == ["propose intent", "propose Failed", "propose intent", "propose Succeeded"]


async def test_a_preview_shows_and_ends_nothing_elsewhere(board: BoardBench) -> None:
    await board.declare(ONE)
    cluster = OverlayCluster(board.cluster)
    previewer = Previewer(
        cluster=cluster,
        driver=board.driver,
        pipeline=board.make_reconciler(cluster, board.driver)._pipeline,
        resets=ResetRegister(cluster, board.clock),
        seals=Seals(lambda _: "sha256:" + "0" * 64),
        clock=board.clock,
    )
    assert (await previewer.preview(board.ref, lambda _: None)).approvals_required == 1
    assert board.board.put_up == 0
    await board.run()
    await board.declare(TWO)
    await previewer.preview(board.ref, lambda _: None)
    assert (len(board.board.posts), board.board.put_up) == (1, 1)


# --- Withdrawn --------------------------------------------------------------------------------------------------------


async def test_superseded_it_is_withdrawn_in_the_same_pass(board: BoardBench) -> None:
    await board.declare(ONE)
    await board.run()
    first = await board.open_change()
    await board.declare(TWO)
    await board.run()
    second = await board.open_change()
    assert list(board.board.posts) == [second["metadata"]["name"]]
    ended = await board.again(first)
    assert (ended["status"]["outcome"], ended["status"]["review"]["shown"]) == ("Superseded", False)
    assert board.facts("withdraw") == [("setpoint", first["metadata"]["name"])]
    await board.run()
    assert board.board.taken_down == 1


async def test_rejected_it_is_withdrawn(board: BoardBench) -> None:
    await board.declare(ONE)
    await board.run()
    await board.approve(verdict="Rejected")
    assert (await board.run()).reason == "Rejected"
    assert (board.board.posts, board.board.taken_down) == ({}, 1)


async def test_with_nothing_left_to_change_it_is_withdrawn(board: BoardBench) -> None:
    await board.declare(ONE)
    await board.run()
    board.world.actual = dict(ONE)
    assert (await board.run()).reason == "AtSetpoint"
    assert (board.board.posts, board.board.taken_down) == ({}, 1)


async def test_a_stray_that_a_start_closed_is_withdrawn_by_the_next_pass(board: BoardBench) -> None:
    await board.declare(ONE)
    await board.run()
    stored = await board.cluster.get(board.ref)
    status = {name: value for name, value in stored["status"].items() if name != "change"}
    await board.cluster.update_status({**stored, "status": status})
    await board.declare(TWO)
    await recover(board)
    (stray,) = await board.changes()
    assert (stray["status"]["outcome"], len(board.board.posts)) == ("Superseded", 1)
    await board.run()
    assert list(board.board.posts) == [(await board.open_change())["metadata"]["name"]]


async def test_one_whose_apply_failed_is_withdrawn(board: BoardBench) -> None:
    await board.declare(ONE)
    await board.run()
    failed = await board.open_change()
    await board.approve()
    board.world.result = Result.FAILED
    await board.run()
    await board.run()
    assert list(board.board.posts) == [(await board.open_change())["metadata"]["name"]]
    assert board.facts("withdraw") == [("setpoint", failed["metadata"]["name"])]


@pytest.mark.parametrize("wish", [TWO, {}], ids=["another wish", "nothing to change"])
async def test_what_can_not_be_withdrawn_is_tried_again_and_nothing_is_applied_before(
    board: BoardBench, wish: dict[str, str]
) -> None:
    await board.declare(ONE)
    await board.run()
    await board.declare(wish, **AUTO)
    board.board.take_down_fails = OUTAGE
    for _ in range(2):
        report = await board.run()
        assert (report.ready, report.message) == ("False", "the board can't be reached")
    assert (board.world.applies, board.facts("withdraw")) == (0, [])
    board.board.take_down_fails = None
    assert (await board.run()).reason == "AtSetpoint"
    assert (board.board.posts, len(board.facts("withdraw"))) == ({}, 1)


async def test_a_destruction_is_over_once_nothing_is_shown_any_more(board: BoardBench) -> None:
    await settled(board, protection={"deletionPolicy": "Destroy"})
    await board.cluster.delete(board.ref)
    assert (await board.run()).reason == "ApprovalRequired"
    board.world.actual = {}
    board.board.take_down_fails = OUTAGE
    assert (await board.run()).message == "the board can't be reached"
    board.board.take_down_fails = None
    await board.run()
    assert board.audited("destroy")
    assert board.board.posts == {}


async def test_a_release_leaves_what_was_shown(board: BoardBench) -> None:
    await board.declare(ONE)
    await board.run()
    await board.cluster.delete(board.ref)
    assert (await board.run()).message == "Released; nothing stays"
    assert (len(board.board.posts), board.board.taken_down) == (1, 0)


async def test_the_same_change_due_again_is_shown_again(board: BoardBench) -> None:
    await board.declare(ONE)
    await board.run()
    first = await board.open_change()
    await board.declare(TWO)
    await board.run()
    await board.declare(ONE)
    await board.run()
    again = await board.open_change()
    assert list(board.board.posts) == [again["metadata"]["name"]]
    assert again["status"]["review"]["shown"] is True
    assert again["spec"]["digest"] == first["spec"]["digest"]


# --- Declined ---------------------------------------------------------------------------------------------------------


async def test_declined_it_is_rejected_in_that_name_for_good(board: BoardBench) -> None:
    await board.declare(ONE)
    await board.run()
    change = await board.decline()
    for _ in range(2):
        report = await board.run()
        assert (report.ready, report.reason) == ("False", "Rejected")
        assert report.message.endswith("gate approvals: rejected by bob: not today")
    declined = await board.again(change)
    assert declined["status"]["outcome"] == "Rejected"
    assert declined["status"]["review"] | {"url": "", "configuration": ""} == {
        "url": "",
        "configuration": "",
        "shown": False,
        "declinedBy": "bob",
        "why": "not today",
    }
    assert board.facts("decline") == [("bob", change["metadata"]["name"])]
    assert (board.board.posts, board.board.put_up, board.world.applies) == ({}, 1, 0)
    assert (await board.status())["attempts"] == 0
    await board.approve_change(change, "ada")
    assert (await board.run()).reason == "Rejected", "no approval passes over it"


async def test_declined_in_the_pass_that_would_apply_it_it_is_not_applied(board: BoardBench) -> None:
    await board.declare(ONE)
    await board.run()
    await board.decline()
    await board.approve()
    assert (await board.run()).reason == "Rejected"
    assert (board.world.applies, board.audited("apply")) == (0, [])


async def test_after_it_another_change_is_asked_for(board: BoardBench) -> None:
    await board.declare(ONE)
    await board.run()
    await board.decline()
    await board.run()
    await board.declare(TWO)
    assert (await board.run()).reason == "ApprovalRequired"
    assert board.board.put_up == 2


async def test_deleted_it_is_asked_for_again(board: BoardBench) -> None:
    await board.declare(ONE)
    await board.run()
    change = await board.decline()
    await board.run()
    await board.cluster.delete(ObjectRef.of(change))
    assert (await board.run()).reason == "ApprovalRequired"
    assert board.board.put_up == 2


async def test_a_declined_reset_is_over(board: BoardBench) -> None:
    await settled(board)
    before = (await board.status())["snapshot"]
    await settled(board, TWO)
    await board.reset(before)
    assert (await board.run()).reason == "ApprovalRequired"
    await board.decline()
    await board.run()
    (reset,) = (await board.cluster.list("Reset")).items
    assert condition_of(reset, "Complete") == ("False", "Rejected", "its Change was rejected")
    assert (await board.run()).reason == "AtSetpoint"


# --- Carried out by somebody else -------------------------------------------------------------------------------------


async def test_carried_out_by_somebody_else_it_ends_applied_in_their_name(board: BoardBench) -> None:
    await board.declare(ONE)
    await board.run()
    change = await board.carry_out()
    report = await board.run()
    assert (report.ready, report.reason, report.done) == ("True", "AtSetpoint", True)
    name = change["metadata"]["name"]
    ended = await board.again(change)
    told = f"carried out by bob (board://changes/{name}); its gates had not passed"
    assert condition_of(ended, "Applied") == ("True", "CarriedOutUngated", told)
    assert condition_of(ended, "Verified") == ("True", "Verified", "")
    assert (ended["status"]["outcome"], ended["status"]["review"]["shown"]) == ("Applied", False)
    assert ("Warning", "CarriedOutUngated", f"Change {name} was {told}") in board.recorder.events
    status = await board.status()
    assert (status["applied"]["change"], status["attempts"], status["failures"]) == (name, 0, 0)
    assert status["applied"]["seal"].startswith("sha256:")
    assert "change" not in status
    assert (board.world.applies, board.audited("apply")) == (0, [])


async def test_an_outcome_row_says_who_and_what_shows_it(board: BoardBench) -> None:
    await board.declare(ONE)
    await board.run()
    change = await board.carry_out()
    for _ in range(2):
        await board.run()
    (row,) = (row for row in board.cluster.audit if row.action == "carry-out")
    assert (row.phase, row.actor, row.result) == (Phase.OUTCOME, "bob", change["metadata"]["name"])
    assert row.digests["subject"] == change["spec"]["subject"]
    assert row.payload == {"evidence": f"board://changes/{change['metadata']['name']}", "ungated": True}


async def test_carried_out_after_its_gates_passed_it_is_not_said_to_be_ungated(board: BoardBench) -> None:
    await board.declare(ONE)
    await board.run()
    await board.approve()
    board.world.move_before_apply = True
    await board.run_silently()
    change = await board.carry_out()
    await board.run()
    assert condition_of(await board.again(change), "Applied")[:2] == ("True", "CarriedOut")
    assert "Warning" not in {type_ for type_, reason, _ in board.recorder.events if reason == "CarriedOut"}


async def test_its_way_back_leads_to_before_it(board: BoardBench) -> None:
    await settled(board)
    before = (await board.status())["snapshot"]
    await board.declare(TWO)
    await board.run()
    await board.carry_out()
    assert (await board.run()).reason == "AtSetpoint"
    assert (await board.status())["snapshot"] != before
    await board.reset(before)
    await board.run()
    await board.approve()
    assert (await board.run()).reason == "Held"
    assert board.world.actual == ONE


@pytest.mark.parametrize("change", ["closed", "unknown", "another target's"])
async def test_what_names_no_open_change_of_the_target_is_drift(board: BoardBench, change: str) -> None:
    await settled(board)
    await board.declare(TWO)
    await board.run()
    shown = await board.open_change()
    subject = shown["spec"]["subject"]
    if change == "closed":
        await board.approve(verdict="Rejected")
        await board.run()
    elif change == "unknown":
        subject = f"{subject[:50]}{'0' * 21}"
    else:
        other = {**shown["spec"], "targetRef": {"kind": "Beacon", "name": "other"}, "subject": "sha256:" + "9" * 64}
        await board.create("Change", "other-1", other)
        subject = other["subject"]
    board.world.actual = dict(THREE)
    board.board.claim(subject, "bob", board.world.actual)
    await board.run()
    assert board.facts("carry-out") == []
    assert (await board.condition("Drifted")) == ("True", "DriftDetected")


async def test_what_still_differs_after_it_does_not_converge(board: BoardBench) -> None:
    await settled(board)
    await board.declare(TWO)
    await board.run()
    change = await board.open_change()
    board.world.actual = {"a": "1", "b": "half"}
    board.board.claim(change["spec"]["subject"], "bob", board.world.actual)
    report = await board.run()
    assert (report.reason, report.message) == ("NotConverging", "still differs after it was carried out: b")
    ended = await board.again(change)
    assert (ended["status"]["outcome"], condition_of(ended, "Verified")[1]) == ("NotVerified", "NotConverging")
    assert (await board.run()).reason == "NotConverging", "and is not proposed over and over"


async def test_what_others_changed_beside_it_is_drift(board: BoardBench) -> None:
    await settled(board)
    await board.declare(TWO)
    await board.run()
    change = await board.open_change()
    board.world.actual = {"a": "tampered", "b": "2"}
    board.board.claim(change["spec"]["subject"], "bob", board.world.actual)
    assert (await board.run()).reason == "DriftDetected"
    assert (await board.again(change))["status"]["outcome"] == "NotVerified"
    assert (await board.run()).reason == "ApprovalRequired"
    assert (await board.open_change())["spec"]["cause"] == "Drift"


async def test_after_another_wish_it_ends_applied_and_the_rest_is_proposed(board: BoardBench) -> None:
    await settled(board)
    await board.declare(TWO)
    await board.run()
    change = await board.carry_out()
    before = (await board.status())["applied"]
    await board.declare(THREE)
    assert (await board.run()).reason == "ApprovalRequired"
    assert (await board.again(change))["status"]["outcome"] == "Applied"
    following = await board.open_change()
    assert following["metadata"]["name"] != change["metadata"]["name"]
    assert (await board.status())["applied"] == before, "what is in force now is not what this pass is headed to"
    assert list(board.board.posts) == [following["metadata"]["name"]]


async def test_one_that_leaves_the_target_unhealthy_is_held_and_undone_as_the_spec_says(board: BoardBench) -> None:
    await settled(board)
    await board.declare(TWO, reset={"onVerifyFailure": "Auto"})
    await board.run()
    change = await board.carry_out()
    board.world.health = Verification(ok=False, reason="Unhealthy", message="502")
    assert (await board.run()).reason == "Unhealthy"
    assert (await board.again(change))["status"]["outcome"] == "NotVerified"
    assert await board.condition("Held") == ("True", "VerifyHold")
    (reset,) = (await board.cluster.list("Reset")).items
    assert reset["spec"]["snapshotRef"]["name"] == change["spec"]["snapshotRef"]


async def test_what_no_change_can_mend_is_told_beside_it(board: BoardBench) -> None:
    await settled(board)
    board.world.beyond = frozenset({"a"})
    await board.declare(TWO)
    await board.run()
    change = await board.open_change()
    board.world.actual = {"a": "stuck", "b": "2"}
    board.board.claim(change["spec"]["subject"], "bob", board.world.actual)
    assert (await board.run()).reason == "NotConforming"
    assert (await board.again(change))["status"]["outcome"] == "Applied"


async def test_a_reset_that_somebody_carried_out_is_complete_and_holds(board: BoardBench) -> None:
    await settled(board)
    before = (await board.status())["snapshot"]
    await settled(board, TWO)
    await board.reset(before)
    await board.run()
    await board.carry_out()
    report = await board.run()
    assert (report.reason, report.done) == ("Held", True)
    (reset,) = (await board.cluster.list("Reset")).items
    assert condition_of(reset, "Complete")[:2] == ("True", "ResetComplete")
    assert (board.world.actual, board.facts("carry-out")[0][0]) == (ONE, "bob")


async def test_a_destruction_that_somebody_carried_out_is_the_end(board: BoardBench) -> None:
    await settled(board, protection={"deletionPolicy": "Destroy"})
    await board.cluster.delete(board.ref)
    await board.run()
    change = await board.carry_out()
    await board.run()
    assert board.audited("destroy")
    assert (await board.again(change))["status"]["outcome"] == "Applied"


async def test_without_the_snapshot_of_before_nothing_is_undone_by_itself(board: BoardBench) -> None:
    await settled(board)
    await board.declare(TWO, reset={"onVerifyFailure": "Auto"})
    await board.run()
    change = await board.carry_out()
    await board.cluster.delete(ObjectRef("Snapshot", "default", change["spec"]["snapshotRef"]))
    board.world.health = Verification(ok=False, reason="Unhealthy", message="502")
    assert (await board.run()).reason == "Unhealthy"
    assert not (await board.cluster.list("Reset")).items


@pytest.mark.parametrize("fails", ["plan", "configuration", "withdraw"])
async def test_what_fails_right_after_it_keeps_nothing_from_being_recorded(
    board: BoardBench, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    await board.declare(ONE)
    await board.run()
    await board.declare(TWO)
    board.board.take_down_fails = OUTAGE
    await board.run_silently()
    change = await board.carry_out()

    async def fail(*_: Any, **__: Any) -> None:
        raise OUTAGE

    with monkeypatch.context() as patched:
        if fails != "withdraw":
            patched.setattr(BeaconSession, fails, fail)
            board.board.take_down_fails = None
        assert (await board.run()).message == "the board can't be reached"
    board.board.take_down_fails = None
    assert (await board.run()).reason == "AtSetpoint"
    assert (await board.status())["applied"]["change"] == change["metadata"]["name"]
    assert condition_of(await board.again(change), "Verified")[:2] == ("True", "Verified")
    assert len(board.facts("carry-out")) == 1


async def test_its_approvals_are_not_spent(board: BoardBench) -> None:
    await settled(board)
    await board.declare(ONE, drift={"mode": "Propose"})
    board.world.actual = dict(THREE)
    await board.run()
    change = await board.open_change()
    await board.approve()
    board.world.actual = board.board.carry_out(change["metadata"]["name"], "bob")
    assert (await board.run()).reason == "AtSetpoint"
    begun = [row for row in board.cluster.audit if row.action == "apply" and row.phase is Phase.INTENT]
    assert change["spec"]["subject"] not in {row.digests["subject"] for row in begun}
    assert (await board.status())["attempts"] == 1, "that of the first apply"


# --- Killed -----------------------------------------------------------------------------------------------------------


STEP = 1 if SOAKING else 3
"""Calls between two kills: of each one, right before it and right after it are two."""


async def recover(bench: BoardBench, fuse: Fuse | None = None) -> None:
    """A start of a manager, which knows of the traces of all that was begun."""
    driver: Any = bench.driver
    audit = ListAuditLog(bench.cluster.audit)
    for row in await audit.open_intents():
        if row.entry.action == "apply":
            driver.traces[row.entry.run] = Run(row.entry.run, bench.ref)
    cluster: Any = Mortal(bench.cluster, fuse) if fuse else bench.cluster
    trail: Any = Mortal(audit, fuse) if fuse else audit
    changes = ChangeRegister(cluster, bench.clock)
    await Recovery(cluster=cluster, audit=trail, changes=changes, drivers=[driver]).run()


async def live(bench: BoardBench, fuse: Fuse | None = None) -> bool:
    """One manager, which recovers and makes one pass; False where it was killed."""
    cluster: Any = Mortal(bench.cluster, fuse) if fuse else bench.cluster
    driver: Any = Mortal(bench.driver, fuse) if fuse else bench.driver
    bench.reconciler = bench.make_reconciler(cluster, driver)
    try:
        await recover(bench, fuse)
        await bench.run_silently()
    except KilledError:
        return False
    return True


def require_each_proposal_ended_once(bench: BoardBench) -> None:
    intents = [row.run for row in bench.cluster.audit if (row.action, row.phase) == ("propose", Phase.INTENT)]
    outcomes = [row.run for row in bench.cluster.audit if (row.action, row.phase) == ("propose", Phase.OUTCOME)]
    assert sorted(intents) == sorted(set(intents)) == sorted(outcomes)


async def begin(bench: BoardBench, story: str) -> None:
    """All up to the pass in which a manager is killed."""
    await bench.declare(ONE)
    if story == "show":
        return
    await live(bench)
    if story == "withdraw":
        await bench.declare(TWO)
    elif story == "decline":
        await bench.decline()
    elif story == "carry out":
        await bench.carry_out()
    else:
        await bench.approve()


async def end(bench: BoardBench, story: str) -> None:
    """Managers that nobody kills; then what must hold."""
    for _ in range(3):
        await live(bench)
        if story == "apply" and await bench.condition("Ready") == ("False", "ApprovalRequired"):
            await bench.approve()
    require_each_proposal_ended_once(bench)
    ready, posts = await bench.condition("Ready"), list(bench.board.posts)
    changes = {one["metadata"]["name"]: one["status"] for one in await bench.changes()}
    assert {name for name, status in changes.items() if status["review"]["shown"]} == set(posts)
    outcomes = sorted(status["outcome"] for status in changes.values())
    if story in {"show", "withdraw"}:
        assert ready == ("False", "ApprovalRequired")
        assert outcomes == ["Superseded", "Waiting"][story == "show" :]
        assert (len(posts), bench.board.put_up) == (1, len(changes))
    elif story == "decline":
        assert (ready, outcomes, posts) == (("False", "Rejected"), ["Rejected"], [])
        assert len(bench.facts("decline")) == 1
    elif story == "carry out":
        assert (ready, outcomes, posts) == (("True", "AtSetpoint"), ["Applied"], [])
        assert len(bench.facts("carry-out")) == 1
        (name,) = changes
        assert (await bench.status())["applied"]["change"] == name
        assert (bench.world.applies, (await bench.status())["attempts"]) == (0, 0)
    else:
        assert ready == ("True", "AtSetpoint")
        assert (bench.world.actual, bench.world.applies, posts) == (ONE, 1, [])


@pytest.mark.parametrize("story", ["show", "withdraw", "decline", "carry out", "apply"])
async def test_killed_at_any_call_it_comes_to_the_same_end(story: str, beacons: None) -> None:
    del beacons
    at = 1
    while True:
        bench = BoardBench()
        await begin(bench, story)
        lived = await live(bench, Fuse(at))
        await end(bench, story)
        if lived:
            break
        at += STEP
    assert at > 20, "it was killed at every port"


async def test_what_was_to_be_shown_is_not_taken_for_an_apply(board: BoardBench) -> None:
    await board.declare(ONE)
    posts = board.board
    await live(board, Fuse(when=lambda: posts.put_up > 0))
    assert board.begun() == ["propose intent"]
    await recover(board)
    assert board.begun() == ["propose intent", "propose Interrupted"]
    (change,) = await board.changes()
    assert condition_of(change, "Applied") is None
    assert (await board.cluster.get(board.ref)).get("status", {}).get("failures", 0) == 0
