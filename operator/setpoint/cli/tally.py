"""Owns who has spoken on a Change and who is still to speak, as commands see it. What counts is domain.approvals'."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
from collections.abc import Sequence

from setpoint.api.meta import ObjectRef
from setpoint.api.target import ApprovalPolicy, Target, target_type
from setpoint.api.v1alpha1.approval import Approval
from setpoint.api.v1alpha1.change import Change
from setpoint.cli.context import Home
from setpoint.cli.table import age, plain
from setpoint.domain.approvals import ApprovalTally, count_approvals
from setpoint.domain.audit import AuditRow
from setpoint.domain.errors import InvalidError, NotFoundError, SetpointError
from setpoint.domain.goals import is_suspended
from setpoint.domain.reading import parse
from setpoint.domain.vouching import is_recorded


@dataclasses.dataclass(frozen=True, slots=True)
class ChangeApprovals:
    """The words on a Change until `now`. `approvals` are all of its subject, be they counted or not.

    `unrecorded` are the names of those of which the trail does not tell, where nobody else proves who gave them.
    """

    change: Change
    approvals: Sequence[Approval]
    tally: ApprovalTally
    unrecorded: frozenset[str]
    suspended: bool
    now: dt.datetime

    def with_word_of(self, user: str) -> ChangeApprovals:
        """The same once this person approved, too."""
        approved_by = tuple(sorted({*self.tally.approved_by, user} - set(self.tally.barred)))
        return dataclasses.replace(self, tally=dataclasses.replace(self.tally, approved_by=approved_by))

    @property
    def missing(self) -> int:
        """The number of approvals that are still to come."""
        return max(0, self.change.spec.approvals_required - len(self.tally.approved_by))

    def count(self) -> str:
        """The count, and whose word is missing: `1 of 2 approvals; 1 more, by somebody else than ada`."""
        required = self.change.spec.approvals_required
        said = f"{len(self.tally.approved_by)} of {required} approvals" if required else "no approval is asked for"
        if not self.missing:
            return said
        others = sorted({*self.tally.approved_by, *self.tally.barred})
        whose = f", by somebody else than {', '.join(map(plain, others))}" if others else ""
        return f"{said}; {self.missing} more {'is' if self.missing == 1 else 'are'} missing{whose}"

    def lines(self) -> list[str]:
        """Lines on who said what, below how many must."""
        return [self.count(), *map(self._line, self.approvals)]

    def _line(self, approval: Approval) -> str:
        spec = approval.spec
        proven = "" if spec.proven else ", unproven"
        reason = f": {plain(spec.reason)}" if spec.reason else ""
        when = age(approval.metadata.creation_timestamp, self.now)
        why_not = self._why_not(approval)
        accepting = ", accepting that the way back is not drilled" if spec.accept_undrilled else ""
        return f"{spec.verdict} by {plain(spec.approver)}{proven}, {when} ago{accepting}{why_not}{reason}"

    def _why_not(self, approval: Approval) -> str:
        """The reason for which it counts for nothing, as the end of a phrase; empty where it counts."""
        if approval.metadata.name in self.unrecorded:
            return ", which does not count: the audit trail does not tell of it"
        if approval.spec.verdict == "Rejected" or approval.spec.approver in self.tally.approved_by:
            return ""
        return ", who asked for it" if approval.spec.approver in self.tally.barred else ", expired"


async def read_approvals(home: Home, change: Change, now: dt.datetime) -> ChangeApprovals:
    """Reads the words on a Change's subject. An Approval of another schema counts for nothing, and so is not shown."""
    found = await home.cluster.list("Approval", namespace=change.metadata.namespace)
    approvals = []
    for item in found.items:
        with contextlib.suppress(InvalidError):
            approval = parse(Approval, item)
            if (approval.spec.subject, approval.spec.change_ref.name) == (change.spec.subject, change.metadata.name):
                approvals.append(approval)
    target = await _target(home, change)
    unrecorded = await _unrecorded(home, change, approvals)
    tally = count_approvals(
        (one for one in approvals if one.metadata.name not in unrecorded),
        subject=change.spec.subject,
        ttl=(target.spec.approvals if target else ApprovalPolicy()).ttl,
        now=now,
        barred=frozenset(change.status.barred),
        review=change.status.review,
    )
    return ChangeApprovals(change, approvals, tally, unrecorded, target is not None and is_suspended(target), now)


async def _unrecorded(home: Home, change: Change, approvals: Sequence[Approval]) -> frozenset[str]:
    """Those that the trail does not tell of, by name; none where the API server proves who gave them."""
    if home.proves_users or not approvals:
        return frozenset()
    rows: list[AuditRow] = []
    while page := await home.audit.rows(after=rows[-1].seq if rows else 0, target=_target_of(change)):
        rows += page
    return frozenset(one.metadata.name for one in approvals if not is_recorded(one, rows))


def _target_of(change: Change) -> ObjectRef:
    return change.spec.target_ref.within(change.metadata.namespace)


async def _target(home: Home, change: Change) -> Target | None:
    ref = _target_of(change)
    with contextlib.suppress(NotFoundError, InvalidError):
        return parse(target_type(ref.kind), await home.cluster.get(ref))
    return None


def refuse_rejected(so_far: ChangeApprovals) -> None:
    """Raises SetpointError where somebody rejected it: that stands, whoever approves."""
    if so_far.tally.rejected_by:
        who = ", ".join(map(plain, so_far.tally.rejected_by))
        why = plain(so_far.tally.rejection)
        msg = f"{so_far.change.ref} was rejected by {who} ({why}); no approval passes over that"
        raise SetpointError(msg)


def refuse_empty_word(so_far: ChangeApprovals, user: str, overrides: Sequence[str], *, accepts: bool = False) -> None:
    """Raises SetpointError for an approval that would count for nothing: of who asked for it, or a second one.

    A second one counts where the first expired, or where it passes what the first did not.
    """
    change, tally = so_far.change, so_far.tally
    if user in tally.barred:
        msg = f"{plain(user)} asked for {change.ref}, and a gate asks for four eyes: somebody else must approve it"
        raise SetpointError(msg)
    accepted = not accepts or user in tally.accepted
    if user in tally.approved_by and accepted and not set(overrides) - tally.overrides:
        msg = f"{plain(user)} has approved {change.ref} already, and each person counts once: {so_far.count()}"
        raise SetpointError(msg)
