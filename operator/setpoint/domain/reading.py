"""Owns reading stored objects as their type. One that does not fit is a fault to show, never a crash. Pure.

What the API server holds may be older than its schema, or written by anyone: no field is there until it was looked at.
"""

import contextlib
from typing import Any, TypeVar

from pydantic import ValidationError

from setpoint.api.meta import JsonObject, KubeObject
from setpoint.domain.errors import InvalidError

Kind = TypeVar("Kind", bound=KubeObject)


def parse(kind: type[Kind], found: JsonObject) -> Kind:
    """The typed object. Raises InvalidError naming the field: an object of an older schema may not fit.

    What does not fit in a status is left out: it is ours to write, and so none of our own word.
    """
    with contextlib.suppress(ValidationError):
        return kind.model_validate(found)
    try:
        return kind.model_validate({**found, "status": readable_status(kind, found)})
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidError(str(first["msg"]), field=".".join(map(str, first["loc"]))) from None


def readable_status(kind: type[KubeObject], found: JsonObject) -> JsonObject:
    """The fields of a status that fit the kind's type, one by one."""
    field, status = kind.model_fields.get("status"), found.get("status")
    if field is None or not isinstance(status, dict):
        return {}
    return {name: value for name, value in status.items() if _fits(field.annotation, {name: value})}


def _fits(model: Any, field: JsonObject) -> bool:
    try:
        model.model_validate(field)
    except ValidationError:
        return False
    return True


def text_at(obj: object, *path: str) -> str:
    """The text at a path of an object of unknown shape; empty where there is none."""
    for step in path:
        obj = obj.get(step) if isinstance(obj, dict) else None
    return obj if isinstance(obj, str) else ""


def items_at(obj: object, *path: str) -> list[Any]:
    """The items of the list at a path of an object of unknown shape; none where there is no list."""
    for step in path:
        obj = obj.get(step) if isinstance(obj, dict) else None
    return obj if isinstance(obj, list) else []
