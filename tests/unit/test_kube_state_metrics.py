"""The configuration for kube-state-metrics names only what our CRDs have, and what the operator's own metrics say."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from setpoint.api.v1alpha1 import KINDS
from setpoint.runtime.metric_specs import METRICS

ROOT = Path(__file__).parents[2]
COMPONENT = ROOT / "manifests" / "components" / "kube-state-metrics"
CONFIG = yaml.safe_load((COMPONENT / "custom-resource-state.yaml").read_text())
RESOURCES = {one["groupVersionKind"]["kind"]: one for one in CONFIG["spec"]["resources"]}
OWN = {spec.name: spec for spec in METRICS if spec.per_target}
UNTOLD = {"setpoint_last_success_timestamp_seconds"}
"""Metrics that only the operator knows: the status says nothing of when it was last looked at."""
FIELDS = {
    "": {"groupVersionKind", "metricNamePrefix", "commonLabels", "labelsFromPath", "metrics"},
    "metric": {"name", "help", "errorLogV", "commonLabels", "each"},
    "Gauge": {"path", "labelsFromPath", "valueFrom"},
    "Info": {"path", "labelsFromPath"},
}
"""The fields that kube-state-metrics reads, as far as we use it; it ignores what it does not know."""


def schema_of(kind: str) -> dict[str, Any]:
    (found,) = [one for one in KINDS if one.__name__ == kind]
    crd = yaml.safe_load((ROOT / "crds" / f"setpoint.dev_{found.META.plural}.yaml").read_text())
    (version,) = crd["spec"]["versions"]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    schema["properties"]["metadata"] = {"properties": {"name": {"type": "string"}, "namespace": {"type": "string"}}}
    return schema


def follow(schema: dict[str, Any], path: list[str]) -> dict[str, Any]:
    """The schema of what a path leads to. Raises KeyError where there is no such field."""
    for part in path:
        if part.startswith("["):
            schema = schema["items"]
            schema["properties"][part.strip("[]").partition("=")[0]]
        else:
            schema = schema["properties"][part]
    return schema


def metrics() -> Iterator[Any]:
    for kind, resource in RESOURCES.items():
        for metric in resource["metrics"]:
            labels = metric.get("commonLabels", {})
            yield pytest.param(kind, resource, metric, id="-".join([kind, metric["name"], *labels.values()]))


@pytest.mark.parametrize(("kind", "resource", "metric"), [*metrics()])
def test_each_path__leads_to_a_field(kind: str, resource: dict[str, Any], metric: dict[str, Any]) -> None:
    schema = schema_of(kind)
    type_ = metric["each"]["type"]
    body = metric["each"][type_.lower()]
    assert set(resource) <= FIELDS[""]
    assert set(metric) <= FIELDS["metric"]
    assert set(body) <= FIELDS[type_]
    for path in resource["labelsFromPath"].values():
        assert follow(schema, path)["type"] == "string"
    target = follow(schema, body.get("path", []))
    each = target["items"] if target["type"] == "array" else target
    for path in body.get("labelsFromPath", {}).values():
        assert follow(each, path)["type"] == "string"
    if type_ == "Gauge":
        assert follow(each, body.get("valueFrom", []))["type"] in {"integer", "string"}


@pytest.mark.parametrize("path", [["status", "phase"], ["status", "conditions", "[kind=Ready]"]], ids=str)
def test_a_path_to_nowhere__is_found(path: list[str]) -> None:
    with pytest.raises(KeyError):
        follow(schema_of("Environment"), path)


def test_environments__have_the_operators_own_names_labels_and_help() -> None:
    resource = RESOURCES["Environment"]
    seen: dict[str, set[str]] = {}
    for metric in resource["metrics"]:
        name = f"{resource['metricNamePrefix']}_{metric['name']}"
        body = metric["each"][metric["each"]["type"].lower()]
        labels = {*resource["commonLabels"], *resource["labelsFromPath"], *metric.get("commonLabels", {})}
        seen[name] = labels | set(body.get("labelsFromPath", {}))
        assert metric["help"] == OWN[name].help
    assert seen == {name: set(spec.labels) for name, spec in OWN.items() if name not in UNTOLD}


def test_it_may_read__what_it_names_and_nothing_else() -> None:
    role, binding = yaml.safe_load_all((COMPONENT / "rbac.yaml").read_text())
    ours, definitions = role["rules"]
    plurals = {one.META.plural for one in KINDS if one.__name__ in RESOURCES}
    assert set(ours["resources"]) == plurals
    assert definitions["resources"] == ["customresourcedefinitions"]
    assert set(itertools.chain.from_iterable(rule["verbs"] for rule in role["rules"])) == {"list", "watch"}
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
