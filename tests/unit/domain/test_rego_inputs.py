"""The input that the lint knows is the one that a policy gets: else what is there is refused, or what is not passes."""

from setpoint.api.meta import ObjectRef
from setpoint.api.v1alpha1.change import ChangeSummary
from setpoint.domain.model import Change
from setpoint.domain.redaction import policy_input, redact_plan
from setpoint.domain.rego_inputs import POLICY_INPUT

FACTS = {"format_version": "1.2", "terraform_version": "1.11.4", "complete": True, "errored": False}


def test_the_lint_knows_the_document() -> None:
    change = Change(
        target=ObjectRef("Environment", "default", "e"),
        cause="SpecChanged",
        digest="",
        bundle=None,
        state_version=0,
        generation=1,
        actions=(),
        summary=ChangeSummary(),
    )
    target = {"kind": "Environment", "namespace": "default", "name": "e", "stage": "dev", "labels": {}}
    plan = redact_plan({**FACTS, "resource_changes": [], "configuration": {}, "variables": {}})
    document = policy_input(
        plan,
        target=target,
        change=change,
        gate="g",
        stage="plan",
        reset_actions=(),
        worst="",
        now="2026-01-01T00:00:00Z",
    )
    assert document.keys() == POLICY_INPUT.keys()
    for name, known in POLICY_INPUT.items():
        if known is not None:
            assert document[name].keys() == known.keys(), name
