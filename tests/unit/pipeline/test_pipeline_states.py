"""State transitions of a target: given what is declared, what is and what people said, when a pass runs, then."""

import base64
import datetime as dt
import errno
import json

import pytest
from tests.fakes.reconciling import KNOWN_SECRET, Bench
from tests.fakes.target import snapshot_manifest

from setpoint.api.conditions import Reason
from setpoint.api.meta import MANIFEST_ERROR_ANNOTATION, RESUME_ANNOTATION, SUSPEND_ANNOTATION, ObjectRef
from setpoint.domain.errors import ConflictError, NotFoundError, StalledError, TransientError
from setpoint.domain.model import Result, Verification
from setpoint.domain.policies import PolicyResult, Violation
from setpoint.ports import Notice

AUTO = {"apply": {"mode": "Auto"}}
HEAL = {**AUTO, "drift": {"mode": "Heal"}}
ONE, TWO = {"a": "1"}, {"a": "1", "b": "2"}


async def applied(bench: Bench, resources=ONE, **spec) -> Bench:
    """A target that is at its setpoint."""
    await bench.declare(resources, **{**AUTO, **spec})
    report = await bench.run()
    assert (report.ready, report.reason) == ("True", "AtSetpoint")
    return bench


# --- Approvals ----------------------------------------------------------------------------------------------------


async def test_the_first_apply_waits_for_a_person(bench):
    await bench.declare(ONE)
    report = await bench.run()
    assert (report.ready, report.reason) == ("False", "ApprovalRequired")
    assert bench.world.applies == 0
    [change] = await bench.changes()
    assert change["spec"]["cause"] == "SpecChanged"
    assert change["spec"]["approvalsRequired"] == 1
    assert change["metadata"]["name"] == f"web-{change['spec']['subject'][7:39]}"
    assert await bench.condition("ResetReady") == ("True", "NotDrillable")


async def test_approved_it_is_applied_and_verified(bench):
    await bench.declare(ONE)
    await bench.run()
    await bench.approve()
    report = await bench.run()
    assert (report.ready, report.done) == ("True", True)
    assert bench.world.actual == ONE
    assert await bench.condition("Verified") == ("True", "Verified")
    assert bench.audited("apply") == [("intent", ""), ("outcome", "Succeeded")]
    assert "change" not in await bench.status()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        pytest.param([("ada", "Approved", "sha256:" + "0" * 64)], "ApprovalRequired", id="another-subject"),
        pytest.param([("ada", "Approved", "")], "ApprovalRequired", id="one-of-two"),
        pytest.param([("ada", "Rejected", "")], "Rejected", id="rejected"),
        pytest.param([("ada", "Approved", ""), ("bob", "Rejected", "")], "Rejected", id="one-rejects"),
        pytest.param([("ada", "Approved", ""), ("bob", "Approved", "")], "AtSetpoint", id="two-of-two"),
    ],
)
async def test_words_on_a_change(bench, words, reason):
    await bench.declare(ONE, approvals={"required": 2})
    await bench.run()
    for who, verdict, subject in words:
        await bench.approve(who, verdict=verdict, subject=subject)
    assert (await bench.run()).reason == reason
    assert bench.world.applies == (reason == "AtSetpoint")


async def test_an_approval_that_is_too_old_no_longer_counts(bench):
    await bench.declare(ONE, approvals={"ttl": "1h"})
    await bench.run()
    await bench.approve()
    bench.clock.instant += dt.timedelta(hours=2)
    assert (await bench.run()).reason == "ApprovalRequired"
    assert bench.world.applies == 0


async def test_an_approval_dies_with_what_it_named(bench):
    await bench.declare(ONE)
    await bench.run()
    await bench.approve()
    await bench.declare(TWO)
    assert (await bench.run()).reason == "ApprovalRequired"
    old, new = sorted(await bench.changes(), key=lambda one: len(one["spec"]["summary"]["actions"]))
    assert {one["type"]: one["status"] for one in old["status"]["conditions"]}["Superseded"] == "True"
    assert new["spec"]["subject"] != old["spec"]["subject"]


PROTECTED = {"addresses": ["b"]}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param({"approvals": {"required": 2}}, {"approvals": {"required": 1}}, id="fewer must approve"),
        pytest.param({"approvals": {"required": 2}}, {**AUTO, "approvals": {"required": 1}}, id="and it is automatic"),
        pytest.param({"approvals": {"ttl": "1h"}}, {"approvals": {"ttl": "900h"}}, id="an old word counts again"),
        pytest.param({"protection": PROTECTED}, {}, id="what was protected is not"),
    ],
)
async def test_who_lowers_what_is_asked_for_gains_no_approval_by_it(bench, before, after):
    await bench.declare(ONE, **before)
    await bench.run()
    await bench.approve()
    if "ttl" in before.get("approvals", {}):
        bench.clock.instant += dt.timedelta(hours=2)
    await bench.declare(ONE, **after)
    assert (await bench.run()).reason == "ApprovalRequired"
    assert bench.world.applies == 0


async def test_nothing_happens_where_nothing_differs(bench):
    await applied(bench)
    writes, events = bench.cluster.writes, len(bench.recorder.events)
    for _ in range(3):
        await bench.run()
    assert bench.cluster.writes == writes
    assert len(bench.recorder.events) == events


# --- Drift --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "reason", "applies"),
    [("Detect", "DriftDetected", 1), ("Propose", "ApprovalRequired", 1), ("Heal", "AtSetpoint", 2)],
)
async def test_drift(bench, mode, reason, applies):
    await applied(bench, drift={"mode": mode})
    bench.world.actual["a"] = "tampered"
    report = await bench.run()
    assert report.reason == reason
    assert bench.world.applies == applies
    if mode != "Heal":
        assert await bench.condition("Drifted") == ("True", "DriftDetected")
        assert (await bench.status())["drift"]["actionable"] == 1
    if mode == "Propose":
        assert (await bench.changes())[-1]["spec"]["cause"] in {"Drift", "SpecChanged"}


async def test_drift_and_a_new_spec_together_need_both_modes(bench):
    await applied(bench)
    bench.world.actual["a"] = "tampered"
    await bench.declare(TWO, **AUTO)
    assert (await bench.run()).reason == "ApprovalRequired"
    assert bench.world.applies == 1


async def test_the_same_drift_again_is_the_same_change(bench):
    await applied(bench)
    bench.world.actual["a"] = "tampered"
    await bench.run()
    first = (await bench.status())["change"]
    bench.world.actual["a"] = "1"
    assert (await bench.run()).reason == "AtSetpoint"
    bench.world.actual["a"] = "tampered"
    await bench.run()
    assert (await bench.status())["change"] == first


async def test_a_plan_that_never_is_the_same_is_said_to_be_unstable(bench):
    await applied(bench)
    bench.world.actual["a"] = "tampered"
    await bench.run()
    bench.world.noise = iter(range(100))
    began = bench.clock.instant
    report = await bench.run()
    assert report.reason == "PlanUnstable"
    assert "seconds apart, differ in a: value.stamp; no approval could ever match" in report.message
    assert "spec.drift.ignore" in report.message
    assert bench.clock.instant - began >= dt.timedelta(seconds=2)
    assert bench.world.applies == 1


async def test_what_terraform_warns_of_is_shown_and_told_once(bench):
    bench.world.warnings = ("check.ready: not ready yet", "main.tf:3: Deprecated: use y")
    await applied(bench)
    await bench.run()
    assert (await bench.status())["warnings"] == list(bench.world.warnings)
    told = [message for type_, reason, message in bench.recorder.events if (type_, reason) == ("Warning", "Warned")]
    assert told == list(bench.world.warnings)
    bench.world.actual["a"] = "tampered"
    await bench.run()
    assert (await bench.changes())[-1]["status"]["warnings"] == list(bench.world.warnings)
    bench.world.warnings = ()
    await bench.run()
    assert (await bench.status())["warnings"] == []


# --- Gates --------------------------------------------------------------------------------------------------------

DENY = PolicyResult(violations=(Violation("r1", "no"),))


@pytest.mark.parametrize(
    ("level", "answer", "overrides", "reason"),
    [
        pytest.param("hard-mandatory", PolicyResult(), (), "AtSetpoint", id="passes"),
        pytest.param("hard-mandatory", DENY, (), "GateBlocked", id="hard"),
        pytest.param("hard-mandatory", DENY, ("rules",), "GateBlocked", id="hard-can-not-be-overridden"),
        pytest.param("soft-mandatory", DENY, (), "GateBlocked", id="soft"),
        pytest.param("soft-mandatory", DENY, ("rules",), "AtSetpoint", id="soft-overridden"),
        pytest.param("invariant", DENY, ("rules",), "GateBlocked", id="invariant"),
        pytest.param("advisory", DENY, (), "AtSetpoint", id="advisory"),
        pytest.param("hard-mandatory", PolicyResult(error="undefined"), (), "GateError", id="error"),
        pytest.param(
            "soft-mandatory", PolicyResult(error="timeout"), ("rules",), "GateError", id="error-is-never-passed"
        ),
    ],
)
async def test_a_gate(bench, level, answer, overrides, reason):
    await bench.gate(level=level)
    bench.policies.answer = answer
    await bench.declare(ONE)
    await bench.run()
    await bench.approve(overrides=overrides)
    assert (await bench.run()).reason == reason
    assert bench.world.applies == (reason == "AtSetpoint")


async def test_a_gate_that_names_no_policy_set_blocks(bench):
    await bench.create(
        "EnforcementGates",
        "gates",
        {"gates": [{"name": "g", "stages": ["plan"], "policySets": [{"name": "gone"}]}]},
        namespace=None,
    )
    await bench.declare(ONE, **AUTO)
    assert (await bench.run()).reason == "GateError"


async def test_what_is_protected_is_not_deleted(bench):
    await applied(bench, TWO)
    await bench.declare(ONE, **AUTO, protection={"addresses": ["b"]})
    report = await bench.run()
    assert report.reason == "GateBlocked"
    assert "spec.protection" in report.message
    assert bench.world.actual == TWO


async def test_without_a_way_back_nothing_is_applied(bench):
    await applied(bench)
    bench.world.drill = "Failed"
    await bench.declare(TWO, **AUTO)
    assert (await bench.run()).reason == "GateBlocked"
    assert await bench.condition("ResetReady") == ("False", "DrillFailed")
    assert bench.world.applies == 1


async def test_a_way_back_that_could_not_be_drilled_waits_for_a_person(bench):
    await applied(bench)
    bench.world.drill = "NotDrilled"
    await bench.declare(TWO, **AUTO)
    assert (await bench.run()).reason == "ApprovalRequired"
    assert await bench.condition("ResetReady") == ("True", "NotDrilled")
    await bench.approve()
    assert (await bench.run()).reason == "AtSetpoint"


# --- Applies that go wrong ------------------------------------------------------------------------------------------


async def test_a_state_that_moved_is_planned_anew_in_silence(bench):
    await bench.declare(ONE, **AUTO)
    bench.world.move_before_apply = True
    await bench.run_silently()
    assert isinstance(bench.error, ConflictError)
    assert bench.world.applies == 0


async def test_an_apply_that_fails_spends_its_approval(bench):
    await bench.declare(ONE)
    await bench.run()
    await bench.approve()
    bench.world.result = Result.FAILED
    report = await bench.run()
    assert report.failed
    assert isinstance(bench.error, TransientError)
    bench.world.result = Result.SUCCEEDED
    assert (await bench.run()).reason == "ApprovalRequired"
    assert (await bench.status())["failures"] == 1
    assert bench.world.applies == 1


async def test_what_an_interrupted_apply_may_have_lost_is_named_and_waits(bench):
    await bench.declare(ONE, **AUTO)
    bench.world.result, bench.world.orphans = Result.INTERRUPTED, ("a",)
    await bench.run()
    assert bench.audited("apply")[-1] == ("outcome", "Interrupted")
    bench.world.result = Result.SUCCEEDED
    assert (await bench.run()).reason == "ApprovalRequired"
    newest = next(one for one in await bench.changes() if one["spec"]["orphans"])
    assert newest["spec"]["orphans"] == ["a"]
    await bench.approve()
    assert (await bench.run()).reason == "AtSetpoint"
    assert not (await bench.status()).get("orphans")


async def test_what_was_put_right_in_the_work_folder_is_told_once(bench):
    await bench.declare(ONE, **AUTO)
    bench.world.notices = [Notice(Reason.WORK_FOLDER_RESTORED, "removed: z.auto.tfvars")]
    assert (await bench.run()).reason == "AtSetpoint"
    told = [event for event in bench.recorder.events if event[1] == "WorkFolderRestored"]
    assert told == [("Warning", "WorkFolderRestored", "removed: z.auto.tfvars")]


async def test_what_does_not_converge_is_not_applied_twice(bench):
    await bench.declare(ONE, **AUTO)
    bench.world.verification = Verification(ok=False, reason=Reason.NOT_CONVERGING, message="a", paths=("a",))
    assert (await bench.run()).reason == "NotConverging"
    bench.world.actual["a"] = bench.world.state["a"] = "other"
    assert (await bench.run()).reason == "NotConverging"
    assert bench.world.applies == 1
    assert await bench.condition("Held") is None


@pytest.mark.parametrize(("policy", "resets"), [("Propose", 1), ("Auto", 1), ("Never", 0)])
async def test_what_is_unhealthy_after_an_apply_is_held(bench, policy, resets):
    await applied(bench)
    bench.world.health = Verification(ok=False, reason=Reason.UNHEALTHY, message="status 500")
    await bench.declare(TWO, **AUTO, reset={"onVerifyFailure": policy})
    assert (await bench.run()).reason == "Unhealthy"
    assert await bench.condition("Held") == ("True", "VerifyHold")
    found = (await bench.cluster.list("Reset")).items
    assert len(found) == resets
    assert [one["spec"]["automatic"] for one in found] == [policy == "Auto"] * resets


@pytest.mark.parametrize("policy", ["Propose", "Auto", "Never"])
async def test_a_first_apply_that_is_unhealthy_says_so_and_destroys_nothing(bench, policy):
    bench.world.health = Verification(ok=False, reason=Reason.UNHEALTHY, message="spec.health[0]: status 500")
    await bench.declare(TWO, **AUTO, reset={"onVerifyFailure": policy})
    for _ in range(2):
        report = await bench.run()
        assert (report.reason, report.message) == ("Unhealthy", "spec.health[0]: status 500")
    assert await bench.condition("Held") is None
    assert (await bench.cluster.list("Reset")).items == ()
    assert (bench.world.actual, bench.world.applies) == (TWO, 1)
    bench.world.health = Verification(ok=True, reason=Reason.VERIFIED, message="")
    assert (await bench.run()).reason == "AtSetpoint"


async def test_a_way_back_that_code_alone_blocked_is_drilled_anew(bench):
    bench.world.drill_destroy = "prevent_destroy"
    await applied(bench)
    assert await bench.condition("ResetReady") == ("False", "DrillFailed")
    bench.world.drill_destroy = ""
    await bench.run()
    assert await bench.condition("ResetReady") == ("False", "DrillFailed")
    bench.world.actual, bench.world.state = dict(TWO), dict(TWO)
    await bench.declare(TWO, **AUTO)
    assert (await bench.run()).reason == "AtSetpoint"
    assert bench.world.applies == 1
    assert await bench.condition("ResetReady") == ("True", "DrillPassed")


# --- Resets, holds --------------------------------------------------------------------------------------------------


async def test_a_reset_takes_the_same_path_and_is_held(bench):
    await applied(bench)
    await bench.keep_snapshot("before")
    await bench.declare(TWO, **AUTO)
    await bench.run()
    await bench.reset("before")
    assert (await bench.run()).reason == "ApprovalRequired"
    await bench.approve()
    report = await bench.run()
    assert (report.reason, report.done) == ("Held", True)
    assert bench.world.actual == ONE
    assert await bench.condition("Held") == ("True", "ResetHold")
    assert (await bench.run()).reason == "Held"
    assert bench.world.actual == ONE
    reset = await bench.cluster.get(ObjectRef("Reset", "default", "back"))
    assert reset["status"]["conditions"][0]["reason"] == "ResetComplete"


async def test_a_reset_to_before_the_first_apply_leaves_nothing(bench):
    await bench.declare(ONE, **AUTO)
    await bench.cluster.create(snapshot_manifest(bench.ref, None, 0, "empty"))
    await bench.run()
    await bench.reset("empty")
    await bench.run()
    await bench.approve()
    assert (await bench.run()).reason == "Held"
    assert bench.world.actual == {}


@pytest.mark.parametrize(("snapshot", "reason"), [("gone", "SnapshotNotFound"), ("others", "SnapshotOfAnotherTarget")])
async def test_a_reset_that_can_not_be(bench, snapshot, reason):
    await applied(bench)
    await bench.keep_snapshot("others", of="other")
    await bench.reset(snapshot)
    assert (await bench.run()).reason == "AtSetpoint"
    reset = await bench.cluster.get(ObjectRef("Reset", "default", "back"))
    assert (reset["status"]["conditions"][0]["status"], reset["status"]["conditions"][0]["reason"]) == ("False", reason)


@pytest.mark.parametrize("release", ["resume", "spec"])
async def test_a_hold_ends_by_a_new_spec_or_a_person(bench, release):
    await applied(bench)
    await bench.keep_snapshot("before")
    await bench.declare(TWO, **AUTO)
    await bench.run()
    await bench.reset("before")
    await bench.run()
    await bench.approve()
    await bench.run()
    if release == "resume":
        await bench.cluster.annotate(bench.ref, {RESUME_ANNOTATION: "2026-01-01T00:00:01Z"})
    else:
        await bench.declare({"a": "1", "c": "3"}, **AUTO)
    assert (await bench.run()).reason == "AtSetpoint"
    assert bench.world.actual == (TWO if release == "resume" else {"a": "1", "c": "3"})
    assert await bench.condition("Held") is None


async def test_suspended_it_is_left_alone(bench):
    await applied(bench)
    await bench.cluster.annotate(bench.ref, {SUSPEND_ANNOTATION: "ada"})
    bench.world.actual["a"] = "tampered"
    assert (await bench.run()).reason == "Suspended"
    await bench.cluster.annotate(bench.ref, {SUSPEND_ANNOTATION: None})
    assert (await bench.run()).reason == "ApprovalRequired"


async def test_what_a_policy_says_of_a_secret_is_not_shown(bench):
    written = base64.b64encode(f"user:{KNOWN_SECRET}".encode()).decode()
    violation = Violation("r1", f"says {KNOWN_SECRET}", f"a.{written}", remediation=f"not {written}")
    bench.policies.answer = PolicyResult(violations=(violation,))
    await bench.gate(level="hard-mandatory")
    await bench.declare(ONE, **AUTO)
    report = await bench.run()
    assert report.reason == "GateBlocked"
    shown = json.dumps([report.message, await bench.changes(), await bench.status(), bench.recorder.events])
    assert "says (sensitive)" in shown
    assert not [one for one in (KNOWN_SECRET, written) if one in shown]


# --- The end of a target ------------------------------------------------------------------------------------------


async def test_retain_lets_go(bench):
    await applied(bench)
    await bench.cluster.delete(bench.ref)
    await bench.run()
    with pytest.raises(NotFoundError):
        await bench.cluster.get(bench.ref)
    assert bench.world.actual == ONE
    assert bench.audited("release")


@pytest.mark.parametrize(
    ("count", "said"),
    [
        pytest.param(0, "Released; nothing stays", id="none"),
        pytest.param(1, "Released; 1 resource stays: a0", id="one"),
        pytest.param(4, "Released; 4 resources stay: a0, a1, a2, a3", id="some"),
        pytest.param(12, f"Released; 12 resources stay: {', '.join(f'a{n}' for n in range(10))} and 2 more", id="many"),
    ],
)
async def test_what_is_let_go_of_is_reported(bench, monkeypatch, count, said):
    async def holdings(*_):
        return tuple(f"a{number}" for number in range(count))

    monkeypatch.setattr(type(bench.driver), "holdings", holdings)
    await applied(bench)
    await bench.cluster.delete(bench.ref)
    report = await bench.run()
    assert (report.ready, report.reason, report.message) == ("True", "Released", said)
    assert [event for event in bench.recorder.events if event[1] == "Released"] == [("Normal", "Released", said)]


async def test_destroy_is_a_gated_change(bench):
    await applied(bench, protection={"deletionPolicy": "Destroy"})
    await bench.cluster.delete(bench.ref)
    assert (await bench.run()).reason == "ApprovalRequired"
    assert bench.world.actual == ONE
    await bench.approve()
    await bench.run()
    assert bench.world.actual == {}
    with pytest.raises(NotFoundError):
        await bench.cluster.get(bench.ref)


async def test_a_deletion_that_is_taken_back_destroys_nothing(bench):
    await applied(bench, protection={"deletionPolicy": "Destroy"})
    await bench.cluster.delete(bench.ref)
    assert "manifest back" in (await bench.run()).message
    await bench.approve()
    await bench.cluster.recall(bench.ref)
    assert (await bench.run()).reason == "AtSetpoint"
    assert bench.world.actual == ONE
    (destroy,) = [change for change in await bench.changes() if change["spec"]["cause"] == "Destroy"]
    superseded = next(c for c in destroy["status"]["conditions"] if c["type"] == "Superseded")
    assert (superseded["status"], superseded["message"]) == ("True", "the deletion was taken back")
    assert [reason for _, reason, _ in bench.recorder.events].count("DeletionTakenBack") == 1
    bench.clock.instant += dt.timedelta(minutes=1)
    await bench.cluster.delete(bench.ref)
    assert (await bench.run()).reason == "ApprovalRequired"
    assert bench.world.actual == ONE


async def test_a_deletion_that_is_taken_back_too_late_leaves_the_target_to_be_made_anew(bench, monkeypatch):
    await applied(bench, protection={"deletionPolicy": "Destroy"})
    await bench.cluster.delete(bench.ref)
    await bench.run()
    await bench.approve()
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(bench.trail, "require_standing", lambda: bench.cluster.recall(bench.ref))
        report = await bench.run()
    assert (bench.world.actual, report.reason) == ({}, "Progressing")
    assert "applied" not in await bench.status()
    assert (await bench.run()).reason == "AtSetpoint"
    assert bench.world.actual == ONE


async def test_what_a_failed_first_apply_made_is_destroyed_and_not_released(bench):
    await bench.declare(TWO, protection={"deletionPolicy": "Destroy"})
    await bench.run()
    bench.world.actual, bench.world.state, bench.world.version = dict(ONE), dict(ONE), 1
    assert "applied" not in await bench.status()
    await bench.cluster.delete(bench.ref)
    assert (await bench.run()).reason == "ApprovalRequired"
    await bench.approve()
    await bench.run()
    assert bench.world.actual == {}


async def test_where_nothing_was_ever_made_there_is_nothing_to_destroy(bench):
    await bench.declare(ONE, protection={"deletionPolicy": "Destroy"})
    await bench.run()
    await bench.cluster.delete(bench.ref)
    await bench.run()
    with pytest.raises(NotFoundError):
        await bench.cluster.get(bench.ref)


# --- What goes wrong before ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "ready", "also"),
    [
        (StalledError(Reason.SOURCE_NOT_FOUND, "gone"), ("False", "SourceNotFound"), "Stalled"),
        (TransientError(Reason.SOURCE_UNAVAILABLE, "later"), ("Unknown", "SourceUnavailable"), "Reconciling"),
        (RuntimeError("secret-token"), ("Unknown", "InternalError"), "Reconciling"),
    ],
    ids=["stalled", "transient", "fault"],
)
async def test_an_error_is_a_condition(bench, error, ready, also):
    await bench.declare(ONE)
    bench.world.fail_observe = error
    await bench.run()
    assert await bench.condition("Ready") == ready
    assert (await bench.condition(also))[0] == "True"
    assert "secret-token" not in str(await bench.status()) + str(bench.recorder.events)
    bench.world.fail_observe = None
    await bench.run()
    assert await bench.condition(also) is None


async def test_a_bad_manifest_stalls(bench):
    await applied(bench)
    await bench.cluster.annotate(bench.ref, {MANIFEST_ERROR_ANNOTATION: "web.yaml:3: spec.stage: is required"})
    report = await bench.run()
    assert (report.stalled, report.reason) == (True, "InvalidManifest")
    assert "web.yaml:3" in report.message


# --- The store ----------------------------------------------------------------------------------------------------


async def test_on_a_store_that_was_set_back_it_is_planned_and_not_applied(bench):
    await applied(bench)
    bench.trail.set_back = "nothing is applied, for an older database was put back"
    await bench.declare(TWO, **AUTO)
    report = await bench.run()
    assert (report.ready, report.reason, report.stalled) == ("False", "StoreSetBack", True)
    assert await bench.condition("Stalled") == ("True", "StoreSetBack")
    assert bench.world.applies == 1
    assert report.change == (await bench.status())["change"], "what would be applied is there to be read"
    assert bench.audited("apply") == [("intent", ""), ("outcome", "Succeeded")], "no approval is spent"
    bench.trail.set_back = ""
    assert (await bench.run()).reason == "AtSetpoint"
    assert await bench.condition("Stalled") is None


async def test_a_target_at_its_setpoint_says_nothing_of_a_store_that_was_set_back(bench):
    await applied(bench)
    bench.trail.set_back = "an older database was put back"
    assert (await bench.run()).reason == "AtSetpoint"


async def test_want_of_file_descriptors_is_told_as_what_it_is(bench):
    await bench.declare(ONE, **AUTO)
    bench.world.fail_observe = OSError(errno.EMFILE, "Too many open files")
    report = await bench.run()
    assert report.reason == "OutOfDescriptors"
    assert "raise the limit" in report.message
    bench.world.fail_observe = None
    assert (await bench.run()).reason == "AtSetpoint"
