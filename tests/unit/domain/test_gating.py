"""The gate step: what each gate says, what all of them come to, and that nothing else can make a decision."""

import copy
import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from setpoint.api.conditions import Reason
from setpoint.api.meta import ObjectRef
from setpoint.api.v1alpha1.change import ActionSummary, ChangeSummary
from setpoint.api.v1alpha1.enforcementgates import EnforcementGate
from setpoint.domain.approvals import ApprovalTally
from setpoint.domain.errors import StalledError
from setpoint.domain.gates import BUILT_IN, SelectedGate
from setpoint.domain.gating import GateDecision, GateInput, Verdict, decide
from setpoint.domain.model import Change, ResetPlan
from setpoint.domain.policies import PolicyResult, Violation

DIGEST = "sha256:" + "0" * 64
OTHER = "sha256:" + "1" * 64
LEVELS = ("advisory", "soft-mandatory", "hard-mandatory", "invariant")
SEVERITIES = ("critical", "high", "medium", "low")


def make_change(**summary: int) -> Change:
    return Change(
        target=ObjectRef("Environment", "default", "shop"),
        cause="SpecChanged",
        digest=DIGEST,
        base="1",
        configuration=DIGEST,
        generation=1,
        actions=(ActionSummary(address="a.b", action="create"),),
        summary=ChangeSummary(**summary),
    )


def make_gate(name: str = "rules", **fields: Any) -> SelectedGate:
    defaults: dict[str, Any] = {"stages": ["plan", "apply"], "policySets": [{"name": "baseline"}]}
    return SelectedGate(name, EnforcementGate.model_validate({"name": name, **defaults, **fields}))


def violated(*severities: str, kind: str = "deny", unknown: bool = False) -> PolicyResult:
    return PolicyResult(tuple(Violation("r", "m", severity=one, kind=kind, unknown=unknown) for one in severities))  # type: ignore[arg-type]


def make_reset_plan(*, ready: bool = True, message: str = "", acceptable: bool = False) -> ResetPlan:
    return ResetPlan(DIGEST, (), "Passed" if ready else "Failed", message, acceptable)


def make_decision(*gates: SelectedGate, answers: dict[str, Any] | None = None, **fields: Any) -> GateDecision:
    defaults: dict[str, Any] = {
        "stage": "apply",
        "change": make_change(),
        "subject": DIGEST,
        "reset_plan": make_reset_plan(),
        "protection": (),
        "tally": ApprovalTally(),
        "required": 0,
        "approve": "setpoint approve shop-1",
    }
    return decide(GateInput(gates=gates, answers=answers or {}, **(defaults | fields)))


def said_by(decision: GateDecision) -> tuple[Reason, str]:
    return decision.reason, decision.message


def verdict_of(decision: GateDecision, gate: str) -> tuple[str, bool]:
    (result,) = (one for one in decision.results if one.gate == gate)
    return result.verdict, result.blocks


def test_without_gates_the_built_in_ones_decide() -> None:
    decision = make_decision()
    assert decision.permits_apply
    assert {result.gate for result in decision.results} == {"protection", "way-back", "approvals"}


@pytest.mark.parametrize(
    ("level", "verdict", "blocks"),
    [
        pytest.param("advisory", "Warn", False, id="advisory-warns"),
        pytest.param("soft-mandatory", "Fail", True, id="soft-blocks"),
        pytest.param("hard-mandatory", "Fail", True, id="hard-blocks"),
        pytest.param("invariant", "Fail", True, id="invariant-blocks"),
    ],
)
def test_a_violation_at_each_level(level: str, verdict: str, blocks: bool) -> None:
    decision = make_decision(make_gate(level=level), answers={"rules": [violated("high")]})
    assert verdict_of(decision, "rules") == (verdict, blocks)
    assert decision.permits_apply is not blocks


@pytest.mark.parametrize(
    ("level", "verdict", "blocks"),
    [
        pytest.param("soft-mandatory", "Overridden", False, id="soft-is-overridden"),
        pytest.param("hard-mandatory", "Fail", True, id="hard-is-not"),
        pytest.param("invariant", "Fail", True, id="invariant-is-not"),
    ],
)
def test_an_override_passes_soft_gates_alone(level: str, verdict: str, blocks: bool) -> None:
    tally = ApprovalTally(approved_by=("ann",), overrides=frozenset({"rules"}))
    decision = make_decision(make_gate(level=level), answers={"rules": [violated("high")]}, tally=tally)
    assert verdict_of(decision, "rules") == (verdict, blocks)


@pytest.mark.parametrize(
    ("level", "answer", "overridable"),
    [
        pytest.param("soft-mandatory", "violated", True, id="soft"),
        pytest.param("hard-mandatory", "violated", False, id="hard"),
        pytest.param("invariant", "violated", False, id="invariant"),
        pytest.param("soft-mandatory", "error", False, id="could not decide"),
        pytest.param("soft-mandatory", "fine", False, id="passes anyway"),
    ],
)
def test_a_result_says_whether_it_can_be_overridden(level: str, answer: str, overridable: bool) -> None:
    said = {"violated": violated("low"), "error": PolicyResult(error="broke"), "fine": PolicyResult()}[answer]
    decision = make_decision(make_gate(level=level), answers={"rules": [said]})
    assert {result.gate: result.overridable for result in decision.results if result.gate == "rules"} == {
        "rules": overridable
    }
    assert not any(result.overridable for result in decision.results if result.gate in BUILT_IN)


def test_an_override_names_one_gate() -> None:
    tally = ApprovalTally(approved_by=("ann",), overrides=frozenset({"another"}))
    decision = make_decision(make_gate(level="soft-mandatory"), answers={"rules": [violated("high")]}, tally=tally)
    assert verdict_of(decision, "rules") == ("Fail", True)


def test_the_gravest_severity_decides() -> None:
    gate = make_gate(level="advisory", levels={"critical": "invariant", "medium": "soft-mandatory"})
    assert verdict_of(make_decision(gate, answers={"rules": [violated("low", "high")]}), "rules") == ("Warn", False)
    assert verdict_of(make_decision(gate, answers={"rules": [violated("low", "critical")]}), "rules") == ("Fail", True)


def test_an_override_does_not_reach_a_graver_violation() -> None:
    gate = make_gate(level="soft-mandatory", levels={"critical": "hard-mandatory"})
    tally = ApprovalTally(approved_by=("ann",), overrides=frozenset({"rules"}))
    decision = make_decision(gate, answers={"rules": [violated("low", "critical")]}, tally=tally)
    assert verdict_of(decision, "rules") == ("Fail", True)


@pytest.mark.parametrize(
    ("level", "overridden", "verdict", "blocks"),
    [
        pytest.param("advisory", False, "Warn", False, id="advisory"),
        pytest.param("soft-mandatory", False, "Indeterminate", True, id="soft"),
        pytest.param("soft-mandatory", True, "Overridden", False, id="soft, overridden"),
        pytest.param("hard-mandatory", True, "Indeterminate", True, id="hard"),
        pytest.param("invariant", True, "Indeterminate", True, id="invariant"),
    ],
)
def test_what_cant_be_judged_blocks_as_the_level_says(level: str, overridden: bool, verdict: str, blocks: bool) -> None:
    tally = ApprovalTally(approved_by=("ann",), overrides=frozenset({"rules"} if overridden else ()))
    decision = make_decision(make_gate(level=level), answers={"rules": [violated("high", unknown=True)]}, tally=tally)
    assert verdict_of(decision, "rules") == (verdict, blocks)
    assert decision.permits_apply is not blocks
    (said,) = (result.messages[0] for result in decision.results if result.gate == "rules")
    assert said.startswith("[high] r: can't be judged before the apply: m")


@pytest.mark.parametrize(
    ("known", "unknown", "verdict", "overridable"),
    [
        pytest.param("low", "low", "Fail", True, id="what is violated comes first"),
        pytest.param("low", "critical", "Fail", False, id="no override passes what can't be judged"),
        pytest.param("critical", "low", "Fail", False, id="nor what is violated"),
    ],
)
def test_a_violation_beside_what_cant_be_judged(known: str, unknown: str, verdict: str, overridable: bool) -> None:
    gate = make_gate(level="soft-mandatory", levels={"critical": "hard-mandatory"})
    answer = PolicyResult(violated(unknown, unknown=True).violations + violated(known).violations)
    decision = make_decision(gate, answers={"rules": [answer]})
    assert verdict_of(decision, "rules") == (verdict, True)
    (result,) = (result for result in decision.results if result.gate == "rules")
    assert result.overridable is overridable
    passed = make_decision(gate, answers={"rules": [answer]}, tally=ApprovalTally(overrides=frozenset({"rules"})))
    assert passed.permits_apply is overridable


def test_a_warning_may_be_about_what_is_unknown() -> None:
    answer = violated("critical", kind="warn", unknown=True)
    assert verdict_of(make_decision(make_gate(level="invariant"), answers={"rules": [answer]}), "rules") == (
        "Warn",
        False,
    )


def test_warn_rules_only_warn() -> None:
    decision = make_decision(make_gate(level="invariant"), answers={"rules": [violated("critical", kind="warn")]})
    assert verdict_of(decision, "rules") == ("Warn", False)


@pytest.mark.parametrize(
    ("fields", "blocks"),
    [
        pytest.param({"level": "advisory"}, False, id="advisory"),
        pytest.param({"level": "advisory", "levels": {"critical": "hard-mandatory"}}, True, id="may-hide-critical"),
        pytest.param({"level": "soft-mandatory"}, True, id="soft"),
        pytest.param({"level": "hard-mandatory"}, True, id="hard"),
        pytest.param({"level": "invariant"}, True, id="invariant"),
    ],
)
def test_an_error_blocks_where_anything_is_mandatory(fields: dict[str, Any], blocks: bool) -> None:
    tally = ApprovalTally(approved_by=("ann",), overrides=frozenset({"rules"}))
    decision = make_decision(make_gate(**fields), answers={"rules": [PolicyResult(error="boom")]}, tally=tally)
    assert verdict_of(decision, "rules") == ("Error", blocks)
    assert decision.verdict is (Verdict.ERROR if blocks else Verdict.PASS)


@pytest.mark.parametrize(
    "answers", [{}, {"rules": []}, {"rules": [violated(), violated()]}], ids=["none", "few", "many"]
)
def test_a_missing_answer_is_an_error(answers: dict[str, Any]) -> None:
    assert verdict_of(make_decision(make_gate(), answers=answers), "rules") == ("Error", True)


def test_blast_radius_has_the_level_of_the_gate() -> None:
    gate = make_gate(policySets=[], blastRadius={"maxDelete": 1, "maxUpdate": 2})
    assert verdict_of(make_decision(gate, change=make_change(delete=1, update=2)), "rules") == ("Pass", False)
    decision = make_decision(gate, change=make_change(delete=2, update=2))
    assert verdict_of(decision, "rules") == ("Fail", True)
    assert "delete 2 resources" in decision.results[0].messages[0]


@pytest.mark.parametrize(
    ("fields", "gate", "verdict"),
    [
        pytest.param({"protection": ("no",)}, "protection", Verdict.FAIL, id="protection"),
        pytest.param({"reset_plan": make_reset_plan(ready=False)}, "way-back", Verdict.FAIL, id="no-way-back"),
        pytest.param({"faults": ("no yaml",)}, "gates", Verdict.ERROR, id="unreadable-gates"),
        pytest.param({"required": 1}, "approvals", Verdict.PENDING, id="approval-missing"),
    ],
)
def test_built_in_gates_block(fields: dict[str, Any], gate: str, verdict: Verdict) -> None:
    overriding = ApprovalTally(overrides=frozenset({gate}))
    decision = make_decision(tally=overriding, **fields)
    assert decision.verdict is verdict
    assert verdict_of(decision, gate) == (verdict, True)
    assert not decision.permits_apply


@pytest.mark.parametrize(
    ("acceptable", "accepted", "required", "verdict"),
    [
        pytest.param(False, {"ann": "x", "bob": "y"}, 1, Verdict.FAIL, id="of-nobody"),
        pytest.param(True, {}, 0, Verdict.FAIL, id="nobody-did"),
        pytest.param(True, {"ann": "x"}, 2, Verdict.FAIL, id="too-few-did"),
        pytest.param(True, {"ann": "x"}, 0, Verdict.OVERRIDDEN, id="one-is-asked-at-least"),
        pytest.param(True, {"ann": "x", "bob": "y"}, 2, Verdict.OVERRIDDEN, id="as-many-as-must-approve"),
    ],
)
def test_a_failed_drill_is_accepted_by_as_many_as_must_approve(
    acceptable: bool, accepted: dict[str, str], required: int, verdict: Verdict
) -> None:
    decision = make_decision(
        tally=ApprovalTally(approved_by=("ann", "bob"), accepted=accepted),
        required=required,
        reset_plan=make_reset_plan(ready=False, message="x" * 2000, acceptable=acceptable),
    )
    passes = verdict is Verdict.OVERRIDDEN
    assert verdict_of(decision, "way-back") == (verdict, not passes)
    assert (decision.permits_apply, decision.accepted) == (passes, accepted if passes else {})
    (said,) = (result.messages[0] for result in decision.results if result.gate == "way-back")
    assert ("--accept-undrilled --reason WHY" in said) is (acceptable and not passes)
    told = (Reason.UNDRILLED_ACCEPTED, "accepted undrilled by " + "; ".join(f"{a}: {b}" for a, b in accepted.items()))
    assert (said_by(decision) == told) is passes


def test_a_drill_that_passed_needs_no_word() -> None:
    decision = make_decision(tally=ApprovalTally(accepted={"ann": "x"}), reset_plan=make_reset_plan(acceptable=True))
    assert (verdict_of(decision, "way-back"), decision.accepted) == (("Pass", False), {})
    assert said_by(decision) == (Reason.GATES_PASSED, "")


def test_a_rejection_blocks_even_where_no_approval_is_needed() -> None:
    decision = make_decision(tally=ApprovalTally(rejected_by=("bob",), rejection="too risky"))
    assert decision.verdict is Verdict.FAIL
    assert said_by(decision) == (Reason.GATE_BLOCKED, "gate approvals: rejected by bob: too risky")


def test_a_gate_waits_for_its_own_approvals() -> None:
    gate = make_gate(policySets=[], approvals=2)
    one = make_decision(gate, tally=ApprovalTally(approved_by=("ann",)), required=2)
    assert verdict_of(one, "rules") == ("Pending", True)
    assert one.missing == 1
    both = make_decision(gate, tally=ApprovalTally(approved_by=("ann", "bob")), required=2)
    assert both.permits_apply


FOUR_EYES = {"policySets": [], "fourEyes": True}


def test_four_eyes_wait_for_somebody_else() -> None:
    alone = make_decision(make_gate(**FOUR_EYES), tally=ApprovalTally(barred=("ann",)), required=1, requested_by="ann")
    assert verdict_of(alone, "rules") == ("Pending", True)
    assert said_by(alone) == (
        Reason.GATES_PENDING,
        "waits for 1 approval by others than ann: setpoint approve shop-1",
    )
    (said,) = (result.messages for result in alone.results if result.gate == "approvals")
    assert said == ["0 of 1 approvals; ann asked for it and can't approve it"]
    tally = ApprovalTally(approved_by=("bob",), barred=("ann",))
    assert make_decision(make_gate(**FOUR_EYES), tally=tally, required=1, requested_by="ann").permits_apply


def test_four_eyes_block_where_nobody_knows_who_asked() -> None:
    tally = ApprovalTally(approved_by=("ann", "bob", "cem"), overrides=frozenset({"rules"}))
    for level in LEVELS:
        decision = make_decision(make_gate(**FOUR_EYES, level=level), tally=tally, required=1)
        assert verdict_of(decision, "rules") == ("Indeterminate", True)
        reason, message = said_by(decision)
        assert reason is Reason.GATE_BLOCKED
        assert "lacks the annotation setpoint.dev/requested-by" in message
        assert "component requested-by" in message


def test_a_violation_is_told_before_who_asked() -> None:
    gate = make_gate(fourEyes=True)
    decision = make_decision(gate, answers={"rules": [violated("high")]})
    assert verdict_of(decision, "rules") == ("Fail", True)
    assert verdict_of(make_decision(gate, answers={"rules": [PolicyResult(error="x")]}), "rules") == ("Error", True)


def test_a_deletion_takes_one_approval_more_than_one_person_can_give() -> None:
    change = dataclasses.replace(make_change(), cause="Destroy")
    one = make_decision(make_gate(**FOUR_EYES), change=change, tally=ApprovalTally(approved_by=("ann",)), required=2)
    assert verdict_of(one, "rules") == ("Pending", True)
    both = ApprovalTally(approved_by=("ann", "bob"))
    assert make_decision(make_gate(**FOUR_EYES), change=change, tally=both, required=2).permits_apply


def test_only_the_last_stage_permits_the_apply() -> None:
    assert not make_decision(stage="plan").permits_apply
    assert make_decision(stage="reset").permits_apply
    with pytest.raises(StalledError, match="stage plan"):
        make_decision(stage="plan").require_pass()


REJECTED = ApprovalTally(approved_by=("ann",), rejected_by=("bob",), rejection="no")


@pytest.mark.parametrize(
    ("cause", "stage", "fields", "shown"),
    [
        pytest.param("SpecChanged", "plan", {}, True, id="passes"),
        pytest.param("SpecChanged", "plan", {"required": 2}, True, id="waits for people"),
        pytest.param("Reset", "reset", {"required": 1}, True, id="a reset waits for people"),
        pytest.param("SpecChanged", "apply", {}, False, id="passes at a later stage"),
        pytest.param("SpecChanged", "plan", {"tally": REJECTED}, False, id="rejected"),
        pytest.param("SpecChanged", "plan", {"required": 2, "protection": ["kept"]}, False, id="blocked beside"),
        pytest.param("SpecChanged", "plan", {"faults": ["unreadable"]}, False, id="gates that can't be read"),
        pytest.param("Reset", "reset", {"reset_plan": make_reset_plan(ready=False)}, False, id="no way back"),
    ],
)
def test_a_change_is_shown_elsewhere_where_nothing_but_people_is_missing(
    cause: Any, stage: str, fields: dict[str, Any], shown: bool
) -> None:
    change = dataclasses.replace(make_change(), cause=cause)
    decision = make_decision(change=change, stage=stage, **fields)
    assert decision.permits_review is shown
    if not shown:
        with pytest.raises(StalledError, match="nothing is shown elsewhere"):
            decision.require_review()


def test_what_only_warns_keeps_nothing_from_being_shown() -> None:
    warned = make_decision(make_gate(level="advisory"), answers={"rules": [violated("high")]}, stage="plan")
    violating = make_decision(make_gate(), answers={"rules": [violated("high")]}, stage="plan")
    assert (warned.permits_review, violating.permits_review) == (True, False)


def test_nobody_else_makes_a_decision() -> None:
    blocked = make_decision(required=1)
    fields = {field.name: getattr(blocked, field.name) for field in dataclasses.fields(GateDecision)}
    with pytest.raises(TypeError, match="decide alone"):
        GateDecision(**(fields | {"verdict": Verdict.PASS}), maker=object())
    with pytest.raises((TypeError, ValueError)):
        dataclasses.replace(blocked, verdict=Verdict.PASS)
    with pytest.raises(dataclasses.FrozenInstanceError):
        blocked.verdict = Verdict.PASS  # type: ignore[misc]
    assert not copy.copy(blocked).permits_apply


def test_the_decision_shows_what_blocks_first_and_not_too_much() -> None:
    gates = [make_gate(f"g{i:02}", level="advisory") for i in range(40)]
    answers: dict[str, Any] = {one.name: [violated(*["low"] * 30)] for one in gates}
    decision = make_decision(*gates, make_gate(), answers=answers)
    assert len(decision.results) == 32
    assert decision.results[0].gate == "rules"
    assert len(decision.results[-1].messages) == 20
    assert decision.results[-1].messages[-1] == "and 11 more"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, (Reason.GATES_PASSED, ""), id="passed"),
        pytest.param(
            {"required": 2}, (Reason.GATES_PENDING, "waits for 2 approvals: setpoint approve shop-1"), id="waits"
        ),
        pytest.param(
            {"reset_plan": make_reset_plan(ready=False, message="it no longer plans")},
            (Reason.GATE_BLOCKED, "gate way-back: it no longer plans"),
            id="blocked",
        ),
        pytest.param({"faults": ("bad",), "required": 1}, (Reason.GATE_ERROR, "gate gates: bad"), id="error"),
    ],
)
def test_decisions_in_words(fields: dict[str, Any], expected: tuple[Reason, str]) -> None:
    assert said_by(make_decision(**fields)) == expected


def test_a_soft_gate_says_how_to_pass_it() -> None:
    decision = make_decision(make_gate(level="soft-mandatory"), answers={"rules": [violated("low")]})
    assert "setpoint approve with --override rules --reason WHY passes it" in said_by(decision)[1]


# --- Properties --------------------------------------------------------------------------------------------------

levels = st.sampled_from(LEVELS)
answers = st.one_of(
    st.just(PolicyResult(error="timeout")),
    st.builds(
        lambda s, k: violated(*s, kind=k), st.lists(st.sampled_from(SEVERITIES)), st.sampled_from(["deny", "warn"])
    ),
)
by_severity = st.dictionaries(st.sampled_from(SEVERITIES), levels)
people = st.lists(st.sampled_from(["ann", "bob", "cem"]), unique=True).map(tuple)
tallies = st.builds(
    ApprovalTally, approved_by=people, rejected_by=people, overrides=st.frozensets(st.sampled_from(["rules", "x"]))
)


@given(levels, by_severity, st.lists(answers, min_size=1, max_size=3), tallies, st.integers(0, 3))
def test_no_error_passes_a_mandatory_gate(
    level: str, severities: dict[str, str], results: list[PolicyResult], tally: ApprovalTally, required: int
) -> None:
    gate = make_gate(level=level, levels=severities, policySets=[{"name": f"s{i}"} for i in range(len(results))])
    decision = make_decision(gate, answers={"rules": results}, tally=tally, required=required)
    possible = {severities.get(severity, level) for severity in SEVERITIES}
    if any(result.error for result in results) and possible != {"advisory"}:
        assert decision.verdict is Verdict.ERROR
        assert not decision.permits_apply
    if tally.rejected_by or len(tally.approved_by) < required:
        assert not decision.permits_apply
    assert decision.permits_apply is not any(result.blocks for result in decision.results)


@given(levels, by_severity, answers, tallies, st.integers(0, 3))
def test_an_approval_never_passes_what_is_hard(
    level: str, severities: dict[str, str], result: PolicyResult, tally: ApprovalTally, required: int
) -> None:
    gate = make_gate(level=level, levels=severities)
    before = make_decision(gate, answers={"rules": [result]}, tally=tally, required=required)
    approved = dataclasses.replace(tally, approved_by=("ann", "bob", "cem"), overrides=frozenset({"rules"}))
    after = make_decision(gate, answers={"rules": [result]}, tally=approved, required=required)
    found = {severities.get(one.severity, level) for one in result.violations if one.kind == "deny"}
    if found & {"hard-mandatory", "invariant"}:
        assert verdict_of(before, "rules") == verdict_of(after, "rules") == ("Fail", True)
    if before.permits_apply:
        assert after.permits_apply


@given(st.booleans(), st.booleans(), st.dictionaries(st.sampled_from(["ann", "bob", "cem"]), st.just("x")), tallies)
def test_no_failed_drill_passes_but_by_enough_people_where_that_is_possible(
    ready: bool, acceptable: bool, accepted: dict[str, str], tally: ApprovalTally
) -> None:
    spoken = dataclasses.replace(tally, accepted=accepted, overrides=frozenset({"way-back"}))
    for required in range(4):
        decision = make_decision(
            tally=spoken, required=required, reset_plan=make_reset_plan(ready=ready, acceptable=acceptable)
        )
        passed = acceptable and len(accepted) >= max(1, required)
        assert verdict_of(decision, "way-back")[1] is not (ready or passed)
        assert ready or passed or not decision.permits_apply
        assert decision.accepted == (accepted if passed and not ready else {})
