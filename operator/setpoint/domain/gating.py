"""Owns the gate step: the only maker of a GateDecision, without which nothing is applied. Pure.

A gate says Pass, Warn, Fail, Error, Indeterminate, Overridden or Pending, and whether it blocks. The decision is a
Pass where no gate blocks, else the worst verdict of those that do. What could not be evaluated blocks every gate
that has a mandatory level, and no approval passes over it. What is unknown till the apply blocks like a violation.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from setpoint.api.conditions import Reason
from setpoint.api.meta import REQUESTED_BY_ANNOTATION
from setpoint.api.v1alpha1.change import Cause, GateResult
from setpoint.api.v1alpha1.enforcementgates import (
    EnforcementGate,
    EnforcementGates,
    GateStage,
    Level,
    PolicySetReference,
)
from setpoint.domain.approvals import ApprovalTally
from setpoint.domain.digests import digest
from setpoint.domain.errors import StalledError
from setpoint.domain.model import Change
from setpoint.domain.policies import PolicyResult, Severity, Violation
from setpoint.domain.protection import check_blast_radius

GATES = "gates"
PROTECTION = "protection"
WAY_BACK = "way-back"
APPROVALS = "approvals"
BUILT_IN = frozenset({GATES, PROTECTION, WAY_BACK, APPROVALS})
"""The gates that guard every Change, whatever EnforcementGates say."""

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


@dataclasses.dataclass(frozen=True, slots=True)
class SelectedGate:
    """A gate that guards a target at a stage, under the name that decisions and overrides use."""

    name: str
    gate: EnforcementGate


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GateDecision:
    """A verdict over named digests. Only `decide` makes one; only a Pass at the last stage can be executed.

    `results` are at most 32, those that block first.
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


# --- Gates that guard a Change -----------------------------------------------------------------------------------


def gates_digest(gates: Iterable[SelectedGate]) -> str:
    """Of the gates as they are written; their order does not matter."""
    return digest(sorted((selected.name, digest(selected.gate.as_json())) for selected in gates))


def stages_of(cause: Cause) -> tuple[GateStage, ...]:
    """The stages that a Change passes, in order; the last one permits the apply."""
    return ("reset",) if cause == "Reset" else ("plan", "apply")


def select_gates(
    objects: Iterable[EnforcementGates], *, stage: GateStage, target_stage: str, labels: Mapping[str, str]
) -> tuple[SelectedGate, ...]:
    """The gates that guard a target at a stage, by name.

    A name that two objects use, or that a built-in gate has, is written `object.gate`, so that an override names one.
    """
    named = [(obj.metadata.name, gate) for obj in objects for gate in obj.spec.gates]
    uses = Counter(gate.name for _, gate in named)
    selected = (
        SelectedGate(f"{owner}.{gate.name}" if uses[gate.name] > 1 or gate.name in BUILT_IN else gate.name, gate)
        for owner, gate in named
        if stage in gate.stages and _guards(gate, target_stage, labels)
    )
    return tuple(sorted(selected, key=lambda one: one.name))


def _guards(gate: EnforcementGate, target_stage: str, labels: Mapping[str, str]) -> bool:
    selector = gate.selector
    in_stage = not selector.stages or target_stage in selector.stages
    return in_stage and all(labels.get(key) == value for key, value in selector.labels.items())


def approvals_asked(gates: Iterable[SelectedGate], cause: Cause) -> tuple[int, ...]:
    """How many approvals each gate asks for, as far as it does."""
    return tuple(asked for selected in gates if (asked := _asked(selected.gate, cause)) is not None)


def _asked(gate: EnforcementGate, cause: Cause) -> int | None:
    """Four eyes take one other person. Who deleted a target is not known, so it takes one more: one of them did not."""
    if not gate.four_eyes:
        return gate.approvals
    return max(1, gate.approvals or 0) + (cause == "Destroy")


def needs_four_eyes(gates: Iterable[SelectedGate]) -> bool:
    """True where who asked for a Change can't approve it."""
    return any(selected.gate.four_eyes for selected in gates)


def pin_problem(reference: PolicySetReference, found: str | None) -> str:
    """Why a PolicySet can't be asked: it is missing (None), or its content is not the pinned one. Else empty."""
    if found is None:
        return f"PolicySet {reference.name} does not exist or is not ready"
    if reference.digest is not None and reference.digest != found:
        return f"PolicySet {reference.name} has the content {found}, and the gate pins {reference.digest}"
    return ""


# --- The decision ------------------------------------------------------------------------------------------------


def decide(
    *,
    stage: GateStage,
    change: Change,
    subject: str,
    gates: Sequence[SelectedGate],
    answers: Mapping[str, Sequence[PolicyResult]],
    protection: Sequence[str],
    tally: ApprovalTally,
    required: int,
    reset_ready: bool,
    reset_message: str = "",
    undrilled_acceptable: bool = False,
    faults: Sequence[str] = (),
    requested_by: str | None = None,
) -> GateDecision:
    """The decision over a Change at a stage.

    `answers` maps the name of a gate to what its policy sets said, one result each: a missing one is an Error.
    `protection` are the messages of `check_protection`; `faults` say which gates could not even be read;
    `requested_by` is `find_requester`'s. `undrilled_acceptable`: people may pass a way back that is not ready.
    """
    asked_by_nobody = requested_by is None and change.cause != "Destroy"
    acceptable = undrilled_acceptable and not reset_ready
    accepted = tally.accepted if acceptable and len(tally.accepted) >= max(1, required) else {}
    results = [
        *_built_in(stage, protection, faults),
        _way_back(stage, reset_message, tally, accepted, required, ready=reset_ready, acceptable=acceptable),
        *(_evaluate(stage, one, answers.get(one.name, ()), change, tally, nameless=asked_by_nobody) for one in gates),
        _approvals(stage, tally, required),
    ]
    results.sort(key=lambda result: (not result.blocks, _BY_GRAVITY.index(Verdict(result.verdict))))
    return GateDecision(
        verdict=Verdict(results[0].verdict) if results[0].blocks else Verdict.PASS,
        stage=stage,
        subject=subject,
        change=change,
        results=tuple(results[:_MAX_RESULTS]),
        required=required,
        approved_by=tally.approved_by,
        rejected_by=tally.rejected_by,
        barred=tally.barred,
        accepted=accepted,
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


def _built_in(stage: GateStage, protection: Sequence[str], faults: Sequence[str]) -> tuple[GateResult, ...]:
    """The results that no EnforcementGates can loosen."""
    fixed = ((GATES, Verdict.ERROR, faults), (PROTECTION, Verdict.FAIL, protection))
    return tuple(
        _result(gate, stage, verdict if messages else Verdict.PASS, messages, blocks=bool(messages))
        for gate, verdict, messages in fixed
        if messages or gate != GATES
    )


def _way_back(
    stage: GateStage,
    message: str,
    tally: ApprovalTally,
    accepted: Mapping[str, str],
    required: int,
    *,
    ready: bool,
    acceptable: bool,
) -> GateResult:
    """Blocks where going back was not shown to work. What is acceptable passes once enough people said so knowingly."""
    if ready:
        return _result(WAY_BACK, stage, Verdict.PASS, blocks=False)
    said = message or "there is no way back that was shown to plan"
    if not acceptable:
        return _result(WAY_BACK, stage, Verdict.FAIL, [said], blocks=True)
    if accepted:
        return _result(WAY_BACK, stage, Verdict.OVERRIDDEN, [told_acceptance(accepted), said], blocks=False)
    remedy = f"; {_ACCEPT}" + (f" ({len(tally.accepted)} of {required} accepted it)" if tally.accepted else "")
    room = _MAX_MESSAGE - len(remedy)
    return _result(
        WAY_BACK, stage, Verdict.FAIL, [(said if len(said) <= room else f"{said[: room - 1]}…") + remedy], blocks=True
    )


def told_acceptance(accepted: Mapping[str, str]) -> str:
    """The words on people who passed a failed drill knowingly."""
    return "accepted undrilled by " + "; ".join(f"{who}: {why}" for who, why in sorted(accepted.items()))


def _approvals(stage: GateStage, tally: ApprovalTally, required: int) -> GateResult:
    if tally.rejected_by:
        message = f"rejected by {', '.join(tally.rejected_by)}: {tally.rejection}"
        return _result(APPROVALS, stage, Verdict.FAIL, [message], blocks=True)
    if len(tally.approved_by) >= required:
        return _result(APPROVALS, stage, Verdict.PASS, blocks=False)
    expired = f"; expired: {', '.join(tally.expired)}" if tally.expired else ""
    barred = f"; {', '.join(tally.barred)} asked for it and can't approve it" if tally.barred else ""
    message = f"{len(tally.approved_by)} of {required} approvals{expired}{barred}"
    return _result(APPROVALS, stage, Verdict.PENDING, [message], blocks=True)


def _evaluate(
    stage: GateStage,
    selected: SelectedGate,
    answers: Sequence[PolicyResult],
    change: Change,
    tally: ApprovalTally,
    *,
    nameless: bool,
) -> GateResult:
    """One gate of EnforcementGates. What went wrong comes before what was found, and that before who is missing."""
    gate, name = selected.gate, selected.name
    errors = [answer.error for answer in answers if answer.error]
    if len(answers) != len(gate.policy_sets):
        errors.append(f"{len(answers)} of {len(gate.policy_sets)} policy sets were evaluated")
    if errors:
        return _result(name, stage, Verdict.ERROR, errors, blocks=bool(_levels(gate) - {"advisory"}))
    found = [(_level(gate, v), v.unknown, v.text) for answer in answers for v in answer.violations]
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
    if gate.four_eyes and nameless:
        return _result(name, stage, Verdict.INDETERMINATE, [_NAMELESS, *messages], blocks=True)
    asked = _asked(gate, change.cause) or 0
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


def explain(decision: GateDecision, approve: str) -> tuple[Reason, str]:
    """Reason and message of the condition Gated: which gate blocks, and what a person can do about it.

    `approve` is the command that approves the Change.
    """
    if decision.verdict is Verdict.PASS:
        accepted = decision.accepted
        return (Reason.UNDRILLED_ACCEPTED, told_acceptance(accepted)) if accepted else (Reason.GATES_PASSED, "")
    if decision.verdict is Verdict.PENDING:
        return Reason.GATES_PENDING, f"waits for {_people(decision)}: {approve}"
    blocking = [result for result in decision.results if result.blocks and result.verdict != "Pending"]
    said = "; ".join(f"gate {result.gate}: {_first(result)}" for result in blocking[:3])
    more = f"; and {len(blocking) - 3} more gates" if len(blocking) > 3 else ""
    reason = Reason.GATE_ERROR if decision.verdict is Verdict.ERROR else Reason.GATE_BLOCKED
    return reason, f"{said}{more}"


def _people(decision: GateDecision) -> str:
    asked = max(decision.missing, 1)
    others = f" by others than {', '.join(decision.barred)}" if decision.barred else ""
    return ("1 approval" if asked == 1 else f"{asked} approvals") + others


def _first(result: GateResult) -> str:
    more = f" (and {len(result.messages) - 1} more)" if len(result.messages) > 1 else ""
    return (result.messages[0] if result.messages else result.verdict) + more
