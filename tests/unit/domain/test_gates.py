"""The gates that guard a Change, what they ask of people, and what names them by content."""

from typing import Any

import pytest

from setpoint.api.v1alpha1.enforcementgates import EnforcementGate, EnforcementGates, PolicySetReference
from setpoint.domain.gates import (
    SelectedGate,
    approvals_asked,
    gates_digest,
    pin_problem,
    select_gates,
    stages_of,
)

DIGEST = "sha256:" + "0" * 64
OTHER = "sha256:" + "1" * 64


def make_gate(name: str = "rules", **fields: Any) -> SelectedGate:
    defaults: dict[str, Any] = {"stages": ["plan", "apply"], "policySets": [{"name": "baseline"}]}
    return SelectedGate(name, EnforcementGate.model_validate({"name": name, **defaults, **fields}))


def make_object(name: str, *gates: dict[str, Any]) -> EnforcementGates:
    spec = {"gates": [{"stages": ["plan"], "approvals": 1, **gate} for gate in gates]}
    return EnforcementGates.model_validate({"kind": "EnforcementGates", "metadata": {"name": name}, "spec": spec})


@pytest.mark.parametrize(
    ("gate", "selected"),
    [
        pytest.param({}, True, id="everything"),
        pytest.param({"stages": ["apply"]}, False, id="another-stage"),
        pytest.param({"selector": {"stages": ["prod"]}}, True, id="its-target-stage"),
        pytest.param({"selector": {"stages": ["dev"]}}, False, id="another-target-stage"),
        pytest.param({"selector": {"labels": {"team": "a"}}}, True, id="its-label"),
        pytest.param({"selector": {"kinds": ["Environment"]}}, True, id="its-kind"),
        pytest.param({"selector": {"kinds": ["Environment"], "stages": ["dev"]}}, False, id="its-kind-elsewhere"),
        pytest.param({"selector": {"labels": {"team": "b"}}}, False, id="another-label"),
        pytest.param({"selector": {"labels": {"tier": "a"}}}, False, id="a-missing-label"),
        pytest.param({"selector": {"stages": ["prod"], "labels": {"team": "b"}}}, False, id="both-must-fit"),
    ],
)
def test_gates_are_selected(gate: dict[str, Any], selected: bool) -> None:
    objects = [make_object("org", {"name": "g", **gate})]
    found = select_gates(objects, stage="plan", kind="Environment", target_stage="prod", labels={"team": "a"})
    assert [one.name for one in found] == (["g"] if selected else [])


def test_names_that_repeat_or_are_taken_are_qualified() -> None:
    objects = [make_object("a", {"name": "x"}, {"name": "approvals"}), make_object("b", {"name": "x"}, {"name": "y"})]
    found = select_gates(objects, stage="plan", kind="Environment", target_stage="prod", labels={})
    assert [one.name for one in found] == ["a.approvals", "a.x", "b.x", "y"]
    assert approvals_asked(found, "SpecChanged") == (1, 1, 1, 1)


def test_stages_of_a_change() -> None:
    assert stages_of("Reset") == ("reset",)
    assert stages_of("Drift") == ("plan", "apply")


def test_the_order_of_gates_does_not_matter_and_their_content_does() -> None:
    one, two = make_gate("one"), make_gate("two")
    assert gates_digest([one, two]) == gates_digest([two, one])
    assert gates_digest([one]) != gates_digest([make_gate("one", level="advisory")])


@pytest.mark.parametrize(
    ("pinned", "found", "problem"),
    [
        pytest.param(None, DIGEST, "", id="unpinned"),
        pytest.param(DIGEST, DIGEST, "", id="as-pinned"),
        pytest.param(DIGEST, OTHER, "pins", id="another-content"),
        pytest.param(None, None, "does not exist", id="missing"),
    ],
)
def test_pins(pinned: str | None, found: str | None, problem: str) -> None:
    said = pin_problem(PolicySetReference(name="baseline", digest=pinned), found)
    assert problem in said
    assert bool(said) is bool(problem)


@pytest.mark.parametrize(
    ("gate", "cause", "asked"),
    [
        pytest.param({"fourEyes": True}, "SpecChanged", (1,), id="one-other"),
        pytest.param({"fourEyes": True, "approvals": 0}, "Drift", (1,), id="none-is-not-enough"),
        pytest.param({"fourEyes": True, "approvals": 2}, "Reset", (2,), id="as-written"),
        pytest.param({"fourEyes": True}, "Destroy", (2,), id="who-deleted-it-may-be-one-of-them"),
        pytest.param({"fourEyes": True, "approvals": 2}, "Destroy", (3,), id="one-more-than-written"),
        pytest.param({"approvals": 2}, "Destroy", (2,), id="without-four-eyes"),
        pytest.param({"blastRadius": {}}, "Destroy", (), id="asks-for-nobody"),
    ],
)
def test_how_many_a_gate_asks_for(gate: dict[str, Any], cause: Any, asked: tuple[int, ...]) -> None:
    assert approvals_asked([make_gate(policySets=[], **gate)], cause) == asked


def test_a_gate_of_another_kind_does_not_guard() -> None:
    objects = [make_object("org", {"name": "all"}, {"name": "one", "selector": {"kinds": ["Environment"]}})]
    found = {
        kind: [one.name for one in select_gates(objects, stage="plan", kind=kind, target_stage="prod", labels={})]
        for kind in ("Environment", "Repo")
    }
    assert found == {"Environment": ["all", "one"], "Repo": ["all"]}


@pytest.mark.parametrize("kinds", [["Envrionment"], []], ids=["misspelt", "none"])
def test_a_gate_that_would_guard_nothing_is_refused(kinds: list[str]) -> None:
    with pytest.raises(ValueError, match="kinds"):
        make_object("org", {"name": "g", "selector": {"kinds": kinds}})


def test_an_absent_kind_leaves_the_digest_as_it_was() -> None:
    assert "kinds" not in make_gate().gate.as_json()["selector"]
