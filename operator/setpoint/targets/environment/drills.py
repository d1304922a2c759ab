"""Owns what a drill means: whether the last applied configuration can still be gone back to. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from setpoint.api.conditions import ConditionType, Reason
from setpoint.api.v1alpha1.environment import Environment, EnvironmentApplied
from setpoint.domain.errors import StalledError, TransientError
from setpoint.domain.findings import DriftClass
from setpoint.domain.transport_errors import tells_of_outage
from setpoint.targets.environment.errors import DataUnreadableError, VariablesMissingError
from setpoint.targets.environment.plan.analysis import PlanAnalysis


class Drill(NamedTuple):
    """The result of a drill; `acceptable`: it failed, and people may pass that knowingly."""

    result: str
    message: str = ""
    acceptable: bool = False


def undrillable(prevent_destroy: Sequence[str]) -> str:
    """Why there is nothing to drill, and what would stand in the way of a destroy."""
    message = "nothing was applied before, so the way back is to destroy what the Change makes"
    if not prevent_destroy:
        return message
    return f"{message}; prevent_destroy stands in its way at {', '.join(prevent_destroy[:5])}"


def judged(applied: EnvironmentApplied) -> str:
    """The code that a drill judges: not the one that is about to be applied."""
    return f"the configuration applied on {applied.at}, planned with today's Secrets"


def undrilled(applied: EnvironmentApplied, missing: Sequence[str]) -> str:
    """The reason for which it could not be planned, and what to do: the new code and its Secret came together."""
    keys = f"{'key' if len(missing) == 1 else 'keys'} {', '.join(missing)}"
    return (
        f"{judged(applied)}, lacks {keys}: keep {keys} until this Change is applied, and the way back is drilled; "
        "or approve it undrilled"
    )


def judge_failure(applied: EnvironmentApplied, error: StalledError | TransientError, *, unread: bool) -> Drill:
    """The drill of a last applied configuration that can't be planned. Raises what is likely to be over by itself.

    `unread`: the Change itself was planned without data sources that are gone.
    """
    if isinstance(error, VariablesMissingError):
        return Drill("NotDrilled", undrilled(applied, error.names))
    message = f"{judged(applied)}: {error.message}"
    if unread and isinstance(error, DataUnreadableError):
        return Drill("NotDrilled", message)
    refused = error.reason in {Reason.PLAN_FAILED, Reason.DATA_UNREADABLE} and not tells_of_outage(error.message)
    if isinstance(error, TransientError) and not refused:
        raise error
    return Drill("Failed", message, acceptable=True)


def weigh(result: str, message: str, *, repairs: bool) -> Drill:
    """A drill that planned. One that failed can be accepted for a repair alone: before all else, one can repair."""
    if result != "Failed" or repairs:
        return Drill(result, message, acceptable=result == "Failed")
    remedy = "Mend that first, with the source and the variables that were applied last: that can be accepted undrilled"
    return Drill(result, f"{message}. {remedy}")


def judge_drill(
    environment: Environment, drill: PlanAnalysis | None, *, secrets_moved: bool = False
) -> tuple[str, str]:
    """Says whether the drill's plan shows nothing beyond the known drift; (`Passed` or `Failed`, message).

    Where the last apply failed or did not converge, the last configuration can't plan empty, nor can it where Secrets
    moved since, which are read anew each time: that it plans is enough.
    """
    if drill is None or secrets_moved or _expects_differences(environment):
        return "Passed", ""
    pending = [
        finding.name for finding in drill.findings if finding.drift_class is DriftClass.PENDING and not finding.ignored
    ]
    if not pending:
        return "Passed", ""
    listed = ", ".join(sorted(pending)[:5])
    applied = environment.status.applied
    whose = judged(applied) if applied else "the last applied configuration"
    return "Failed", f"{whose}, no longer plans empty: {listed}"


def _expects_differences(environment: Environment) -> bool:
    status = environment.status
    verified = next((c for c in status.conditions if c.type == ConditionType.VERIFIED), None)
    unsettled = verified is not None and verified.status == "False" and verified.reason != Reason.DRIFT_DETECTED
    return status.failures > 0 or bool(status.not_converging) or unsettled
