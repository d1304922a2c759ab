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
from setpoint.ports.source import Code, NamedPath, SourceResolver, SourceTree
from setpoint.ports.store import (
    AuditLog,
    BlobStore,
    Fence,
    Fences,
    ObjectStore,
    ObservationStore,
    StoredObject,
    StoredObjects,
)
from setpoint.ports.target import Journal, Notice, OnProgress, TargetDriver, TargetSession

__all__ = [
    "ApiCredentials",
    "AuditLog",
    "BlobStore",
    "Clock",
    "ClusterClient",
    "Code",
    "EventRecorder",
    "Fence",
    "Fences",
    "Journal",
    "LeaseLock",
    "LeaseRecord",
    "NamedPath",
    "Notice",
    "ObjectList",
    "ObjectStore",
    "ObservationStore",
    "OnProgress",
    "PolicyEngine",
    "PolicyResolver",
    "SourceResolver",
    "SourceTree",
    "StoredObject",
    "StoredObjects",
    "TargetDriver",
    "TargetSession",
    "WatchEvent",
]
