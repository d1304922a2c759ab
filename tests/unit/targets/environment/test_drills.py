"""The message of a drill: whose code it judged, and what to do."""

from typing import Any

import pytest
from tests.fakes.examples import example

from setpoint.api.v1alpha1.environment import Environment, EnvironmentApplied
from setpoint.domain.findings import DriftClass, Finding
from setpoint.targets.environment import drills

DIGEST = "sha256:" + "a" * 64
APPLIED: dict[str, Any] = {"bundle": DIGEST, "archive": DIGEST, "variables": DIGEST, "at": "2026-11-03T10:00:00Z"}
WHOSE = "the configuration applied on 2026-11-03T10:00:00Z, planned with today's Secrets"


@pytest.mark.parametrize(("names", "keys"), [(("a",), "key a"), (("a", "b"), "keys a, b")])
def test_what_is_missing_is_to_be_kept(names: tuple[str, ...], keys: str) -> None:
    assert drills.undrilled(EnvironmentApplied.model_validate(APPLIED), names) == (
        f"{WHOSE}, lacks {keys}: keep {keys} until this Change is applied, and the way back is drilled; "
        "or approve it undrilled"
    )


class Plan:
    """A plan with one pending finding."""

    findings = (Finding("a.b", DriftClass.PENDING, "update"),)


@pytest.mark.parametrize(
    ("status", "moved", "said"),
    [
        ({"applied": APPLIED}, False, ("Failed", f"{WHOSE}, no longer plans empty: a.b")),
        ({"applied": APPLIED}, True, ("Passed", "")),
        ({"applied": APPLIED, "failures": 1}, False, ("Passed", "")),
    ],
    ids=["differs", "secrets moved", "failed before"],
)
def test_whose_code_no_longer_plans_empty(status: dict[str, Any], moved: bool, said: tuple[str, str]) -> None:
    environment = Environment.model_validate(example("Environment", status=status))
    assert drills.judge_drill(environment, Plan(), secrets_moved=moved) == said  # type: ignore[arg-type]
