"""Owns the gate step: the only maker of a GateDecision, without which nothing is applied. Pure.

A gate says Pass, Warn, Fail, Error, Indeterminate, Overridden or Pending, and whether it blocks. The decision is a
Pass where no gate blocks, else the worst verdict of those that do. What could not be evaluated blocks every gate
that has a mandatory level, and no approval passes over it. What is unknown till the apply blocks like a violation.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from setpoint.api.conditions import Reason
from setpoint.api.meta import REQUESTED_BY_ANNOTATION
from setpoint.api.v1alpha1.change import GateResult
from setpoint.api.v1alpha1.enforcementgates import EnforcementGate, GateStage, Level
from setpoint.domain.approvals import ApprovalTally
from setpoint.domain.errors import StalledError
from setpoint.domain.gates import APPROVALS, GATES, PROTECTION, WAY_BACK, SelectedGate, asked_of, stages_of
from setpoint.domain.model import Change, ResetPlan
from setpoint.domain.policies import PolicyResult, Severity, Violation
from setpoint.domain.protection import check_blast_radius

_MAX_RESULTS = 32
_MAX_MESSAGES = 20
_MAX_MESSAGE = 1024
_MAKER = object()
_SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low")
_UNWAIVABLE: frozenset[Level] = frozenset({"hard-mandatory", "invariant"})
_ACCEPT = "setpoint approve with --accept-undrilled --reason WHY passes it"
_NAMELESS = (
    "four eyes can't be shown: who asked for this is not known, since the target lacks the annotation "
    f"{REQUESTED_BY_ANNOTATION}. On a cluster the component requested-by stamps it when the spec next changes; in a "
    "local home, write it into the manifest"
)


class Verdict(StrEnum):
    """The verdict of a gate, and of all of them together."""

    PASS = "Pass"  # noqa: S105 a verdict, not a password
    WARN = "Warn"
    FAIL = "Fail"
    ERROR = "Error"
    INDETERMINATE = "Indeterminate"
    OVERRIDDEN = "Overridden"
    PENDING = "Pending"


_BY_GRAVITY = (
    Verdict.ERROR,
    Verdict.FAIL,
    Verdict.INDETERMINATE,
    Verdict.PENDING,
    Verdict.OVERRIDDEN,
    Verdict.WARN,
    Verdict.PASS,
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GateInput:
    """Everything that the decision over a Change at a stage may look at, gathered once.

    `answers` maps the name of a gate to what its policy sets said, one result each: a missing one is an Error.
    `protection` are the messages of `check_protection`; `faults` say which gates and Approvals could not even be read;
    `requested_by` is `find_requester`'s. `approve` is the command that approves the Change.
    """

    stage: GateStage
    change: Change
    subject: str
    reset_plan: ResetPlan
    gates: Sequence[SelectedGate]
    answers: Mapping[str, Sequence[PolicyResult]]
    protection: Sequence[str]
    tally: ApprovalTally
    required: int
    faults: Sequence[str] = ()
    requested_by: str | None = None
    approve: str = ""

    @property
    def accepted(self) -> Mapping[str, str]:
        """People who passed a reset plan that is not ready, knowingly, and why; empty where too few or none may."""
        tally, acceptable = self.tally, self.reset_plan.acceptable and not self.reset_plan.ready
        return tally.accepted if acceptable and len(tally.accepted) >= max(1, self.required) else {}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GateDecision:
    """A verdict over named digests. Only `decide` makes one; only a Pass at the last stage can be executed.

    `results` are at most 32, those that block first. `reason` and `message` are those of the condition Gated: which
    gate blocks, and what a person can do about it.
    """

    verdict: Verdict
    stage: GateStage
    subject: str
    change: Change
    results: tuple[GateResult, ...]
    required: int
    approved_by: tuple[str, ...]
    rejected_by: tuple[str, ...]
    barred: tuple[str, ...]
    accepted: Mapping[str, str]
    """People who passed a failed drill knowingly, and why; empty where nobody had to, or too few did."""
    reason: Reason
    message: str
    maker: dataclasses.InitVar[object]

    def __post_init__(self, maker: object) -> None:
        if maker is not _MAKER:
            msg = "a GateDecision is made by setpoint.domain.gating.decide alone"
            raise TypeError(msg)

    @property
    def missing(self) -> int:
        """How many approvals are still to come."""
        return max(0, self.required - len(self.approved_by))

    @property
    def permits_apply(self) -> bool:
        """True where the Change may be executed: every gate of the stage right before the apply passed."""
        return self.verdict is Verdict.PASS and self.stage in {"apply", "reset"}

    def require_pass(self) -> None:
        """For executors. Raises StalledError (GateBlocked) unless the Change may be executed."""
        if not self.permits_apply:
            message = f"the gates of stage {self.stage} say {self.verdict}: nothing is applied"
            raise StalledError(Reason.GATE_BLOCKED, message)

    @property
    def permits_review(self) -> bool:
        """True where the Change may be shown to people elsewhere: at its first stage, nothing but people is missing."""
        first = self.stage == stages_of(self.change.cause)[0]
        return first and self.verdict in {Verdict.PASS, Verdict.PENDING}

    def require_review(self) -> None:
        """For what shows Changes elsewhere. Raises StalledError (GateBlocked) unless this one may be shown."""
        if not self.permits_review:
            message = f"the gates of stage {self.stage} say {self.verdict}: nothing is shown elsewhere"
            raise StalledError(Reason.GATE_BLOCKED, message)


# --- The decision ------------------------------------------------------------------------------------------------


def decide(given: GateInput) -> GateDecision:
    """The decision over a Change at a stage."""
    results = [
        *_built_in(given),
        _way_back(given),
        *(_evaluate(given, selected) for selected in given.gates),
        _approvals(given),
    ]
    results.sort(key=lambda result: (not result.blocks, _BY_GRAVITY.index(Verdict(result.verdict))))
    verdict = Verdict(results[0].verdict) if results[0].blocks else Verdict.PASS
    kept = tuple(results[:_MAX_RESULTS])
    reason, message = _explain(given, verdict, kept)
    return GateDecision(
        verdict=verdict,
        stage=given.stage,
        subject=given.subject,
        change=given.change,
        results=kept,
        required=given.required,
        approved_by=given.tally.approved_by,
        rejected_by=given.tally.rejected_by,
        barred=given.tally.barred,
        accepted=given.accepted,
        reason=reason,
        message=message,
        maker=_MAKER,
    )


def _result(
    gate: str,
    stage: GateStage,
    verdict: Verdict,
    messages: Iterable[str] = (),
    *,
    blocks: bool,
    overridable: bool = False,
) -> GateResult:
    shown = [message if len(message) <= _MAX_MESSAGE else f"{message[: _MAX_MESSAGE - 1]}…" for message in messages]
    if len(shown) > _MAX_MESSAGES:
        shown = [*shown[: _MAX_MESSAGES - 1], f"and {len(shown) - _MAX_MESSAGES + 1} more"]
    return GateResult(
        gate=gate, stage=stage, verdict=verdict.value, blocks=blocks, overridable=overridable, messages=shown
    )


def _built_in(given: GateInput) -> tuple[GateResult, ...]:
    """The results that no EnforcementGates can loosen."""
    fixed = ((GATES, Verdict.ERROR, given.faults), (PROTECTION, Verdict.FAIL, given.protection))
    return tuple(
        _result(gate, given.stage, verdict if messages else Verdict.PASS, messages, blocks=bool(messages))
        for gate, verdict, messages in fixed
        if messages or gate != GATES
    )


def _way_back(given: GateInput) -> GateResult:
    """Blocks where going back was not shown to work. What is acceptable passes once enough people said so knowingly."""
    stage, back, tally = given.stage, given.reset_plan, given.tally
    if back.ready:
        return _result(WAY_BACK, stage, Verdict.PASS, blocks=False)
    said = back.message or "there is no way back that was shown to plan"
    if not back.acceptable:
        return _result(WAY_BACK, stage, Verdict.FAIL, [said], blocks=True)
    if given.accepted:
        return _result(WAY_BACK, stage, Verdict.OVERRIDDEN, [told_acceptance(given.accepted), said], blocks=False)
    remedy = f"; {_ACCEPT}" + (f" ({len(tally.accepted)} of {given.required} accepted it)" if tally.accepted else "")
    room = _MAX_MESSAGE - len(remedy)
    return _result(
        WAY_BACK, stage, Verdict.FAIL, [(said if len(said) <= room else f"{said[: room - 1]}…") + remedy], blocks=True
    )


def told_acceptance(accepted: Mapping[str, str]) -> str:
    """The words on people who passed a failed drill knowingly."""
    return "accepted undrilled by " + "; ".join(f"{who}: {why}" for who, why in sorted(accepted.items()))


def _approvals(given: GateInput) -> GateResult:
    stage, tally, required = given.stage, given.tally, given.required
    if tally.rejected_by:
        message = f"rejected by {', '.join(tally.rejected_by)}: {tally.rejection}"
        return _result(APPROVALS, stage, Verdict.FAIL, [message], blocks=True)
    if len(tally.approved_by) >= required:
        return _result(APPROVALS, stage, Verdict.PASS, blocks=False)
    expired = f"; expired: {', '.join(tally.expired)}" if tally.expired else ""
    barred = f"; {', '.join(tally.barred)} asked for it and can't approve it" if tally.barred else ""
    message = f"{len(tally.approved_by)} of {required} approvals{expired}{barred}"
    return _result(APPROVALS, stage, Verdict.PENDING, [message], blocks=True)


def _evaluate(given: GateInput, selected: SelectedGate) -> GateResult:
    """One gate of EnforcementGates. What went wrong comes before what was found, and that before who is missing."""
    stage, change, tally = given.stage, given.change, given.tally
    gate, name, answers = selected.gate, selected.name, given.answers.get(selected.name, ())
    errors = [answer.error for answer in answers if answer.error]
    if len(answers) != len(gate.policy_sets):
        errors.append(f"{len(answers)} of {len(gate.policy_sets)} policy sets were evaluated")
    if errors:
        return _result(name, stage, Verdict.ERROR, errors, blocks=bool(_levels(gate) - {"advisory"}))
    violations = itertools.chain.from_iterable(answer.violations for answer in answers)
    found = [(_level(gate, one), one.unknown, one.text) for one in violations]
    if gate.blast_radius is not None:
        found += [(gate.level, False, message) for message in check_blast_radius(change.summary, gate.blast_radius)]
    levels, open_levels = ({level for level, unknown, _ in found if unknown is which} for which in (False, True))
    overridden = name in tally.overrides
    violated = _verdict(levels, Verdict.FAIL, overridden=overridden)
    verdict = min(violated, _verdict(open_levels, Verdict.INDETERMINATE, overridden=overridden), key=_BY_GRAVITY.index)
    messages = [message for *_, message in sorted(found, key=lambda one: (one[0] == "advisory", one[1]))]
    if verdict in {Verdict.FAIL, Verdict.INDETERMINATE}:
        if overridable := not _UNWAIVABLE & (levels | open_levels):
            messages[0] += f"; setpoint approve with --override {name} --reason WHY passes it"
        return _result(name, stage, verdict, messages, blocks=True, overridable=overridable)
    if gate.four_eyes and given.requested_by is None and change.cause != "Destroy":
        return _result(name, stage, Verdict.INDETERMINATE, [_NAMELESS, *messages], blocks=True)
    asked = asked_of(gate, change.cause) or 0
    if len(tally.approved_by) < asked:
        messages.append(f"{len(tally.approved_by)} of the {asked} approvals that this gate asks for")
        return _result(name, stage, Verdict.PENDING, messages, blocks=True)
    return _result(name, stage, verdict, messages, blocks=False)


def _verdict(levels: set[Level], blocking: Verdict, *, overridden: bool) -> Verdict:
    """The verdict on violations at these levels; `blocking` where they block."""
    if levels & _UNWAIVABLE:
        return blocking
    if "soft-mandatory" in levels:
        return Verdict.OVERRIDDEN if overridden else blocking
    return Verdict.WARN if levels else Verdict.PASS


def _level(gate: EnforcementGate, violation: Violation) -> Level:
    """A `warn` rule only ever warns."""
    return "advisory" if violation.kind == "warn" else _level_of(gate, violation.severity)


def _level_of(gate: EnforcementGate, severity: Severity) -> Level:
    by_severity: dict[str, Level | None] = {
        "critical": gate.levels.critical,
        "high": gate.levels.high,
        "medium": gate.levels.medium,
        "low": gate.levels.low,
    }
    return by_severity[severity] or gate.level


def _levels(gate: EnforcementGate) -> set[Level]:
    """Every level that a violation could have had: an error may hide the gravest."""
    return {_level_of(gate, severity) for severity in _SEVERITIES}


# --- In words ----------------------------------------------------------------------------------------------------


def _explain(given: GateInput, verdict: Verdict, results: Sequence[GateResult]) -> tuple[Reason, str]:
    if verdict is Verdict.PASS:
        accepted = given.accepted
        return (Reason.UNDRILLED_ACCEPTED, told_acceptance(accepted)) if accepted else (Reason.GATES_PASSED, "")
    if verdict is Verdict.PENDING:
        return Reason.GATES_PENDING, f"waits for {_people(given)}: {given.approve}"
    blocking = [result for result in results if result.blocks and result.verdict != "Pending"]
    said = "; ".join(f"gate {result.gate}: {_first(result)}" for result in blocking[:3])
    more = f"; and {len(blocking) - 3} more gates" if len(blocking) > 3 else ""
    reason = Reason.GATE_ERROR if verdict is Verdict.ERROR else Reason.GATE_BLOCKED
    return reason, f"{said}{more}"


def _people(given: GateInput) -> str:
    asked = max(given.required - len(given.tally.approved_by), 1)
    others = f" by others than {', '.join(given.tally.barred)}" if given.tally.barred else ""
    return ("1 approval" if asked == 1 else f"{asked} approvals") + others


def _first(result: GateResult) -> str:
    more = f" (and {len(result.messages) - 1} more)" if len(result.messages) > 1 else ""
    return (result.messages[0] if result.messages else result.verdict) + more
