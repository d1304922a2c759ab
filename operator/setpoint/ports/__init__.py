"""Owns the protocols that the outside implements, and the shapes that they exchange. No implementation lives here.

Fakes of these ports pass the same conformance suites (tests/conformance) as the real thing.
"""

from setpoint.ports.cluster import (
    ApiCredentials,
    Clock,
    ClusterClient,
    EventRecorder,
    LeaseLock,
    LeaseRecord,
    ObjectList,
    WatchEvent,
)
from setpoint.ports.policy import PolicyEngine, PolicyResolver
from setpoint.ports.states import BackendAccess, StateBackend, StateLock, StateLocks, StateStore, StateVersion
from setpoint.ports.store import AuditLog, BlobStore, Fence, Fences, LookStore, ObjectStore, StoredObject, StoredObjects
from setpoint.ports.target import HealthProber, TargetDriver, TargetSession
from setpoint.ports.terraform import (
    ApplyRun,
    Bundle,
    EngineVersion,
    ErroredState,
    ModuleHost,
    Notice,
    PlanRun,
    ResourceProgress,
    RunInputs,
    SourceResolver,
    SourceTree,
    Survivor,
    Terraform,
    TerraformSession,
)

__all__ = [
    "ApiCredentials",
    "ApplyRun",
    "AuditLog",
    "BackendAccess",
    "BlobStore",
    "Bundle",
    "Clock",
    "ClusterClient",
    "EngineVersion",
    "ErroredState",
    "EventRecorder",
    "Fence",
    "Fences",
    "HealthProber",
    "LeaseLock",
    "LeaseRecord",
    "LookStore",
    "ModuleHost",
    "Notice",
    "ObjectList",
    "ObjectStore",
    "PlanRun",
    "PolicyEngine",
    "PolicyResolver",
    "ResourceProgress",
    "RunInputs",
    "SourceResolver",
    "SourceTree",
    "StateBackend",
    "StateLock",
    "StateLocks",
    "StateStore",
    "StateVersion",
    "StoredObject",
    "StoredObjects",
    "Survivor",
    "TargetDriver",
    "TargetSession",
    "Terraform",
    "TerraformSession",
    "WatchEvent",
]
