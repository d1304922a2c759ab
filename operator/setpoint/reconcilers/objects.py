"""Owns listing objects as their type: those that fit, and what is wrong with the others."""

from collections.abc import Mapping

from setpoint.domain.errors import InvalidError
from setpoint.domain.reading import Kind, parse
from setpoint.ports import ClusterClient


async def list_typed(
    cluster: ClusterClient,
    kind: type[Kind],
    *,
    namespace: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> tuple[list[Kind], tuple[str, ...]]:
    """The objects of a kind that fit its type, and what is wrong with the others."""
    found = await cluster.list(kind.__name__, namespace=namespace, labels=labels)
    objects, faults = [], []
    for item in found.items:
        try:
            objects.append(parse(kind, item))
        except InvalidError as error:
            faults.append(f"{kind.__name__} {item['metadata'].get('name')}: {error.message}")
    return objects, tuple(faults)
