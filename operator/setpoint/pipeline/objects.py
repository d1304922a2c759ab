"""Owns listing objects as their type: those that fit, and what is wrong with the others."""

import dataclasses
from collections.abc import Mapping

from setpoint.api.meta import JsonObject
from setpoint.domain.errors import InvalidError
from setpoint.domain.reading import Kind, parse
from setpoint.ports import ClusterClient


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
    cluster: ClusterClient,
    kind: type[Kind],
    *,
    namespace: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> tuple[list[Kind], tuple[Unreadable, ...]]:
    """The objects of a kind that fit its type, and the others."""
    found = await cluster.list(kind.__name__, namespace=namespace, labels=labels)
    objects, faults = [], []
    for item in found.items:
        try:
            objects.append(parse(kind, item))
        except InvalidError as error:
            faults.append(Unreadable(item, error))
    return objects, tuple(faults)
