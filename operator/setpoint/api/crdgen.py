"""Owns the way from the types to CustomResourceDefinitions: strict structural schemas. Pure; writes nothing.

A structural schema (Kubernetes, "Specifying a structural schema") has no references, no unions with null and a type at
every node. Optional fields are absent, never null; unknown fields are refused by field validation, so
`additionalProperties: false`, which the API server forbids, is left out.

Defaults are written for what people declare (`spec`) where they say something: empty lists, maps and texts equal
absence, and the status is the operator's to write.
"""

import datetime as dt
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, NoDefault
from pydantic_core import core_schema

from setpoint.api.about_target import AboutTarget, member_schema_rules
from setpoint.api.meta import GROUP, VERSION, JsonObject, KubeObject, PrinterColumn
from setpoint.api.model import format_duration
from setpoint.api.target import member_name

GENERATOR_ANNOTATION = f"{GROUP}/generated-by"

_COPIED = (
    "description", "type", "format", "enum", "default", "pattern", "minLength", "maxLength", "minimum", "maximum",
    "minItems", "maxItems", "minProperties", "maxProperties",
)  # fmt: skip
_EXTENSIONS = ("x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-validations")
_API_VERSION = (
    "The versioned schema of this object; https://git.k8s.io/community/contributors/devel/sig-architecture/"
    "api-conventions.md#resources"
)
_KIND = (
    "The kind of this object; https://git.k8s.io/community/contributors/devel/sig-architecture/"
    "api-conventions.md#types-kinds"
)


class _Optional(GenerateJsonSchema):
    """Writes an optional field as its type alone, durations in Go's form, and the defaults of nested objects as {}."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def get_default_value(self, schema: core_schema.WithDefaultSchema) -> Any:
        if "default" in schema:
            return schema["default"]
        factory: Any = schema.get("default_factory")
        return {} if isinstance(factory, type) and issubclass(factory, BaseModel) else NoDefault

    def encode_default(self, dft: Any) -> Any:
        return format_duration(dft) if isinstance(dft, dt.timedelta) else super().encode_default(dft)


def custom_resource_definition(kind: type[KubeObject]) -> JsonObject:
    """The definition of one kind (apiextensions.k8s.io/v1)."""
    meta = kind.META
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{meta.plural}.{GROUP}",
            "annotations": {GENERATOR_ANNOTATION: "setpoint.api.crdgen; edit the types, then run make generate"},
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced" if meta.namespaced else "Cluster",
            "names": _names(kind),
            "versions": [_version(kind)],
        },
    }


def _names(kind: type[KubeObject]) -> JsonObject:
    return {
        "kind": kind.__name__,
        "listKind": f"{kind.__name__}List",
        "plural": kind.META.plural,
        "singular": kind.__name__.lower(),
        "shortNames": list(kind.META.short_names),
        "categories": ["setpoint"],
    }


def _version(kind: type[KubeObject]) -> JsonObject:
    version: JsonObject = {"name": VERSION, "served": True, "storage": True}
    if "status" in kind.model_fields:
        version["subresources"] = {"status": {}}
    version["additionalPrinterColumns"] = [_column(column) for column in kind.META.columns]
    version["schema"] = {"openAPIV3Schema": object_schema(kind)}
    return version


def _column(column: PrinterColumn) -> JsonObject:
    written: JsonObject = {"name": column.name, "type": column.type, "jsonPath": column.json_path}
    return written | {"priority": 1} if column.wide else written


def object_schema(kind: type[KubeObject]) -> JsonObject:
    """The structural schema of one kind's objects."""
    generated = kind.model_json_schema(by_alias=True, schema_generator=_Optional)
    definitions = generated["$defs"]
    properties: JsonObject = {
        "apiVersion": {"description": _API_VERSION, "type": "string"},
        "kind": {"description": _KIND, "type": "string"},
        "metadata": {"type": "object"},  # the server takes no more than this here
        "spec": _structural(generated["properties"]["spec"], definitions),
    }
    spec = kind.model_fields["spec"].annotation
    if isinstance(spec, type) and issubclass(spec, AboutTarget):
        _add_members(properties["spec"], spec)
    if kind.META.spec_immutable:
        rules = properties["spec"].setdefault("x-kubernetes-validations", [])
        rules.append({"rule": "self == oldSelf", "message": "spec is immutable"})
    if "status" in generated["properties"]:
        properties["status"] = _without_defaults(_structural(generated["properties"]["status"], definitions))
        properties["status"].pop("default", None)
    return {"description": kind.__doc__, "type": "object", "properties": properties, "required": ["spec"]}


def _add_members(node: JsonObject, spec: type[AboutTarget]) -> None:
    """Adds the member of each kind of target, and the rules by which that of the object's own is there."""
    for kind, member in spec.member_types().items():
        generated = member.model_json_schema(by_alias=True, schema_generator=_Optional)
        node["properties"][member_name(kind)] = _structural(generated, generated.get("$defs", {}))
    rules: JsonObject = member_schema_rules()
    for name, found in rules.items():
        node.setdefault(name, []).extend(found)


def _structural(node: JsonObject, definitions: JsonObject) -> JsonObject:
    """One node of a pydantic schema, with its references put in place, as a structural one."""
    if "$ref" in node:
        target = definitions[node["$ref"].removeprefix("#/$defs/")]
        return _structural(target | {key: value for key, value in node.items() if key != "$ref"}, definitions)
    if not node.keys() & {"type", "enum", "const"}:
        return {"x-kubernetes-preserve-unknown-fields": True}
    if "const" in node:
        node = node | {"enum": [node["const"]]}
    written = {key: node[key] for key in _COPIED if key in node and not (key == "default" and _says_nothing(node[key]))}
    written |= _children(node, definitions)
    return written | {key: node[key] for key in _EXTENSIONS if key in node}


def _children(node: JsonObject, definitions: JsonObject) -> JsonObject:
    children: JsonObject = {}
    if "items" in node:
        children["items"] = _structural(node["items"], definitions)
    if "properties" in node:
        children["properties"] = {name: _structural(child, definitions) for name, child in node["properties"].items()}
        if "required" in node:
            children["required"] = node["required"]
    elif "additionalProperties" in node:
        values = node["additionalProperties"]
        children["additionalProperties"] = _structural({} if values is True else values, definitions)
    return children


def _says_nothing(default: Any) -> bool:
    return default is None or default in ("", [])


def _without_defaults(node: JsonObject) -> JsonObject:
    """The schema without the defaults at any depth. A property named `default` stays."""
    written = {key: value for key, value in node.items() if key != "default"}
    if "properties" in node:
        written["properties"] = {name: _without_defaults(child) for name, child in node["properties"].items()}
    for key in ("items", "additionalProperties"):
        if key in node:
            written[key] = _without_defaults(node[key])
    return written
