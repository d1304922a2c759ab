"""Owns reading objects of a kind as their type. One that does not fit is a fault to show, never a crash."""

from typing import TypeVar

from pydantic import ValidationError

from setpoint.api.meta import KubeObject
from setpoint.domain.errors import InvalidError
from setpoint.ports import ClusterClient

Kind = TypeVar("Kind", bound=KubeObject)


def parse(kind: type[Kind], found: dict[str, object]) -> Kind:
    """The typed object. Raises InvalidError naming the field: an object of an older schema may not fit."""
    try:
        return kind.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidError(str(first["msg"]), field=".".join(map(str, first["loc"]))) from None


async def list_typed(
    cluster: ClusterClient, kind: type[Kind], *, namespace: str | None = None
) -> tuple[list[Kind], tuple[str, ...]]:
    """The objects of a kind that fit its type, and what is wrong with the others."""
    found = await cluster.list(kind.__name__, namespace=namespace)
    objects, faults = [], []
    for item in found.items:
        try:
            objects.append(parse(kind, item))
        except InvalidError as error:
            faults.append(f"{kind.__name__} {item['metadata'].get('name')}: {error.message}")
    return objects, tuple(faults)
