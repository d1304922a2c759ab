"""Owns asking the gates that guard a Change: what their policies say, who approved. domain.gating decides."""

import asyncio
import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from setpoint.api.meta import ObjectRef
from setpoint.api.target import Target
from setpoint.api.v1alpha1.approval import Approval
from setpoint.api.v1alpha1.change import Change as ChangeObject
from setpoint.api.v1alpha1.change import ChangeSpec
from setpoint.api.v1alpha1.enforcementgates import GateStage, PolicySetReference
from setpoint.domain import gating
from setpoint.domain.approvals import ApprovalTally, count_approvals
from setpoint.domain.audit import AuditRow
from setpoint.domain.drift_policy import DRIFT_STAGE, DriftVerdict, caused_by_drift, drift_verdict
from setpoint.domain.gates import (
    SelectedGate,
    pin_problem,
)
from setpoint.domain.gating import GateDecision, GateInput, Verdict
from setpoint.domain.judged import Judged, Redact
from setpoint.domain.policies import PolicyResult
from setpoint.domain.policy_input import Question, policy_input
from setpoint.domain.protection import check_protection
from setpoint.domain.reading import text_at
from setpoint.domain.vouching import is_recorded
from setpoint.pipeline.gates import GateContext, GateReader
from setpoint.pipeline.objects import list_typed
from setpoint.pipeline.passes import Guarded, Pass
from setpoint.ports import AuditLog, Clock, ClusterClient, PolicyEngine
from setpoint.runtime.metrics import Metrics

_LOGGER = logging.getLogger(__name__)


_UNSEEN = "policies were shown nothing of this Change, so they were not asked: a fault in Setpoint"


@dataclasses.dataclass(frozen=True, slots=True)
class Proposed:
    """A guarded change as people see it, with the gates that guard it.

    `spec` is the Change as this pass computed it: decided on, approved, spent, recorded; `record` is where people see
    it.
    """

    guarded: Guarded
    gates: GateContext
    required: int
    spec: ChangeSpec
    record: ChangeObject


@dataclasses.dataclass(frozen=True, slots=True)
class Gated:
    """A proposed change with the decision of the gates of a stage."""

    proposed: Proposed
    decision: GateDecision

    @property
    def passes(self) -> bool:
        """True where the change may go on."""
        return self.decision.verdict is Verdict.PASS


class Gatekeeper:
    """Asks gates. Whatever can't be asked blocks.

    `gates` gathers those that guard a Change. `witness` is the trail that an approval has to be in; None where the API
    server proves who gave it.
    """

    def __init__(
        self,
        *,
        cluster: ClusterClient,
        gates: GateReader,
        engine: PolicyEngine,
        clock: Clock,
        metrics: Metrics,
        witness: AuditLog | None,
        redact: Redact = lambda text, _: text,
    ) -> None:
        self._cluster = cluster
        self.gates = gates
        self._engine = engine
        self._clock = clock
        self._metrics = metrics
        self._witness = witness
        self._redact = redact

    async def decide(self, work: Pass, proposed: Proposed, stage: GateStage) -> GateDecision:
        """The decision over the Change of this pass at a stage."""
        decision = gating.decide(await self._gather(work, proposed, stage))
        for result in decision.results:
            self._metrics.count_gate_decision(result.gate, result.stage, result.verdict)
        return decision

    async def _gather(self, work: Pass, proposed: Proposed, stage: GateStage) -> GateInput:
        """Everything that the decision looks at: what policies say of the Change, and what people do."""
        context, guarded = proposed.gates, proposed.guarded
        gates = context.gates.get(stage, ())
        answers = await asyncio.gather(*(self._ask_of_change(work, proposed, stage, one) for one in gates))
        tally, unfit = await self._tally(work, proposed)
        return GateInput(
            stage=stage,
            change=guarded.change,
            subject=proposed.spec.subject,
            reset_plan=guarded.reset_plan,
            gates=gates,
            answers={selected.name: answer for selected, answer in zip(gates, answers, strict=True)},
            protection=check_protection(guarded.change, work.target.spec.protection),
            tally=tally,
            required=proposed.required,
            faults=(*context.faults, *unfit),
            requested_by=context.requester(guarded.change, work.goal),
            approve=context.approve_command(proposed.record.metadata.name),
        )

    async def _ask_of_change(
        self, work: Pass, proposed: Proposed, stage: GateStage, selected: SelectedGate
    ) -> list[PolicyResult]:
        context, judged = proposed.gates, proposed.guarded.observed.seen.judged
        if judged is None:
            return [PolicyResult(error=_UNSEEN)] * len(selected.gate.policy_sets)
        question = _question(work, proposed.guarded, stage, judged)
        given = policy_input(question, gate=selected.name, document=judged.document, alias=judged.alias)
        return _shown(context, selected, await self._ask(context, selected, given), judged, self._redact)

    async def judge_drift(self, work: Pass, judged: Judged, context: GateContext) -> DriftVerdict:
        """The verdict of the policies of the target's gates on what the world changed."""
        answers = await asyncio.gather(*(self._ask_of_drift(work, context, one, judged) for one in context.all()))
        found = {one.name: results for one, results in zip(context.all(), answers, strict=True)}
        return drift_verdict(found, context.faults)

    async def _ask_of_drift(
        self, work: Pass, context: GateContext, selected: SelectedGate, judged: Judged
    ) -> list[PolicyResult]:
        question = Question(target=_target(work.target), cause="Drift", stage=DRIFT_STAGE, now=work.draft.now_text)

        async def ask(document: Mapping[str, Any]) -> list[PolicyResult]:
            given = policy_input(question, gate=selected.name, document=document, alias=judged.alias)
            return await self._ask(context, selected, given)

        found = await ask(judged.of_drift())
        if any(result.violations for result in found):
            anyway = await ask(judged.without_drift()), await ask(judged.of_nothing())
            found = [caused_by_drift(*results) for results in zip(found, *anyway, strict=True)]
        return _shown(context, selected, found, judged, self._redact)

    async def _ask(
        self, context: GateContext, selected: SelectedGate, document: Mapping[str, Any]
    ) -> list[PolicyResult]:
        """The answer of a gate's sets. They were given the plan with its secrets, so it is not to be shown as it is."""
        return [await self._ask_set(context, selected, one, document) for one in selected.gate.policy_sets]

    async def _ask_set(
        self, context: GateContext, selected: SelectedGate, reference: PolicySetReference, document: Mapping[str, Any]
    ) -> PolicyResult:
        modules = context.modules.get(reference.name)
        problem = context.problems.get(reference.name) or pin_problem(reference, modules.digest if modules else None)
        if problem or modules is None:
            return PolicyResult(error=problem)
        seconds = selected.gate.timeout.total_seconds()
        memory = selected.gate.memory_mib
        return await self._engine.evaluate(modules, document, timeout=seconds, memory_mib=memory)

    async def _tally(self, work: Pass, proposed: Proposed) -> tuple[ApprovalTally, list[str]]:
        """Counts who approved the Change, and names its Approvals that can't be read: one of those may reject it."""
        approvals, unfit = await list_typed(self._cluster, Approval, namespace=work.target.metadata.namespace)
        name = proposed.record.metadata.name
        given = [one for one in approvals if one.spec.change_ref.name == name]
        tally = count_approvals(
            await self._recorded(work.target.ref, given),
            subject=proposed.spec.subject,
            ttl=work.target.spec.approvals.ttl,
            now=self._clock.now(),
            # The requester at the time the Change was made stays barred, should another person edit the spec since.
            barred=proposed.gates.barred(
                proposed.record.spec.requested_by, proposed.gates.requester(proposed.guarded.change, work.goal)
            ),
            review=proposed.record.status.review,
        )
        return tally, [str(one) for one in unfit if text_at(one.found, "spec", "changeRef", "name") == name]

    async def _recorded(self, target: ObjectRef, given: Sequence[Approval]) -> list[Approval]:
        """Those that count: all where the API server proves who gave them, else those that the trail tells of."""
        if self._witness is None or not given:
            return list(given)
        rows = await _rows_of(self._witness, target)
        counted = [one for one in given if is_recorded(one, rows)]
        for one in given:
            if one not in counted:
                _LOGGER.warning("%s: %s is in no row of the audit trail, so it does not count", target, one.ref)
        return counted


def _question(work: Pass, guarded: Guarded, stage: GateStage, judged: Judged) -> Question:
    change, reset_plan = guarded.change, guarded.reset_plan
    return Question(
        target=_target(work.target),
        cause=change.cause,
        stage=stage,
        now=work.draft.now_text,
        changes=judged.changes,
        summary=change.summary,
        reset_actions=reset_plan.actions,
        worst=reset_plan.worst,
    )


def _shown(
    context: GateContext,
    selected: SelectedGate,
    results: Sequence[PolicyResult],
    judged: Judged,
    redact: Redact,
) -> list[PolicyResult]:
    """The answers of a gate's sets, without secrets."""
    pairs = zip(selected.gate.policy_sets, results, strict=True)
    policies = [(context.modules.get(reference.name), result) for reference, result in pairs]
    return [judged.show(result, modules.modules.values() if modules else (), redact) for modules, result in policies]


def _target(target: Target) -> dict[str, Any]:
    return {
        "kind": target.kind,
        "namespace": target.metadata.namespace,
        "name": target.metadata.name,
        "stage": target.spec.stage,
        "labels": target.metadata.labels,
    }


async def _rows_of(trail: AuditLog, target: ObjectRef) -> list[AuditRow]:
    found: list[AuditRow] = []
    while page := await trail.rows(after=found[-1].seq if found else 0, target=target):
        found += page
    return found
