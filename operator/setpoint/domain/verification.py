"""Owns what a look after an apply means, and what an apply that broke off may have lost. Pure."""

from collections.abc import Collection, Iterable

from setpoint.api.conditions import Reason
from setpoint.api.v1alpha1.change import ActionSummary
from setpoint.domain.model import DriftClass, Verification
from setpoint.domain.plans import PlanAnalysis


def verify_plan(analysis: PlanAnalysis | None, applied: Iterable[ActionSummary]) -> Verification:
    """Verified where nothing but the ignored and the informational differs (rule 26).

    What differs within what was just applied does not converge; what differs elsewhere is new.
    """
    left = [
        finding
        for finding in (analysis.findings if analysis else ())
        if not finding.ignored and finding.drift_class is not DriftClass.INFORMATIONAL
    ]
    if not left:
        return Verification(ok=True, reason=Reason.VERIFIED, message="")
    addresses = tuple(dict.fromkeys(finding.address for finding in left))
    shown = "; ".join(f"{finding.address} ({', '.join(finding.paths[:5])})" for finding in left[:5])
    if {action.address for action in applied} & set(addresses):
        return Verification(ok=False, reason=Reason.NOT_CONVERGING, message=f"still differs: {shown}", paths=addresses)
    return Verification(ok=False, reason=Reason.DRIFT_DETECTED, message=f"differs anew: {shown}", paths=addresses)


def find_orphans(created: Iterable[str], known: Collection[str]) -> tuple[str, ...]:
    """Creations that began and are in no state (rule 27): they may be out there, and nothing knows them."""
    return tuple(sorted(set(created) - set(known)))
