"""The input that the lint knows is the one that a policy gets: else what is there is refused, or what is not passes."""

import pytest
from tests.fakes.inputs import INPUTS, TWO_KINDS

from setpoint.domain.judged import JudgedChange
from setpoint.domain.policy_input import Question, policy_input
from setpoint.domain.rego_inputs import InputShape
from setpoint.domain.scrubbing import NO_SECRETS
from setpoint.targets.environment.plan.judged_plan import judged_plan

FACTS = {"format_version": "1.2", "terraform_version": "1.11.4", "complete": True, "errored": False}
TARGET = {"kind": "Environment", "namespace": "default", "name": "e", "stage": "dev", "labels": {}}
CHANGE = JudgedChange("a.b", "a", "update", ("x", "y[0]"), "actionable", "d")
QUESTION = Question(target=TARGET, cause="SpecChanged", stage="plan", now="2026-01-01T00:00:00Z", changes=[CHANGE])
SHAPE = InputShape(INPUTS["Environment"])
FREE = ("changes", "now")


@pytest.mark.parametrize("of", ["changes", "drift"])
def test_the_lint_knows_the_document(of: str) -> None:
    judged = judged_plan({**FACTS, "resource_changes": [], "configuration": {}, "variables": {}}, NO_SECRETS)
    plan = judged.document if of == "changes" else judged.of_drift()
    given = policy_input(QUESTION, gate="g", document=plan, alias=judged.alias)
    assert given["plan"] == given["document"]
    found: set[str] = set()
    for name in given.keys() - FREE:
        found |= {f"{name}.{below}" for below in given[name]}
    assert all(SHAPE.missing((*one.split("."), "x")) == "" for one in (*found, *FREE) if one)
    refused = {name: SHAPE.missing((name, "x")) for name in given}
    for name, value in given.items():
        has = ", ".join(sorted(value)) if name not in FREE else ""
        assert refused[name].endswith(f"input.{name} has {has}" if has else ""), name
    assert SHAPE.missing(("x",)).endswith(f"input has {', '.join(sorted(given))}")


def test_a_change_has_one_shape() -> None:
    (change,) = policy_input(QUESTION, gate="g", document={})["changes"]
    assert change == {
        "address": "a.b",
        "type": "a",
        "action": "update",
        "paths": ["x", "y[0]"],
        "cause": "actionable",
        "deposed": "d",
    }


def test_a_kind_has_what_all_have_and_its_own() -> None:
    repo = InputShape(TWO_KINDS["Repo"], "Repo")
    assert (
        repo.missing(("document", "files", "x")) == repo.missing(("changes", "x")) == repo.missing(("document",)) == ""
    )
    assert repo.missing(("plan",)).startswith("there is no input.plan for the kind Repo, so this would pass everything")
    assert "input.document has files" in repo.missing(("document", "resource_changes"))
    assert "input.document has nothing of its own" in InputShape((), "Bare").missing(("document", "x"))
