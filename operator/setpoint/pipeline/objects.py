"""Owns listing objects: those of a target, and as their type those that fit, with what is wrong with the others."""

import dataclasses
import logging
from collections.abc import Iterable

from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.api.target import TARGET_KINDS
from setpoint.domain.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError
from setpoint.domain.reading import Kind, parse, text_at
from setpoint.pipeline.names import TARGET_LABEL, earlier_label, target_label
from setpoint.ports import ClusterClient

_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Unreadable:
    """An object that does not fit its type, and why."""

    found: JsonObject
    error: InvalidError

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.found["metadata"].get("name"))

    def __str__(self) -> str:
        return f"{self.found['kind']} {self.name}: {self.error.message}"


async def list_typed(
    cluster: ClusterClient, kind: type[Kind], *, namespace: str | None = None
) -> tuple[list[Kind], tuple[Unreadable, ...]]:
    """The objects of a kind that fit its type, and the others."""
    return read_all(kind, (await cluster.list(kind.__name__, namespace=namespace)).items)


def read_all(kind: type[Kind], found: Iterable[JsonObject]) -> tuple[list[Kind], tuple[Unreadable, ...]]:
    """Those of these objects of a kind that fit its type, and the others."""
    objects, faults = [], []
    for item in found:
        try:
            objects.append(parse(kind, item))
        except InvalidError as error:
            faults.append(Unreadable(item, error))
    return objects, tuple(faults)


def target_of(obj: JsonObject) -> ObjectRef | None:
    """The target that an object is about; None where it names none."""
    kind, name = text_at(obj, "spec", "targetRef", "kind"), text_at(obj, "spec", "targetRef", "name")
    return ObjectRef(kind, ObjectRef.of(obj).namespace, name) if kind in TARGET_KINDS and name else None


async def list_of_target(cluster: ClusterClient, kind: str, target: ObjectRef) -> list[JsonObject]:
    """The objects of a kind that are about a target. One with the label of an earlier version is given today's."""
    labels = {TARGET_LABEL: frozenset({target_label(target), earlier_label(target)})}
    found = await cluster.list(kind, namespace=target.namespace, labels=labels)
    return [await _relabelled(cluster, item, target) for item in found.items if target_of(item) == target]


async def _relabelled(cluster: ClusterClient, obj: JsonObject, target: ObjectRef) -> JsonObject:
    """The object with the label of today; as it is where somebody else was faster, or where this is not let happen."""
    metadata = obj["metadata"]
    if metadata["labels"][TARGET_LABEL] == target_label(target):
        return obj
    labels = {**metadata["labels"], TARGET_LABEL: target_label(target)}
    try:
        return await cluster.update({**obj, "metadata": {**metadata, "labels": labels}})
    except (ConflictError, ForbiddenError, InvalidError, NotFoundError) as error:
        # It is found by its old label, too: the next pass tries again.
        _LOGGER.info("%s keeps its old label: %s", ObjectRef.of(obj), error)
        return obj
