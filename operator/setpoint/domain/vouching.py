"""Owns whether the trail tells of an approval, where nobody else proves who gave it. Pure.

In a local home the objects are in a database that others may write straight into. What counts there is the person's
own row, which bears the home's seal; the object only says where to look.
"""

import datetime as dt
from collections.abc import Iterable

from setpoint.api.model import parse_time
from setpoint.api.v1alpha1.approval import Approval
from setpoint.domain.audit import AuditRow
from setpoint.domain.audit_actions import is_approval

_BETWEEN = dt.timedelta(minutes=1)
"""The most that an object may be younger than its row: both are written at once, dated by two looks at the clock."""


def is_recorded(approval: Approval, rows: Iterable[AuditRow]) -> bool:
    """True where one of these rows of the target tells of this approval, as it is. A rejection needs no row."""
    return approval.spec.verdict == "Rejected" or any(_tells_of(row, approval) for row in rows)


def _tells_of(row: AuditRow, approval: Approval) -> bool:
    """A row whose payload was erased tells of none: it no longer says which, nor what it passes knowingly."""
    entry, spec = row.entry, approval.spec
    if not row.vouched or not is_approval(entry) or entry.payload is None:
        return False
    said = (entry.actor, entry.result, entry.digests.get("subject"), entry.payload.get("approval"))
    if said != (spec.approver, spec.change_ref.name, spec.subject, approval.metadata.name):
        return False
    passed = (list(entry.payload.get("overrides", ())), entry.payload.get("acceptUndrilled", False))
    return passed == (list(spec.overrides), spec.accept_undrilled) and _is_as_old(row, approval)


def _is_as_old(row: AuditRow, approval: Approval) -> bool:
    """An approval that is dated later than it was given would last longer."""
    try:
        return parse_time(approval.metadata.creation_timestamp or "") <= parse_time(row.at) + _BETWEEN
    except ValueError:
        return False
