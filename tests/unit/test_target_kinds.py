"""The lists that name kinds of target, in code, manifests and policies: one that is in one of them is in all."""

import dataclasses
import importlib
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from setpoint.adapters.kube.paths import resource_of
from setpoint.api.about_target import AboutTarget
from setpoint.api.crdgen import object_schema
from setpoint.api.kind_conditions import KIND_CONDITIONS, target_conditions
from setpoint.api.meta import GROUP
from setpoint.api.target import TARGET_KINDS, Target, member_name, target_type
from setpoint.api.v1alpha1 import KINDS
from setpoint.api.v1alpha1.change import ChangeSpec
from setpoint.api.v1alpha1.snapshot import SnapshotSpec
from setpoint.cli.examples import EXAMPLES
from setpoint.domain import kinds
from setpoint.wiring import targets
from setpoint.wiring.targets import TARGETS

ROOT = Path(__file__).parents[2]
NAMES = {kind.__name__ for kind in KINDS}
PLURALS = frozenset(target_type(kind).META.plural for kind in TARGET_KINDS)


@dataclasses.dataclass(frozen=True)
class Rule:
    """One list of resources of ours, and where it stands."""

    place: str
    resources: frozenset[str]
    verbs: frozenset[str]


def documents() -> Iterator[tuple[str, Any]]:
    for path in sorted([*(ROOT / "manifests").rglob("*.yaml"), *(ROOT / "policies").rglob("*.yaml")]):
        for document in yaml.safe_load_all(path.read_text()):
            yield path.relative_to(ROOT).as_posix(), document


def rules() -> Iterator[Rule]:
    for place, document in documents():
        constraints = document.get("spec", {}).get("matchConstraints", {}).get("resourceRules", ())
        granted = document.get("rules", ())
        for rule in (*constraints, *granted):
            if GROUP in rule["apiGroups"]:
                verbs = frozenset(rule.get("verbs") or rule["operations"])
                yield Rule(f"{place} {document['metadata']['name']}", frozenset(rule["resources"]), verbs)


RULES = tuple(rules())


def opened_kinds() -> set[str]:
    """The kinds that the entries of `TARGETS` open, by the type that each one's opening returns."""
    openings = [importlib.import_module(each.opening).open_target for each in TARGETS]
    return {typing.get_type_hints(opening)["return"].kind.__name__ for opening in openings}


def test_what_is_opened_is_what_is_listed() -> None:
    assert opened_kinds() == set(TARGET_KINDS)
    assert len(TARGETS) == len(TARGET_KINDS)


@pytest.mark.parametrize(
    "named",
    [
        pytest.param({name for name, kind in kinds.BY_NAME.items() if kind.model}, id="kinds of a home"),
        pytest.param(set(KIND_CONDITIONS), id="conditions"),
        pytest.param(set(EXAMPLES), id="examples"),
    ],
)
def test_every_kind_is_known_everywhere(named: set[str]) -> None:
    assert named == NAMES


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_has_a_definition_a_page_and_a_path(kind: Any) -> None:
    (found,) = [path for path in (ROOT / "crds").glob("*.yaml") if path.name == f"{GROUP}_{kind.META.plural}.yaml"]
    assert yaml.safe_load(found.read_text())["spec"]["names"]["kind"] == kind.__name__
    assert (ROOT / "docs" / "reference" / f"{kind.__name__.lower()}.md").is_file()
    assert resource_of(kind.__name__).plural == kind.META.plural


def test_every_verb_of_a_kind_is_of_a_target() -> None:
    found = [targets.verb(name) for name in targets.verbs()]
    assert {verb.kind for verb in found if verb} <= set(TARGET_KINDS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.place} {min(rule.verbs)}")
def test_every_rule_for_one_target_is_for_all(rule: Rule) -> None:
    for suffix in ("", "/status"):
        wanted = {plural + suffix for plural in PLURALS}
        assert rule.resources.isdisjoint(wanted) or wanted <= rule.resources


def test_every_target_is_granted_and_guarded() -> None:
    named = {rule.place.split(" ")[1] for rule in RULES if rule.resources >= PLURALS}
    assert named >= {
        "setpoint-operator",
        "setpoint-targets",
        "setpoint-view",
        "setpoint-edit",
        "setpoint-govern",
        "setpoint-kube-state-metrics",
        "setpoint-finalizers",
        "setpoint-requested-by",
        "setpoint-protected-environments",
    }


def test_every_target_keeps_its_namespace() -> None:
    """A policy has parameters of one kind, so that each kind of target has its own."""
    guarded = [
        (document["spec"]["paramKind"]["kind"], document["spec"]["validations"])
        for _, document in documents()
        if document["kind"] == "ValidatingAdmissionPolicy" and "paramKind" in document["spec"]
    ]
    assert sorted(kind for kind, _ in guarded) == sorted(TARGET_KINDS)
    assert all(len(validations) == 2 for _, validations in guarded)


@pytest.mark.parametrize("kind", TARGET_KINDS)
def test_the_reasons_of_a_kind_are_those_of_all_and_its_own(kind: str) -> None:
    common, own = target_conditions(Target), target_type(kind).OWN_REASONS
    assert own.keys() <= common.keys()
    for type_, reasons in KIND_CONDITIONS[kind].items():
        assert not set(common[type_]) & set(own.get(type_, ()))
        assert reasons == (*common[type_], *own.get(type_, ()))


@pytest.mark.parametrize("spec", [ChangeSpec, SnapshotSpec], ids=lambda spec: spec.__name__)
@pytest.mark.parametrize("kind", TARGET_KINDS)
def test_a_kind_has_a_member_of_its_own_in_each_schema(kind: str, spec: type[AboutTarget]) -> None:
    member = spec.member_types()[kind]
    assert not member.model_fields.keys() & spec.model_fields.keys(), "a digest has the fields of both side by side"
    owner = next(one for one in KINDS if one.model_fields["spec"].annotation is spec)
    schema = object_schema(owner)["properties"]["spec"]
    name = member_name(kind)
    assert schema["properties"][name]["properties"].keys() == {info.alias for info in member.model_fields.values()}
    rules = [rule["rule"] for rule in schema["x-kubernetes-validations"]]
    assert f"has(self.{name}) == (self.targetRef.kind == '{kind}')" in rules
