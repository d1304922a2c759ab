"""The definitions are structural, strict, bounded and described; see Kubernetes, "Specifying a structural schema"."""

import itertools
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from tests.fakes.admission import compiled, set_defaults, strict

from setpoint.api.crdgen import custom_resource_definition, object_schema
from setpoint.api.v1alpha1 import KINDS, Change, EnforcementGates, Environment, PolicySet, Snapshot

KEYWORDS = {
    "description", "type", "format", "enum", "default", "pattern", "minLength", "maxLength", "minimum", "maximum",
    "minItems", "maxItems", "minProperties", "maxProperties", "items", "properties", "required",
    "additionalProperties", "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-validations",
    "x-kubernetes-preserve-unknown-fields",
}  # fmt: skip
FREE_FORM = {"Environment.spec.variables{}", "PolicySet.spec.params{}"}
kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def nodes(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every node of a schema with its path."""
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


def structural_faults(schema: dict[str, Any], root: str) -> list[str]:
    """The faults for which an API server would refuse a schema."""
    found: list[str] = []
    for path, node in nodes(schema, root):
        found += [f"{path}: {fault}" for fault in _faults(path, node)]
    return found


def _faults(path: str, node: dict[str, Any]) -> Iterator[str]:
    if unknown := node.keys() - KEYWORDS:
        yield f"keywords {sorted(unknown)}"
    free = node.get("x-kubernetes-preserve-unknown-fields") is True
    if "type" not in node and not free:
        yield "no type"
    if free and path not in FREE_FORM:
        yield "free form"
    if "properties" in node and "additionalProperties" in node:
        yield "properties beside additionalProperties"
    if node.get("type") == "array" and "items" not in node:
        yield "no items"
    if "additionalProperties" in node and not isinstance(node["additionalProperties"], dict):
        yield "untyped additionalProperties"
    if "default" in node and list(jsonschema.Draft202012Validator(strict(node)).iter_errors(defaulted(node))):
        yield f"invalid default {node['default']!r}"
    for key in node.get("x-kubernetes-list-map-keys", ()):
        item = node["items"]
        if key not in item["required"] or item["properties"][key]["type"] not in {"string", "integer"}:
            yield f"list key {key} is optional or no scalar"


def defaulted(node: dict[str, Any]) -> Any:
    holder = set_defaults({"properties": {"value": node}}, {})
    return holder["value"]


@kinds
def test_schema__every_kind__is_structural(kind: Any) -> None:
    assert structural_faults(object_schema(kind), kind.__name__) == []


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        pytest.param({"$ref": "#/x"}, "no type", id="reference"),
        pytest.param({"type": "object", "nullable": True}, "nullable", id="nullable"),
        pytest.param({"type": "object", "additionalProperties": False}, "untyped", id="closed"),
        pytest.param({"type": "array"}, "no items", id="no-items"),
        pytest.param({"type": "integer", "default": "x"}, "invalid default", id="default"),
        pytest.param({"x-kubernetes-preserve-unknown-fields": True}, "free form", id="free-form"),
        pytest.param({"anyOf": [{"type": "string"}, {"type": "null"}]}, "anyOf", id="union"),
    ],
)
def test_structural_faults__a_bad_schema__is_found(schema: dict[str, Any], fault: str) -> None:
    assert any(fault in found for found in structural_faults(schema, "x"))


@kinds
def test_schema__every_field__is_described(kind: Any) -> None:
    bare = [
        path
        for path, node in nodes(object_schema(kind), kind.__name__)
        if not path.endswith(("[]", "{}", ".metadata")) and not node.get("description")
    ]
    assert bare == []


@kinds
def test_schema__every_list_map_and_text__is_bounded(kind: Any) -> None:
    bounds = {"array": {"maxItems"}, "string": {"maxLength", "enum"}}
    schema = object_schema(kind)
    parts = itertools.chain.from_iterable(
        nodes(schema["properties"].get(part, {}), part) for part in ("spec", "status")
    )
    unbounded = [
        path
        for path, node in parts
        if (wanted := {"maxProperties"} if "additionalProperties" in node else bounds.get(node.get("type", "")))
        and not wanted & node.keys()
    ]
    assert unbounded == []


@kinds
def test_schema__status__has_no_defaults(kind: Any) -> None:
    status = object_schema(kind)["properties"].get("status", {})
    assert [path for path, node in nodes(status, "status") if "default" in node] == []


@kinds
def test_schema__cel_rules__compile_and_say_what_is_wrong(kind: Any) -> None:
    rules = list(
        itertools.chain.from_iterable(
            node.get("x-kubernetes-validations", ()) for _, node in nodes(object_schema(kind), kind.__name__)
        )
    )
    for rule in rules:
        compiled(rule["rule"])
        assert rule["message"]


def test_schema__conditions__are_a_map_by_type() -> None:
    conditions = object_schema(Environment)["properties"]["status"]["properties"]["conditions"]
    assert conditions["x-kubernetes-list-type"] == "map"
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]


@pytest.mark.parametrize(
    ("path", "default"),
    [
        pytest.param("spec.interval", "10m", id="duration"),
        pytest.param("spec.timeouts", {}, id="object"),
        pytest.param("spec.timeouts.apply", "1h", id="nested-duration"),
        pytest.param("spec.drift.mode", "Propose", id="enum"),
        pytest.param("spec.suspend", False, id="boolean"),
        pytest.param("spec.snapshots.keep", 20, id="integer"),
        pytest.param("spec.variables", None, id="empty-map"),
        pytest.param("spec.source.path", None, id="optional"),
    ],
)
def test_schema__defaults__are_those_of_the_types(path: str, default: Any) -> None:
    node = object_schema(Environment)
    for name in path.split("."):
        node = node["properties"][name]
    assert node.get("default") == default


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.META.spec_immutable], ids=lambda kind: kind.__name__)
def test_schema__immutable_spec__has_a_transition_rule(kind: Any) -> None:
    rules = object_schema(kind)["properties"]["spec"]["x-kubernetes-validations"]
    assert {"rule": "self == oldSelf", "message": "spec is immutable"} in rules


def test_definition__names_scope_and_columns__are_those_of_the_kind() -> None:
    definition = custom_resource_definition(Change)
    version = definition["spec"]["versions"][0]
    assert definition["metadata"]["name"] == "changes.setpoint.dev"
    assert definition["spec"]["names"] == {
        "kind": "Change",
        "listKind": "ChangeList",
        "plural": "changes",
        "singular": "change",
        "shortNames": ["chg"],
        "categories": ["setpoint"],
    }
    assert version["additionalPrinterColumns"][0] == {
        "name": "TARGET",
        "type": "string",
        "jsonPath": ".spec.targetRef.name",
    }
    assert [column.get("priority", 0) for column in version["additionalPrinterColumns"]] == [*[0] * 7, 1, 1, 1]
    assert version["subresources"] == {"status": {}}


@pytest.mark.parametrize(
    ("kind", "scope"),
    [(Environment, "Namespaced"), (PolicySet, "Cluster"), (EnforcementGates, "Cluster")],
    ids=["Environment", "PolicySet", "EnforcementGates"],
)
def test_definition__scope__is_that_of_the_kind(kind: Any, scope: str) -> None:
    assert custom_resource_definition(kind)["spec"]["scope"] == scope


def test_definition__kind_without_status__has_no_status_subresource() -> None:
    assert "subresources" not in custom_resource_definition(Snapshot)["spec"]["versions"][0]


def test_definitions__short_names__belong_to_one_kind_each() -> None:
    names = list(
        itertools.chain.from_iterable(
            {
                definition["spec"]["names"]["plural"],
                definition["spec"]["names"]["singular"],
                *definition["spec"]["names"]["shortNames"],
            }
            for definition in map(custom_resource_definition, KINDS)
        )
    )
    assert len(names) == len(set(names))


@kinds
def test_definition__made_twice__is_the_same(kind: Any) -> None:
    assert custom_resource_definition(kind) == custom_resource_definition(kind)
