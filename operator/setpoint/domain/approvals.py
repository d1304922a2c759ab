"""Owns how many people must approve, and whose word counts. Pure."""

import dataclasses
import datetime as dt
import itertools
from collections.abc import Iterable, Mapping
from typing import Literal

from setpoint.api.model import parse_time
from setpoint.api.v1alpha1.approval import Approval
from setpoint.api.v1alpha1.change import Cause, ReviewStatus

_CLOCK_SKEW = dt.timedelta(minutes=5)


@dataclasses.dataclass(frozen=True, slots=True)
class ApprovalTally:
    """The people who approved or rejected one subject, and what they said.

    `expired` are those whose approval no longer counts and no newer one does. `barred` can't approve it, whether they
    tried or not. `accepted` are those who approved a reset plan that is not drilled, and why.
    """

    approved_by: tuple[str, ...] = ()
    rejected_by: tuple[str, ...] = ()
    expired: tuple[str, ...] = ()
    overrides: frozenset[str] = frozenset()
    rejection: str = ""
    barred: tuple[str, ...] = ()
    accepted: Mapping[str, str] = dataclasses.field(default_factory=dict)


def find_requester(cause: Cause, *, stamped: str, reset_by: str = "") -> str | None:
    """The requester of a Change; None where nobody can tell.

    `stamped` is the name on the target's spec, `reset_by` the one on the Reset. What policy asks for follows from the
    spec, and so is asked for by whoever wrote that. A deletion bears no name.
    """
    if cause == "Destroy":
        return None
    if cause == "Reset" and reset_by not in {"", "policy"}:
        return reset_by
    return stamped or None


def count_approvals(
    approvals: Iterable[Approval],
    *,
    subject: str,
    ttl: dt.timedelta,
    now: dt.datetime,
    barred: frozenset[str] = frozenset(),
    review: ReviewStatus | None = None,
) -> ApprovalTally:
    """The tally of one subject: people are counted once, and approvals for another subject not at all.

    An approval counts for `ttl` from its creation; a rejection for ever. Who is `barred` may reject and not approve.
    `review` is that of its Change: whoever declined it there has rejected it.
    Only approvals that count can override a gate, or accept that the reset plan is not drilled.
    """
    ours = [a for a in approvals if a.spec.subject == subject and a.metadata.deletion_timestamp is None]
    rejections = [a for a in ours if a.spec.verdict == "Rejected"]
    given = [a for a in ours if a.spec.verdict == "Approved" and a.spec.approver not in barred]
    valid = [a for a in given if _is_fresh(a, ttl, now)]
    approved_by = {a.spec.approver for a in valid}
    rejected = [(a.spec.approver, a.spec.reason) for a in rejections]
    if review is not None and review.declined_by is not None:
        rejected.append((review.declined_by, review.why))
    return ApprovalTally(
        approved_by=tuple(sorted(approved_by)),
        rejected_by=tuple(sorted({who for who, _ in rejected})),
        expired=tuple(sorted({a.spec.approver for a in given} - approved_by)),
        overrides=frozenset(itertools.chain.from_iterable(a.spec.overrides for a in valid)),
        rejection=min((why for _, why in rejected), default=""),
        barred=tuple(sorted(barred)),
        accepted={a.spec.approver: a.spec.reason for a in valid if a.spec.accept_undrilled},
    )


def _is_fresh(approval: Approval, ttl: dt.timedelta, now: dt.datetime) -> bool:
    """An approval without a readable time, or from the future, is not fresh."""
    try:
        age = now - parse_time(approval.metadata.creation_timestamp or "")
    except ValueError:
        return False
    return -_CLOCK_SKEW <= age <= ttl


def required_approvals(
    *,
    cause: Cause,
    apply_mode: Literal["Manual", "Auto"],
    drift_mode: Literal["Detect", "Propose", "Heal"],
    written: int | None,
    asked: Iterable[int] = (),
    automatic_reset: bool = False,
    mixed: bool = False,
    uncertain: bool = False,
) -> int:
    """How many people must approve a Change.

    `written` is spec.approvals.required, `asked` what the gates ask for, of which the most counts. `mixed`: the
    Change restores drift and brings a new configuration, so both modes must allow it. A Destroy, and what is
    `uncertain`, always wait for a person: something may have been lost already, or the reset plan was not drilled.
    """
    by_hand = max(1, written or 0)
    if cause == "Reset":
        needed = 0 if automatic_reset else by_hand
    elif cause == "Destroy" or _waits(cause, apply_mode, drift_mode, mixed=mixed):
        needed = by_hand
    else:
        needed = written or 0
    return max(needed, int(uncertain), *asked, 0)


def _waits(cause: Cause, apply_mode: str, drift_mode: str, *, mixed: bool) -> bool:
    manual, proposed = apply_mode != "Auto", drift_mode != "Heal"
    if mixed:
        return manual or proposed
    return proposed if cause == "Drift" else manual
