"""The subject that an approval names: whatever a decision rests on moves it, and nothing else does."""

import dataclasses
from typing import Any

import pytest

from setpoint.api.target import ApprovalPolicy, Protection
from setpoint.api.v1alpha1.change import ActionSummary, ChangeSummary
from setpoint.domain.subject import Subject, rules_digest

DIGEST = "sha256:" + "0" * 64
OTHER = "sha256:" + "1" * 64
ADDED = ActionSummary(address="terraform_data.evil", action="create")

SUBJECT: dict[str, Any] = {
    "target": "environment/default/shop",
    "cause": "Drift",
    "content": DIGEST,
    "summary": ChangeSummary(update=1, text="+0 ~1 -0"),
    "orphans": (),
    "snapshot": DIGEST,
    "reset_plan": DIGEST,
    "policies": {"baseline": DIGEST},
    "gates": DIGEST,
    "rules": DIGEST,
    "named": {"bundle": DIGEST, "stateVersion": 1},
    "attempt": 0,
    "deletion": None,
    "notes": (),
}


@pytest.mark.parametrize(
    "moved",
    [
        {"target": "environment/default/other"},
        {"cause": "SpecChanged"},
        {"content": OTHER},
        {"summary": ChangeSummary(update=1, text="+0 ~1 -0", actions=[ADDED])},
        {"summary": ChangeSummary(text="+0 ~1 -0")},
        {"orphans": ("terraform_data.lost",)},
        {"snapshot": OTHER},
        {"reset_plan": OTHER},
        {"policies": {"baseline": OTHER}},
        {"policies": {}},
        {"gates": OTHER},
        {"rules": OTHER},
        {"named": {"bundle": None, "stateVersion": 1}},
        {"named": {"bundle": DIGEST, "stateVersion": 2}},
        {"named": {"bundle": DIGEST, "stateVersion": 1, "variables": OTHER}},
        {"attempt": 1},
        {"deletion": "2026-11-30T12:00:00Z"},
        {"notes": ("planned with -refresh=false",)},
    ],
    ids=str,
)
def test_whatever_moves_is_another_subject(moved: dict[str, Any]) -> None:
    assert Subject(**(SUBJECT | moved)).digest != Subject(**SUBJECT).digest


def test_the_test_knows_every_part() -> None:
    """One that is added without a row above fails here."""
    assert {field.name for field in dataclasses.fields(Subject)} == set(SUBJECT)


def rules(required: int = 1, approvals: dict[str, Any] | None = None, **protection: Any) -> str:
    return rules_digest(Protection.model_validate(protection), ApprovalPolicy.model_validate(approvals or {}), required)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param({"required": 2}, {"required": 1}, id="fewer must approve"),
        pytest.param({"approvals": {"required": 2}}, {"approvals": {"required": 1}}, id="fewer are written"),
        pytest.param({"approvals": {"required": 1}}, {"approvals": {"required": 0}}, id="none is written"),
        pytest.param({"approvals": {"ttl": "8h"}}, {"approvals": {"ttl": "720h"}}, id="old words count again"),
        pytest.param({"addresses": ["a.b"]}, {}, id="an address is protected no more"),
        pytest.param({"types": ["aws_db_instance"]}, {"types": ["aws_instance"]}, id="another type is"),
        pytest.param({"types": ["x"]}, {"addresses": ["x"]}, id="a type is no address"),
        pytest.param({}, {"deletionPolicy": "Destroy"}, id="deletion destroys"),
        pytest.param({}, {"reversibility": {"a_b": "Settings"}}, id="a type loses nothing any more"),
        pytest.param({"reversibility": {"a_b": "Data"}}, {"reversibility": {"a_*": "Data"}}, id="another pattern"),
    ],
)
def test_what_built_in_gates_decide_on_moves_the_rules(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert rules(**before) != rules(**after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param({}, {}, id="the same"),
        pytest.param({"types": ["a", "b"]}, {"types": ["b", "a", "a"]}, id="in another order"),
        pytest.param({"approvals": {"ttl": "8h"}}, {"approvals": {"ttl": "480m"}}, id="in other words"),
        pytest.param({}, {"reversibility": {}}, id="nothing is said of types"),
    ],
)
def test_the_same_rules_are_the_same(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert rules(**before) == rules(**after)
