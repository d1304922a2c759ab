"""Owns taking and pruning snapshots: the index objects, and the sealed bytes that they name."""

import contextlib
import json
from collections.abc import Mapping

from setpoint.api.meta import API_VERSION, JsonObject, ObjectRef
from setpoint.api.v1alpha1 import snapshot as api
from setpoint.api.v1alpha1.environment import AppliedStatus, Environment
from setpoint.domain.audit import AuditEntry, Phase
from setpoint.domain.digests import canonical, digest
from setpoint.domain.errors import AlreadyExistsError, NotFoundError
from setpoint.domain.model import Observation, Snapshot
from setpoint.domain.reading import text_at
from setpoint.ports import BlobStore, ClusterClient, StateStore
from setpoint.reconcilers.names import TARGET_LABEL, child_name, target_label


class SnapshotTaker:
    """Captures the head state under the last applied configuration. The same state gives the same Snapshot."""

    def __init__(self, cluster: ClusterClient, states: StateStore, blobs: BlobStore) -> None:
        self._cluster = cluster
        self._states = states
        self._blobs = blobs

    async def take(
        self,
        environment: Environment,
        applied: AppliedStatus | None,
        observation: Observation,
        *,
        secret_variables: Mapping[str, str],
    ) -> Snapshot:
        """Seals what a reset needs and makes the index object, unless it is there."""
        spec = await self._describe(environment, applied, observation, secret_variables)
        name = child_name(environment.metadata.name, "snap", spec.digest)
        await self._ensure(environment, name, spec)
        return Snapshot(name=name, digest=spec.digest, state_version=spec.state_version, bundle=spec.bundle)

    async def _describe(
        self,
        environment: Environment,
        applied: AppliedStatus | None,
        observation: Observation,
        secret_variables: Mapping[str, str],
    ) -> api.SnapshotSpec:
        key = environment.ref.key
        head = await self._states.head(key)
        outputs = await self._seal_outputs(key) if head else None
        content = {
            "targetRef": {"kind": "Environment", "name": environment.metadata.name},
            "stateVersion": head.version if head else 0,
            "stateDigest": f"sha256:{head.sha256}" if head else None,
            "bundle": applied.bundle if applied else None,
            "archive": applied.archive if applied else None,
            "revision": applied.revision if applied else "",
            "variables": applied.variables if applied else None,
            "secretVariables": {k: self._blobs.digest(v.encode()) for k, v in sorted(secret_variables.items())},
            "outputs": outputs,
            "engine": observation.engine,
            "resources": head.resources if head else 0,
            "generation": applied.generation if applied else 0,
            "change": applied.change if applied else None,
        }
        content = {name: value for name, value in content.items() if value is not None}
        return api.SnapshotSpec.model_validate({**content, "digest": digest(content)})

    async def _seal_outputs(self, key: str) -> str | None:
        outputs = json.loads(await self._states.read(key)).get("outputs") or {}
        return await self._blobs.put(canonical(outputs)) if outputs else None

    async def _ensure(self, environment: Environment, name: str, spec: api.SnapshotSpec) -> None:
        ref = ObjectRef("Snapshot", environment.metadata.namespace, name)
        try:
            await self._cluster.get(ref)
        except NotFoundError:
            entry = AuditEntry(
                "snapshot", Phase.FACT, "setpoint", environment.ref, digests={"snapshot": spec.digest}, result=name
            )
            try:
                await self._cluster.create(_manifest(environment, name, spec), audit=(entry,))
            except AlreadyExistsError:
                return


def _manifest(environment: Environment, name: str, spec: api.SnapshotSpec) -> JsonObject:
    labels = {TARGET_LABEL: target_label(environment.metadata.name)}
    metadata = {"name": name, "namespace": environment.metadata.namespace, "labels": labels}
    return {"apiVersion": API_VERSION, "kind": "Snapshot", "metadata": metadata, "spec": spec.as_json()}


class SnapshotPruner:
    """Removes the oldest Snapshots of a target beyond spec.snapshots.keep, never one that something refers to."""

    def __init__(self, cluster: ClusterClient) -> None:
        self._cluster = cluster

    async def prune(self, environment: Environment, *, newest: str | None) -> None:
        """Prunes after a pass; `newest` is the snapshot that the pass has just taken."""
        namespace = environment.metadata.namespace
        labels = {TARGET_LABEL: target_label(environment.metadata.name)}
        found = await self._cluster.list("Snapshot", namespace=namespace, labels=labels)
        by_age = sorted(found.items, key=_age, reverse=True)
        surplus = by_age[environment.spec.snapshots.keep :]
        if not surplus:
            return
        used = await self._in_use(environment) | {newest}
        for snapshot in surplus:
            if snapshot["metadata"]["name"] not in used:
                await self._delete(environment, ObjectRef.of(snapshot))

    async def _in_use(self, environment: Environment) -> set[str | None]:
        namespace = environment.metadata.namespace
        hold = environment.status.hold
        used = {environment.status.snapshot, hold.snapshot if hold else None}
        if environment.status.change:
            with contextlib.suppress(NotFoundError):
                change = await self._cluster.get(ObjectRef("Change", namespace, environment.status.change))
                used.add(text_at(change, "spec", "snapshotRef"))
        for reset in (await self._cluster.list("Reset", namespace=namespace)).items:
            used.add(text_at(reset, "spec", "snapshotRef", "name"))
        return used

    async def _delete(self, environment: Environment, ref: ObjectRef) -> None:
        entry = AuditEntry("snapshot.prune", Phase.FACT, "setpoint", environment.ref, result=ref.name)
        with contextlib.suppress(NotFoundError):
            await self._cluster.delete(ref, audit=(entry,))


def _age(snapshot: JsonObject) -> tuple[str, int]:
    """When it was taken; one that can't be read is the oldest of its second."""
    try:
        version = int(snapshot["spec"]["stateVersion"])
    except (KeyError, TypeError, ValueError):
        version = -1
    return snapshot["metadata"].get("creationTimestamp") or "", version
