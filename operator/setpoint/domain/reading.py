"""Owns reading stored objects as their type. One that does not fit is a fault to show, never a crash. Pure.

What the API server holds may be older than its schema, or written by anyone: no field is there until it was looked at.
"""

import contextlib
import copy
from collections.abc import Sequence
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
    """The fields of a status that fit the kind's type, one by one, without what a newer version put into them."""
    field, status = kind.model_fields.get("status"), found.get("status")
    if field is None or not isinstance(status, dict):
        return {}
    fitting = (_without_unknown(field.annotation, {name: value}) for name, value in status.items())
    return {name: value for one in fitting for name, value in one.items()}


def _without_unknown(model: Any, field: JsonObject) -> JsonObject:
    """The field as far as the model knows it: a hold of a newer version still holds. Empty where it does not fit."""
    try:
        model.model_validate(field)
    except ValidationError as error:
        unknown = [one["loc"] for one in error.errors() if one["type"] == "extra_forbidden"]
        return _without_unknown(model, _without(field, unknown)) if unknown else {}
    return field


def _without(value: JsonObject, paths: Sequence[tuple[int | str, ...]]) -> JsonObject:
    """A copy that lacks what is at the paths."""
    copied: Any = copy.deepcopy(value)
    for *parents, name in paths:
        found = copied
        for step in parents:
            found = found[step]
        del found[name]
    return dict(copied)


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
