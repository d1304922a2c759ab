"""Owns what policies say of what the world changed, whether or not a Change would put it back. Pure.

A violation is about the drift where the policies do not say the same of the resource as it was recorded: what the code
itself opens is a matter of the gates.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from setpoint.api.conditions import Reason
from setpoint.domain.policies import PolicyResult, Violation

DRIFT_STAGE = "drift"
"""The stage of the gate as policies see it while they judge drift. No gate names it: all of a target's gates do."""

_MAX_SHOWN = 3
_MAX_MESSAGE = 1024


@dataclasses.dataclass(frozen=True, slots=True)
class DriftVerdict:
    """The violations by drift, as people may see them, and why some of it could not be judged."""

    violations: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def caused_by_drift(found: PolicyResult, recorded: PolicyResult, nothing: PolicyResult) -> PolicyResult:
    """The answer of a set to the drift, less what it says anyway.

    `recorded` is its answer to the same resources as they were recorded, `nothing` that to no drift at all. Only what
    names its resource is known to have been so before: another may have become what one was. To be called before
    anything is scrubbed: two values that are hidden look alike.
    """
    return PolicyResult(
        tuple(one for one in found.violations if one not in (recorded if one.resource else nothing).violations),
        found.error or recorded.error or nothing.error,
    )


def drift_verdict(answers: Mapping[str, Sequence[PolicyResult]], faults: Iterable[str]) -> DriftVerdict:
    """The verdict from what each gate's sets say, by its name. Rules that only warn say nothing of drift."""
    said: list[tuple[str, Violation]] = []
    errors: list[str] = []
    for gate, results in answers.items():
        for result in results:
            said += [(gate, one) for one in result.violations if one.kind == "deny"]
            errors += [f"gate {gate}: {result.error}"] if result.error else []
    return DriftVerdict(
        violations=tuple(_texts((gate, one) for gate, one in said if not one.unknown)),
        problems=(*faults, *errors, *_texts((gate, one) for gate, one in said if one.unknown)),
    )


def _texts(said: Iterable[tuple[str, Violation]]) -> Iterable[str]:
    """Each once, under the first gate that says it."""
    gates: dict[Violation, str] = {}
    for gate, violation in said:
        gates.setdefault(violation, gate)
    return [f"gate {gate}: {violation.text}" for violation, gate in gates.items()]


def _drift_message(drifted: Sequence[str]) -> str:
    more = f" and {len(drifted) - 5} more" if len(drifted) > 5 else ""
    return f"{len(drifted)} drifted: {', '.join(drifted[:5])}{more}"


def drift_condition(
    verdict: DriftVerdict, actionable: Sequence[str]
) -> tuple[Literal["True", "False", "Unknown"], Reason, str]:
    """Status, reason and message of the condition Drifted, what is worst first.

    `actionable` is what a Change would put back. What can't be judged is not passed over.
    """
    drifted = _drift_message(actionable) if actionable else ""
    message = "; ".join(filter(None, (_first(verdict.violations), _first(verdict.problems), drifted)))[:_MAX_MESSAGE]
    if verdict.violations:
        return "True", Reason.POLICY_VIOLATED, message
    if drifted:
        return "True", Reason.DRIFT_DETECTED, message
    return ("Unknown", Reason.GATE_ERROR, message) if verdict.problems else ("False", Reason.NO_DRIFT, "")


def _first(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _MAX_SHOWN} more" if len(texts) > _MAX_SHOWN else ""
    return "; ".join(texts[:_MAX_SHOWN]) + more
