"""Owns making and pruning the index objects of snapshots."""

import contextlib
import re

from setpoint.api.conditions import Reason
from setpoint.api.meta import API_VERSION, JsonObject, ObjectRef
from setpoint.api.target import AppliedStatus, Target, TargetReference, member_name
from setpoint.api.v1alpha1 import snapshot as api
from setpoint.domain import audit_actions
from setpoint.domain.digests import digest
from setpoint.domain.errors import AlreadyExistsError, InvalidError, NotFoundError, StalledError
from setpoint.domain.model import Captured, Snapshot
from setpoint.domain.reading import parse, text_at
from setpoint.pipeline.names import TARGET_LABEL, child_name, target_label
from setpoint.pipeline.objects import list_of_target
from setpoint.ports import ClusterClient

_DIGITS = re.compile(r"-snap-([0-9a-f]+)\Z")


class SnapshotTaker:
    """Makes Snapshots of what a driver captured. The same capture gives the same Snapshot."""

    def __init__(self, cluster: ClusterClient) -> None:
        self._cluster = cluster

    async def take(self, target: Target, applied: AppliedStatus | None, captured: Captured) -> Snapshot:
        """Makes the index object of what was captured under a configuration, unless it is there."""
        described = api.SnapshotSpec.model_validate(
            {
                "targetRef": TargetReference.to(target.ref),
                "digest": digest({}),
                **(_told(applied) if applied else {}),
                member_name(target.kind): captured.digests,
            }
        )
        spec = described.model_copy(update={"digest": content_digest(described)})
        name = await self._ensure(target, spec)
        return Snapshot(name=name, digest=spec.digest, configuration=spec.configuration)

    async def find(self, target: Target, name: str) -> Snapshot | None:
        """The Snapshot that guards an open Change of the target; None where it is gone, or can't be read."""
        try:
            found = parse(api.Snapshot, await self._cluster.get(ObjectRef("Snapshot", target.metadata.namespace, name)))
        except (NotFoundError, InvalidError):
            return None
        return Snapshot(name, found.spec.digest, found.spec.configuration)

    async def _ensure(self, target: Target, spec: api.SnapshotSpec) -> str:
        """Makes the index object unless it is there; its name. Raises StalledError where another has it."""
        name, found = await self._get_or_create(target, spec)
        if api.SnapshotSpec.is_cut(found["spec"]):
            name, found = await self._get_or_create(target, spec, beside=True)
        _require_same(found, spec)
        return name

    async def _get_or_create(
        self, target: Target, spec: api.SnapshotSpec, *, beside: bool = False
    ) -> tuple[str, JsonObject]:
        name = child_name(target.metadata.name, "snap", spec.digest, beside=beside)
        ref = ObjectRef("Snapshot", target.metadata.namespace, name)
        entry = audit_actions.snapshot_taken(target.ref, name, spec.digest)
        try:
            return name, await self._cluster.get(ref)
        except NotFoundError:
            try:
                return name, await self._cluster.create(_manifest(target, name, spec), audit=(entry,))
            except AlreadyExistsError:
                return name, await self._cluster.get(ref)


def _told(applied: AppliedStatus) -> JsonObject:
    """The words of a Snapshot of any target on the configuration."""
    named = {"configuration": applied.configuration_name, "revision": applied.revision}
    return {**named, "generation": applied.generation, "change": applied.change}


def _require_same(found: JsonObject, spec: api.SnapshotSpec) -> None:
    """Raises StalledError unless what is there is what was taken: a name holds a part of the digest alone."""
    try:
        same = parse(api.Snapshot, found).spec == spec
    except InvalidError:
        same = False
    if not same:
        message = (
            f"there is a Snapshot {found['metadata']['name']} that is not the one that was taken ({spec.digest}), so "
            "there would be no way back. Find out who made it, then delete it"
        )
        raise StalledError(Reason.NAME_TAKEN, message)


def content_digest(spec: api.SnapshotSpec) -> str:
    """The digest of all that a Snapshot says, its member's fields beside the others, and without what follows from it.

    A field that is added later must be left out where it is empty, so that older Snapshots keep their digests.
    """
    own: JsonObject = spec.member.as_json() if spec.member else {}
    left_out = {"digest", member_name(spec.target_ref.kind), *(spec.member.implied if spec.member else ())}
    return digest({name: value for name, value in spec.as_json().items() if name not in left_out} | own)


def content_problem(snapshot: api.Snapshot) -> str:
    """The reason against a Snapshot that was found by name being one that Setpoint took under it; else empty."""
    spec = snapshot.spec
    if content_digest(spec) != spec.digest:
        return "its content is not what its spec.digest says"
    digits = _DIGITS.search(snapshot.metadata.name)
    if digits and not spec.digest.removeprefix("sha256:").startswith(digits[1]):
        return f"its name does not end in the first digits of its spec.digest, {spec.digest}"
    return ""


def _manifest(target: Target, name: str, spec: api.SnapshotSpec) -> JsonObject:
    labels = {TARGET_LABEL: target_label(target.ref)}
    metadata = {"name": name, "namespace": target.metadata.namespace, "labels": labels}
    return {"apiVersion": API_VERSION, "kind": "Snapshot", "metadata": metadata, "spec": spec.as_json()}


class SnapshotPruner:
    """Removes the oldest Snapshots of a target beyond spec.snapshots.keep, never one that something refers to."""

    def __init__(self, cluster: ClusterClient) -> None:
        self._cluster = cluster

    async def prune(self, target: Target, *, newest: str | None) -> None:
        """Prunes after a pass; `newest` is the snapshot that the pass has just taken."""
        by_age = sorted(await list_of_target(self._cluster, "Snapshot", target.ref), key=_age, reverse=True)
        surplus = by_age[target.spec.snapshots.keep :]
        if not surplus:
            return
        used = await self._in_use(target) | {newest}
        for snapshot in surplus:
            if snapshot["metadata"]["name"] not in used:
                await self._delete(target, ObjectRef.of(snapshot))

    async def _in_use(self, target: Target) -> set[str | None]:
        namespace = target.metadata.namespace
        hold = target.status.hold
        used = {target.status.snapshot, hold.snapshot if hold else None}
        if target.status.change:
            with contextlib.suppress(NotFoundError):
                change = await self._cluster.get(ObjectRef("Change", namespace, target.status.change))
                used.add(text_at(change, "spec", "snapshotRef"))
        for reset in (await self._cluster.list("Reset", namespace=namespace)).items:
            used.add(text_at(reset, "spec", "snapshotRef", "name"))
        return used

    async def _delete(self, target: Target, ref: ObjectRef) -> None:
        entry = audit_actions.snapshot_pruned(target.ref, ref.name)
        with contextlib.suppress(NotFoundError):
            await self._cluster.delete(ref, audit=(entry,))


def _age(snapshot: JsonObject) -> tuple[str, int]:
    """When it was taken; one that can't be read is the oldest of its second."""
    try:
        member = parse(api.Snapshot, snapshot).spec.member
    except InvalidError:
        member = None
    return snapshot["metadata"].get("creationTimestamp") or "", -1 if member is None else member.order
