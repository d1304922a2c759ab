"""Owns which conditions each kind has, and which reasons each of them can have. Constants only."""

from setpoint.api.conditions import ConditionType, Reason
from setpoint.api.target import TARGET_KINDS, Target, target_type

_DECLARATION_REASONS = (
    Reason.INVALID_SPEC,
    Reason.INVALID_MANIFEST,
    Reason.SOURCE_NOT_FOUND,
    Reason.SOURCE_REFUSED,
    Reason.SOURCE_UNAVAILABLE,
    Reason.SOURCE_UNAUTHORIZED,
    Reason.SECRET_NOT_FOUND,
)
_FAILURE_REASONS = (
    Reason.APPLY_FAILED,
    Reason.DECLINED,
    Reason.TIMED_OUT,
    Reason.INTERRUPTED,
    Reason.ORPHANS_SUSPECTED,
    Reason.STORE_FAILED,
    Reason.OUT_OF_DESCRIPTORS,
    Reason.API_UNAVAILABLE,
    Reason.NAMESPACE_TERMINATING,
    Reason.NAME_TAKEN,
    Reason.DIGEST_MISMATCH,
    Reason.INTERNAL_ERROR,
)
_GATE_REASONS = (
    Reason.GATES_PASSED,
    Reason.UNDRILLED_ACCEPTED,
    Reason.GATES_PENDING,
    Reason.GATE_BLOCKED,
    Reason.GATE_ERROR,
    Reason.POLICY_INVALID,
    Reason.DIGEST_MISMATCH,
)
_VERIFY_REASONS = (Reason.VERIFIED, Reason.NOT_CONVERGING, Reason.UNHEALTHY, Reason.PLAN_FAILED, Reason.DRIFT_DETECTED)
_DRILL_REASONS = (Reason.DRILL_PASSED, Reason.DRILL_FAILED, Reason.NOT_DRILLABLE, Reason.NOT_DRILLED)
_PROGRESS_REASONS = (Reason.PROGRESSING, Reason.PROGRESSING_WITH_RETRY)
_POLICY_REASONS = (Reason.POLICY_LOADED, Reason.POLICY_INVALID, Reason.DIGEST_MISMATCH, Reason.INTERNAL_ERROR)

_TARGET_CONDITIONS: dict[ConditionType, tuple[Reason, ...]] = {
    ConditionType.READY: (
        Reason.AT_SETPOINT,
        *_PROGRESS_REASONS,
        Reason.SUSPENDED,
        Reason.HELD,
        Reason.DRIFT_DETECTED,
        Reason.PLAN_UNSTABLE,
        Reason.APPROVAL_REQUIRED,
        Reason.REJECTED,
        Reason.GATE_BLOCKED,
        Reason.GATE_ERROR,
        Reason.DRILL_FAILED,
        Reason.NOT_CONVERGING,
        Reason.NOT_CONFORMING,
        Reason.UNHEALTHY,
        Reason.STORE_SET_BACK,
        Reason.BLOB_LOST,
        *_DECLARATION_REASONS,
        *_FAILURE_REASONS,
    ),
    ConditionType.RECONCILING: (*_PROGRESS_REASONS, Reason.PROVIDER_SILENT),
    ConditionType.STALLED: (
        *_DECLARATION_REASONS,
        Reason.SNAPSHOT_NOT_FOUND,
        Reason.STORE_SET_BACK,
        Reason.BLOB_LOST,
        Reason.NAMESPACE_TERMINATING,
        Reason.NAME_TAKEN,
        Reason.DIGEST_MISMATCH,
    ),
    ConditionType.DRIFTED: (Reason.DRIFT_DETECTED, Reason.POLICY_VIOLATED, Reason.GATE_ERROR, Reason.NO_DRIFT),
    ConditionType.RESET_READY: _DRILL_REASONS,
    ConditionType.GATED: _GATE_REASONS,
    ConditionType.VERIFIED: _VERIFY_REASONS,
    ConditionType.HELD: (Reason.RESET_HOLD, Reason.VERIFY_HOLD, Reason.HELD, Reason.REJECTED, Reason.RESUMED),
}


def target_conditions(kind: type[Target]) -> dict[ConditionType, tuple[Reason, ...]]:
    """The conditions of every target, with the reasons of all kinds and then this one's own."""
    return {type_: (*reasons, *kind.OWN_REASONS.get(type_, ())) for type_, reasons in _TARGET_CONDITIONS.items()}


KIND_CONDITIONS: dict[str, dict[ConditionType, tuple[Reason, ...]]] = {
    **{kind: target_conditions(target_type(kind)) for kind in TARGET_KINDS},
    "Change": {
        ConditionType.GATED: _GATE_REASONS,
        ConditionType.APPROVED: (Reason.APPROVED, Reason.APPROVAL_REQUIRED),
        ConditionType.REJECTED: (Reason.REJECTED, Reason.PROGRESSING),
        ConditionType.APPLIED: (
            Reason.APPLIED,
            Reason.CARRIED_OUT,
            Reason.CARRIED_OUT_UNGATED,
            Reason.APPLY_FAILED,
            Reason.DECLINED,
            Reason.TIMED_OUT,
            Reason.INTERRUPTED,
            Reason.PROGRESSING,
        ),
        ConditionType.VERIFIED: _VERIFY_REASONS,
        ConditionType.SUPERSEDED: (Reason.SUPERSEDED, Reason.PROGRESSING),
    },
    "Snapshot": {},
    "Approval": {},
    "Reset": {
        ConditionType.COMPLETE: (
            Reason.RESET_COMPLETE,
            Reason.RESET_REQUESTED,
            Reason.REJECTED,
            Reason.INVALID_SPEC,
            Reason.SNAPSHOT_NOT_FOUND,
            Reason.SNAPSHOT_OF_ANOTHER_TARGET,
            Reason.DIGEST_MISMATCH,
        ),
    },
    "PolicySet": {
        ConditionType.READY: _POLICY_REASONS,
        ConditionType.STALLED: (Reason.POLICY_INVALID, Reason.DIGEST_MISMATCH, Reason.INVALID_MANIFEST),
    },
    "EnforcementGates": {
        ConditionType.READY: _POLICY_REASONS,
        ConditionType.STALLED: (Reason.POLICY_INVALID, Reason.DIGEST_MISMATCH, Reason.INVALID_MANIFEST),
    },
}
"""The conditions of each kind, with the reasons that each can have."""
