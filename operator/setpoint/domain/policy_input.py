"""Owns the document that policies get as `input`. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from setpoint.api.v1alpha1.change import ChangeSummary, ResetAction


def policy_input(
    plan: Mapping[str, Any],
    *,
    target: Mapping[str, Any],
    cause: str,
    gate: str,
    stage: str,
    now: str,
    summary: ChangeSummary | None = None,
    reset_actions: Sequence[ResetAction] = (),
    worst: str = "Reversible",
) -> dict[str, Any]:
    """A policy's input; with the instant, so that a verdict can be replayed. It holds secrets, as the plan does."""
    counts = (summary or ChangeSummary()).as_json()
    return {
        "plan": dict(plan),
        "target": dict(target),
        "change": {"cause": cause, "summary": {key: counts[key] for key in counts if key != "actions"}},
        "gate": {"name": gate, "stage": stage},
        "reset": {"worst": worst, "actions": [action.as_json() for action in reset_actions]},
        "now": now,
    }
