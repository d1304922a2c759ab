"""The input that the lint knows is the one that a policy gets: else what is there is refused, or what is not passes."""

import pytest

from setpoint.domain.policy_input import policy_input
from setpoint.domain.rego_inputs import POLICY_INPUT
from setpoint.domain.scrubbing import NO_SECRETS
from setpoint.targets.environment.plan.judged_plan import judged_plan

FACTS = {"format_version": "1.2", "terraform_version": "1.11.4", "complete": True, "errored": False}
TARGET = {"kind": "Environment", "namespace": "default", "name": "e", "stage": "dev", "labels": {}}


@pytest.mark.parametrize("of", ["changes", "drift"])
def test_the_lint_knows_the_document(of: str) -> None:
    judged = judged_plan({**FACTS, "resource_changes": [], "configuration": {}, "variables": {}}, NO_SECRETS)
    plan = judged.document if of == "changes" else judged.of_drift()
    document = policy_input(
        plan, target=TARGET, cause="SpecChanged", gate="g", stage="plan", now="2026-01-01T00:00:00Z"
    )
    assert document.keys() == POLICY_INPUT.keys()
    for name, known in POLICY_INPUT.items():
        if known is not None:
            assert document[name].keys() == known.keys(), name
