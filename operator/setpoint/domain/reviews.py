"""Owns what follows for a Change that people look at elsewhere, where they carried it out or turned it down. Pure."""

from collections.abc import Iterable, Sequence

from setpoint.api.conditions import Reason
from setpoint.api.v1alpha1.change import ActionSummary, ChangeSpec, ReviewStatus
from setpoint.domain.findings import DriftClass, Finding
from setpoint.domain.goals import Goal, GoalKind
from setpoint.domain.model import CarriedOut, Observation, Review, Verification

_MAX_TEXT = 1024
_SHOWN = 5
_UNGATED = "; its gates had not passed"


def is_up(review: ReviewStatus | None) -> bool:
    """True where the Change is known to be shown: one that may be, since its manager was killed, is shown again."""
    return review is not None and review.shown and bool(review.url)


def noted(known: ReviewStatus | None, review: Review) -> ReviewStatus:
    """The status of a review by what was seen of it. Whoever declined first is kept."""
    before = known or ReviewStatus()
    update: dict[str, object] = {"url": first_words(review.url), "shown": bool(review.url)}
    if before.declined_by is None and review.declined_by is not None:
        why = first_words(review.why or f"declined at {review.url}")
        update |= {"declined_by": first_words(review.declined_by or "somebody"), "why": why}
    return before.model_copy(update=update)


def ended(review: ReviewStatus | None) -> ReviewStatus | None:
    """The status of a review of which nothing is shown any more."""
    return review and review.model_copy(update={"shown": False})


def first_words(text: str) -> str:
    """As much of a text from outside as a status holds."""
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"


# --- carried out by somebody else -------------------------------------------------------------------------------------


def told_carried_out(found: CarriedOut, *, ungated: bool) -> str:
    """The words on a Change that somebody carried out themselves."""
    evidence = f" ({first_words(found.evidence)})" if found.evidence else ""
    return f"carried out by {first_words(found.by or 'somebody')}{evidence}" + _UNGATED * ungated


def is_in_force(spec: ChangeSpec, goal: Goal, seen: Observation) -> bool:
    """True where what a Change brings about is what the pass holds its target to, though something differs yet.

    Where it isn't, as after another spec, nothing is known of what is in force now.
    """
    headed = {GoalKind.DESTROY: "Destroy", GoalKind.SNAPSHOT: "Reset"}.get(goal.kind, "")
    same_end = goal.proposes and (spec.cause if spec.cause in {"Destroy", "Reset"} else "") == headed
    return same_end and spec.configuration == seen.configuration


def judge_carried_out(actions: Iterable[ActionSummary], findings: Iterable[Finding]) -> Verification:
    """The verification of a Change that somebody carried out: what differs within it still does, the rest does anew."""
    left = [one for one in findings if _counts(one)]
    done = {(action.address, action.deposed or "") for action in actions}
    again = [one for one in left if (one.address, one.deposed) in done]
    if again:
        return _differs(Reason.NOT_CONVERGING, "still differs after it was carried out", again)
    if left:
        return _differs(Reason.DRIFT_DETECTED, "differs anew", left)
    return Verification(ok=True, reason=Reason.VERIFIED, message="")


def _counts(finding: Finding) -> bool:
    return finding.mendable and not finding.ignored and finding.drift_class is not DriftClass.INFORMATIONAL


def _differs(reason: Reason, what: str, findings: Sequence[Finding]) -> Verification:
    names = tuple(dict.fromkeys(one.name for one in findings))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return Verification(ok=False, reason=reason, message=f"{what}: {', '.join(names[:_SHOWN])}{more}", paths=names)
