"""The local home: manifests on disk as the declared state, objects in the store, behind the ClusterClient port.

Watching the manifests is in `adapters.local.watcher`: only a manager does, and it takes an import that others save.
"""

from setpoint.adapters.local.cluster import LocalCluster
from setpoint.adapters.local.events import StoredEvents
from setpoint.adapters.local.home import LocalHome, ManagerLock, ManagerLockedError
from setpoint.adapters.local.index import ManifestIndex
from setpoint.adapters.local.manifests import ManifestError
from setpoint.adapters.local.sync import ManifestSync, SyncReport

__all__ = [
    "LocalCluster",
    "LocalHome",
    "ManagerLock",
    "ManagerLockedError",
    "ManifestError",
    "ManifestIndex",
    "ManifestSync",
    "StoredEvents",
    "SyncReport",
]
