"""Owns which targets a moved object wakes. Holds one small fingerprint an object; never a body."""

import contextlib
import itertools
from collections.abc import Iterable

from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.api.target import TARGET_KINDS, target_type
from setpoint.api.v1alpha1.reset import Reset, ResetStatus
from setpoint.domain.errors import InvalidError, NotFoundError
from setpoint.domain.goals import is_open
from setpoint.domain.reading import parse, readable_status, text_at
from setpoint.domain.sharding import Shard
from setpoint.pipeline.objects import target_of
from setpoint.ports import ClusterClient, WatchEvent
from setpoint.runtime.requests import Request

WATCHED = (*TARGET_KINDS, "Approval", "Reset", "PolicySet", "EnforcementGates")
"""The kinds whose moves wake something. Changes and Snapshots are our own writing."""
EVERY_KIND = (*WATCHED, "Change", "Snapshot", "Secret", "ConfigMap", "Event")
"""All kinds that a home stores: who has seen them up to a version has seen every write."""

Fingerprint = tuple[object, ...]


class Router:
    """Maps watch events to requests. Our own status writes wake nothing (controller-runtime's predicates)."""

    def __init__(self, cluster: ClusterClient) -> None:
        self._cluster = cluster
        self._seen: dict[ObjectRef, Fingerprint] = {}
        self._expected: set[Shard] = set()
        self._early: dict[ObjectRef, Fingerprint] = {}

    def notice(self, obj: JsonObject) -> None:
        """The object was seen in a list, and is queued for that: an event of the same wakes nobody again."""
        self._seen[ObjectRef.of(obj)] = _fingerprint(obj)

    def expect(self, shard: Shard) -> None:
        """All its targets are about to be listed: one that a watch tells of before wakes nobody by that."""
        self._expected.add(shard)

    def found_all(self, shard: Shard) -> list[Request]:
        """All of them were; returns the requests of those of which the watch had told something newer."""
        self._expected.discard(shard)
        early = {ref: self._early.pop(ref) for ref in list(self._early) if ref.key in shard}
        moved = {ref: fingerprint for ref, fingerprint in early.items() if self._seen.get(ref) != fingerprint}
        self._seen |= moved
        return [Request(ref) for ref in moved]

    def leave(self, shard: Shard) -> None:
        """Its targets are another leader's by now."""
        self.found_all(shard)
        for ref in [ref for ref in self._seen if ref.kind in TARGET_KINDS and ref.key in shard]:
            del self._seen[ref]

    async def route(self, event: WatchEvent) -> list[Request]:
        """The requests that an event asks for; none where nothing that matters moved."""
        ref = ObjectRef.of(event.object)
        if event.type == "DELETED":
            self._seen.pop(ref, None)
            self._early.pop(ref, None)
            return [Request(ref)] if ref.kind in TARGET_KINDS else await self._wake(event.object, ref)
        fingerprint = _fingerprint(event.object)
        if self._seen.get(ref) == fingerprint:
            return []
        if self._is_early(ref, event.object):
            self._early[ref] = fingerprint
            return []
        requests = await self._wake(event.object, ref)
        self._seen[ref] = fingerprint
        return requests

    def _is_early(self, ref: ObjectRef, obj: JsonObject) -> bool:
        """True where it is about to be listed, and not of those that were never observed."""
        if not self._expected or ref.kind not in TARGET_KINDS or ref in self._seen or not obj.get("status"):
            return False
        return any(ref.key in shard for shard in self._expected)

    async def _wake(self, obj: JsonObject, ref: ObjectRef) -> list[Request]:
        if ref.kind == "Approval":
            return await self._target_of_change(ref.namespace, text_at(obj, "spec", "changeRef", "name"))
        if ref.kind == "Reset":
            return _request_for_target(obj)
        if ref.kind == "PolicySet":
            return [Request(ref), *await self._gates(), *await self.waiting_targets()]
        if ref.kind == "EnforcementGates":
            return [Request(ref), *await self.waiting_targets()]
        return [Request(ref)]

    async def _target_of_change(self, namespace: str, name: str) -> list[Request]:
        try:
            change = await self._cluster.get(ObjectRef("Change", namespace, name))
        except (NotFoundError, InvalidError):
            return []
        return _request_for_target(change)

    async def _gates(self) -> list[Request]:
        return [Request(ObjectRef.of(item)) for item in (await self._cluster.list("EnforcementGates")).items]

    async def waiting_targets(self) -> list[Request]:
        """The targets whose open Change another policy may decide otherwise."""
        found: list[JsonObject] = []
        for kind in TARGET_KINDS:
            found += (await self._cluster.list(kind)).items
        return [Request(ObjectRef.of(item)) for item in found if text_at(item, "status", "change")]


def _request_for_target(obj: JsonObject) -> list[Request]:
    """A request for the target that an object is about; none where it names none."""
    target = target_of(obj)
    return [Request(target)] if target else []


def open_resets(found: Iterable[JsonObject]) -> list[Request]:
    """The targets of those of these Resets that are not closed."""
    open_ones = [obj for obj in found if is_open(ResetStatus.model_validate(readable_status(Reset, obj)))]
    return list(itertools.chain.from_iterable(map(_request_for_target, open_ones)))


class Referrers:
    """The readers of each Secret. Holds names and versions alone, and names only of targets that read any."""

    def __init__(self) -> None:
        self._names: dict[ObjectRef, frozenset[str]] = {}
        self._versions: dict[tuple[str, str], str] | None = None

    def know(self, secrets: Iterable[JsonObject]) -> list[Request]:
        """These Secrets there are, and no others; returns requests for those that read one that moved unseen."""
        before, now = self._versions, dict(map(_version, secrets))
        self._versions = now
        if before is None:
            return []
        moved = [key for key in before.keys() | now.keys() if before.get(key, "") != now.get(key, "")]
        return self.of([ObjectRef("Secret", *key) for key in moved])

    def see(self, event: WatchEvent) -> list[Request]:
        """A Secret moved; returns requests for those that read it."""
        key, version = _version(event.object)
        if self._versions is not None and event.type == "DELETED":
            self._versions.pop(key, None)
        elif self._versions is not None:
            self._versions[key] = version
        return self.of([ObjectRef.of(event.object)])

    def versions_of(self, ref: ObjectRef) -> dict[str, str] | None:
        """The resourceVersions of the Secrets that a target reads, by name; None where they were not listed yet."""
        names = self._names.get(ref, frozenset())
        if self._versions is None:
            return None if names else {}
        return {name: self._versions.get((ref.namespace, name), "") for name in names}

    def notice(self, target: JsonObject) -> None:
        """The target is so now. One that can't be read reads nothing: no Secret would mend it."""
        ref = ObjectRef.of(target)
        self.forget(ref)
        with contextlib.suppress(InvalidError):
            if names := parse(target_type(ref.kind), target).spec.secret_names:
                self._names[ref] = names

    def forget(self, ref: ObjectRef) -> None:
        """The target is gone."""
        self._names.pop(ref, None)

    def leave(self, shard: Shard) -> None:
        """Its targets are another leader's by now: their Secrets are, too."""
        for ref in [ref for ref in self._names if ref.key in shard]:
            del self._names[ref]

    def of(self, secrets: Iterable[ObjectRef]) -> list[Request]:
        """Requests for the targets that read one of these Secrets: those of the same namespace, by name."""
        named = {(secret.namespace, secret.name) for secret in secrets}
        return [
            Request(ref) for ref, names in self._names.items() if any((ref.namespace, name) in named for name in names)
        ]


def _version(secret: JsonObject) -> tuple[tuple[str, str], str]:
    metadata = secret["metadata"]
    return (metadata.get("namespace", ""), metadata["name"]), metadata.get("resourceVersion", "")


def _fingerprint(obj: JsonObject) -> Fingerprint:
    """Parts that move when somebody else wants something: spec, deletion, annotations; a policy set's digest."""
    metadata = obj["metadata"]
    annotations = tuple(sorted((metadata.get("annotations") or {}).items()))
    digest = text_at(obj, "status", "digest") if obj["kind"] == "PolicySet" else None
    return metadata.get("uid"), metadata.get("generation"), metadata.get("deletionTimestamp"), hash(annotations), digest
