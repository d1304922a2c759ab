"""Owns what an API server does with an object and its CRD's schema: defaulting, strict validation, CEL rules.

From apiextensions-apiserver: defaults are set top down, unknown fields are refused (fieldValidation=Strict), lists of
type map have unique keys, rules see the object with its defaults.
"""

import copy
import functools
from collections.abc import Iterator
from typing import Any

import jsonschema
from cel_expr_python import cel

_ENV = cel.NewEnv(variables={"self": cel.Type.DYN, "oldSelf": cel.Type.DYN})


def admit(schema: dict[str, Any], obj: dict[str, Any], *, old: dict[str, Any] | None = None) -> list[str]:
    """The faults of an object, or of an update of `old`; empty where it is admitted."""
    defaulted, old = (set_defaults(schema, copy.deepcopy(each)) for each in (obj, old))
    validator = jsonschema.Draft202012Validator(strict(schema))
    errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(defaulted)]
    return errors or [*_repeated_keys(schema, defaulted), *_broken_rules(schema, defaulted, old)]


def set_defaults(schema: dict[str, Any], value: Any) -> Any:
    """The value with the schema's defaults."""
    if isinstance(value, dict):
        for name, field in schema.get("properties", {}).items():
            if name not in value and "default" in field:
                value[name] = copy.deepcopy(field["default"])
            if name in value:
                set_defaults(field, value[name])
    if isinstance(value, list):
        for item in value:
            set_defaults(schema.get("items", {}), item)
    return value


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema as a JSON Schema that refuses unknown fields."""
    written = dict(schema)
    if "properties" in schema:
        written["properties"] = {name: strict(field) for name, field in schema["properties"].items()}
        written["additionalProperties"] = False
    for key in ("items", "additionalProperties"):
        if key in schema:
            written[key] = strict(schema[key])
    return written


@functools.cache
def compiled(rule: str) -> Any:
    """A CEL expression; raises ValueError for one that does not compile."""
    return _ENV.compile(rule)


def evaluate(rule: str, value: Any, old: Any = None) -> bool:
    """The verdict of a rule; an error is False, as on an API server."""
    data = {"self": value} | ({} if old is None else {"oldSelf": old})
    return compiled(rule).eval(data=data).value() is True


def _broken_rules(schema: dict[str, Any], value: Any, old: Any) -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", ()):
        transition = "oldSelf" in rule["rule"]
        if (not transition or old is not None) and not evaluate(rule["rule"], value, old if transition else None):
            yield rule["message"]
    if isinstance(value, dict):
        for name, field in schema.get("properties", {}).items():
            if name in value:
                yield from _broken_rules(field, value[name], old.get(name) if isinstance(old, dict) else None)
    if isinstance(value, list):
        for item in value:
            yield from _broken_rules(schema.get("items", {}), item, None)


def _repeated_keys(schema: dict[str, Any], value: Any) -> Iterator[str]:
    if isinstance(value, list):
        if keys := schema.get("x-kubernetes-list-map-keys"):
            found = [tuple(item.get(key) for key in keys) for item in value]
            yield from (f"Duplicate value: {key}" for key in found if found.count(key) > 1)
        for item in value:
            yield from _repeated_keys(schema.get("items", {}), item)
    if isinstance(value, dict):
        for name, field in schema.get("properties", {}).items():
            if name in value:
                yield from _repeated_keys(field, value[name])
