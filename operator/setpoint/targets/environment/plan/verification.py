"""Owns what an observation after an apply means. Pure."""

from collections.abc import Iterable, Sequence

from setpoint.api.conditions import Reason
from setpoint.api.v1alpha1.change import ActionSummary
from setpoint.domain.findings import DriftClass, Finding
from setpoint.domain.model import Verification
from setpoint.targets.environment.plan.analysis import PlanAnalysis

_SHOWN = 5


def verify_plan(analysis: PlanAnalysis | None, applied: Iterable[ActionSummary]) -> Verification:
    """Verified where nothing but the ignored and the informational differs. None is a quiet plan.

    What differs within what was just applied does not converge; so does an output that nothing outside explains, for
    it was just computed. What differs elsewhere is new. `paths` are addresses.
    """
    left = [finding for finding in (analysis.findings if analysis else ()) if _counts(finding)]
    if not left:
        return Verification(ok=True, reason=Reason.VERIFIED, message="")
    done = {(action.address, action.deposed or "") for action in applied}
    again = [
        finding for finding in left if (finding.address, finding.deposed) in done or _is_unexplained_output(finding)
    ]
    if again:
        return _differs(Reason.NOT_CONVERGING, "still differs after it was applied", again)
    return _differs(Reason.DRIFT_DETECTED, "differs anew", left)


def _counts(finding: Finding) -> bool:
    return not finding.ignored and finding.drift_class is not DriftClass.INFORMATIONAL


def _is_unexplained_output(finding: Finding) -> bool:
    return finding.follows and finding.drift_class is DriftClass.PENDING


def _differs(reason: Reason, what: str, findings: Sequence[Finding]) -> Verification:
    shown = [_show(finding) for finding in findings[:_SHOWN]]
    more = f" and {len(findings) - _SHOWN} more" if len(findings) > _SHOWN else ""
    addresses = tuple(dict.fromkeys(finding.name for finding in findings))
    return Verification(ok=False, reason=reason, message=f"{what}: {'; '.join(shown)}{more}", paths=addresses)


def _show(finding: Finding) -> str:
    return f"{finding.name} ({', '.join(finding.paths[:_SHOWN])})" if finding.paths else finding.name
