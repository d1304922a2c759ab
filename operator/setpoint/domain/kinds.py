"""Owns which kinds of object a home holds, and what an object of a kind must look like. Pure.

Messages name a field and what it must be; they never quote what stands there, which may be a secret.
"""

import base64
import binascii
import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from setpoint.api.meta import API_VERSION, JsonObject, KubeObject
from setpoint.api.v1alpha1 import KINDS
from setpoint.domain.errors import InvalidError

Path = tuple[str | int, ...]

_MAX_PROBLEMS = 10
_MAX_KEYS_BYTES = 1 << 20
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_PHRASES = (
    ("Extra inputs are not permitted", "unknown field"),
    ("Field required", "is required"),
    ("Value error, ", ""),
    ("Assertion failed, ", ""),
    ("Input should be ", "must be "),
    ("String should ", "must "),
    ("Dictionary should ", "must "),
    ("List should ", "must "),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """One fault at one place of an object."""

    path: Path
    message: str

    @property
    def field(self) -> str:
        """The place as `spec.health[0].http`."""
        return dotted(self.path)

    def as_error(self) -> InvalidError:
        """The problem as an exception."""
        return InvalidError(self.message, field=self.field)


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """How objects of one kind behave. `model` is None for the kinds of Kubernetes itself."""

    name: str
    api_version: str
    namespaced: bool
    fields: frozenset[str]
    model: type[KubeObject] | None = None

    @property
    def has_status(self) -> bool:
        """True where the status is written apart from the rest."""
        return self.model is not None and "status" in self.model.model_fields

    @property
    def immutable(self) -> bool:
        """True where the spec stays what it was at creation."""
        return self.model is not None and self.model.META.spec_immutable


SEALED_KINDS = frozenset({"Secret", "ConfigMap"})
"""Kinds whose content is kept apart from the object and never listed."""
EVENT = Kind("Event", "v1", namespaced=True, fields=frozenset())
BY_NAME: Mapping[str, Kind] = {
    **{
        model.__name__: Kind(model.__name__, API_VERSION, model.META.namespaced, frozenset({"spec"}), model)
        for model in KINDS
    },
    "Secret": Kind("Secret", "v1", namespaced=True, fields=frozenset({"data", "stringData", "type", "immutable"})),
    "ConfigMap": Kind("ConfigMap", "v1", namespaced=True, fields=frozenset({"data", "binaryData", "immutable"})),
}
"""The kinds that can be created, by their name."""


def kind_of(obj: JsonObject) -> Kind:
    """The kind of an object. Raises InvalidError."""
    kind = BY_NAME.get(str(obj.get("kind")))
    if kind is None:
        raise InvalidError(f"unknown kind; one of {', '.join(sorted(BY_NAME))}", field="kind")
    if obj.get("apiVersion") != kind.api_version:
        raise InvalidError(f"must be {kind.api_version} for kind {kind.name}", field="apiVersion")
    return kind


def content(kind: Kind, obj: JsonObject) -> JsonObject:
    """The object's fields but apiVersion, kind, metadata and status, complete with defaults: the same for the same.

    Raises InvalidError for the first problem; `problems` gives them all.
    """
    found = next(iter(problems(kind, obj)), None)
    if found is not None:
        raise found.as_error()
    if kind.model is not None:
        spec: BaseModel = getattr(_validated(kind.model, obj), "spec")  # noqa: B009 a KubeObject need not have one
        return {"spec": spec.model_dump(mode="json", by_alias=True, exclude_none=True)}
    written = {name: obj[name] for name in kind.fields - {"stringData"} if obj.get(name) is not None}
    plain = {key: base64.b64encode(value.encode()).decode() for key, value in (obj.get("stringData") or {}).items()}
    if plain:
        written["data"] = {**(obj.get("data") or {}), **plain}
    return {"type": "Opaque", **written} if kind.name == "Secret" else written


def problems(kind: Kind, obj: JsonObject) -> tuple[Problem, ...]:
    """The problems of an object's content, at most ten; metadata and status are not looked at."""
    if kind.model is None:
        return tuple(_plain_problems(kind, obj))
    try:
        _validated(kind.model, obj)
    except ValidationError as error:
        return _explain(error)
    return ()


def status_problems(kind: Kind, status: Any, stored: Any) -> tuple[Problem, ...]:
    """The problems of a status. A field that this version does not know may stay as it is stored."""
    if kind.model is None or not kind.has_status:
        return (Problem(("status",), f"a {kind.name} has no status"),)
    model: Any = kind.model.model_fields["status"].annotation
    try:
        read = model.model_validate(status, by_alias=True, by_name=False)
    except ValidationError as error:
        return tuple(Problem(("status", *problem.path), problem.message) for problem in _explain(error))
    return tuple(Problem(("status", *path), "unknown field") for path in _added(read, stored))


def _added(part: BaseModel, stored: Any) -> Iterator[Path]:
    """The fields of a part of a status that are unknown, and other than they are stored."""
    kept = stored if isinstance(stored, dict) else {}
    for name, value in (part.model_extra or {}).items():
        if name not in kept or kept[name] != value:
            yield (name,)
    for name, field in type(part).model_fields.items():
        inner, alias = getattr(part, name), field.alias or name
        if isinstance(inner, BaseModel):
            yield from ((alias, *path) for path in _added(inner, kept.get(alias)))


def dotted(path: Path) -> str:
    """`spec.health[0].http` for ("spec", "health", 0, "http")."""
    written = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return written.removeprefix(".")


def _validated(model: type[KubeObject], obj: JsonObject) -> KubeObject:
    """The typed object, without its status; names are taken as people write them, in camelCase alone."""
    given = {name: value for name, value in obj.items() if name not in {"metadata", "status"}}
    return model.model_validate(given | {"metadata": {"name": "unnamed"}}, by_alias=True, by_name=False)


def _explain(error: ValidationError) -> tuple[Problem, ...]:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return tuple(Problem(tuple(one["loc"]), _plain(one["msg"])) for one in found[:_MAX_PROBLEMS])


def _plain(message: str) -> str:
    """Pydantic's message in the words of a manifest's author."""
    for theirs, ours in _PHRASES:
        message = message.replace(theirs, ours)
    return message


def _plain_problems(kind: Kind, obj: JsonObject) -> Iterator[Problem]:
    """Checks a Secret or a ConfigMap."""
    for name in sorted(obj.keys() - kind.fields - {"apiVersion", "kind", "metadata"}):
        yield Problem((name,), "unknown field")
    for name in ("data", "stringData", "binaryData"):
        if obj.get(name) is not None and name in kind.fields:
            yield from _entry_problems(name, obj[name], encoded=(kind.name, name) in _ENCODED)
    for name, type_ in (("type", str), ("immutable", bool)):
        if obj.get(name) is not None and not isinstance(obj[name], type_):
            yield Problem((name,), f"must be a {type_.__name__}")


_ENCODED = {("Secret", "data"), ("ConfigMap", "binaryData")}


def _entry_problems(name: str, entries: Any, *, encoded: bool) -> Iterator[Problem]:
    if not isinstance(entries, dict):
        yield Problem((name,), "must be a map of text to text")
        return
    for key, value in entries.items():
        if not _KEY.fullmatch(key):
            yield Problem((name,), "a key has letters, digits, '-', '_' and '.' alone, at most 253")
        elif not isinstance(value, str):
            yield Problem((name, key), "must be text; put it in quotes")
        elif encoded and not _is_base64(value):
            yield Problem((name, key), "must be base64" + ("; plain text belongs in stringData" * (name == "data")))
    if sum(len(value) for value in entries.values() if isinstance(value, str)) > _MAX_KEYS_BYTES:
        yield Problem((name,), "must be at most 1 MiB")


def _is_base64(value: str) -> bool:
    try:
        base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
