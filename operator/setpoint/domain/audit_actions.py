"""Owns the vocabulary of the audit trail: an action each, what its row says, and how it is found again. Pure.

A row that was written once is read for ever, so a name, a role of a digest and a key of a payload are never changed.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from setpoint.api.conditions import Reason
from setpoint.api.meta import ObjectRef
from setpoint.api.v1alpha1.approval import ApprovalSpec
from setpoint.api.v1alpha1.change import ChangeSpec
from setpoint.domain.audit import AuditEntry, Phase

_APPLY = "apply"
_APPROVE = "approve"
_STAGE = "apply.stage"
_VERIFY = "apply.verify"
_PROPOSE = "propose"
_SETPOINT = "setpoint"
"""The actor of all that no person did."""
_MAX_STAYING = 1000

Wish = Literal["reconcile", "suspend", "resume"]


# --- a Change and its apply ---------------------------------------------------------------------------------


def change_created(target: ObjectRef, change: str, spec: ChangeSpec) -> AuditEntry:
    """A Change was proposed."""
    return AuditEntry("change.create", Phase.FACT, _SETPOINT, target, result=change, digests=_digests(spec))


def undrilled_accepted(target: ObjectRef, change: str, spec: ChangeSpec, *, who: str, why: str) -> AuditEntry:
    """A person passed a failed drill knowingly; what was passed is in the row, too."""
    payload = {"reason": why, "drill": spec.reset_plan.message}
    return AuditEntry(
        "accept-undrilled", Phase.FACT, who, target, result=change, digests=_digests(spec), payload=payload
    )


def apply_intended(
    target: ObjectRef, change: str, spec: ChangeSpec, *, run: str, approved_by: Iterable[str]
) -> AuditEntry:
    """An apply is about to begin."""
    payload = {"change": change, "approvedBy": sorted(approved_by)}
    return AuditEntry(_APPLY, Phase.INTENT, _SETPOINT, target, run=run, digests=_digests(spec), payload=payload)


def apply_ended(
    target: ObjectRef, subject: str, *, run: str, result: str, completed: Sequence[str], orphans: Sequence[str]
) -> AuditEntry:
    """An apply came to its end, good or bad."""
    payload = {"completed": list(completed), "orphans": list(orphans)}
    digests = {"subject": subject}
    return AuditEntry(_APPLY, Phase.OUTCOME, _SETPOINT, target, run, result, digests=digests, payload=payload)


def stage_intended(target: ObjectRef, change: str, subject: str, *, run: str, stage: str) -> AuditEntry:
    """A stage of an apply is about to begin, whose effect comes later: the apply was accepted, and goes on."""
    payload, digests = {"change": change}, {"subject": subject}
    return AuditEntry(_STAGE, Phase.INTENT, _SETPOINT, target, run, stage, digests=digests, payload=payload)


def accepted_verified(target: ObjectRef, change: str, subject: str, *, run: str, reason: str) -> AuditEntry:
    """The last of an apply that was accepted is done: it was observed whether it brought the setpoint about."""
    payload, digests = {"change": change}, {"subject": subject}
    return AuditEntry(_VERIFY, Phase.FACT, _SETPOINT, target, run, reason, digests=digests, payload=payload)


def interrupted(intent: AuditEntry, *, message: str, orphans: Sequence[str]) -> AuditEntry:
    """The manager ended before what it had intended did."""
    return AuditEntry(
        intent.action,
        Phase.OUTCOME,
        _SETPOINT,
        intent.target,
        run=intent.run,
        result=Reason.INTERRUPTED,
        digests=dict(intent.digests),
        payload={"message": message, "orphans": list(orphans)},
    )


# --- a Change that people look at elsewhere -----------------------------------------------------------------


def proposal_intended(target: ObjectRef, change: str, spec: ChangeSpec, *, run: str) -> AuditEntry:
    """A Change is about to be shown where its people look."""
    payload = {"change": change}
    return AuditEntry(_PROPOSE, Phase.INTENT, _SETPOINT, target, run=run, digests=_digests(spec), payload=payload)


def proposal_ended(
    target: ObjectRef, change: str, subject: str, *, run: str, result: Literal["Succeeded", "Failed"], where: str
) -> AuditEntry:
    """A Change is shown there, or could not be."""
    payload, digests = {"change": change, "where": where}, {"subject": subject}
    return AuditEntry(_PROPOSE, Phase.OUTCOME, _SETPOINT, target, run, result, digests=digests, payload=payload)


def declined(target: ObjectRef, change: str, spec: ChangeSpec, *, who: str, why: str, where: str) -> AuditEntry:
    """Somebody turned a Change down there, under the name that they have there."""
    payload = {"reason": why, "where": where}
    return AuditEntry("decline", Phase.FACT, who, target, result=change, digests=_digests(spec), payload=payload)


def carried_out(
    target: ObjectRef, change: str, spec: ChangeSpec, *, who: str, evidence: str, ungated: bool
) -> AuditEntry:
    """Somebody carried a Change out themselves, under the name that they have there; no apply was begun for it."""
    payload = {"evidence": evidence, "ungated": ungated}
    return AuditEntry("carry-out", Phase.OUTCOME, who, target, result=change, digests=_digests(spec), payload=payload)


def withdrawn(target: ObjectRef, change: str, spec: ChangeSpec, *, where: str) -> AuditEntry:
    """A Change that is no more is no longer shown."""
    payload = {"where": where}
    return AuditEntry("withdraw", Phase.FACT, _SETPOINT, target, result=change, digests=_digests(spec), payload=payload)


# --- snapshots and the end of a target ----------------------------------------------------------------------


def snapshot_taken(target: ObjectRef, snapshot: str, digest: str) -> AuditEntry:
    """A Snapshot was made."""
    return AuditEntry("snapshot", Phase.FACT, _SETPOINT, target, result=snapshot, digests={"snapshot": digest})


def snapshot_pruned(target: ObjectRef, snapshot: str) -> AuditEntry:
    """A Snapshot was removed, being older than those to keep."""
    return AuditEntry("snapshot.prune", Phase.FACT, _SETPOINT, target, result=snapshot)


def destroyed(target: ObjectRef) -> AuditEntry:
    """Everything that a deleted target had was destroyed, and it is gone."""
    return AuditEntry("destroy", Phase.FACT, _SETPOINT, target)


def released(target: ObjectRef, stays: Sequence[str]) -> AuditEntry:
    """A deleted target is gone, and what it governed stays."""
    payload = {"stays": list(stays[:_MAX_STAYING]), "count": len(stays)}
    return AuditEntry("release", Phase.FACT, _SETPOINT, target, payload=payload)


# --- words of people ----------------------------------------------------------------------------------------


def opinion(
    target: ObjectRef, change: str, spec: ChangeSpec, *, approval: str, said: ApprovalSpec, unseen: bool
) -> AuditEntry:
    """A person approved or rejected a Change; `unseen`: without having looked at what it does."""
    payload: dict[str, Any] = {"approval": approval}
    payload |= {"reason": said.reason} if said.reason else {}
    payload |= {"overrides": list(said.overrides)} if said.overrides else {}
    payload |= {"acceptUndrilled": True} if said.accept_undrilled else {}
    payload |= {"unseen": True} if unseen else {}
    return AuditEntry(
        _APPROVE if said.verdict == "Approved" else "reject",
        Phase.FACT,
        said.approver,
        target,
        result=change,
        digests={"content": spec.digest, "subject": spec.subject},
        payload=payload,
    )


def reset_asked(target: ObjectRef, reset: str, *, who: str, why: str, snapshot: str, digest: str) -> AuditEntry:
    """A person asked for a reset to the Snapshot of that name and digest."""
    payload, digests = {"reset": reset, "reason": why}, {"snapshot": digest}
    return AuditEntry("reset", Phase.FACT, who, target, result=snapshot, digests=digests, payload=payload)


def wished(target: ObjectRef, wish: Wish, who: str) -> AuditEntry:
    """A person asked for a pass, for a stop, or to go on."""
    return AuditEntry(wish, Phase.FACT, who, target)


def state_imported(target: ObjectRef, who: str) -> AuditEntry:
    """A person brought a state that was made elsewhere."""
    return AuditEntry("import-state", Phase.FACT, f"user:{who}", target)


def store_accepted(who: str, *, why: str, found: str) -> AuditEntry:
    """A person goes on with a trail that contradicts its head."""
    return AuditEntry("store.accept", Phase.FACT, who, payload={"reason": why, "found": found})


# --- found again --------------------------------------------------------------------------------------------


def is_begun_apply(entry: AuditEntry, target: ObjectRef, subject: str | None = None) -> bool:
    """True where the row tells of an apply that began on the target; with a subject, of one of that subject."""
    begun = (entry.action, entry.phase, entry.target) == (_APPLY, Phase.INTENT, target)
    return begun and subject in {None, entry.digests.get("subject")}


def is_stage(entry: AuditEntry) -> bool:
    """True where the row tells of a stage of an apply that was accepted."""
    return (entry.action, entry.phase) == (_STAGE, Phase.INTENT)


def is_accepted_verified(entry: AuditEntry) -> bool:
    """True where the row tells that nothing is left to do of an apply that was accepted."""
    return (entry.action, entry.phase) == (_VERIFY, Phase.FACT)


def is_proposal(entry: AuditEntry) -> bool:
    """True where the row tells of a Change that is about to be shown elsewhere: no apply, and nothing that it began."""
    return (entry.action, entry.phase) == (_PROPOSE, Phase.INTENT)


def is_approval(entry: AuditEntry) -> bool:
    """True where the row tells of an approval."""
    return (entry.action, entry.phase) == (_APPROVE, Phase.FACT)


def _digests(spec: ChangeSpec) -> dict[str, str]:
    return {"content": spec.digest, "subject": spec.subject, "resetPlan": spec.reset_plan.digest}
