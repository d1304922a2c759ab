"""Owns the condition types and reasons of every kind, with their meaning. Constants only.

Each constant's text is its documentation: the reference pages are generated from it, and a test refuses a
condition or an event whose reason is not here.
"""

from enum import StrEnum


class ConditionType(StrEnum):
    """Condition types. Positive ones are good when True; `Reconciling`, `Stalled`, `Drifted`, `Held` are not."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    DRIFTED = "Drifted"
    RESET_READY = "ResetReady"
    GATED = "Gated"
    VERIFIED = "Verified"
    HELD = "Held"
    APPROVED = "Approved"
    REJECTED = "Rejected"
    APPLIED = "Applied"
    SUPERSEDED = "Superseded"
    COMPLETE = "Complete"


CONDITION_MEANING: dict[ConditionType, str] = {
    ConditionType.READY: "The target is at its setpoint and healthy (PolicySet, EnforcementGates: usable).",
    ConditionType.RECONCILING: "Work goes on, or is tried again by itself. Present only when true.",
    ConditionType.STALLED: "Nothing will happen until a person changes something. Present only when true.",
    ConditionType.DRIFTED: (
        "The actual state differs from the applied configuration, and a Change would restore it; or what changed "
        "outside violates a policy."
    ),
    ConditionType.RESET_READY: "There is a way back: the last applied configuration was shown to plan.",
    ConditionType.GATED: "Every gate of the stage passes; on a Change, the verdict of its gates.",
    ConditionType.VERIFIED: "A second observation after the last apply found the setpoint and healthy answers.",
    ConditionType.HELD: "Nothing is applied until the spec changes or a person resumes.",
    ConditionType.APPROVED: "As many people as asked for approved this Change's subject.",
    ConditionType.REJECTED: "A person rejected this Change's subject.",
    ConditionType.APPLIED: "The Change was carried out; Unknown while it is, in stages.",
    ConditionType.SUPERSEDED: "Another Change, or the world, made this one void.",
    ConditionType.COMPLETE: "The Reset was carried out and verified.",
}


class Reason(StrEnum):
    """Reasons of conditions and of events; an event's reason equals the condition's."""

    # Ready and the like
    AT_SETPOINT = "AtSetpoint"
    PROGRESSING = "Progressing"
    PROGRESSING_WITH_RETRY = "ProgressingWithRetry"
    SUSPENDED = "Suspended"
    # Waiting for people
    APPROVAL_REQUIRED = "ApprovalRequired"
    APPROVED = "Approved"
    REJECTED = "Rejected"
    HELD = "Held"
    RESET_HOLD = "ResetHold"
    VERIFY_HOLD = "VerifyHold"
    RESUMED = "Resumed"
    # Drift
    DRIFT_DETECTED = "DriftDetected"
    NO_DRIFT = "NoDrift"
    POLICY_VIOLATED = "PolicyViolated"
    PLAN_UNSTABLE = "PlanUnstable"
    # Faults in the declaration
    INVALID_SPEC = "InvalidSpec"
    INVALID_MANIFEST = "InvalidManifest"
    SOURCE_NOT_FOUND = "SourceNotFound"
    SOURCE_REFUSED = "SourceRefused"
    SOURCE_UNAVAILABLE = "SourceUnavailable"
    SOURCE_UNAUTHORIZED = "SourceUnauthorized"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 a reason, not a secret
    VARIABLE_UNDECLARED = "VariableUndeclared"
    CONFIGURATION_INVALID = "ConfigurationInvalid"
    LOCK_FILE_MISSING = "LockFileMissing"
    LOCK_FILE_MISMATCH = "LockFileMismatch"
    ENGINE_NOT_FOUND = "EngineNotFound"
    ENGINE_VERSION_MISMATCH = "EngineVersionMismatch"
    STATE_NOT_ADOPTED = "StateNotAdopted"
    STATE_TOO_NEW = "StateTooNew"
    PROVIDER_UNAVAILABLE = "ProviderUnavailable"
    # Failures while working
    INIT_FAILED = "InitFailed"
    PLAN_FAILED = "PlanFailed"
    DATA_UNREADABLE = "DataUnreadable"
    DESTROY_PREVENTED = "DestroyPrevented"
    APPLY_FAILED = "ApplyFailed"
    TIMED_OUT = "TimedOut"
    PROVIDER_SILENT = "ProviderSilent"
    INTERRUPTED = "Interrupted"
    ORPHANS_SUSPECTED = "OrphansSuspected"
    WARNED = "Warned"
    PLAIN_KEY_UNKNOWN = "PlainKeyUnknown"
    WORK_FOLDER_RESTORED = "WorkFolderRestored"
    LEFTOVER_ENDED = "LeftoverEnded"
    STATE_LOCKED = "StateLocked"
    STORE_FAILED = "StoreFailed"
    OUT_OF_DESCRIPTORS = "OutOfDescriptors"
    STORE_SET_BACK = "StoreSetBack"
    BLOB_LOST = "BlobLost"
    API_UNAVAILABLE = "ApiUnavailable"
    NAMESPACE_TERMINATING = "NamespaceTerminating"
    NAME_TAKEN = "NameTaken"
    INTERNAL_ERROR = "InternalError"
    # The reset plan
    DRILL_PASSED = "DrillPassed"
    DRILL_FAILED = "DrillFailed"
    NOT_DRILLABLE = "NotDrillable"
    NOT_DRILLED = "NotDrilled"
    SNAPSHOT_NOT_FOUND = "SnapshotNotFound"
    SNAPSHOT_OF_ANOTHER_TARGET = "SnapshotOfAnotherTarget"
    # Gates
    GATES_PASSED = "GatesPassed"
    GATES_PENDING = "GatesPending"
    UNDRILLED_ACCEPTED = "UndrilledAccepted"
    GATE_BLOCKED = "GateBlocked"
    GATE_ERROR = "GateError"
    POLICY_INVALID = "PolicyInvalid"
    POLICY_LOADED = "PolicyLoaded"
    DIGEST_MISMATCH = "DigestMismatch"
    # Outcomes
    APPLIED = "Applied"
    DECLINED = "Declined"
    CARRIED_OUT = "CarriedOut"
    CARRIED_OUT_UNGATED = "CarriedOutUngated"
    VERIFIED = "Verified"
    NOT_CONVERGING = "NotConverging"
    NOT_CONFORMING = "NotConforming"
    UNHEALTHY = "Unhealthy"
    SUPERSEDED = "Superseded"
    RESET_COMPLETE = "ResetComplete"
    RESET_REQUESTED = "ResetRequested"
    SEAL_INVALID = "SealInvalid"
    RELEASED = "Released"
    DESTROYED = "Destroyed"
    DELETION_TAKEN_BACK = "DeletionTakenBack"
    CHANGE_CREATED = "ChangeCreated"
    CHANGE_SHOWN = "ChangeShown"


REASON_MEANING: dict[Reason, str] = {
    Reason.AT_SETPOINT: "Actual and declared state are the same.",
    Reason.PROGRESSING: "A step is running.",
    Reason.PROGRESSING_WITH_RETRY: "A step failed for now and will be tried again.",
    Reason.SUSPENDED: "A person, or spec.suspend, stopped all work on the target.",
    Reason.APPROVAL_REQUIRED: "A Change waits for people to approve it.",
    Reason.APPROVED: "Enough people approved.",
    Reason.REJECTED: "A person rejected the Change; another one follows when spec, source or world move.",
    Reason.HELD: "Nothing is applied until the spec changes or a person resumes.",
    Reason.RESET_HOLD: "Held after a reset, so that what was undone is not applied again.",
    Reason.VERIFY_HOLD: "Held after an apply that did not verify.",
    Reason.RESUMED: "A person resumed the target.",
    Reason.DRIFT_DETECTED: "Resources differ from the applied configuration.",
    Reason.NO_DRIFT: "No resource differs.",
    Reason.POLICY_VIOLATED: (
        "What changed outside violates a policy, whether or not a Change would put it back; the message says what."
    ),
    Reason.PLAN_UNSTABLE: "Two plans of the same inputs differ; the message names the paths. Use drift.ignore.",
    Reason.INVALID_SPEC: "The spec can never work; the message names the field.",
    Reason.INVALID_MANIFEST: "The manifest on disk can't be used; nothing is done until it is mended or taken away.",
    Reason.SOURCE_NOT_FOUND: "The source's folder, repository or ref does not exist.",
    Reason.SOURCE_REFUSED: "The source breaks a limit or leaves its folder; the message names the file.",
    Reason.SOURCE_UNAVAILABLE: "The source, or a module of it, can't be reached for now; tried again with back-off.",
    Reason.SOURCE_UNAUTHORIZED: (
        "The source, a module of it or a provider asks for a login, or refuses the one that it was given; tried again."
    ),
    Reason.SECRET_NOT_FOUND: "A Secret that the spec names does not exist or lacks a key.",
    Reason.VARIABLE_UNDECLARED: "The spec sets a variable that the code does not declare.",
    Reason.CONFIGURATION_INVALID: "Terraform refuses the configuration.",
    Reason.LOCK_FILE_MISSING: "engine.lockFile is Required and the source has no .terraform.lock.hcl.",
    Reason.LOCK_FILE_MISMATCH: "A provider is not the one that the lock file names.",
    Reason.ENGINE_NOT_FOUND: "No binary of engine.type was found on this machine.",
    Reason.ENGINE_VERSION_MISMATCH: "The binary does not meet engine.version.",
    Reason.STATE_NOT_ADOPTED: "The source brings a state or a backend of its own; import it first.",
    Reason.STATE_TOO_NEW: "The state was written by a newer Terraform than the binary.",
    Reason.PROVIDER_UNAVAILABLE: "A provider can't be had.",
    Reason.INIT_FAILED: "terraform init failed.",
    Reason.PLAN_FAILED: "terraform plan failed.",
    Reason.DATA_UNREADABLE: "A data source of the code can't be read. A destruction is planned from the state then.",
    Reason.DESTROY_PREVENTED: "prevent_destroy in the code forbids what would be destroyed.",
    Reason.APPLY_FAILED: "The apply failed; what it did is recorded.",
    Reason.TIMED_OUT: "A command took longer than its deadline, or far longer than usual, and was stopped.",
    Reason.PROVIDER_SILENT: "A plan waits for a provider that has not answered for long; the message names what for.",
    Reason.INTERRUPTED: "The apply was interrupted; its approval is spent.",
    Reason.ORPHANS_SUSPECTED: "Creations started and are on no record; look for them before going on.",
    Reason.WARNED: "The last observation warned of something, such as a check block that failed; nothing stops for it.",
    Reason.PLAIN_KEY_UNKNOWN: (
        "The annotation setpoint.dev/plain of a Secret names what is no key of it. Nothing stops, or shows, for it."
    ),
    Reason.LEFTOVER_ENDED: "Programs that an apply had left running were ended with it; the message names them.",
    Reason.WORK_FOLDER_RESTORED: "Files that Terraform would have loaded and no source holds were removed; see which.",
    Reason.STATE_LOCKED: "Another run holds the state's lock.",
    Reason.API_UNAVAILABLE: "The Kubernetes API server can't be reached or refuses to answer; tried again.",
    Reason.NAMESPACE_TERMINATING: (
        "The namespace is being deleted, so nothing new can be made in it, as a Change; the message says what to do."
    ),
    Reason.NAME_TAKEN: (
        "An object of the name that is needed here is there, and is another: it is neither used nor written over. "
        "Find out who made it, then delete it."
    ),
    Reason.STORE_FAILED: "The store refused a write; nothing was changed.",
    Reason.STORE_SET_BACK: (
        "The store is not the one that stood here: its audit trail contradicts the head file. Nothing is applied until "
        "the right database is put back, or a person accepts this one."
    ),
    Reason.OUT_OF_DESCRIPTORS: "No file descriptor is left for Setpoint; the message says what to raise. Tried again.",
    Reason.BLOB_LOST: (
        "Bytes that the target needs, such as its state, are not in the store or don't open with its key; the message "
        "names them, and what to put back."
    ),
    Reason.INTERNAL_ERROR: "A fault in Setpoint; the log has the details.",
    Reason.DRILL_PASSED: "The last applied configuration initialises and plans today.",
    Reason.DRILL_FAILED: "The last applied configuration does not plan today; nothing is applied.",
    Reason.NOT_DRILLABLE: "Nothing was applied yet, so there is nothing to drill.",
    Reason.NOT_DRILLED: "The last applied configuration lacks a variable today: a person approves, or gives it back.",
    Reason.SNAPSHOT_NOT_FOUND: "The snapshot, or bytes that it needs, is not in the store.",
    Reason.SNAPSHOT_OF_ANOTHER_TARGET: "The snapshot was taken of another target.",
    Reason.GATES_PASSED: "Every gate passed.",
    Reason.GATES_PENDING: "The gates wait for approvals.",
    Reason.UNDRILLED_ACCEPTED: (
        "Every gate passed, `way-back` because people accepted knowingly that the drill fails; the message says who."
    ),
    Reason.GATE_BLOCKED: "A gate blocks; the message says which and what to do.",
    Reason.GATE_ERROR: "A gate could not be evaluated, and so blocks.",
    Reason.POLICY_INVALID: "The policies do not load; the message names file and line.",
    Reason.POLICY_LOADED: "The policies load and pass the lint.",
    Reason.DIGEST_MISMATCH: "The content is not the one that the digest pins.",
    Reason.APPLIED: "The Change was applied.",
    Reason.DECLINED: "People turned the Change down where its apply went on, which failed so.",
    Reason.CARRIED_OUT: "Somebody carried the Change out themselves, where people look at it.",
    Reason.CARRIED_OUT_UNGATED: "Somebody carried the Change out themselves, and its gates had not passed.",
    Reason.VERIFIED: "The target is at its setpoint and healthy.",
    Reason.NOT_CONVERGING: "What was just applied still differs; the message names the paths.",
    Reason.NOT_CONFORMING: "What still differs, no Change can mend; the message names it, and people have to.",
    Reason.UNHEALTHY: "A health check failed.",
    Reason.SUPERSEDED: "Another Change replaced this one, or there is nothing left to change.",
    Reason.RESET_COMPLETE: "The target is at the snapshot.",
    Reason.SEAL_INVALID: (
        "status.applied was written by another, or under another sealing key: it counts as absent, until recorded anew."
    ),
    Reason.RESET_REQUESTED: "A Reset is to be carried out; the message names the Change that does it.",
    Reason.RELEASED: "The object is gone; what it governed stays.",
    Reason.DESTROYED: "Everything that the target had was destroyed.",
    Reason.DELETION_TAKEN_BACK: "The manifest is there again, so that what was to be destroyed stays.",
    Reason.CHANGE_CREATED: "A Change was computed and recorded.",
    Reason.CHANGE_SHOWN: "A Change is shown where its people look, outside of Setpoint.",
}

EVENT_REASONS: tuple[Reason, ...] = (
    Reason.CHANGE_CREATED,
    Reason.CHANGE_SHOWN,
    Reason.DESTROYED,
    Reason.RELEASED,
    Reason.DELETION_TAKEN_BACK,
    Reason.SEAL_INVALID,
    Reason.WARNED,
    Reason.PLAIN_KEY_UNKNOWN,
    Reason.WORK_FOLDER_RESTORED,
    Reason.LEFTOVER_ENDED,
)
"""The reasons that only events give; every other reason is a condition's, and its event's too."""
