"""How many people must approve, and whose word counts."""

import datetime as dt
from typing import Any

import pytest

from setpoint.api.model import format_time
from setpoint.api.v1alpha1.approval import Approval
from setpoint.api.v1alpha1.change import ReviewStatus
from setpoint.domain.approvals import count_approvals, find_requester, required_approvals

SUBJECT = "sha256:" + "0" * 64
NOW = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
TTL = dt.timedelta(hours=8)


def make_approval(by: str = "ann", *, hours: float = 1, verdict: str = "Approved", **fields: Any) -> Approval:
    spec = {"changeRef": {"name": "c"}, "subject": SUBJECT, "verdict": verdict, "approver": by, "reason": "because"}
    created = format_time(NOW - dt.timedelta(hours=hours))
    metadata = {"name": "a", "creationTimestamp": created} | fields.pop("metadata", {})
    return Approval.model_validate({"kind": "Approval", "metadata": metadata, "spec": spec | fields})


def count(*approvals: Approval, barred: tuple[str, ...] = ()) -> Any:
    return count_approvals(approvals, subject=SUBJECT, ttl=TTL, now=NOW, barred=frozenset(barred))


def test_people_count_once() -> None:
    tally = count(make_approval("ann"), make_approval("ann", hours=2), make_approval("bob"))
    assert tally.approved_by == ("ann", "bob")


@pytest.mark.parametrize(
    "approval",
    [
        pytest.param(make_approval(subject="sha256:" + "1" * 64), id="another-subject"),
        pytest.param(make_approval(hours=8.1), id="expired"),
        pytest.param(make_approval(hours=-1), id="from-the-future"),
        pytest.param(make_approval(metadata={"creationTimestamp": None}), id="no-time"),
        pytest.param(make_approval(metadata={"creationTimestamp": "yesterday"}), id="no-such-time"),
        pytest.param(make_approval(metadata={"deletionTimestamp": format_time(NOW)}), id="deleted"),
        pytest.param(make_approval(verdict="Rejected"), id="rejection"),
    ],
)
def test_what_does_not_count(approval: Approval) -> None:
    tally = count(approval)
    assert tally.approved_by == ()
    assert tally.overrides == frozenset()


def test_expiry_is_shown_unless_renewed() -> None:
    assert count(make_approval(hours=9)).expired == ("ann",)
    assert count(make_approval(hours=9), make_approval(hours=1)).expired == ()
    assert count(make_approval(hours=8)).approved_by == ("ann",)


def test_a_rejection_does_not_expire() -> None:
    tally = count(make_approval("bob", hours=900, verdict="Rejected"))
    assert tally.rejected_by == ("bob",)
    assert tally.rejection == "because"


def test_who_declined_it_where_it_is_shown_has_rejected_it() -> None:
    review = ReviewStatus(declined_by="eve", why="a no")
    given = [make_approval("ann"), make_approval("bob", verdict="Rejected")]
    tally = count_approvals(given, subject=SUBJECT, ttl=TTL, now=NOW, review=review)
    assert (tally.approved_by, tally.rejected_by, tally.rejection) == (("ann",), ("bob", "eve"), "a no")
    assert count_approvals(given[:1], subject=SUBJECT, ttl=TTL, now=NOW, review=ReviewStatus()).rejected_by == ()


def test_only_approvals_that_count_override() -> None:
    assert count(make_approval(overrides=["cost"])).overrides == {"cost"}
    assert count(make_approval(overrides=["cost"], hours=9)).overrides == frozenset()


def test_only_approvals_that_count_accept_what_is_not_drilled() -> None:
    mine = make_approval(acceptUndrilled=True)
    assert count(mine, make_approval("bob")).accepted == {"ann": "because"}
    assert count(make_approval(acceptUndrilled=True, hours=9)).accepted == {}
    assert count(mine, barred=("ann",)).accepted == {}


def test_who_asked_does_not_approve_and_may_reject() -> None:
    tally = count(make_approval("ann", overrides=["cost"]), make_approval("bob"), barred=("ann", "eve"))
    assert (tally.approved_by, tally.barred, tally.overrides) == (("bob",), ("ann", "eve"), frozenset())
    assert count(make_approval("ann", verdict="Rejected"), barred=("ann",)).rejected_by == ("ann",)


@pytest.mark.parametrize(
    ("cause", "stamped", "reset_by", "requester"),
    [
        pytest.param("SpecChanged", "ann", "", "ann", id="who-wrote-the-spec"),
        pytest.param("Drift", "ann", "", "ann", id="drift-restores-what-was-asked-for"),
        pytest.param("SpecChanged", "", "", None, id="nobody-stamped-it"),
        pytest.param("Reset", "ann", "bob", "bob", id="who-asked-for-the-reset"),
        pytest.param("Reset", "", "bob", "bob", id="a-reset-needs-no-stamp"),
        pytest.param("Reset", "ann", "policy", "ann", id="by-policy-it-follows-from-the-spec"),
        pytest.param("Reset", "", "policy", None, id="by-policy-and-nobody-stamped-the-spec"),
        pytest.param("Destroy", "ann", "", None, id="a-deletion-bears-no-name"),
    ],
)
def test_who_asked(cause: Any, stamped: str, reset_by: str, requester: str | None) -> None:
    assert find_requester(cause, stamped=stamped, reset_by=reset_by) == requester


@pytest.mark.parametrize(
    ("fields", "required"),
    [
        pytest.param({}, 1, id="manual"),
        pytest.param({"written": 0}, 1, id="manual-needs-one-whatever-is-written"),
        pytest.param({"written": 2}, 2, id="manual-as-written"),
        pytest.param({"apply_mode": "Auto"}, 0, id="auto"),
        pytest.param({"apply_mode": "Auto", "written": 2}, 2, id="auto-as-written"),
        pytest.param({"cause": "Promotion", "apply_mode": "Auto"}, 0, id="promotion-is-like-a-spec-change"),
        pytest.param({"cause": "Drift", "apply_mode": "Auto"}, 1, id="propose"),
        pytest.param({"cause": "Drift", "drift_mode": "Heal"}, 0, id="heal"),
        pytest.param({"cause": "Drift", "drift_mode": "Heal", "written": 1}, 1, id="heal-as-written"),
        pytest.param({"apply_mode": "Auto", "mixed": True}, 1, id="mixed-needs-both-modes"),
        pytest.param({"apply_mode": "Auto", "drift_mode": "Heal", "mixed": True}, 0, id="mixed-with-both"),
        pytest.param({"cause": "Destroy", "apply_mode": "Auto", "drift_mode": "Heal"}, 1, id="destroy"),
        pytest.param({"cause": "Reset", "apply_mode": "Auto", "drift_mode": "Heal"}, 1, id="reset-by-a-person"),
        pytest.param({"cause": "Reset", "automatic_reset": True, "written": 2}, 0, id="automatic-reset"),
        pytest.param({"cause": "Reset", "automatic_reset": True, "asked": (2,)}, 2, id="automatic-reset-and-a-gate"),
        pytest.param({"apply_mode": "Auto", "uncertain": True}, 1, id="what-may-be-lost-or-was-not-drilled"),
        pytest.param({"cause": "Reset", "automatic_reset": True, "uncertain": True}, 1, id="automatic-and-uncertain"),
        pytest.param({"asked": (3, 1)}, 3, id="the-most-that-a-gate-asks"),
        pytest.param({"written": 4, "asked": (3,)}, 4, id="gates-never-loosen"),
    ],
)
def test_required_approvals(fields: dict[str, Any], required: int) -> None:
    defaults: dict[str, Any] = {
        "cause": "SpecChanged",
        "apply_mode": "Manual",
        "drift_mode": "Propose",
        "written": None,
    }
    assert required_approvals(**(defaults | fields)) == required
