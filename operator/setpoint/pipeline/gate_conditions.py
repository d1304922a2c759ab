"""Owns what a decision of the gates says on its Change and on its target. Decides nothing."""

from setpoint.api.conditions import ConditionType, Reason
from setpoint.api.v1alpha1.change import Change as ChangeObject
from setpoint.api.v1alpha1.change import ChangeSpec
from setpoint.domain import audit_actions
from setpoint.domain.audit import AuditEntry
from setpoint.domain.gating import GateDecision, Verdict
from setpoint.pipeline.changes import ChangeCondition, is_marked
from setpoint.pipeline.draft import Status, StatusDraft
from setpoint.pipeline.gatekeeper import Proposed


def change_conditions(decision: GateDecision) -> tuple[ChangeCondition, ...]:
    """The Change's own conditions by the decision."""
    conditions: list[ChangeCondition] = [(ConditionType.GATED, _gated(decision), decision.reason, decision.message)]
    if decision.rejected_by:
        conditions.append((ConditionType.REJECTED, "True", Reason.REJECTED, decision.message))
    elif decision.missing == 0:
        by = ", ".join(decision.approved_by)
        conditions.append((ConditionType.APPROVED, "True", Reason.APPROVED, f"by {by}" if by else "none is asked for"))
    else:
        missing = f"{len(decision.approved_by)} of {decision.required} approvals"
        conditions.append((ConditionType.APPROVED, "False", Reason.APPROVAL_REQUIRED, missing))
    return tuple(conditions)


def reopened(record: ChangeObject, decision: GateDecision) -> tuple[ChangeCondition, ...]:
    """Conditions no longer true of a Change decided anew: the same is due again, or a rejection was taken back."""
    conditions: list[ChangeCondition] = []
    if is_marked(record, ConditionType.SUPERSEDED):
        conditions.append((ConditionType.SUPERSEDED, "False", Reason.PROGRESSING, "the same change is due again"))
    if is_marked(record, ConditionType.REJECTED) and not decision.rejected_by:
        conditions.append((ConditionType.REJECTED, "False", Reason.PROGRESSING, "nobody rejects it"))
    return tuple(conditions)


def accepted_undrilled(record: ChangeObject, spec: ChangeSpec, decision: GateDecision) -> tuple[AuditEntry, ...]:
    """The rows on people who passed a failed drill knowingly, once each; what they passed is in the row, too."""
    told = set(record.status.undrilled_accepted_by)
    target = spec.target_ref.within(record.metadata.namespace)
    return tuple(
        audit_actions.undrilled_accepted(target, record.metadata.name, spec, who=who, why=why)
        for who, why in sorted(decision.accepted.items())
        if who not in told
    )


def _gated(decision: GateDecision) -> Status:
    """Pending is neither: the gates that can decide passed, and people are still to speak."""
    return "True" if decision.verdict is Verdict.PASS else "Unknown" if decision.verdict is Verdict.PENDING else "False"


_KEEPING = "; to keep what it has, put its manifest back, or set spec.protection.deletionPolicy to Retain on a cluster"


def show_decision(draft: StatusDraft, proposed: Proposed, decision: GateDecision) -> None:
    """Drafts what the decision means for the target."""
    name = proposed.record.metadata.name
    reason, message = decision.reason, decision.message
    draft.condition(ConditionType.GATED, _gated(decision), reason, message)
    if decision.verdict is Verdict.PASS:
        return
    if decision.rejected_by:
        draft.ready("False", Reason.REJECTED, f"Change {name}: {message}")
    elif decision.verdict is Verdict.PENDING:
        keep = _KEEPING if proposed.guarded.change.cause == "Destroy" else ""
        draft.ready("False", Reason.APPROVAL_REQUIRED, f"Change {name} {message}{keep}")
    else:
        draft.ready("False", reason, f"Change {name} is blocked: {message}")
